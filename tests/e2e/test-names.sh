#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The address belongs to the name, and the name to the rule: literals, spoofed server names, shared
# addresses, rebinding, CNAME chains.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

# Without an answer the resolver would wait for longer than what at_once() takes for one.
export RES_OPTIONS='timeout:20 attempts:2'

# fetch POLICY CURL-ARG…: output ends with "STATUS EXIT"
fetch() {
	local out status
	out=$(confined "$1" curl -sS -m 60 -w '\n%{http_code}' "${@:2}" 2>&1)
	status=$?
	echo "$out exit=$status"
}

# denied DESCRIPTION POLICY REASON CURL-ARG…: no answer of a server, at once, and the reason is told
denied() {
	local what=$1 policy=$2 why=$3 start=$EPOCHREALTIME out
	shift 3
	world_forget
	out=$(fetch "$policy" "$@")
	hasnt "$what: no server answered" "$out" 'SECRET|stolen|evil$|^200|HOST-SERVICE|exit=28'
	at_once "$what: at once" 30 "$start"
	[ -z "$why" ] || audited "$what: reason" '"deny"' "$why"
	unseen "$what: nothing arrived" '.'
}

# the twins that pass
out=$(fetch names https://api.openai.com/plain)
has "an allowed name, intercepted" "$out" '^200 exit=0'
out=$(fetch names https://pass.example/)
has "an allowed name without http rules" "$out" '^pass'
out=$(fetch names -v https://pass.example/)
has "is passed through with the origin's own certificate" "$out" 'issuer: CN=Little Internet Root'
out=$(fetch names -v https://api.openai.com/plain)
hasnt "an intercepted name is not" "$out" 'issuer: CN=Little Internet Root'
out=$(fetch names https://API.OpenAI.com/plain)
has "capitals" "$out" '^200 exit=0'
out=$(fetch names https://api.openai.com./plain)
has "a trailing dot is the same name" "$out" '^200 exit=0'
out=$(fetch names https://ok.shared.test/)
has "one name of a shared address" "$out" '^ok'
out=$(fetch names http://good.rebind.test/)
has "a name of an allowed pattern" "$out" '^pass'
out=$(fetch names -k https://one.cname.test/)
has "an allowed name behind a chain of CNAMEs" "$out" '^pass'
out=$(fetch names -k https://many.example/)
has "a name with many addresses" "$out" '^pass'

# names that no rule allows
denied "another name" names "$(reason dns-name-denied)" https://evil.example/
denied "another name on a shared address" names "$(reason dns-name-denied)" https://evil.shared.test/

# addresses without their name
for a in "$OPENAI4" "[$OPENAI6]"; do
	denied "the address $a itself" names '' -k "https://$a/plain"
	denied "the address $a, never looked up, with the name as SNI" names '' \
		--resolve "api.openai.com:443:${a//[\[\]]/}" https://api.openai.com/plain
done
for a in "$EVIL4" "$EVIL6"; do
	denied "the allowed name at another server, $a" names '' \
		--resolve "api.openai.com:443:$a" https://api.openai.com/plain
done

# looked up first, so the address is open; then used under another name, or under none
lookup_then() { # DESCRIPTION REASON CURL-ARG…
	local what=$1 why=$2 out
	shift 2
	world_forget
	out=$(confined names bash -c 'getent ahosts api.openai.com ok.shared.test >/dev/null
		getent ahosts ok.shared.test >/dev/null
		curl -sS -m 60 -w "\n%{http_code}" "$@" 2>&1' - "$@")
	hasnt "$what: no server answered" "$out" 'stolen|evil$|^200'
	audited "$what: reason" '"deny"' "$why"
	unseen "$what: nothing arrived" .
}
for a in "$OPENAI4" "$OPENAI6"; do
	lookup_then "an open address without server name, $a" "$(reason sni-missing)" \
		-k "https://$([[ $a = *:* ]] && echo "[$a]" || echo "$a")/plain"
	lookup_then "an open address under a name of evil, $a" "$(reason sni-denied)" \
		-k --resolve "evil.example:443:$a" https://evil.example/
done
for a in "$SHARED4" "$SHARED6"; do
	lookup_then "the other name of a shared address, $a" "$(reason sni-denied)" \
		--resolve "evil.shared.test:443:$a" https://evil.shared.test/
	lookup_then "an allowed name at another allowed name's address, $a" \
		"$(reason address-not-of-name)|$(reason sni-denied)" \
		--resolve "api.openai.com:443:$a" https://api.openai.com/plain
	lookup_then "Host of the other name behind the right SNI, $a" \
		"$(reason host-mismatch)|$(reason host-denied)" \
		-H 'Host: evil.shared.test' https://ok.shared.test/
done

# metadata, by every spelling
for a in "$META4" "[::ffff:$META4]" "[$META6]" 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518; do
	denied "metadata as $a" names '' "http://$a/latest/meta-data/"
done
denied "metadata by the seed policy" ../../../examples/llm-agent/policy '' "http://$META4/"
for n in metadata aws6 nat64 sixtofour compat loop zero host gate; do
	denied "$n.rebind.test: an allowed name that points inward" names \
		"$(reason dns-answer-denied)" "http://$n.rebind.test/"
done
denied "host.rebind.test, the port of a host service" names '' http://host.rebind.test:9009/
denied "a CNAME to metadata" names "$(reason dns-answer-denied)|$(reason dns-name-denied)" \
	http://meta.cname.test/
out=$(fetch names http://mixed.rebind.test/)
hasnt "of a mixed answer the bad address is never used" "$out" SECRET
has "of a mixed answer the good one is" "$out" '^200 exit=0'
unseen "of a mixed answer the bad address sees nothing" "^$META4"
world_forget
out=$(fetch names -k https://evil.cname.test/)
has "an allowed alias is judged by the name asked for" "$out" '^200 exit=0'
start=$EPOCHREALTIME
out=$(fetch names https://loop1.cname.test/)
has "a CNAME loop is an error" "$out" 'exit=6'
at_once "and no hang" 30 "$start"

# the host's own services
for a in 127.0.0.1 "[::1]" "$OUTER4" "[$OUTER6]" 192.0.0.1 "[fd7e:a7c3:1b5d::1]"; do
	denied "the host's service at $a" names '' "http://$a:9009/"
done

tap_done
