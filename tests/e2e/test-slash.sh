#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# %2F in a path: npm asks for scoped packages with it. It passes where a rule names it, and nowhere else.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

ORIGIN=203.0.113.87
world_name npm.test $ORIGIN
world_cert npm npm.test
world_daemon npm node "$TOP/tests/lib/registry_origin.mjs" "$WORLD/log/npm.seen" $ORIGIN "$WORLD"/tls/npm.{key,pem}
world_wait 60 nc -z $ORIGIN 443
REGISTRY=https://npm.test

view() { # PACKAGE
	confined slash env npm_config_update_notifier=false npm_config_fetch_retries=0 npm_config_cache="$WORLD/tmp/npm" \
		npm view --registry $REGISTRY/ "$1" version 2>&1
}

out=$(view @good/tool)
has "npm finds a package of the scope that a rule names" "$out" '^1\.2\.3$'
seen "asked for as %2F, in upper case" '"target":"/@good%2Ftool"'
out=$(view plain)
has "and one without scope" "$out" '^1\.2\.3$'
out=$(view @evil/tool)
has "one of another scope is 403" "$out" 'E403|403'
audited "by the rules for requests" '"verdict": ?"deny"' 'evil%2Ftool' "$(reason http-denied)"

for http in --http1.1 --http2; do
	get() {
		confined slash curl -sS -m 60 $http --path-as-is -w '\n%{http_code}\n' "$REGISTRY$1"
	}
	has "$http: /@good%2ftool" "$(get /@good%2ftool)" '^200$'
	has "$http: a query may hold what it likes" "$(get '/plain?of=%2F..%2F')" '^200$'
	for path in /@good/tool /plain%2Ftool /plain/a%2Fb /@good%2Ftool%2Fmore; do
		out=$(get $path)
		has "$http: $path is no rule's" "$out" '^403$'
		has "$http: and says so" "$out" "$(reason http-denied)"
	done
	for path in /plain%2F..%2F@evil /plain/..%2f@evil /@good%2F%2E%2E /@good%2F%2Ftool /plain%252F /%2Fplain; do
		has "$http: $path is nobody's" "$(get $path)" '^400$'
	done
done
unseen "nothing refused arrived" 'evil|more|plain%|plain/|%2E|\.\.[^%]|@good/'

tap_done
