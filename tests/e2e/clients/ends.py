# SPDX-License-Identifier: Apache-2.0
"""How connections end that are carried unread: ends.py serve ADDRESS PORT, or ends.py ask ADDRESS PORT.

The client names a case by its first byte; server and client each say what they saw of the other."""

import hashlib
import socket
import struct
import sys
import threading
import time

WHOLE = bytes(range(256)) * 8192 # 2 MiB: more than buffers on the way hold
BULK = (WHOLE * 3 + b"last").replace(b"!", b"") # without what may be urgent


def read_all(s, pause=0):
    """What comes until the end, and how it ended."""
    got = b""
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return got, "end"
            got += piece
            time.sleep(pause)
    except ConnectionResetError:
        return got, "reset"


def told(got, how):
    return f"{len(got)} {hashlib.sha256(got).hexdigest()[:12]} {how}"


def answer(s):
    case = s.recv(1)
    if case == b"w": # all of it, and the end right behind
        s.sendall(WHOLE)
    elif case == b"s": # one small piece, and the end right behind: both are there at once
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        s.sendall(b"last")
    elif case == b"h": # says all it will, and goes on listening
        s.sendall(b"said")
        s.shutdown(socket.SHUT_WR)
        seen[case] = told(*read_all(s))
        heard.set()
    elif case == b"c": # hears all, then speaks
        got = read_all(s)
        time.sleep(0.5)
        s.sendall(told(*got).encode())
    elif case == b"r": # breaks off behind a piece
        s.sendall(b"piece")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.1)
    elif case == b"u":
        s.sendall(b"before")
        s.send(b"!", socket.MSG_OOB)
        s.sendall(b"behind")
    elif case == b"U": # amid as much as goes unread in bulk, and the end right behind
        for _ in range(3):
            s.sendall(WHOLE)
            s.send(b"!", socket.MSG_OOB)
        s.sendall(b"last")
    elif case == b"?":
        heard.wait(60)
        s.sendall(seen[b"h"].encode())
    s.close()


seen = {}
heard = threading.Event() # all of what is asked about


def serve(address, port):
    listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def ask(address, port):
    def start(case):
        s = socket.create_connection((address, port), 60)
        s.sendall(case)
        return s

    def same(what, got, want):
        print(f"{what}: {'as it was' if got == want else f'{got} instead of {want}'}")

    same("whole", told(*read_all(start(b"w"))), told(WHOLE, "end"))
    same("slowly", told(*read_all(start(b"w"), 0.002)), told(WHOLE, "end"))
    for _ in range(20):
        got = read_all(start(b"s"))
        if got != (b"last", "end"):
            break
    same("small", got, (b"last", "end"))

    s = start(b"h")
    same("server first", read_all(s), (b"said", "end"))
    time.sleep(0.3)
    s.sendall(WHOLE)
    s.close()
    same("client after it", read_all(start(b"?"))[0].decode(), told(WHOLE, "end"))

    s = start(b"c")
    s.sendall(WHOLE)
    s.shutdown(socket.SHUT_WR)
    same("client first", read_all(s)[0].decode(), told(WHOLE, "end"))
    s = start(b"c")
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    s.sendall(b"last")
    s.shutdown(socket.SHUT_WR)
    same("client first, at once", read_all(s)[0].decode(), told(b"last", "end"))

    same("broken off", read_all(start(b"r"))[1], "reset")
    got = read_all(start(b"u"))
    same("urgent", (got[0].replace(b"!", b""), got[1]), (b"beforebehind", "end"))
    for pause in 0, 0, 0, 0.002, 0.002, 0.01:
        got = read_all(start(b"U"), pause)
        said = got[0].replace(b"!", b""), got[1]
        if said != (BULK, "end"):
            break
    same("urgent in bulk", told(*said), told(BULK, "end"))


{"serve": serve, "ask": ask}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
