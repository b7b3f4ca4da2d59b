#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Several proxy processes for one endpoint: one policy, one set of names, one limit; and no common end.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

NAMES=25 LIVE=203.0.113.86
for i in $(seq $NAMES); do world_name "n$i.live.test" $LIVE; done
world_cert live '*.live.test'
world_nginx live <<-END
	access_log off;
	server {
		listen $LIVE:443 ssl;
		ssl_certificate $WORLD/tls/live.pem; ssl_certificate_key $WORLD/tls/live.key;
		location / { proxy_pass http://127.0.0.1:9086; proxy_http_version 1.1; proxy_buffering off; }
	}
END
world_daemon origin-live python3 "$TOP/tests/lib/live_origin.py" 127.0.0.1:9086
world_wait 60 curl -fsm 10 https://n1.live.test/short
cat >"$WORLD/conf/workers.yaml" <<-'END'
	apiVersion: cilium.io/v2
	kind: CiliumNetworkPolicy
	metadata: {name: workers}
	spec:
	  endpointSelector: {}
	  egress:
	  - toFQDNs: [{matchPattern: "*.live.test"}]
	    toPorts:
	    - ports: [{port: "443", protocol: TCP}]
	      rules: {http: [{method: GET}]}
	  - toCIDR: [203.0.113.50/32]
	    toPorts: [{ports: [{port: "7777", protocol: ANY}]}]
END
run() { # WORKERS COMMAND…
	: >"$WORLD/log/audit"
	"$EXEAT" run -p "$WORLD/conf/workers.yaml" --workers "$1" --log "$WORLD/log/audit" -q -- "${@:2}"
}

# ---- a name that was just learned is known to whoever gets the flow ----

cat >"$WORLD/tmp/fresh.py" <<'END'
import socket, ssl, sys
context, good = ssl.create_default_context(), 0
for i in range(1, int(sys.argv[1]) + 1):
    name = f"n{i}.live.test"
    address = socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    for _ in range(8): # to several workers, at once
        with context.wrap_socket(socket.create_connection(address, 30), server_hostname=name) as s:
            s.sendall(f"GET /short HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            good += b"short" in b"".join(iter(lambda: s.recv(4096), b""))
print(good)
END
for workers in 1 3 8; do
	same "$workers workers: each knows each name at once" \
		"$(run $workers python3 "$WORLD/tmp/fresh.py" $NAMES 2>&1 | tail -n1)" $((8 * NAMES))
done
same "every request is in the audit log" \
	"$(audit '"app": ?"http"' '"verdict": ?"allow"' | wc -l)" $((8 * NAMES))

# ---- one that dies takes its own connections along ----

cat >"$WORLD/tmp/many.py" <<'END'
import os, socket, sys, time
flows = []
for _ in range(40):
    s = socket.create_connection((sys.argv[1], 7777), 30)
    s.settimeout(30)
    flows.append(s)

def alive():
    n = 0
    for s in flows:
        try:
            s.sendall(b"hello\n")
            n += s.recv(10) == b"hello\n"
        except OSError:
            pass
    return n

print("open", alive(), flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(.05)
print("left", alive(), flush=True)
END
run 3 python3 "$WORLD/tmp/many.py" "$ECHO4" "$WORLD/tmp/killed" >"$WORLD/tmp/many.out" 2>&1 &
job=$!
world_wait 60 grep -q open "$WORLD/tmp/many.out"
same "connections are open" "$(head -n1 "$WORLD/tmp/many.out")" "open 40"
descriptors() { for p in $(pgrep -x exeat-proxy); do echo "$(find "/proc/$p/fd" -type l | wc -l) $p"; done | sort -n; }
busy=$(descriptors | awk '$1 > 20' | wc -l)
check "more than one worker has some" test "$busy" -gt 1
victim=$(descriptors | tail -n1)
kill -KILL "${victim#* }"
world_wait 60 sh -c "! kill -0 ${victim#* }"
touch "$WORLD/tmp/killed"
wait $job
left=$(sed -n 's/left //p' "$WORLD/tmp/many.out")
check "a worker that dies takes some along ($left of 40 left)" test "${left:-40}" -lt 40
check "and not the others'" test "${left:-0}" -gt 5

# ---- limits are the endpoint's ----

cat >"$WORLD/tmp/hold.py" <<'END'
import select, socket, sys
flows = []
for _ in range(1500):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((sys.argv[1], 7777))
    flows.append(s)
def ready(what, events):
    """Each that has something to say, until nothing is heard of any for a while."""
    poll, left = select.poll(), {s.fileno(): s for s in what}
    for s in what:
        poll.register(s, events)
    while left and (heard := poll.poll(3000)):
        for fd, _ in heard:
            poll.unregister(fd)
            yield left.pop(fd)

begun = []
for s in list(ready(flows, select.POLLOUT)):
    try:
        s.sendall(b"x\n")
        begun.append(s)
    except OSError:
        pass
answered = 0
for s in ready(begun, select.POLLIN):
    try:
        answered += s.recv(10) == b"x\n"
    except OSError:
        pass
print(answered)
END
ip netns exec net sh -c 'ulimit -n 65536; sysctl -qw net.core.somaxconn=4096' 2>/dev/null
cat >"$WORLD/tmp/echo.py" <<'END'
import asyncio, sys
async def echo(r, w):
    try:
        while data := await r.read(100):
            w.write(data)
    except OSError:
        pass
    w.close()
async def main():
    await (await asyncio.start_server(echo, sys.argv[1], 7777, backlog=4096)).serve_forever()
asyncio.run(main())
END
kill "$(cat "$WORLD/pid/echo4")"
world_daemon echo-many bash -c 'ulimit -n 65536; exec python3 "$0" "$1"' "$WORLD/tmp/echo.py" "$ECHO4"
world_wait 60 nc -z "$ECHO4" 7777
for workers in 1 3; do
	n=$(run $workers bash -c 'ulimit -n 4096; exec python3 "$@"' - "$WORLD/tmp/hold.py" "$ECHO4" 2>&1 | tail -n1)
	check "$workers workers: $n of 1500 connections are let in, not many more than 1024" \
		test "${n:-0}" -gt 800 -a "${n:-9999}" -le 1290
	refused=$(grep -c '"verdict":"deny","reason":"limit".*"dport":7777}$' "$WORLD/log/audit")
	check "$workers workers: the $refused for which there is no room are in the log" test "$refused" -gt 0
done

tap_done
