#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pod with CAP_NET_ADMIN and an ifb device: the kernel does not show what that sends on to the gate.

# shellcheck disable=SC2317 # functions are called by name
# shellcheck source=tests/lib/node.sh
. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

policy_llm <<END
  - toCIDR: [$ECHO4/32, $ECHO6/128]
    toPorts: [{ports: [{port: "7777"}]}]
END
# shellcheck disable=SC2119
node_agent
pod_new bridged 11
pod_far routed 12
endpoint bridged app=llm >/dev/null
endpoint routed app=llm >/dev/null

if grep -q 'BPF trampolines' "$WORLD/log/agent"; then
	tap_ok "the kernel cannot be asked about ifb devices, and the agent says what it does then"
else
	refuse "no pod is given an ifb device" ip -n bridged link add ifb0 type ifb
	tap_done
	exit
fi

# ---- a way around ----
cat >"$WORLD/tmp/around.py" <<'END'
import socket, sys
for host in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 36, 1)  # SO_MARK
    for port in (7777, 7799):
        s.sendto(b'around', (host, port))
END
way_around() { # POD
	ip -n "$1" link add ifb0 type ifb
	ip -n "$1" link set ifb0 up
	in_pod "$1" nft -f - <<-END
		table netdev around {
			chain around {
				type filter hook egress device eth0 priority 0
				meta mark 1 meta mark set 0 counter fwd to ifb0
			}
		}
	END
}
left() { # what of it left the node, with both pods trying
	local pod
	sniff_start around "udp port 7777 or udp port 7799"
	for pod in bridged routed; do
		in_pod "$pod" python3 "$WORLD/tmp/around.py" "$ECHO4" "$ECHO6"
	done
	sniff_stop around
	sniff_count around "udp"
}
both_may() { # DESCRIPTION: what they may
	local pod to
	for pod in bridged routed; do
		for to in "$ECHO4" "$ECHO6"; do
			check "$1 ($pod, $to)" in_pod "$pod" nc -zw60 "$to" 7777
		done
	done
}
tables_are_there() {
	nft list table inet exeat && nft list table bridge exeat && nft list table arp exeat
}
way_around bridged
way_around routed

same "nothing leaves by it" "$(left)" 0
both_may "what may pass does"

# ---- tables are taken ----
nft flush ruleset
check "tables that are flushed are put back" world_wait 60 tables_are_there
has "it is told" "$(cat "$WORLD/log/agent")" 'were taken: they are put back'
same "nothing leaves then" "$(left)" 0
both_may "what may pass still does"

# ---- without an agent ----
kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null
same "nothing leaves when the agent is dead" "$(left)" 0
both_may "what may pass does without it"
nft flush ruleset
same "(where nobody puts them back, everything of it does)" "$(left)" 8
# shellcheck disable=SC2119
node_agent
same "the next one closes it" "$(left)" 0
both_may "what may pass passes again"

# ---- nowhere to be put ----
own_table() { # by a process, as long as it is there: nobody else puts anything in its place
	coproc owner { nft -i; }
	echo "$1 add table arp exeat { flags owner; }" >&"${owner[1]}"
}
leave_table() {
	echo quit >&"${owner[1]}"
	# shellcheck disable=SC2154 # coproc sets it
	wait "$owner_PID" 2>/dev/null
}
status_says() { # TEXT
	ex status | grep -qF "$1"
}
not_put='the nftables tables exeat cannot be put'
own_table "delete table arp exeat;"
check "tables that cannot be put back are a warning" world_wait 60 status_says "$not_put"
both_may "who is in goes on"
sleep 3
same "it is logged once" "$(grep -c 'tables exeat are gone' "$WORLD/log/agent")" 1
leave_table
check "when they can, they are put back" world_wait 60 tables_are_there
same "and it is no warning" "$(ex status | grep -cF "$not_put")" 0
same "nothing leaves then, either" "$(left)" 0

kill -TERM "$agent_pid"
wait "$agent_pid"
nft flush ruleset
own_table ""
world_wait 60 nft list table arp exeat >/dev/null 2>&1
# shellcheck disable=SC2119
node_agent
check "whom an agent that cannot put them finds is degraded" status_says 'neither BPF trampolines nor nftables'
check "and nothing passes its gate after ten seconds" world_wait 20 status_says 'nothing passes: '
refuse "not even what may" in_pod bridged nc -zw2 "$ECHO4" 7777
leave_table
wait_for_pod() {
	in_pod "$1" nc -zw2 "$ECHO4" 7777
}
check "when they can, it does again" world_wait 20 wait_for_pod bridged
both_may "what may pass passes"
same "nothing else leaves" "$(left)" 0

ex endpoint remove bridged >/dev/null
ex endpoint remove routed >/dev/null
kill -TERM "$agent_pid"
wait "$agent_pid"
nft flush ruleset
own_table ""
world_wait 60 nft list table arp exeat >/dev/null 2>&1
# shellcheck disable=SC2119
node_agent
pod_new late 13
out=$(endpoint late app=llm 2>&1)
has "who comes is refused when they cannot be put" "$out" 'neither BPF trampolines nor nftables'
has "and told where to look" "$out" 'exeat doctor'
hasnt "and is no endpoint" "$(ex endpoint list)" late
leave_table
check "when they can, it is let in" endpoint late app=llm

# ---- an end ----
ex endpoint remove late --open >/dev/null
hasnt "an interface that is let go is in no group" "$(ip -d link show veth-late)" 'group 25976'
has "(one that is shut is)" "$(ip -d link show veth-bridged)" 'group 25976'
kill -TERM "$agent_pid"
wait "$agent_pid"
"$EXEAT" agent --uninstall --state-dir "$NODE/run" --bpffs "$NODE/bpf" --policy-dir "$POLICY_DIR" --ca-dir "$NODE/ca"
same "no table stays" "$(nft list tables)" ""
tap_done
