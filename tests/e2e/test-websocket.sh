#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# WebSocket by npm ws, in the clear and inside TLS, and server-sent events over HTTP/2.

. "$(dirname "$0")/../lib/e2e.sh"
npm_packages
world_enter "$@"
world_up
need_npm "WebSocket"

ORIGIN=203.0.113.84
world_name ws.test $ORIGIN
world_cert ws ws.test
world_daemon ws node "$TOP/tests/lib/ws_origin.mjs" "$WORLD/log/ws.seen" $ORIGIN "$WORLD"/tls/ws.{key,pem}
world_wait 60 nc -z $ORIGIN 443 && world_wait 60 nc -z $ORIGIN 8080

for url in ws://$ORIGIN:8080 wss://ws.test; do
	world_forget
	tap_import "$(confined websocket node "$CLIENTS/ws.mjs" "$url" 2>&1)"
	audited "$url: the socket is in the audit log" '"verdict": ?"allow"' '"path": ?"/chat"'
	audited "$url: so is a refused upgrade" '"verdict": ?"deny"' "$(reason upgrade-denied)"
	unseen "$url: no refused upgrade arrived" '/admin|tunnel|h2c|TLS|POST'
	seen "$url: the allowed ones did" '"target":"/chat","upgrade":"websocket"'
done

world_forget
tap_import "$(confined websocket node "$CLIENTS/ws_h2.mjs" https://ws.test 2>&1)"
audited "over HTTP/2: the socket is in the audit log" '"verdict": ?"allow"' '"path": ?"/chat"'
audited "over HTTP/2: so is a refused one" '"verdict": ?"deny"' "$(reason upgrade-denied)"
unseen "over HTTP/2: no refused one arrived, nor what came before an answer" '/admin|tunnel'
seen "over HTTP/2: the allowed ones did" '"target":"/chat","upgrade":"websocket"'

out=$(confined websocket node "$CLIENTS/ws.mjs" ws://$ORIGIN:443 2>&1)
hasnt "plain WebSocket at the port of TLS is refused" "$out" '^ok'

# Tokens over HTTP/2, by node's own client and by curl.
out=$(agent node "$CLIENTS/sse_h2.mjs" "$CHAT" 2>&1)
tap_import "$out"
out=$(agent curl -sSN --http2 -w '\n%{http_version}\n' "$CHAT" -d '{"stream":true}' 2>&1 | while read -r line; do
	echo "$EPOCHREALTIME $line"
done)
first=$(grep -m1 data: <<<"$out" | cut -d' ' -f1)
last=$(grep data: <<<"$out" | tail -n1 | cut -d' ' -f1)
has "curl: the stream went over HTTP/2" "$out" ' 2$'
check "curl: tokens over HTTP/2 arrive as they are sent" awk -v a="${first:-0}" -v b="${last:-0}" \
	'BEGIN {exit !(a > 0 && b - a > 0.8)}'

tap_done
