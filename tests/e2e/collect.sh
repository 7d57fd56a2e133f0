#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf collect` as a user runs it: every file is there, every figure agrees with somebody else's count.
. tests/lib/tap.sh

before=$(remains; ip -o addr)

between() { echo "$2 is not from $1 to $3"; [ "$2" -ge "$1" ] && [ "$2" -le "$3" ]; }
# check_run NAME LOG DIR: one run on disk against grep, the interfaces, iperf3 and babeltrace2
check_run() {
	local name=$1 log=$2 dir=$3 event count pairs tenant side unread
	local doc=$dir/run.json
	check "$name: run.json fits its schema" tests/lib/schema.sh "$doc"
	equal "$name: outcome" "$(jq -r .outcome "$doc")" ok
	pairs=$(jq .pairs "$doc")
	for file in console/l1.txt console/l1.qemu.txt console/l2-0.txt console/client-0.txt workload/l2-0.json \
		workload/client-0.json trace/host/metadata trace/host/cpu0; do
		check "$name: $file is there" test -f "$dir/$file"
	done
	equal "$name: files are 0600, folders 0700" \
		"$(find "$dir" "$log" \( -type f ! -perm 600 -o -type d ! -perm 700 \) | head -3)" ""

	for event in $(jq -r '.iommu_log.events | keys[]' "$doc"); do
		equal "$name: grep -c $event on the log" "$(grep -c ":$event " "$log")" "$(jq ".iommu_log.events.$event" "$doc")"
	done
	equal "$name: every line is counted" "$(wc -l <"$log")" "$(jq .iommu_log.lines "$doc")"
	equal "$name: no line is torn or foreign" "$(jq '.iommu_log.torn + .iommu_log.foreign' "$doc")" 0
	equal "$name: the tenants' translations add up" \
		"$(jq '[.tenants[].translations | .hit + .update] | add' "$doc")" \
		"$(jq '.iommu_log.events | .vtd_iotlb_page_hit + .vtd_iotlb_page_update' "$doc")"

	equal "$name: nothing was lost" "$(jq .trace.host.lost "$doc")" 0
	babeltrace2 "$dir/trace/host" >"$work/bt" 2>"$work/bt.err"
	equal "$name: babeltrace2 has nothing to say" "$(cat "$work/bt.err")" ""
	for event in $(jq -r '.trace.host.events | keys[]' "$doc"); do
		count=$(jq ".trace.host.events.$event.recorded" "$doc")
		equal "$name: babeltrace2 counts $event" "$(grep -c " $event: " "$work/bt")" "$count"
	done

	for tenant in $(seq 0 $((pairs - 1))); do
		# From the guest: counted by the driver as it hands the packet on, so exactly what BPF saw.
		for side in l2 client; do
			equal "$name: tenant $tenant, $side: packets and bytes from the guest are the interface's" \
				"$(jq -c ".tenants[$tenant].$side.packets | [.from_guest, .from_guest_bytes]" "$doc")" \
				"$(jq -c ".tenants[$tenant].$side.interface | [.rx_packets, .rx_bytes]" "$doc")"
			# To the guest: the driver counts a packet when QEMU reads it. What was handed to it, less what it
			# refused, is what was read; a packet or two can lie unread when QEMU ends. (tx_dropped is no witness:
			# it also counts what a queue without carrier dropped after that and the driver never saw.)
			unread=$(jq ".tenants[$tenant].$side | .packets.to_guest - .packets.refused - .interface.tx_packets" "$doc")
			check "$name: tenant $tenant, $side: packets to the guest are the interface's" between 0 "$unread" 4
		done
		# TCP payload that iperf3's receiver got is on the tap in frames of at most 1448 bytes payload with 66
		# of headers; beyond that: handshakes, control connection, retransmits, and what was sent but cut off
		# at the end of the test (at most the window, 6 MiB).
		check "$name: tenant $tenant: bytes on the tap agree with iperf3's" jq -e \
			".tenants[$tenant] | .l2.packets.to_guest_bytes as \$tap | .result.bytes as \$tcp |
			\$tcp > 0 and \$tap >= \$tcp * 1514 / 1448 * 0.999 and \$tap <= \$tcp * 1514 / 1448 * 1.02 + 6291456" "$doc"
		equal "$name: tenant $tenant: the document's bytes are iperf3's" \
			"$(jq ".tenants[$tenant].result.bytes" "$doc")" "$(jq .end.sum_received.bytes "$dir/workload/client-$tenant.json")"
	done
	check "$name: the clocks' error bound is below 1 ms" jq -e '.clock.error_bound_ns > 0 and .clock.error_bound_ns < 1000000' "$doc"
}

out=$work/one
run "$hsbpf" collect --l2vm 1 --iperf3time 2 -o "$out"
equal "collect --l2vm 1 succeeds" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
check "the summary names the tenant's machine and result" grep -qE '^ +0 +l2-0 +[0-9.]+ [MGK]bit/s' "$work/out"
check_run "one pair" "$out/hsbpf_iperf3_vm_1_log_0.txt" "$out/hsbpf_iperf3_vm_1_log_0"
cp "$work/out" "$work/first"
run "$hsbpf" show "$out/hsbpf_iperf3_vm_1_log_0"
equal "show prints the same summary again" "$(cat "$work/out")" "$(grep -v -e '^results:' -e '^   *[^ ]*/$' "$work/first")"
run "$hsbpf" show --recount --json "$out/hsbpf_iperf3_vm_1_log_0.txt"
equal "counting again from the files gives the same document" \
	"$(jq -S '[.trace, .iommu_log, .tenants]' "$work/out")" \
	"$(jq -S '[.trace, .iommu_log, .tenants]' "$out/hsbpf_iperf3_vm_1_log_0/run.json")"
fails "the same run again is refused" 1 "holds that run" "$hsbpf" collect --l2vm 1 --iperf3time 2 -o "$out"

out=$work/two
run "$hsbpf" collect --l2vm 2 --runs 2 --iperf3time 1 --json --log-prefix many -o "$out"
equal "collect --l2vm 2 --runs 2 succeeds" "$status" 0
[ "$status" = 0 ] || note "$(cat "$work/err")"
equal "stdout is one document with two runs" "$(jq -s 'length, (.[0].runs | length)' "$work/out" | tr '\n' ' ')" "1 2 "
check "it fits its schema" tests/lib/schema.sh "$work/out"
for number in 0 1; do
	check_run "two pairs, run $number" "$out/many_$number.txt" "$out/many_$number"
	equal "run $number: the printed document is run.json" "$(jq -S ".runs[$number]" "$work/out")" "$(jq -S . "$out/many_$number/run.json")"
done

# A process as client: its packets cross in softirqs on top of anybody, where this kernel may run no program.
out=$work/netns
run "$hsbpf" collect --l2vm 1 --client netns --iperf3time 2 -o "$out"
equal "collect --client netns succeeds" "$status" 0
doc=$out/hsbpf_iperf3_vm_1_log_0/run.json
check "--client netns: run.json fits its schema" tests/lib/schema.sh "$doc"
for side in l2 client; do
	equal "--client netns, $side: packets from the guest, seen or stated as unseen, are the interface's" \
		"$(jq ".tenants[0].$side | .packets.from_guest + .packets.unseen >= .interface.rx_packets and
		.packets.from_guest <= .interface.rx_packets and .packets.unseen < (.interface.rx_packets + .interface.tx_packets) / 20" "$doc")" true
done
check "the summary has them" grep -qE '^tenant  tap .* unseen$' "$work/out"

equal "nothing is left behind, the host's addresses are untouched" "$(remains; ip -o addr)" "$before"
plan
