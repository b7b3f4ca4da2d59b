#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""python3 urllib: one chat completion; with "stream", each event with its time of arrival."""
import json
import os
import sys
import time
import urllib.error
import urllib.request

ask = json.loads(os.environ["ASK"])
ask["stream"] = "stream" in sys.argv
request = urllib.request.Request(sys.argv[1], json.dumps(ask).encode(),
                                 {"Content-Type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        if not ask["stream"]:
            print("answer:", json.load(answer)["choices"][0]["message"]["content"])
        else:
            start = None
            for line in answer:
                if line.startswith(b"data: {"):
                    start = start or time.monotonic()
                    print("token", int((time.monotonic() - start) * 1000))
            print("answer: streamed")
except urllib.error.HTTPError as e:
    print("error:", e.code, e.read().decode())
    sys.exit(1)
