#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each example does what its README says: what is allowed passes, what is beside it does not.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

example() { # NAME COMMAND…
	"$EXEAT" run -q -p "$TOP/examples/$1/policy.yaml" -- "${@:2}" 2>&1
}

for dir in "$TOP"/examples/*/; do
	name=$(basename "$dir")
	check "$name has a README" test -s "$dir/README.md"
	[ ! -e "$dir/policy.yaml" ] || check "$name has a policy that starts" example "$name" true
done

check "llm-agent: the fixtures of its policies hold" "$EXEAT" policy test "$TOP/examples/llm-agent"
for f in 4 6; do
	out=$(example block-metadata curl -"$f" -sSkm60 https://evil.example/)
	has "block-metadata, IPv$f: the world is open" "$out" '^(evil|stolen)'
done
for a in "$META4" "[$META6]" "[::ffff:$META4]"; do
	out=$(example block-metadata curl -sSm60 "http://$a/")
	hasnt "block-metadata: $a is not" "$out" SECRET
done
out=$(example block-metadata curl -sSm60 http://metadata.rebind.test/)
hasnt "block-metadata: nor by a name" "$out" SECRET

out=$(example dns-only dig +time=10 +tries=1 +short api.openai.com)
has "dns-only: a name below the suffix" "$out" '203\.0\.113\.10'
out=$(example dns-only dig +time=10 +tries=1 evil.example)
has "dns-only: another name" "$out" 'REFUSED'
out=$(example dns-only curl -sSkm60 https://api.openai.com/plain)
hasnt "dns-only: no connection" "$out" '^ok'

out=$(example package-registry curl -sSm60 https://registry.npmjs.org/left-pad)
has "package-registry: GET" "$out" '^pass'
out=$(example package-registry curl -sSm60 -X PUT https://registry.npmjs.org/left-pad -d '{}')
has "package-registry: PUT is refused" "$out" "$(reason http-denied)"

tap_done
