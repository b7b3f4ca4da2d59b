#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The workload of the soak: everything at once, some of it rude, for a while.

usage: client.py SECONDS LOGFILE

A line in LOGFILE for each request whose answer came: "ID OUTCOME". Standard output: one line for
each answer that was wrong, then how often each thing was done. An answer may be 502, since servers are
killed; it may not be another one than the policy says, nor a byte longer, shorter or different.
"""
import asyncio
import collections
import hashlib
import os
import random
import socket
import ssl
import struct
import sys
import time

END = time.monotonic() + float(sys.argv[1])
log = open(sys.argv[2], "w", encoding="ascii")
random.seed(os.environ.get("SOAK_SEED"))
done = collections.Counter()
wrong = collections.Counter()
next_id = 0
BLOCK = bytes(range(256)) * 256
tls = ssl.create_default_context()


class Broken(Exception):
    """The server, or the connection, was killed: that may happen here."""


def new_id():
    global next_id
    next_id += 1
    return f"r{next_id}x"


def saw(i, outcome):
    log.write(f"{i} {outcome}\n")


def expect(ok, what):
    if not ok:
        wrong[what] += 1
        if wrong[what] <= 5:
            print(f"wrong: {what}", flush=True)


async def connect(host, secure):
    try:
        return await asyncio.wait_for(asyncio.open_connection(
            host, 443 if secure else 80, family=socket.AF_INET, ssl=tls if secure else None,
            server_hostname=host if secure else None, limit=1 << 20), 20)
    except (OSError, ssl.SSLError, asyncio.TimeoutError) as e:
        raise Broken from e


async def head(reader):
    try:
        text = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    except asyncio.TimeoutError:
        expect(False, "no answer within a minute")
        raise Broken from None
    first, *lines = text.decode("latin-1").split("\r\n")
    return int(first.split(" ")[1]), {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines if x)}


async def body(reader, fields):
    if fields.get("transfer-encoding") == "chunked":
        data = b""
        while size := int(await reader.readline(), 16):
            data += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return data
    return await reader.readexactly(int(fields.get("content-length", 0)))


async def ask(reader, writer, host, method, path, i, data=b"", extra=""):
    length = f"Content-Length: {len(data)}\r\n" if data else ""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{extra}\r\n".encode() + data)
    await writer.drain()
    status, fields = await head(reader)
    got = await body(reader, fields)
    saw(i, status)
    return status, got


HOST = "soak.test"


async def requests(secure):
    """A connection kept, some requests, some of them not allowed."""
    reader, writer = await connect(HOST, secure)
    try:
        for _ in range(random.randint(1, 30)):
            i = new_id()
            kind = random.random()
            if kind < 0.15:
                status, _ = await ask(reader, writer, HOST, "GET", f"/canary/{i}", i)
                expect(status == 403, f"a denied path: {status}")
                return # its connection ends
            if kind < 0.25:
                status, _ = await ask(reader, writer, HOST, "POST", f"/get/{i}", i, b"x")
                expect(status == 403, f"a denied method: {status}")
                return
            status, got = await ask(reader, writer, HOST, "GET", f"/get/{i}", i)
            expect(status in (200, 502), f"an allowed request: {status}")
            expect(status != 200 or got == f"/get/{i}\n".encode() * 20, "another answer than the server's")
            if status != 200:
                return
            if random.random() < 0.02:
                await asyncio.sleep(random.random() * 3)
    finally:
        writer.transport.abort() if random.random() < 0.3 else writer.close()


async def upload(secure):
    reader, writer = await connect(HOST, secure)
    i, data = new_id(), os.urandom(random.choice([10, 5000, 300_000, 3_000_000]))
    try:
        if random.random() < 0.3: # cut off in the middle
            writer.write(f"POST /up/{i} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                         + data[:len(data) // 2])
            await asyncio.sleep(random.random())
            return
        status, got = await ask(reader, writer, HOST, "POST", f"/up/{i}", i, data)
        expect(status in (200, 502), f"an allowed upload: {status}")
        expect(status != 200 or got == f"{hashlib.sha256(data).hexdigest()} {len(data)}".encode(), "an upload came changed")
    finally:
        writer.transport.abort()


async def download(secure, host=HOST):
    size = random.choice([1000, 100_000, 4_000_000])
    reader, writer = await connect(host, secure)
    i = new_id()
    try:
        writer.write(f"GET /down/{i}/{size} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        status, fields = await head(reader)
        if host == HOST:
            saw(i, status)
        got = await body(reader, fields)
        expect(status in (200, 502), f"an allowed download: {status}")
        expect(status != 200 or got == (BLOCK * (size // len(BLOCK) + 1))[:size], "a download came changed")
    finally:
        writer.close()


async def slow(secure):
    """Reads a little of much, slowly, and resets."""
    reader, writer = await connect(HOST, secure)
    i = new_id()
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    try:
        writer.write(f"GET /down/{i}/8000000 HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await head(reader)
        writer.transport.pause_reading()
        await asyncio.sleep(random.random() * 4)
    finally:
        writer.transport.abort()


async def stream(secure):
    reader, writer = await connect(HOST, secure)
    i, n = new_id(), random.randint(2, 40)
    try:
        status, got = await ask(reader, writer, HOST, "GET", f"/sse/{i}/{n}", i)
        expect(status in (200, 502), f"an allowed stream: {status}")
        expect(status != 200 or got == b"".join(b"data: %d\n\n" % k for k in range(n)), "a stream came changed")
    finally:
        writer.close()


async def websocket(secure):
    reader, writer = await connect(HOST, secure)
    i = new_id()
    allowed = random.random() < 0.8
    try:
        writer.write(f"GET /{'ws' if allowed else 'canary'}/{i} HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        status, _ = await head(reader)
        saw(i, status)
        expect(status in ((101, 502) if allowed else (403,)), f"a WebSocket: {status}")
        for _ in range(random.randint(0, 20) if status == 101 else 0):
            data = os.urandom(random.randint(1, 20000))
            writer.write(data)
            expect(await reader.readexactly(len(data)) == data, "an echo came changed")
    finally:
        writer.transport.abort()


async def killed(_):
    """A client that dies in the middle."""
    i = new_id()
    p = await asyncio.create_subprocess_exec("curl", "-4so", "/dev/null", "--limit-rate", "100k", f"https://{HOST}/down/{i}/8000000")
    await asyncio.sleep(random.random() * 2)
    try:
        p.kill()
    except ProcessLookupError:
        pass
    await p.wait()


async def http2(_):
    """Streams of one connection, through a server that speaks HTTP/2; one of them not allowed."""
    ids = [new_id() for _ in range(8)]
    urls = [f"https://h2.soak.test/{'canary' if k == 3 else 'get'}/{i}" for k, i in enumerate(ids)]
    p = await asyncio.create_subprocess_exec(
        "curl", "-4sZ", "--no-progress-meter", "--http2", "--max-time", "60", "-w", "%{url} %{http_code} %{size_download}\\n",
        *[a for u in urls for a in ("-o", "/dev/null", u)], stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL)
    out, _ = await p.communicate()
    for line in out.decode().splitlines():
        url, status, size = line.split()
        i, status = url.rsplit("/", 1)[1], int(status)
        if status == 0:
            continue
        saw(i, status)
        if "canary" in url:
            expect(status == 403, f"a denied stream: {status}")
        else:
            expect(status in (200, 502), f"an allowed stream of HTTP/2: {status}")
            expect(status != 200 or int(size) == len(f"/get/{i}\n") * 20, "an answer of HTTP/2 of another length")


async def dns(_):
    """UDP questions: one that a rule allows, one that none does."""
    server = next(x.split()[1] for x in open("/etc/resolv.conf", encoding="ascii") if x.startswith("nameserver"))
    loop = asyncio.get_running_loop()
    for name, code in ((HOST, 0), ("denied.test", 3)): # without EDNS a refusal is NXDOMAIN
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            await loop.sock_connect(s, (server, 53))
            question = struct.pack(">HHHHHH", random.getrandbits(16), 0x100, 1, 0, 0, 0)
            question += b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0\0\1\0\1"
            await loop.sock_sendall(s, question)
            try:
                got = await asyncio.wait_for(loop.sock_recv(s, 2048), 10)
                expect(got[3] & 15 == code, f"DNS for {name}: rcode {got[3] & 15}")
            except asyncio.TimeoutError:
                expect(False, f"DNS for {name}: no answer")


async def passed(_):
    await download(True, "pass.soak.test")


MIX = [(requests, 10), (upload, 3), (download, 3), (slow, 1), (stream, 2), (websocket, 2), (killed, 1), (http2, 1),
       (dns, 2), (passed, 2)]


async def worker():
    while time.monotonic() < END:
        what = random.choices([m for m, _ in MIX], [w for _, w in MIX])[0]
        try:
            await what(random.random() < 0.6)
            done[what.__name__] += 1
        except (Broken, EOFError, OSError, ssl.SSLError):
            done[what.__name__ + ", broken"] += 1
        except ValueError as e:
            expect(False, f"not HTTP: {e}")
        await asyncio.sleep(random.random() * 0.2)


async def main():
    await asyncio.gather(*(worker() for _ in range(int(os.environ.get("SOAK_CLIENTS", "24")))))
    log.close()
    print(" ".join(f"{k}={v}" for k, v in sorted(done.items())))
    print(f"requests={next_id} wrong={sum(wrong.values())}", flush=True)


asyncio.run(main())
