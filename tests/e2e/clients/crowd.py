#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TLS handshakes with the proxy that wait for each other, each for a name of its own: all say hello
first, and go on then, one after the other.

usage: crowd.py COUNT; prints how they ended.
"""
import collections
import resource
import socket
import ssl
import sys

COUNT = int(sys.argv[1])
CONTEXT = ssl.create_default_context()
resource.setrlimit(resource.RLIMIT_NOFILE, (2 * COUNT, 2 * COUNT))


class Client:
    def __init__(self, name, address):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = CONTEXT.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.socket = socket.create_connection(address, timeout=60)
        self.step()

    def step(self):
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.socket.sendall(self.outgoing.read())
        return True

    def end(self):
        try:
            while not self.step():
                data = self.socket.recv(65536)
                if not data:
                    return "closed"
                self.incoming.write(data)
        except ssl.SSLError as error:
            return error.reason
        except OSError as error:
            return str(error)
        finally:
            self.socket.close()
        return "done"


names = [f"n{i}.crowd.test" for i in range(COUNT)]
addresses = [socket.getaddrinfo(name, 443, socket.AF_INET)[0][4] for name in names]
clients = [Client(name, address) for name, address in zip(names, addresses)]
print("handshakes", dict(collections.Counter(client.end() for client in clients)))
