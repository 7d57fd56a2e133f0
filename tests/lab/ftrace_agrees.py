#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# Compares what the kernel prints of its own trace with options/fields (first file) and what babeltrace2
# --clock-cycles prints of the CTF trace that was made of the same pages (second): CPU by CPU every event, its time in
# us, thread, preemption depth, and each field that the kernel prints a value of. Prints how many events and how many
# fields agree; exit status 1 at the first that does not.
import re
import sys

import babeltrace

KERNEL = re.compile(r'\s*.*-(\d+) +\[(\d+)\] +(\S+) +(\d+)\.(\d{6}): (\w+): ?(.*)')


def kernel_events(path):
    cpus = {}
    for line in open(path, errors='surrogateescape'):
        if line.startswith('#'):
            continue
        found = KERNEL.match(line)
        if not found:
            sys.exit(f'what is {line}')
        tid, cpu, flags, seconds, us, name, rest = found.groups()
        cpus.setdefault(int(cpu), []).append((int(seconds) * 1000000 + int(us), int(tid), flags, name, rest, line))
    return cpus


def ctf_events(path):
    cpus = {}
    for event in babeltrace.read(path):
        cpus.setdefault(event.cpu, []).append(event)
    return cpus


def number_agrees(text, value):
    """0xHEX (DEC), of which 8 digits may be the low half; or SYMBOL+0x1/0x2 (DEC), DEC being the low half."""
    found = re.match(r'0x([0-9a-f]+)', text)
    if found:
        return (int(found.group(1), 16) - value) % (1 << (64 if len(found.group(1)) > 8 else 32)) == 0
    found = re.search(r'\((-?\d+)\)', text)
    return bool(found) and (int(found.group(1)) - value) % (1 << 32) == 0


def field_agrees(rest, name, value):
    at = re.search(r'(?:^|\s)' + re.escape(name) + r'=', rest)
    text = rest[at.end():] if at else '<'
    if text[:1] in '<(' or isinstance(value, list):  # no value, or where the kernel has put a copy of a string
        return None
    return text.startswith(value) if isinstance(value, str) else number_agrees(text, value)


fields_agreed = 0


def event_agrees(one, other):
    global fields_agreed
    us, tid, flags, name, rest, _ = one
    depth = int(flags[3], 16) if len(flags) > 3 and flags[3] != '.' else 0
    if (tid, name, depth) != (other.tid, other.name, other.preempt & 15):
        return False
    if us not in (other.time_ns // 1000, (other.time_ns + 500) // 1000):
        return False
    for key, (value, _) in other.fields.items():
        good = field_agrees(rest, key, value)
        if good is False:
            print(f'field {key}')
            return False
        fields_agreed += good is True
    return True


kernel, ctf = kernel_events(sys.argv[1]), ctf_events(sys.argv[2])
count = 0
if kernel.keys() != ctf.keys():
    sys.exit(f'CPUs {list(kernel)} and {list(ctf)}')
for cpu in kernel:
    for one, other in zip(kernel[cpu], ctf[cpu]):
        if not event_agrees(one, other):
            sys.exit(f'event {count} of CPU {cpu}:\n{one[-1]}{other.line}')
        count += 1
    if len(kernel[cpu]) != len(ctf[cpu]):
        sys.exit(f'CPU {cpu}: {len(kernel[cpu])} and {len(ctf[cpu])} events')
print(count, fields_agreed)
