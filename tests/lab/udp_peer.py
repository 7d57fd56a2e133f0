#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The ends of mig_mon's UDP protocol, byte by byte, as they were seen on the wire. Every datagram is the four bytes
"echo"; an echo server returns up to 1024 bytes as they are; a client's socket is connected and reads four bytes.

echo [PORT]                  answers until it is killed; says "ready" first
ask ADDRESS PORT HEX...      sends each, prints what came back in hex ("-" after 5 s of nothing)
ask-from PORT ADDRESS PORT HEX...   the same from a port of ours
"""
import socket
import sys


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def echo(port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", port))
    print("ready", flush=True)
    while True:
        data, peer = server.recvfrom(1024)
        server.sendto(data, peer)


def ask(source_port, address, port, payloads):
    client = socket.socket(family(address), socket.SOCK_DGRAM)
    client.settimeout(5 if not source_port else 0.5)
    if source_port:
        client.bind(("", source_port))
    client.connect((address, port))
    for payload in payloads:
        client.send(bytes.fromhex(payload))
        try:
            print(client.recv(4096).hex())
        except TimeoutError:
            print("-")


words = sys.argv[1:]
if words[0] == "echo":
    echo(int(words[1]) if len(words) > 1 else 9008)
elif words[0] == "ask":
    ask(0, words[1], int(words[2]), words[3:])
elif words[0] == "ask-from":
    ask(int(words[1]), words[2], int(words[3]), words[4:])
