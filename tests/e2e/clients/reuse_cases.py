#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests on connections that have served others, against tests/lib/leaving_origin.py. TAP points.

usage: reuse_cases.py http|https LOGFILE-OF-THE-ORIGIN
"""
import http.client
import json
import socket
import ssl
import sys
import threading
import time

import points
from points import plan

SCHEME, LOG = sys.argv[1], sys.argv[2]
PORT = 443 if SCHEME == "https" else 8080
ONE, TWO = "one.reuse.test", "two.reuse.test"
MANY = 160  # more than EX_CONNS_BUSY
CONTEXT = ssl.create_default_context()  # to read the trust store takes longer than a handshake


def point(good, what, *details):
    points.point(good, "%s: %s" % (SCHEME, what), *details)


def connect(name=ONE):
    if SCHEME == "https":
        return http.client.HTTPSConnection(name, PORT, timeout=60, context=CONTEXT)
    return http.client.HTTPConnection(name, PORT, timeout=60)


class Answer:
    def __init__(self, response):
        self.status, text = response.status, response.read()
        self.json = json.loads(text) if self.status == 200 else {}
        self.text = text.decode()
        self.conn, self.served = self.json.get("conn"), self.json.get("served")

    def __repr__(self):
        return "%d %s" % (self.status, self.text)


def ask(c, method, path, body=None, **fields):
    c.request(method, "/case/" + path, body, fields)
    return Answer(c.getresponse())


def leave(c):
    """Ends a connection. When the proxy has ended its half, it keeps the server's connection for others."""
    if c.sock:
        c.sock.shutdown(socket.SHUT_WR)
        while c.sock.recv(1024):
            pass
    c.close()


def once(method, path, body=None, name=ONE, **fields):
    c = connect(name)
    try:
        return ask(c, method, path, body, **fields)
    finally:
        leave(c)


def times_seen(path):
    with open(LOG, encoding="ascii") as f:
        return sum(json.loads(line)["target"] == "/case/" + path for line in f)


def pooled():
    """A connection to the server is idle in the proxy; who made it."""
    return once("POST", "first", b"x").conn


def any_request():
    conn = pooled()
    got = once("POST", "second", b"y" * 100000)
    point(got.conn == conn and got.served, "a POST takes a connection that is idle", conn, got)
    got = once("POST", "third", iter([b"a", b"b"]))
    point(got.conn == conn, "one in chunks, too", conn, got)
    got = once("GET", "fourth")
    point(got.conn == conn and got.served == 3, "and so does a GET", conn, got)
    time.sleep(2)
    got = once("POST", "late", b"x")
    point(got.status == 200 and got.conn != conn, "one that was idle for long is not taken", conn, got)


def never_twice():
    for what in ("dies", "half") + (("gone",) if SCHEME == "http" else ()):
        pooled()
        path = what + "/pooled"
        got = once("POST", path, b"x")
        point(got.status == 502 and times_seen(path) == 1, "a POST that the server may have read is sent once (%s)" % what,
              got, times_seen(path))
        point("kept connection" in got.text or what == "half", "its 502 says why (%s)" % what, got)
        c = connect()
        ask(c, "POST", "first", b"x")
        path = what + "/kept"
        got = ask(c, "POST", path, b"x")
        point(got.status == 502 and times_seen(path) == 1, "also on the client's own kept connection (%s)" % what, got)
        pooled()
        path = what + "/get"
        got, again = once("GET", path), what != "half"
        point((got.status == 200) == again and times_seen(path) == 1 + again,
              "a GET is sent once more, unless it was being answered (%s)" % what, got, times_seen(path))


def leaving():
    """The server ends the connection just about when the next request comes."""
    statuses, wrong = [], []
    for i in range(60):
        path = "leaves/%d" % i
        statuses.append(once("POST", path, b"x").status)
        time.sleep(0.06 + (i % 20) * 0.003)
        # one that was refused may have been read, or not
        wrong += [path] if times_seen(path) > 1 or times_seen(path) < (statuses[-1] == 200) else []
    point(set(statuses) <= {200, 502} and statuses.count(200) > 30 and not wrong,
          "sixty races against a server that leaves: none is served twice", statuses, wrong)
    c = connect()
    first = ask(c, "POST", "leaves/kept", b"x")
    time.sleep(0.3)
    got = ask(c, "POST", "next", b"x")
    point(got.status == 200 and got.conn != first.conn, "a client does not notice that the server left meanwhile", got)


def apart():
    conn = pooled()
    c = connect()
    c.request("POST", "/other", b"x")
    refused = c.getresponse()
    refused.read()
    c.close()
    point(refused.status == 403, "a denied POST gets no connection", refused.status)
    got = once("POST", "after", b"x")
    point(got.conn == conn, "and spoils none", conn, got)
    other = once("POST", "two", b"x", TWO)
    point((other.conn == conn) == (SCHEME == "http"), "inside TLS a connection serves one name only", conn, other)
    pooled()
    bound = once("POST", "bound", b"x", Authorization="NTLM TlRMTVNTUAADAAAA")
    got = once("POST", "after", b"x")
    point(got.conn != bound.conn, "a connection that somebody has authenticated serves nobody else", bound, got)


def burst(clients):
    """All at once: whoever waits for a server may get another's, and always its own answer."""
    answers, fresh = {}, [connect() for _ in clients]

    def one(i, c):
        for k in range(3):
            path = "burst/%d/%d" % (i, k)
            try:
                answers[path] = ask(c, "POST", path, b"x")
            except OSError as error:
                answers[path] = error
    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(fresh)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wrong = [(p, a) for p, a in answers.items()
             if not isinstance(a, Answer) or a.status != 200 or a.json["target"] != "/case/" + p]
    point(len(answers) == 3 * MANY and not wrong, "requests of many at once get their own answers", wrong[:3])
    twice = [p for p in answers if times_seen(p) != 1]
    point(not twice, "and arrive once", twice[:3])
    used = {a.conn for a in answers.values() if isinstance(a, Answer)}
    point(len(used) < MANY, "over fewer connections", len(used))
    for c in fresh:
        c.close()


def many():
    """Of so many clients most wait: a server's connection need not wait with each of them."""
    clients = [connect() for _ in range(MANY)]
    got = [ask(c, "POST", "many", b"x") for c in clients]
    mine, last = [a.conn for a in got], got[-1].conn
    point(all(a.status == 200 for a in got) and len(set(mine)) < MANY,
          "of many clients those that wait lend their connection", len(set(mine)), got[-1])
    bound = ask(clients[-1], "POST", "bound", b"x", Authorization="NTLM TlRMTVNTUAADAAAA")
    after = ask(clients[-2], "POST", "after", b"x")
    point(bound.conn == last and after.status == 200 and after.conn != last,
          "one that somebody has authenticated is not lent", bound, after)
    other = connect(TWO)
    first = ask(other, "POST", "two", b"x")
    point(first.conn not in mine + [after.conn], "one for another name neither", first)
    point(ask(clients[-2], "POST", "after", b"x").conn == after.conn, "what its client needs again it keeps", after)
    time.sleep(5)
    late = [ask(c, "POST", "late", b"x") for c in clients]
    point(all(a.status == 200 for a in late), "clients do not notice that it was closed meanwhile",
          [a for a in late if a.status != 200][:3])
    point(after.conn not in [a.conn for a in late], "and it was", after, late[-2])
    point(late[-1].conn == last, "but not the authenticated one", late[-1])
    other.close()
    burst(clients)
    for c in clients:
        c.close()


for group in (any_request, never_twice, leaving, apart) + ((many,) if SCHEME == "https" else ()):
    try:
        group()
    except OSError as error:
        point(False, "%s: %s" % (group.__name__, error))
plan()
