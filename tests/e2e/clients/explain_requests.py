# SPDX-License-Identifier: Apache-2.0
"""Random requests for explain.py: of every kind, or HTTP alone and more of it."""
import random

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

# Of what the policies "requests" and "lists" have rules for.
METHODS = ["GET"] * 8 + ["HEAD", "POST", "PUT", "PUT", "PATCH", "DELETE", "COPY", "COPY", "MOVE", "PROPFIND"]
MORE_PATHS = ["/v1/a.b", "/v1/axb", "/v1/a/b", "/V1/chat", "/v1/chat/", "/v1/chat%20", "/v1/;", "/v1/x;y/z", "/v1;x/chat",
              "/v1/a%2Fb?c", "/v1/a%2Fb%2Fc", "/named;x", "/named;x/y;z", "/named;y", "/slash/a%2Fb", "/slash/a/b", "/v1/secret",
              "/v1/secret;x", "/v1%2Fsecret", "/v1/secret?x", "/v1/SECRET", "/v1/secret%3Fx", "/public/", "/edit",
              "/edit?x", "/must", "/absent", "/fallback", "/unicode/%C3%A4", "/unicode/a", "/unicode/%E2%82%AC", "/v1/x:z",
              "/v1/x%3Az", "/v1/x%3az;y?q", "/v1/%40me", "/v1/@me", "/unicode/a%2Cb", "/named;x%3By", "/named%3Bx"] + ["/v1/x", "/edit"] * 4
TARGETS = ["/v1/b", "/v1/secret", "/public", "/v1/../b", "//x/v1", "/v1/a%2Fb", "/v1/b;c", "/v1/b?c"]
HEADERS = [[], [], ["X-Tenant: blue"], ["X-Tenant: red"], ["x-tenant: blue"], ["X-Tenant:blue"], ["X-Tenant: blue "],
           ["X_Tenant: blue"], ["X-Tenant: red", "X-Tenant: blue"], ["X-Tenant: Blue"], ["X-Tenant: "]]
MORE_HEADERS = [["Authorization: Bearer right"], ["Authorization: Bearer wrong"], ["X-Token: right"], ["X-Drop: a"],
                ["X-Drop: never"], ["X_Drop: a"], ["X-Seen: 1"], ["X-Seen: 2"], ["X-Forbidden: 1"], ["X.Forbidden: 1"],
                ["X-Amz-Copy-Source: /b"], ["X-Copy-From: /b"], ["X-Goog-Copy-Source: a", "X-Amz-Copy-Source: b"],
                ["X-Original-URL: /v1/secret"], ["X-HTTP-Method-Override: DELETE"], ["Forwarded: host=b"], ["Te: trailers"],
                ["Range: bytes=0-1"], ["Content-Type: a", "Content-Type: b"]]


def address(host, family):
    return f"203.0.113.{host}" if family == 4 else f"2001:db8:113::{host}"


def authority(r):
    host = r["name"] or (f"[{r['address']}]" if r["family"] == 6 else r["address"])
    plain = r["port"] == {"tls": 443, "h2": 443, "http": 80}.get(r["how"])
    spell = {"upper": str.upper, "dot": lambda h: h if r["name"] == "" else h + ".",
             "long": lambda h: h.replace("::", ":0:0::")}.get(r.get("host"), str)
    port = "" if plain and r.get("host") != "port" else r["port"]
    return f"{spell(host)}:{port}" if port else spell(host)


def of_any_kind(rnd):
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
        return None  # of a name, explain takes these ports for HTTP and TLS
    r["port"] = 7777 if r["how"] == "udp" else r["port"]
    if r["how"] == "tls" and r["name"] and rnd.random() < .4:
        r.update(how="h2", sni=r["name"])  # what the versions say differently is not asked about
    if r["how"] in ("tls", "http") and rnd.random() < .1:
        r["method"] = rnd.choice(ODD_METHODS)
    if r["how"] in ("tls", "http") and rnd.random() < .1:
        r["headers"] = rnd.choice(ODD_HEADERS)
    return r


def of_http(rnd):
    name = rnd.choice(["a.explain.test"] * 6 + ["b.explain.test", "one.wild.explain.test", "two.wild.explain.test",
                                               "denied.explain.test", "other.test", ""])
    how = rnd.choice(["tls", "tls", "h2", "http"])
    family = rnd.choice([4, 6])
    r = {"family": family, "how": how, "port": rnd.choice([80, 80, 8443] if how == "http" else [443, 443, 443, 8443]),
         "name": name, "sni": name, "address": address(HOSTS.get(name, rnd.choice([NAMELESS, 107])), family),
         "method": rnd.choice(METHODS), "path": rnd.choice(rnd.choice([PATHS, MORE_PATHS, MORE_PATHS, ODD_PATHS])),
         "headers": rnd.choice(HEADERS) + (rnd.choice(MORE_HEADERS) if rnd.random() < .6 else []),
         "host": rnd.choice([""] * 6 + ["upper", "dot", "port", "long"])}
    if name == "" and how == "h2":
        return None
    if r["method"] in ("COPY", "MOVE") and rnd.random() < .8:
        scheme = rnd.choice(["", "http://", "https://"])
        r["headers"] = r["headers"] + [f"Destination: {scheme}{authority(r) if scheme else ''}{rnd.choice(TARGETS)}"]
    if how != "h2" and rnd.random() < .05:
        r["method"] = rnd.choice(ODD_METHODS + ["Get", "PUT-", "TRACK", "M-SEARCH"])
    if how != "h2" and rnd.random() < .05:
        r["headers"] = rnd.choice(ODD_HEADERS)
    if how == "h2":  # which has no blanks around values
        r["headers"] = [h for h in r["headers"] if h == h.strip() and ": " in h and not h.startswith("Te")]
    return r


def make(seed, count, kind):
    rnd = random.Random(seed)
    made = []
    while len(made) < count:
        r = (of_any_kind if kind == "any" else of_http)(rnd)
        if r:
            made.append(r)
    made.sort(key=lambda r: r["name"] != "")  # stable: the literals first
    return made
