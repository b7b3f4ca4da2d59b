#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the soak left behind, judged; prints TAP points.

usage: check.py CLIENT-LOG AUDIT-LOG SERVER-LOG SAMPLES

SAMPLES: a line each second, "KIB-OF-THE-PROXY DESCRIPTORS-OF-THE-PROXY KIB-OF-THE-PARENT
DESCRIPTORS-OF-THE-PARENT"; the first before the load, the last when it is over and gone.
"""
import collections
import json
import re
import sys

SLACK_KIB = 3072 # allocator and page cache effects; a leak of any request shows within minutes
ID = re.compile(r"/(r\d+x)(/|$)")


def point(ok, what, *details):
    print(("ok - " if ok else "not ok - ") + what)
    for d in [] if ok else details[:10]:
        print(f"  {d}")


def read_audit(path):
    records, others = collections.defaultdict(list), collections.Counter()
    sequence, last = [], None
    with open(path, encoding="utf-8") as f:
        for line in f:
            r = json.loads(line)
            last = r["type"]
            if r["type"] != "verdict":
                others[r["type"]] += 1
                continue
            sequence.append(r["seq"])
            if m := ID.search(r.get("path", "")):
                records[m[1]].append(r)
    return records, others, sequence, last


def check_records(client, records):
    missing = [i for i in client if i not in records]
    point(not missing, f"each of {len(client)} answered requests is in the audit log", *missing)
    twice = [f"{i}: {[r['verdict'] + ' ' + r['reason'] for r in v]}" for i, v in records.items()
             if sum(r["verdict"] == "allow" for r in v) > 1 or len(v) > 2 or
             (len(v) == 2 and client.get(i, 502) != 502)]
    point(not twice, "and there once", *twice)
    other = [f"{i}: told {s}, logged {[(r['verdict'], r.get('status')) for r in records[i]]}" for i, s in client.items()
             if i in records and (s == 403) != (records[i][0]["verdict"] == "deny")]
    point(not other, "with the verdict that the client was told", *other)


def check_server(path, client, records):
    arrived = collections.Counter()
    canaries = []
    with open(path, encoding="latin-1") as f:
        for line in f:
            if m := ID.search(line.split(" ")[1].strip()):
                arrived[m[1]] += 1
            if "canary" in line or line.startswith("POST /get"):
                canaries.append(line.strip())
    point(not canaries, "no request that was denied reached a server", *canaries)
    point(not [i for i in arrived if client.get(i) == 403], "nor one that the client was refused")
    unjudged = [i for i in arrived if i not in records]
    # what was passed by its server name is not read
    point(not unjudged or len(unjudged) <= sum(1 for i in unjudged if i not in client),
          "what arrived had been judged", *[i for i in unjudged if i in client])
    twice = [i for i, n in arrived.items() if n > 1]
    point(not twice, "and arrived once", *twice)


def mean(values):
    return sum(values) / max(len(values), 1)


def check_samples(path):
    with open(path, encoding="ascii") as f:
        rows = [list(map(int, line.split())) for line in f if len(line.split()) == 4]
    first, last, load = rows[0], rows[-1], rows[1:-1]
    middle, end = load[len(load) * 2 // 5:len(load) * 3 // 5], load[len(load) * 4 // 5:]
    for who, at in (("proxy", 0), ("parent", 2)):
        a, b = mean([r[at] for r in middle]), mean([r[at] for r in end])
        print(f"# {who}: {first[at]} KiB before, {a:.0f} in the middle, {b:.0f} in the end, {last[at]} after; "
              f"descriptors {first[at + 1]}, at most {max(r[at + 1] for r in load)}, then {last[at + 1]}")
        point(b <= a + max(SLACK_KIB, a / 20), f"the memory of the {who} does not grow", f"{a:.0f} -> {b:.0f} KiB")
        point(last[at + 1] <= first[at + 1] + 4, f"the {who} holds no descriptor more than before",
              f"{first[at + 1]} -> {last[at + 1]}")


def main():
    with open(sys.argv[1], encoding="ascii") as f:
        client = {i: int(s) for i, s in (line.split() for line in f)}
    records, others, sequence, last = read_audit(sys.argv[2])
    check_records(client, records)
    point(sequence == list(range(1, len(sequence) + 1)), "no gap in the audit log")
    point(not others["lost"], "nothing was lost", f"{others['lost']} losses")
    point(last == "summary", "and it ends with its summary", last)
    check_server(sys.argv[3], client, records)
    check_samples(sys.argv[4])
    print("1..14")


main()
