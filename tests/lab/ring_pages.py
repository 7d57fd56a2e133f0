#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Counts the events in ftrace ring pages, as the kernel's documentation has them: a second opinion that shares no code
with hsbpf. Prints: pages, events, how many the ring says were missed (-1: it does not say), files and pages that make no sense.
Usage: ring_pages.py FILE..., raw pages of 4096 bytes each, one CPU a file; ring_pages.py --frames FILE..., frames of the
agent's protocol."""
import struct
import sys
import zlib

PAGE, HEADER = 4096, 16
MISSED, STORED = 1 << 31, 1 << 30


def count_page(page):
    """events and missed ones of a page; ValueError: it makes no sense"""
    _, commit = struct.unpack_from("<QQ", page)
    length = commit & 0xFFFFF
    if length > PAGE - HEADER:
        raise ValueError("commit %d" % length)
    missed = 0
    if commit & MISSED:
        missed = struct.unpack_from("<Q", page, HEADER + length)[0] if commit & STORED else -1
    events, at = 0, HEADER
    words = struct.unpack("<%dI" % (PAGE // 4), page)
    end = HEADER + length
    while at < end:
        kind = words[at >> 2] & 31
        if kind == 29:  # padding: to the end, or of a discarded event
            if words[at >> 2] >> 5 == 0:
                break
            at += 4 + words[(at >> 2) + 1]
        elif kind >= 30:  # time extend, time stamp
            at += 8
        else:
            events += 1
            at += 4 + 4 * kind if kind else 4 + words[(at >> 2) + 1]
    if at > end and kind != 29:
        raise ValueError("the last event crosses the end")
    return events, missed


def pages_of_frames(data):
    """the payloads of PAGES frames, each frame checked; anything else between them raises"""
    pages, at = b"", 0
    while at < len(data):
        magic, length, kind = struct.unpack_from("<IIH", data, at)
        if magic != 0x46575348 or zlib.crc32(data[at:at + 28]) != struct.unpack_from("<I", data, at + 28)[0]:
            raise ValueError("no frame at %d" % at)
        if kind == 128:
            pages += data[at + 32:at + 32 + length]
        at += 32 + length
    return pages


def main():
    pages = events = missed = bad = 0
    has_frames = sys.argv[1] == "--frames"
    for name in sys.argv[1 + has_frames:]:
        data = open(name, "rb").read()
        if has_frames:
            data = pages_of_frames(data)
        if len(data) % PAGE:
            bad += 1
        for at in range(0, len(data) // PAGE * PAGE, PAGE):
            pages += 1
            try:
                got = count_page(data[at:at + PAGE])
            except ValueError as error:
                print("page %d of %s: %s" % (at // PAGE, name, error), file=sys.stderr)
                bad += 1
                continue
            events += got[0]
            missed = -1 if got[1] < 0 or missed < 0 else missed + got[1]
    print(pages, events, missed, bad)


if __name__ == "__main__":
    main()
