# SPDX-License-Identifier: Apache-2.0
"""Keeps flows open and says what becomes of them.

usage: live.py NAME=URL...      http, https, ws, idle (an https request, then silence), tcp, udp

A line for each event: "NAME up", "NAME TIME" now and then while it moves, "NAME reset|eof|cut|STATUS".
It ends when all have ended, or is killed.
"""
import base64
import http.client
import os
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

lock = threading.Lock()


def say(name, what):
    with lock:
        print(name, what, flush=True)


def moved(name, state={}):
    now = time.time()
    if name not in state:
        say(name, "up")
    if now - state.get(name, 0) > 0.3:
        state[name] = now
        say(name, f"{now:.2f}")


def connect(url, kind=socket.SOCK_STREAM):
    info = socket.getaddrinfo(url.hostname, url.port or (443 if url.scheme in ("https", "idle") else 80),
                              socket.AF_INET, kind)[0]
    s = socket.socket(info[0], kind)
    s.settimeout(60)
    s.connect(info[4])
    return s


def request(url):
    s = connect(url)
    if url.scheme in ("https", "idle"):
        s = ssl.create_default_context().wrap_socket(s, server_hostname=url.hostname)
    fields = ""
    if url.scheme == "ws":
        key = base64.b64encode(os.urandom(16)).decode()
        fields = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    host = url.hostname + (f":{url.port}" if url.port else "")
    s.sendall(f"GET {url.path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode())
    return s


def stream(name, url):
    s = request(url)
    if url.scheme == "ws":
        status = int(s.recv(4096).split(b" ")[1])
        if status != 101:
            return str(status)
        while s.recv(4096):
            moved(name)
        return "eof"
    r = http.client.HTTPResponse(s)
    r.begin()
    if r.status != 200:
        return str(r.status)
    while r.read1(64):
        moved(name)
    return "eof"


def idle(name, url):
    s = request(url)
    r = http.client.HTTPResponse(s)
    r.begin()
    r.read()
    say(name, "up")
    return "eof" if s.recv(1) == b"" else "bytes"


def echo(name, url):
    s = connect(url, socket.SOCK_DGRAM if url.scheme == "udp" else socket.SOCK_STREAM)
    s.settimeout(20 if url.scheme == "tcp" else 5)  # nobody says that a datagram was lost
    while True:
        s.sendall(b"hello\n")
        if not s.recv(100):
            return "eof"
        moved(name)
        time.sleep(0.1)


def task(name, url):
    fn = {"idle": idle, "tcp": echo, "udp": echo}.get(url.scheme, stream)
    try:
        end = fn(name, url)
    except ConnectionResetError:
        end = "reset"
    except http.client.IncompleteRead:
        end = "cut"
    except (OSError, http.client.HTTPException) as e:
        end = type(e).__name__
    say(name, end)


for arg in sys.argv[1:]:
    name, _, url = arg.partition("=")
    threading.Thread(target=task, args=(name, urlsplit(url))).start()
