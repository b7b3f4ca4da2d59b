# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Real clients do the one thing the seed policy allows, over the address family in $FAMILY.
# Sourced by test-clients-ipv4.sh and test-clients-ipv6.sh.

. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"
npm_packages
world_enter "$@"
world_up

answered='Permission to leave granted'

# tokens DESCRIPTION OUTPUT: the last token came the origin's delays after the first
tokens() {
	local last
	last=$(sed -n 's/^token //p' <<<"$2" | tail -n 1)
	if [ "${last:-0}" -ge 800 ]; then
		tap_ok "$1"
	else
		tap_not_ok "$1" "last token after ${last:-no} ms" "$2"
	fi
}

out=$(agent curl -sS -w '\n%{http_code} %{ssl_verify_result} %{remote_ip}' "$CHAT" \
	-H 'Content-Type: application/json' -d "$ASK" 2>&1)
same "curl exits 0" $? 0
has "curl gets the origin's answer" "$out" "$answered"
has "the certificate is valid to curl, over IPv$FAMILY" "$out" \
	"^200 0 $([ "$FAMILY" = 4 ] && echo 203.0.113.10 || echo 2001:db8:113::10)"
audited "the request is in the audit log" '"allow"' '"/v1/chat/completions"' 'moltbot-agent-l7-policy'
seen "it arrived with its Host and server name" 'sni=api.openai.com host=api.openai.com "POST /v1/chat'

out=$(agent curl -sSN "$CHAT" -d '{"stream":true}' 2>&1 | while read -r line; do
	echo "$EPOCHREALTIME $line"
done)
first=$(grep -m1 data: <<<"$out" | cut -d' ' -f1)
last=$(grep data: <<<"$out" | tail -n1 | cut -d' ' -f1)
has "curl's stream is whole" "$out" 'data: \[DONE\]'
check "curl's tokens arrive as they are sent" awk -v a="${first:-0}" -v b="${last:-0}" \
	'BEGIN {exit !(a > 0 && b - a > 0.8)}'

out=$(agent wget -qO- --post-data="$ASK" "$CHAT" 2>&1)
has "wget" "$out" "$answered"

out=$(agent python3 "$CLIENTS/urllib_chat.py" "$CHAT" 2>&1)
has "python3 urllib" "$out" "$answered"
out=$(agent python3 "$CLIENTS/urllib_chat.py" "$CHAT" stream 2>&1)
tokens "python3 urllib streams" "$out"

out=$(agent node "$CLIENTS/fetch.mjs" "$CHAT" 2>&1)
has "node fetch" "$out" "^200 .*$answered"

if [ -n "$EXEAT_NPM" ]; then
	out=$(agent node "$CLIENTS/openai.mjs" plain 2>&1)
	has "npm openai" "$out" "answer: $answered"
	out=$(agent node "$CLIENTS/openai.mjs" stream 2>&1)
	has "npm openai, stream: true" "$out" "answer: $answered"
	tokens "npm openai's tokens arrive as they are sent" "$out"
else
	tap_skip "npm openai" "the package registry can not be reached"
fi

# plain HTTP to the gateway, by the labels of its address
gw=$([ "$FAMILY" = 4 ] && echo "$GATEWAY4" || echo "[$GATEWAY6]")
out=$(agent curl -sS "http://$gw:8080/v1/chat/completions" -d "$ASK" 2>&1)
has "plain HTTP to llm-gateway" "$out" "$answered"
out=$(agent curl -sS -w '\n%{http_code}' "http://$gw:8080/v1/models" 2>&1)
has "GET /v1/models at llm-gateway is refused" "$out" '^403'
has "the body names the reason" "$out" "$(reason http-denied)"
unseen "and did not arrive there" '"GET", "target": "/v1/models"'

# a body larger than any buffer, and a large answer's way back
big=$WORLD/tmp/big.json
{ printf '{"pad":"'; head -c 8000000 /dev/zero | tr '\0' x; printf '"}'; } >"$big"
out=$(agent curl -sS --data-binary @"$big" "$CHAT" 2>&1)
has "a body of 8 MB" "$out" "$answered"
seen "arrives whole" '"body_bytes": 8000010'

tap_done
