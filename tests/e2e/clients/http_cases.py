#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests that must not pass, and their twins that must: each on a connection of its own.

usage: http_cases.py HOST PORT tls|plain

A case: (name, bytes sent, what is expected of each answer in turn). An expectation is a status, or
(statuses, reasons); "closed" is a connection that ends without an answer. Prints TAP points.
"""
import re
import socket
import ssl
import sys

from points import plan, point

HOST, PORT, MODE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
CONTEXT = ssl.create_default_context()  # once: to read the trust store takes longer than a case
CHAT = "/v1/chat/completions"
BODY = b'{"model":"m"}'
AUTHORITY = ("[%s]" % HOST if ":" in HOST else HOST) + ("" if PORT == 443 else ":%d" % PORT)


def req(method="POST", target=CHAT, host=AUTHORITY, headers=(), body=BODY, version="HTTP/1.1"):
    lines = ["%s %s %s" % (method, target, version)]
    if host is not None:
        lines.append("Host: " + host)
    lines += headers
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def raw(*headers, body=BODY, target=CHAT):
    """Only the headers given: no Content-Length of its own."""
    return req(target=target, headers=headers, body=None) + body


DENIED = ((403,), ("http-denied",))
BAD = ((400,), ("http-malformed",))
NOT_HOST = ((421, 403, 400), ("host-mismatch", "host-denied"))
NO_UPGRADE = ((403, 400, 405, 501), ("upgrade-denied", "h2-unsupported"))
AMBIGUOUS = ((400, 403), ("http-malformed", "http-denied"))
CLOSED = "closed"

CASES = [
    # the twins that pass
    ("the allowed request", req(), [200]),
    ("two allowed requests on one connection", req() + req(), [200, 200]),
    ("a chunked body", raw("Transfer-Encoding: chunked", body=b"d\r\n" + BODY + b"\r\n0\r\n\r\n"), [200]),
    ("Host in capitals", req(host=AUTHORITY.upper()), [200]),
    ("Host with the port", req(host=AUTHORITY if PORT != 443 else AUTHORITY + ":443"), [200]),
    # method and path
    ("GET on the allowed path", req("GET", body=None), [DENIED]),
    ("HEAD on the allowed path", req("HEAD", body=None), [403]),
    ("TRACE on the allowed path", req("TRACE", body=None), [DENIED]),
    ("method in lower case", req("post"), [AMBIGUOUS]),
    ("another path", req(target="/v1/models"), [DENIED]),
    ("an upload, by the allowed method", req(target="/v1/files"), [DENIED]),
    ("the path as a prefix", req(target=CHAT + "x"), [DENIED]),
    ("the path with a slash behind", req(target=CHAT + "/"), [DENIED]),
    ("the path with a query the rule does not allow", req(target=CHAT + "?x=1"), [DENIED]),
    ("dot segments", req(target=CHAT + "/../models"), [AMBIGUOUS]),
    ("dot segments back to the path", req(target="/x/../v1/chat/completions"), [AMBIGUOUS + (200,)]),
    ("encoded dot segments", req(target=CHAT + "/%2e%2e/models"), [AMBIGUOUS]),
    ("two slashes first", req(target="/" + CHAT), [AMBIGUOUS]),
    ("two slashes inside", req(target="/v1//chat/completions"), [AMBIGUOUS]),
    ("an encoded slash", req(target="/v1/chat%2fcompletions"), [AMBIGUOUS]),
    ("an encoded NUL", req(target=CHAT + "%00"), [AMBIGUOUS]),
    ("a backslash", req(target="/v1\\chat\\completions"), [AMBIGUOUS]),
    ("path parameters", req(target=CHAT + ";x=1"), [AMBIGUOUS]),
    ("a fragment", req(target=CHAT + "#x"), [AMBIGUOUS]),
    ("double encoding", req(target="/v1/chat/%2563ompletions"), [AMBIGUOUS]),
    # names
    ("another Host", req(host="evil.example"), [NOT_HOST]),
    ("another Host on a connection that was allowed", req() + req(host="evil.example"), [200, NOT_HOST]),
    ("a GET on a connection that was allowed", req() + req("GET", body=None), [200, DENIED]),
    ("no Host", req(host=None), [BAD]),
    ("an empty Host", req(host=""), [((400, 421), ("http-malformed", "host-mismatch"))]),
    ("Host twice", req(headers=["Host: evil.example"]), [BAD]),
    ("Host twice, the same", req(headers=["Host: " + AUTHORITY]), [BAD]),
    ("user information in Host", req(host="evil@" + AUTHORITY), [BAD]),
    ("a NUL in Host", req(host=AUTHORITY + "\0.evil.example"), [BAD]),
    ("a comma in Host", req(host=AUTHORITY + ",evil.example"), [BAD]),
    ("brackets around a name in Host", req(host="[evil.example]"), [BAD]),
    ("a zone in Host", req(host="[fe80::1%25eth0]"), [((400, 421), ("http-malformed", "host-mismatch"))]),
    ("a name of other letters in Host", req(host="api.open\xd0\xb0i.com"), [((400, 421), None)]),
    ("an underscore in Host", req(host="api_openai.com"), [((400, 421, 403), None)] if MODE == "tls" else [((400, 200), None)]),
    ("another port in Host", req(host=HOST + ":25" if ":" not in HOST else "[%s]:25" % HOST), [((400, 421, 403), None)]),
    ("absolute form to another host", req(target="https://evil.example" + CHAT), [((400, 421), None)]),
    ("absolute form with user information", req(target="https://%s@evil.example%s" % (AUTHORITY, CHAT)), [((400, 421), None)]),
    ("absolute form with a backslash", req(target="https://evil.example\\@%s%s" % (AUTHORITY, CHAT)), [((400, 421), None)]),
    ("absolute form with a tab in the name", req(target="https://%s\t.evil.example%s" % (AUTHORITY, CHAT)), [BAD]),
    ("authority form", req(target="evil.example:443"), [((400,), None)]),
    ("asterisk form", req("OPTIONS", "*", body=None), [((400, 403), None)]),
    # headers that change what the request means
    ("X-HTTP-Method-Override", req(headers=["X-HTTP-Method-Override: DELETE"]), [((400, 403, 200), None)]),
    ("X-Original-URL", req(headers=["X-Original-URL: /v1/files"]), [((400, 403, 200), None)]),
    ("X-Rewrite-URL", req(headers=["X-Rewrite-URL: /v1/files"]), [((400, 403, 200), None)]),
    ("Expect: 100-continue", req(headers=["Expect: 100-continue"]), [200]),
    ("an unknown expectation", req(headers=["Expect: 200-maybe"]), [((400, 417, 403), None)]),
    # framing
    ("length and chunked together", raw("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), [BAD]),
    ("two lengths", raw("Content-Length: 13", "Content-Length: 5"), [BAD]),
    ("two equal lengths", raw("Content-Length: 13", "Content-Length: 13"), [BAD]),
    ("a list of lengths", raw("Content-Length: 13, 13"), [BAD]),
    ("a signed length", raw("Content-Length: +13"), [BAD]),
    ("a hexadecimal length", raw("Content-Length: 0xd"), [BAD]),
    ("a length beyond 64 bits", raw("Content-Length: 99999999999999999999999"), [((400, 413), None)]),
    ("chunked, misspelt", raw("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), [((400, 501), None)]),
    ("chunked not last", raw("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), [((400, 501), None)]),
    ("chunked twice", raw("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), [((400, 501), None)]),
    ("a tab before chunked", raw("Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n"), [((400, 501), None)]),
    ("space before the colon", raw("Content-Length : 13"), [BAD]),
    ("a folded header", raw("X-A: b\r\n c", "Content-Length: 13"), [BAD]),
    ("a bare LF as line end", req().replace(b"\r\n", b"\n"), [((400,), None)]),
    ("a bare CR in a header", raw("X-A: b\rEvil: c", "Content-Length: 13"), [BAD]),
    ("a NUL in a header", raw("X-A: b\0c", "Content-Length: 13"), [BAD]),
    ("a header without name", raw(": x", "Content-Length: 13"), [BAD]),
    ("a control character in the target", req(target=CHAT + "\x01"), [((400,), None)]),
    ("a space in the target", req(target="/v1/chat /completions"), [((400,), None)]),
    ("HTTP/0.9", b"GET /\r\n\r\n", [((400,), None)]),
    ("an unknown version", req(version="HTTP/3.7"), [((400, 505), None)]),
    ("a request behind a body of length 0", raw("Content-Length: 0", body=req("GET", "/smuggled", body=None)), [200, DENIED]),
    ("a request behind the last chunk", raw("Transfer-Encoding: chunked", body=b"0\r\n\r\n" + req("GET", "/smuggled", body=None)), [200, DENIED]),
    ("a bad chunk size", raw("Transfer-Encoding: chunked", body=b"xyz\r\n" + BODY), [((400, CLOSED), None)]),
    ("a header of 100 KiB", req(headers=["X-A: " + "a" * 100000]), [((400, 431), ("http-too-large", "http-malformed"))]),
    ("10000 headers", req(headers=["X-%d: a" % i for i in range(10000)]), [((400, 431), ("http-too-large", "http-malformed"))]),
    ("a target of 100 KiB", req(target="/" + "a" * 100000), [((400, 414, 431), None)]),
    # other protocols
    ("CONNECT", req("CONNECT", "evil.example:443", body=None), [((400, 403, 405), None)]),
    ("WebSocket", req("GET", headers=["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], body=None), [((403, 400), None)]),
    ("an upgrade of the allowed request", req(headers=["Connection: Upgrade", "Upgrade: websocket"]), [NO_UPGRADE]),
    ("an upgrade to h2c", req(headers=["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]), [NO_UPGRADE]),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", [((400, 403, 505, CLOSED), ("h2-unsupported",))]),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", [((400, CLOSED), None)]),
    ("random bytes", bytes(range(128, 256)) * 4, [((400, CLOSED), None)]),
    ("SMTP first", b"EHLO evil.example\r\nMAIL FROM:<a@b>\r\n\r\n", [((400, CLOSED), None)]),
]


def connect():
    sock = socket.create_connection((HOST, PORT), timeout=20)
    if MODE == "tls":
        sock = CONTEXT.wrap_socket(sock, server_hostname=HOST)
    return sock


def line(f):
    text = f.readline(70000)
    if not text:
        raise EOFError
    return text


def answer(f, head):
    """One response: (status, reason in the body, body)."""
    try:
        status = int(line(f).split()[1])
        headers = {}
        while True:
            text = line(f).strip().decode("latin-1")
            if not text:
                break
            name, value = text.split(":", 1)
            headers[name.lower()] = value.strip()
        if status == 100:
            return answer(f, head)
        if head:
            body = b""
        elif "chunked" in headers.get("transfer-encoding", ""):
            body = b""
            while True:
                size = int(line(f), 16)
                body += f.read(size)
                line(f)
                if size == 0:
                    break
        else:
            body = f.read(int(headers.get("content-length", 0)))
    except (EOFError, ConnectionError, ssl.SSLError, TimeoutError, ValueError, IndexError) as e:
        return ("timeout" if isinstance(e, TimeoutError) else CLOSED, None, repr(e))
    found = re.search(rb'"code":\s*"([^"]+)"', body)
    reason = found.group(1).decode() if found else None
    return (status, reason, body[:200])


def judge(want, got):
    """None when the answer is as expected, else what is wrong."""
    status, reason, body = got
    if isinstance(want, int):
        want = ((want,), None)
    statuses, reasons = want[0], want[1]
    if len(want) > 2:
        statuses += want[2:]
    if status not in statuses:
        return "status %s, wanted %s; %s" % (status, statuses, body)
    if isinstance(status, int) and status >= 400 and not reason and got[2] != b"":
        return "no reason in the body: %s" % body
    if reasons and reason and reason not in reasons:
        return "reason %s, wanted %s" % (reason, reasons)
    return None


def main():
    for name, data, wants in CASES:
        problem = None
        if MODE == "plain" and data.startswith(b"PRI "):
            continue  # without TLS it is HTTP/2, judged by stream: test-h2.sh
        if MODE == "plain" and NOT_HOST in wants:
            continue  # a peer chosen by labels has no name that Host could contradict
        try:
            with connect() as sock:
                try:
                    sock.sendall(data)
                except (ConnectionError, ssl.SSLError):
                    pass  # refused while we were still sending: the answer tells
                f = sock.makefile("rb")
                for want in wants:
                    problem = judge(want, answer(f, data.startswith(b"HEAD")))
                    if problem:
                        break
        except OSError as e:
            problem = "connection: %r" % e
        point(not problem, "%s: %s" % (MODE, name), problem)
    plan()


if __name__ == "__main__":
    main()
