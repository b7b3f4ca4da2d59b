#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What can fail on a node: each ends closed, explained and recoverable.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

echo_policy() { # PREFIXES: that many further ones
	cat <<-END
		apiVersion: cilium.io/v2
		kind: CiliumNetworkPolicy
		metadata: {name: echo, namespace: default}
		spec:
		  endpointSelector: {matchLabels: {app: one}}
		  egress:
		  - toCIDR: [$ECHO4/32$(for i in $(seq "$1"); do printf ', 10.%d.%d.0/24' $((i / 200)) $((i % 200)); done)]
		    toPorts: [{ports: [{port: "7777"}]}]
	END
}

reaches() { # POD [SECONDS]
	in_pod "$1" nc -zw"${2-20}" "$ECHO4" 7777
}

rounds() {
	ex status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["work"]["rounds"])'
}

did_rounds() { # N
	[ "$(rounds)" -ge "$1" ]
}

rounds_rest() { # all that is to come of a change is done
	local before
	before=$(rounds)
	sleep 1
	! did_rounds $((before + 1))
}

silent() { # in a pod: asks once and says so, then waits and says how it ends
	python3 - "$GATEWAY4" <<-'END'
		import socket, sys
		s = socket.create_connection((sys.argv[1], 8080), 10)
		s.sendall(b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\n\r\n")
		print("open" if s.recv(65536).startswith(b"HTTP/1.1 200") else "refused", flush=True)
		s.settimeout(60)
		try:
		    while s.recv(65536):
		        pass
		    print("ended")
		except OSError as e:
		    print(type(e).__name__)
	END
}

status_has() { # PATTERN
	ex status | grep "$1" >/dev/null
}

starts() { # OPTION…: says what it says when it does not; 125
	timeout 60 "$EXEAT" agent --policy-dir "$POLICY_DIR" --ca-dir "$NODE/ca" "$@" 2>&1
}

echo_policy 0 | policy_put echo

# ---- the start ----
out=$(starts --state-dir "$NODE/run" --bpffs /proc/nothing)
same "no BPF file system, and none can be mounted: it does not start" $? 125
has "and says so" "$out" 'is no BPF file system'
mkdir "$WORLD/open"
chmod 777 "$WORLD/open"
out=$(starts --state-dir "$WORLD/open" --bpffs "$NODE/bpf")
same "a state directory others may write to: it does not start" $? 125
has "and says so" "$out" 'must belong to root'
umount "$NODE/bpf"
node_agent
check "bpffs not mounted: it is" mountpoint -q "$NODE/bpf"
has "a group that is none: it does not start" \
	"$(starts --state-dir "$NODE/run" --bpffs "$NODE/bpf" --socket-group nobodys)" 'socketGroup nobodys: there is no such group'
has "one agent a state directory" "$(starts --state-dir "$NODE/run" --bpffs "$NODE/bpf")" 'another agent'
kill -TERM $agent_pid
wait $agent_pid

# ---- limits ----
node_agent --max-endpoints 2 --max-dests 1024
pod_new pod1 11
pod_new pod2 12
pod_new pod3 13
endpoint pod1 app=one >/dev/null
echo_policy 3000 | sed 's/echo/big/; s/one/big/' | policy_put big
check "(a policy too large for the pod that comes)" ex policy apply --wait
world_wait 60 rounds_rest # the watch has seen it, too
before=$(rounds)
has "who cannot be gated is turned away" "$(endpoint pod2 app=big 2>&1)" 'cannot put the policy in force'
check "and is nobody's peer: another round follows" world_wait 60 did_rounds $((before + 2))
rm "$POLICY_DIR/big.yaml"
endpoint pod2 app=two >/dev/null
has "one endpoint too many is refused" "$(endpoint pod3 app=one 2>&1)" 'as many as it may'
policy_put models <<-END
	apiVersion: cilium.io/v2
	kind: CiliumNetworkPolicy
	metadata: {name: models, namespace: default}
	spec:
	  endpointSelector: {matchLabels: {app: one}}
	  egress:
	  - toCIDR: [$GATEWAY4/32]
	    toPorts: [{ports: [{port: "8080", protocol: TCP}], rules: {http: [{method: GET, path: /v1/models}]}}]
END
check "(a policy with a proxy)" ex policy apply --wait
export -f silent
export GATEWAY4
exec 4< <(in_pod pod1 bash -c silent)
read -r -t 15 line <&4
same "(a connection through it, which is silent from here on)" "$line" open
echo_policy 3000 | policy_put echo
out=$(ex policy apply --wait 2>&1)
same "a policy that has no room in the kernel: policy apply fails" $? 1
has "and says for whom" "$out" 'endpoint 1 .*cannot put the policy in force'
has "status tells" "$(ex status)" '1 degraded'
ex endpoint remove pod2 >/dev/null
has "who comes is not let in: that one could not be told of it" "$(endpoint pod2 app=two 2>&1)" \
	'failed: endpoint 1 .*cannot be told of it'
refuse "nor listed" ex endpoint show pod2
check "what was in force stays" reaches pod1
refuse "nothing else opens" in_pod pod1 nc -zw20 "$EVIL4" 443
check "but not for ever: nothing passes for it any more" world_wait 60 status_has 'nothing passes: cannot put the policy'
refuse "(so it is)" reaches pod1
has "whoever tries is told at once" "$(in_pod pod1 nc -nvzw60 "$ECHO4" 7777 2>&1)" refused
read -r -t 60 line <&4
same "and who was silent, that it is broken off" "$line" ConnectionResetError
exec 4<&-
rm "$POLICY_DIR/models.yaml"
check "and who comes is let in: nothing leads there from it" endpoint pod2 app=two
check "(the other one is degraded)" status_has '1 enforcing, 1 degraded'
ex endpoint remove pod2 >/dev/null
echo_policy 1 | policy_put echo
check "with room, it recovers" ex policy apply --wait
check "(so it does)" reaches pod1
check "and who comes is let in" endpoint pod2 app=two
has "and says so" "$(ex status)" '2 enforcing, 0 degraded'
echo_policy 700 | policy_put echo
check "(a policy that takes most of the room)" ex policy apply --wait
echo_policy 700 | sed 's/ 10\./ 11./g; s/7777/7776/' | policy_put echo
out=$(ex policy apply --wait 2>&1)
same "there is no room for it and its successor at once: policy apply fails" $? 1
check "what was in force stays" reaches pod1
check "for a while: then it makes room" world_wait 60 status_has '2 enforcing, 0 degraded'
refuse "and what was revoked is" reaches pod1
echo_policy 1 | policy_put echo
check "(and back)" ex policy apply --wait
kill -TERM $agent_pid
wait $agent_pid
node_agent --max-dests 2048
has "other limits: maps are made anew, endpoints stay" "$(ex status)" '2 enforcing'
hasnt "which is no fault" "$(cat "$WORLD/log/agent")" 'libbpf|cannot load'
check "and gated" reaches pod1
refuse "both" reaches pod2

# ---- a full disk ----
mount -t tmpfs -o size=64k tmpfs "$NODE/run/endpoints" # hides what is there
kill -TERM $agent_pid
wait $agent_pid
node_agent
head -c 1m /dev/zero >"$NODE/run/endpoints/fill" 2>/dev/null
has "no room for state: nobody is let in" "$(endpoint pod3 app=one 2>&1)" 'failed:'
rm "$NODE/run/endpoints/fill"
check "with room, it is" endpoint pod3 app=one
kill -TERM $agent_pid
wait $agent_pid
node_agent --unselected allow
ex endpoint remove pod3 >/dev/null
check "(one that no policy is about)" endpoint pod3 app=three
check "(may everything)" in_pod pod3 nc -zw60 "$EVIL4" 443
head -c 1m /dev/zero >"$NODE/run/endpoints/fill" 2>/dev/null
echo_policy 0 | sed 's/echo/three/; s/one/three/' | policy_put three
check "no room for state: a policy about it is in force" ex policy apply --wait
refuse "(so it is)" in_pod pod3 nc -zw20 "$EVIL4" 443
has "nor are labels changed that cannot be written" "$(ex endpoint label pod3 app=one 2>&1)" 'cannot write its state'
hasnt "nor in part, for a later round" "$(ex endpoint show pod3)" '"app": ?"one"'
mv "$POLICY_DIR/three.yaml" "$NODE/three"
check "(without the policy)" ex policy apply --wait
kill -USR2 $agent_pid
check "nor is another program put in its place, which would not know of it" \
	world_wait 20 grep -q 'cannot start anew.*No space left' "$WORLD/log/agent"
refuse "what was confined stays so" in_pod pod3 nc -zw20 "$EVIL4" 443
mv "$NODE/three" "$POLICY_DIR/three.yaml"
check "(with it again)" ex policy apply --wait
kill -KILL $agent_pid
wait $agent_pid 2>/dev/null
node_agent --unselected allow
has "a start without room: who is in is gated" "$(ex status)" '1 enforcing, 0 degraded'
refuse "and confined" in_pod pod3 nc -zw20 "$EVIL4" 443
rm "$NODE/run/endpoints/fill"
check "with room, it is written down" world_wait 60 grep -q '"confined": *true' "$NODE"/run/endpoints/*.json
kill -KILL $agent_pid
wait $agent_pid 2>/dev/null
rm "$POLICY_DIR/three.yaml"
node_agent --unselected allow
refuse "so that it is never open again" in_pod pod3 nc -zw20 "$EVIL4" 443
kill -TERM $agent_pid
wait $agent_pid
umount "$NODE/run/endpoints"

# ---- state that was torn ----
node_agent
for limits in "" --max-rules=4096; do # the second: what is in its maps is not known any more
	kill -KILL $agent_pid
	wait $agent_pid 2>/dev/null
	truncate -s 20 "$(grep -l pod1 "$NODE"/run/endpoints/*.json)"
	node_agent $limits
	refuse "an endpoint whose state is torn is none$limits" ex endpoint show pod1
	refuse "attack 120: and shut$limits" reaches pod1 3
	check "until it is added again" endpoint pod1 app=one
	check "then it is gated" reaches pod1
done

# ---- SIGKILL at any point of an ADD, a swap, a start ----
for i in $(seq 12); do
	(
		if [ $((i % 3)) -eq 0 ]; then
			echo_policy "$i" | policy_put echo
			ex policy apply --wait
		else
			ex endpoint remove pod3
			endpoint pod3 app=one
		fi
	) >/dev/null 2>&1 &
	job=$!
	sleep "0.$(printf '%03d' $((RANDOM % 120)))"
	kill -KILL $agent_pid 2>/dev/null
	wait $agent_pid $job 2>/dev/null
	node_start
	if [ $((i % 4)) -eq 0 ]; then # while it starts
		sleep "0.$(printf '%03d' $((RANDOM % 200)))"
		kill -KILL $agent_pid
		wait $agent_pid 2>/dev/null
		node_start
	fi
	world_wait 60 ex status || break
	reaches pod2 && break
	in_pod pod1 nc -zw60 "$EVIL4" 443 && break
	in_pod pod3 nc -zw60 "$EVIL4" 443 && ex endpoint show pod3 >/dev/null 2>&1 && break
	reaches pod1 || break
done
same "killed at twelve points: nothing opened, what is allowed goes on" "$i" 12
check "it is whole" ex policy apply --wait
same "as many gateways as endpoints" "$(ip -o link | grep -c exg-)" "$(ex endpoint list | grep -c enforcing)"
hasnt "no error but what was meant" "$(ex status)" 'warning'
tap_done
