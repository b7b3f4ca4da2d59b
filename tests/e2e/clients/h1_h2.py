#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of HTTP/1.1 that ends, against tests/lib/h2_origin.mjs: inside TLS only, which is half a close, or
altogether. Prints TAP points.

usage: h1_h2.py HOST
"""
import socket
import ssl
import sys

from points import plan, point

HOST = sys.argv[1]


def ask(target, field=b"Accept: */*"):
    c = ssl.create_default_context().wrap_socket(socket.create_connection((HOST, 443), 30), server_hostname=HOST)
    c.sendall(b"GET /case/%s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n" % (target, HOST.encode(), field))
    return c


def end_tls(c):
    c.settimeout(0)
    try:
        c.unwrap()
    except ssl.SSLError:
        pass  # the other end has not ended, or is still speaking
    c.settimeout(30)
    return c


def answer(c):
    got = b""
    try:
        while piece := c.recv(65536):
            got += piece
    except OSError as error:
        got += str(error).encode()
    return got.partition(b"\r\n\r\n")[2]


def leave(c):
    end_tls(c).close()


got = answer(end_tls(ask(b"late")))
point(b"late" in got, "a client that has closed its half gets its answer", got)
leave(ask(b"left"))
c = ask(b"begun")
c.recv(65536)
leave(c)
got = answer(ask(b"gone", b"Connection: close"))
point(b"begun left" in got or b"left begun" in got, "a server sees that a client has gone", got)
plan()
