#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the HTTP gate refuses, inside TLS and in plain text, and that none of it reaches the origin.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

tap_import "$(agent python3 "$CLIENTS/http_cases.py" api.openai.com 443 tls 2>&1)"
cp "$WORLD/log/audit" "$WORLD/log/audit.tls"
audited "and Host and server name are one" '"deny"' "$(reason host-mismatch)"
tap_import "$(agent python3 "$CLIENTS/http_cases.py" "$GATEWAY4" 8080 plain 2>&1)"
tap_import "$(agent python3 "$CLIENTS/http_cases.py" "$GATEWAY6" 8080 plain 2>&1)"
audited "what is no HTTP is told as that" '"deny"' "$(reason unknown-protocol)"

# What was judged is what was sent: the origins saw the one allowed request, and nothing else.
others=$(grep -hE '"target"' "$WORLD"/log/*.seen |
	grep -v '"method": "POST", "target": "/v1/chat/completions"')
same "the origins saw nothing but the allowed request" "$others" ""
unseen "no other Host arrived" '"host": \[[^]]*(evil|,)'
unseen "nothing arrived that overrides method or path" '"[Xx]-([Hh][Tt][Tt][Pp]-[Mm]ethod|[Oo]riginal|[Rr]ewrite)'
unseen "nothing arrived with an Upgrade" '\["[Uu]pgrade"'

# The body of a refusal says what was asked, which rule came nearest, why, and what to do.
out=$(agent curl -sS -w '\n%{http_code} %{content_type}' https://api.openai.com/v1/models 2>&1)
has "a refusal is 403 and JSON" "$out" '^403 application/json'
has "it gives the reason" "$out" "$(reason http-denied)"
has "it names the policy's rule" "$out" 'moltbot-agent-l7-policy|egress\['
has "it says what to add" "$out" '"(remedy|hint|add)"'
audited "the refusal is in the audit log" '"deny"' "$(reason http-denied)" '"/v1/models"' '"GET"'

# Secrets and attacker's bytes in the log
agent curl -sS -H 'Authorization: Bearer sk-very-secret' -H 'Cookie: c=very-secret' \
	"https://api.openai.com/v1/models?key=very-secret&x=1" >/dev/null 2>&1
hasnt "no secret in the audit log" "$(cat "$WORLD/log/audit")" 'very-secret'
audited "but the path is" '/v1/models\?key='
check "every record is one line of JSON" python3 -c '
import json, sys
for line in open(sys.argv[1], "rb"):
    json.loads(line)
    assert all(0x20 <= c < 0x7f for c in line.rstrip(b"\n")), line
' "$WORLD/log/audit.tls"
out=$("$EXEAT" run -p "$AGENT/policy.yaml" -- python3 -c '
import socket, ssl
s = ssl.create_default_context().wrap_socket(socket.create_connection(("api.openai.com", 443)), server_hostname="api.openai.com")
s.sendall(b"GET /v1/\x1b[31mred\x07 HTTP/1.1\r\nHost: api.openai.com\x1b[2J\r\n\r\n")
s.recv(9999)
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
d.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0\5\x1b[31m\4evil\0\0\1\0\1", ("192.0.0.1", 53))
d.recv(512)' 2>&1 | cat -v)
has "what an attacker writes shows on the terminal" "$out" 'denied'
hasnt "but no escape sequence reaches it" "$out" '\^'

# Streams of a connection that is cut
out=$(agent timeout 60 curl -sSN -o /dev/null -w '%{http_code}' -X POST \
	https://api.openai.com/slow 2>&1)
has "a path beside the allowed one is refused at once" "$out" 403

tap_done
