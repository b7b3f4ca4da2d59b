#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two datagrams of one socket, and what comes back; a file says that the first is answered, another that it may go on.

usage: talk.py ADDRESS PORT FILE
"""
import os
import socket
import sys
import time

address, port, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(10)
    s.connect((address, port))
    s.send(b"one\n")
    print(s.recv(100).decode(), end="", flush=True)
    open(file + "-first", "w").close()
    for _ in range(600):
        if os.path.exists(file + "-next"):
            break
        time.sleep(0.05)
    s.send(b"two\n")
    print(s.recv(100).decode(), end="", flush=True)
