#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One question each from many ports, over UDP, and whoever answers them. Prints how many were answered: of 1024, of one
more while all of these are in use, and of 50 more when they have been quiet.

usage: many.py ask|echo ADDRESS PORT
"""
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


def answered(s, times, seconds=1):
    """Whether it is answered; asked again, as datagrams may be lost."""
    s.settimeout(seconds)
    for _ in range(times):
        try:
            s.send(b"?")
            return s.recv(10) == b"?"
        except TimeoutError:
            pass
        except OSError:
            return False
    return False


def ask():
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))
    many = socks(1024)
    first = sum(answered(s, 20) for s in many)
    for s in many:  # now all of them are in use
        answered(s, 20)
    more = answered(socks(1)[0], 1)
    time.sleep(QUIET)
    print(first, int(more), sum(answered(s, 3) for s in socks(50)))


def echo():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(AT)
        while True:
            data, who = s.recvfrom(100)
            s.sendto(data, who)


{"ask": ask, "echo": echo}[sys.argv[1]]()
