#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf trace-gen` as a user meets it: documents, exit codes, packed logs, hashes, and memory that does not grow with the log.
. tests/lib/tap.sh

gen() { "$hsbpf" trace-gen "$@"; }
mkdir "$work/logs"
cp tests/data/qemu_iommu_2vm_20k.txt.xz "$work/logs/xz_0.txt.xz"
xz -dc "$work/logs/xz_0.txt.xz" >"$work/logs/plain_0.txt"
gzip -c "$work/logs/plain_0.txt" >"$work/logs/gz_0.txt.gz"

run gen -l "$work/logs/plain" --tenants 64 -o "$work/trace" --json
cp "$work/out" "$work/gen.json"
equal "exit code" "$status" 0
check "the document fits its schema" tests/lib/schema.sh "$work/gen.json"
equal "64 tenants of 2 devices" "$(jq -c '[.tenants, .copies, .packets]' "$work/gen.json")" "[64,62,$((32 * 4995))]"
check "that streams are used again is said" grep -q '64 tenants from 2 in the logs' "$work/err"
equal "16 bytes for each translation, and the tables" "$(stat -c %s "$work/trace")" \
	"$(jq '.translations * 16 + 8192' "$work/gen.json")"
equal "the log's hash is sha256sum's" "$(jq -r '.sources[0].sha256' "$work/gen.json")" \
	"$(sha256sum <"$work/logs/plain_0.txt" | cut -d' ' -f1)"
gen --info "$work/trace" --json >"$work/info.json"
check "--info says the same" cmp "$work/gen.json" "$work/info.json"
check "and for people" grep -q 'order rr, 1 packet of a tenant in a row; packets as found in the log' <(gen --info "$work/trace")

for form in plain xz gz; do
	gen -l "$work/logs/$form" --tenants 3 --order rand --seed 5 -o "$work/$form" --json >"$work/$form.json" 2>>"$work/err"
	tail -c +4097 "$work/$form" >"$work/$form.records"
done
check "a log packed by xz gives the same records" cmp "$work/plain.records" "$work/xz.records"
check "a log packed by gzip gives the same records" cmp "$work/plain.records" "$work/gz.records"
gen -l "$work/logs/plain" --tenants 3 --order rand --seed 6 -o "$work/other" >"$work/out" 2>>"$work/err"
check "another seed, another order" bash -c "! cmp -s '$work/plain' '$work/other'"
gen -l "$work/logs/plain" --tenants 3 --order rand --seed 5 -o "$work/again" >"$work/out" 2>>"$work/err"
check "the same seed, the same bytes" cmp "$work/plain" "$work/again"

run gen -l tests/data/hyper_patched --format hypersio -o "$work/hypersio" --tenants 3
equal "hypersio's files: 48 bytes a translation, 20 a tenant, 42 a page table entry" \
	"$status $(stat -c %s "$work"/hypersio_{iotlb_trace,cc_data,slpt_data}.bin | paste -sd' ')" "0 $((48 * 31)) 60 $((42 * 4))"
check "and nothing else" test "$(ls "$work"/hypersio* | wc -l)" = 3

fails "no options" 2 "trace-gen needs --log-prefix P and -o FILE" "$hsbpf" trace-gen
fails "no logs" 1 "there is no log $work/none_0.txt" "$hsbpf" trace-gen -l "$work/none" -o "$work/t"
fails "a packet of nothing" 2 "--packets fixed=0" "$hsbpf" trace-gen -l "$work/none" -o "$work/t" --packets fixed=0
fails "an unknown cut" 2 "--cut 'last' is neither 'first' nor a number" "$hsbpf" trace-gen -l "$work/none" -o "$work/t" --cut last
fails "an unknown order" 2 "is not one of rr, rand, orig" "$hsbpf" trace-gen -l "$work/none" -o "$work/t" --order lru
fails "what is no trace" 1 "it is no DMA trace of hsbpf" "$hsbpf" trace-gen --info "$work/logs/plain_0.txt"
head -c 70000 "$work/trace" >"$work/short"
fails "a trace that was cut" 1 "was it cut?" "$hsbpf" trace-gen --info "$work/short"
cp "$work/logs/plain_0.txt" "$work/logs/plain_2.txt"
fails "a number that is missing" 1 "log $work/logs/plain_1.txt is missing" "$hsbpf" trace-gen -l "$work/logs/plain" -o "$work/t"
rm "$work/logs/plain_2.txt"
head -c 100000 "$work/logs/plain_0.txt" >"$work/logs/cut_0.txt"
fails "a truncated log" 1 "is truncated: its last line has no end" "$hsbpf" trace-gen -l "$work/logs/cut" -o "$work/t"
check "which can be used nevertheless" "$hsbpf" trace-gen -l "$work/logs/cut" --accept-truncated -o "$work/t"
check "nothing is left of what failed" bash -c "! ls '$work'/t.*"

# A trace takes the place of a file that has its name, and of nothing else.
mknod "$work/device" c 1 3
fails "a device" 1 "no regular file" "$hsbpf" trace-gen -l "$work/logs/plain" -o "$work/device"
check "which is still one" test -c "$work/device"
mkdir "$work/folder"
fails "a folder" 1 "no regular file" "$hsbpf" trace-gen -l "$work/logs/plain" -o "$work/folder"
fails "one of the logs" 1 "would take the place of the log" "$hsbpf" trace-gen -l "$work/logs/plain" -o "$work/logs/plain_0.txt"
ln -s trace "$work/link"
run gen -l "$work/logs/plain" -o "$work/link"
equal "through a link to what it leads to" "$status $(readlink "$work/link") $("$hsbpf" trace-gen --info "$work/trace" --json | jq .tenants)" \
	"0 trace 2"
touch "$work/mine".{tmp,hsbpf}
gen -l tests/data/hyper_patched -o "$work/mine" >"$work/out" && gen -l tests/data/hyper_patched --format hypersio -o "$work/mine" >"$work/out"
equal "what stands beside it stays" "$(cd "$work" && echo mine*)" \
	"mine mine.hsbpf mine.tmp mine_cc_data.bin mine_iotlb_trace.bin mine_slpt_data.bin"

# Peak memory with a log of 2 MB and with one of 60 MB: the same but for the index of the streams.
peak() { /usr/bin/env python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$hsbpf" trace-gen -l "$1" -o "$work/t"; }
for i in $(seq 30); do cat "$work/logs/plain_0.txt"; done >"$work/logs/long_0.txt"
small=$(peak "$work/logs/plain") large=$(peak "$work/logs/long")
note "peak memory: $small KiB for 2 MB of log, $large KiB for 63 MB"
check "memory does not grow with the log" test "$large" -lt $((small + 2048))
plan
