#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/2 through the gates: real clients, each stream judged, over IPv4 and IPv6.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

MODELS=https://api.openai.com/v1/models
BODY=$WORLD/tmp/ask.json
printf '%s' "$ASK" >"$BODY"
VERSION='%{http_version} %{http_code}\n'

for family in 4 6; do
	out=$(agent curl -$family -sS -m 60 --http2 -o /dev/null -w "$VERSION" -d "$ASK" $CHAT)
	same "IPv$family: an allowed request over h2" "$out" "2 200"
	audited "IPv$family: is in the audit log" '"method": ?"POST"' '"verdict": ?"allow"' '"path": ?"/v1/chat/completions"'
	out=$(agent curl -$family -sS -m 60 --http2 -w "$VERSION" $MODELS)
	has "IPv$family: a denied one is 403 over h2" "$out" '^2 403'
	has "IPv$family: and says why" "$out" '"http-denied"'
	audited "IPv$family: the denial is in the audit log" '"verdict": ?"deny"' "$(reason http-denied)"
done
unseen "nothing denied reached the server" ' GET /v1/models'

# Both on one connection: attacks.md 20 and 21.
out=$(agent nghttp -v --no-dep -d "$BODY" $CHAT $MODELS 2>&1)
has "two streams of one connection: the allowed one" "$out" ':status: 200'
has "two streams of one connection: the denied one" "$out" ':status: 403'

out=$(agent curl -sS -m 60 --http2 -H 'Host: evil.example' -o /dev/null -w "$VERSION" -d "$ASK" $CHAT)
same "another :authority is 421 (14, 19)" "$out" "2 421"
out=$(agent nghttp -v -H 'host: evil.example' -d "$BODY" $CHAT 2>&1)
hasnt "another Host beside :authority never passes (19)" "$out" ':status: 200'
unseen "and none of it arrived" 'evil\.example'

refuse "dot segments are refused (7)" \
	agent curl -sS -f -m 60 --http2 --path-as-is -o /dev/null -d "$ASK" "$CHAT/../../models"
audited "with their reason" "$(reason http-malformed)"

# 26: without TLS, by prior knowledge: each stream is judged, and the server spoken to likewise
world_nginx h2c <<-END
	log_format seen 'h2c "\$request" \$status';
	access_log $WORLD/log/h2c.seen seen;
	server { listen 203.0.113.81:8080 http2; location / { return 200 "h2c\n"; } }
END
world_wait 60 nc -z 203.0.113.81 8080
PLAIN=http://203.0.113.81:8080
out=$(confined smuggling curl -sS -m 60 --http2-prior-knowledge -w "$VERSION" $PLAIN/case/x 2>&1)
has "prior knowledge without TLS: an allowed request (26)" "$out" '^2 200'
seen "arrives as HTTP/2" '^h2c "GET /case/x HTTP/2.0" 200'
out=$(confined smuggling curl -sS -m 60 --http2-prior-knowledge -w "$VERSION" $PLAIN/other 2>&1)
has "a denied one does not" "$out" '^2 403'
unseen "and is not heard of" '/other'
out=$(confined smuggling curl -sS -m 60 --http2-prior-knowledge -H 'Host: evil.example:9' -w "$VERSION" $PLAIN/case/x 2>&1)
has "nor one for another port" "$out" '^2 421'
out=$(confined smuggling curl -sS -m 60 --http2 -w "$VERSION" $PLAIN/case/up 2>&1)
has "an upgrade to it is refused" "$out" '^1.1 400'
audited "with its reason" "$(reason h2-unsupported)"
out=$(agent curl -sS -m 60 --http2-prior-knowledge -w "$VERSION" -d "$ASK" http://$GATEWAY4:8080/v1/chat/completions 2>&1)
has "a server that does not know it is a 502" "$out" '^2 502'

out=$(agent h2load -n 200 -c 4 -m 20 -d "$BODY" $CHAT 2>&1)
has "200 requests, 20 at a time on 4 connections" "$out" '200 succeeded, 0 failed'

tap_done
