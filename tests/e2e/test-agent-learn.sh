#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exeat learn --endpoint: what a pod does is learned while its policy is not in force, and only that long;
# under what was learned it may do the same again.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"
policy_put other <<'END'
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: other, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress:
  - toCIDR: [203.0.113.50/32]
    toPorts: [{ports: [{port: "7777", protocol: TCP}]}]
END
node_agent "$@"
pod_new pod1 11
pod_new pod2 12
endpoint pod1 app=web >/dev/null
endpoint pod2 app=web >/dev/null

job() { # POD [SECONDS]
	in_pod "$1" curl -sSfm"${2-20}" -o /dev/null https://api.openai.com/v1/models &&
		in_pod "$1" curl -sSfm"${2-20}" -o /dev/null http://llm-gateway:8080/v1/chat/completions --json "$ASK"
}
refuse "its policy does not allow what the pod wants" job pod1

L=$WORLD/tmp/learn
mkdir "$L"
"$EXEAT" learn -o "$L/pod1.yaml" --socket "$AGENT_SOCK" --name pod1 -l app=web --for 60s \
	--endpoint default/pod1 2>"$L/out" &
learner=$!
check "while it is learned it may" world_wait 60 job pod1
refuse "another pod of the same policy may not" job pod2
refuse "metadata stays denied" in_pod pod1 curl -sSm20 "http://$META4/"
has "a second learner is refused" "$(ex learn -o "$L/no.yaml" --endpoint pod1 2>&1)" 'exists:'
has "an endpoint that is not there is an error" "$(ex learn -o "$L/no.yaml" --endpoint nobody 2>&1)" 'not-found'
kill -INT $learner
wait $learner
same "learning ends in order" $? 0
has "and says what was learned" "$(cat "$L/out")" 'learned [1-9]'
ended() { ! job pod1; }
check "then its own policy is in force again" world_wait 60 ended
refuse "really" job pod1
check "the policy is valid" "$EXEAT" policy check "$L/pod1.yaml"
check "its fixtures hold" "$EXEAT" policy test "$L"
has "it has the request" "$(cat "$L/pod1.yaml")" "path: '/v1/models'"
cp "$L/pod1.yaml" "$POLICY_DIR/learned.yaml"
has "and who made it" "$(cat "$L/pod1.yaml")" '# seen: curl '
check "under it the pod may do the same" world_wait 60 job pod1
refuse "and nothing else" in_pod pod1 curl -sSfm20 -o /dev/null https://api.openai.com/v1/files
rm "$POLICY_DIR/learned.yaml"

# ---- a learner that is killed ----
"$EXEAT" learn -o "$L/killed.yaml" --socket "$AGENT_SOCK" --endpoint pod1 2>/dev/null &
learner=$!
world_wait 60 job pod1
kill -KILL $learner
wait $learner 2>/dev/null
world_wait 60 ended
refuse "when the learner is killed the policy is in force again" job pod1

# ---- an agent that is killed ----
# What the kernel gate passes by itself shows whose policy is in force there.
pings() { in_pod pod1 ping -qc1 -W"${1-10}" "$ECHO4" >/dev/null; } # [SECONDS]
refuse "its policy does not allow a ping" pings 2
"$EXEAT" learn -o "$L/orphan.yaml" --socket "$AGENT_SOCK" --endpoint pod1 2>"$L/orphan.said" &
learner=$!
check "which it may while it is learned" world_wait 60 pings 2
sleep 11
check "however long" pings
kill -KILL $agent_pid
wait $agent_pid 2>/dev/null
wait $learner 2>/dev/null
has "that it was early is told" "$(cat "$L/orphan.said")" 'the agent has ended this early'
has "and what was seen is learned" "$(cat "$L/orphan.yaml")" 'kind: EgressPolicy'
closed() { ! pings 2; } # without the agent nothing answers
check "when the agent is killed it may not go on" world_wait 60 closed
sniff_start dead
refuse "nor anything else" job pod1 3
sniff_stop dead
same "nothing of it has left" "$(sniff_print dead "src host 10.88.0.11")" ""
node_agent "$@"
refuse "started again, the agent has the policy in force" pings 2
own() { in_pod pod1 nc -zw60 "$ECHO4" 7777; }
check "all of it" world_wait 60 own

# ---- an agent that is stopped ----
"$EXEAT" learn -o "$L/stopped.yaml" --socket "$AGENT_SOCK" --endpoint pod1 2>/dev/null &
learner=$!
check "learned from again" world_wait 60 pings 2
kill -TERM $agent_pid
wait $agent_pid
wait $learner 2>/dev/null
check "when the agent is stopped it may not go on, at once" world_wait 60 closed
refuse "really" pings 2
node_agent "$@"
check "nor does another begin with anything but its policy" world_wait 60 own
refuse "which has no ping" pings 2

# ---- an agent that hangs ----
"$EXEAT" learn -o "$L/hung.yaml" --socket "$AGENT_SOCK" --endpoint pod1 2>/dev/null &
learner=$!
world_wait 60 pings 2
kill -STOP $agent_pid
check "when the agent hangs it may not go on" world_wait 60 closed
kill -CONT $agent_pid
check "but when it is well again" world_wait 60 pings 2
kill -INT $learner
wait $learner
check "until it ends" world_wait 60 closed

tap_done
