#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 of the client, a server that speaks HTTP/2 only: each request becomes a stream.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

ORIGIN=203.0.113.82
world_name plain.test $ORIGIN
world_cert plain plain.test
world_daemon h2 node "$TOP/tests/lib/h2_origin.mjs" "$WORLD/log/h2.seen" $ORIGIN 443 \
	"$WORLD/tls/plain.key" "$WORLD/tls/plain.pem"
world_wait 60 nc -z $ORIGIN 443

URL=https://plain.test/case
VERSION=' %{http_version} %{http_code}\n'
h1() { # CURL-ARGUMENT…
	confined h2-h1 curl -sS -m 60 --http1.1 -w "$VERSION" "$@" 2>&1
}

has "a body of known length arrives" "$(h1 -d hello $URL/echo)" '^POST 5 .* 1.1 200'
has "one of unknown length arrives" \
	"$(head -c 3000000 /dev/zero | h1 -T - $URL/echo)" '^PUT 3000000 .* 1.1 200'
has "none arrives as none" "$(h1 $URL/echo)" '^GET 0 .* 1.1 200'
has "a query stays where it is" "$(h1 "$URL/echo?a=b%26c")" '^GET 0 .* 1.1 200'
has "the server saw it" "$(cat "$WORLD/log/h2.seen")" '^GET plain.test /case/echo\?a=b%26c'
has "a cookie arrives" "$(h1 -b 'a=1; b=2' $URL/echo; cat "$WORLD/log/h2.seen")" '/case/echo a=1; b=2'
has "fields that come twice stay two" "$(h1 -i $URL/echo | grep -ci '^set-cookie:')" '^2$'
out=$(h1 $URL/echo $URL/echo $URL/echo)
has "a client's requests share a connection to the server" \
	"$(grep -o 'session [0-9]*' <<<"$out" | sort | uniq -c)" '^ *3 session [0-9]*$'
has "an answer to HEAD has no body" "$(h1 -I $URL/echo)" ' 1.1 200'
has "204 has none" "$(h1 $URL/204 $URL/echo)" '1.1 204'
has "103 Early Hints pass" "$(h1 -i $URL/hints)" 'HTTP/1.1 103'
has "and the answer after them" "$(h1 $URL/hints)" '^after hints 1.1 200'
has "trailers pass" "$(h1 -i $URL/trailers)" 'x-sum: 1'
out=$(h1 $URL/big -o /dev/null -w '%{size_download} %{http_code}')
has "30 MiB arrive whole" "$out" "^$((30 << 20)) 200"
out=$(head -c 20000000 /dev/zero | h1 -H 'Expect:' -T - $URL/early)
has "an early answer ends the request" "$out" 'no 1.1 413|Broken pipe|reset|Send failure'
out=$(h1 $URL/goaway $URL/echo)
has "a server that goes away has answered first" "$out" '^last 1.1 200'
has "and the next request finds another connection" "$out" '^GET 0 .* 1.1 200'

tap_import "$(confined h2-h1 python3 "$CLIENTS/h1_h2.py" plain.test 2>&1)"

# What is not whole does not look whole; what is denied does not arrive.
out=$(h1 $URL/reset)
has "a reset stream is a 502" "$out" ' 1.1 502'
has "and told as what it is" "$out" '"upstream-protocol"'
refuse "half an answer is an error" confined h2-h1 curl -sSf -m 20 --http1.1 $URL/cut
has "another path is denied" "$(h1 https://plain.test/other)" ' 1.1 403'
hasnt "and did not arrive" "$(cat "$WORLD/log/h2.seen")" '/other'
has "a WebSocket is not translated" \
	"$(h1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
		-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' $URL/echo)" ' 1.1 (403|502)'
has "a client of HTTP/2 gets HTTP/2" \
	"$(confined h2-h1 curl -sS -m 60 --http2 -w "$VERSION" -d hello $URL/echo 2>&1)" '^POST 5 .* 2 200'

tap_done
