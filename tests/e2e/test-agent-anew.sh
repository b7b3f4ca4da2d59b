#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The agent starts anew in place, as for an upgrade: proxies stay, no connection is refused or lost.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

policy_llm <<END
  - toCIDR: [$GATEWAY4/32]
    toPorts:
    - ports: [{port: "8080", protocol: TCP}]
      rules: {http: [{method: GET, path: /v1/models}]}
  - toCIDR: [$ECHO4/32]
    toPorts: [{ports: [{port: "7777"}]}]
END
cp "$EXEAT" "$NODE/exeat" # it is replaced below
EXEAT=$NODE/exeat
export NOTIFY_SOCKET=$WORLD/tmp/notify
socat -u "UNIX-RECV:$NOTIFY_SOCKET" "SYSTEM:cat >>'$WORLD/tmp/notified'" & # no line ends here
world_wait 60 test -S "$NOTIFY_SOCKET"
node_agent --audit-file "$WORLD/log/audit" --workers 2
pod_new pod1 11
pod_new pod2 12
pod_new pod3 13
endpoint pod1 app=llm >/dev/null
endpoint pod2 app=llm >/dev/null
endpoint pod3 app=none >/dev/null
in_pod pod1 curl -sSm60 -o /dev/null "$CHAT" -H 'content-type: application/json' -d "$ASK"

# New connections all the time, each with a request; what is not answered is told.
requests() { # POD FILE
	in_pod "$1" python3 - "$GATEWAY4" "$2" <<-'END' &
		import http.client, sys, time
		n, out = 0, open(sys.argv[2], 'w', buffering=1)
		while True:
		    c = http.client.HTTPConnection(sys.argv[1], 8080, timeout=10)
		    try:
		        c.request('GET', '/v1/models')
		        s = c.getresponse().status
		        if s != 200:
		            print('status', s, file=out)
		    except Exception as e:
		        print(type(e).__name__, e, file=out)
		    c.close()
		    n += 1
		    if n % 10 == 0:
		        print('so far', n, file=out)
		    time.sleep(0.005)
	END
}

proxies() {
	pgrep -P $agent_pid -f 'exeat[ ]proxy' | sort | tr '\n' ' '
}

wait_anew() { # PROGRAM-STARTS: how often it was started by then
	world_wait 60 sh -c "[ \$(grep -c 'exeat: agent ' '$WORLD/log/agent') -ge $1 ]" && world_wait 60 ex status
}

requests pod1 "$WORLD/tmp/requests1"
requests pod2 "$WORLD/tmp/requests2"
world_wait 60 grep -q 'so far' "$WORLD/tmp/requests2"
# a stream that is under way all the time
in_pod pod1 curl -sSNm200 "$CHAT" -H 'content-type: application/json' -d '{"stream":true,"pause":3}' \
	>"$WORLD/tmp/stream" 2>&1 &
stream=$!
world_wait 60 grep -q data: "$WORLD/tmp/stream"
# something that is denied, all the time: each time another port
in_pod pod3 python3 - "$EVIL4" "$WORLD/tmp/asked" <<'END' &
import socket, sys, time
s, out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), open(sys.argv[2], 'w', buffering=1)
for port in range(20000, 60000):
    for attempt in range(2): # the refusal of the one before comes with the first
        try:
            s.sendto(b'x', (sys.argv[1], port))
            break
        except OSError:
            pass
    print(port, file=out)
    time.sleep(0.02)
END
asking=$!
before=$(proxies)
for turn in 2 3 4; do
	if [ $turn = 3 ]; then # an upgrade: another file in its place
		cp "$NODE/exeat" "$NODE/exeat.new"
		mv "$NODE/exeat.new" "$NODE/exeat"
	fi
	kill -USR2 $agent_pid
	check "turn $turn: it started anew" wait_anew $turn
	same "in the same process" "$(ex status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["pid"])')" "$agent_pid"
	same "with the same proxies" "$(proxies)" "$before"
	sleep 1
done
kill $asking
unrecorded() { # ports that were asked for, and are not in the log
	comm -23 <(sort -u "$WORLD/tmp/asked") <(grep '"verdict":"deny"' "$WORLD/log/audit" | grep -o '"dport":[0-9]*' | cut -d: -f2 | sort -u)
}
check "(something was denied all the time)" test "$(wc -l <"$WORLD/tmp/asked")" -gt 100
recorded() { [ -z "$(unrecorded)" ]; }
check "what is denied while it starts anew is recorded" world_wait 10 recorded
seen=$(grep -c 'so far' "$WORLD/tmp/requests1")
wait $stream
has "a stream that was under way is whole" "$(cat "$WORLD/tmp/stream")" 'data: .DONE.'
check "requests go on" world_wait 60 sh -c "[ \$(grep -c 'so far' '$WORLD/tmp/requests1') -gt $seen ]"
hasnt "not one was refused or lost" "$(cat "$WORLD/tmp/requests1" "$WORLD/tmp/requests2")" '^[^s]|^status'
hasnt "nor is a server denied, whose client went before it had said all" "$(grep no-flow "$WORLD/log/audit")" "\"src\":\"$GATEWAY4\""
has "what is denied is denied" "$(in_pod pod1 curl -sSm60 "http://$GATEWAY4:8080/other" 2>&1)" '"code": ?"http-denied"'
refuse "at both gates" in_pod pod1 nc -zw20 "$EVIL4" 443
refuse "a pod without a policy may nothing" in_pod pod3 nc -zw20 "$ECHO4" 7777
has "addresses learned before are known" \
	"$(in_pod pod1 curl -sSm60 --resolve "api.openai.com:443:$OPENAI4" "$CHAT" -H 'content-type: application/json' -d "$ASK" 2>&1)" \
	'Permission to leave granted'
policy_put llm <<END
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: llm, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: llm}}
  egress:
  - toCIDR: [$GATEWAY4/32]
    toPorts:
    - ports: [{port: "8080", protocol: TCP}]
      rules: {http: [{method: GET, path: /other}]}
END
check "another policy reaches the proxies that were there before" ex policy apply --wait
hasnt "and holds" "$(in_pod pod1 curl -sSm20 "http://$GATEWAY4:8080/v1/models" 2>&1)" test-model
same "still the same ones" "$(proxies)" "$before"
check "the audit log is whole over all of it" "$EXEAT" audit verify "$WORLD/log/audit"

# ---- a program that does not run is not gone over to ----
printf '#!/bin/false\n' >"$NODE/exeat.new"
chmod 755 "$NODE/exeat.new"
cp "$EXEAT" "$NODE/exeat.good"
mv "$NODE/exeat.new" "$NODE/exeat"
EXEAT=$NODE/exeat.good
kill -USR2 $agent_pid
check "a broken program: refused" world_wait 60 grep -q 'cannot start anew' "$WORLD/log/agent"
check "the one that runs goes on" ex status
same "with its proxies" "$(proxies)" "$before"

# ---- nor one that cannot be gone over to in the end ----
cat >"$NODE/exeat.new" <<'EOF'
#!/bin/sh
rm "$0"
EOF
chmod 755 "$NODE/exeat.new"
mv "$NODE/exeat.new" "$NODE/exeat"
kill -USR2 $agent_pid
check "a program that is gone once it was tried: refused" \
	world_wait 60 grep -q 'cannot start anew.*No such file' "$WORLD/log/agent"
check "the one that runs goes on" ex status
has "which systemd is told" "$(cat "$WORLD/tmp/notified")" 'RELOADING=1READY=1$'
in_pod pod1 curl -sSm20 -o /dev/null "http://$GATEWAY4:8080/afterwards"
check "and records what is judged" world_wait 20 grep -q /afterwards "$WORLD/log/audit"
check "in one chain" "$EXEAT" audit verify "$WORLD/log/audit"

# ---- an endpoint that vanishes in between ----
mv "$NODE/exeat.good" "$NODE/exeat"
EXEAT=$NODE/exeat
kill -USR2 $agent_pid
pod_gone pod2
check "(anew once more)" wait_anew 5
check "a pod that went meanwhile is collected, its proxies end" \
	world_wait 60 sh -c "[ \$(pgrep -P $agent_pid -fc 'exeat[ ]proxy') -eq 2 ]"
same "nothing of it stays" "$(ip -o link | grep -c exg-)" 2
hasnt "no zombie either" "$(ps -o stat=,pid=,args= --ppid $agent_pid)" "^Z"

# ---- signals that come while it starts: it reads its configuration, until we have written all of it ----
kill -TERM $agent_pid
wait $agent_pid
mkfifo "$WORLD/tmp/config"
: >"$WORLD/log/agent"
node_start --config "$WORLD/tmp/config"
exec 8>"$WORLD/tmp/config"
kill -HUP $agent_pid
kill -USR2 $agent_pid
echo '{}' >&8
exec 8>&-
world_wait 60 grep -q 'exeat: agent ' "$WORLD/log/agent" # or it reads on in what is written next
check "SIGHUP and SIGUSR2 do not end a start" timeout 60 sh -c "echo '{}' >'$WORLD/tmp/config'"
check "it starts anew when it has started" wait_anew 2
tap_done
