#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ambiguous requests, sent to an origin; and whether the origin understood them as exeat did.

usage: smuggle.py send HOST PORT          inside exeat run: every case on a connection of its own
       smuggle.py check AUDIT PLAIN NODE NGINX    prints TAP points

A case is bytes that some parsers read as one request and some as two, the second of which
(GET /smuggled) no rule allows. What must hold: no origin sees a request that exeat has not judged
and allowed, and the requests that exeat forwards have the same bytes and mean the same everywhere.
"""
import hashlib
import json
import os
import random
import re
import socket
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from points import plan, point

H = "@HOST@"
INNER = b"GET /smuggled HTTP/1.1\r\nHost: 203.0.113.8x:8080\r\n\r\n"


def head(target, fields=(), method="POST", version="HTTP/1.1", host=H):
    lines = ["%s %s %s" % (method, target, version)]
    if host is not None:
        lines.append("Host: " + host)
    return "\r\n".join(lines + list(fields)).encode("latin-1") + b"\r\n\r\n"


def codings():
    """Spellings of Transfer-Encoding that one parser takes for chunked and another does not."""
    return [
        "Transfer-Encoding: chunked", "Transfer-Encoding:chunked", "Transfer-Encoding:\tchunked",
        "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked", "Transfer-Encoding:\n chunked",
        "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked;x=y",
        "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunked, cow", "Transfer-Encoding: cow, chunked",
        "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked\x0b",
        "Transfer-Encoding: \x00chunked", "Transfer-Encoding: chun\x00ked",
        "Transfer-Encoding: \xff", "Transfer-Encoding: chunked\xa0",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:", "Transfer-Encoding: identity", "Transfer_Encoding: chunked",
        "Transfer-encoding: CHUNKED", "TRANSFER-ENCODING: chunked", "Transfer-Encoding\x00: chunked",
        "Transfer\xadEncoding: chunked", "X-Transfer-Encoding: chunked", "TE: chunked",
        "Content-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunke",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        "Trailer: Content-Length\r\nTransfer-Encoding: chunked",
    ]


def lengths(n):
    """Spellings of a Content-Length that hides what follows the first bytes."""
    return [
        "Content-Length: 0\r\nContent-Length: %d" % n, "Content-Length: %d\r\nContent-Length: 0" % n,
        "Content-Length: %d, 0" % n, "Content-Length: 0, %d" % n, "Content-Length: +%d" % n,
        "Content-Length: -%d" % n, "Content-Length: 0%d" % n, "Content-Length: 0x%x" % n,
        "Content-Length: %d " % n + "0", "Content-Length: %de0" % n, "Content-Length: %d.0" % n,
        "Content-Length : %d" % n, " Content-Length: %d" % n, "Content-Length:\r\n %d" % n,
        "Content-Length: %d\x0b" % n, "Content-Length: \x00%d" % n, "Content-Length: \"%d\"" % n,
        "Content_Length: %d" % n, "X: y\nContent-Length: %d" % n, "X: y\rContent-Length: %d" % n,
        "Content-Length: 18446744073709551616", "Content-Length: 4294967296",
        "Content-Length: %d" % (2 ** 64 + n), "Content-Length:", "Content-Length: %d;" % n,
        "Content-Length: \xd9\xa1", "Connection: Content-Length\r\nContent-Length: %d" % n,
        "Content-Length\x00: %d" % n, "Content-Length: %d\r\nTransfer-Encoding: identity" % n,
    ]


def chunk_bodies():
    t = INNER
    n = len(t)
    return [
        b"0\r\n\r\n" + t, b"0\n\n" + t, b"0\r\n\n" + t, b"0\n\r\n" + t, b"0\r\r" + t,
        b"0;x\r\n\r\n" + t, b"0;x=\"\r\n\r\n" + t, b"0;\n" + t, b"5;x=y\r\nhello\r\n0\r\n\r\n" + t,
        b"5;\nxx\r\nhello\r\n0\r\n\r\n" + t, b"5\nhello\r\n0\r\n\r\n" + t,
        b"5\r\nhello\n0\r\n\r\n" + t, b"5\r\nhelloXX0\r\n\r\n" + t, b"5\r\nhello0\r\n\r\n" + t,
        b"5\r\nhello\r0\r\n\r\n" + t, b"5 \r\nhello\r\n0\r\n\r\n" + t,
        b" 5\r\nhello\r\n0\r\n\r\n" + t, b"0x5\r\nhello\r\n0\r\n\r\n" + t,
        b"+5\r\nhello\r\n0\r\n\r\n" + t, b"-5\r\nhello\r\n0\r\n\r\n" + t,
        b"5_\r\nhello\r\n0\r\n\r\n" + t, b"\r\n0\r\n\r\n" + t, b"00\r\n\r\n" + t,
        b"10000000000000000\r\n" + t, b"100000005\r\nhello\r\n0\r\n\r\n" + t,
        b"FFFFFFFFFFFFFFFF\r\n" + t, b"0\r\nX: y\r\n" + t, b"0\r\nX\r\n\r\n" + t,
        b"0\r\nContent-Length: %d\r\n\r\n" % n + t, b"0\r\nHost: evil\r\n\r\n" + t,
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n" + t, b"0\r\n X: y\r\n\r\n" + t,
        b"%x\r\n" % n + t + b"\r\n0\r\n\r\n", b"%x\r\n" % (n + 2) + t + b"\r\n0\r\n\r\n",
        b"2\r\nabc\r\n0\r\n\r\n" + t, b"0" * 300 + b"\r\n\r\n" + t,
        b"\x00\r\n" + t, b"z\r\n" + t, b"5\r\nhello\r\n0\r\n\r\n\r\n" + t,
    ]


def heads():
    """Whole heads that parsers split differently."""
    t = INNER.decode()
    get = lambda *f, **k: head(k.pop("target", "/case/head"), f, method=k.pop("method", "GET"), **k)
    return [
        get("X: y\n\n" + t), get("X: y\r\r" + t), get("X: y\n\r\n" + t), get("X: y\r\n\n" + t),
        get("X: y\r\n \r\n" + t), get("X: y\r\n\t" + t), get("X: \x00\r\n"), get("X\x00: y"),
        get("X y"), get(": y"), get("X: y\x0c"), get("\x0bX: y"), get("X : y"), get("X: y\r\n : z"),
        get("Host: evil.example"), get("host: " + H), get(host=H + "\r\n evil"), get(host=None),
        get(host=H + ", evil"), get(host="evil@" + H), get(host=H + ":80"), get(host=H + "/x"),
        get(host="evil.example", ), get("Host : evil"), get("Host\t: evil"), get(" Host: evil"),
        get("X_HTTP_METHOD_OVERRIDE: DELETE", "X-HTTP-Method-Override: DELETE",
            "X-Original-URL: /smuggled", "X-Rewrite-URL: /smuggled"),
        get("Proxy: http://evil.example/", "X-Envoy-Original-Dst-Host: evil.example", "X_Accel_Mapping: /=/smuggled"),
        get("X-Amz-Copy-Source: /smuggled", method="PUT"), get("x_ms_copy_source: http://evil.example/", method="PUT"),
        get(target="/case/../smuggled"), get(target="/case/%2e%2e/smuggled"),
        get(target="/case/..;/smuggled"), get(target="/case/%252e%252e/smuggled"),
        get(target="/case//../smuggled"), get(target="//smuggled"), get(target="/case/..%2fsmuggled"),
        get(target="/case/..\\smuggled"), get(target="/case/..%5csmuggled"),
        get(target="/case/%c0%ae%c0%ae/smuggled"), get(target="/smuggled?/case/"),
        get(target="/smuggled;/case/"), get(target="/smuggled%3f/case/"), get(target="/smuggled%23/case/"),
        get(target="/case/..%3b/smuggled"), get(target="/case/%ef%bc%8e%ef%bc%8e/smuggled"),
        get(target="/case/..%c2%a5smuggled"), get(target="/case/x?$httpHeaders=x-original-url:/smuggled"),
        get(target="/smuggled#/case/"), get(target="/case/x#/../../smuggled"),
        get(target="http://%s/smuggled" % H), get(target="http://%s/case/x" % H),
        get(target="/case/ HTTP/1.1\r\nX: /smuggled"), get(target="/case/x HTTP/1.1 y"),
        get(target="/case/x\t"), get(target="/case/\x00/../smuggled"), get(target="/case/x\x0bHTTP/1.1"),
        get(target="/case/%0d%0a%0d%0aGET%20/smuggled"), get(target="*"),
        get(version="HTTP/1.0", *["Connection: keep-alive"]) + INNER,
        get(version="HTTP/0.9"), get(version="HTTP/1.10"), get(version="HTTP/2.0"), get(version="http/1.1"),
        get(version=""), get(version="HTTP/1.1\r"), b"GET /smuggled\r\n", b"GET /case/x\r\n\r\n" + INNER,
        b"\r\n\r\n" + INNER, b"\x16\x03\x01\x00\x05hello", b"\x00" + INNER, b" " + INNER,
        b"GET  /case/x HTTP/1.1\r\nHost: @HOST@\r\n\r\n", b"GET\t/case/x HTTP/1.1\r\nHost: @HOST@\r\n\r\n",
        get(method="get"), get(method="GET\x00"), get(method="CONNECT"), get(method="TRACE"),
        get("Connection: close") + INNER, get() + b"X" + INNER, get() + b"\r\n" + INNER, get() + INNER,
        get("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13") + INNER,
        get("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"),
        get("Upgrade: h2c", "Connection: close") + INNER, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INNER,
        get("Expect: 100-continue") + INNER, get("Expect: 100-continue\r\nExpect: x") + INNER,
        get("Connection: X-Secret", "X-Secret: y"), get("Connection: Host") + INNER,
        get("Connection: close, keep-alive") + INNER, get("Keep-Alive: timeout=0") + INNER,
        head("/case/get-cl", ["Content-Length: %d" % len(INNER)], method="GET") + INNER,
        head("/case/head-cl", ["Content-Length: %d" % len(INNER)], method="HEAD") + INNER,
        head("/case/options-cl", ["Content-Length: %d" % len(INNER)], method="OPTIONS") + INNER,
        head("/case/early", ["Content-Length: 200000"]) + INNER * 400,
        head("/case/short", ["Content-Length: 1000"]) + INNER,
        head("/case/big", ["X: " + "y" * 70000]), head("/case/many", ["X: y"] * 500),
    ]


def cases():
    """(name, bytes). The name is in the path, so that a finding can be traced to its case."""
    out = []

    def add(name, data):
        name = "%s-%03d" % (name, len(out))
        out.append((name, re.sub(rb"/case/", b"/case/" + name.encode() + b"/", data, count=1)))

    n = len(INNER)
    for coding in codings():
        for body in (b"0\r\n\r\n" + INNER, b"%x\r\n" % n + INNER + b"\r\n0\r\n\r\n"):
            add("te", head("/case/x", [coding]) + body)
            add("cl-te", head("/case/x", ["Content-Length: %d" % len(body), coding]) + body)
            add("te-cl", head("/case/x", [coding, "Content-Length: %d" % len(body)]) + body)
            add("te-cl-short", head("/case/x", [coding, "Content-Length: 4"]) + body)
            add("te-10", head("/case/x", [coding, "Connection: keep-alive"], version="HTTP/1.0") + body)
    for length in lengths(n):
        for method in ("POST", "GET"):
            add("cl", head("/case/x", [length], method=method) + INNER)
    for body in chunk_bodies():
        add("chunk", head("/case/x", ["Transfer-Encoding: chunked"]) + body)
    for data in heads():
        add("head", data)
    return out


TOKENS = [b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b",", b";", b"0", b"\r\n\r\n", b"/", b"..", b"%2e",
          b"%2f", b"\xff", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"chunked",
          b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0", INNER]


def spoiled(seed, n):
    """n cases with one to three random edits each."""
    rng = random.Random(seed)
    seeds = [data for _, data in cases() if len(data) < 3000] + [g[3] for g in GOOD]
    for _ in range(n):
        data = bytearray(b"".join(rng.sample(seeds, rng.choice((1, 1, 2)))))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data))
            if rng.random() < 0.5:
                data[at:at] = rng.choice(TOKENS)
            elif rng.random() < 0.5:
                del data[at:at + rng.randint(1, 4)]
            else:
                data[at] = rng.randrange(256)
        yield bytes(data)


# Requests with one meaning: all of these must arrive, with these bodies.
BODY = b"x=1&" + INNER
GOOD = [
    ("GET", "/case/good/get", b"", head("/case/good/get", method="GET")),
    ("GET", "/case/good/query?a=1", b"", head("/case/good/query?a=1", method="GET")),
    ("HEAD", "/case/good/head", b"", head("/case/good/head", method="HEAD")),
    ("POST", "/case/good/empty", b"", head("/case/good/empty", ["Content-Length: 0"])),
    ("POST", "/case/good/length", BODY, head("/case/good/length", ["Content-Length: %d" % len(BODY)]) + BODY),
    ("POST", "/case/good/chunked", BODY * 2, head("/case/good/chunked", ["Transfer-Encoding: chunked"]) +
     (b"%X\r\n%s\r\n" % (len(BODY), BODY)) * 2 + b"0\r\nX: y\r\n\r\n"),
    ("PUT", "/case/good/expect", BODY, head("/case/good/expect", ["Expect: 100-continue", "Content-Length: %d" % len(
        BODY)], method="PUT") + BODY),
    ("GET", "/case/good/10", b"", head("/case/good/10", method="GET", version="HTTP/1.0")),
]


def read_answers(sock, wait):
    """What comes until the peer closes or is silent; and whether it is open."""
    data = b""
    sock.settimeout(wait)
    try:
        while True:
            piece = sock.recv(65536)
            if not piece:
                return data, False
            data += piece
    except socket.timeout:
        return data, True
    except OSError:
        return data, False


def send_case(host, port, name, data, pieces):
    data = data.replace(H.encode(), host.encode() + b":%d" % port)
    canary = head("/case/%s/canary" % name, method="GET", host="%s:%d" % (host, port))
    try:
        with socket.create_connection((host, port), 20) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            step = pieces or len(data)
            for at in range(0, len(data), step):
                sock.sendall(data[at:at + step])
            first, is_open = read_answers(sock, 0.25)
            second = b""
            if is_open:
                sock.sendall(canary)
                sock.shutdown(socket.SHUT_WR)  # what it waits for will not come: it answers what is whole, and ends
                second, is_open = read_answers(sock, 30)
    except OSError:
        return name, "", ""
    return name, first.decode("latin-1"), second.decode("latin-1")


def answers_in_order(name, first, second):
    """An answer to a request of another case, or to one never sent, is a response gone astray."""
    for seen in re.findall(r"X-Seen: (.*)\r", first + second):
        if name and "/case/%s" % name not in seen and "/case/good" not in seen and seen != "upgrade":
            return False
        if " /smuggled" in seen or (name and "smuggled" in seen):
            return False
    return True


def send(host, port):
    jobs = [(name, data, pieces) for name, data in cases() for pieces in (0, 11)]
    jobs += [("good", data, pieces) for _, _, _, data in GOOD for pieces in (0, 1)]
    jobs.append(("good", b"".join(g[3] for g in GOOD), 0))
    seed = int(os.environ.get("SMUGGLE_SEED", "1"))
    jobs += [("", data, 0) for data in spoiled(seed, int(os.environ.get("SMUGGLE_RANDOM", "400")))]
    with ThreadPoolExecutor(24) as pool:
        results = list(pool.map(lambda j: send_case(host, port, *j), jobs))
    astray = [r for r in results if not answers_in_order(*r)]
    for name, first, second in astray:
        print("# astray: %s: %r | %r" % (name, first[:300], second[:300]))
    point(not astray, "%s: no answer went astray in %d connections" % (host, len(jobs)))


def bare(host):
    return host.rsplit(":", 1)[0] if ":" in host else host


def redacted(target):
    return re.sub(r"=[^&;]*", "=*", target)


def check_origin(name, address, judged, entries):
    heads_seen = [e for e in entries if e.get("part", "head") == "head" and "method" in e]
    seen = Counter((e["method"], redacted(e["target"]), bare(e["host"])) for e in heads_seen)
    unjudged = seen - judged[address]
    point(not unjudged, "%s saw only requests that exeat had judged and allowed, Host included (%d)" % (
        name, sum(seen.values())), *unjudged.items())
    point(sum(seen.values()) > 50, "%s was really asked" % name)
    odd = [e for e in entries if "odd" in e]
    point(not odd, "%s understood everything it was sent" % name, *odd)
    missing = [g[1] for g in GOOD if seen[(g[0], redacted(g[1]), address)] < 2]
    point(not missing, "%s got every request that has one meaning" % name, *missing)


def check(audit_file, plain_file, node_file, nginx_file):
    load = lambda path: [json.loads(line) for line in open(path, encoding="utf-8")]
    judged = {"203.0.113.%d" % i: Counter() for i in (81, 82, 83)}
    for r in load(audit_file):
        if r.get("verdict") == "allow" and r.get("app") == "http":
            judged[r["dst"]][(r["method"], r["path"], r["host"])] += 1
    plain, node, nginx = load(plain_file), load(node_file), load(nginx_file)
    check_origin("the plain origin", "203.0.113.81", judged, plain)
    check_origin("node", "203.0.113.82", judged, node)
    check_origin("nginx", "203.0.113.83", judged, nginx)
    bodies = lambda entries: Counter((e["method"], e["target"], e["body"]) for e in entries if e.get("part") == "whole")
    point(bodies(plain) == bodies(node), "the plain origin and node read the same bodies",
          *((bodies(plain) - bodies(node)) + (bodies(node) - bodies(plain))).items())
    wrong = [g[1] for g in GOOD if bodies(node)[(g[0], g[1], hashlib.sha256(g[2]).hexdigest())] < 2]
    point(not wrong, "bodies arrive as they were sent", *wrong)
    # Chunks are cut as they come in, so only other framings have one length.
    whole = Counter((e["method"], e["target"], e["length"]) for e in plain
                    if e.get("part") == "whole" and not e["chunked"])
    sizes = Counter((e["method"], e["target"], e["length"]) for e in nginx)
    point(not whole - sizes, "nginx saw requests of the same length, byte for byte", *(whole - sizes).items())
    unwanted = r"(?i)(x[-_](http[-_]method|original|rewrite|envoy|accel|amz[-_]copy|ms[-_]copy)|proxy)"
    overrides = [e for e in node if any(re.match(unwanted, f) for f in e.get("raw", [])[::2])]
    point(not overrides, "no field that overrides method or path, or names another object, arrived", *overrides)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]))
    else:
        check(*sys.argv[2:])
    plan()
