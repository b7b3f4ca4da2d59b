#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One question each from many ports, over UDP, and whoever answers them. Prints how many were answered: of 1024, of one
more while all of these are in use, and of 50 more when they have been quiet.

usage: many.py ask|echo ADDRESS PORT
"""
import contextlib
import resource
import socket
import sys
import time

AT = sys.argv[2], int(sys.argv[3])
QUIET = 10.5


def socks(n):
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(n)]
    for s in made:
        s.connect(AT)
    return made


def heard(s):
    try:
        s.settimeout(1)
        return s.recv(10) == b"?"
    except OSError:
        return False


def answered(socks, times):
    """How many are; asked again, as datagrams may be lost, and some at once, as they may be late."""
    n = 0
    for at in range(0, len(socks), 64):
        left = socks[at : at + 64]
        n += len(left)
        for _ in range(times):
            for s in left:
                with contextlib.suppress(OSError):
                    s.send(b"?")
            left = [s for s in left if not heard(s)]
        n -= len(left)
    return n


def ask():
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))
    many = socks(1024)
    first = answered(many, 20)
    answered(many, 1)  # now all of them are in use
    more = answered(socks(1), 1)
    time.sleep(QUIET)
    print(first, more, answered(socks(50), 3))


def echo():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(AT)
        while True:
            data, who = s.recvfrom(100)
            s.sendto(data, who)


{"ask": ask, "echo": echo}[sys.argv[1]]()
