#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A router's word that a datagram was too big.

usage: too_big.py FROM-ADDRESS FROM-PORT TO-ADDRESS TO-PORT (of the datagram)
"""
import socket
import struct
import sys

src, sport, dst, dport = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
udp = struct.pack(">HHHH", sport, dport, 1408, 0)


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


if ":" in src:
    ip = struct.pack(">IHBB", 6 << 28, 1408, 17, 64) + socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst)
    icmp = struct.pack(">BBHI", 2, 0, 0, 1280) + ip + udp  # the kernel writes the checksum
    kind = socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6
else:
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 1428, 1, 0x4000, 64, 17, 0) + socket.inet_aton(src) + socket.inet_aton(dst)
    icmp = struct.pack(">BBHHH", 3, 4, 0, 0, 1280) + ip + udp
    icmp = icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:]
    kind = socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
with socket.socket(*kind) as s:
    s.sendto(icmp, (src, 0))
