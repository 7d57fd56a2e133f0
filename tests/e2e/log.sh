#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf log --lab`: the kernels of this host, L1, an L2 and a client in one log, through agents and consoles: their
# boots, what they log live, what was overwritten in one, a panic, the end.
. tests/lib/tap.sh
log=
cleanup() {
	[ -z "$log" ] || kill -9 "$log" 2>/dev/null
	"$hsbpf" lab down --lab logs >/dev/null 2>&1
	rm -rf "$work"
}
trap cleanup EXIT
before=$(remains)
file=$work/log/hsbpf.log
machines="l1 l2-0 client-0"

run "$hsbpf" lab up --l2vm 1 --lab logs -o "$work/up"
equal "lab up" "$status" 0
[ "$status" = 0 ] || note "$(tail -20 "$work/err")"

# ---- live ----
"$hsbpf" log --lab logs -o "$work/log" --new --size 4M 2>"$work/log.err" &
log=$!
has() { grep -qE " $1 $2 kernel [0-9]+[^:]*: $3$" "$file"; }
for m in $machines; do
	check "$m: its log is followed from its boot on" until_true 30 grep -qE " $m notice kernel 0[^:]*: Linux version" "$file"
	"$hsbpf" lab exec --lab logs $m -- sh -c "echo '<4>mark of $m' >/dev/kmsg"
	check "$m: what it logs comes" until_true 30 has $m warning "mark of $m"
done
# error_of MACHINE: the bound of its mark's time
error_of() { grep -E " $1 warning kernel [0-9]+[^:]*: mark of $1$" "$file" | cut -d' ' -f2; }
check "times of all machines have bounds below a second" test -z "$(for m in $machines; do error_of $m; done | grep -E '[0-9]s$' | grep -vE '(n|u|m)s$')"

# ---- levels ----
check "a machine's threshold is changed while it runs" "$hsbpf" log level -o "$work/log" l1 err
"$hsbpf" lab exec --lab logs l1 -- sh -c 'echo "<6>not this" >/dev/kmsg; echo "<3>but this" >/dev/kmsg'
check "and what is worse comes" until_true 30 has l1 err "but this"
equal "and what is not does not" "$(grep -c 'not this' "$file")" 0
"$hsbpf" lab exec --lab logs l2-0 -- sh -c 'echo "<6>l2 too" >/dev/kmsg'
check "another machine's is as it was" until_true 30 has l2-0 info "l2 too"

# ---- records that the guest's kernel wrote over while its agent stood still ----
"$hsbpf" lab exec --lab logs client-0 -- sh -c '
	kill -STOP $(pidof hsbpf-agent)
	line=$(printf "x%.0s" $(seq 800)) i=0
	while [ $i -lt 1000 ]; do echo "<6>flood $i $line" >/dev/kmsg; i=$((i + 1)); done
	kill -CONT $(pidof hsbpf-agent)' >/dev/null
check "after a flood the newest record comes" until_true 60 grep -qE " client-0 info kernel [0-9]+[^:]*: flood 999 x{800}$" "$file"
gap=$(grep -oE 'logs missing here: [0-9]+ records of client-0 \(seq [0-9]+ to [0-9]+\)' "$file")
check "what was overwritten is told" test -n "$gap"
note "$gap"
# Every number of the client is there or in a gap, once.
judge='{
	split($0, parts, ": "); n = split(parts[1], words, " "); split(words[6], range, "-")
	first = range[1] + 0; last = (range[2] ? range[2] : range[1]) + 0
	if (first != next_one) bad++
	next_one = last + 1
} END {print bad + 0, next_one}'
equal "every number is there or told as missing" \
	"$(grep -E " client-0 [a-z-]+ kernel " "$file" | awk "$judge" | cut -d' ' -f1)" 0

# ---- a panic, when no agent runs any more ----
"$hsbpf" lab exec --lab logs client-0 -- sh -c 'echo c >/proc/sysrq-trigger' >/dev/null 2>&1
check "a panic's last words come from the console" until_true 30 \
	grep -qE " client-0 - console -( fragment)?: .*Kernel panic - not syncing: sysrq triggered crash" "$file"

# ---- the end ----
"$hsbpf" lab down --lab logs 2>"$work/down.err"
ended() { ! grep -q '^State:.*[RSD]' "/proc/$log/status" 2>/dev/null; }
check "it ends with the lab" until_true 30 ended
wait $log
equal "well" $? 0
log=
check "what QEMU said at its end is there" grep -qE " l1 - qemu -: .*terminating on signal 15" "$file"
equal "control characters of consoles are not obeyed" "$(grep -cP '[\x00-\x08\x0b-\x1f\x7f]' "$file")" 0

# ---- the log of a run ----
run "$hsbpf" collect --l2vm 1 --test none --lab logs -o "$work/run"
equal "collect" "$status" 0
own=$(echo "$work"/run/*/log/hsbpf.log)
equal "a run has every machine's log from its boot on" \
	"$(for m in $machines; do grep -cE " $m notice kernel 0[^:]*: Linux version" "$own"; done | tr '\n' ' ')" "1 1 1 "
check "the host's newest record has a bound below a second" grep -qE '^[^ ]+ \+-[0-9]+(ns|us|ms) ' <(grep -E " host [a-z]+ kernel" "$own" | tail -1)
equal "and nothing is missing" "$(grep -c 'logs missing here' "$own") $(jq .log.missing "$work"/run/*/run.json)" "0 0"
equal "nothing is left behind" "$(remains)" "$before"
plan
