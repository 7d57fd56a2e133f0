# SPDX-License-Identifier: GPL-2.0-only
# What `babeltrace2 --clock-cycles --no-delta` prints of a trace of ours, line by line, for the tests that compare.
import re

LINE = re.compile(r'\[0*(\d+)\] (?:\(\S+\) )?(?:\S+ )?(\w+): \{ cpu_id = (\d+).*?\}, '
                  r'\{ (?:common_flags = (\S+), common_preempt_count = (\S+), )?tid = (\d+) \}(?:, \{ (.*) \})?$')
FIELD = re.compile(r'(?:^|, )(\w+) = (?:"((?:[^"\\]|\\.)*)"|\( (?:"([^"]*)"|<unknown>) : container = (-?\w+) \)|'
                   r'(\[.*?\](?=, \w+ =|$))|(-?0x[0-9A-Fa-f]+|-?\d+))')
ELEMENT = re.compile(r'\[\d+\] = (-?\w+)')


class Event:
    """time_ns, name, cpu, tid, flags, preempt, line; fields: name -> (value, its name if it has one)."""

    def __init__(self, line):
        found = LINE.match(line)
        if not found:
            raise ValueError(f'what is {line}')
        time, self.name, cpu, flags, preempt, tid, fields = found.groups()
        self.line, self.time_ns, self.cpu, self.tid = line, int(time), int(cpu), int(tid)
        self.flags, self.preempt = int(flags or '0', 0), int(preempt or '0', 0)
        self.fields = {}
        for name, string, label, container, array, number in FIELD.findall(fields or ''):
            if name.startswith('length_'):
                continue
            if number or container:
                self.fields[name] = (int(number or container, 0), label or None)
            elif array:
                self.fields[name] = ([int(element, 0) for element in ELEMENT.findall(array)], None)
            else:
                self.fields[name] = (re.sub(r'\\(.)', r'\1', string), None)


def read(path):
    for line in open(path, errors='surrogateescape'):
        yield Event(line)
