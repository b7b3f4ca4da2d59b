#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pod with several addresses of a family: what it says from any of them is its own, in both gates. And a
# node with thousands: none of them is the world's.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

policy_llm </dev/null
node_agent --dns "$RESOLVER4" --dns "$RESOLVER6" --audit-file "$WORLD/log/audit"
pod_new pod1 11
own=(10.88.0.11 10.88.0.12 fd00:88::11 fd00:88::12)
ip -n pod1 addr add 10.88.0.12/16 dev eth0
ip -n pod1 addr add fd00:88::12/64 dev eth0 nodad
check "(a pod with two addresses of each family)" endpoint pod1 app=llm
# One bit away, and not there when the pod was let in.
ip -n pod1 addr add 10.88.0.13/16 dev eth0
ip -n pod1 addr add fd00:88::13/64 dev eth0 nodad

lookup() { # FROM
	local resolver=$RESOLVER4
	[[ $1 != *:* ]] || resolver=$RESOLVER6
	in_pod pod1 dig +short +tries=1 +time=5 -b "$1" "@$resolver" api.openai.com
}

ask() { # FROM
	in_pod pod1 curl -sSm20 --interface "$1" "$CHAT" -H 'content-type: application/json' -d "$ASK" 2>&1
}

recorded() { # APP FROM
	grep -q "\"app\":\"$1\".*\"src\":\"$2\"" "$WORLD/log/audit"
}

for from in "${own[@]}"; do
	same "from $from a name is answered" "$(lookup "$from")" "$OPENAI4"
	check "and recorded" world_wait 60 recorded dns "$from"
	has "and so is a request" "$(ask "$from")" 'Permission to leave granted'
	check "and recorded, too" world_wait 60 recorded http "$from"
done
refuse "from another address no name is" lookup 10.88.0.13
refuse "nor a request" ask 10.88.0.13
refuse "nor in IPv6" ask fd00:88::13
# What was asked and not answered yet when a pod goes is on record.
pod_new pod2 14
endpoint pod2 app=llm >/dev/null
kill -STOP "$(cat "$WORLD/pid/unbound")"
in_pod pod2 dig +tries=1 +time=1 -4 "@$RESOLVER4" api.openai.com >/dev/null
check "a pod goes" ex endpoint remove pod2
kill -CONT "$(cat "$WORLD/pid/unbound")"
check "and what it had just asked for is recorded" world_wait 20 recorded dns 10.88.0.14
same "the proxy has nothing to be ended for" "$(grep -c 'was ended' "$WORLD/log/agent")" 0
has "and is there" "$(ex endpoint list)" 'enforcing +ready'

# As kube-proxy has it with IPVS: every Service's address on an interface of the node.
ip link add ipvs0 type bridge
for ((i = 0; i < 1500; i++)); do
	echo "addr add 198.18.$((i / 250)).$((i % 250 + 1))/32 dev ipvs0"
done | ip -batch -
last=198.18.5.250
policy_llm <<-END
	  - toEntities: [world]
	    toPorts: [{ports: [{port: '7777', protocol: TCP}, {port: '9009', protocol: TCP}]}]
END
check "a node with 1500 addresses more follows its policies" ex policy apply --wait
has "(a service of the node, at the last of them)" "$(curl -sSm20 http://$last:9009/ 2>&1)" HOST-SERVICE
check "the world is open" in_pod pod1 nc -zw60 "$ECHO4" 7777
hasnt "but not the last of the node's addresses" "$(in_pod pod1 curl -sSm20 http://$last:9009/ 2>&1)" HOST-SERVICE
out=$("$EXEAT" run -q -p "$POLICIES/world.yaml" -- bash -c "nc -zw60 $ECHO4 7777 && echo open; curl -sSm20 http://$last:9009/" 2>&1)
has "exeat run begins on such a node, and the world is open" "$out" '^open'
hasnt "but not the last of its addresses" "$out" HOST-SERVICE
tap_done
