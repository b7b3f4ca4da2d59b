#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods that have more addresses told to them than the node has room for: theirs make room, and no
# other pod's names; what is looked up meanwhile is open at once.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

# A resolver that knows 160 names of 50 addresses each for the flood, and 60 of one for who is good.
# All these addresses are one server.
for i in $(seq 0 159); do
	for j in $(seq 1 50); do
		echo "local-data: \"f$i.flood.test 300 IN A 45.10.$i.$j\""
	done
	echo "f$i.flood.test" >>"$WORLD/conf/flood.names"
done >"$WORLD/conf/flood.data"
for i in $(seq 1 60); do
	echo "local-data: \"g$i.good.test 300 IN A 45.11.0.$i\""
done >>"$WORLD/conf/flood.data"
world_resolver_conf "$WORLD/conf/flood-unbound.conf" flood.test good.test <"$WORLD/conf/flood.data"
world_daemon flood-unbound unbound -d -c "$WORLD/conf/flood-unbound.conf"
ip netns exec net ip route add local 45.10.0.0/15 dev lo
world_daemon everywhere socat TCP4-LISTEN:7778,fork,reuseaddr SYSTEM:true

policy() { # APP ZONE
	policy_put "$1" <<-END
		apiVersion: cilium.io/v2
		kind: CiliumNetworkPolicy
		metadata: {name: $1, namespace: default}
		spec:
		  endpointSelector: {matchLabels: {app: $1}}
		  egress:
		  - toFQDNs: [{matchPattern: "*.$2"}]
		    toPorts: [{ports: [{port: "7778", protocol: TCP}]}]
	END
}
policy evil flood.test
policy good good.test
world_wait 60 dig +short +tries=1 +time=1 -p 5300 "@$RESOLVER4" g1.good.test
# The endpoints together may have 1536 of these, each of them 512.
node_agent --max-names 2048 --dns "flood.test=$RESOLVER4:5300" --dns "good.test=$RESOLVER4:5300"
for n in evil1 evil2 good; do
	pod_new $n $((${#pods[@]} + 11))
	pods+=("$n")
	endpoint $n app=${n%[12]} >/dev/null
done

ask() { # POD NAME…: the addresses
	in_pod "$1" dig +short +tries=3 +time=5 "@$RESOLVER4" "${@:2}"
}

opens() { # POD ADDRESS…: a connection to each is let out
	local a
	for a in "${@:2}"; do
		in_pod "$1" nc -zw60 "$a" 7778 || { echo "$a is not open" >&2 && return 1; }
	done
}

addresses() { # FROM TO: of the good ones
	seq -f '45.11.0.%.0f' "$1" "$2"
}

# shellcheck disable=SC2046 # words are meant
ask good $(seq -f 'g%.0f.good.test' 1 30) >/dev/null
# shellcheck disable=SC2046
check "(what is looked up is open)" opens good $(addresses 1 30)
refuse "(and what is not is not)" opens good 45.11.0.31
ask evil1 f0.flood.test >/dev/null
check "(for the other one, too)" opens evil1 45.10.0.1 45.10.0.50

flood() { # POD: until it is told to end, and a whole round at least
	local go=true
	while $go; do
		[ -e "$WORLD/tmp/flooding" ] || go=false
		in_pod "$1" dig +short +tries=3 +time=5 "@$RESOLVER4" -f "$WORLD/conf/flood.names" >/dev/null 2>&1
	done
}
: >"$WORLD/tmp/flooding"
flood evil1 &
floods=($!)
flood evil2 &
floods+=($!)
sleep 1
for i in $(seq 31 60); do
	ask good "g$i.good.test" >/dev/null
	opens good "45.11.0.$i" || missed+=" $i"
done
same "while two flood, what another looks up is open at once" "${missed-}" ''
# shellcheck disable=SC2046
check "and what it looked up before is still" opens good $(addresses 1 60)
rm "$WORLD/tmp/flooding"
wait "${floods[@]}"
# shellcheck disable=SC2046
check "so it is when there is no room for more" opens good $(addresses 1 60)
refuse "who floods has lost its oldest" opens evil1 45.10.0.1
check "and has its last" opens evil1 45.10.159.1 45.10.159.50
refuse "names that made room give nobody else anything" opens good 45.10.0.1
ask evil1 f0.flood.test >/dev/null
check "what made room is looked up anew" opens evil1 45.10.0.1 45.10.0.50
check "the agent is well" ex policy apply --wait
hasnt "nobody is worse off" "$(ex endpoint list)" 'closed'
tap_done
