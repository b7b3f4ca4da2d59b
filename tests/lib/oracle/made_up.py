# SPDX-License-Identifier: Apache-2.0
"""Random policies, and random flows that they may be about."""
import ipaddress
import random

from cluster import DISGUISED, ENDPOINTS, NAMES, NAMESPACE, NEVER, OF_NAMESPACE, WORLD

CIDRS = ["0.0.0.0/0", "9.9.9.9/32", "10.1.0.0/16", "20.0.0.0/7", "20.0.0.0/8", "20.1.0.0/16",
         "20.1.2.0/24", "20.1.2.3/32", "30.0.0.0/8", "::/0", "2a00::/12", "2a00:1::/32",
         "2a00:1:2::/48", "2a00:1:2::3/128", "2b00::/16", "fd10::/16", "20.1.2.99/23",
         "2a00:1:2:3::4/47"]
GROUPS = {"office": {"of": "us"}, "partners": {"of": "them"}, "bad": {}}  # and their labels
FQDNS = [{"matchName": "api.x.test"}, {"matchName": "b.x.test"}, {"matchName": "other.test"},
         {"matchPattern": "*.x.test"}, {"matchPattern": "a*.x.test"}, {"matchPattern": "*"},
         {"matchPattern": "**.x.test"}, {"matchPattern": "*x.test"}]
SELECTORS = [{}, {"app": "web"}, {"app": "postgres"}, {"k8s:tier": "data"},
             {"app": "web", "any:version": "v1"}]
HTTP = [{}, {"host": "api.x.test"}, {"host": ".*x.test(:[0-9]+)?", "path": "/a.*"},
        {"method": "GET"}, {"method": "GET", "path": "/a"}, {"path": "/a/.*"},
        {"method": "POST|PUT", "path": "/b"}]
SERVED = ["api.x.test", "b.x.test", "other.test", "*.x.test", "a*.x.test", "**.x.test", "x.**",
          "q.**.test", "*", "**"]
ENTITIES = ["world", "cluster", "all", "world-ipv4", "world-ipv6", "kube-apiserver", "remote-node",
            "none"]
NAMESPACES = ["shop", "crm", "monitoring"]
PORTS = [1, 53, 80, 443, 5432, 8000, 8080, 65535]

pick = random.choice


def some(values, most=2):
    return random.sample(values, random.randint(1, min(most, len(values))))


def one_in(n):
    return random.randrange(n) == 0


def is_in(inner, outer):
    inner, outer = (ipaddress.ip_network(c, strict=False) for c in (inner, outer))
    return inner.version == outer.version and inner.subnet_of(outer)


def cidr_with_holes():
    if one_in(4):
        group = pick([{"cidrGroupRef": pick(list(GROUPS))},
                      {"cidrGroupSelector": {"matchLabels": {"of": pick(["us", "them"])}}},
                      {"cidrGroupSelector": {"matchExpressions": [
                          {"key": "of", "operator": pick(["Exists", "DoesNotExist"])}]}}])
        return {**group, **({"except": some(CIDRS)} if one_in(3) else {})}
    outer = pick(CIDRS)
    holes = [c for c in CIDRS if c != outer and is_in(c, outer)]
    return {"cidr": outer, **({"except": some(holes)} if holes and one_in(2) else {})}


def cidr_group(name):
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup",
            "metadata": {"name": name, "labels": GROUPS[name]},
            "spec": {"externalCIDRs": some(CIDRS, 3)}}


def selector():
    """Of endpoints."""
    if one_in(12):
        return {"matchLabels": pick([{"reserved:kube-apiserver": ""}, {"reserved:remote-node": ""},
                                     {"reserved:remote-node": "", "role": "edge"}])}
    labels = dict(pick(SELECTORS))
    if one_in(3):
        labels[pick(["", "k8s:", "any:"]) + NAMESPACE] = pick(NAMESPACES)
    elif one_in(6):
        labels["k8s:" + OF_NAMESPACE + "team"] = pick(["red", "blue", "green"])
    made = {"matchLabels": labels} if labels else {}
    if one_in(3):
        made["matchExpressions"] = [expression() for _ in range(pick([1, 1, 2]))]
    return made


def expression():
    key, values = pick(
        [("app", ["web", "postgres", "redis", "agent"]), ("k8s:tier", ["data", "front"]),
         ("version", ["v1", "v2"]), (pick(["", "k8s:"]) + NAMESPACE, NAMESPACES),
         (OF_NAMESPACE + "kubernetes.io/metadata.name", NAMESPACES)])
    operator = pick(["In", "NotIn", "Exists", "DoesNotExist"])
    return {"key": key, "operator": operator,
            **({"values": some(values)} if operator in ("In", "NotIn") else {})}


def subject(clusterwide):
    """The endpointSelector: mostly of the workload that is asked about."""
    labels = dict(pick([{}, {}, {}, {"app": "agent"}, {"k8s:tier": "front"}, {"app": "web"}]))
    made = {"matchLabels": labels} if labels else {}
    if one_in(3 if clusterwide else 8):
        made["matchLabels"] = {**labels, "k8s:" + NAMESPACE: pick(NAMESPACES)}
    if one_in(4):
        made["matchExpressions"] = [expression()]
    return made


def peers(side, names):
    kinds = [{}, {side + "CIDR": some(CIDRS)},
             {side + "CIDRSet": [cidr_with_holes(), cidr_with_holes()]},
             {side + "Entities": some(ENTITIES)},
             {side + "Endpoints": [selector(), selector()]}, {side + "Endpoints": [selector()]}]
    return pick(kinds + 2 * [{"toFQDNs": some(FQDNS)}] if names else kinds)


def port(tcp, named):
    if named and one_in(9):
        made = {"port": pick(["http", "pg", "metrics"])}
    else:
        first = pick(PORTS)
        made = {"port": str(first)}
        if first < 60000 and one_in(3):
            made["endPort"] = pick([first, first + 1, first + 400, 65535])
    protocol = "TCP" if tcp else pick([None, "ANY", "TCP", "TCP", "UDP", "SCTP"])
    return {**made, **({"protocol": protocol} if protocol else {})}


def icmp_field():
    v6 = one_in(2)
    kind = pick(["EchoReply", "EchoRequest", "DestinationUnreachable", "TimeExceeded",
                 *([1, 3, 128, 129] if v6 else [0, 3, 8, 11])])
    return {"type": kind, **({"family": "IPv6"} if v6 else pick([{}, {"family": "IPv4"}]))}


def rule(direction, deny):
    egress = direction == "egress"
    made = peers("to" if egress else "from", egress and not deny)
    if one_in(3):
        return made
    if one_in(5):
        made["icmps"] = [{"fields": [icmp_field() for _ in range(pick([1, 2]))]}
                         for _ in range(pick([1, 2]))]
        return made
    made["toPorts"] = []
    for _ in range(pick([1, 2])):
        made["toPorts"].append(limited_ports() if egress and not deny and one_in(3) else
                               {"ports": [port(False, egress and not deny)
                                          for _ in range(pick([1, 2]))]})
    return made


def limited_ports():
    """With a list of requests or of names."""
    kind = pick(["http", "http", "serverNames", "serverNames", "dns", "no limit"])
    if kind == "dns":
        return {"ports": [{"port": "53", "protocol": pick(["UDP", "TCP", "ANY"])}],
                "rules": {"dns": some(FQDNS)}}
    ports = [port(True, True) for _ in range(pick([1, 2]))]
    if kind == "serverNames":
        return {"ports": ports, "serverNames": some(SERVED)}
    return {"ports": ports, "rules": {"http": some(HTTP)} if kind == "http" else
            pick([{}, {"http": []}])}


def spec(clusterwide):
    made = {"endpointSelector": subject(clusterwide)}
    directions = pick([["egress"], ["egress"], ["ingress"], ["egress", "ingress"]])
    for direction in directions:
        if one_in(4):
            made.setdefault("enableDefaultDeny", {})[direction] = pick([False, False, True])
        for key, n in ((direction, pick([1, 1, 2, 3])), (direction + "Deny", pick([0, 0, 1, 2]))):
            if n:
                made[key] = [rule(direction, key != direction) for _ in range(n)]
    return made


def k8s_selector(values):
    made = {"matchLabels": dict([pick(values)])} if one_in(2) else {}
    if one_in(3):
        key, value = pick(values)
        operator = pick(["In", "NotIn", "Exists", "DoesNotExist"])
        made["matchExpressions"] = [{"key": key, "operator": operator, **(
            {"values": [value]} if operator in ("In", "NotIn") else {})}]
    return made


def k8s_peer():
    if one_in(2):
        block = cidr_with_holes()
        return {"ipBlock": block} if "cidr" in block else k8s_peer()
    pods = k8s_selector([("app", "web"), ("app", "postgres"), ("tier", "data"), ("version", "v1")])
    spaces = k8s_selector([("kubernetes.io/metadata.name", "shop"), ("team", "red"),
                           ("kubernetes.io/metadata.name", "crm")])
    return pick([{"podSelector": pods}, {"namespaceSelector": spaces},
                 {"podSelector": pods, "namespaceSelector": spaces}])


def k8s_port(names):
    made = port(False, names)
    if made["port"].isdigit():
        made["port"] = int(made["port"])
    if one_in(6):
        made = {}
    return {**made, "protocol": pick(["TCP", "UDP", "SCTP"])} if one_in(2) else \
        {k: v for k, v in made.items() if k != "protocol"}


def k8s_rule(direction):
    made = {}
    if not one_in(5):
        side = "to" if direction == "egress" else "from"
        made[side] = [k8s_peer() for _ in range(pick([0, 1, 2]))]
    if one_in(2):
        made["ports"] = [k8s_port(direction == "egress") for _ in range(pick([0, 1, 1, 2]))]
    return made


def k8s_policy(number):
    directions = pick([["egress"], ["egress", "ingress"], ["ingress"], []])
    made = {"podSelector": pick([{}, {}, {"matchLabels": {"app": "agent"}},
                                 {"matchLabels": {"app": "web"}}])}
    for d in directions:
        made[d] = [k8s_rule(d) for _ in range(pick([0, 1, 1, 2]))]
    if one_in(2):
        made["policyTypes"] = [t for t in ("Egress", "Ingress")
                               if t.lower() in directions or one_in(4)]
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": made,
            "metadata": {"name": f"k{number}", "namespace": pick(4 * ["shop"] + NAMESPACES)}}


def own_deny():
    kind = pick(["names", "http", "plain", "preset"])
    if kind == "preset":
        return {"preset": "private"}
    made = {"toFQDNs": some(FQDNS)} if kind == "names" else rule("egress", True)
    if kind != "plain" and one_in(2):
        made.pop("icmps", 0)
        http = [h for h in some(HTTP) if h]
        made["toPorts"] = [{"ports": [port(bool(http), False)],
                            **({"rules": {"http": http}} if http else {})}]
    return made


def own_rule():
    if one_in(10):
        return {"preset": "private"}
    made = rule("egress", False)
    if made.get("toPorts") and one_in(2) and all(
            "serverNames" in p or any(p.get("rules", {}).values()) for p in made["toPorts"]):
        made["enforcement"] = "audit"
    return made


def own_policy(number):
    made = {"egress": [own_rule() for _ in range(pick([0, 1, 1, 2]))],
            "egressDeny": [own_deny() for _ in range(pick([0, 1, 1, 2]))]}
    made = {k: v for k, v in made.items() if v} or {"egress": [{}]}
    if one_in(2):
        made["endpointSelector"] = subject(False)
    if one_in(3):
        made["enforcement"] = pick(["audit", "enforce"])
    if made.get("enforcement") == "audit":
        for r in made.get("egress", []):
            r.pop("enforcement", 0)
    return {"apiVersion": "exeat.dev/v1alpha1", "kind": "EgressPolicy", "spec": made,
            "metadata": {"name": f"o{number}", "namespace": "shop"}}


def policy(number):
    if one_in(4):
        return k8s_policy(number)
    if one_in(3):
        return own_policy(number)
    clusterwide = one_in(4)
    made = {"apiVersion": "cilium.io/v2", "metadata": {"name": f"p{number}"},
            "kind": f"Cilium{'Clusterwide' * clusterwide}NetworkPolicy"}
    if not clusterwide:
        made["metadata"]["namespace"] = pick(4 * ["shop"] + NAMESPACES)
    if one_in(4):
        made["specs"] = [spec(clusterwide) for _ in range(pick([1, 2]))]
    if "specs" not in made or one_in(3):
        made["spec"] = spec(clusterwide)
    return made


def address(disguised):
    if one_in(25):
        return pick(NEVER)
    if disguised and one_in(12):
        return pick(list(DISGUISED))
    return pick(WORLD + [a for e in ENDPOINTS for a in e.addresses])


def flow():
    ingress = one_in(3)
    name = pick(NAMES) if not ingress and one_in(2) else None
    protocol = pick(["TCP", "TCP", "UDP", "SCTP", *([] if name else ["ICMP"])])
    shown = pick(WORLD) if name else address(protocol != "ICMP")
    tls = request = None
    if protocol == "TCP" and not ingress and shown not in DISGUISED:
        tls = pick([None, None, name, name, name, pick(NAMES), pick(NAMES), ""])
        request = (pick(["GET", "POST", "DELETE"]), pick(["/a", "/a/b", "/b", "/c"])) \
            if name and tls is not None or one_in(2) else None
    # a name with a port of the web, and nothing said, is a request to it
    ports = [p for p in PORTS if p not in (80, 443)] if name and not request else PORTS
    if protocol == "ICMP":
        ports = [1, 3, 128, 129] if ":" in shown else [0, 3, 8, 11]
    return {"ingress": ingress, "name": name, "shown": shown,
            "address": DISGUISED.get(shown, shown), "port": pick(ports),
            "protocol": protocol, "tls": tls, "request": request}
