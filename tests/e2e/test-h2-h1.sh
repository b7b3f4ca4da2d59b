#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/2 of the client, HTTP/1.1 of the server: each stream becomes a request of its own.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

ORIGIN=203.0.113.81
world_name plain.test $ORIGIN
world_cert plain plain.test
world_daemon scripted python3 "$TOP/tests/lib/scripted_origin.py" "$WORLD/log/scripted.seen" $ORIGIN:8080
world_daemon tls socat "OPENSSL-LISTEN:443,bind=$ORIGIN,fork,reuseaddr,backlog=128,cert=$WORLD/tls/plain.pem,key=$WORLD/tls/plain.key,verify=0" \
	TCP:$ORIGIN:8080
world_wait 60 nc -z $ORIGIN 443 && world_wait 60 nc -z $ORIGIN 8080

tap_import "$(confined h2-h1 node "$CLIENTS/h2_h1.mjs" https://plain.test 2>&1)"
unseen "nothing denied arrived" '/other'
seen "the crumbs of a cookie arrive in one field" '"/case/echo-cookies".*"cookie": "a=1; b=2; c=3"'
audited "an allowed stream is in the audit log" '"verdict": ?"allow"' '"path": ?"/case/trailers"'
audited "so is a server that broke the rules" '"verdict": ?"deny"' "$(reason upstream-protocol)"

# As clients see it.
VERSION='%{http_version} %{http_code}\n'
out=$(confined h2-h1 curl -sS -m 60 --http2 -w "$VERSION" -d hello https://plain.test/case/echo 2>&1)
has "curl speaks HTTP/2" "$out" '^POST 5 .*2 200'
out=$(confined h2-h1 curl -sS -m 60 --http1.1 -w "$VERSION" -d hello https://plain.test/case/echo 2>&1)
has "a client that wants HTTP/1.1 gets that" "$out" '^POST 5 .*1.1 200'
out=$(confined h2-h1 h2load -n 500 -c 4 -m 20 https://plain.test/case/load 2>&1)
has "500 requests, 20 at a time on 4 connections" "$out" '500 succeeded, 0 failed'
refuse "no connection is made before a request is allowed" \
	confined h2-h1 curl -sS -f -m 60 --http2 https://plain.test/nothing
kill "$(cat "$WORLD/pid/tls")"
out=$(confined h2-h1 curl -sS -m 60 --http2 -w "$VERSION" https://plain.test/case/echo 2>&1)
has "a server that is not there is a 502 over HTTP/2" "$out" 'exeat denied GET plain.test/case/echo.*"upstream-unreachable"'

tap_done
