#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An origin too simple to be fooled: the third opinion of the smuggling tests.

usage: plain_origin.py LOGFILE ADDR:PORT

It reads what RFC 9112 calls a request and nothing that is merely tolerated. Each request is one JSON
line with its length on the wire and the digest of its bytes; anything it does not understand is a
line {"odd": ...}.
"""
import hashlib
import re

import raw_origin

REQUEST = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.1\r\n")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t -~]*)\r\n")


class Odd(Exception):
    pass


class Reader:
    def __init__(self, sock):
        self.sock, self.data, self.at = sock, b"", 0

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError
        self.data += piece

    def line(self):
        while True:
            end = self.data.find(b"\n", self.at)
            if end >= 0:
                line, self.at = self.data[self.at:end + 1], end + 1
                return line
            self.more()

    def take(self, n):
        while len(self.data) - self.at < n:
            self.more()
        piece, self.at = self.data[self.at:self.at + n], self.at + n
        return piece


def read_chunks(reader):
    body = b""
    while True:
        size = re.fullmatch(rb"([0-9a-f]{1,8})\r\n", reader.line())
        if not size:
            raise Odd("chunk size")
        n = int(size[1], 16)
        body += reader.take(n)
        if reader.take(2) != b"\r\n":
            raise Odd("chunk end")
        if n == 0:
            return body


def read_request(reader, log):
    reader.data, reader.at = reader.data[reader.at:], 0
    start = REQUEST.fullmatch(reader.line())
    if not start:
        raise Odd("request line")
    fields = {}
    while True:
        line = reader.line()
        if line == b"\r\n":
            break
        field = FIELD.fullmatch(line)
        if not field:
            raise Odd("field line")
        name = field[1].lower().decode()
        if name in fields and name in ("host", "content-length", "transfer-encoding"):
            raise Odd("repeated " + name)
        fields[name] = field[2].decode()
    if "content-length" in fields and "transfer-encoding" in fields:
        raise Odd("two framings")
    if fields.get("transfer-encoding", "chunked") != "chunked":
        raise Odd("transfer encoding")
    entry = {"method": start[1].decode(), "target": start[2].decode(), "host": fields.get("host")}
    log(dict(entry, part="head"))
    if "transfer-encoding" in fields:
        body = read_chunks(reader)
    else:
        body = reader.take(int(fields.get("content-length", "0")))
    log(dict(entry, part="whole", length=reader.at, chunked="transfer-encoding" in fields,
             body=hashlib.sha256(body).hexdigest()))
    return entry


def serve(sock, log):
    reader = Reader(sock)
    try:
        while True:
            entry = read_request(reader, log)
            body = b"" if entry["method"] == "HEAD" else b"ok"
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Seen: %s %s\r\n\r\n%s" % (
                entry["method"].encode(), entry["target"].encode(), body))
    except EOFError:
        if reader.at < len(reader.data):
            log({"cut": True})
    except Odd as odd:
        log({"odd": str(odd), "data": repr(reader.data[:400])})
    except OSError:
        pass
    finally:
        sock.close()


if __name__ == "__main__":
    raw_origin.run(serve)
