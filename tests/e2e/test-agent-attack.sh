#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pod with a hostile root beside others: it is nobody else, reaches nothing of the agent, starves
# nobody. What leaves is sniffed on the far side.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

policy_put both <<END
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: evil, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: evil}}
  egress:
  - toCIDR: [$GATEWAY4/32, $GATEWAY6/128]
    toPorts:
    - ports: [{port: "8080", protocol: TCP}]
      rules: {http: [{method: GET, path: /v1/models}]}
  - toFQDNs: [{matchPattern: "*.rebind.test"}]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: good, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: good}}
  egress:
  - toCIDR: [$ECHO4/32, $ECHO6/128]
    toPorts: [{ports: [{port: "7777"}]}]
  - toCIDR: [$GATEWAY4/32]
    toPorts:
    - ports: [{port: "8080", protocol: TCP}]
      rules: {http: [{method: GET, path: /v1/models}]}
END
node_agent
pod_new evil 11
pod_new good 12
pod_new far 13
endpoint evil app=evil >/dev/null
endpoint good app=good >/dev/null
endpoint far app=none >/dev/null
evil_mac=$(ip -n evil -j link show eth0 | sed 's/.*"address":"\([0-9a-f:]*\)".*/\1/')
good_mac=$(ip -n good -j link show eth0 | sed 's/.*"address":"\([0-9a-f:]*\)".*/\1/')
check "(the good pod may what it may)" in_pod good nc -zw60 "$ECHO4" 7777
ping -c1 -W60 10.88.0.12 >/dev/null 2>&1 # the bridge knows where it is

# ---- to be somebody else ----
sniff_start theirs
sniff_start spoof "host $ECHO4 or host $ECHO6 or icmp or icmp6 or arp"
ip -n evil addr add 10.88.0.12/16 dev eth0
ip -n evil addr add fd00:88::12/64 dev eth0 nodad
check "(its own address does)" in_pod evil nc -s 10.88.0.11 -zw60 "$GATEWAY4" 8080
refuse "another pod's IPv4 address does not help" in_pod evil nc -s 10.88.0.12 -zw3 "$ECHO4" 7777
refuse "nor its IPv6 address" in_pod evil nc -s fd00:88::12 -zw3 "$ECHO6" 7777
sniff_stop theirs
same "nor does a packet leave with it" "$(sniff_print theirs "src host 10.88.0.12 or src host fd00:88::12")" ""
ip -n evil addr del 10.88.0.12/16 dev eth0
ip -n evil addr del fd00:88::12/64 dev eth0
cat >"$WORLD/tmp/claims.py" <<'END'
import sys
from scapy.all import ARP, Ether, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6, IP, UDP, Raw, get_if_hwaddr, sendp
own, victim, gate = get_if_hwaddr("eth0"), sys.argv[1], "02:00:0a:58:00:01"
frames = []
for dst in ("ff:ff:ff:ff:ff:ff", gate, victim):
    for op in (1, 2):
        frames.append(Ether(src=own, dst=dst) / ARP(op=op, hwsrc=own, psrc="10.88.0.12", pdst="10.88.0.1"))
        frames.append(Ether(src=own, dst=dst) / ARP(op=op, hwsrc=own, psrc="10.88.0.1", pdst="10.88.0.12"))
        frames.append(Ether(src=own, dst=dst) / ARP(op=op, hwsrc=victim, psrc="10.88.0.12", pdst="10.88.0.1"))
    frames.append(Ether(src=own, dst=dst) / IPv6(src="fd00:88::12", dst="ff02::1") /
                  ICMPv6ND_NA(tgt="fd00:88::12", S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=own))
    frames.append(Ether(src=own, dst=dst) / IPv6(src="fd00:88::11", dst="fd00:88::1") /
                  ICMPv6ND_NA(tgt="fd00:88::12", S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=own))
    frames.append(Ether(src=victim, dst=dst) / IP(src="10.88.0.12", dst="203.0.113.50") / UDP(dport=7777) / Raw(b"x"))
sendp(frames, iface="eth0", count=3, verbose=0)
END
check "(all of it was sent)" in_pod evil timeout 60 /usr/bin/python3 "$WORLD/tmp/claims.py" "$good_mac"
has "no claim to another's address is believed: IPv4" "$(ip neigh show 10.88.0.12)" "$good_mac"
hasnt "IPv6" "$(ip -6 neigh show fd00:88::12)" "$evil_mac"
hasnt "nor to the bridge's, in another pod" \
	"$(ip -n good neigh show 10.88.0.1; ip -n good -6 neigh show fd00:88::1)" "$evil_mac"
hasnt "the bridge has not learned another's MAC on its port" "$(bridge fdb show dev veth-evil)" "^$good_mac"
check "the good pod is where it was" in_pod good nc -zw60 "$ECHO4" 7777
ip -n evil link set eth0 down
ip -n evil link set eth0 address "$good_mac"
ip -n evil link set eth0 up
ip -n evil route replace default via 10.88.0.1
refuse "another MAC of its own does not help" in_pod evil curl -sSm2 -o /dev/null "http://$GATEWAY4:8080/v1/models"
ip -n evil link set eth0 down
ip -n evil link set eth0 address "$evil_mac"
ip -n evil link set eth0 up
ip -n evil route replace default via 10.88.0.1
sniff_stop spoof
same "nothing of it left the node" "$(sniff_count spoof "src host 10.88.0.12 and udp")$(sniff_count spoof "src host 10.88.0.11")" 00
check "with its own again it may what it may" in_pod evil curl -sSm60 -o /dev/null "http://$GATEWAY4:8080/v1/models"

# ---- what one pod has, another has not ----
in_pod evil dig +short +tries=1 +time=10 good.rebind.test >/dev/null
check "(a name that one has learned is open for it)" in_pod evil nc -zw60 203.0.113.70 443
refuse "a name that one has learned opens nothing for another" in_pod far nc -zw20 203.0.113.70 443
in_pod good socat TCP4-LISTEN:7776,fork,reuseaddr EXEC:cat 2>/dev/null &
check "(a pod serves)" world_wait 60 nc -zw60 10.88.0.12 7776
refuse "pods reach each other by policy only" in_pod evil nc -zw20 10.88.0.12 7776
check "(the node serves)" nc -zw60 10.88.0.1 9009
refuse "the node's own services are closed" in_pod evil nc -zw20 10.88.0.1 9009
refuse "also at its other addresses" in_pod evil nc -zw20 "$OUTER4" 9009

# ---- the agent ----
out=$(in_pod evil "$EXEAT" status --socket "$AGENT_SOCK" 2>&1)
has "root in a pod that sees the control socket is nobody there" "$out" 'forbidden'
out=$(in_pod evil "$EXEAT" endpoint remove evil --open --socket "$AGENT_SOCK" 2>&1)
has "and cannot let itself go" "$out" 'forbidden'
out=$(setpriv --reuid 65534 --regid 65534 --clear-groups "$EXEAT" status --socket "$AGENT_SOCK" 2>&1)
hasnt "nor can a user of the node" "$out" 'endpoints'
in_pod evil sh -c 'tc qdisc add dev eth0 clsact; nft flush ruleset; ip link set eth0 mtu 9000; ip link set eth0 promisc on' >/dev/null 2>&1
refuse "what it does to its own end changes nothing" in_pod evil nc -zw20 "$EVIL4" 443

# ---- to starve others ----
cat >"$WORLD/tmp/flood.py" <<'END'
import os, random, socket, sys, threading, time
end, gate, dns = time.time() + 8, sys.argv[1], sys.argv[2]
def connect():
    held = []
    while time.time() < end:
        s = socket.socket()
        s.settimeout(0.5)
        try:
            s.connect((gate, 8080))
            s.send(b"GET /")
            held.append(s)
        except OSError:
            pass
def ask():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while time.time() < end:
        name = bytes(random.randrange(97, 123) for _ in range(12))
        q = os.urandom(2) + b"\1\0\0\1\0\0\0\0\0\0\x0c" + name + b"\6rebind\4test\0\0\1\0\1"
        try:
            s.sendto(q, (dns, 53))
        except OSError:
            pass
def knock():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while time.time() < end:
        for port in range(1000, 3000):
            try:
                s.sendto(b"x", (gate, port))
            except OSError:
                pass
for f in (connect, connect, ask, knock):
    threading.Thread(target=f).start()
END
in_pod evil sh -c "ulimit -n 20000; nice -n 19 python3 $WORLD/tmp/flood.py $GATEWAY4 $RESOLVER4" >/dev/null 2>&1 &
flood=$!
sleep 2
began=$EPOCHREALTIME
has "while one floods everything, another's request is answered" \
	"$(in_pod good curl -sSm60 "http://$GATEWAY4:8080/v1/models" 2>&1)" test-model
at_once "soon" 30 "$began"
same "and its flows go" "$(echo hello | in_pod good socat -t20 - "TCP:$ECHO4:7777" 2>&1)" hello
began=$EPOCHREALTIME
check "the agent answers" ex status
at_once "soon" 30 "$began"
ex endpoint remove far >/dev/null
check "and gates others" endpoint far app=none
wait $flood
check "nothing has broken" ex policy apply --wait
hasnt "nobody is worse off" "$(ex endpoint list)" 'closed'

# ---- a way out by going away ----
in_pod evil ip link del eth0
check "a pod that deletes its interface is no endpoint any more" \
	world_wait 60 sh -c "! '$EXEAT' endpoint show evil --socket '$AGENT_SOCK'"
tap_done
