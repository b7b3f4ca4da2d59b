# SPDX-License-Identifier: Apache-2.0
"""python3 oracle FOLDER COUNT SEED

Makes up policies and says what they mean: COUNT files pN.yaml with a fixture each, for `exeat policy
test`. What is expected is worked out here, from the words of the documentation of the kinds of
policy; nothing is compiled, and nothing is shared with policy/.
"""
import json
import random
import sys

from cluster import ENDPOINTS, NAMESPACE, WORKLOAD
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
        with open(f"{folder}/p{n}.test.yaml", "w") as out:
            json.dump({"policy": [f"p{n}.yaml"], "endpoints": "endpoints.yml", "serve": serve,
                       "labels": {**WORKLOAD.labels, NAMESPACE: WORKLOAD.namespace},
                       "tests": [t for _ in range(60) for t in fixture(n, docs, flow(), serve)]},
                      out)


main()
