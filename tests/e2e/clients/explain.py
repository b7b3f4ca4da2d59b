#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does `exeat policy explain` say what the gates do? Random requests, sent and asked about.

usage: explain.py serve CERT KEY           servers for all of it, in the little internet
       explain.py ask SEED N               inside of exeat run: sends, a JSON line for each on stdout
       explain.py judge EXEAT POLICY AUDIT SEED N <ANSWERS
                                           compares, as TAP points

A request is known by its source port, in the audit log as well. Literal addresses come before any
name is asked for: what the workload has resolved is part of the question. Each name has an address of
its own, for the same reason.
"""
import concurrent.futures
import json
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading

HOSTS = {"a.explain.test": 101, "b.explain.test": 102, "one.wild.explain.test": 103,
         "two.wild.explain.test": 104, "denied.explain.test": 105, "other.test": 107}
NAMELESS = 106
PORTS = [80, 443, 8443, 7777]
PATHS = ["/", "/v1/", "/v1/chat", "/v1/chat?x=1", "/public", "/public?q", "/publication", "/v1"]
ODD_PATHS = ["/v1/%63hat", "/v1/%2e%2e/public", "/v1/../public", "/v1/./chat", "/v1//chat", "/v1/a%2Fb",
             "/v1/a%2fb", "/v1/%5C", "/v1/%zz", "/v1/..;/x", "/v1/%C3%A4", "/v1/%c3%a4", "/v1/%C3", "/v1/%00",
             "/v1/%20", "/v1/x;y", "/v1/?a=../b", "/public?%2F", "/public?_method=PUT", "/v1/\\x",
             "/v1/chat;x", "/v1/x%3By", "/v1/chat%3Fx", "/v1/a%23b", "/public;x?y", "/public%3Bx", "/public%23"]
ODD_METHODS = ["CONNECT", "TRACE", "get", "BREW", "PRI", "DELETE", "OPTIONS"]
UPGRADE = "Connection: Upgrade"
ODD_HEADERS = [["Upgrade: websocket", UPGRADE], ["Upgrade: h2c", UPGRADE], ["Upgrade: tls", UPGRADE],
               ["Content-Length: +0"], ["Content-Length: 0", "Content-Length: 0"], ["Transfer-Encoding: gzip"],
               ["X-A: \x01"], ["X B: c"], ["X-Tenant: blue", "X_Tenant: red"], ["X_Tenant: blue"],
               ["X-Amz-Copy-Source: /b"], ["x_ms_copy_source: u"],
               ["X-Tenant: red", "X-Tenant: blue"], ["Expect: more"], ["Connection: X-Tenant"], ["Content_Length: 5"]]
FLOW, QUERY = 2000, 30000  # source ports begin here


def address(host, family):
    return f"203.0.113.{host}" if family == 4 else f"2001:db8:113::{host}"


# ---- the requests ----

def make(seed, count):
    rnd = random.Random(seed)
    made = []
    while len(made) < count:
        r = {"family": rnd.choice([4, 6]), "port": rnd.choice(PORTS),
             "method": rnd.choice(["GET", "GET", "HEAD", "POST", "PUT"]),
             "path": rnd.choice(PATHS if rnd.random() < .8 else ODD_PATHS),
             "headers": rnd.choice([[], [], ["X-Tenant: blue"], ["X-Tenant: red"]])}
        r["name"] = rnd.choice(list(HOSTS) + ["", "", ""])
        r["address"] = address(HOSTS.get(r["name"]) or
                               rnd.choice(list(HOSTS.values()) + [NAMELESS]), r["family"])
        # what is sent where TLS is meant is most often TLS
        r["how"] = rnd.choice(["tls"] * 6 + ["http", "raw"] if r["port"] == 443 else
                              ["http"] * 5 + ["tls", "raw", "udp"])
        r["sni"] = rnd.choice([r["name"]] * 4 + ["", rnd.choice(list(HOSTS))])
        if r["how"] == "raw" and r["name"] and r["port"] in (80, 443):
            continue  # of a name, explain takes these ports for HTTP and TLS
        r["port"] = 7777 if r["how"] == "udp" else r["port"]
        if r["how"] == "tls" and r["name"] and rnd.random() < .4:
            r.update(how="h2", sni=r["name"])  # what the versions say differently is not asked about
        if r["how"] in ("tls", "http") and rnd.random() < .1:
            r["method"] = rnd.choice(ODD_METHODS)
        if r["how"] in ("tls", "http") and rnd.random() < .1:
            r["headers"] = rnd.choice(ODD_HEADERS)
        made.append(r)
    made.sort(key=lambda r: r["name"] != "")  # stable: the literals first
    return made


def authority(r):
    host = r["name"] or (f"[{r['address']}]" if r["family"] == 6 else r["address"])
    return host if r["port"] == {"tls": 443, "h2": 443, "http": 80}.get(r["how"]) else f"{host}:{r['port']}"


# ---- servers ----

def answer(conn, context):
    with conn:
        conn.settimeout(30)
        try:
            if conn.recv(1, socket.MSG_PEEK) == b"\x16":
                conn = context.wrap_socket(conn, server_side=True)
            head = conn.recv(65536)
            if b" HTTP/1.1\r\n" not in head:
                conn.sendall(b"served\n")
                return
            body = b"" if head.startswith(b"HEAD") else b"served\n"
            conn.sendall(b"HTTP/1.1 200 OK\r\nX-Served: served\r\nConnection: close\r\n"
                         b"Content-Length: %d\r\n\r\n" % len(body) + body)
        except OSError:
            pass


def accept(listener, context):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=answer, args=(conn, context), daemon=True).start()


def echo(sock):
    while True:
        _, peer = sock.recvfrom(2048)
        sock.sendto(b"served\n", peer)


def serve(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    for family in 4, 6:
        inet = socket.AF_INET if family == 4 else socket.AF_INET6
        for host in [*HOSTS.values(), NAMELESS]:
            for port in PORTS:
                listener = socket.create_server((address(host, family), port), family=inet)
                threading.Thread(target=accept, args=(listener, context), daemon=True).start()
                sock = socket.socket(inet, socket.SOCK_DGRAM)
                sock.bind((address(host, family), port))
                threading.Thread(target=echo, args=(sock,), daemon=True).start()
    threading.Event().wait()


# ---- the client ----

def resolve(r, port):
    kind = 1 if r["family"] == 4 else 28
    name = b"".join(b"%c%s" % (len(part), part.encode()) for part in r["name"].split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("", port))
        s.settimeout(20)
        s.sendto(struct.pack(">6H", port, 0x100, 1, 0, 0, 0) + name + struct.pack(">BHH", 0, kind, 1),
                 ("192.0.0.1", 53))
        reply = s.recv(2048)
    return reply[3] & 15 == 0 and socket.inet_pton(
        socket.AF_INET if kind == 1 else socket.AF_INET6, r["address"]) in reply


def read_all(s):
    got = b""
    while b"served" not in got and (data := s.recv(65536)):
        got += data
    return got


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    return b"\x00" + b"".join(bytes([len(x)]) + x for x in (name.encode(), value.encode()))


def speak_h2(r, s):
    """One request of HTTP/2; a status of 200 is one byte of HPACK, ours or after a table size."""
    fields = [(":method", r["method"]), (":scheme", "https"), (":authority", authority(r)), (":path", r["path"])]
    fields += [tuple(h.lower().split(": ")) for h in r["headers"]]
    s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") +
              frame(1, 5, 1, b"".join(literal(*f) for f in fields)))
    got = b""
    while data := s.recv(65536):
        got += data
        while len(got) >= 9 and len(got) >= 9 + int.from_bytes(got[:3], "big"):
            kind, payload, got = got[3], got[9:9 + int.from_bytes(got[:3], "big")], got[9 + int.from_bytes(got[:3], "big"):]
            if kind == 1:
                return b"served" if payload.lstrip(b"\x3f\xe1\x1f\x20")[:1] == b"\x88" else b"refused over h2"
            if kind in (3, 7):
                return b"reset"
    return b""


def speak(r, s):
    s.settimeout(20)
    s.connect((r["address"], r["port"]))
    if r["how"] == "udp":
        s.send(b"anyone?")
        return s.recv(2048)
    if r["how"] == "raw":
        s.sendall(b"\x07neither TLS nor HTTP\n")
        return read_all(s)
    if r["how"] in ("tls", "h2"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"] if r["how"] == "h2" else ["http/1.1"])
        s = context.wrap_socket(s, server_hostname=r["sni"] or None)
    if r["how"] == "h2" and s.selected_alpn_protocol() == "h2":  # what is passed through speaks HTTP/1.1
        return speak_h2(r, s)
    lines = [f"{r['method']} {r['path']} HTTP/1.1", f"Host: {authority(r)}"] + r["headers"]
    s.sendall("\r\n".join(lines + ["", ""]).encode())
    return read_all(s)


def send(i, r):
    try:
        if r["name"] and not resolve(r, QUERY + i):
            return "not resolved"
        inet = socket.AF_INET if r["family"] == 4 else socket.AF_INET6
        kind = socket.SOCK_DGRAM if r["how"] == "udp" else socket.SOCK_STREAM
        with socket.socket(inet, kind) as s:
            s.bind(("", FLOW + i))
            got = speak(r, s)
            return "served" if b"served" in got else got[:60].decode("latin-1") or "closed"
    except OSError as e:
        return str(e)


def ask(seed, count):
    made = list(enumerate(make(seed, count)))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for named in False, True:
            part = [(i, r) for i, r in made if bool(r["name"]) == named]
            for (i, _), got in zip(part, pool.map(lambda x: send(*x), part)):
                print(json.dumps([i, got]))


# ---- the judge ----

def explain(exeat, policy, r):
    url = f"{authority(r)}{r['path']}"
    to = {"tls": f"https://{url}", "h2": f"https://{url}", "http": f"http://{url}", "raw": authority(r),
          "udp": authority(r) + "/udp"}[r["how"]]
    args = [exeat, "policy", "explain", policy, "--to", to, "--address", r["address"]]
    if r["how"] in ("tls", "h2", "http"):
        args += ["-X", r["method"]] + [x for h in r["headers"] for x in ("-H", h)]
    if r["how"] in ("tls", "h2"):
        args += ["--sni", r["sni"]]
    out = subprocess.run(args, capture_output=True, text=True, check=False)
    said = re.search(r"^verdict: +(ALLOW|DENY) +\(([a-z0-9-]+):", out.stdout, re.M)
    return (said[1] == "ALLOW", said[2]) if said else (None, out.stderr), " ".join(args[2:])


def judge(exeat, policy, audit, seed, count):
    records = {}
    with open(audit, encoding="utf-8") as f:
        for line in f:
            record = json.loads(line)
            if "sport" in record:
                records.setdefault(record["sport"], []).append(record)
    answers = dict(json.loads(line) for line in sys.stdin)
    wrong, reasons = [], {}
    for i, r in enumerate(make(seed, count)):
        seen = records.get(FLOW + i) or records.get(QUERY + i) or [{}]
        gate = (seen[-1].get("verdict") not in ("deny", None), seen[-1].get("reason"))
        said, question = explain(exeat, policy, r)
        served = answers.get(i) == "served"
        reasons.setdefault(gate, []).append(i)
        if gate != said or served != gate[0] or len({x.get("verdict") for x in seen}) != 1:
            wrong.append(f"{i}: {question}: explain {said}, gates {gate}, client: {answers.get(i)}")
    for line in wrong:
        print(line)
    for (allowed, reason), which in sorted(reasons.items(), key=str):
        print(f"{len(which):5} {'allow' if allowed else 'deny'} {reason}")
    passed = sum(len(v) for k, v in reasons.items() if k[0])
    print("not ok" if wrong else "ok", f"- {count} requests, {passed} of them allowed: as explained")
    print("ok" if count // 20 < passed < count * 19 // 20 else "not ok", "- some are allowed, some denied")
    print("1..2")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    elif sys.argv[1] == "ask":
        ask(int(sys.argv[2]), int(sys.argv[3]))
    else:
        judge(*sys.argv[2:5], int(sys.argv[5]), int(sys.argv[6]))
