# SPDX-License-Identifier: Apache-2.0
"""What the origins on bare sockets share. Their arguments: LOGFILE ADDR:PORT …"""
import json
import socket
import sys
import threading


def run(serve):
    """serve(sock, log) in a thread for each connection; log(entry) is a line of JSON."""
    lock = threading.Lock()
    host, port = sys.argv[2].rsplit(":", 1)
    with open(sys.argv[1], "a", encoding="ascii") as out:
        def log(entry):
            with lock:
                out.write(json.dumps(entry) + "\n")
                out.flush()

        listener = socket.create_server((host, int(port)), backlog=256)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock, log), daemon=True).start()
