#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does `exeat policy explain` say what the gates do? Random requests, sent and asked about.

usage: explain.py serve CERT KEY           servers for all of it, in the little internet
       explain.py ask SEED N any|http      inside of exeat run: sends, a JSON line for each on stdout
       explain.py judge SEED N any|http EXEAT POLICY AUDIT [OPTIONS] <ANSWERS
                                           compares, as TAP points

A request is known by its source port, in the audit log as well. Literal addresses come before any
name is asked for: what the workload has resolved is part of the question. Each name has an address of
its own, for the same reason.
"""
import concurrent.futures
import json
import os
import shlex
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

from explain_requests import HOSTS, NAMELESS, PORTS, address, authority, make

FLOW, QUERY = 2000, 30000  # source ports begin here


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
    fields += [(name.lower(), value) for name, value in (h.split(": ", 1) for h in r["headers"])]
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


def ask(requests):
    made = list(enumerate(requests))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for named in False, True:
            part = [(i, r) for i, r in made if bool(r["name"]) == named]
            for (i, _), got in zip(part, pool.map(lambda x: send(*x), part)):
                print(json.dumps([i, got]))


# ---- the judge ----

# What explain says is denied although rules allow it.
BEYOND_RULES = {"policy-deny", "reserved-deny", "upgrade-denied", "http-too-large", "host-mismatch"}


class Judge:
    def __init__(self, exeat, policy, options):
        self.exeat, self.policy, self.options = exeat, policy, options

    def explain(self, r, *more):
        url = f"{authority(r)}{r['path']}"
        to = {"tls": f"https://{url}", "h2": f"https://{url}", "http": f"http://{url}", "raw": authority(r),
              "udp": authority(r) + "/udp"}[r["how"]]
        args = [self.exeat, "policy", "explain", self.policy, *more, *self.options, "--format", "json",
                "--to", to, "--address", r["address"]]
        if r["how"] in ("tls", "h2", "http"):
            args += ["-X", r["method"]] + [x for h in r["headers"] for x in ("-H", h)]
        if r["how"] in ("tls", "h2"):
            args += ["--sni", r["sni"]]
        out = subprocess.run(args, capture_output=True, text=True, check=False)
        said = json.loads(out.stdout) if out.returncode in (0, 1) else {"verdict": out.stderr}
        said["question"] = shlex.join(args[2:])
        return said

    def inner_quarrels(self, said):
        """The status that explain gives each rule has to go with its verdict."""
        if "rules" not in said or said["gate"] == "DNS":
            return
        where = [x["rule"]["where"] for x in said["rules"]]
        lists = {w.split(".rules.http")[0] for w in where if ".rules.http" in w}
        last = [x for x in said["rules"] if x["rule"]["where"] not in lists]
        applies = {x["rule"]["id"]: x["deny"] for x in said["rules"] if x["applies"]}
        rule = said.get("rule") or {}
        if said["verdict"] == "deny" and said["reason"] not in BEYOND_RULES and not rule:
            for x in last:
                if x["applies"] and not x["deny"]:
                    yield f"denied, but {x['rule']['where']} applies"
        if said["reason"] in ("allowed", "policy-deny") and rule:
            if applies.get(rule["id"]) != (said["reason"] == "policy-deny"):
                yield f"{said['reason']} by {rule['where']}, which does not apply"
        if said["reason"] == "allowed":
            for x in last:
                if x["applies"] and x["deny"]:
                    yield f"not denied, but {x['rule']['where']} applies"

    def edit_quarrels(self, said, r):
        """With the rule that explain suggests the request is allowed, or another one says no."""
        rule = said.get("edit", "").partition("add this rule under egress\n")[2].partition("and ")[0]
        if not rule:
            return
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=os.environ.get("TMPDIR")) as f:
            f.write("apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: edit}\n"
                    "spec:\n  endpointSelector: {}\n  egress:\n" + rule)
            f.flush()
            then = self.explain(r, f.name)
        if then["verdict"] != "allow" and "rule" not in then:
            yield f"with its edit {rule!r}: {then['verdict']} {then.get('reason')} {then.get('edit')!r}"

    def gate_quarrels(self, said, seen, answer):
        """What was written down, and what the client saw."""
        gate, detail = seen[-1], seen[-1].get("detail", "")
        passed = gate.get("verdict") not in ("deny", None)
        rule, named = said.get("rule") or said.get("nearest") or {}, (gate.get("policy"), gate.get("rule"))
        if (passed, gate.get("reason")) != (said["verdict"] == "allow", said.get("reason")):
            yield f"the gates said {gate.get('verdict')} {gate.get('reason')} {detail}"
        elif gate.get("gate") != "kernel" and named != (rule.get("policy"), rule.get("where")):
            yield f"the gates named {named}, explain {rule.get('policy')} {rule.get('where')}"
        elif passed:
            does = ", ".join(f"{h['action']} {h['name']}" for h in said["headers"])
            if does != detail:
                yield f"the gates did '{detail}', explain says '{does}'"
        if (answer == "served") != passed:
            yield f"the client got: {answer}"
        if len({x.get("verdict") for x in seen}) != 1:
            yield "there are several verdicts"


def read_records(audit):
    records = {}
    with open(audit, encoding="utf-8") as f:
        for line in f:
            record = json.loads(line)
            if "sport" in record:
                records.setdefault(record["sport"], []).append(record)
    return records


def judge(exeat, policy, audit, options, requests):
    records, ask = read_records(audit), Judge(exeat, policy, options)
    answers = dict(json.loads(line) for line in sys.stdin)
    wrong, reasons, passed = 0, {}, 0
    for i, r in enumerate(requests):
        seen = records.get(FLOW + i) or records.get(QUERY + i) or [{}]
        said = ask.explain(r)
        quarrels = [*ask.gate_quarrels(said, seen, answers.get(i)), *ask.inner_quarrels(said), *ask.edit_quarrels(said, r)]
        if quarrels:
            print(f"{i}: {said['question']}: {said['verdict']} {said.get('reason')}")
            print(*(f"   {q}" for q in quarrels), sep="\n")
        wrong += bool(quarrels)
        key = f"{said['verdict']} {said.get('reason')}"
        reasons[key] = reasons.get(key, 0) + 1
        passed += said["verdict"] == "allow"
    for key, n in sorted(reasons.items()):
        print(f"{n:5} {key}")
    count = len(requests)
    print("not ok" if wrong else "ok", f"- {count} requests, {passed} of them allowed: as explained")
    print("ok" if count // 20 < passed < count * 19 // 20 else "not ok", "- some are allowed, some denied")
    print("1..2")


def main():
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
        return
    requests = make(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    if sys.argv[1] == "ask":
        ask(requests)
    else:
        judge(*sys.argv[5:8], sys.argv[8:], requests)


if __name__ == "__main__":
    main()
