# SPDX-License-Identifier: Apache-2.0
"""What policies mean, rule by rule and flow by flow, from the words of their documentation."""
import re

from cluster import (FAR_AWAY, NAMESPACE, NEVER, OF_NAMESPACE, WORKLOAD, Endpoint, endpoint, inside,
                     matches, peer)

PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
           "192.0.0.0/24", "198.18.0.0/15", "fc00::/7", "fe80::/10"]
ICMP = {"EchoReply": (0, 129), "EchoRequest": (8, 128), "TimeExceeded": (11, 3),
        "DestinationUnreachable": (3, 1)}
OF_ENTITIES = ("kube-apiserver", "remote-node", "health", "ingress", "init", "unmanaged")
THE_WORLD = ("all", "world", "world-ipv4", "world-ipv6")


def is_v6(address):
    return ":" in address


def is_named(wanted, name):
    """An item of toFQDNs or rules.dns."""
    if "matchName" in wanted:
        return wanted["matchName"].lower().rstrip(".") == name
    pattern = wanted["matchPattern"].lower()
    if not pattern.strip("*"):
        return True
    labels = r"([-a-z0-9_]+\.)+" if re.match(r"\*\*+\.", pattern) else ""
    rest = re.sub(r"^\*\*+\.", "", pattern)
    return re.fullmatch(labels + re.sub(r"\\\*(\\\*)*", "[-a-z0-9_]*", re.escape(rest)),
                        name) is not None


def is_served_as(pattern, name):
    """An item of serverNames: as above, and ** may be any whole label."""
    def label(text):
        if text == "**":
            return r"[-a-z0-9_]+(\.[-a-z0-9_]+)*"
        return text.replace("*", "[-a-z0-9_]*")
    if pattern in ("*", "**"):
        return True
    return re.fullmatch(r"\.".join(label(t) for t in pattern.lower().split(".")), name) is not None


def is_entity(word, address):
    e = endpoint(address)
    if word == "all":
        return True
    if word in THE_WORLD:
        return not e and (word == "world" or (word == "world-ipv6") == is_v6(address))
    return bool(e) and (word == "cluster" or
                        word in OF_ENTITIES and bool(e.values("reserved:" + word)))


def in_set(item, address, groups):
    if "cidr" in item:
        outer = [item["cidr"]]
    elif "cidrGroupRef" in item:
        outer = groups[item["cidrGroupRef"]]["spec"]["externalCIDRs"]
    else:
        outer = [c for g in groups.values() for c in g["spec"]["externalCIDRs"]
                 if matches(item["cidrGroupSelector"], Endpoint(None, g["metadata"]["labels"], []))]
    return any(inside(address, c) for c in outer) and \
        not any(inside(address, c) for c in item.get("except", []))


# ---- ports ----

def lists(part):
    return part.get("rules") or {}


def has_port(p, flow, missing):
    e = endpoint(flow["address"])
    if flow["protocol"] == "ICMP" or p.get("protocol", missing) not in ("ANY", flow["protocol"]):
        return False
    if "port" not in p or p["port"] == "0":
        return True
    if p["port"].isdigit():
        return int(p["port"]) <= flow["port"] <= p.get("endPort", int(p["port"]))
    return bool(e) and e.ports.get(p["port"]) == flow["port"]


def has_type(field, flow):
    v6 = field.get("family") == "IPv6"
    wanted = field["type"]
    if not str(wanted).isdigit():
        wanted = ICMP[wanted][v6]
    return flow["protocol"] == "ICMP" and v6 == is_v6(flow["address"]) and \
        int(wanted) == flow["port"]


# ---- rules ----

class Rule:
    """Of CiliumNetworkPolicy, in one direction."""

    def __init__(self, spec, written):
        self.spec, self.r = spec, written
        self.names = written.get("toFQDNs", [])
        side = self.side = "from" if spec.ingress else "to"
        self.members = [k for k in ("Endpoints", "CIDR", "CIDRSet", "Entities", "FQDNs")
                        if side + k in written]

    def is_wide(self):
        """It names no address."""
        return not self.members or any(w in THE_WORLD for w in self.r.get("toEntities", []))

    def reaches(self, flow):
        """Is the far end of the flow one of the peers?"""
        r, side, address = self.r, self.side, flow["address"]
        if not self.members:
            return "toPorts" in r or "icmps" in r  # {} is nobody
        if flow["name"] and not endpoint(address) and \
                any(is_named(f, flow["name"]) for f in self.names):
            return True
        if any(is_entity(w, address) for w in r.get(side + "Entities", [])):
            return True
        e = endpoint(address)
        if e:  # no CIDR is about endpoints
            return any(peer(s, e, self.spec.namespace) for s in r.get(side + "Endpoints", []))
        return any(inside(address, c) for c in r.get(side + "CIDR", [])) or \
            any(in_set(c, address, self.spec.groups) for c in r.get(side + "CIDRSet", []))

    def parts(self, flow):
        """What the flow meets of toPorts or icmps; None is a part without any limit."""
        r = self.r
        if "icmps" in r:
            return [{} for i in r["icmps"] if any(has_type(f, flow) for f in i["fields"])]
        if "toPorts" not in r:
            return [{}]
        return [e for e in r["toPorts"] if any(has_port(p, flow, "ANY") for p in e["ports"])
                and not (lists(e).get("dns") and flow["protocol"] == "SCTP")]


class CiliumSpec:
    audits = False

    def __init__(self, doc, written, groups, ingress):
        clusterwide = doc["kind"] == "CiliumClusterwideNetworkPolicy"
        self.namespace = None if clusterwide else doc["metadata"].get("namespace", "default")
        self.written, self.groups, self.ingress = written, groups, ingress
        self.direction = "ingress" if ingress else "egress"

    def selects(self, workload):
        wanted = dict(self.written["endpointSelector"])
        if self.namespace:  # which is put over that of the labels
            wanted["matchLabels"] = {k: v for k, v in wanted.get("matchLabels", {}).items()
                                     if not k.endswith(NAMESPACE)}
        return self.namespace in (None, workload.namespace) and matches(wanted, workload)

    def rules(self, deny):
        written = self.written.get(self.direction + ("Deny" if deny else ""), [])
        return [Rule(self, r) for r in written]

    def closes(self):
        """True, False, or None when it says nothing about the direction."""
        rules = self.written.get(self.direction) or self.written.get(self.direction + "Deny")
        said = self.written.get("enableDefaultDeny", {})
        return said.get(self.direction, True if rules else None)


class OwnSpec(CiliumSpec):
    """An EgressPolicy."""

    def __init__(self, doc, groups, ingress):
        written = {"endpointSelector": {}, **doc["spec"]}
        for key in ("egress", "egressDeny"):
            written[key] = [r for w in written.get(key, []) for r in preset(w)]
        super().__init__(doc, written, groups, ingress)
        self.audits = written.get("enforcement") == "audit"


def preset(written):
    return [{"toCIDR": PRIVATE}] if written.get("preset") == "private" else [written]


class K8sRule:
    """One of NetworkPolicy."""
    names = ()

    def __init__(self, spec, written):
        self.spec, self.r = spec, {}
        self.peers = written.get("from" if spec.ingress else "to") or []
        self.ports = written.get("ports") or []
        self.members = self.peers

    def is_wide(self):
        return not self.peers

    def reaches(self, flow):
        return not self.peers or any(self.is_peer(p, flow["address"]) for p in self.peers)

    def is_peer(self, p, address):
        e = endpoint(address)
        if "ipBlock" in p:
            return not e and in_set(p["ipBlock"], address, {})
        if not e or not e.namespace or not matches(p.get("podSelector", {}), e):
            return False
        if "namespaceSelector" not in p:
            return e.namespace == self.spec.namespace
        labels = {k.partition(OF_NAMESPACE)[2]: v for k, v in e.known.items() if OF_NAMESPACE in k}
        return matches(p["namespaceSelector"], Endpoint(None, labels, []))

    def parts(self, flow):
        met = any(has_port({**p, "port": str(p.get("port", 0))}, flow, "TCP") for p in self.ports)
        return [{}] if met or not self.ports else []


class K8sSpec:
    audits = False

    def __init__(self, doc, ingress):
        self.namespace = doc["metadata"].get("namespace", "default")
        self.written, self.ingress = doc["spec"], ingress
        self.direction = "ingress" if ingress else "egress"

    def selects(self, workload):
        return workload.namespace == self.namespace and \
            matches(self.written["podSelector"], workload)

    def rules(self, deny):
        written = self.written.get(self.direction)
        return [] if deny else [K8sRule(self, r) for r in written or []]

    def closes(self):
        types = self.written.get("policyTypes")
        if types:
            return True if self.direction.capitalize() in types else None
        return True if self.ingress or self.written.get("egress") else None


def specs_of(docs, ingress):
    """That select the workload."""
    groups = {d["metadata"]["name"]: d for d in docs if d["kind"] == "CiliumCIDRGroup"}
    made = [CiliumSpec(d, s, groups, ingress) for d in docs
            if d["kind"] in ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
            for s in ([d["spec"]] if "spec" in d else []) + d.get("specs", [])]
    made += [OwnSpec(d, groups, ingress) for d in docs if d["kind"] == "EgressPolicy"]
    made += [K8sSpec(d, ingress) for d in docs if d["kind"] == "NetworkPolicy"]
    return [s for s in made if s.selects(WORKLOAD)]


def about(docs, ingress):
    """Of these those that say anything about the direction."""
    return [s for s in specs_of(docs, ingress) if s.closes() is not None]


# ---- verdicts ----

def authority(flow):
    """The Host field as a client sends it: a port that the scheme has is not in it."""
    host = flow["name"] or flow["shown"]
    host = f"[{host}]" if ":" in host else host
    usual = 80 if flow["tls"] is None else 443
    return host if flow["port"] == usual else f"{host}:{flow['port']}"


def passes(http, flow, host=None):
    method, path = flow["request"]
    return re.fullmatch(http.get("method", ".*"), method) and \
        re.fullmatch(http.get("path", ".*"), path) and \
        re.fullmatch(http.get("host", ".*"), host or authority(flow))


def is_served(serve, flow):
    return any(s == "any" or s == f"{flow['port']}/{flow['protocol'].lower()}" for s in serve)


def is_content(rule, part):
    """Does the rule deny by names or by requests?"""
    return rule.names or lists(part).get("http")


def denies(rule, part, flow):
    """A rule that denies, whose port the flow has. None: it cannot be said here."""
    http = lists(part).get("http")
    if not is_content(rule, part):
        return rule.reaches(flow)
    if endpoint(flow["address"]) if rule.names else not rule.reaches(flow):
        return False

    def is_of(name):
        return not rule.names or bool(name) and any(is_named(n, name) for n in rule.names)
    if flow["protocol"] != "TCP":
        return not http and is_of(flow["name"])
    if flow["tls"] == "":
        return True  # nobody knows whose it is
    if flow["tls"] and (not flow["request"] or flow["name"] != flow["tls"]):
        return True if not http and is_of(flow["tls"]) else None
    if flow["request"] and not flow["name"] and any(
            not n.get("matchPattern", "x").strip("*") for n in rule.names):
        return None  # is an address a name?
    if flow["request"]:
        return is_of(flow["tls"] or flow["name"]) and \
            (not http or any(passes(h, flow, host) for h in http
                             for host in (authority(flow), flow["name"] or "")))
    return is_of(flow["name"])  # bytes that tell nothing


def is_denied(specs, flow):
    """Of an address that hides another, the denies count by either."""
    forms = [flow]
    if not flow["shown"].startswith("::ffff:"):
        forms.append({**flow, "address": flow["shown"]})
    found = [denies(r, p, f) for f in forms for s in specs for r in s.rules(True)
             for p in r.parts(f)]
    return True if True in found else None if None in found else False


def coming(docs, flow, serve):
    specs = about(docs, True)
    if is_denied(specs, flow):
        return "deny"
    if any(r.reaches(flow) and r.parts(flow) for s in specs for r in s.rules(False)):
        return "allow"
    return "deny" if any(s.closes() for s in specs) or not is_served(serve, flow) else "allow"


def is_bound(rule, part, flow):
    """What the names that a client says are worth, by what the rule says of where to."""
    host = flow["name"] if flow["request"] else None
    if flow["protocol"] != "TCP" or not (flow["tls"] is not None or flow["request"]):
        return True
    if flow["tls"] == "" and (rule.names or has_list(part)):
        return False
    reading = bool(lists(part).get("http"))
    if flow["tls"] and reading and host != flow["tls"]:
        return False
    if rule.names:
        return (flow["tls"] or host) == flow["name"] and (not reading or host == flow["name"])
    if not endpoint(flow["address"]) and rule.is_wide():
        return "serverNames" not in part or flow["tls"] == flow["name"]
    return True


def has_list(part):
    return "serverNames" in part or lists(part).get("http") or lists(part).get("dns")


def fits(part, flow):
    """The flow, which goes to a peer and a port of the rule: is it what the list is for?"""
    if lists(part).get("dns"):  # what is asked is for the DNS gate; nothing else is said there
        return flow["protocol"] == "UDP" and "any name" not in flow
    if "serverNames" in part:
        return bool(flow["tls"]) and any(is_served_as(p, flow["tls"]) for p in part["serverNames"])
    if lists(part).get("http"):
        return bool(flow["request"]) and any(passes(h, flow) for h in lists(part)["http"])
    return True


def going(docs, flow):
    """What audits never denies, and never opens what others deny."""
    specs = about(docs, False)
    enforcing = [s for s in specs if not s.audits]
    if not specs or flow["address"] in NEVER:
        return "deny"
    denied = is_denied(enforcing, flow)
    if denied is not False:
        return "deny" if denied else None
    def met_of(specs):
        return [(r, p) for s in specs for r in s.rules(False) if r.reaches(flow)
                for p in r.parts(flow)]
    if any(has_list(p) and (flow["tls"] == "" or not is_bound(r, p, flow))
           for r, p in met_of(s for s in specs if s.audits)):
        return None  # what binds is not audited
    met = met_of(enforcing)
    if any(is_bound(r, p, flow) and fits(p, flow) for r, p in met):
        return "allow"
    if flow["tls"] is not None and not flow["request"] and \
            any(lists(p).get("http") for _, p in met):
        return None  # nothing that could be judged has been said so far
    listed = [(r, p) for r, p in met if has_list(p)]
    if listed and all(r.r.get("enforcement") == "audit" for r, _ in listed):
        if flow["tls"] is not None and flow["tls"] != flow["name"]:
            return None  # what binds is not audited, and comes before the request or after it
        return "allow" if any(is_bound(r, {}, flow) for r, _ in listed) else "deny"
    return "deny" if listed or any(s.closes() for s in enforcing) else "allow"


def may_be_asked_for(docs, name):
    specs = [s for s in about(docs, False) if not s.audits]
    if any(is_named(n, name) for s in specs for r in s.rules(True) for n in r.names
           if "toPorts" not in r.r and "icmps" not in r.r):
        return False
    for s in specs:
        for r in s.rules(False):
            parts = r.r.get("toPorts", [])
            wanted = [*r.names] + [n for p in parts for n in lists(p).get("dns", [])]
            if any(is_named(n, name) for n in wanted):
                return True
            if r.is_wide() and any(n.strip("*") and is_served_as(n, name)
                                     for p in parts for n in p.get("serverNames", [])):
                return True
    listed = [r for s in specs for r in s.rules(False) for p in r.r.get("toPorts", [])
              if lists(p).get("dns")]
    if listed and all(r.r.get("enforcement") == "audit" for r in listed):
        return True
    # who may ask any resolver of the world may ask this one; where the default is to allow, that
    # is nobody of whom some rule for names lists questions
    asks = [{"address": a, "shown": a, "name": None, "protocol": "UDP", "port": 53, "tls": None,
             "request": None, "any name": True} for a in FAR_AWAY]
    if not any(s.closes() for s in specs) and \
            any(r.names and lists(p).get("dns") for s in specs for r in s.rules(False)
                for p in r.parts(asks[0])):
        return False
    return any(going(docs, a) == "allow" for a in asks)


def verdict(docs, flow, serve):
    if flow["ingress"]:
        return coming(docs, flow, serve)
    if flow["name"] and not may_be_asked_for(docs, flow["name"]):
        return "deny"
    return going(docs, flow)
