#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Messages that are not a proper DNS query, sent to the resolver of resolv.conf over UDP and TCP:
whatever comes back, it is no address, and the gate still answers afterwards. Prints TAP points."""
import os
import re
import socket
import struct
import threading
import time

from points import plan, point

SERVERS = re.findall(r"^nameserver\s+(\S+)", open("/etc/resolv.conf").read(), re.M)


def name(text):
    return b"".join(bytes([len(p)]) + p for p in text.split(b".")) + b"\0"


def query(qname, qtype=1, qclass=1, flags=0x0100, counts=(1, 0, 0, 0), extra=b""):
    return struct.pack(">HHHHHH", 0x1234, flags, *counts) + qname + struct.pack(">HH", qtype, qclass) + extra


GOOD = name(b"api.openai.com")
ALIVE = query(GOOD)[2:]  # behind an id
MARK = b"\xaa\x55"  # the id of the good question behind a bad one: once it is answered, nothing more is to come
CASES = [
    ("an empty datagram", b""),
    ("half a header", b"\x12\x34\x01"),
    ("a header alone", struct.pack(">HHHHHH", 1, 0x0100, 0, 0, 0, 0)),
    ("a question that is not there", struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0)),
    ("a response", query(GOOD, flags=0x8180)),
    ("two questions", query(GOOD, counts=(2, 0, 0, 0), extra=name(b"evil.example") + b"\0\1\0\1")),
    ("65535 questions", query(GOOD, counts=(65535, 0, 0, 0))),
    ("a label that is too long", query(b"\x40" + b"a" * 64 + b"\0")),
    ("a name that is too long", query(b"".join(b"\x3f" + b"a" * 63 for _ in range(5)) + b"\0")),
    ("a name without end", query(b"\x03api\x3f")[:20]),
    ("a pointer to itself", query(b"\xc0\x0c")),
    ("a pointer beyond the message", query(b"\xc3\xff")),
    ("a pointer loop", query(b"\x01a\xc0\x0c")),
    ("a NUL inside a label", query(name(b"api\0.openai.com"))),
    ("a dot inside a label", query(b"\x0eapi.openai.com\0")),
    ("bytes above 127", query(name(b"\xe4pi.openai.com"))),
    ("bytes behind the question", query(GOOD, extra=b"secret" * 20)),
    ("an answer in the query", query(GOOD, counts=(1, 1, 0, 0), extra=GOOD + struct.pack(">HHIH4s", 1, 1, 60, 4, b"\1\2\3\4"))),
    ("a lying EDNS length", query(GOOD, counts=(1, 0, 0, 1), extra=b"\0" + struct.pack(">HHIH", 41, 1232, 0, 999))),
    ("two EDNS records", query(GOOD, counts=(1, 0, 0, 2), extra=(b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)) * 2)),
    ("a zone transfer", query(GOOD, qtype=252)),
    ("a notify", query(GOOD, flags=0x2400)),
]


def has_address(message, good_question):
    return len(message) > 8 and struct.unpack(">H", message[6:8])[0] > 0 and not good_question


def ask_udp(server, data):
    """What is answered to data, if anything; None when not even the good question behind it is."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    got = b""
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect((server, 53))
        s.send(data)
        s.send(MARK + ALIVE)
        try:
            while (reply := s.recv(65535))[:2] != MARK:
                got = reply
        except OSError:
            return None
    return got


def ask_tcp(server, data):
    """The same. The connection may end behind what is not DNS."""
    got = b""
    with socket.create_connection((server, 53), timeout=20) as s, s.makefile("rb") as f:
        try:
            for q in data, MARK + ALIVE:
                s.sendall(struct.pack(">H", len(q)) + q)
        except ConnectionError:
            pass
        try:
            while (reply := read_tcp(f))[:2] not in (MARK, b""):
                got = reply
        except ConnectionError:
            pass
        except OSError:
            return None
    return got


def read_tcp(f):
    """One message, or nothing at the end of the stream."""
    size = f.read(2)
    return f.read(struct.unpack(">H", size)[0]) if len(size) == 2 else b""


def lie(server):
    """A length that is more than what comes."""
    with socket.create_connection((server, 53), timeout=20) as s:
        s.sendall(struct.pack(">H", len(ALIVE) + 502) + b"\0\1" + ALIVE)


def hold(server, what, seconds):
    """For how long a TCP connection lives on which `what` is sent every second or so."""
    start = time.monotonic()
    with socket.create_connection((server, 53), timeout=20) as s:
        s.settimeout(1)
        while time.monotonic() - start < seconds:
            try:
                s.send(what())
                if not s.recv(65535):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    return time.monotonic() - start


def whole_question():
    time.sleep(1)
    return struct.pack(">H", len(query(GOOD))) + query(GOOD)


def crowd(server, n):
    """How many of n TCP connections, all open at once, are not served."""
    socks = [socket.create_connection((server, 53), timeout=20) for _ in range(n)]
    turned_away = 0
    for s in socks:
        try:
            s.sendall(struct.pack(">H", len(ALIVE) + 2) + b"\0\1" + ALIVE)
            turned_away += not s.recv(2)
        except ConnectionError:
            turned_away += 1
    for s in socks:
        s.close()
    return turned_away


def main():
    lived = {}
    waits = [threading.Thread(target=lambda w=w, f=f, n=n: lived.update({w: hold(SERVERS[0], f, n)}))
             for w, f, n in (("drip", lambda: b"\x0f", 40), ("questions", whole_question, 14))]
    for w in waits:
        w.start()
    cases()
    for w in waits:
        w.join()
    point(9 < lived["drip"] < 20, "a question that comes byte by byte is not waited for (%.1f s)" % lived["drip"])
    point(lived["questions"] >= 14, "who asks now and then may stay (%.1f s)" % lived["questions"])
    turned_away = crowd(SERVERS[0], 70)
    point(6 <= turned_away < 70, "one connection of many too many is closed (%d)" % turned_away)


def cases():
    point(len(SERVERS) >= 1, "resolv.conf names a resolver")
    for server in SERVERS:
        for what, data in CASES:
            # trailing bytes and odd EDNS may be answered: by the gate's own reading of the question
            lenient = what in ("bytes behind the question", "two EDNS records", "a lying EDNS length")
            for how, ask in (("UDP", ask_udp), ("TCP", ask_tcp)):
                got = ask(server, data)
                point(got is not None and not has_address(got, lenient), "%s over %s to %s" % (what, how, server), got)
        lie(server)
        point(True, "a lying TCP length to %s" % server)
        ids = []
        with socket.create_connection((server, 53), timeout=20) as s, s.makefile("rb") as f:
            for i in range(20):  # pipelined, each byte on its own for the first
                q = struct.pack(">H", i) + ALIVE
                data = struct.pack(">H", len(q)) + q
                for b in (data if i == 0 else [data]):
                    s.send(bytes([b]) if i == 0 else b)
            while len(ids) < 20 and (reply := read_tcp(f)):
                ids.append(reply[:2])
        point(sorted(ids) == [struct.pack(">H", i) for i in range(20)], "20 pipelined TCP queries to %s" % server)
        point(has_address(ask_udp(server, os.urandom(2) + ALIVE) or b"", False), "%s still answers over UDP" % server)
        point(has_address(ask_tcp(server, b"\0\1" + ALIVE) or b"", False), "%s still answers over TCP" % server)


main()
plan()
