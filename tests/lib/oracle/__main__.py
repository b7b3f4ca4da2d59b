#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cnp_oracle.py FOLDER COUNT SEED

Makes up policies and says what they mean: COUNT files pN.yaml with a fixture each, for `exeat policy
test`. What is expected is worked out here, rule by rule and flow by flow, from the words of the
documentation of CiliumNetworkPolicy; nothing is compiled, and nothing is shared with policy/.
"""
import ipaddress
import json
import random
import re
import sys

PODS = {  # address: namespace, labels, ports by name
    "10.1.0.5": ("shop", {"app": "postgres", "tier": "data"}, {"pg": 5432}),
    "10.1.0.6": ("shop", {"app": "redis", "tier": "data"}, {}),
    "10.1.0.7": ("shop", {"app": "web", "version": "v2"}, {"http": 8080, "metrics": 9090}),
    "10.1.0.8": ("shop", {"app": "web", "version": "v1"}, {"http": 8000}),
    "10.2.0.1": ("monitoring", {"app": "prometheus"}, {}),
    "10.3.0.5": ("crm", {"app": "postgres"}, {}),
}
WORLD = ["20.0.0.1", "20.1.2.3", "20.1.9.9", "30.0.0.1", "9.9.9.9", "10.1.200.1"]
NAMES = ["api.x.test", "b.x.test", "q.api.x.test", "other.test", "x.test"]
CIDRS = ["0.0.0.0/0", "9.9.9.9/32", "10.1.0.0/16", "20.0.0.0/7", "20.0.0.0/8", "20.1.0.0/16",
         "20.1.2.0/24", "20.1.2.3/32", "30.0.0.0/8"]
FQDNS = [{"matchName": "api.x.test"}, {"matchName": "b.x.test"}, {"matchName": "other.test"},
         {"matchPattern": "*.x.test"}, {"matchPattern": "a*.x.test"}, {"matchPattern": "*"}]
SELECTORS = [{}, {"app": "web"}, {"app": "postgres"}, {"tier": "data"},
             {"app": "web", "version": "v1"}]
HTTP = [{}, {"method": "GET"}, {"method": "GET", "path": "/a"}, {"path": "/a/.*"},
        {"method": "POST|PUT", "path": "/b"}]
PORTS = [1, 53, 80, 443, 5432, 8000, 8080, 65535]
NAMESPACE = "k8s:io.kubernetes.pod.namespace"

pick = random.choice


def some(values, most=2):
    return random.sample(values, random.randint(1, min(most, len(values))))


# ---- policies ----

def cidr_with_holes():
    outer = pick(CIDRS)
    holes = [c for c in CIDRS if c != outer and
             ipaddress.ip_network(c).subnet_of(ipaddress.ip_network(outer))]
    return {"cidr": outer, **({"except": some(holes)} if holes and pick([0, 1]) else {})}


def selector():
    labels = dict(pick(SELECTORS))
    if pick([0, 1]):
        labels[NAMESPACE] = pick(["crm", "monitoring", "shop"])
    made = {"matchLabels": labels} if labels else {}
    if pick([0, 0, 1]):
        operator = pick(["In", "NotIn", "Exists", "DoesNotExist"])
        wanted = {"key": pick(["app", "tier", "version"]), "operator": operator}
        if operator in ("In", "NotIn"):
            wanted["values"] = some(["web", "postgres", "data", "v1", "v2"])
        made["matchExpressions"] = [wanted]
    return made


def peers(deny):
    kinds = [{}, {"toCIDR": some(CIDRS)}, {"toCIDRSet": [cidr_with_holes(), cidr_with_holes()]},
             {"toEntities": some(["world", "cluster", "all"])},
             {"toEndpoints": [selector(), selector()]}, {"toEndpoints": [selector()]}]
    return pick(kinds if deny else kinds + 2 * [{"toFQDNs": some(FQDNS)}])


def port(tcp, named):
    if named and pick(8 * [0] + [1]):
        made = {"port": pick(["http", "pg", "metrics"])}
    else:
        first = pick(PORTS)
        made = {"port": str(first)}
        if first < 60000 and pick([0, 0, 1]):
            made["endPort"] = pick([first, first + 1, first + 400, 65535])
    protocol = "TCP" if tcp else pick([None, "ANY", "TCP", "TCP", "UDP"])
    return {**made, **({"protocol": protocol} if protocol else {})}


def rule(deny):
    made = peers(deny)
    if pick([0, 1, 1]):
        made["toPorts"] = []
        for _ in range(pick([1, 2])):
            http = not deny and pick([0, 0, 1])
            made["toPorts"].append({"ports": [port(http, not deny) for _ in range(pick([1, 2]))],
                                    **({"rules": {"http": some(HTTP)}} if http else {})})
    return made


def policy(number):
    spec = {"endpointSelector": {}}
    if pick([0, 0, 0, 1]):
        spec["enableDefaultDeny"] = {"egress": pick([False, False, True])}
    for key, n in (("egress", pick([1, 1, 2, 3])), ("egressDeny", pick([0, 0, 1, 2]))):
        if n:
            spec[key] = [rule(key == "egressDeny") for _ in range(n)]
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
            "metadata": {"name": f"p{number}", "namespace": "shop"}, "spec": spec}


# ---- what they mean ----

def inside(address, cidr):
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)


def selects(wanted, address):
    namespace, labels, _ = PODS[address]
    needed = dict(wanted.get("matchLabels", {}))
    if needed.pop(NAMESPACE, "shop") != namespace:
        return False
    if any(labels.get(k) != v for k, v in needed.items()):
        return False
    for e in wanted.get("matchExpressions", []):
        has = labels.get(e["key"])
        if not {"In": has in e.get("values", []), "NotIn": has not in e.get("values", []),
                "Exists": has is not None, "DoesNotExist": has is None}[e["operator"]]:
            return False
    return True


def is_named(wanted, name):
    if "matchName" in wanted:
        return wanted["matchName"] == name
    pattern = wanted["matchPattern"]
    return pattern == "*" or re.fullmatch(
        re.escape(pattern).replace(r"\*", "[-a-z0-9_]*"), name) is not None


def reaches(r, flow):
    """Is the far end of the flow one of the rule's peers?"""
    address, pod = flow["address"], flow["address"] in PODS
    if not any(k.startswith("to") and k != "toPorts" for k in r):
        return "toPorts" in r  # {} is nobody, ports alone are everybody's
    if flow["name"] and any(is_named(f, flow["name"]) for f in r.get("toFQDNs", [])):
        return True
    if any(e == "all" or e == ("cluster" if pod else "world") for e in r.get("toEntities", [])):
        return True
    if pod:  # no CIDR is about pods
        return any(selects(s, address) for s in r.get("toEndpoints", []))
    return any(inside(address, c) for c in r.get("toCIDR", [])) or any(
        inside(address, c["cidr"]) and not any(inside(address, e) for e in c.get("except", []))
        for c in r.get("toCIDRSet", []))


def has_port(entry, flow):
    named = PODS.get(flow["address"], (0, 0, {}))[2]
    for p in entry["ports"]:
        first = int(p["port"]) if p["port"].isdigit() else named.get(p["port"])
        if first and p.get("protocol", "ANY") in ("ANY", flow["protocol"]) and \
                first <= flow["port"] <= p.get("endPort", first):
            return True
    return False


def passes(http, request):
    return re.fullmatch(http.get("method", ".*"), request[0]) and \
        re.fullmatch(http.get("path", ".*"), request[1])


def verdict(docs, flow):
    allowed, lists, closed = False, None, False
    for spec in (d["spec"] for d in docs):
        closed |= spec.get("enableDefaultDeny", {}).get("egress", True)
        for r in (r for r in spec.get("egressDeny", []) if reaches(r, flow)):
            if "toPorts" not in r or any(has_port(e, flow) for e in r["toPorts"]):
                return "deny"
        for r in (r for r in spec.get("egress", []) if reaches(r, flow)):
            for e in r.get("toPorts", [None]):
                if not e or (has_port(e, flow) and "rules" not in e):
                    allowed = True
                elif has_port(e, flow):
                    lists = (lists or []) + e["rules"]["http"]
    if allowed or (lists is None and not closed):
        return "allow"
    request = flow["request"]
    return "allow" if lists and request and any(passes(h, request) for h in lists) else "deny"


# ---- fixtures ----

def flow_made_up():
    name = pick([None, None, pick(NAMES)])
    protocol = pick(["TCP", "TCP", "UDP"])
    request = (pick(["GET", "POST", "DELETE"]), pick(["/a", "/a/b", "/b", "/c"])) \
        if protocol == "TCP" and pick([0, 1]) else None
    # a name with a port of the web, and nothing said, is a request to it
    ports = [p for p in PORTS if p not in (80, 443)] if name and not request else PORTS
    return {"name": name, "address": pick(WORLD if name else WORLD + list(PODS)),
            "port": pick(ports), "protocol": protocol, "request": request}


def may_be_asked_for(docs, name):
    return not name or any(is_named(f, name) for d in docs for r in d["spec"].get("egress", [])
                           for f in r.get("toFQDNs", []))


def fixture(docs, flow):
    to = f"{flow['name'] or flow['address']}:{flow['port']}"
    made = {"to": to + ("/udp" if flow["protocol"] == "UDP" else ""),
            "expect": verdict(docs, flow)}
    if flow["name"]:
        made["address"] = flow["address"]
    if flow["request"]:
        made["method"] = flow["request"][0]
        made["to"] = f"http://{to}{flow['request'][1]}"
    return made


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random.seed(seed)
    with open(f"{folder}/pods.yml", "w") as f:
        json.dump({"endpoints": [{"name": f"pod{i}", "namespace": namespace, "labels": labels,
                                  "addresses": [address], "ports": ports} for i, (
                                      address, (namespace, labels, ports)) in
                                 enumerate(PODS.items())]}, f)
    for i in range(count):
        docs = [policy(k) for k in range(pick([1, 2, 3]))]
        flows = [flow_made_up() for _ in range(60)]
        with open(f"{folder}/p{i}.yaml", "w") as f:
            f.write("\n---\n".join(json.dumps(d, indent=1) for d in docs))
        with open(f"{folder}/p{i}.test.yaml", "w") as f:
            json.dump({"policy": [f"p{i}.yaml"], "endpoints": "pods.yml",
                       "tests": [fixture(docs, w) for w in flows
                                 if may_be_asked_for(docs, w["name"])]}, f)


main()
