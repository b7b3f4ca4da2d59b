#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An origin that answers with bytes by the book: one answer for each path of ANSWERS.

usage: scripted_origin.py LOGFILE ADDR:PORT

An answer is a list of steps: bytes to send, a number of seconds to wait, "read" (the request's body),
"await" (the client's end, and answer how it came), "how" (what is known of those that are awaited: that
one is, then how its end came), or "close". A path that is not there echoes method, body and what the
connection had before.
"""
import queue
import time

import raw_origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = {
    "/case/continue": ["read", OK],
    "/case/hints": [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0.05, OK],
    "/case/many-hints": [b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, OK],
    "/case/204": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "/case/204-length": [b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"],
    "/case/304": [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n"],
    "/case/head": [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
    "/case/head-chunked": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    "/case/early": [b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig",
                    0.3, "close"],
    "/case/chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", 0.8,
                     b"3\r\ntwo\r\n", 0.8, b"5\r\nthree\r\n0\r\n\r\n"],
    "/case/trailers": [b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"2;ext=\"1\"\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\nSet-Cookie: a=b\r\n\r\n"],
    "/case/until-close": [b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall", 0.05, b" of it", "close"],
    "/case/no-end": [b"HTTP/1.1 200 OK\r\n\r\nso far", 60],
    "/case/http10": [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"],
    "/case/cut-length": [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "close"],
    "/case/cut-chunk": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", "close"],
    "/case/cut-head": [b"HTTP/1.1 200 OK\r\nContent-Le", "close"],
    "/case/nothing": ["close"],
    "/case/cl-te": [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    "/case/two-lengths": [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"],
    "/case/bare-lf": [b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
    "/case/fold": [b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok"],
    "/case/unasked": [OK + b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nPOISONED"],
    "/case/unasked-101": [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nraw"],
    # an upgrade to WebSocket that is none: the connection goes on as before
    "/case/101-bare": [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"],
    "/case/101-wrong": [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"],
    "/case/101-twice": [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"],
    "/case/101-right": [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"],
    "/case/big-head": [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100000 + b"\r\nContent-Length: 2\r\n\r\nok"],
    "/case/not-http": [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "close"],
    "/case/left": ["await"],
    "/case/how": ["how"],
    "/case/hop": [b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"
                  b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\nok"],
}


def read_head(stream):
    line = stream.readline().decode("latin-1")
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    fields = {}
    while (line := stream.readline().decode("latin-1")) not in ("\r\n", ""):
        name, value = line.split(":", 1)
        fields[name.lower()] = value.strip()
    return method, target, fields


def read_body(stream, fields):
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        while stream.readline() not in (b"\r\n", b""):
            pass
        return body
    return stream.read(int(fields.get("content-length", "0")))


ends = queue.Queue()


def await_end(sock):
    ends.put(b"awaited")
    sock.settimeout(10)
    try:
        how = b"more" if sock.recv(1) else b"closed"
    except TimeoutError:
        how = b"nothing"
    except ConnectionError:
        how = b"reset"
    ends.put(how)
    return how


def answer(text):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


def serve(sock, log):
    stream = sock.makefile("rb")
    served = 0
    try:
        while (request := read_head(stream)):
            method, target, fields = request
            log({"method": method, "target": target, "headers": fields})
            steps = ANSWERS.get(target.split("?")[0])
            if "expect" in fields:  # the body will not come, then: what comes is the next request
                steps = [b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno"]
            elif steps is None:
                body = read_body(stream, fields)
                text = b"%s %d %d" % (method.encode(), len(body), served)
                steps = [answer(text)]
            elif "read" not in steps and target != "/case/early":
                read_body(stream, fields)
            served += 1
            for step in steps:
                if step == "close":
                    return
                if step == "read":
                    read_body(stream, fields)
                elif step == "await":
                    sock.sendall(answer(await_end(sock)))
                elif step == "how":
                    sock.sendall(answer(ends.get(timeout=20)))
                elif isinstance(step, bytes):
                    sock.sendall(step)
                else:
                    time.sleep(step)
    except (OSError, ValueError, queue.Empty):
        pass
    finally:
        stream.close()
        sock.close()


if __name__ == "__main__":
    raw_origin.run(serve)
