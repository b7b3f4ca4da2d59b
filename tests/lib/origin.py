#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small LLM API: chat completions, plain and streamed, models, and an echo of anything else.

usage: origin.py LOGFILE ADDR:PORT [ADDR:PORT...]

Every request that arrives is one JSON line in LOGFILE, written before it is answered: what is not
there did not arrive. Tokens of a streamed answer are sent DELAY seconds apart, or as many as the request's
"pause" says.
"""
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import socket

DELAY = 0.5
WORDS = ["Permission", " to", " leave", " granted", "."]
log_lock = threading.Lock()
log_file = None


def record(entry):
    with log_lock:
        log_file.write(json.dumps(entry) + "\n")
        log_file.flush()


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "origin"
    sys_version = ""

    def log_message(self, *args):
        pass

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                data += self.rfile.read(size)
                if size == 0:
                    while self.rfile.readline().strip():
                        pass
                    return data
                self.rfile.readline()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, value, kind="application/json"):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def stream(self, model, delay):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Accel-Buffering", "no")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

        def event(text):
            data = f"data: {text}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

        for i, word in enumerate(WORDS):
            if i:
                time.sleep(delay)
            event(json.dumps({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": word},
                             "finish_reason": None}]}))
        event(json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def handle_any(self):
        body = self.body()
        record({"time": time.time(), "at": "%s:%d" % self.connection.getsockname()[:2],
                "method": self.command, "target": self.path,
                "host": self.headers.get_all("Host", []), "headers": self.headers.items(),
                "body_bytes": len(body)})
        path = self.path.split("?")[0]
        if self.command == "POST" and path == "/v1/chat/completions":
            try:
                ask = json.loads(body or b"{}")
            except ValueError:
                return self.answer(400, {"error": {"message": "not JSON"}})
            model = ask.get("model", "test-model")
            if ask.get("stream"):
                return self.stream(model, ask.get("pause", DELAY))
            return self.answer(200, {
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{"index": 0, "finish_reason": "stop", "message": {
                    "role": "assistant", "content": "".join(WORDS)}}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}})
        if self.command in ("GET", "HEAD") and path == "/v1/models":
            return self.answer(200, {"object": "list", "data": [
                {"id": "test-model", "object": "model", "created": 1, "owned_by": "world"}]})
        if path == "/slow":  # one byte a second: for tests that cut a live answer
            self.send_response(200)
            self.send_header("Content-Length", "60")
            self.end_headers()
            for _ in range(60):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(1)
            return None
        if path == "/auth-header-required" and self.headers.get_all("Authorization") != ["Bearer 12345"]:
            return self.answer(401, {"error": {"message": "who are you?"}})
        if path.startswith("/bytes/"):
            return self.answer(200, b"x" * int(path[7:]), "application/octet-stream")
        return self.answer(200, {"served": path, "method": self.command, "body_bytes": len(body)})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = handle_any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass


class Server6(Server):
    address_family = socket.AF_INET6


def main():
    global log_file
    log_file = open(sys.argv[1], "a", encoding="utf-8")
    for where in sys.argv[2:]:
        host, port = where.rsplit(":", 1)
        host = host.strip("[]")
        kind = Server6 if ":" in host else Server
        threading.Thread(target=kind((host, int(port)), Origin).serve_forever, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
