#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server of the soak: answers that can be checked to the last byte.

usage: origin.py LOGFILE CERT KEY ADDRESS...     each address at port 80, and 443 with TLS

A line in LOGFILE for each request, written before it is answered: "METHOD PATH".
  /get/ID          the id, many times over          /down/ID/BYTES   that many bytes
  POST /up/ID      the SHA-256 of what was sent     /sse/ID/N        N events, 50 ms apart
  /ws/ID           after an Upgrade: an echo
"""
import asyncio
import hashlib
import ssl
import sys

BLOCK = bytes(range(256)) * 256
log = None


async def read_body(reader, fields):
    digest, n = hashlib.sha256(), 0
    if fields.get("transfer-encoding") == "chunked":
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            digest.update(await reader.readexactly(size))
            await reader.readexactly(2)
            n += size
            if size == 0:
                return digest.hexdigest(), n
    left = int(fields.get("content-length", 0))
    while left:
        data = await reader.read(min(left, 65536))
        if not data:
            raise EOFError
        digest.update(data)
        left -= len(data)
        n += len(data)
    return digest.hexdigest(), n


async def answer(writer, body, kind="text/plain"):
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def down(writer, size):
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
    while size:
        n = min(size, len(BLOCK))
        writer.write(BLOCK[:n])
        await writer.drain()
        size -= n


async def events(writer, n):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for i in range(n):
        event = f"data: {i}\n\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def echo(reader, writer):
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def one(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines if line)}
    log.write(f"{method} {path}\n")
    log.flush()
    digest, n = await read_body(reader, fields)
    what, *rest = path[1:].split("/")
    if what == "ws" and fields.get("upgrade", "").lower() == "websocket":
        await echo(reader, writer)
        return False
    if what == "down":
        await down(writer, int(rest[1]))
    elif what == "sse":
        await events(writer, int(rest[1]))
    elif what == "up":
        await answer(writer, f"{digest} {n}".encode())
    else:
        await answer(writer, (path + "\n").encode() * 20)
    return fields.get("connection", "").lower() != "close"


async def serve(reader, writer):
    try:
        while await one(reader, writer):
            pass
    except (EOFError, OSError, ValueError, ssl.SSLError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.transport.abort()


async def main():
    global log
    log = open(sys.argv[1], "a", encoding="latin-1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    for address in sys.argv[4:]:
        await asyncio.start_server(serve, address, 80, backlog=1024)
        await asyncio.start_server(serve, address, 443, backlog=1024, ssl=context)
    await asyncio.Event().wait()


asyncio.run(main())
