# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A node with pods in the little internet: "outer" is the node's own namespace, cni0 its bridge.
#
#   pod NAME   10.88.0.N  fd00:88::N   eth0 --veth-- veth-NAME, a port of cni0 (10.88.0.1 fd00:88::1)
#   far pod NAME  10.89.N.2 fd00:89:N::2  the same without a bridge: a routed link of its own
#
# There is no NAT: servers see who really spoke. A test sources this file, which has all of e2e.sh, then
#   node_enter "$@"; node_agent

. "$(dirname "${BASH_SOURCE[0]}")/e2e.sh"

NODE=$WORLD/node
POLICY_DIR=$NODE/policies
AGENT_SOCK=$NODE/run/agent.sock
export NODE POLICY_DIR AGENT_SOCK

node_enter() { # the test's own arguments
	world_enter "$@"
	world_up
	node_up
}

node_up() {
	mkdir -p "$NODE/run" "$POLICY_DIR" "$NODE/bpf"
	chmod 755 "$NODE" "$NODE/run"
	mount -t bpf bpf "$NODE/bpf"
	# without an address of its own a bridge takes that of a port, another one whenever ports change
	ip link add cni0 address 02:00:0a:58:00:01 type bridge
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.cni0.accept_dad=0 \
		net.ipv6.conf.all.accept_ra=0 net.ipv4.conf.all.rp_filter=0
	ip addr add 10.88.0.1/16 dev cni0
	ip addr add fd00:88::1/64 dev cni0 nodad
	ip link set cni0 up
	ip -6 route replace default via 2001:db8:1::1
	ip netns exec net ip route add 10.88.0.0/15 via "$OUTER4"
	ip netns exec net ip -6 route add fd00:88::/31 via "$OUTER6"
}

pod_new() { # NAME N: not gated yet
	ip netns add "$1"
	ip link add "veth-$1" type veth peer name eth0 netns "$1"
	sysctl -qw "net.ipv6.conf.veth-$1.disable_ipv6=1"
	ip link set "veth-$1" master cni0 up
	ip netns exec "$1" bash -e <<-END
		sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.accept_ra=0
		ip link set lo up
		ip link set eth0 up
		ip addr add 10.88.0.$2/16 dev eth0
		ip addr add fd00:88::$2/64 dev eth0 nodad
		ip route add default via 10.88.0.1
		ip -6 route add default via fd00:88::1
	END
}

pod_far() { # NAME N: on a link of its own
	ip netns add "$1"
	ip link add "veth-$1" type veth peer name eth0 netns "$1"
	sysctl -qw "net.ipv6.conf.veth-$1.accept_dad=0"
	ip link set "veth-$1" up
	ip addr add "10.89.$2.1/24" dev "veth-$1"
	ip addr add "fd00:89:$2::1/64" dev "veth-$1" nodad
	ip netns exec "$1" bash -e <<-END
		sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.accept_ra=0
		ip link set lo up
		ip link set eth0 up
		ip addr add 10.89.$2.2/24 dev eth0
		ip addr add fd00:89:$2::2/64 dev eth0 nodad
		ip route add default via 10.89.$2.1
		ip -6 route add default via fd00:89:$2::1
	END
}

pod_gone() { # NAME
	ip link del "veth-$1" 2>/dev/null
	ip netns del "$1"
}

# In a pod. The agent's own authority is among the roots there.
in_pod() { # NAME COMMAND…
	ip netns exec "$1" env CURL_CA_BUNDLE="$NODE/roots.pem" SSL_CERT_FILE="$NODE/roots.pem" "${@:2}"
}

node_start() { # [OPTION…]: in the background; its pid is $agent_pid
	"$EXEAT" agent --state-dir "$NODE/run" --bpffs "$NODE/bpf" --policy-dir "$POLICY_DIR" \
		--ca-dir "$NODE/ca" "$@" >>"$WORLD/log/agent" 2>&1 </dev/null &
	# shellcheck disable=SC2034 # for the test
	agent_pid=$!
}

node_agent() { # [OPTION…]: started, and answering
	node_start "$@"
	if ! world_wait 60 ex status; then
		echo "node: the agent does not answer" >&2
		tail -n 30 "$WORLD/log/agent" >&2
		exit 1
	fi
	cat /etc/ssl/certs/ca-certificates.crt "$NODE/ca/ca.pem" >"$NODE/roots.pem"
	chmod 644 "$NODE/roots.pem"
}

# exeat's commands that speak with the agent
ex() { # COMMAND…
	"$EXEAT" "$@" --socket "$AGENT_SOCK"
}

endpoint() { # NAME LABEL… [OPTION…]: a pod gets its gates
	local name=$1 l=()
	shift
	while [ $# -gt 0 ] && [[ $1 != -* ]]; do
		l+=(-l "$1")
		shift
	done
	ex endpoint add --netns "/run/netns/$name" --name "$name" "${l[@]}" "$@"
}

policy_put() { # NAME: from standard input, as an editor that is careful does it
	cat >"$POLICY_DIR/.$1"
	mv "$POLICY_DIR/.$1" "$POLICY_DIR/$1.yaml"
}

# Pods with the label app=llm may ask the model one thing; further egress rules from standard input.
policy_llm() {
	{
		cat <<-'END'
			apiVersion: cilium.io/v2
			kind: CiliumNetworkPolicy
			metadata: {name: llm, namespace: default}
			spec:
			  endpointSelector: {matchLabels: {app: llm}}
			  egress:
			  - toFQDNs: [{matchName: api.openai.com}]
			    toPorts:
			    - ports: [{port: "443", protocol: TCP}]
			      rules: {http: [{method: POST, path: /v1/chat/completions}]}
		END
		cat
	} | policy_put llm
}
