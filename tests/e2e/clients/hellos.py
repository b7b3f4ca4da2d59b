#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ClientHellos of every split and spelling. usage: hellos.py NAME ADDRESS. Prints TAP points."""
import socket
import ssl
import sys
import time

from points import plan, point

NAME, ADDRESS = sys.argv[1:3]


def hello(name, alpn=None, version=None):
    context = ssl.create_default_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        context.maximum_version = version
    reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(reads, writes, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return tls, reads, writes


def pump(sock, tls, reads, writes, send):
    """Handshake and one request over sock, each flight sent by send(). The status, or why not."""
    while True:
        data = writes.read()
        if data:
            send(sock, data)
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            data = writes.read()
            if data:
                send(sock, data)
            got = sock.recv(65536)
            if not got:
                return "closed"
            reads.write(got)
    sock.sendall(writes.read())
    tls.write(b"GET /plain HTTP/1.1\r\nHost: " + NAME.encode() + b"\r\nConnection: close\r\n\r\n")
    sock.sendall(writes.read())
    while True:
        try:
            return tls.read(100).split()[1].decode()
        except ssl.SSLWantReadError:
            got = sock.recv(65536)
            if not got:
                return "closed"
            reads.write(got)


def attempt(name, send, **options):
    try:
        with socket.create_connection((ADDRESS, 443), timeout=20) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return pump(sock, *hello(name, **options), send)
    except OSError as e:
        return repr(e)


def whole(sock, data):
    sock.sendall(data)


def bytewise(sock, data):
    for b in data:
        sock.send(bytes([b]))


def delayed(sock, data):
    sock.sendall(data[:7])
    time.sleep(1)
    sock.sendall(data[7:])


def records(size):
    """The handshake message in several TLS records."""
    def send(sock, data):
        if data[0] != 22 or data[5] != 1:
            return sock.sendall(data)
        body = data[5:]
        return sock.sendall(b"".join(
            data[:3] + len(body[i:i + size]).to_bytes(2, "big") + body[i:i + size]
            for i in range(0, len(body), size)))
    return send


def rewritten(change):
    def send(sock, data):
        sock.sendall(change(data) if data[0] == 22 and data[5] == 1 else data)
    return send


def rename(new):
    """The server name, for another of the same length."""
    return rewritten(lambda data: data.replace(NAME.encode(), new))


def expect(what, want, got):
    point((got == "200") == want, "%s: %s" % (what, got))


expect("attack 24: in one piece", True, attempt(NAME, whole))
expect("attack 24: byte by byte", True, attempt(NAME, bytewise))
expect("attack 24: with a pause", True, attempt(NAME, delayed))
expect("attack 24: in records of 16 bytes", True, attempt(NAME, records(16)))
expect("attack 24: in records of 1 byte", True, attempt(NAME, records(1)))
expect("TLS 1.2", True, attempt(NAME, whole, version=ssl.TLSVersion.TLSv1_2))
expect("attack 25: ALPN http/1.1", True, attempt(NAME, whole, alpn=["http/1.1"]))
expect("attack 25: ALPN of something else", False, attempt(NAME, whole, alpn=["ssh"]))
expect("attack 22: capitals are the same name", True, attempt(NAME.upper(), whole))
expect("attack 22: no server name", False, attempt(None, whole))
expect("attack 1: a NUL in the server name", False, attempt(NAME, rename(NAME.encode()[:3] + b"\0" + NAME.encode()[4:])))
expect("attack 22: an underscore", False, attempt(NAME, rename(NAME.replace(".", "_", 1).encode())))
expect("attack 22: a blank", False, attempt(NAME, rename(b" " + NAME.encode()[1:])))
expect("attack 11: a byte above 127", False, attempt(NAME, rename(b"\xe4" + NAME.encode()[1:])))
expect("attack 12: another first letter", False, attempt(NAME, rename(b"x" + NAME.encode()[1:])))
expect("a record that is too long", False, attempt(NAME, rewritten(lambda d: d[:3] + b"\x7f\xff" + d[5:] + b"\0" * 40000)))
expect("a hello that is not one", False, attempt(NAME, rewritten(lambda d: d[:5] + b"\x02" + d[6:])))
expect("attack 27: plain HTTP where TLS is meant", False, attempt(NAME, rewritten(
    lambda d: b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")))
expect("attack 27: SSH", False, attempt(NAME, rewritten(lambda d: b"SSH-2.0-OpenSSH_9.2\r\n")))
expect("attack 27: random bytes", False, attempt(NAME, rewritten(lambda d: bytes(range(128, 228)))))
expect("an SSLv2 hello", False, attempt(NAME, rewritten(lambda d: b"\x80\x2e\x01\x03\x03\x00\x15\x00\x00\x00\x10" + b"\0" * 37)))
plan()
