# SPDX-License-Identifier: Apache-2.0
"""exeat beside its peers: takes the measures in the world that peers.sh has made.

Client, server and resolver share CPU 0; each proxy is alone on CPU 1. Variants take turns in every
round, in an order that rotates. A requests/s number would say how fast CPU 0 is, so what counts is
the CPU time that the proxy's processes (for exeat: proxy and parent) took for one request, connection
or GiB, from /proc/PID/task/*/schedstat; then what all processes of the benchmark took, less what they
take without a proxy; then latency. A ratio is the median of the ratios of each round.

Before anything is timed each variant has to let pass what it should and to refuse what it should; one
that does not is void. So is a round with one wrong, broken or truncated answer.
"""

import json
import os
import re
import statistics
import sys
import time

import first_seen
from variant import Missing, Variant, cpu_all, cpu_of, memory, rss

SHORT = "--short" in sys.argv
QUIET = 12 # s until a proxy is at rest
ONLY = [a for a in sys.argv[1:] if not a.startswith("-")]
ROUNDS = int(os.environ.get("ROUNDS", 3 if SHORT else 7))
EACH = os.environ.get("SECONDS_EACH", "1" if SHORT else "2")
WORLD, TOP, EXEAT = os.environ["WORLD"], os.environ["TOP"], os.environ["EXEAT"]
NAME, LOAD = os.environ["NAME"], os.environ["LOAD"] + "/load"
FEW = {"mitmproxy": 1 if SHORT else 2} # rounds, of who is slower by orders of magnitude
QPS = 400 # of forwarded questions: exeat lets a workload have 500 a second, so that nobody tunnels
GIB = 1 << 30
BLOB = 100 << 20

PLAIN, TLS = f"http://{NAME}", f"https://{NAME}"
CHAT = ["-m", "POST", "-u", "113", "-l", "215"]
DOWN = ["-n", "-c", "1", "-l", str(BLOB)]
UP = ["-n", "-c", "1", "-m", "PUT", "-u", str(BLOB)]


def variants():
    def pid(name):
        with open(f"{WORLD}/pid/bench-{name}", encoding="ascii") as f:
            return int(f.read())

    def pod(name):
        return ["ip", "netns", "exec", f"pod-{name}"]

    def peer(name, place, daemon):
        there = os.path.exists(f"{WORLD}/pid/bench-{daemon}")
        return Variant(name, pod(place), pid(daemon)) if there else Missing()

    resolver = ["--dns", f"bench.example={os.environ['RESOLVER4']}:5300"]

    def exeat(policy, *options, folder=f"{TOP}/bench"):
        return [EXEAT, "run", "-q", "--workers", "1", "-p", f"{folder}/{policy}.yaml", *resolver, *options, "--"]

    made = {
        "direct": Variant("direct", pod("direct")),
        "relay": Variant("relay", pod("relay"), pid("relay")),
        "relay-splice": Variant("relay-splice", pod("splice"), pid("relay-splice")),
        "haproxy": Variant("haproxy", pod("haproxy"), pid("haproxy")),
        "nginx": Variant("nginx", pod("nginx"), pid("nginx")),
        "squid": peer("squid", "squid", "squid"),
        "mitmproxy": peer("mitmproxy", "mitm", "mitmproxy"),
        "exeat": Variant("exeat", exeat("policy-peers"), "self"),
        "exeat --log": Variant("exeat --log", exeat("policy-peers", "--log", f"{WORLD}/log/bench-audit"), "self"),
        "dnsdist": Variant("dnsdist", pod("relay"), pid("dnsdist")),
        "dnsmasq": Variant("dnsmasq", pod("relay"), pid("dnsmasq")),
        "dnsmasq, learning": Variant("dnsmasq, learning", pod("relay"), pid("dnsmasq-nftset")),
        "dns-exeat": Variant("exeat", exeat("policy-dns", folder=f"{WORLD}/conf"), "self"),
        "haproxy-sni": Variant("haproxy", pod("hapname"), pid("haproxy")),
        "nginx-sni": Variant("nginx", pod("nginxname"), pid("nginx")),
        "squid-sni": peer("squid", "squidname", "squid"),
        "exeat-sni": Variant("exeat", exeat("policy-peers-name"), "self"),
        "exeat-mint": Variant("exeat", exeat(first_seen.POLICY), "self"),
    }
    for v in made:
        if v in ("direct", "relay", "relay-splice") or v.startswith("dns"):
            continue
        l7 = not v.endswith("-sni")
        urls = ["https://n0.mint.test"] if v == "exeat-mint" else [PLAIN, TLS] if l7 else [TLS]
        for url in urls:
            made[v].void = made[v].void or made[v].smoke(url, l7)
        made[v].used = memory(made[v].pids)
        if made[v].void:
            print(f"void: {v}: {made[v].void}")
    return made


L7 = ["direct", "relay", "haproxy", "nginx", "squid", "mitmproxy", "exeat", "exeat --log"]
L7_ONE = [n for n in L7 if n != "mitmproxy"]
L7_BULK = ["direct", "relay-splice", "haproxy", "nginx", "squid", "exeat"]
SNI = ["direct", "relay", "haproxy-sni", "nginx-sni", "squid-sni", "exeat-sni"]
CHATS = "/v1/chat/completions"

# key, title, variants, unit, load, url, CPU of the proxies
ROWS = [
    ("http-ka", "HTTP, 64 connections kept", L7, "req", [*CHAT, "-c", "64"], PLAIN + CHATS, 1),
    ("http-one", "HTTP, 1 connection, all on one CPU", L7_ONE, "req", [*CHAT, "-c", "1"], PLAIN + CHATS, 0),
    ("http-new", "HTTP, a connection each (16 at a time)", L7, "req", [*CHAT, "-n", "-c", "16"], PLAIN + CHATS, 1),
    ("http-down", "HTTP, 100 MiB downloads", L7_BULK, "GiB", DOWN, PLAIN + "/blob", 1),
    ("http-up", "HTTP, 100 MiB uploads", L7_BULK, "GiB", UP, PLAIN + "/sink/blob", 1),
    ("sni-ka", "TLS passed by name, 64 connections kept", SNI, "req", [*CHAT, "-c", "64"], TLS + CHATS, 1),
    ("sni-new", "TLS passed by name, a connection each", SNI, "req", [*CHAT, "-n", "-c", "16"], TLS + CHATS, 1),
    ("tls-ka", "TLS intercepted, 64 connections kept", L7, "req", [*CHAT, "-c", "64"], TLS + CHATS, 1),
    ("tls-get", "TLS intercepted, 64 connections kept, GET (squid breaks off after a POST)", L7, "req",
     ["-l", "215", "-c", "64"], TLS + "/v1/models", 1),
    ("tls-new", "TLS intercepted, a connection each", L7, "req", [*CHAT, "-n", "-c", "16"], TLS + CHATS, 1),
    ("tls-down", "TLS intercepted, 100 MiB downloads", L7_BULK, "GiB", DOWN, TLS + "/blob", 1),
    ("tls-up", "TLS intercepted, 100 MiB uploads", L7_BULK, "GiB", UP, TLS + "/sink/blob", 1),
]


def sample(v, unit, load, url, cpu):
    """One turn of one variant: what a unit of work cost."""
    v.pin(cpu)
    before, all_before = sum(map(cpu_of, v.pids)), cpu_all()
    got = json.loads(v.run(LOAD, "-s", EACH, *load, url) or "{}")
    proxy, everything = sum(map(cpu_of, v.pids)) - before, cpu_all() - all_before
    if cpu != 1:
        v.pin(1)
    if not got or not got["requests"] or not v.lives():
        return {"broken": "no answer at all" if v.lives() else "the proxy has ended"}
    if got["errors"] or got["wrong"]:
        return {"broken": f"{got['errors']} broken and {got['wrong']} wrong of {got['requests']} answers"}
    work = got["requests"] * BLOB / GIB if unit == "GiB" else got["requests"]
    # the client's process has ended: what it took is in its report
    return {"rate": work / got["seconds"], "proxy": proxy / work, "all": (everything + got["cpu"]) / work,
            "p50": got["p50"], "p99": got["p99"]}


def median(values):
    return statistics.median(values) if values else None


def paired(samples, a, b, key):
    """The median over rounds of a/b, and how far the rounds are apart."""
    r = [x[key] / y[key] for x, y in zip(samples[a], samples[b]) if key in x and key in y and y[key] > 0]
    return (median(r), min(r), max(r)) if r else None


def measure(row, made):
    key, title, names, unit, load, url, cpu = row
    samples = {n: [] for n in names if not made[n].void}
    for r in range(ROUNDS):
        order = list(samples)
        for n in order[r % len(order):] + order[:r % len(order)]:
            if r < FEW.get(n, ROUNDS):
                samples[n].append(sample(made[n], unit, load, url, cpu))
    table(title, samples, unit, names)
    return key, samples


def cell(samples, n, key, scale, digits):
    values = [s[key] * scale for s in samples[n] if key in s]
    if not values:
        return "-"
    return f"{median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def table(title, samples, unit, names):
    scale, digits, cost = (1e6, 1, "us") if unit == "req" else (1, 2, "s")
    print(f"\n### {title}\n\n| | {unit}/s, of direct | proxy CPU {cost}/{unit} | added, all processes | p50 us | p99 us |"
          "\n|---|---|---|---|---|---|")
    base = median([s["all"] for s in samples["direct"] if "all" in s]) or 0
    for n in names:
        if n not in samples:
            print(f"| {n} | void | | | | |")
            continue
        broken = [s["broken"] for s in samples[n] if "broken" in s]
        rate = paired(samples, n, "direct", "rate")
        added = [(s["all"] - base) * scale for s in samples[n] if "all" in s]
        print(f"| {n} | {rate[0] if rate else 0:.2f} | {'-' if n == 'direct' else cell(samples, n, 'proxy', scale, digits)} "
              f"| {median(added) or 0:+.{digits}f} | {cell(samples, n, 'p50', 1, 0)} | {cell(samples, n, 'p99', 1, 0)} |"
              + (f" **{len(broken)} rounds void: {broken[0]}**" if broken else ""))
    sys.stdout.flush()


def dns_sample(v, port, how):
    """Answers of the names, all forwarded: at an even rate, one question at a time, or all at once."""
    load = {"even": ["-c", "8", "-q", "50", "-l", EACH, "-Q", str(QPS)],
            "single": ["-c", "1", "-q", "1", "-l", EACH, "-Q", str(QPS // 2)],
            "burst": ["-c", "8", "-q", "50", "-n", "1"]}[how]
    server = "10.77.2.1" if port else v.nameserver
    before = sum(map(cpu_of, v.pids))
    out = v.run("dnsperf", "-s", server, "-p", str(port or 53), "-d", f"{WORLD}/conf/bench.names", *load)
    proxy = sum(map(cpu_of, v.pids)) - before
    found = {k.strip(): val for k, val in (line.split(":", 1) for line in out.splitlines() if ":" in line)}
    answers = int(re.search(r"NOERROR (\d+)", found.get("Response codes", "")).group(1)) if "NOERROR" in out else 0
    if not answers or answers < 0.98 * int(found["Queries sent"]):
        return {"broken": f"{answers} answers of {found.get('Queries sent', '?')}"}
    return {"proxy": proxy / answers, "rate": float(found["Queries per second"]),
            "latency": float(found["Average Latency (s)"].split()[0])}


def measure_dns(made):
    """exeat learns the addresses of every answer, before it is given; so does dnsmasq with an nft set."""
    ports = {"dnsdist": 5353, "dnsmasq": 5354, "dnsmasq, learning": 5355, "exeat": 0}
    who = {n: made[n] for n in ports if n != "exeat"} | {"exeat": made["dns-exeat"]}
    who["exeat"].nameserver = who["exeat"].run("sed", "-n", r"s/^nameserver \([0-9.]*\)$/\1/p", "/etc/resolv.conf").split()[0]
    got = {how: {n: [] for n in ports} for how in ("even", "burst", "single")} # few of one are still cached in the next
    for r in range(ROUNDS):
        order = list(ports)
        for n in order[r % len(order):] + order[:r % len(order)]:
            for how, samples in got.items():
                samples[n].append(dns_sample(who[n], ports[n], how))
    print(f"\n### DNS, 1000 names, each question forwarded\n\n| | proxy CPU us/answer, {QPS} a second | 1000 at once"
          " | one at a time, us |\n|---|---|---|---|")
    for n in ports:
        broken = [s["broken"] for samples in got.values() for s in samples[n] if "broken" in s]
        print(f"| {n} | {cell(got['even'], n, 'proxy', 1e6, 1)} | {cell(got['burst'], n, 'proxy', 1e6, 1)} "
              f"| {cell(got['single'], n, 'latency', 1e6, 0)} |"
              + (f" **{len(broken)} void: {broken[0]}**" if broken else ""), flush=True)
    return got


def measure_first_seen(made):
    who = {"squid": made["squid"], "mitmproxy": made["mitmproxy"], "exeat": made["exeat-mint"]}
    samples = {n: [] for n, v in who.items() if not v.void}
    for r in range(ROUNDS):
        order = list(samples)
        for n in order[r % len(order):] + order[:r % len(order)]:
            if r < FEW.get(n, ROUNDS):
                samples[n].append(first_seen.sample(who[n], r))
    print(f"\n### TLS intercepted, {first_seen.NAMES} names seen for the first time, a connection each\n\n"
          "| | proxy CPU us, seen before | seen for the first time | more |\n|---|---|---|---|")
    for n, ss in samples.items():
        broken = [s["broken"] for s in ss if "broken" in s]
        print(f"| {n} | {cell(samples, n, 'seen', 1, 0)} | {cell(samples, n, 'fresh', 1, 0)} | {cell(samples, n, 'extra', 1, 0)} |"
              + (f" **{len(broken)} rounds void: {broken[0]}**" if broken else ""), flush=True)
    return samples


def idle_memory(made):
    """MiB at rest, which is quiet for a while, and for 10000 connections that made one request and wait."""
    count = 500 if SHORT else 900  # a proxy of exeat takes 1024
    print(f"\n### Memory ({count} idle connections)\n\n| | as started, MiB | after the first requests "
          "| at rest | RSS, summed | MiB for 10000 connections |\n|---|---|---|---|---|---|")
    found = {}
    time.sleep(QUIET)
    for kind, url, names in [("HTTP", PLAIN, ["haproxy", "nginx", "exeat"]),
                             ("TLS passed", TLS, ["haproxy-sni", "nginx-sni", "exeat-sni"]),
                             ("TLS intercepted", TLS, ["haproxy", "nginx", "exeat"])]:
        for n in names:
            v = made[n]
            if v.void:
                continue
            rest, summed = memory(v.pids), rss(v.pids)
            # what is had once is not theirs: pools, tables, the last events
            for how in [], ["-n"]:
                v.run(LOAD, "-s", "1", *CHAT, *how, "-c", "64", url + CHATS)
            time.sleep(4)
            before = memory(v.pids)
            got = json.loads(v.ask("start", LOAD, "-i", "-s", "20", "-c", str(count), *CHAT, url + CHATS) or "{}")
            time.sleep(4) # idle, not answered just now
            grown = (memory(v.pids) - before) * 10000 / count
            v.ask("stop")
            ok = got and got["idle"] == count
            print(f"| {kind}, {n.removesuffix('-sni')} | {v.started:.1f} | {v.used:.1f} | {rest:.1f} | {summed:.1f} | "
                  + (f"{grown:.0f} |" if ok else f"{got.get('idle')} of {count} connections stayed |"), flush=True)
            found[kind, n.removesuffix("-sni")] = (rest, grown)
            time.sleep(1)
    return found


def goal(name, text, ratio, limit):
    if ratio is None:
        print(f"| {name} | {text} | not measured | |")
        return
    mid, low, high = ratio
    print(f"| {name} | {text} <= {limit:.2f} | {mid:.2f} [{low:.2f}-{high:.2f}] | {'met' if mid <= limit else 'missed'} |")


def goals(made, got, mem, dns, fresh):
    def best(row, key, peers, mine="exeat"):
        if row not in got:
            return None
        ratios = [paired(got[row], mine, p, key) for p in peers if p in got[row] and mine in got[row]]
        return max((r for r in ratios if r), default=None)

    both, sni = ["haproxy", "nginx"], ["haproxy-sni", "nginx-sni"]
    print("\n### Goals\n\n| | exeat beside the best peer: median ratio of the rounds [range] | is | |\n|---|---|---|---|")
    goal("G1", "HTTP kept, proxy CPU", best("http-ka", "proxy", both), 0.95)
    goal("G1+", "the same beside the blind relay", best("http-ka", "proxy", ["relay"]), 1.08)
    if "http-ka" in got:
        over = {}
        for n, samples in got["http-ka"].items():
            over[n] = [{"x": s["all"] - d["all"]} for s, d in zip(samples, got["http-ka"]["direct"]) if "all" in s and "all" in d]
        goal("G2", "HTTP kept, CPU added on the machine",
             max((r for r in (paired(over, "exeat", p, "x") for p in both if p in over and "exeat" in over) if r), default=None), 0.95)
    goal("G3", "HTTP, 1 connection, p50, HAProxy", best("http-one", "p50", ["haproxy"]), 1.00)
    goal("G4", "HTTP new connections, proxy CPU", best("http-new", "proxy", both), 0.95)
    goal("G5", "HTTP download, proxy CPU, HAProxy", best("http-down", "proxy", ["haproxy"]), 0.80)
    goal("G5+", "the same beside the splice relay", best("http-down", "proxy", ["relay-splice"]), 1.00)
    goal("G6", "HTTP upload, proxy CPU, HAProxy", best("http-up", "proxy", ["haproxy"]), 1.00)
    goal("G7", "TLS passed, kept, proxy CPU", best("sni-ka", "proxy", sni, "exeat-sni"), 0.97)
    goal("G8", "TLS passed, new connections, proxy CPU, nginx", best("sni-new", "proxy", ["nginx-sni"], "exeat-sni"), 0.95)
    goal("G9", "intercepted, kept, proxy CPU, HAProxy", best("tls-ka", "proxy", ["haproxy"]), 0.95)
    goal("G10", "intercepted, new connections, proxy CPU", best("tls-new", "proxy", both), 0.95)
    extra = [s["extra"] for s in fresh.get("exeat", []) if "extra" in s]
    if extra:
        print(f"| G11 | a name seen for the first time, proxy CPU us more than seen before <= {first_seen.GOAL} "
              f"| {cell(fresh, 'exeat', 'extra', 1, 0)} | {'met' if median(extra) <= first_seen.GOAL else 'missed'} |")
    goal("G12", "intercepted download, proxy CPU, HAProxy", best("tls-down", "proxy", ["haproxy"]), 0.92)
    goal("G12", "intercepted upload, proxy CPU, HAProxy", best("tls-up", "proxy", ["haproxy"]), 0.92)
    for kind, limit in [("HTTP", 12), ("TLS passed", 12), ("TLS intercepted", 140)]:
        if (kind, "exeat") in mem:
            rest, grown = mem[kind, "exeat"]
            print(f"| G13 | {kind}: MiB for 10000 idle connections <= {limit} | {grown:.0f} | {'met' if grown <= limit else 'missed'} |")
    if ("HTTP", "exeat") in mem:
        rest = mem["HTTP", "exeat"][0]
        for when, mib in ("as started", made["exeat"].started), ("after the first requests", rest):
            print(f"| G13 | MiB at rest, {when} <= 8 | {mib:.1f} | {'met' if mib <= 8 else 'missed'} |")
    if dns:
        for how, rate in ("even", f"{QPS} a second"), ("burst", "1000 at once"):
            goal("G17", f"DNS, {rate}, proxy CPU, dnsdist", paired(dns[how], "exeat", "dnsdist", "proxy"), 0.90)
            goal("G18", f"DNS and learning, {rate}, proxy CPU, dnsmasq with an nft set",
                 paired(dns[how], "exeat", "dnsmasq, learning", "proxy"), 0.35)
        goal("G17", "DNS, one at a time, dnsmasq", paired(dns["single"], "exeat", "dnsmasq", "latency"), 0.95)
    wrong = [s["broken"] for row in [*got.values(), fresh] for n, ss in row.items() if n.startswith("exeat") for s in ss if "broken" in s]
    print(f"| G19 | answers wrong, broken or truncated through exeat = 0 | {len(wrong)} rounds | {'missed' if wrong else 'met'} |")


def main():
    made = variants()
    if any(made[n].void for n in ("exeat", "exeat --log", "exeat-sni", "exeat-mint")):
        sys.exit("bench: the gates do not do what the policy says; nothing is measured")
    print(f"{ROUNDS} rounds of {EACH} s a variant, order rotated; median [least-most]; ratios are paired within rounds")
    print("CPUs: client and server on 0, the proxy on 1; congestion control reno")
    # first, while all are fresh
    mem = idle_memory(made) if not ONLY or "memory" in ONLY else {}
    got = dict(measure(row, made) for row in ROWS if not ONLY or row[0] in ONLY)
    fresh = measure_first_seen(made) if not ONLY or "first-seen" in ONLY else {}
    goals(made, got, mem, measure_dns(made) if not ONLY or "dns" in ONLY else None, fresh)


main()
