#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# Compares what `hsbpf print --jsonl` (first file) and `babeltrace2 --clock-cycles` (second) made of one trace: times,
# CPUs, threads, names, every field. Prints how many events agree; exit status 1 at the first that does not.
import json
import sys

import babeltrace


def theirs(event):
    fields = {name: label or value for name, (value, label) in event.fields.items() if name != 'unused'}
    return {'time_ns': event.time_ns, 'event': event.name, 'cpu': event.cpu, 'tid': event.tid, 'fields': fields}


def ours(line):
    row = json.loads(line)
    return {key: row[key] for key in ('time_ns', 'event', 'cpu', 'tid', 'fields')}


count = 0
judge = babeltrace.read(sys.argv[2])
for one in open(sys.argv[1]):
    other = next(judge, None)
    if not other or ours(one) != theirs(other):
        sys.exit(f'event {count}:\n{one}{other and other.line}')
    count += 1
if next(judge, None):
    sys.exit(f'babeltrace2 has more than {count} events')
print(count)
