#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Upgrades to WebSocket that the server does not make, with a request behind. Prints TAP points.

usage: switching.py HOST PORT     tests/lib/scripted_origin.py is there
"""
import socket
import sys

from points import plan, point

HOST, PORT = sys.argv[1], int(sys.argv[2])
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, with the answer that "right" gives
HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: %s:%d\r\n\r\n" % (HOST, PORT)


def switch(path, *fields):
    """The head of the answer, and the connection."""
    sock = socket.create_connection((HOST, PORT), 20)
    sock.settimeout(20)
    lines = ["GET /case/%s HTTP/1.1" % path, "Host: %s:%d" % (HOST, PORT), "Connection: Upgrade", "Upgrade: websocket",
             "Sec-WebSocket-Version: 13", *fields]
    sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    return data, sock


def hidden(sock):
    try:
        sock.sendall(HIDDEN.encode())
        sock.settimeout(1)
        return sock.recv(65536)
    except OSError:
        return b""


key = "Sec-WebSocket-Key: " + KEY
got, sock = switch("101-right", key)
point(got.startswith(b"HTTP/1.1 101 "), "a switch that answers the key is passed on", got)
sock.close()
for path, fields in (("101-bare", [key]), ("101-wrong", [key]), ("101-twice", [key]), ("101-right", []),
                     ("101-right", [key, key]), ("101-right", ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]),
                     ("101-right", [key + "="])):
    got, sock = switch(path, *fields)
    point(got.startswith(b"HTTP/1.1 502 "), "%s with %d keys is a 502" % (path, len(fields)), got)
    got = hidden(sock)
    point(b" 200 " not in got, "and what follows is not answered", got)
plan()
