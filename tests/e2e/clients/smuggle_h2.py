#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile HTTP/2, whose streams become HTTP/1.1: the same question as smuggle.py asks.

usage: smuggle_h2.py send NAME ADDRESS       inside exeat run: every case on a connection of its own
       smuggle_h2.py check AUDIT PLAIN NODE NGINX    prints TAP points

The frames are made by hand, so that they can say what no library would let them say. What must hold:
no origin sees a request that exeat has not judged and allowed, bodies are what the stream carried,
and no answer goes to another stream.
"""
import hashlib
import json
import os
import random
import re
import socket
import ssl
import struct
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import hpack

from points import plan, point

INNER = b"GET /smuggled HTTP/1.1\r\nHost: plain.test\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED = 1, 4, 8


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def number(n, bits):
    top = (1 << bits) - 1
    if n < top:
        return bytes([n])
    out, n = bytearray([top]), n - top
    while n >= 128:
        out.append(n % 128 + 128)
        n //= 128
    return bytes(out + bytearray([n]))


def block(fields):
    """Literals without indexing and without Huffman: the bytes as they are."""
    return b"".join(b"\0" + number(len(n), 7) + n + number(len(v), 7) + v for n, v in fields)


class Case:
    """One stream: its head, then its data frames."""

    def __init__(self, name, fields=(), data=(), method=b"POST", path=None, authority=None, scheme=b"https",
                 pseudo=None, end=None, trailers=None, reset=False, split=0, pad=False):
        self.name, self.fields, self.data = name, list(fields), list(data)
        path = path if path is not None else b"/case/%s/x" % name.encode()
        self.pseudo = pseudo if pseudo is not None else [
            (b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path)]
        self.end = end if end is not None else not self.data and not trailers
        self.trailers, self.reset, self.split, self.pad = trailers, reset, split, pad

    def frames(self, stream, host):
        pseudo = [(n, host if v is None else v) for n, v in self.pseudo]
        head = block(pseudo + self.fields)
        cut = self.split or len(head)
        out = frame(HEADERS, (END_STREAM if self.end else 0) | (END_HEADERS if cut >= len(head) else 0), stream, head[:cut])
        for at in range(cut, len(head), cut):
            out += frame(CONTINUATION, END_HEADERS if at + cut >= len(head) else 0, stream, head[at:at + cut])
        for i, piece in enumerate(self.data):
            last = i == len(self.data) - 1 and not self.end and not self.trailers and not self.reset
            if self.pad:
                piece = b"\x05" + piece + b"\0" * 5
            out += frame(DATA, (END_STREAM if last else 0) | (PADDED if self.pad else 0), stream, piece)
        if self.trailers:
            out += frame(HEADERS, END_HEADERS | END_STREAM, stream, block(self.trailers))
        if self.reset:
            out += frame(RST, 0, stream, struct.pack(">I", 8))
        return out


def lengths():
    n = len(INNER)
    spell = [b"0", b"%d" % n, b"%d" % (n + 1), b"%d" % (n - 1), b"%d, 0" % n, b"0, %d" % n, b"+%d" % n, b"0%d" % n,
             b"0x%x" % n, b"%d " % n, b" %d" % n, b"\t%d" % n, b"-1", b"", b"%d.0" % n, b"18446744073709551616",
             b"4294967296", b"%d\r\nx: y" % n, b"%d\0" % n]
    for i, v in enumerate(spell):
        yield "cl-%02d" % i, [(b"content-length", v)], [INNER]
        yield "cl-nobody-%02d" % i, [(b"content-length", v)], []
    for i, pair in enumerate(((b"0", b"%d" % n), (b"%d" % n, b"0"), (b"%d" % n, b"%d" % n))):
        yield "cl-two-%d" % i, [(b"content-length", v) for v in pair], [INNER]
    for i, name in enumerate((b"content_length", b"Content-Length", b"content-length ", b" content-length",
                              b"content-length:", b"content-length\0", b"content\xadlength", b"content.length")):
        yield "cl-name-%d" % i, [(name, b"0")], [INNER]
        yield "cl-name-both-%d" % i, [(b"content-length", b"%d" % n), (name, b"0")], [INNER]


def codings():
    for i, (name, value) in enumerate((
            (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"identity"), (b"Transfer-Encoding", b"chunked"),
            (b"transfer_encoding", b"chunked"), (b"transfer-encoding\r\nx", b"chunked"), (b"x", b"y\r\ntransfer-encoding: chunked"),
            (b"x", b"y\ntransfer-encoding: chunked"), (b"x", b"y\rtransfer-encoding: chunked"), (b"x\r\ntransfer-encoding:chunked", b""),
            (b"transfer-encoding: chunked\r\nx", b"y"), (b"te", b"chunked"), (b"te", b"trailers, chunked"), (b"te", b"trailers"),
            (b"connection", b"transfer-encoding"), (b"connection", b"close"), (b"connection", b"keep-alive"), (b"keep-alive", b"1"),
            (b"proxy-connection", b"x"), (b"upgrade", b"h2c"), (b"upgrade", b"websocket"), (b"http2-settings", b"AAMAAABk"),
            (b"trailer", b"content-length"), (b"transfer-encoding\0", b"chunked"), (b"transfer-encoding", b"\x0bchunked"))):
        for body in (b"0\r\n\r\n" + INNER, b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n"):
            yield "te-%02d-%d" % (i, len(body)), [(name, value)], [body]
            yield "te-cl-%02d-%d" % (i, len(body)), [(name, value), (b"content-length", b"%d" % len(body))], [body]


def fields():
    crlf = b"a\r\n\r\n" + INNER
    for i, f in enumerate((
            (b"x", crlf), (b"x", b"a\n\n" + INNER), (b"x", b"a\r\r" + INNER), (b"x", b"a\0b"), (b"x", b" a"), (b"x", b"a "),
            (b"x", b"a\x7f"), (b"x", b"\xff"), (b"x\r\n\r\n" + INNER, b""), (b"x: y\r\nz", b"a"), (b"x y", b"a"), (b"X", b"a"),
            (b"", b"a"), (b":x", b"a"), (b"x:", b"a"), (b"x\0", b"a"), (b"x\t", b"a"), (b"host", b"evil.example"),
            (b"host", b"evil.example\r\nx: y"), (b"host_", b"evil"), (b"Host", b"evil"), (b"cookie", b"a\r\nx: y"),
            (b"expect", b"100-continue"), (b"expect", b"x"), (b"x-http-method-override", b"DELETE"), (b"x-original-url", b"/smuggled"),
            (b"x_rewrite_url", b"/smuggled"), (b"proxy", b"http://evil.example/"), (b"x-envoy-original-dst-host", b"evil.example"),
            (b"x-amz-copy-source", b"/smuggled"), (b"x_ms_copy_source", b"http://evil.example/"), (b"x", b"y" * 70000), (b"x", b"a\x0c"), (b"content-encoding", b"chunked"))):
        yield "field-%02d" % i, [f], [INNER]
        yield "field-nobody-%02d" % i, [f], []
    yield "many", [(b"x%d" % i, b"y") for i in range(400)], []
    yield "cookies", [(b"cookie", b"a=%d" % i) for i in range(30)], []
    yield "cookies-odd", [(b"cookie", b"a; b"), (b"cookie", b""), (b"cookie", b"; ")], [INNER]


def starts():
    """Pseudo-fields that would be another request line."""
    line = b" HTTP/1.1\r\nHost: plain.test\r\n\r\n" + INNER
    for i, m in enumerate((b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\nGET", b"POST /smuggled", b"GET ", b" GET", b"get", b"", b"G\0T",
                           b"TRACE", b"CONNECT", b"PRI", b"GET\r\n", b"QUERY", b"GET\t")):
        yield Case("method-%02d" % i, method=m)
        yield Case("method-body-%02d" % i, method=m, data=[INNER])
    for i, p in enumerate((b"/case/x" + line, b"/case/x\r\nx: y", b"/case/x y", b"/smuggled#/case/", b"//smuggled", b"/case/../smuggled",
                           b"/case/%2e%2e/smuggled", b"/case/..%2fsmuggled", b"/case/..\\smuggled", b"http://plain.test/smuggled", b"*", b"",
                           b"case/x", b"/case/\0x", b"/case/x\t", b"/case/x\xff", b"/case/%00", b"/case/%0d%0a%0d%0aGET%20/smuggled",
                           b"/smuggled?/case/", b"/case/x?_method=DELETE", b"/case/" + b"a" * 9000, b"/case/\n/x", b"/case/x HTTP/1.1")):
        yield Case("path-%02d" % i, path=p)
        yield Case("path-body-%02d" % i, path=p, data=[INNER], method=b"PUT")
    for i, a in enumerate((b"evil.example", b"plain.test@evil.example", b"evil@plain.test", b"plain.test\r\nx: y", b"plain.test:443\r\n\r\n" + INNER,
                           b"plain.test:80", b"plain.test:", b"plain.test/smuggled", b"", b" plain.test", b"plain.test,evil", b"[plain.test]")):
        yield Case("authority-%02d" % i, authority=a)
    for i, s in enumerate((b"http", b"https\r\nx: y", b"https://evil.example/smuggled?", b"", b"HTTPS")):
        yield Case("scheme-%d" % i, scheme=s)
    good = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", None), (b":path", b"/case/pseudo/x")]
    for i, extra in enumerate(((b":path", b"/smuggled"), (b":method", b"GET"), (b":authority", b"evil.example"), (b":foo", b"x"),
                               (b":status", b"200"), (b":protocol", b"websocket"), (b":protocol", b""))):
        yield Case("pseudo-before-%d" % i, pseudo=[extra] + good)
        yield Case("pseudo-behind-%d" % i, pseudo=good + [extra])
        yield Case("pseudo-late-%d" % i, pseudo=good, fields=[(b"x", b"y"), extra])
    for i in range(4):
        yield Case("pseudo-without-%d" % i, pseudo=good[:i] + good[i + 1:])
        yield Case("pseudo-host-%d" % i, pseudo=good[:i] + good[i + 1:], fields=[(b"host", b"plain.test")])
    for i, p in enumerate((b"websocket", b"h2c", b"tunnel", b"websocket\r\nx: y")):
        for early in ([], [INNER], [INNER] * 3):
            yield Case("connect-%d-%d" % (i, len(early)), method=b"CONNECT", data=early, end=False, reset=False,
                       pseudo=[(b":method", b"CONNECT"), (b":protocol", p), (b":scheme", b"https"), (b":authority", None),
                               (b":path", b"/case/connect-%d-%d/x" % (i, len(early)))],
                       fields=[(b"sec-websocket-version", b"13"), (b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA==")])


def bodies():
    for m in (b"GET", b"HEAD", b"OPTIONS"):
        yield Case("bodiless-%s" % m.decode(), method=m, data=[INNER])
        yield Case("bodiless-cl-%s" % m.decode(), method=m, data=[INNER], fields=[(b"content-length", b"%d" % len(INNER))])
        yield Case("bodiless-empty-%s" % m.decode(), method=m, data=[b""])
        yield Case("bodiless-trailers-%s" % m.decode(), method=m, trailers=[(b"x", b"y")])
    chunky = [b"0\r\n\r\n" + INNER, b"\r\n0\r\n\r\n" + INNER, b"5\r\nhello\r\n0\r\n\r\n" + INNER, INNER * 20]
    for i, b in enumerate(chunky):
        yield Case("chunk-%d" % i, data=[b])
        yield Case("chunk-cl-%d" % i, data=[b], fields=[(b"content-length", b"%d" % len(b))])
        yield Case("chunk-pieces-%d" % i, data=[b[k:k + 7] for k in range(0, len(b), 7)])
        yield Case("chunk-empty-%d" % i, data=[b"", b, b"", b"", b])
        yield Case("chunk-padded-%d" % i, data=[b, b], pad=True)
        yield Case("chunk-reset-%d" % i, data=[b], reset=True)
        yield Case("chunk-cl-reset-%d" % i, data=[b], reset=True, fields=[(b"content-length", b"%d" % (len(b) + 200))])
        for k, t in enumerate(([(b"content-length", b"5")], [(b"transfer-encoding", b"chunked")], [(b"x", b"a\r\n\r\n" + INNER)],
                               [(b"host", b"evil")], [(b":path", b"/smuggled")], [(b"x-sum", b"1")])):
            yield Case("trailers-%d-%d" % (i, k), data=[b], trailers=t)
    yield Case("split", split=3, fields=[(b"x", b"y" * 50)], data=[INNER])


def cases():
    for source in (lengths, codings, fields):
        for name, f, data in source():
            yield Case(name, fields=f, data=data)
            if not data:
                yield Case("get-" + name, fields=f, method=b"GET")
    for source in (starts, bodies):
        yield from source()


TOKENS = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"0", b"\r\n\r\n", b"/", b"..", b"%2e", b"\xff", b"chunked", INNER]


def spoiled(seed, n):
    rng = random.Random(seed)
    base = [c for c in cases() if len(c.fields) < 20]
    for _ in range(n):
        c = rng.choice(base)
        c = Case("", fields=c.fields, data=c.data, pseudo=list(c.pseudo), end=c.end, trailers=c.trailers)
        c.fields += rng.choice(base).fields
        for _ in range(rng.randint(1, 3)):
            where = rng.choice((c.pseudo, c.fields)) if c.fields else c.pseudo
            at = rng.randrange(len(where))
            name, value = where[at]
            value = value or b"plain.test"
            cut = rng.randint(0, len(value))
            token = rng.choice(TOKENS)
            if rng.random() < 0.25:
                cut = rng.randint(0, len(name))
                name = name[:cut] + token + name[cut:]
            else:
                value = value[:cut] + token + value[cut:]
            where[at] = (name, value)
        yield c


BODY = b"x=1&" + INNER
GOOD = [
    Case("good/get", method=b"GET", path=b"/case/good/get"), Case("good/head", method=b"HEAD", path=b"/case/good/head"),
    Case("good/query", method=b"GET", path=b"/case/good/query?a=1"), Case("good/empty", path=b"/case/good/empty"),
    Case("good/length", path=b"/case/good/length", data=[BODY], fields=[(b"content-length", b"%d" % len(BODY))]),
    Case("good/chunked", path=b"/case/good/chunked", data=[BODY, BODY]),
    Case("good/big", path=b"/case/good/big", data=[BODY * 100] * 10, method=b"PUT"),
    Case("good/expect", path=b"/case/good/expect", data=[BODY], method=b"PUT",
         fields=[(b"expect", b"100-continue"), (b"content-length", b"%d" % len(BODY))]),
    Case("good/trailers", path=b"/case/good/trailers", data=[BODY], trailers=[(b"x-sum", b"1")]),
]

context = ssl.create_default_context()
context.set_alpn_protocols(["h2"])


def converse(sock, want, wait):
    """X-Seen of each answer by stream, until all wanted streams are over or the peer is silent."""
    decoder, data, seen, over = hpack.Decoder(), b"", {}, set()
    sock.settimeout(wait)
    try:
        while not want <= over:
            piece = sock.recv(65536)
            if not piece:
                break
            data += piece
            while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
                n = int.from_bytes(data[:3], "big")
                kind, flags, stream, payload = data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:9 + n]
                data = data[9 + n:]
                if kind == HEADERS:
                    seen.setdefault(stream, []).extend(
                        v for k, v in decoder.decode(payload) if k == "x-seen")
                if kind == RST or kind in (HEADERS, DATA) and flags & END_STREAM:
                    over.add(stream)
                if kind == SETTINGS and not flags & 1:
                    sock.sendall(frame(SETTINGS, 1, 0))
                if kind == GOAWAY:
                    over |= want
    except OSError:
        pass
    return seen


def send_case(host, address, case):
    name = case.name
    canary = Case("canary", method=b"GET", path=b"/case/%s/canary" % (name.encode() or b"random"))
    try:
        with socket.create_connection((address, 443), 60) as raw, context.wrap_socket(raw, server_hostname=host) as sock:
            sock.sendall(PREFACE + frame(SETTINGS, 0, 0) + case.frames(1, host.encode()))
            # What has one meaning has to arrive, however slow the machine is.
            seen = converse(sock, {1}, 60 if case in GOOD else 0.3)
            sock.sendall(canary.frames(3, host.encode()))
            seen.update(converse_more(sock))
    except OSError:
        return name, {}
    return name, seen


def converse_more(sock):
    # A fresh decoder would not know the table of the first answers: only the stream's end counts.
    sock.settimeout(0.2)
    try:
        while sock.recv(65536):
            pass
    except OSError:
        pass
    return {}


def send(host, address):
    socket.getaddrinfo(host, 443)  # the address has to be learned
    jobs = list(cases()) + GOOD * 2
    seed = int(os.environ.get("SMUGGLE_SEED", "1"))
    jobs += list(spoiled(seed, int(os.environ.get("SMUGGLE_RANDOM", "300"))))
    with ThreadPoolExecutor(24) as pool:
        results = list(pool.map(lambda c: send_case(host, address, c), jobs))
    astray = [r for r in results for seen in r[1].values() for s in seen
              if "smuggled" in s or (r[0] and "/case/" in s and r[0] not in s and "pseudo" not in r[0])]
    point(not astray, "%s: no answer went astray in %d connections of HTTP/2" % (host, len(jobs)), *astray)


def redacted(target):
    return re.sub(r"=[^&;]*", "=*", target)


def bare(host):
    return (host or "").rsplit(":", 1)[0]


def check_origin(name, address, host, judged, entries):
    seen = Counter((e["method"], redacted(e["target"]), bare(e["host"])) for e in entries
                   if e.get("part", "head") == "head" and "method" in e)
    unjudged = seen - judged[address]
    point(not unjudged, "%s saw only what exeat had judged and allowed (%d requests from HTTP/2)" % (
        name, sum(seen.values())), *unjudged.items())
    point(sum(seen.values()) > 50, "%s was really asked" % name)
    odd = [e for e in entries if "odd" in e]
    point(not odd, "%s understood everything it was sent" % name, *odd)
    wanted = [(dict(c.pseudo)[b":method"].decode(), redacted(dict(c.pseudo)[b":path"].decode()), host) for c in GOOD]
    missing = [w for w in wanted if seen[w] < 2]
    point(not missing, "%s got every request that has one meaning" % name, *missing)


def check(audit_file, *files):
    load = lambda path: [json.loads(line) for line in open(path, encoding="utf-8")]
    judged = {"203.0.113.%d" % i: Counter() for i in (81, 82, 83)}
    for r in load(audit_file):
        if r.get("verdict") == "allow" and r.get("app") == "http":
            judged[r["dst"]][(r["method"], r["path"], r["host"])] += 1
    plain, node, nginx = (load(f) for f in files)
    check_origin("the plain origin", "203.0.113.81", "plain.test", judged, plain)
    check_origin("node", "203.0.113.82", "node.test", judged, node)
    check_origin("nginx", "203.0.113.83", "nginx.test", judged, nginx)
    bodies_of = lambda entries: Counter((e["method"], e["target"], e["body"]) for e in entries if e.get("part") == "whole")
    for name, entries in (("the plain origin", plain), ("node", node)):
        got = bodies_of(entries)
        wrong = [c.name for c in GOOD if got[(dict(c.pseudo)[b":method"].decode(), dict(c.pseudo)[b":path"].decode(),
                                              hashlib.sha256(b"".join(c.data)).hexdigest())] < 2]
        point(not wrong, "%s got the bodies as they were sent" % name, *wrong)
    # A client that gave up early may have reached one of them only.
    by_request = lambda entries: {(m, t): {b for mm, tt, b in bodies_of(entries) if (mm, tt) == (m, t)}
                                  for m, t, _ in bodies_of(entries)}
    one, other = by_request(plain), by_request(node)
    diff = {k: (one[k], other[k]) for k in one.keys() & other.keys() if one[k] != other[k]}
    point(not diff and len(one.keys() & other.keys()) > 50, "the plain origin and node read the same bodies", *diff.items())
    fields_seen = [f for e in node for f in e.get("raw", [])[::2]]
    unwanted = r"(?i)(x[-_](http[-_]method|original|rewrite|envoy|amz[-_]copy|ms[-_]copy)|proxy|transfer_|:)"
    overrides = [f for f in fields_seen if re.match(unwanted, f)]
    point(not overrides, "no field that overrides method, path or framing arrived", *overrides)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], sys.argv[3])
    else:
        check(*sys.argv[2:])
    plan()
