#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What HTTP/1.1 promises a client, through exeat: interim and bodiless answers, early ends, streaming,
reuse. Each on a connection of its own, against tests/lib/scripted_origin.py. Prints TAP points.

usage: http1_cases.py HOST PORT
"""
import re
import socket
import struct
import sys
import time

from points import plan, point

HOST, PORT = sys.argv[1], int(sys.argv[2])


def request(target, fields=(), method="GET", version="HTTP/1.1", body=b""):
    lines = ["%s /case/%s %s" % (method, target, version), "Host: %s:%d" % (HOST, PORT)]
    return "\r\n".join(lines + list(fields)).encode() + b"\r\n\r\n" + body


class Client:
    def __init__(self):
        self.sock = socket.create_connection((HOST, PORT), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def send(self, data):
        try:
            self.sock.settimeout(20)  # until() has left another
            self.sock.sendall(data)
        except OSError:
            pass
        return self

    def until(self, what, seconds=20):
        """Reads until what is there (or the end of the stream); the bytes up to and with it."""
        end = time.monotonic() + seconds
        while what not in self.data and (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                piece = self.sock.recv(65536)
            except OSError:
                break
            if not piece:
                break
            self.data += piece
        at = self.data.find(what)
        at = len(self.data) if at < 0 else at + len(what)
        got, self.data = self.data[:at], self.data[at:]
        return got

    def rest(self, seconds=20):
        """Everything until the end of the stream; None in the place of an end that did not come."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                piece = self.sock.recv(65536)
            except socket.timeout:
                return self.data, "open"
            except OSError:
                return self.data, "reset"
            if not piece:
                return self.data, "closed"
            self.data += piece
        return self.data, "open"


def once(target, *fields, until=None, **kw):
    """The answer, up to where the test knows that it ends, or up to the end of the connection."""
    c = Client().send(request(target, fields, **kw))
    return (c.until(until), "open") if until else c.rest()


def interim():
    c = Client().send(request("continue", ["Expect: 100-continue", "Content-Length: 3"], "POST"))
    got = c.until(b"\r\n\r\n")
    point(got.startswith(b"HTTP/1.1 100 "), "100 Continue comes before the body is sent", got)
    got = c.send(b"abc").until(b"ok")
    point(got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"ok"), "and the answer after it", got)
    got = c.send(request("next")).until(b" 1")
    point(got.startswith(b"HTTP/1.1 200 "), "and the connection goes on", got)
    c = Client().send(request("echo", ["Expect: 100-continue", "Content-Length: 3"], "POST") + b"abc")
    got = c.until(b"POST 3 ")
    point(got.endswith(b"POST 3 "), "the server, which would not read a body that waits, is not asked", got)
    got, _ = once("hints", until=b"\r\n\r\nok")
    point(got.startswith(b"HTTP/1.1 103 ") and b"Link: </x>" in got and got.endswith(b"ok"),
          "103 Early Hints pass", got)
    got, end = once("many-hints")
    point(end != "open" and not got.endswith(b"ok"), "a flood of interim answers is cut off", got[-200:], end)


def bodiless():
    for target, status in (("204", 204), ("204-length", 204), ("304", 304)):
        c = Client().send(request(target) + request("next"))
        got = c.until(b"GET 0 ")
        point(got.startswith(b"HTTP/1.1 %d " % status) and b"\r\n\r\nHTTP/1.1 200 " in got,
              "%s has no body, and the next answer follows" % target, got)
        point(status == 204 and b"Content-Length" not in got.split(b"\r\n\r\n")[0] or
              status == 304 and b"Content-Length: 5" in got, "%s tells its length only when it may" % target, got)
    for target in ("head", "head-chunked"):
        c = Client().send(request(target, method="HEAD") + request("next"))
        got = c.until(b"GET 0 ")
        point(b"\r\n\r\nHTTP/1.1 200 " in got, "an answer to HEAD has no body (%s)" % target, got)


def streaming():
    c = Client().send(request("chunks"))
    c.until(b"one")
    first = time.monotonic()
    rest = c.until(b"0\r\n\r\n")
    took = time.monotonic() - first
    point(took > 0.8, "chunks arrive as they are sent", took)
    point(re.search(rb"two\r\n.*three\r\n0\r\n\r\n$", rest, re.S), "and end as they should", rest)
    got, end = once("trailers", until=b"0\r\nX-Sum: 1\r\n\r\n")
    point(b"Trailer: X-Sum" in got and b"ext" not in got and b"Set-Cookie" not in got and
          got.endswith(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"),
          "trailers pass, but for those that belong in a head; chunk extensions do not", got)
    got, end = once("trailers", version="HTTP/1.0")
    point(b"X-Sum: 1" not in got and got.endswith(b"\r\n\r\nok"), "a client of HTTP/1.0 gets none", got)
    got, end = once("until-close")
    point(got.endswith(b"all of it") and end == "closed" and b"Connection: close" in got,
          "a body until the close is passed and closed", got, end)
    got, end = once("chunks", version="HTTP/1.0")
    point(got.endswith(b"\r\n\r\nonetwothree") and b"chunked" not in got and end == "closed",
          "a client of HTTP/1.0 gets no chunks", got, end)
    body = b"x" * 3000000
    got = Client().send(request("echo", ["Transfer-Encoding: chunked"], "POST", body=b"%x\r\n%s\r\n0\r\n\r\n" % (
        len(body), body))).until(b"POST 3000000 ", 60)
    point(b"\r\n\r\nPOST 3000000 " in got, "a large chunked body arrives whole", got)


def early_and_half():
    c = Client().send(request("early", ["Content-Length: 50000000"], "POST", body=b"y" * 300000))
    got, end = c.rest()
    point(got.startswith(b"HTTP/1.1 413 ") and got.endswith(b"big") and end in ("closed", "reset"),
          "an early answer reaches a client that still sends", got, end)
    c = Client().send(request("echo", ["Content-Length: 2"], "POST", body=b"ab"))
    c.sock.shutdown(socket.SHUT_WR)
    got, end = c.rest()
    point(re.search(rb"\r\n\r\nPOST 2 \d+$", got) and end == "closed", "a client that has closed its half gets its answer", got)
    c = Client().send(request("echo", ["Content-Length: 9"], "POST", body=b"ab"))
    c.sock.shutdown(socket.SHUT_WR)
    got, end = c.rest()
    point(b"200 OK" not in got, "half a request is not answered as a whole one", got)


def left_alone():
    """Who answers learns that nobody waits any more, as it would from the client itself."""
    def how():
        return Client().send(request("how", ["Connection: close"])).rest()[0].rpartition(b"\r\n\r\n")[2]

    for first in "", "kept":
        c = Client()
        if first:
            c.send(request(first)).until(b"GET 0 ")
        got, end = ends_with(c, request("left"))
        point(got.endswith(b"\r\n\r\nclosed") and end == "closed", "a server sees that the client has ended (%s)" % first, got, end)
        point([how(), how()] == [b"awaited", b"closed"], "(it was there)")
        c = Client().send(request("left", ["Content-Length: 3"], "POST", body=b"abc"))
        got = how()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sock.close()
        got = got, how()
        point(got == (b"awaited", b"closed"), "and so of one that has broken off (%s)" % first, got)


def reuse():
    c = Client().send(b"".join(request("n%d" % i) for i in range(50)))
    # the number is that of the request on its connection, which may have served before
    got = c.until(b"GET 0 ") + c.until(b"HTTP")
    first = int(re.findall(rb"GET 0 (\d+)", got)[0])
    got += c.until(b"GET 0 %d" % (first + 49))
    order = [int(n) for n in re.findall(rb"GET 0 (\d+)", got)]
    point(order == list(range(first, first + 50)), "50 pipelined requests are answered in order on one connection", order)
    got, end = once("http10", until=b"\r\n\r\nok")
    point(got.endswith(b"ok"), "an answer of HTTP/1.0 passes", got, end)
    got, end = once("next", "Connection: close")
    point(b"Connection: close" in got and end == "closed", "close is answered with close", got, end)
    c = Client().send(request("unasked") + request("next"))
    got = c.until(b"GET 0 ") + c.rest(0.5)[0]
    point(b"POISONED" not in got, "an answer nobody asked for is not given to the next request", got)


def ends_with(c, data):
    """data and the end in one segment: nothing comes behind that would tell of the end."""
    c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    c.send(data)
    c.sock.shutdown(socket.SHUT_WR)
    return c.rest()


def kept():
    """On a connection that has carried messages before."""
    def used():
        c = Client()
        for i in range(3):
            c.send(request("k%d" % i)).until(b"GET 0 ")
            c.until(b"%d" % i, 0.05)
        return c

    got, end = ends_with(used(), request("last"))
    point(got.count(b"HTTP/1.1 200 ") == 1 and end == "closed", "a kept connection's last request may come with its end", got, end)
    got, end = ends_with(used(), b"")
    point(end == "closed", "a kept connection that ends is closed", got, end)
    got, end = ends_with(used(), request("echo", ["Content-Length: 9"], "POST", body=b"ab"))
    point(b"200 OK" not in got and end != "open", "half a request with its end is not answered as a whole one", got, end)
    c = used()
    for byte in request("slow", ["Content-Length: 3"], "POST", body=b"abc"):
        c.send(bytes([byte]))
    got = c.until(b"POST 3 ")
    point(b"POST 3 " in got, "a request byte by byte is answered", got)
    body = b"x" * 5000000
    got = used().send(request("echo", ["Content-Length: %d" % len(body)], "POST", body=body) + request("next")).until(
        b"GET 0 ", 60)
    point(b"POST 5000000 " in got and b"GET 0 " in got, "a large body arrives whole, and the request behind it", got)
    c = used()
    c.send(b"".join(request("p%d" % i, ["X-Fill: " + "f" * 3000]) for i in range(200)))
    got = b"".join(c.until(b"GET 0 ", 60) for _ in range(200))
    point(got.count(b"HTTP/1.1 200 ") == 200, "requests that fill more than a buffer are all answered", got.count(b"HTTP/1.1 200 "))
    c = used().send(request("slow", ["Content-Length: 3000"], "POST") + b"a" * 1000)
    c.sock.send(b"!", socket.MSG_OOB)
    got = c.send(b"b" * 2000).until(b"POST 3000 ")
    point(b"POST 3000 " in got, "a request with urgent data in it does not stand still", got)
    got, end = used().send(request("until-close")).rest()
    point(got.endswith(b"all of it") and end == "closed", "a body until the close is passed and closed", got, end)
    got, end = used().send(request("cut-length")).rest()
    point(end != "open" and not got.endswith(b"x" * 10), "an answer that is cut off does not look whole", got, end)


def broken_answers():
    for target in ("cl-te", "two-lengths", "bare-lf", "fold", "big-head", "not-http", "nothing", "cut-head",
                   "unasked-101"):
        got, end = once(target, until=b"upstream-protocol")
        point(got.startswith(b"HTTP/1.1 502 ") and b"upstream-protocol" in got,
              "%s is a 502 that says why" % target, got, end)
    for target in ("cut-length", "cut-chunk"):
        got, end = once(target)
        whole = got.endswith(b"0\r\n\r\n") or len(got.split(b"\r\n\r\n", 1)[-1]) >= 10
        point(not whole and end != "open", "%s does not look whole" % target, got, end)
    got, _ = once("hop", until=b"\r\n\r\nok")
    point(b"Keep-Alive:" not in got and b"Proxy-Auth" not in got and got.endswith(b"ok"),
          "hop-by-hop fields of an answer stay behind", got)


for group in (interim, bodiless, streaming, early_and_half, left_alone, reuse, kept, broken_answers):
    try:
        group()
    except OSError as error:
        point(False, "%s: %s" % (group.__name__, error))
plan()
