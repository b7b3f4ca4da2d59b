#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pod with several addresses of a family: what it says from any of them is its own, in both gates.

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
same "the proxy has nothing to be ended for" "$(grep -c 'was ended' "$WORLD/log/agent")" 0
has "and is there" "$(ex endpoint list)" 'enforcing +ready'
tap_done
