#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says hello to an echo server and prints what comes back, as soon as it does.

usage: hello.py tcp|udp ADDRESS PORT [SECONDS [FROM-ADDRESS]]
"""
import socket
import sys

kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET, kind) as s:
    s.settimeout(float((sys.argv[4:] or [20])[0]))
    if sys.argv[5:]:
        s.bind((sys.argv[5], 0))
    s.connect((sys.argv[2], int(sys.argv[3])))
    s.sendall(b"hello\n")
    sys.stdout.buffer.write(s.recv(100))
