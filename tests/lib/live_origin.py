#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An origin whose answers never end: for what happens to flows that are open.

usage: live_origin.py ADDR:PORT...

GET PATH              chunks, one every tenth of a second, until the client has gone
GET /short...         an answer with a length
... Upgrade: websocket   text frames, as often
"""
import base64
import hashlib
import socketserver
import sys
import threading
import time

PAUSE = 0.1


class Handler(socketserver.StreamRequestHandler):
    def head(self):
        line = self.rfile.readline().decode("latin-1")
        fields = {}
        while (field := self.rfile.readline().decode("latin-1").strip()):
            name, _, value = field.partition(":")
            fields[name.lower()] = value.strip()
        return line.split(" ")[1] if " " in line else None, fields

    def web_socket(self, key):
        guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode() + guid).digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while True:
            self.wfile.write(b"\x81\x04tick")
            time.sleep(PAUSE)

    def handle(self):
        try:
            while True:
                path, fields = self.head()
                if path is None:
                    return
                if fields.get("upgrade", "").lower() == "websocket":
                    self.web_socket(fields["sec-websocket-key"])
                if path.startswith("/short"):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshort\n")
                    continue
                self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    self.wfile.write(b"5\r\ntick\n\r\n")
                    time.sleep(PAUSE)
        except OSError:
            return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


for where in sys.argv[1:]:
    addr, _, port = where.rpartition(":")
    server = Server((addr, int(port)), Handler)
    threading.Thread(target=server.serve_forever).start()
