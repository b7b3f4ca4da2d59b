# SPDX-License-Identifier: Apache-2.0
"""What the peers of the benchmark allow, as an add-on of mitmproxy."""

import os

from mitmproxy import http

NAME = os.environ["NAME"]
ALLOWED = {("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/blob"), ("PUT", "/sink/blob")}


def requestheaders(flow):
    host = flow.request.host_header
    named = host == NAME or host and host.endswith(".mint.test")
    if not named or flow.client_conn.tls and flow.client_conn.sni != host \
            or (flow.request.method, flow.request.path) not in ALLOWED:
        flow.response = http.Response.make(403)
    else:
        flow.request.stream = True


def responseheaders(flow):
    flow.response.stream = True
