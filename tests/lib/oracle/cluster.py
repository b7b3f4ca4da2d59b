# SPDX-License-Identifier: Apache-2.0
"""Who there is: endpoints, addresses of the world, names, and which endpoints a selector selects."""
import functools
import ipaddress

NAMESPACE = "io.kubernetes.pod.namespace"
OF_NAMESPACE = "io.cilium.k8s.namespace.labels."
TEAMS = {"shop": "red", "crm": "red", "monitoring": "blue"}  # a label of the namespaces


class Endpoint:
    def __init__(self, namespace, labels, addresses, ports=()):
        self.namespace, self.labels = namespace, labels  # as they are written into the file
        self.addresses, self.ports = addresses, dict(ports)
        known = {k if ":" in k else "k8s:" + k: v for k, v in labels.items()}
        if namespace:
            known["k8s:" + NAMESPACE] = namespace
            known["k8s:" + OF_NAMESPACE + "kubernetes.io/metadata.name"] = namespace
            known["k8s:io.cilium.k8s.policy.cluster"] = "default"
        self.known = known

    def values(self, key):
        """Of the labels that a selector's key is about."""
        source, _, name = key.rpartition(":") if ":" in key else ("any", "", key)
        return [v for k, v in self.known.items()
                if k.partition(":")[2] == name and source in ("any", k.partition(":")[0])]


def pod(namespace, labels, n, **ports):
    labels = {**labels, OF_NAMESPACE + "team": TEAMS[namespace]}
    return Endpoint(namespace, labels, [f"10.{n}", "fd10::" + n.replace(".", ":")], ports)


ENDPOINTS = [
    pod("shop", {"app": "postgres", "tier": "data"}, "1.0.5", pg=5432),
    pod("shop", {"app": "redis", "tier": "data"}, "1.0.6"),
    pod("shop", {"app": "web", "version": "v2"}, "1.0.7", http=8080, metrics=9090),
    pod("shop", {"app": "web", "version": "v1"}, "1.0.8", http=8000),
    pod("monitoring", {"app": "prometheus"}, "2.0.1"),
    pod("crm", {"app": "postgres"}, "3.0.5", pg=5433),
    Endpoint(None, {"reserved:kube-apiserver": ""}, ["10.4.0.1", "30.0.0.9"]),
    Endpoint(None, {"reserved:remote-node": "", "role": "edge"}, ["10.4.0.2", "fd10::4:0:2"]),
]
WORKLOAD = Endpoint("shop", {"app": "agent", "tier": "front", OF_NAMESPACE + "team": "red"}, [])
WORLD = ["20.0.0.1", "20.1.2.3", "20.1.9.9", "30.0.0.1", "9.9.9.9", "10.1.200.1",
         "2a00::1", "2a00:1:2::3", "2a00:1:9::9", "2b00::1", "fd10::1:0:99"]
FAR_AWAY = ["192.0.2.1", "2001:db8::1"]  # in no CIDR that policies name, but for the whole
DISGUISED = {"::ffff:20.1.2.3": "20.1.2.3", "64:ff9b::1401:203": "20.1.2.3",
             "2002:1401:203::1": "20.1.2.3", "::ffff:10.1.0.7": "10.1.0.7",
             "::ffff:127.0.0.1": "127.0.0.1"}
NEVER = ["127.0.0.1", "0.0.0.1", "169.254.169.254", "224.0.0.1", "240.0.0.1", "::1", "fe80::1",
         "ff02::1", "fd00:ec2::254", "2001::1", "64:ff9b:1::1", "100.100.100.200"]
NAMES = ["api.x.test", "b.x.test", "q.api.x.test", "other.test", "x.test"]

BY_ADDRESS = {a: e for e in ENDPOINTS for a in e.addresses}


def endpoint(address):
    return BY_ADDRESS.get(address)


@functools.lru_cache(None)
def inside(address, cidr):
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr, strict=False)


def terms(selector):
    """Of both kinds: key, operator, values."""
    yield from ((k, "In", [v]) for k, v in (selector.get("matchLabels") or {}).items())
    for e in selector.get("matchExpressions") or []:
        yield e["key"], e["operator"], e.get("values", [])


def matches(selector, e):
    for key, operator, values in terms(selector):
        has = e.values(key)
        listed = any(v in values for v in has)
        if not {"In": listed, "NotIn": not listed, "Exists": bool(has),
                "DoesNotExist": not has}[operator]:
            return False
    return True


def peer(selector, e, namespace):
    """An item of toEndpoints in a policy of a namespace, or (None) of none."""
    keys = [k for k, _, _ in terms(selector)]
    names = [k.rpartition(":")[2] for k in keys]
    if not any(k.startswith("reserved:") for k in keys) and NAMESPACE not in names:
        if namespace is None and not e.namespace:
            return False
        if namespace and not any(n.startswith(OF_NAMESPACE) for n in names) and \
                e.namespace != namespace:
            return False
    return matches(selector, e)
