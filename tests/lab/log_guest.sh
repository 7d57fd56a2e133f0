#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `hsbpf log` with a guest's agent, its console and its QEMU. The guest is this host itself: its kernel's log comes twice,
# from /dev/kmsg and through an agent, so every record and its time can be compared.
. tests/lib/tap.sh
log= agent= relay=
cleanup() {
	for pid in $log $agent $relay; do kill -9 "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap cleanup EXIT
if ! [ -w /dev/kmsg ]; then
	skip "hsbpf log of a guest" "/dev/kmsg cannot be written here"
	plan
	exit 0
fi
mark=hsbpf-test-$$-$RANDOM
say() { for i in $(seq "$1" "$2"); do echo "<6>$mark $i." >/dev/kmsg; done; }
file=$work/log/hsbpf.log
# has MACHINE N: that record of that machine is written
has() { grep -qE " $1 info kernel [0-9]+[^:]*: $mark $2\." "$file"; }
# numbers MACHINE: of its marks, in the order of the file
numbers() { sed -nE "s/^[^ ]+ [^ ]+ $1 info kernel .*: $mark ([0-9]+)\..*/\1/p" "$file" | tr '\n' ' ' | sed 's/ $//'; }

# As QEMU between a guest's port and its host: whoever comes to one socket talks to whoever comes to the other.
mkdir "$work/ports"
cat >"$work/relay.py" <<'PYTHON'
import select, socket, sys
listeners = []
for path in sys.argv[1:3]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    listeners.append(listener)
ends = [None, None]
while True:
    ready = select.select(listeners + [end for end in ends if end], [], [])[0]
    for side in (0, 1):
        if listeners[side] in ready and not ends[side]:
            ends[side] = listeners[side].accept()[0]
    for side in (0, 1):
        if ends[side] in ready and ends[side]:
            try:
                data = ends[side].recv(65536)
            except ConnectionError:
                data = b''
            if not data:
                ends[side].close()
                ends[side] = None
                if side == 1 and ends[0]:  # the host hangs up: the guest's port goes with it
                    ends[0].close()
                    ends[0] = None
            elif ends[1 - side]:
                try:
                    ends[1 - side].sendall(data)
                except OSError:
                    pass
PYTHON
python3 "$work/relay.py" "$work/ports/agent-log-path" "$work/guest.sock" &
relay=$!
until_true 10 test -S "$work/guest.sock"
start_agent() { build/hsbpf-agent --ports "$work/ports" 2>>"$work/agent.err" & agent=$!; }
start_log() {
	$hsbpf log -o "$work/log" --window 2s --guest l1="$work/guest.sock" --console l1="$work/console" --qemu l1="$work/qemu" "$@" 2>>"$work/err" &
	log=$!
	until_true 10 $hsbpf log level -o "$work/log" all debug || note "$(cat "$work/err")"
}

# ---- the same records with the same times ----
say 1 5
start_agent
start_log
check "a guest's kernel log from before is written" until_true 10 has l1 5
say 6 20
check "and what comes" until_true 10 has l1 20
until_true 10 has host 20
equal "every record once, in order" "$(numbers l1)" "$(seq -s' ' 1 20)"
equal "of the host too" "$(numbers host)" "$(seq -s' ' 1 20)"
# Each record of both machines by its number: the times differ by no more than both bounds.
judge() {
	python3 - "$file" <<'PYTHON'
import calendar, re, sys, time
def ns(text):
    number, unit = re.fullmatch(r'(\d+)(ns|us|ms|s)', text).groups()
    return int(number) * {'ns': 1, 'us': 10**3, 'ms': 10**6, 's': 10**9}[unit]
times = {'host': {}, 'l1': {}}
for line in open(sys.argv[1], errors='replace'):
    found = re.match(r'(\S+?)\.(\d{6})Z \+-(\S+) (host|l1) \S+ kernel (\d+)(?: [^:]*)?: (?!logs missing)', line)
    if found:
        second, us, bound, machine, seq = found.groups()
        at = calendar.timegm(time.strptime(second, '%Y-%m-%dT%H:%M:%S')) * 10**9 + int(us) * 1000
        times[machine][int(seq)] = (at, ns(bound))
both = times['host'].keys() & times['l1'].keys()
wrong = [seq for seq in both if abs(times['host'][seq][0] - times['l1'][seq][0]) > times['host'][seq][1] + times['l1'][seq][1] + 1000]
newest = max(both)
print(len(both) >= 20, len(wrong), times['l1'][newest][1] < 10**9)
PYTHON
}
equal "all times are the host's within both bounds, the newest within a second" "$(judge)" "True 0 True"
# gaps: that were told. The first is what this kernel wrote over before anybody read it: a guest is told of from its 0.
gaps() { grep 'logs missing here' "$file" | grep -vcE ' l1 - kernel 0(-[0-9]+)?: logs missing here'; }
equal "nothing is missing" "$(gaps)" 0

# ---- agents come and go ----
kill -9 $agent
wait $agent 2>/dev/null
say 21 22
start_agent
say 23 23
check "an agent that comes again goes on" until_true 30 has l1 23
equal "and nothing comes twice or is missing" "$(numbers l1) $(gaps)" "$(seq -s' ' 1 23) 0"
$hsbpf log level -o "$work/log" l1 err
say 24 24
until_true 10 has host 24
$hsbpf log level -o "$work/log" l1 debug
say 25 25
until_true 10 has l1 25
equal "a threshold is that machine's alone" "$(numbers l1) - $(numbers host)" "$(seq -s' ' 1 23) 25 - $(seq -s' ' 1 25)"
kill -9 $log
wait $log 2>/dev/null
say 26 27
start_log
say 28 28
check "a log that was killed goes on" until_true 10 has l1 28
equal "with every record of the guest once" "$(numbers l1)" "$(seq -s' ' 1 23) $(seq -s' ' 25 28)"

# ---- console and QEMU ----
printf 'early boot\r\nhalf a ' >>"$work/console"
check "a console's line is written" until_true 10 grep -qE " l1 - console -: early boot$" "$file"
check "a line without an end is written after a while" until_true 10 grep -qE ' l1 - console -: half a $' "$file"
printf 'line\n\033[2J\033[31mred\007\xff\n' >>"$work/console"
check "and what ends it is said to be a fragment" until_true 10 grep -qE ' l1 - console - fragment: line$' "$file"
check "control characters are shown, not obeyed" until_true 10 grep -qF 'console -: \x1b[2J\x1b[31mred\x07\xff' "$file"
echo "qemu-system-x86_64: terminating" >>"$work/qemu"
check "what QEMU says is written" until_true 10 grep -qE ' l1 - qemu -: qemu-system-x86_64: terminating$' "$file"
mv "$work/console" "$work/console.old"
echo "a second boot" >"$work/console"
check "a file that is made anew is followed" until_true 10 grep -qE ' l1 - console -: a second boot$' "$file"
# A guest that floods its console: 200 000 lines as fast as they can be written, and one line of 100 000 bytes.
seq -f 'flood %.0f' 1 200000 >>"$work/console"
head -c 100000 /dev/zero | tr '\0' x >>"$work/console"
echo " end" >>"$work/console"
echo "after the flood" >>"$work/console"
check "a console that floods is followed" until_true 60 grep -qE ' l1 - console -: after the flood$' "$file"
say 29 29
until_true 30 has host 29
rss=$(awk '/^VmHWM/ {print $2}' "/proc/$log/status")
check "in bounded memory" test "$rss" -lt 131072
kill -TERM $log
wait $log
equal "it ends well" $? 0
log=
cat $(ls -v "$work"/log/hsbpf.log.* 2>/dev/null) "$file" >"$work/all"
lines=$(grep -oE 'flood [0-9]+' "$work/all" | awk '{if ($2 != last + 1 && last) bad++; last = $2} END {print NR, bad + 0, last}')
# Four files of 1 MiB hold the newest of them, without a hole.
check "the newest of the flood are there, in order" test "$(cut -d' ' -f2- <<<"$lines")" = "0 200000" -a "${lines%% *}" -gt 20000
equal "a huge line is whole, in pieces" "$(grep -oE ': x+( end)?$' "$work/all" | tr -cd x | wc -c)" 100000
fails "a guest without a socket is a usage error" 2 "'l1' is not NAME=PATH" $hsbpf log --stdout --guest l1
fails "a guest with this host's name is one too many" 2 "the kernel of 'host' is in this log already" $hsbpf log --stdout --guest host="$work/guest.sock"
fails "a lab that is not up is said" 1 "no lab 'nolab' is up" $hsbpf log --stdout --lab nolab
plan
