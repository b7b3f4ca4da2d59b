#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Machines that have IPv4 only, or IPv6 only, and names that have addresses of both: what works there without
# exeat works with it, for programs that ask for both, for one, and for those that try the wrong one first.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns exec net ip route add 198.18.0.0/24 via $OUTER4
ip netns exec net ip -6 route add 2001:db8:66::/64 via $OUTER6

# A machine behind this one, with addresses of one family.
machine() { # NAME 4|6
	ip netns add "$1"
	ip link add "up-$1" type veth peer name eth0 netns "$1"
	sysctl -qw "net.ipv6.conf.up-$1.accept_dad=0"
	ip netns exec "$1" sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.all.accept_ra=0
	ip link set "up-$1" up
	ip netns exec "$1" sh -c 'ip link set lo up; ip link set eth0 up'
	if [ "$2" = 4 ]; then
		ip addr add 198.18.0.1/24 dev "up-$1"
		ip netns exec "$1" sh -c 'ip addr add 198.18.0.2/24 dev eth0; ip route add default via 198.18.0.1'
	else
		ip addr add 2001:db8:66::1/64 dev "up-$1" nodad
		ip netns exec "$1" sh -c 'ip addr add 2001:db8:66::2/64 dev eth0 nodad; ip -6 route add default via 2001:db8:66::1'
	fi
}

on() { # NAME RESOLVER COMMAND…
	local name=$1 resolver=$2
	shift 2
	: >"$audit_log"
	nsenter --net="/run/netns/$name" "$EXEAT" run -q -p "$AGENT/policy.yaml" --dns "$resolver" --log "$audit_log" -- "$@"
}

both='Permission to leave granted'
# shellcheck disable=SC2016 # they are node's
first='require("https").request({host: "api.openai.com", path: "/v1/chat/completions", method: "POST",
	autoSelectFamily: true, lookup: (n, o, f) => require("dns").lookup(n, {all: true}, (e, a) =>
		f(e, a.sort((x, y) => FAMILY * (x.family - y.family))))},
	r => r.pipe(process.stdout)).on("error", e => console.log(e.code)).end(process.env.ASK)'

machine six 6
machine four 4
for m in "six $RESOLVER6 6 4 1" "four $RESOLVER4 4 6 -1"; do
	# shellcheck disable=SC2086 # words
	set -- $m
	has "IPv$3 alone: a program that takes any address" "$(on "$1" "$2" curl -sSm20 "$CHAT" -d "$ASK" 2>&1)" "$both"
	audited "IPv$3 alone: by that family" '"app":"http".*"verdict":"allow"|"verdict":"allow".*"app":"http"' "\"dst\":\"2[^\"]*$([ "$3" = 4 ] && echo '\.' || echo :)"
	began=$EPOCHREALTIME
	has "IPv$3 alone: what wants IPv$4 has no route, as without exeat" "$(on "$1" "$2" curl "-$4" -sSm20 "$CHAT" -d "$ASK" 2>&1)" \
		'Couldn.t connect|Failed to connect'
	at_once "IPv$3 alone: and knows it at once" 10 "$began"
	has "IPv$3 alone: what tries IPv$4 first goes on to the next" "$(on "$1" "$2" node -e "${first/FAMILY/$5}" 2>&1)" "$both"
done
ip netns add none
out=$(on none "$RESOLVER4" sh -c 'ip route; ip -6 route')
has "a machine that is offline: there is a way of either" "$out" 'default via 192\.0\.0\.1'
has "for there may be one later" "$out" 'default via fd7e'
tap_done
