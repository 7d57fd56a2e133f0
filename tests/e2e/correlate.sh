#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf correlate` on a real run of two tenants: what it joins, beside what the run itself, babeltrace2 and grep count.
. tests/lib/tap.sh

run "$hsbpf" collect --l2vm 2 --iperf3time 2 --out "$work/run"
equal "two tenants ran" "$status" 0
[ "$status" = 0 ] || note "$(tail -5 "$work/err")"
log=$(ls "$work"/run/*_0.txt)
dir=${log%.txt}
doc=$dir/run.json

run "$hsbpf" correlate --json "$dir"
equal "it correlates" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
cp "$work/out" "$work/all.json"
check "the document fits its schema" tests/lib/schema.sh "$work/all.json"
all() { jq -r "$1" "$work/all.json"; }

babeltrace2 "$dir/trace/host" >"$work/bt" 2>"$work/bt.err"
grep -E ' (net_dev_start_xmit|netif_receive_skb): .*role = \( "l2"' "$work/bt" >"$work/bt.l2"

for tenant in 0 1; do
	here=".tenants[] | select(.tenant == $tenant)"
	for direction in to_l2/to_guest from_l2/from_guest; do
		of="$here | .directions[] | select(.direction == \"${direction%/*}\")"
		equal "tenant $tenant, ${direction%/*}: the packets are those that BPF counted" "$(all "$of | .packets")" \
			"$(jq ".tenants[$tenant].l2.packets.${direction#*/}" "$doc")"
		check "tenant $tenant, ${direction%/*}: at least 95 % are joined to their translations" \
			jq -e "$of | .joined_pct >= 95" "$work/all.json"
		check "tenant $tenant, ${direction%/*}: every packet has a fate and an end" \
			jq -e "$of | .packets == (.fates | add) and .packets == (.ends | add)" "$work/all.json"
	done
	equal "tenant $tenant: the log's translations of its NIC are all accounted for" \
		"$(all "$here | .unparsed_translations + .dma_without_packet * 4 + ([.directions[].translations] | add) >=
			$(grep -cE 'sid 0x2'$((tenant * 8))' |devfn 0x2'$((tenant * 8))' ' "$log") * 0.999")" true
	check "tenant $tenant: a packet to the L2 takes four translations" jq -e \
		"$here | .directions[0].translations_per_packet | . >= 4 and . < 4.1" "$work/all.json"
	check "tenant $tenant: each hop is there, and takes time" jq -e \
		"$here | [.directions[0].hops[] | select(.packets > 100)] | length >= 3 and all(.p50_ns <= .p99_ns and .p99_ns <= .max_ns)" \
		"$work/all.json"
	check "tenant $tenant: at least 90 % of what goes to the L2 is followed from the client's stack to the L2's" \
		jq -e "$here | .directions[0] | .ends, (.whole_pct >= 90 and any(.hops[]; .from == \"client stack\" and .packets > 0)
			and any(.hops[]; .to == \"L2 stack\" and .packets > 0))" "$work/all.json"
	# When the client's program is gone its connections are reset, and by then its tap may be gone too.
	resets=$(grep -cE "netif_receive_skb: .*tenant = $tenant, .*tcp_flags = 0x[0-9A-F]*[4-7C-F]," "$work/bt.l2")
	check "tenant $tenant: and at least 75 % of what comes back" \
		jq -e "$here | .directions[1] | .ends, .ends.whole >= 0.75 * (.packets - $resets)" "$work/all.json"
	check "tenant $tenant: L1's interrupts, entries and exits are its own" \
		jq -e "$here | .interrupts > 0 and .entries > 0 and .exits > 0" "$work/all.json"
done
equal "every machine's trace was read" "$(all '[.machines[] | select(.records > 0) | .machine] | sort | join(" ")')" \
	"client-0 client-1 host l1 l2-0 l2-1"
check "no entry or exit is counted for two tenants" jq -e \
	"([.tenants[].entries] | add) <= $(jq .trace.l1.events.kvm_entry.recorded "$doc") and
	([.tenants[].exits] | add) <= $(jq .trace.l1.events.kvm_exit.recorded "$doc")" "$work/all.json"
equal "pairs of cause and effect are counted at six places" "$(all '[.causality[] | select(.in_order + .within_bound > 0)] | length')" 6
equal "no effect comes before its cause" "$(all '[.causality[].beyond_bound] | add')" 0
check "it takes less time than the run's test took" jq -e ".seconds < $(jq .phases_seconds.test "$doc")" "$work/all.json"

# A packet in the middle of the run, found by its number in what babeltrace2 prints.
equal "as many packets as babeltrace2 shows on the L2s' taps" "$(all .packets)" "$(wc -l <"$work/bt.l2")"
number=$(($(wc -l <"$work/bt.l2") / 2))
run "$hsbpf" correlate --packet "$number" --json "$dir"
cp "$work/out" "$work/packet.json"
check "a packet's document fits its schema" tests/lib/schema.sh "$work/packet.json"
line=$(sed -n "${number}p" "$work/bt.l2")
field() { sed -nE "s/.*[ {]$1 = ([^, ]+).*/\1/p" <<<"$line"; }
equal "packet $number is the one of that number" \
	"$(jq -c '[.packet, .len, .seq, .sport, .dport, .tenant]' "$work/packet.json")" \
	"[$number,$(field len),$(field seq),$(field sport),$(field dport),$(field tenant)]"
check "its layers on the host are in the order of time" \
	jq -e '[.layers[] | select(.error_ns < 2000) | .time_ns] | . == sort and length >= 3' "$work/packet.json"
run "$hsbpf" correlate --packet "$number" "$dir"
check "its path is printed" grep -qE '^packet '"$number"', tenant [01], (to|from) the L2: [0-9]+ bytes, ' "$work/out"

run "$hsbpf" correlate --tenant 1 --json "$dir"
equal "one tenant alone comes to the same" "$(jq -c '.tenants[] | [.tenant, [.directions[] | .packets, .fates, .hops]]' "$work/out")" \
	"$(all '.tenants[1] | [.tenant, [.directions[] | .packets, .fates, .hops]] | tojson')"
middle=$(all '(.end_ns - .begin_ns) / 2000000 | floor')
run "$hsbpf" correlate --to "${middle}ms" --json "$dir"
before=$(jq -c '[.tenants[].directions[].packets]' "$work/out")
run "$hsbpf" correlate --from "${middle}ms" --json "$dir"
after=$(jq -c '[.tenants[].directions[].packets]' "$work/out")
equal "two stretches add up to the whole" "$(jq -nc "[$before, $after] | transpose | map(add)")" \
	"$(all '[.tenants[].directions[].packets] | tojson')"

run "$hsbpf" correlate "$dir"
equal "for people it ends well too" "$status" 0
check "the table has a row for the way from the tap to the NIC" grep -qE '^tap +DMA begin +[0-9]+ ' "$work/out"
fails "a tenant that is not there" 1 "the run has no tenant 7" "$hsbpf" correlate --tenant 7 "$dir"
fails "a packet that is not there" 1 "has no packet 999999999" "$hsbpf" correlate --packet 999999999 "$dir"
fails "no number" 2 "--tenant takes a number below 24, not 'x'" "$hsbpf" correlate --tenant x "$dir"
fails "no run" 1 "is not a run" "$hsbpf" correlate "$work"
fails "no argument" 2 "correlate needs one run" "$hsbpf" correlate
# As a run is whose hsbpf was killed.
cp "$doc" "$work/run.json"
jq 'del(.clock, .trace)' "$work/run.json" >"$doc"
run "$hsbpf" correlate --json "$dir"
equal "a killed run's packets are followed over the taps" \
	"$status $(jq -c '[.tenants[].directions[] | any(.hops[]; .from == "client tap" or .to == "client tap")]' "$work/out")" \
	"0 [true,true,true,true]"
check "and it is said what is missing" grep -q 'ended before its clock samples were written' "$work/err"
cp "$work/run.json" "$doc"
: >"$dir/trace/l2-1/metadata"
run "$hsbpf" correlate --json "$dir"
equal "a machine whose trace is damaged is left out, the others are not" \
	"$status $(grep -c 'l2-1 is left out' "$work/err") $(jq -c '[.tenants[].directions[0] | any(.hops[]; .to == "L2 stack" and .packets > 0)]' "$work/out")" \
	"0 1 [true,false]"
rm "$dir/trace/l2-1/metadata"
mv "$dir/trace/l1" "$work/l1"
cp -r "$work/l1" "$dir/trace/l1"
rm "$dir"/trace/l1/cpu0
mkfifo "$dir/trace/l1/cpu0"
fails "a FIFO among the files is not waited for" 1 "cannot open $dir/trace/l1/cpu0" timeout 20 "$hsbpf" correlate "$dir"
rm -r "$dir/trace/l1"
mv "$work/l1" "$dir/trace/l1"
rm -r "$dir/trace/l2-1"
run "$hsbpf" correlate "$dir"
check "a machine without a trace is named" grep -q 'l2-1 has no trace in the run' "$work/err"
equal "and what was not followed therefore" "$status $(grep -c 'as far as the run has traces: none of the L2' "$work/out")" "0 2"
run "$hsbpf" info "$dir"
equal "info fails for it" "$status $(grep -c 'l2-1 sent nothing' "$work/err")" "1 1"
rm "$log"
run "$hsbpf" correlate --json "$dir"
equal "without the log the packets are followed all the same" \
	"$status $(jq -c '[.tenants[].directions[] | .packets > 0 and .fates.joined == 0]' "$work/out")" "0 [true,true,true,true]"
check "and that is said" grep -q 'the run has no IOMMU log' "$work/err"
plan
