# SPDX-License-Identifier: Apache-2.0
"""Who takes part in the benchmark: a client's place, the processes of a proxy, and what these take."""

import ctypes
import fcntl
import json
import os
import struct
import subprocess
import sys

TOP = os.environ["TOP"]
SIOCGSKNS = 0x894C
PIDFD_OPEN, PIDFD_GETFD = 434, 438
PAGE = os.sysconf("SC_PAGE_SIZE")
PRESENT, FRAME = 1 << 63, (1 << 55) - 1 # of a word of /proc/PID/pagemap


def processes(pid):
    """pid and all that came of it, as far as it is a proxy: the confined command is not."""
    found, children = [pid], {}
    for p in os.listdir("/proc"):
        if not p.isdigit():
            continue
        try:
            with open(f"/proc/{p}/stat", encoding="ascii", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        comm, parent = text[text.index("(") + 1:text.rindex(")")], int(text[text.rindex(")") + 2:].split()[1])
        children.setdefault(parent, []).append((int(p), comm))
    for p in found:
        found += [child for child, comm in children.get(p, []) if comm != "exeat-init"]
    return found


def cpu_of(pid):
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    except OSError:
        pass
    return total / 1e9


def cpu_all():
    return sum(cpu_of(p) for p in os.listdir("/proc") if p.isdigit())


def rss(pids):
    """MiB that each of pids has mapped, summed: what they share counts for each of them."""
    total = 0
    for p in pids:
        with open(f"/proc/{p}/smaps_rollup", encoding="ascii") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Rss:"))
    return total / 1024


def frames(pid):
    """The page frames that pid maps. Maps of the kernel gate are not memory of a process."""
    found = set()
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in maps:
            area, name = line.split()[0], line[73:].strip()
            start, end = (int(x, 16) // PAGE for x in area.split("-"))
            if name.startswith(("anon_inode:bpf-map", "[v")): # [vsyscall] and such are the kernel's
                continue
            pagemap.seek(start * 8)
            found.update(word & FRAME for (word,) in struct.iter_unpack("=Q", pagemap.read((end - start) * 8)) if word & PRESENT)
    if 0 in found:
        sys.exit("bench: the kernel does not tell page frames (CAP_SYS_ADMIN)")
    return found


def memory(pids):
    """MiB of the pages that pids map, each counted once: for a single process its RSS."""
    return len(set().union(*map(frames, pids))) * PAGE / (1 << 20)


def steady_congestion(pid):
    """The proxy's listening sockets live in a namespace without a process: it paces as all others."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    done = set()
    for fd in range(3, 64):
        sock = libc.syscall(PIDFD_GETFD, pidfd, fd, 0)
        if sock < 0:
            continue
        try:
            ns = fcntl.ioctl(sock, SIOCGSKNS)
        except OSError:
            continue
        finally:
            os.close(sock)
        ino = os.fstat(ns).st_ino
        if ino not in done:
            done.add(ino)
            subprocess.run(["nsenter", f"--net=/proc/self/fd/{ns}", "sysctl", "-qw",
                            "net.ipv4.tcp_congestion_control=reno"], pass_fds=[ns], check=False)
        os.close(ns)
    os.close(pidfd)


class Missing:
    """A peer that is not on this machine."""
    void, pids = "not installed", []


class Variant:
    def __init__(self, name, command, pid=None):
        self.name = name
        self.client = subprocess.Popen(command + ["python3", f"{TOP}/bench/client.py"], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        if self.client.stdout.readline() != "ready\n":
            sys.exit(f"bench: {name} does not start")
        # under `exeat run` the parent is the process that was started
        self.pid = self.client.pid if pid == "self" else pid
        self.pids = processes(self.pid) if self.pid else []
        self.started = memory(self.pids)
        self.void = None
        self.pin(1)
        if pid == "self":
            for p in self.pids:
                steady_congestion(p)

    def pin(self, cpu):
        for p in self.pids:
            for task in os.listdir(f"/proc/{p}/task"):
                os.sched_setaffinity(int(task), {cpu})

    def ask(self, *command):
        self.client.stdin.write(json.dumps(command) + "\n")
        self.client.stdin.flush()
        return self.client.stdout.readline().strip()

    def run(self, *command):
        return json.loads(self.ask(*command))["out"]

    def lives(self):
        return all(os.path.exists(f"/proc/{p}") for p in self.pids)

    def smoke(self, url, l7):
        """Allowed passes; method, path and name that are not allowed are refused."""
        curl = ["curl", "-sm", "5", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "--http1.1"]
        got = self.run(*curl, "--data", "x", url + "/v1/chat/completions")
        if got != "200 215":
            return f"an allowed request got {got!r}"
        other = url.split("//")[0] + "//other.test/v1/chat/completions"
        tries = [[*curl, "--data", "x", other]]
        if l7:
            tries += [[*curl, url + "/v1/chat/completions"], [*curl, "--data", "x", url + "/v1/files"]]
            tries += [[*curl, "--data", "x", url + "/v1/models"]]
            tries += [[*curl, "-H", "Host: other.test", "--data", "x", url + "/v1/chat/completions"]]
        for t in tries:
            got = self.run(*t)
            if got.startswith("200"):
                return f"passed what is not allowed: {' '.join(t[7:])}"
        return None
