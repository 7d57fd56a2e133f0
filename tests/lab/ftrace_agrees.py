#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# Compares what the kernel prints of its own trace with options/fields (first file) and what babeltrace2
# --clock-cycles prints of the CTF trace that was made of the same pages (second): CPU by CPU every event, its time in
# us, thread, preemption depth, and each field that the kernel prints a value of. Prints how many events and how many
# fields agree; exit status 1 at the first that does not.
import re
import sys

KERNEL = re.compile(r'\s*.*-(\d+) +\[(\d+)\] +(\S+) +(\d+)\.(\d{6}): (\w+): ?(.*)')
CTF = re.compile(r'\[0*(\d+)\] (?:\(\S+\) )?(?:\S+ )?(\w+): \{ cpu_id = (\d+).*?\}, \{ common_flags = (\S+), '
                 r'common_preempt_count = (\S+), tid = (\d+) \}(?:, \{ (.*) \})?$')
FIELD = re.compile(r'(?:^|, )(\w+) = (?:"((?:[^"\\]|\\.)*)"|\( (?:"[^"]*"|<unknown>) : container = (-?\d+) \)|'
                   r'(\[.*?\](?=, \w+ =|$))|(-?0x[0-9A-Fa-f]+|-?\d+))')


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
    for line in open(path, errors='surrogateescape'):
        found = CTF.match(line)
        if not found:
            sys.exit(f'what is {line}')
        time, name, cpu, flags, preempt, tid, fields = found.groups()
        cpus.setdefault(int(cpu), []).append((int(time), int(tid), int(preempt, 0), name, fields or '', line))
    return cpus


def number_agrees(text, value):
    """0xHEX (DEC), or SYMBOL+0x1/0x2 (DEC), of which the low 32 bits count."""
    found = re.match(r'0x([0-9a-f]+)', text)
    if found:
        digits = found.group(1)
        return (int(digits, 16) - value) % (1 << 64) == 0 or (int(digits, 16) - value) % (1 << 32) == 0
    found = re.search(r'\((-?\d+)\)', text)
    return bool(found) and (int(found.group(1)) - value) % (1 << 32) == 0


def field_agrees(rest, name, string, value):
    at = re.search(r'(?:^|\s)' + re.escape(name) + r'=', rest)
    if not at:
        return None
    text = rest[at.end():]
    if text[:1] in '<(':  # no value, or where the kernel has put a copy of a string
        return None
    return text.startswith(string) if string is not None else number_agrees(text, value)


fields_agreed = 0


def event_agrees(one, other):
    global fields_agreed
    us, tid, flags, name, rest, _ = one
    ns, other_tid, preempt, other_name, fields, _ = other
    if name in ('tracing_mark_write', 'bprint'):
        name = 'print'
    depth = int(flags[3], 16) if len(flags) > 3 and flags[3] != '.' else 0
    if (tid, name) != (other_tid, other_name) or us not in (ns // 1000, (ns + 500) // 1000) or preempt & 15 != depth:
        return False
    for key, string, container, array, plain in FIELD.findall(fields):
        if array or key.startswith('length_'):
            continue
        value = int(container or plain or '0', 0)
        is_string = not container and not plain
        good = field_agrees(rest, key, string if is_string else None, value)
        if good is None:
            continue
        if not good:
            print(f'field {key}')
            return False
        fields_agreed += 1
    return True


kernel, ctf = kernel_events(sys.argv[1]), ctf_events(sys.argv[2])
count = 0
if kernel.keys() != ctf.keys():
    sys.exit(f'CPUs {list(kernel)} and {list(ctf)}')
for cpu in kernel:
    for one, other in zip(kernel[cpu], ctf[cpu]):
        if not event_agrees(one, other):
            sys.exit(f'event {count} of CPU {cpu}:\n{one[-1]}{other[-1]}')
        count += 1
    if len(kernel[cpu]) != len(ctf[cpu]):
        sys.exit(f'CPU {cpu}: {len(kernel[cpu])} and {len(ctf[cpu])} events')
print(count, fields_agreed)
