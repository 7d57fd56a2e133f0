#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# Compares what `hsbpf print --jsonl` (first file) and `babeltrace2 --clock-cycles` (second) made of one trace: times,
# CPUs, threads, names, every field. Prints how many events agree; exit status 1 at the first that does not.
import json
import re
import sys

PAIR = re.compile(r'(\w+) = (?:\( "([^"]*)" : container = \d+ \)|(-?0x[0-9A-Fa-f]+|-?\d+))')
LINE = re.compile(r'\[0*(\d+)\] (?:\(\S+\) )?\S+ (\w+): \{ cpu_id = (\d+).*?\}, \{ tid = (\d+) \}, \{(.*)\}')


def theirs(line):
    time, event, cpu, tid, fields = LINE.match(line).groups()
    values = {k: text if text else int(number, 0) for k, text, number in PAIR.findall(fields)}
    values.pop('unused', None)
    return {'time_ns': int(time), 'event': event, 'cpu': int(cpu), 'tid': int(tid), 'fields': values}


def ours(line):
    row = json.loads(line)
    return {key: row[key] for key in ('time_ns', 'event', 'cpu', 'tid', 'fields')}


count = 0
with open(sys.argv[1]) as mine, open(sys.argv[2]) as judge:
    while True:
        one, other = mine.readline(), judge.readline()
        if not one and not other:
            break
        if not one or not other or ours(one) != theirs(other):
            sys.exit(f'event {count}:\n{one}{other}')
        count += 1
print(count)
