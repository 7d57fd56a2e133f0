# SPDX-License-Identifier: GPL-2.0-only
"""A mig_mon end for tests of `hsbpf vm`, written from a description of its bytes, not from ours.

    stream_peer.py destination MODE COUNT PORT      listens on 127.0.0.1, says "ready", serves one source
    stream_peer.py source MODE COUNT PORT           connects to 127.0.0.1

Prints what it saw as one JSON object; exit status 1 and the reason when the other end broke the protocol.
"""
import json
import select
import socket
import struct
import sys

PAGE = 4096
SEND_PAGE, REQ_PAGE, HANDSHAKE = 0x123, 0x124, 0x125


def header(magic, index):
    return struct.pack("<QQ", magic, index)


def read(sock, size):
    parts = []
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def expect(condition, text):
    if not condition:
        sys.exit(text)


def read_page(sock):
    """One frame that a mig_mon destination takes: the page's index and contents."""
    magic, index = struct.unpack("<QQ", read(sock, 16))
    expect(magic == SEND_PAGE, f"magic 0x{magic:x} where a page is due")
    return index, read(sock, PAGE)


def destination_precopy(sock, count):
    """Pages 0, 1, 2, ... and again; the contents are of no interest to mig_mon."""
    first = None
    for number in range(count):
        index, body = read_page(sock)
        first = body if first is None else first
        expect(index == number % 512, f"page {index} where {number % 512} is due")
    return {"frames": count, "hello": first.startswith(b"HSBPF-VM"), "zeros": first == bytes(PAGE)}


def destination_any(sock, count):
    """Pages in any order, as long as there are `count` different ones; until the source ends between two of them."""
    pages = []
    while sock.recv(1, socket.MSG_PEEK):
        pages.append(read_page(sock)[0])
    expect(len(set(pages)) == count and max(pages) < count, "not every page has come")
    return {"frames": len(pages)}


def destination_postcopy(sock, count, legacy):
    """Requests one at a time; each is answered by that page, in exactly 4112 bytes."""
    if not legacy:
        index, _ = read_page(sock)
        expect(index == 0, f"the first page is {index}")
    expect(read(sock, 16) == bytes.fromhex("25010000000000000000000000000000"), "no handshake")
    for number in range(count):
        page = number * 977 % 512
        sock.sendall(bytes.fromhex("2401000000000000") + struct.pack("<Q", page))
        index, _ = read_page(sock)
        expect(index == page, f"page {index} where {page} was requested")
        expect(not select.select([sock], [], [], 0)[0], "more than the answer")
    return {"answers": count}


def destination_both(sock, count):
    """Requests while pages stream: each is answered, and the stream goes on behind."""
    read_page(sock)
    expect(read(sock, 16) == header(HANDSHAKE, 0), "no handshake")
    answers = streamed = 0
    due = 1
    while answers < count:
        page = (due + 256) % 512
        sock.sendall(header(REQ_PAGE, page))
        while True:
            index, _ = read_page(sock)
            if index == page and index != due:
                break
            expect(index == due, f"page {index} where {due} is due")
            due = (due + 1) % 512
            streamed += 1
        answers += 1
    return {"answers": answers, "streamed": streamed}


def destination_overflow(sock, count):
    """Emulates `count` pages; mig_mon drops a source that goes beyond."""
    frames = 0
    while read_page(sock)[0] < count:
        frames += 1
    return {"frames": frames}


def read_request(sock):
    magic, index = struct.unpack("<QQ", read(sock, 16))
    expect(magic == REQ_PAGE, f"magic 0x{magic:x} where a request is due")
    expect(index < 512, f"page {index} is requested of 512")
    return index


def send_page(sock, index):
    sock.sendall(header(SEND_PAGE, index) + bytes(PAGE))


def source_precopy(sock, count):
    for number in range(count):
        send_page(sock, number % 512)
    return {"frames": count}


def source_postcopy(sock, count):
    sock.sendall(header(HANDSHAKE, 0))
    pages = set()
    for _ in range(count):
        index = read_request(sock)
        expect(not select.select([sock], [], [], 0)[0], "a request before the answer to the last")
        pages.add(index)
        send_page(sock, index)
    read_request(sock)
    return {"answers": count, "different": len(pages)}


def source_both(sock, count):
    """Every request meets the stream's own copy of the page before its answer."""
    sock.sendall(header(HANDSHAKE, 0))
    for _ in range(count):
        index = read_request(sock)
        for page in range(512):
            send_page(sock, page)
        send_page(sock, index)
    read_request(sock)
    return {"answers": count, "streamed": 512 * count}


def source_large_pages(sock, count):
    """As of a host with 64 KiB pages."""
    try:
        for number in range(count):
            sock.sendall(header(SEND_PAGE, number) + bytes(65536))
        sock.shutdown(socket.SHUT_WR)
        return {"closed": not sock.recv(1)}
    except (ConnectionResetError, BrokenPipeError):
        return {"closed": True}


def source_garbage(sock, count):
    sock.sendall(header(0x666, count))
    return {"closed": not sock.recv(1)}


def source_half(sock, count):
    sock.sendall(header(SEND_PAGE, count) + bytes(1000))
    return {}


def main():
    role, mode, count, port = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    address = ("127.0.0.1", port)
    if role == "source":
        run = {"precopy": source_precopy, "postcopy": source_postcopy, "both": source_both,
               "large-pages": source_large_pages, "garbage": source_garbage, "half": source_half}[mode]
        with socket.create_connection(address) as sock:
            seen = run(sock, count)
    else:
        run = {"precopy": destination_precopy, "overflow": destination_overflow, "any": destination_any, "both": destination_both,
               "postcopy": lambda sock, count: destination_postcopy(sock, count, False),
               "postcopy-legacy": lambda sock, count: destination_postcopy(sock, count, True)}[mode]
        with socket.create_server(address) as listener:
            print("ready", file=sys.stderr, flush=True)
            with listener.accept()[0] as sock:
                seen = run(sock, count)
    print(json.dumps(seen))


main()
