#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An origin that ends kept connections at the worst moment. What it is asked, it writes down.

usage: leaving_origin.py LOGFILE ADDR:PORT [CERT KEY]

The answer is a JSON object: target, conn and served (which connection, and how many requests it had before
this one). On a connection that has served before, the path says what happens instead:

  /case/dies/…    read and reset without an answer    /case/half/…   the same behind half a head
  /case/gone/…    closed in an orderly way, unread

/case/leaves/… is answered, and the connection closed a moment later.
"""
import itertools
import json
import select
import socket
import ssl
import struct
import sys

import raw_origin

LEAVES_AFTER = 0.08

numbers = itertools.count(1)


def read_request(stream):
    line = stream.readline().decode("latin-1")
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    length, chunked = 0, False
    while (line := stream.readline().decode("latin-1")) not in ("\r\n", ""):
        name, value = line.lower().split(":", 1)
        if name == "content-length":
            length = int(value)
        chunked |= name == "transfer-encoding"
    stream.read(length)
    while chunked and (size := int(stream.readline(), 16)):
        stream.read(size + 2)
    if chunked:
        stream.readline()
    return method, target


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve(sock, log, context):
    conn, served = next(numbers), 0
    if context:
        sock = context.wrap_socket(sock, server_side=True)
    stream = sock.makefile("rb")
    try:
        while True:
            if served and not context:
                peeked = sock.recv(100, socket.MSG_PEEK)
                if b" /case/gone/" in peeked:
                    log({"target": peeked.split(b" ")[1].decode(), "conn": conn, "served": served})
                    return
            if not (request := read_request(stream)):
                return
            method, target = request
            log({"method": method, "target": target, "conn": conn, "served": served})
            if served and target.startswith(("/case/dies/", "/case/half/")):
                if target.startswith("/case/half/"):
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
                reset(sock)
                return
            body = json.dumps({"conn": conn, "served": served, "target": target}).encode()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            served += 1
            if target.startswith("/case/leaves/") and not select.select([sock], [], [], LEAVES_AFTER)[0]:
                return
    except (OSError, ValueError):
        pass
    finally:
        stream.close()
        sock.close()


if __name__ == "__main__":
    context = None
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3], sys.argv[4])
    raw_origin.run(lambda sock, log: serve(sock, log, context))
