# SPDX-License-Identifier: Apache-2.0
"""python3 oracle FOLDER COUNT SEED [packets]

Makes up policies and says what they mean: COUNT files pN.yaml with a fixture each, for `exeat policy
test`. What is expected is worked out here, from the words of the documentation of the kinds of
policy; nothing is compiled, and nothing is shared with policy/. With packets, pN.flows instead:

  serve PORT/PROTOCOL|any
  in|out ADDRESS PROTOCOL PORT all|some|none    what of all that could be said there is allowed
"""
import json
import random
import sys

from cluster import ENDPOINTS, NAMES, NAMESPACE, NEVER, WORKLOAD
from made_up import GROUPS, cidr_group, flow, pick, policy
from meaning import authority, specs_of, verdict


def fixture(n, docs, f, serve):
    expect = verdict(docs, f, serve)
    if not expect:
        return []
    host = f["name"] or f["shown"]
    host = f"[{host}]" if ":" in host else host
    port = f"{f['port']}/{f['protocol'].lower()}"
    to = f"{host}:{port}"
    if f["protocol"] == "ICMP":
        port, to = f"icmp/{f['port']}", f"icmp:{host}/{f['port']}"
    made = {"name": f"{n} {json.dumps(f)}", "expect": expect, "to": to}
    if f["ingress"]:
        made.update({"direction": "ingress", "from": f["shown"], "to": port})
    if f["name"]:
        made["address"] = f["shown"]
    if f["request"]:
        made["method"] = f["request"][0]
        made["to"] = f"http{'s' * (f['tls'] is not None)}://{authority(f)}{f['request'][1]}"
    if f["tls"] is not None:
        made["sni"] = f["tls"]
    return [made]


def packet(docs, f, serve):
    """What holds of every word that a flow may begin with, and of no name that DNS gave."""
    f = {**f, "name": None, "tls": None, "request": None}
    said = [f]
    if not f["ingress"] and f["protocol"] == "TCP":
        said += [{**f, "tls": t, "request": r} for t in (None, "", *NAMES)
                 for r in (None, ("GET", "/a"), ("POST", "/b"))]
    allowed = {verdict(docs, w, serve) for w in said}
    word = "some" if {"allow", "deny"} <= allowed else \
        {"allow": "all", "deny": "none"}.get(allowed.pop()) if len(allowed) == 1 else None
    return f"{'in' if f['ingress'] else 'out'} {f['shown']} {f['protocol']} {f['port']} {word}\n" \
        if word else ""


def is_for_packets(f):
    """The others are judged by what they answer, or are no source of anything."""
    return not f["shown"].startswith("::ffff:") and not (f["ingress"] and f["shown"] in NEVER) and \
        (f["protocol"] != "ICMP" or f["port"] in (8, 128))


def write_flows(path, docs, flows, serve):
    with open(path, "w") as out:
        out.writelines(f"serve {s}\n" for s in serve)
        out.writelines(packet(docs, f, serve) for f in flows)


def policies():
    """Some of it is about the workload: what is not is refused."""
    docs = []
    while not specs_of(docs, False):
        docs = [policy(k) for k in range(pick([1, 2, 3]))] + [cidr_group(g) for g in GROUPS]
    return docs


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random.seed(seed)
    with open(f"{folder}/endpoints.yml", "w") as out:
        json.dump({"endpoints": [{"name": f"e{i}", "namespace": e.namespace or "default",
                                  "labels": e.labels, "addresses": e.addresses, "ports": e.ports}
                                 for i, e in enumerate(ENDPOINTS)]}, out)
    for n in range(count):
        docs = policies()
        serve = pick([["any"], ["8080/tcp", "53/udp"]])
        with open(f"{folder}/p{n}.yaml", "w") as out:
            out.write("\n---\n".join(json.dumps(d, indent=1) for d in docs))
        flows = [flow() for _ in range(60)]
        if sys.argv[4:] == ["packets"]:
            write_flows(f"{folder}/p{n}.flows", docs, filter(is_for_packets, flows), serve)
            continue
        with open(f"{folder}/p{n}.test.yaml", "w") as out:
            json.dump({"policy": [f"p{n}.yaml"], "endpoints": "endpoints.yml", "serve": serve,
                       "labels": {**WORKLOAD.labels, NAMESPACE: WORKLOAD.namespace},
                       "tests": [t for f in flows for t in fixture(n, docs, f, serve)]}, out)


main()
