#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many TLS handshakes at once with the proxy, and clients that stop in the middle of theirs.

usage: turns.py NAME; prints one line a finding.
"""
import socket
import ssl
import sys
import threading
import time

NAME = sys.argv[1]
CONTEXT = ssl.create_default_context()
STILL, CROWD = 80, 150  # both more than begin at once (agent/proxy/turns.c)


def stand_still():
    """Says hello, and nothing more."""
    out = ssl.MemoryBIO()
    tls = CONTEXT.wrap_bio(ssl.MemoryBIO(), out, server_hostname=NAME)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    s = socket.create_connection((NAME, 443), timeout=60)
    s.sendall(out.read())
    return s


def ask():
    with socket.create_connection((NAME, 443), timeout=60) as s:
        with CONTEXT.wrap_socket(s, server_hostname=NAME) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % NAME.encode())
            return tls.recv(12)


got = []


def one():
    try:
        got.append(ask())
    except OSError as error:
        got.append(str(error).encode())


threads = [threading.Thread(target=one) for _ in range(CROWD)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("crowd answered", got.count(b"HTTP/1.1 200"), "of", CROWD, set(got))

still = [stand_still() for _ in range(STILL)]
began = time.monotonic()
print("beside them", ask().decode(), "soon" if time.monotonic() - began < 6 else "late")
for s in still[: STILL // 2]:
    s.close()
print("and after", ask().decode())
