#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Churns the endpoints and policies of an agent under traffic, and says how long changes take.

    churn.py prober            in a pod: does what standard input says, answers line by line
    churn.py run [OPTION...]   on the node, see node.sh; prints TAP

Policy k of M selects app=a<k> and allows TCP to port 7000+k (odd turns: 7100+k) natively and
GET /<turn> on port 8000+k through the proxy; the rest of its rules is ballast. A pod of app k must
reach its port and path, and no other: after each change, at once.
"""
import argparse, http.client, json, os, random, socket, subprocess, sys, threading, time

SERVER = "203.0.113.50"
COUNTED = ("fds", "maps and programs", "namespaces", "gateway links", "proxies")
GONE = (ConnectionRefusedError, PermissionError)


# ---- in a pod ----

def try_tcp(port, limit):
    try:
        socket.create_connection((SERVER, port), limit).close()
        return "yes"
    except GONE:
        return "no"
    except OSError as e:
        return "no" if e.errno in (1, 13, 111, 113) else type(e).__name__ + ":" + str(e)


def try_http(port, path):
    c = http.client.HTTPConnection(SERVER, port, timeout=20)
    try:
        c.request("GET", path)
        return "yes" if c.getresponse().status == 200 else "no"
    except GONE:
        return "no"
    except (OSError, http.client.HTTPException) as e:
        return type(e).__name__ + ":" + str(e)
    finally:
        c.close()


def prober():
    """tcp PORT | http PORT PATH | await tcp PORT | await http PORT PATH: seconds on the clock."""
    for line in sys.stdin:
        words = line.split()
        waits = words[0] == "await"
        if waits:
            words = words[1:]
        limit, end = 0.03 if waits else 20, time.monotonic() + 60
        while True:
            r = (try_tcp(int(words[1]), limit) if words[0] == "tcp" else
                 try_http(int(words[1]), words[2]))
            if not waits or r == "yes" or time.monotonic() > end:
                break
            limit *= 1.2  # what took too long, and not what was refused, takes that long here
            time.sleep(0.005)  # refusals are limited: what asks faster hears nothing
        print(f"{time.monotonic():.6f}" if waits and r == "yes" else r, flush=True)


# ---- on the node ----

class Agent:
    """The control socket."""

    def __init__(self, path):
        self.path, self.lock, self.sock = path, threading.Lock(), None

    def ask(self, op, **keys):
        with self.lock:
            if not self.sock:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(self.path)
                self.file = self.sock.makefile("r")
            self.sock.sendall(json.dumps({"op": op, **keys}).encode() + b"\n")
            answer = json.loads(self.file.readline())
        if not answer["ok"]:
            raise RuntimeError(f"{op} {keys}: {answer['error']}")
        return answer["result"]

    def pid(self):
        return self.ask("status")["pid"]


def sh(*cmd, text=None):
    subprocess.run(cmd, input=text, text=True, check=True, stdout=subprocess.DEVNULL)


class Pod:
    def __init__(self, i):
        self.i, self.name, self.app, self.id, self.probe = i, f"c{i}", None, None, None

    def ip(self):
        return f"10.88.{self.i // 200 + 1}.{self.i % 200 + 10}"

    def link(self):
        veth = f"vc{self.i}"
        sh("ip", "-b", "-", text=f"link add {veth} type veth peer name eth0 netns {self.name}\n"
           f"link set {veth} master cni0 up\n")
        sh("ip", "-n", self.name, "-b", "-", text="link set lo up\nlink set eth0 up\n"
           f"addr add {self.ip()}/16 dev eth0\nroute add default via 10.88.0.1\n")

    def unlink(self):
        sh("ip", "link", "del", f"vc{self.i}")

    def start(self):
        sh("ip", "netns", "add", self.name)
        self.link()

    def prober(self):
        if not self.probe:
            self.probe = subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, __file__, "prober"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self.probe

    def ask(self, line):
        p = self.prober()
        p.stdin.write(line + "\n")
        p.stdin.flush()
        return p.stdout.readline().strip()


class Churn:
    def __init__(self, o):
        self.o, self.agent = o, Agent(o.socket)
        self.turn = [0] * o.policies
        self.pods = [Pod(i) for i in range(o.endpoints)]
        self.wrong, self.checks, self.kernel, self.proxy, self.adds = [], 0, [], [], []

    def port(self, k):
        return (7100 if self.turn[k] % 2 else 7000) + k

    def policy(self, k):
        lines = [f"""apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {{name: p{k}, namespace: default}}
spec:
  endpointSelector: {{matchLabels: {{app: a{k}}}}}
  egress:
  - toCIDR: [{SERVER}/32]
    toPorts: [{{ports: [{{port: "{self.port(k)}", protocol: TCP}}]}}]
  - toCIDR: [{SERVER}/32]
    toPorts:
    - ports: [{{port: "{8000 + k}", protocol: TCP}}]
      rules: {{http: [{{method: GET, path: /{self.turn[k]}}}]}}"""]
        for j in range(2, self.o.rules):
            lines.append([
                f"  - toCIDR: [10.{k}.{j}.0/24]\n"
                f"    toPorts: [{{ports: [{{port: \"{1000 + j}\", protocol: TCP}}]}}]",
                f"  - toFQDNs: [{{matchName: n{j}.p{k}.example}}]\n"
                f"    toPorts: [{{ports: [{{port: \"443\", protocol: TCP}}]}}]",
                f"  - toEndpoints: [{{matchLabels: {{app: a{(k + j) % self.o.policies}}}}}]\n"
                f"    toPorts: [{{ports: [{{port: \"8080\", protocol: TCP}}]}}]"][j % 3])
        return "\n".join(lines) + "\n"

    def write(self, k):
        path = f"{self.o.policy_dir}/p{k}.yaml"
        with open(path + ".new", "w") as f:
            f.write(self.policy(k))
        os.rename(path + ".new", path)

    def add(self, pod, k):
        began = time.monotonic()
        r = self.agent.ask("endpoint.add", netns=f"/run/netns/{pod.name}", name=pod.name,
                           labels={"app": f"a{k}"})
        self.adds.append(time.monotonic() - began)
        pod.id, pod.app = r["id"], k

    def check(self, pod):
        """The pod may what its policy says, and nothing that only another one says."""
        k, other = pod.app, (pod.app + 1) % self.o.policies
        asked = [(f"tcp {self.port(k)}", "yes"), (f"tcp {self.port(other)}", "no"),
                 (f"http {8000 + k} /{self.turn[k]}", "yes"),
                 (f"http {8000 + k} /{self.turn[k] + 1}", "no"), ("tcp 7777", "no")]
        for line, wanted in asked:
            got = pod.ask(line)
            self.checks += 1
            if got != wanted:
                self.wrong.append(f"{pod.name} app {k}: {line}: {got}, not {wanted}")

    # ---- what happens ----

    def swap(self):
        """Another turn of one policy: how long until both gates follow?"""
        k = random.randrange(self.o.policies)
        of_it = [p for p in self.pods if p.app == k and p.probe]
        self.turn[k] += 1
        began = time.monotonic()
        self.write(k)
        if not of_it:
            self.agent.ask("policy.apply", wait=True)
            return
        pod = random.choice(of_it)
        for what, times in ((f"await tcp {self.port(k)}", self.kernel),
                            (f"await http {8000 + k} /{self.turn[k]}", self.proxy)):
            got = pod.ask(what)
            try:
                times.append(float(got) - began)
            except ValueError:
                self.wrong.append(f"{pod.name}: {what}: {got}")
        self.agent.ask("policy.apply", wait=True)
        self.check(pod)

    def relabel(self):
        pod = random.choice(self.pods)
        k = random.randrange(self.o.policies)
        self.agent.ask("endpoint.labels", id=pod.id, labels={"app": f"a{k}"})
        pod.app = k
        if pod.probe:
            self.check(pod)

    def replace(self):
        pod = random.choice(self.pods)
        if random.random() < 0.5:
            self.agent.ask("endpoint.remove", id=pod.id)
            pod.unlink()
        else:
            pod.unlink()  # the agent finds out
            end = time.monotonic() + 30
            while any(e["id"] == pod.id for e in self.agent.ask("endpoint.list")["endpoints"]):
                if time.monotonic() > end:
                    self.wrong.append(f"{pod.name} was not collected")
                    break
                time.sleep(0.01)
        pod.link()
        self.add(pod, random.randrange(self.o.policies))
        if pod.probe:
            self.check(pod)

    def look(self):
        """What the agent holds."""
        pid = self.agent.pid()
        maps, netns, fds = set(), 0, os.listdir(f"/proc/{pid}/fd")
        self.kinds = {}
        for fd in fds:
            try:
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
                netns += target.startswith("net:")
                kind = target.split(":")[0]
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
                with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                    maps |= {line for line in f if line.startswith(("map_id", "prog_id"))}
            except FileNotFoundError:
                pass
        with open(f"/proc/{pid}/status") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        links = sum(n.startswith("exg-") for n in os.listdir("/proc/sys/net/ipv4/conf"))
        children = subprocess.run(["pgrep", "-c", "-P", str(pid)], capture_output=True,
                                  text=True).stdout.strip()
        work = self.agent.ask("status").get("work", {})
        with open(f"/proc/{pid}/stat") as f:
            ticks = f.read().rsplit(")", 1)[1].split()
        work["cpu"] = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        return {"work": work, "fds": len(fds), "maps and programs": len(maps), "namespaces": netns,
                "gateway links": links, "proxies": int(children), "rss": rss}

    def run(self):
        o = self.o
        for k in range(o.policies):
            self.write(k)
        self.agent.ask("policy.apply", wait=True)
        self.pods[0].start()  # what the first endpoint has the agent open for good
        self.add(self.pods[0], 0)
        self.check(self.pods[0])
        self.agent.ask("endpoint.remove", id=self.pods[0].id)
        self.pods[0].unlink()
        self.adds.clear()
        empty, kinds = self.look(), self.kinds
        for pod in self.pods:
            pod.link() if pod.i == 0 else pod.start()
            self.add(pod, pod.i % o.policies)
        first = list(self.adds)
        for pod in self.pods[:o.probers]:
            self.check(pod)
        full = self.look()
        end, n, sizes = time.monotonic() + o.seconds, 0, [full["rss"]]
        while time.monotonic() < end:
            if end - time.monotonic() < o.seconds * (1 - len(sizes) / 8):
                sizes.append(self.look()["rss"])
            random.choice((self.swap, self.swap, self.relabel, self.replace))()
            n += 1
        self.agent.ask("policy.apply", wait=True)
        churned = self.look()
        for pod in self.pods:
            self.agent.ask("endpoint.remove", id=pod.id)
            pod.unlink()
        end = time.monotonic() + 30
        after = self.look()
        while any(after[k] != empty[k] for k in COUNTED) and time.monotonic() < end:
            time.sleep(0.1)  # the last proxies and sockets
            after = self.look()
        print(f"# resident, as it went: {sizes} KiB")
        for kind in sorted(kinds.keys() | self.kinds.keys()):
            if kinds.get(kind) != self.kinds.get(kind):
                print(f"# {kind}: {kinds.get(kind, 0)} descriptors before, {self.kinds.get(kind, 0)} after")
        self.report(n, first, empty, full, churned, after)

    def report(self, n, first, empty, full, churned, after):
        def ok(good, what, *detail):
            print(f"{'ok' if good else 'not ok'} - {what}")
            for line in detail:
                print(f"# {line}")

        def spread(name, v):
            v = sorted(v) or [0]
            print(f"# {name}: n {len(v)}, p50 {v[len(v) // 2] * 1e3:.1f} ms, "
                  f"p99 {v[min(len(v) - 1, int(len(v) * 0.99))] * 1e3:.1f} ms, "
                  f"max {v[-1] * 1e3:.1f} ms")

        print(f"# {self.o.endpoints} endpoints, {self.o.policies} policies of {self.o.rules} rules, "
              f"{n} changes in {self.o.seconds} s, {self.checks} verdicts")
        spread("first adds", first)
        spread("adds", self.adds[len(first):])
        spread("policy write to kernel effect", self.kernel)
        spread("policy write to proxy effect", self.proxy)
        for name, what in (("empty", empty), ("full", full), ("churned", churned), ("after", after)):
            print(f"# {name}: {what}")
        ok(not self.wrong, "no verdict was wrong", *self.wrong[:20])
        # pods of one policy share what was compiled for them, so there may be less
        ok(all(churned[k] <= full[k] for k in COUNTED), "churn leaks nothing that is counted")
        ok(churned["rss"] < full["rss"] * 1.5 + 20000, "nor memory")
        ok(all(after[k] == empty[k] for k in COUNTED), "all endpoints gone, everything of them is")
        print("1..4")


def main():
    if sys.argv[1:] == ["prober"]:
        return prober()
    p = argparse.ArgumentParser()
    p.add_argument("cmd", choices=["run"])
    p.add_argument("--socket", required=True)
    p.add_argument("--policy-dir", required=True)
    p.add_argument("--seconds", type=float, default=12)
    p.add_argument("--endpoints", type=int, default=20)
    p.add_argument("--policies", type=int, default=20)
    p.add_argument("--rules", type=int, default=50)
    p.add_argument("--probers", type=int, default=20)
    Churn(p.parse_args()).run()


if __name__ == "__main__":
    main()
