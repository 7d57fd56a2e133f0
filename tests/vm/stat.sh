# SPDX-License-Identifier: GPL-2.0-only
# Part of `make check-vm`, sourced by debian.sh when its guest is up: `hsbpf stat` where kvm_exit and vhost are, beside
# guests whose events and packets are known.
in_l1 build/hsbpf stat --json -o exact.json -- bash -c 'echo $$ >exact.pid; exec build/tests/bench/kvmgen 1000' >/dev/null 2>&1
vm_fetch exact.json
vm_fetch exact.pid
check "stat: the document fits its schema" tests/lib/schema.sh "$work/exact.json"
counted() { jq -c --arg tgid "$(cat "$work/exact.pid")" "[.rows[] | select(.tgid == (\$tgid | tonumber)) | $1][0]" "$work/exact.json"; }
equal "stat: N outs are N exits for I/O, each with its time" "$(counted 'select(.event == "exit" and .count == 1000) | .timed')" 1000
equal "stat: ... N user exits, each with its time" "$(counted 'select(.event == "user exit" and .reason == "io") | [.count, .timed]')" "[1000,1000]"
equal "stat: ... and N pio" "$(counted 'select(.event == "pio") | .count')" 1000
equal "stat: the hlt has no time" "$(counted 'select(.event == "exit" and .timed == 0) | .count')" 1
check "stat: exits with their user space are longer" test \
	"$(counted 'select(.event == "exit" and .count == 1000) | .total_ns')" -gt "$(counted 'select(.event == "user exit" and .reason == "io") | .total_ns')"

check "stat: a tap for a nested guest" in_l1 tests/vm/nested.sh tap
run in_l1 build/hsbpf stat --json -o stat.json -- tests/vm/workload.sh stat-link.json
equal "stat: beside a nested guest with virtio-net on vhost" "$status" 0
vm_fetch stat.json
vm_fetch stat-link.json
stat=$work/stat.json
equal "stat: everything can be counted, and is" "$(jq -c '[.missing, .uncounted]' "$stat")" "[[],0]"
equal "stat: every time is in a bucket" \
	"$(jq '[.rows[] | select(.timed) | .timed - ([.buckets[].count] | add // 0)] | map(select(. != 0)) | length' "$stat")" 0
check "stat: times fit the time that passed" jq -e '.duration_ns as $all | [.vcpus[], .rows[]] |
	all((.guest_ns // 0) <= $all and (.cpu_ns // 0) <= $all * 1.01 and (.event != "exit" or .total_ns <= $all))' "$stat"
check "stat: the guest kicks vhost, and vhost tells it" \
	jq -e '[.vhosts[] | select(.vm == "vhost-guest")][0] | .tx_kicks > 0 and .rx_kicks > 0 and .signals > 0 and .buffers >= .signals' "$stat"
equal "stat: packets and bytes are what the tap counted" \
	"$(jq -c '.taps[] | [.from_guest_packets, .from_guest_bytes, .to_guest_packets - .refused_packets, .to_guest_bytes - .refused_bytes]' "$stat")" \
	"$(jq -c '.[0].stats64 | [.rx.packets, .rx.bytes, .tx.packets, .tx.bytes]' "$work/stat-link.json")"
