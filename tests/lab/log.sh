#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf log` on this host's real /dev/kmsg: what it writes over restarts, kills, rotations, reopening and a full disk.
# Every record that this test makes has its mark; others' are left alone.
. tests/lib/tap.sh
log=
cleanup() {
	[ -z "$log" ] || kill -9 "$log" 2>/dev/null
	umount "$work/small" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
if ! [ -w /dev/kmsg ]; then
	skip "hsbpf log" "/dev/kmsg cannot be written here"
	plan
	exit 0
fi
mark=hsbpf-test-$$-$RANDOM
# say FROM TO [SEVERITY]: records with these numbers. Each is an open of its own: the kernel limits how many one may write.
say() { for i in $(seq "$1" "$2"); do echo "<${3:-6}>$mark $i." >/dev/kmsg; done; }
# numbers FILE...: of our marks, in the order of the files
numbers() { cat "$@" | sed -nE "s/.*$mark ([0-9]+)\..*/\1/p" | tr '\n' ' ' | sed 's/ $//'; }
has() { numbers "$work/log/hsbpf.log" | grep -qw "$1"; }
start() {
	$hsbpf log -o "$work/log" "$@" 2>>"$work/err" &
	log=$!
	until_true 10 $hsbpf log level -o "$work/log" all debug || note "$(cat "$work/err")"
}
stop() { kill "-$1" "$log"; wait "$log"; status=$?; log=; }

# ---- a restart, a kill ----
say 1 5
start
check "what the kernel's buffer has is written" until_true 10 has 5
say 6 7
check "and what comes" until_true 10 has 7
stop TERM
equal "SIGTERM ends it well" $status 0
say 8 10
start
say 11 11
check "a restart goes on" until_true 10 has 11
stop KILL
say 12 12
start
say 13 13
until_true 10 has 13
say 14 14
stop TERM
equal "and has every record once, in order; SIGTERM flushes what waits" "$(numbers "$work/log/hsbpf.log")" "$(seq -s' ' 1 14)"
equal "no gap was told" "$(grep -c "logs missing here" "$work/log/hsbpf.log")" 0
equal "what was written can be read by its owner alone" "$(stat -c %a "$work/log" "$work/log/hsbpf.log" | tr '\n' ' ')" "700 600 "
line=$(grep "$mark 13\." "$work/log/hsbpf.log")
check "a line has time, bound, machine, severity, source and number" grep -qE \
	'^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z \+-[0-9]+(ns|us|ms) host info kernel [0-9]+: '"$mark 13\.$" <<<"$line"

# ---- its time ----
# before and after are seconds; the bound is in the line, a second of cutting on either side
before=$(date +%s)
say 20 20
after=$(date +%s)
start
until_true 10 has 20
at=$(date +%s -d "$(grep "$mark 20\." "$work/log/hsbpf.log" | cut -d' ' -f1)")
check "its time is when it was logged" test "$at" -ge $((before - 1)) -a "$at" -le $((after + 1))

# ---- levels ----
check "a threshold is changed while it runs" $hsbpf log level -o "$work/log" host err
say 21 22 6
say 23 23 3
check "and leaves out what is less severe" until_true 10 has 23
check "and is changed back" $hsbpf log level -o "$work/log" host 7
say 24 24 7
until_true 10 has 24
equal "without a gap" "$(numbers "$work/log/hsbpf.log" | cut -d' ' -f15-) $(grep -c "logs missing here" "$work/log/hsbpf.log")" "20 23 24 0"
fails "a machine that the log has not is said" 1 "this log has no machine 'l9'" $hsbpf log level -o "$work/log" l9 err
fails "a level that there is not is said" 2 "log level needs a machine" $hsbpf log level -o "$work/log" host loud
fails "a second writer is refused" 1 "another hsbpf log writes" $hsbpf log -o "$work/log" -d 1s
fails "a folder that is not there is not one without crashes" 1 "cannot read the folder $work/nosuch: No such file" $hsbpf log last -o "$work/nosuch"

# ---- reopening ----
mv "$work/log/hsbpf.log" "$work/log/taken"
kill -HUP "$log"
check "SIGHUP opens the file again" until_true 10 test -s "$work/log/hsbpf.log"
say 25 25
check "and goes on there" until_true 10 has 25
stop TERM
fails "without a writer there is nobody to ask" 1 "no hsbpf log writes" $hsbpf log level -o "$work/log" host err

# ---- rotation under a reader ----
rm -rf "$work/log"
$hsbpf log -o "$work/log" --new --size 128K --count 2 2>>"$work/err" &
log=$!
until_true 10 $hsbpf log level -o "$work/log" all debug
tail -n +1 -F "$work/log/hsbpf.log" >"$work/tailed" 2>/dev/null &
tail=$!
until_true 10 grep -q "begins;" "$work/tailed"
long=$(printf 'x%.0s' $(seq 900))
for i in $(seq 100 399); do
	echo "<7>$mark $i. $long" >/dev/kmsg
	# The kernel's own buffer is not to be run over, nor the reader.
	[ $((i % 50)) != 49 ] || until_true 10 grep -qF "$mark $i." "$work/tailed"
done
check "tail -F reads on over rotations" until_true 10 grep -q "$mark 399\." "$work/tailed"
kill $tail
stop TERM
equal "and misses nothing" "$(numbers "$work/tailed")" "$(seq -s' ' 100 399)"
equal "so many files are kept" "$(ls "$work/log" | wc -l) $([ -e "$work/log/hsbpf.log.1" ] && echo the oldest)" "2 "
equal "none is larger than it may" "$(find "$work/log" -size +128k)" ""
equal "no record is cut" "$(grep -hF "$mark" "$work"/log/* | grep -vc "$long\$")" 0

# ---- JSON ----
run $hsbpf log -o "$work/json" --json -d 1s
equal "JSON: it ends after --duration" "$status" 0
jq -c . "$work/json/hsbpf.jsonl" >"$work/all.jsonl"
equal "JSON: every line is a document" "$(wc -l <"$work/all.jsonl")" "$(wc -l <"$work/json/hsbpf.jsonl")"
jq -s . "$work/json/hsbpf.jsonl" >"$work/list.json"
jq '{type: "array", items: .}' user/schema/hsbpf.log-1.json >"$work/schema.json"
check "JSON: as its schema says" /usr/bin/python3 -W ignore -m jsonschema -i "$work/list.json" "$work/schema.json"
run $hsbpf log -o "$work/json" --json -d 1s
equal "JSON: a restart writes nothing twice" \
	"$(jq -r 'select(.source == "kernel") | .seq' "$work/json/hsbpf.jsonl" | sort -n | uniq -d | wc -l)" 0

# ---- standard output, nobody's rights, a full disk ----
run $hsbpf log --stdout -d 1s
check "--stdout prints them" grep -q "$mark 399\." "$work/out"
# A user who may read /dev/kmsg: by the capability, since kernel.dmesg_restrict may leave the open to those who have it.
cp $hsbpf "$work/hsbpf"
chmod 755 "$work" "$work/hsbpf"
run setpriv --reuid 65534 --clear-groups --inh-caps +syslog --ambient-caps +syslog "$work/hsbpf" log --stdout -d 1s
check "and needs no root" grep -q "$mark 399\." "$work/out"
(umask 077 && echo secret >"$work/secret")
run setpriv --reuid 65534 --clear-groups --inh-caps +syslog --ambient-caps +syslog "$work/hsbpf" log --stdout -d 1s \
	--console vm1="$work/secret" --console vm2="$work/nosuch"
equal "a console that cannot be read is said, and one that is not there yet" \
	"$(grep -c "cannot read $work/secret, .*: Permission denied" "$work/err") $(grep -c "$work/nosuch is not there yet" "$work/err")" "1 1"
run setpriv --reuid 65534 --clear-groups "$work/hsbpf" log --stdout -d 1s
if [ "$(cat /proc/sys/kernel/dmesg_restrict)" = 1 ]; then
	equal "who may not read it is told so, with exit code 4" \
		"$status $(grep -c 'cannot open /dev/kmsg (kernel.dmesg_restrict leaves it to root): Operation not permitted' "$work/err")" "4 1"
fi
check "standard output that takes no more is an error" \
	bash -c '"$1" log --stdout -d 1s >/dev/full 2>"$2"; [ $? = 1 ] && grep -q "cannot write to standard output: No space" "$2"' - $hsbpf "$work/err"
mkdir "$work/small"
mount -t tmpfs -o size=256k tmpfs "$work/small"
$hsbpf log -o "$work/small" --new 2>"$work/full.err" &
log=$!
until_true 10 $hsbpf log level -o "$work/small" all debug
dd if=/dev/zero of="$work/small/hog" bs=4k 2>/dev/null
echo "<7>$mark 900. $long$long" >/dev/kmsg 2>/dev/null
for i in $(seq 901 909); do echo "<7>$mark $i. $long" >/dev/kmsg; done
check "a full disk is said" until_true 10 grep -q "cannot write $work/small/hsbpf.log: .*: No space left on device" "$work/full.err"
rm "$work/small/hog"
check "room again is said" until_true 10 grep -q "can be written again" "$work/full.err"
say 910 910
until_true 10 grep -qF "$mark 910." "$work/small/hsbpf.log"
stop TERM
lost=$(sed -nE 's/.* ([0-9]+) lines were not written: there was no room$/\1/p' "$work/small/hsbpf.log")
check "it goes on, and the log tells how many are not in it" test "${lost:-0}" -gt 0
equal "and no line is torn" "$(grep -vcE '^[0-9]{4}-' "$work/small/hsbpf.log")" 0

# ---- idle ----
$hsbpf log -o "$work/idle" --new 2>>"$work/err" &
log=$!
until_true 10 $hsbpf log level -o "$work/idle" host emerg
switches() { awk '/^voluntary_ctxt_switches/ {print $2}' "/proc/$log/status"; }
records() { awk '/ records;/ {print $2}' "$work/idle.err"; }
from=$(switches)
read -rt 3 <> <(:) || true
to=$(switches)
# This host's kernel may log meanwhile: each record wakes it twice at most, to take it and to hand it out.
new=$($hsbpf log --stdout --json -d 1s 2>/dev/null | jq -rs --argjson now "$(date +%s)" \
	'[.[] | select(.source == "kernel" and .time and (.time | sub("[.][0-9]+Z$"; "Z") | fromdate) > $now - 10)] | length')
check "idle it wakes no more than once a second" test $((to - from)) -le $((3 + 2 * new))
stop TERM
plan
