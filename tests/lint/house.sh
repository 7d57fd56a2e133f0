#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The rules of the house, held by a machine: which folder may use which, licences, lengths, what is never called.
set -u
n=0
# rule NAME OFFENDERS
rule() {
	n=$((n + 1))
	if [ -z "$2" ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; sed 's/^/#   /' <<<"$2"; fi
}
every=$(find . \( -path ./.git -o -path ./build -o -path ./out \) -prune -o -type f -printf '%P\n' | sort)
# files PATTERN...: those that match one, all without a pattern
files() {
	local f p
	[ $# -gt 0 ] || set -- '*'
	while read -r f; do for p; do [[ $f == $p ]] && echo "$f" && break; done; done <<<"$every"
}
code() { files '*.c' '*.h' '*.def'; }

# uses FOLDER ALLOWED-REGEX: includes in quotes of FOLDER that are neither its own files nor allowed
uses() {
	files "$1/*.c" "$1/*.h" | while read -r file; do
		sed -nE 's/^#include "([^"]+)".*/\1/p' "$file" | while read -r include; do
			[ -f "$(dirname "$file")/$include" ] || grep -qE "^($2)" <<<"$include" || echo "$file includes $include"
		done
	done
}
rule "trace_events uses nothing of ours" "$(uses trace_events 'trace_events/')"
rule "bpf uses trace_events and vmlinux" "$(uses bpf 'trace_events/|vmlinux|bpf/')"
rule "user/base uses nothing of ours" "$(uses user/base 'base/')"
rule "orchestrate uses user/base and trace_events" "$(uses orchestrate 'base/|trace_events/|orchestrate/')"
rule "migtools uses user/base" "$(uses migtools 'base/|migtools/')"
rule "user/agent uses user/base, trace_events and what records" \
	"$(uses user/agent "base/|trace_events/|agent/|capture/|trace/|timeline/")"
rule "user/qemulog, trace, timeline and ftrace do not know the lab" \
	"$(for room in qemulog trace timeline capture ftrace; do uses user/$room "base/|trace_events/|$room/|trace/|timeline/|bpf/"; done)"
rule "user/correlate uses what reads runs, not what records them" \
	"$(uses user/correlate 'base/|trace_events/|correlate/|trace/|timeline/|qemulog/|analysis/|orchestrate/topology')"
rule "user/hyper knows logs, DMA and the names of runs, not what records them" \
	"$(uses user/hyper "base/|hyper/|qemulog/|correlate/dma.h|run/rundir.h|migtools/random.h")"
rule "user/guest knows the guest's end by its protocol alone, and not the lab" \
	"$(uses user/guest "base/|trace_events/|trace/|timeline/|ftrace/|agent/wire.h")"
rule "user/explore uses the model and user/base" "$(uses user/explore 'base/|explore/|hyper/')"
rule "nothing includes a verb" "$(grep -nE '#include "(user/)?cmd/' $(code) | grep -v -e '^user/cmd/' -e '^user/main.c' -e '^user/agent_main.c')"

rule "an SPDX line in every file" "$(files | grep -vE '^(LICENSE|tests/data/)|\.gitignore$' |
	while read -r f; do head -5 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-only' || echo "$f"; done)"
rule "no line over 130 columns" "$(code | xargs awk '{l = $0; gsub(/\t/, "        ", l)} length(l) > 130 {print FILENAME ":" FNR}')"
rule "no file over 800 lines" "$(files "user/*" "orchestrate/*" "bpf/*" "trace_events/*" "migtools/*" | grep "[.][ch]$" | xargs wc -l | awk '$2 != "total" && $1 > 800 {print $2 ": " $1}')"
rule "no function over 100 lines" "$(code | xargs awk 'FNR == 1 {s = 0} /^[a-zA-Z_].*\)( *\{)?$/ {s = FNR; h = $0}
	/^}/ {if (s && FNR - s > 100) print FILENAME ":" s ": " FNR - s " lines: " h; s = 0}')"
rule "no trailing white space" "$(files '*.c' '*.h' '*.def' '*.sh' '*.md' Makefile | xargs grep -nE '[[:space:]]+$' | head)"
rule "no exit() or abort() in the library" \
	"$(grep -nE '(^|[^_a-z])(exit|abort|assert)\(' $(files 'user/*.c' 'orchestrate/*.c' 'migtools/*.c') | head)"
rule "nobody sleeps" "$(grep -nwE '(u|nano)?sleep *\(|clock_nanosleep' $(files '*.c') | head)"
rule "no goto in user land" "$(grep -nE '^\s*goto ' $(files 'user/*.c' 'orchestrate/*.c' 'migtools/*.c') | head)"
rule "every unit test prints TAP" "$(grep -LE 'RUN_TESTS|CM_OUTPUT_TAP' $(files 'tests/unit/test_*.c'))"
rule "README names only verbs and options that exist" "$(
	grep -oE '^ +(build/)?hsbpf ((lab|report|guest) [a-z_]+|[a-z_-]+)' README.md | sed -E 's/.*hsbpf //' | sort -u | while read -r verb; do
		build/hsbpf $verb --help >/dev/null 2>&1 || echo "no verb $verb"
	done
	help=$(build/hsbpf gen verbs | while read -r verb; do build/hsbpf $verb --help; done)
	for option in $(grep -oE -- '(^|[ `])--[a-z0-9-]+' README.md | tr -d ' `' | sort -u); do
		grep -qE -- "$option( |$)" <<<"$help" || echo "no option $option"
	done)"
echo "1..$n"
