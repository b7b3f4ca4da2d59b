#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 that works hard to make its peer work harder. Inside exeat run; prints TAP points.

usage: floods.py NAME

Each flood has a connection of its own. What must hold: one that carries nothing is cut off long
before its end, and whatever a connection does, the next one is served.
"""
import select
import socket
import ssl
import sys
import threading
import time

from points import plan, point
from smuggle_h2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, RST,
                        SETTINGS, WINDOW, block, frame, number)

NAME = sys.argv[1]
PRIORITY, UNKNOWN = 2, 0x42
SECONDS = 40  # of one flood, at the most

context = ssl.create_default_context()
context.set_alpn_protocols(["h2"])


def head(path=b"/case/flood", method=b"GET", fields=()):
    return block([(b":method", method), (b":scheme", b"https"), (b":authority", NAME.encode()), (b":path", path)] +
                 list(fields))


def opened(stream, end=True, **kw):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, head(**kw))


def connect():
    raw = socket.create_connection((NAME, 443), 60)
    sock = context.wrap_socket(raw, server_hostname=NAME)
    sock.sendall(PREFACE + frame(SETTINGS, 0, 0))
    return sock


def honest():
    """Seconds until a request is answered on a connection of its own; None: it is not."""
    start = time.monotonic()
    try:
        with connect() as sock:
            sock.settimeout(60)
            sock.sendall(opened(1, path=b"/case/honest"))
            data = b""
            while b"honest\n" not in data:
                piece = sock.recv(65536)
                if not piece:
                    return None
                data += piece
    except OSError:
        return None
    return time.monotonic() - start


class Flood:
    """Sends what pieces() gives, and throws away what comes, unless deaf."""

    def __init__(self, pieces, deaf=False, seconds=SECONDS):
        self.sent, self.cut, self.pieces, self.deaf, self.seconds = 0, False, pieces, deaf, seconds

    def send(self, sock):
        """True: some bytes went out. (One thread for both directions: ssl is not to be shared.)"""
        if not self.rest:
            self.rest = next(self.pieces, b"")
            self.sent += bool(self.rest)
        try:
            n = sock.send(self.rest) if self.rest else 0
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        self.rest = self.rest[n:]
        return n > 0

    def listen(self, sock):
        """A peer that has had enough says so, ends its half, and reads on for a moment."""
        try:
            while sock.recv(65536):
                pass
            self.cut = True
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass

    def run(self):
        end, self.rest = time.monotonic() + self.seconds, b""
        with connect() as sock:
            sock.setblocking(False)
            try:
                while not self.cut and time.monotonic() < end:
                    moved = self.send(sock)
                    if not self.deaf:
                        self.listen(sock)
                    if not moved:
                        select.select([] if self.deaf else [sock], [sock] if self.rest else [], [], 0.05)
            except OSError:
                self.cut = True
        return self


def many(piece, n, first=b"", batch=100):
    if first:
        yield first
    for _ in range(n // batch):
        yield piece * batch


def streams(each, n, batch=20):
    """each(stream) for n streams."""
    for at in range(0, n, batch):
        yield b"".join(each(2 * k + 1) for k in range(at, at + batch))


def ping():
    return many(frame(PING, 0, 0, b"12345678"), 200000)


def settings():
    return many(frame(SETTINGS, 0, 0), 200000)


def tables():
    sizes = (b"\0\1\0\0\0\0" + b"\0\1\0\0\x10\0") * 15
    return many(frame(SETTINGS, 0, 0, sizes), 100000)


def windows():
    return many(frame(WINDOW, 0, 0, b"\0\0\0\1"), 200000)


def priorities():
    return many(frame(PRIORITY, 0, 1, b"\0\0\0\3\x10"), 200000)


def unknown():
    return many(frame(UNKNOWN, 0xff, 7, b"x" * 16), 200000)


def goaways():
    return many(frame(GOAWAY, 0, 0, b"\0" * 8), 200000)


def empty_data():
    return many(frame(DATA, 0, 1), 200000, opened(1, end=False, method=b"POST"))


def padding():
    return many(frame(DATA, PADDED, 1, b"\xff" + b"\0" * 255), 100000, opened(1, end=False, method=b"POST"))


def continuations():
    return many(frame(CONTINUATION, 0, 1), 200000, frame(HEADERS, END_STREAM, 1, head()))


def long_continuations():
    piece = block([(b"x-%d" % i, b"y" * 400) for i in range(30)])
    return many(frame(CONTINUATION, 0, 1, piece), 20000, frame(HEADERS, END_STREAM, 1, head()), 10)


def hpack_bomb():
    # one field of 4000 bytes goes into the table, and is then said by one byte
    big = b"\x40" + number(1, 7) + b"x" + number(4000, 7) + b"y" * 4000
    return streams(lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, head() + big + b"\xbe" * 8000), 20000, 1)


def bad_heads():
    return streams(lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, head(fields=[(b"Upper", b"x")])), 100000)


def resets():
    return streams(lambda s: opened(s) + frame(RST, 0, s, b"\0\0\0\x08"), 20000)


def provoked(what):
    """Streams that the other side is made to reset: CVE-2025-8671 and its kin."""
    def each(s):
        return opened(s, end=False, method=b"POST") + what(s)
    return lambda: streams(each, 20000)


FLOODS = [
    ("PING", ping), ("SETTINGS", settings), ("SETTINGS that resize the table", tables), ("WINDOW_UPDATE", windows),
    ("PRIORITY", priorities), ("frames of no known type", unknown), ("GOAWAY", goaways), ("empty DATA", empty_data),
    ("empty CONTINUATION", continuations), ("CONTINUATION without end", long_continuations),
    ("fields that grow in the table", hpack_bomb), ("malformed heads", bad_heads), ("streams that are reset", resets),
    ("streams reset by a window of nothing more", provoked(lambda s: frame(WINDOW, 0, s, b"\0\0\0\0"))),
    ("streams reset by a window too wide", provoked(lambda s: frame(WINDOW, 0, s, b"\x7f\xff\xff\xff"))),
    ("streams reset by a length that is not kept", lambda: streams(lambda s: opened(
        s, end=False, method=b"POST", fields=[(b"content-length", b"1")]) + frame(DATA, END_STREAM, s, b"xx"), 20000)),
]


def large_heads(n):
    """n connections of 100 streams each, whose heads are 60 KiB by the table, and whose answers are not taken."""
    field = b"\x40" + number(1, 7) + b"x" + number(3900, 7) + b"y" * 3900
    socks = []
    for _ in range(n):
        sock = connect()
        socks.append(sock)
        sock.sendall(frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0") + b"".join(
            frame(HEADERS, END_HEADERS | END_STREAM, 2 * k + 1, head() + (b"" if k else field) + b"\xbe" * (14 + bool(k)))
            for k in range(100)))
    return socks


def main():
    socket.getaddrinfo(NAME, 443)
    point(honest() is not None, "an honest request is answered")
    for name, pieces in FLOODS:
        flood = Flood(pieces()).run()
        point(flood.cut, "a flood of %s is cut off" % name, flood.sent)
        took = honest()
        point(took is not None and took < 20, "and the next connection is served", took)
    for name, pieces, n in (("padding", padding, 5), ("answers that nobody reads", None, 20)):
        def deaf():
            yield frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(WINDOW, 0, 0, b"\x7f\0\0\0")
            yield from streams(lambda s: opened(s, path=b"/case/large"), 100)
        floods = [Flood((pieces or deaf)(), deaf=not pieces, seconds=2.5) for _ in range(n)]
        threads = [threading.Thread(target=f.run, daemon=True) for f in floods]
        for t in threads:
            t.start()
        time.sleep(0.5)
        took = honest()
        point(took is not None and took < 20, "beside %d connections of %s another is served" % (n, name), took)
        for t in threads:
            t.join(SECONDS + 4)
    socks = large_heads(60)
    time.sleep(1)
    took = honest()
    point(took is not None and took < 20, "beside 6000 streams of large heads another is served", took)
    for sock in socks:
        sock.close()
    point(honest() is not None, "after all of it an honest request is answered")
    plan()


main()
