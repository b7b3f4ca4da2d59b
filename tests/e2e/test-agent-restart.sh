#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The agent is killed, restarted, starts anew in place: what was judged goes on, nothing opens.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

policy_llm <<'END'
  - toCIDR: [203.0.113.50/32, "2001:db8:113::50/128"]
    toPorts: [{ports: [{port: "7777"}]}]
END

# A flow that sends a line each 50 ms and counts what comes back, until it is told to end.
ticker() { # NAME FILE URL
	in_pod "$1" python3 - "$2" "$3" <<-'END' &
		import socket, sys, time
		host, port = sys.argv[2].rsplit(':', 1)
		s = socket.create_connection((host.strip('[]'), int(port)), 30)
		s.settimeout(30)
		n = 0
		while True:
		    s.sendall(b'tick\n')
		    if s.recv(100) != b'tick\n':
		        break
		    n += 1
		    with open(sys.argv[1], 'w') as f:
		        f.write(str(n))
		    time.sleep(0.05)
	END
}

ticks() { # FILE
	cat "$1" 2>/dev/null || echo 0
}

goes_on() { # DESCRIPTION FILE
	local before
	before=$(ticks "$2")
	if world_wait 60 sh -c "[ \$(cat '$2') -gt $((before + 3)) ]"; then
		tap_ok "$1"
	else
		tap_not_ok "$1" "stuck at $before ticks"
	fi
}

ask() { # the allowed request, from pod1
	in_pod pod1 curl -sSm60 "$CHAT" -H 'content-type: application/json' -d "$ASK" 2>&1
}

node_agent
pod_new pod1 11
pod_new pod2 12
pod_new pod3 13
endpoint pod1 app=llm >/dev/null
endpoint pod2 app=llm >/dev/null
endpoint pod3 app=other >/dev/null
for family in 4 6; do
	declare -n echo_=ECHO$family
	url=$([ $family = 4 ] && echo "$echo_" || echo "[$echo_]")
	ticker pod1 "$WORLD/tmp/ticks$family" "$url:7777"
	world_wait 60 test -s "$WORLD/tmp/ticks$family"
done
has "the allowed request is answered" "$(ask)" 'Permission to leave granted'

# ---- SIGKILL ----
kill -KILL $agent_pid
wait $agent_pid 2>/dev/null
goes_on "the agent killed: an IPv4 flow goes on" "$WORLD/tmp/ticks4"
goes_on "an IPv6 flow too" "$WORLD/tmp/ticks6"
same "a new allowed flow is let through" \
	"$(echo hello | in_pod pod1 socat -t20 - "TCP:$ECHO4:7777" 2>&1)" hello
refuse "what is denied stays denied" in_pod pod1 nc -zw20 "$EVIL4" 443
refuse "for a pod without a policy too" in_pod pod3 nc -zw20 "$ECHO4" 7777
began=$EPOCHREALTIME
refuse "what needs the proxy is refused" in_pod pod1 curl -sSm60 -o /dev/null --connect-to "::$OPENAI4" "$CHAT" -d "$ASK"
at_once "at once" 30 "$began"
check "nothing of a proxy is left" world_wait 60 sh -c '! pgrep -f "exeat[ ]proxy"'
check "nor of the gateways" world_wait 60 sh -c '! ip -o link | grep -q exg-'
pod_gone pod2
pod_new pod4 14 # its veth may not be taken for the one that went

# ---- started again ----
node_agent
has "started again, it knows its endpoints" "$(ex endpoint list)" 'enforcing .*default/pod1 '
refuse "the one that vanished meanwhile was collected" ex endpoint show pod2
goes_on "the IPv4 flow from before goes on" "$WORLD/tmp/ticks4"
goes_on "the IPv6 flow too" "$WORLD/tmp/ticks6"
has "requests are judged again" "$(ask)" 'Permission to leave granted'
has "and refused" "$(in_pod pod1 curl -sSm60 https://api.openai.com/v1/models 2>&1)" '"code": ?"http-denied"'
same "a new endpoint gets a new id" "$(endpoint pod4 app=llm)" 4
same "and its rules" "$(echo hello | in_pod pod4 socat -t20 - "TCP:$ECHO4:7777" 2>&1)" hello

# ---- SIGTERM: the kernel gate stays as well ----
kill -TERM $agent_pid
wait $agent_pid
goes_on "the agent ended: a flow goes on" "$WORLD/tmp/ticks4"
refuse "what is denied stays denied then" in_pod pod1 nc -zw20 "$EVIL4" 443

# ---- policies that are not valid at the start ----
cp "$POLICY_DIR/llm.yaml" "$WORLD/tmp/good.yaml"
echo 'kind: Nonsense' >"$POLICY_DIR/bad.yaml"
node_start
check "with invalid policies the agent comes up" world_wait 60 ex status
has "and says so" "$(ex status)" 'not valid: .*bad.yaml:1'
goes_on "what was in force stays" "$WORLD/tmp/ticks4"
refuse "nobody new is let in" endpoint pod2 app=llm
rm "$POLICY_DIR/bad.yaml"
check "repaired, it goes on" world_wait 60 sh -c "'$EXEAT' status --socket '$AGENT_SOCK' | grep -q 'revision 1'"
has "with its proxies" "$(ask)" 'Permission to leave granted'

# ---- an upgrade: what is pinned is of another version ----
upgrade() {
	kill -TERM $agent_pid
	wait $agent_pid
	mv "$NODE/bpf/exeat"/v* "$NODE/bpf/exeat/v0"
}

upgrade
goes_on "another version is there: until it starts, flows go on" "$WORLD/tmp/ticks4"
node_agent
has "it says so" "$(cat "$WORLD/log/agent")" 'of another version: flows begin anew'
check "they are ended at once" world_wait 60 sh -c "! pgrep -f '$WORLD/tmp/[t]icks' >/dev/null"
same "new ones pass" "$(echo hello | in_pod pod1 socat -t20 - "TCP:$ECHO4:7777" 2>&1)" hello
has "requests are judged" "$(ask)" 'Permission to leave granted'
refuse "what is denied stays denied" in_pod pod1 nc -zw20 "$EVIL4" 443
refuse "for a pod without a policy too" in_pod pod3 nc -zw20 "$ECHO4" 7777
refuse "of the other version nothing stays" test -e "$NODE/bpf/exeat/v0"

upgrade
echo 'kind: Nonsense' >"$POLICY_DIR/bad.yaml"
rm "$NODE/run/policies"
node_agent
refuse "without valid policies nothing passes" in_pod pod1 nc -zw3 "$ECHO4" 7777
check "(one pod is removed)" ex endpoint remove pod4
refuse "for one that is removed nothing passes either" in_pod pod4 nc -zw3 "$ECHO4" 7777
rm "$POLICY_DIR/bad.yaml"
check "repaired, it goes on" world_wait 60 sh -c "'$EXEAT' status --socket '$AGENT_SOCK' | grep -q 'revision 1'"
same "flows pass" "$(echo hello | in_pod pod1 socat -t20 - "TCP:$ECHO4:7777" 2>&1)" hello

# ---- nothing stays ----
kill -TERM $agent_pid
wait $agent_pid
out=$("$EXEAT" agent --uninstall --state-dir "$NODE/run" --bpffs "$NODE/bpf" 2>&1)
same "uninstalled, without a word" "$? $out" "0 "
same "no map is pinned" "$(find "$NODE/bpf" -mindepth 1 -name "*ex*")" ""
same "no program is attached" "$(tc filter show dev veth-pod1 ingress)$(tc filter show dev veth-pod1 egress)" ""
check "and the pod is let go" in_pod pod1 nc -zw60 "$EVIL4" 443
check "one that was removed, too" in_pod pod4 nc -zw60 "$EVIL4" 443
tap_done
