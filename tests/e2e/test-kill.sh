#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL to the command, to exeat and to its proxy: nothing opens, nothing is left.
# shellcheck disable=SC2016,SC2009,SC2012 # single quotes run inside; ps and ls are for people

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

footprint() {
	ip -o link | sed 's/^[0-9]*: //; s/ .*//'
	ip netns list
	ip rule; ip -6 rule
	nft list ruleset
	mount | wc -l
	find /run /dev/shm /var/tmp "$TMPDIR" /sys/fs/bpf -maxdepth 2 -iname '*exeat*' 2>/dev/null
	mountpoint -q /tmp && find /tmp 2>/dev/null
	ps -eo args= | grep -E '[e]xeat|[h]eartbeat' | grep -v -e "$0" -e tests/run
	lsns -n -o NS,TYPE 2>/dev/null | sort
}

# A workload that tries the allowed and the forbidden, over and over, and notes what it got.
worker='echo $$ >"$0.pid"; : heartbeat
while :; do
	curl -sSm60 -o /dev/null -w "allowed %{http_code}\n" "$CHAT" -d "{}" 2>/dev/null
	curl -sSm60 http://169.254.169.254/ 2>/dev/null
	curl -sSkm60 --resolve evil.example:443:203.0.113.66 https://evil.example/ 2>/dev/null
	sleep 0.05
done >>"$0" 2>&1'

start() { # NAME: starts a worker; $top is exeat, waits until it works
	log=$WORLD/tmp/worker-$1
	: >"$log"
	agent bash -c "$worker" "$log" &
	job=$!
	world_wait 60 grep -q 'allowed 200' "$log" || tap_not_ok "$1: the worker works" "$(cat "$log")"
	top=$(pgrep -P $job | head -n1)
	[ -n "$top" ] || top=$job
}

descendants() { # PID
	local child
	for child in $(pgrep -P "$1"); do
		echo "$child"
		descendants "$child"
	done
}

proxy_of() { # PID: the one of them that is not root's
	local p
	for p in $(descendants "$1") "$1"; do
		[ "$(sed -n 's/^Uid:\s*\([0-9]*\).*/\1/p' "/proc/$p/status" 2>/dev/null)" != 0 ] && echo "$p"
	done | head -n1
}

ORIGIN=203.0.113.81
world_daemon scripted python3 "$TOP/tests/lib/scripted_origin.py" "$WORLD/log/scripted.jsonl" $ORIGIN:8080
world_wait 60 ip netns exec net bash -c "exec 3<>/dev/tcp/$ORIGIN/8080"

# Since the world's own namespaces and daemons are there before, only what a run adds counts.
before=$(footprint)
gone() { [ "$(footprint)" = "$before" ]; }
# bash says which command was killed, by its words
nothing_left() { # NAME
	world_wait 60 gone
	same "$1: nothing is left" "$(diff <(echo "$before") <(footprint))" ""
	hasnt "$1: nothing opened" "$(grep -v ' Killed ' "$log")" 'SECRET|evil'
	unseen "$1: nothing denied arrived" '^203\.0\.113\.66|^169\.254'
}

start command
victims=$(descendants "$top")
inner=$(for p in $victims; do tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep '^bash -c echo' >/dev/null && echo "$p"; done | tail -n1)
kill -KILL "${inner:-0}"
wait $job
same "the command killed: exeat says 137" $? 137
nothing_left "command killed"

start victim
sniff_start exeat
kill -KILL "$top"
wait $job 2>/dev/null
ended() { ! pgrep -x 'exeat|exeat-proxy|exeat-init' && ! pgrep -f '[h]eartbeat'; }
check "exeat killed: so are all of the run" world_wait 60 ended
lines=$(wc -l <"$log")
sleep 1
same "exeat killed: the command does not live on" "$(wc -l <"$log")" "$lines"
sniff_stop exeat
same "exeat killed: nothing to a denied address" \
	"$(sniff_print exeat "host $EVIL4 or host $EVIL6 or host $META4 or host $META6")" ""
nothing_left "exeat killed"

# Each process of the run in turn: whichever dies, nothing opens.
n=$(start count; descendants "$top" | wc -l; kill -KILL "$top"; wait $job 2>/dev/null)
world_wait 60 gone
for i in $(seq 1 "${n:-0}"); do
	start "process$i"
	victim=$(descendants "$top" | sed -n "${i}p")
	what=$(tr '\0' ' ' <"/proc/$victim/cmdline" 2>/dev/null | cut -c1-40)
	kill -KILL "$victim" 2>/dev/null
	: >"$log"
	# what lives on has tried everything between one line and the next
	world_wait 60 sh -c "[ \$(grep -c ^allowed '$log') -ge 3 ] || ! pgrep -f '[h]eartbeat'"
	hasnt "process $i of a run killed ($what): nothing opens" "$(grep -v ' Killed ' "$log")" 'SECRET|evil'
	kill -KILL "$top" 2>/dev/null
	wait $job 2>/dev/null
	nothing_left "process $i killed"
done

# The proxy dies while an answer is being streamed: the client sees an end, not a bypass. The only one:
# what is with another worker goes on.
run_args=(--workers 1)
log=$WORLD/tmp/stream
: >"$log"
agent bash -c 'curl -sSN "$CHAT" -d "{\"stream\":true,\"pause\":20}"; echo "curl $?"
	curl -sSm60 -o /dev/null -w "again %{http_code}\n" "$CHAT" -d "{}"; echo "curl $?"' >"$log" 2>&1 &
job=$!
world_wait 60 grep -q 'data:' "$log"
top=$(pgrep -P $job | head -n1)
top=${top:-$job}
proxy=$(proxy_of "$top")
if [ -n "$proxy" ]; then
	same "the proxy has no capability" "$(sed -n 's/^Cap\(Eff\|Prm\|Inh\|Bnd\|Amb\):\s*//p' "/proc/$proxy/status" | sort -u)" 0000000000000000
	same "and can get none" "$(sed -n 's/^NoNewPrivs:\s*//p' "/proc/$proxy/status")" 1
	same "and is under seccomp" "$(sed -n 's/^Seccomp:\s*//p' "/proc/$proxy/status")" 2
	hasnt "and holds no file" "$(ls -l "/proc/$proxy/fd" | sed 's/.*-> //')" '^/(etc|home|root|mnt|usr|srv|opt|tmp)'
	hasnt "and no BPF map or program" "$(ls -l "/proc/$proxy/fd")" 'bpf-map|bpf-prog'
	kill -KILL "$proxy"
else
	tap_not_ok "a process of the run is the unprivileged proxy" "$(ps -ef)"
fi
world_wait 60 sh -c "! kill -0 $job"
hasnt "the stream does not go on" "$(cat "$log")" 'DONE'
hasnt "and no new request is let through unjudged" "$(cat "$log")" 'again 200'
wait $job 2>/dev/null
nothing_left "proxy killed"

# An answer that only the end of its connection ends does not look whole.
log=$WORLD/tmp/no-end
confined smuggling python3 -c '
import socket
s = socket.create_connection(("'$ORIGIN'", 8080), 60)
s.sendall(b"GET /case/no-end HTTP/1.1\r\nHost: '$ORIGIN':8080\r\n\r\n")
try:
    while got := s.recv(4096):
        print(got, flush=True)
    print("ended")
except ConnectionResetError:
    print("broken off")' >"$log" 2>&1 &
job=$!
world_wait 60 grep -q 'so far' "$log"
top=$(pgrep -P $job | head -n1)
kill -KILL "$(proxy_of "${top:-$job}")"
wait $job
has "an answer until the end, without the proxy" "$(cat "$log")" '^broken off$'
nothing_left "proxy killed, again"

# ---- the key of its CA is in no core file ----
mkdir "$WORLD/tmp/core"
cd "$WORLD/tmp/core" || exit 1
ulimit -c unlimited
start aborted
kill -ABRT "$top"
wait $job 2>/dev/null
nothing_left aborted
same "exeat leaves no core file" "$(ls -A)" ""
cd "$TOP" || exit 1

tap_done
