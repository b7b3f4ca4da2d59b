#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exeat learn: the policy it writes for what real clients did is valid, its fixtures hold, the same run
# passes under it, and another request does not. As EgressPolicy and as CiliumNetworkPolicy.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

L=$WORLD/tmp/learn
mkdir -p "$L"
cat >"$L/job.sh" <<'END'
set -e
curl -sSf -o /dev/null --json "$ASK" "$CHAT"
curl -sSf -o /dev/null --http1.1 'https://api.openai.com/v1/models?limit=2'
curl -sSf -o /dev/null https://api.openai.com/v1/models
for i in 1 2 3 4 5 6 7 8 9 10; do
	urls="$urls https://api.openai.com/v1/files/$((i * 17)) https://api.openai.com/v1/pkg/name-$i/meta"
done
curl -sSf $urls >/dev/null
curl -sSf -o /dev/null https://api.openai.com/v1/runs/9f1c2f4e-5c1d-4d8a-9a51-3d0f8f2b7a11/steps
curl -sSf -o /dev/null http://llm-gateway:8080/v1/chat/completions --json "$ASK"
[ "$(echo hi | socat -t20 - TCP:echo.example:7777)" = hi ]
[ "$(python3 "$CLIENTS/hello.py" udp 203.0.113.50 7777)" = hello ]
getent hosts ok.shared.test >/dev/null
END
# shellcheck disable=SC2090 # JSON, quotes and all
export ASK CHAT

learn() { # NAME [OPTION…] -- COMMAND…
	local name=$1
	shift
	"$EXEAT" learn -o "$L/$name/$name.yaml" "$@"
}
under() { # NAME COMMAND…
	local name=$1
	shift
	: >"$WORLD/log/audit"
	"$EXEAT" run -q -p "$L/$name/$name.yaml" --log "$WORLD/log/audit" -- "$@"
}

for format in egress cnp; do
	name=$format
	mkdir "$L/$name"
	check "$name: the run is not disturbed" learn "$name" --format "$format" -- bash "$L/job.sh"
	policy=$(cat "$L/$name/$name.yaml")
	check "$name: the policy is valid" "$EXEAT" policy check "$L/$name/$name.yaml"
	check "$name: its fixtures hold" "$EXEAT" policy test "$L/$name"
	check "$name: the same run passes under it" under "$name" bash "$L/job.sh"
	hasnt "$name: nothing of it was denied" "$(cat "$WORLD/log/audit")" '"deny"'
	has "$name: numbers became a class" "$policy" "path: '/v1/files/\[0-9\]\+'"
	has "$name: UUIDs too" "$policy" "path: '/v1/runs/\[0-9a-fA-F-\]\{36\}/steps'"
	has "$name: what differs in one segment is one rule" "$policy" "path: '/v1/pkg/\[\^/\]\+/meta'"
	has "$name: a query that was there and was not" "$policy" "path: '/v1/models\(\\\\\?\.\*\)\?'"
	has "$name: each rule says when and how often" "$policy" '# 10x, first at [0-9:]{8}'
	hasnt "$name: nothing wider than was seen" "$policy" 'matchPattern|toEntities: \[world|/0$'

	# What no rule allows: each by a line of its own, all in one run.
	out=$(under "$name" sh -c '
		try() { printf "%s: " "$1"; shift; curl -sSm60 "$@" 2>&1 | tr "\n" " "; echo; }
		try path https://api.openai.com/v1/secrets
		try method -X DELETE https://api.openai.com/v1/models
		try class https://api.openai.com/v1/files/abc
		try deeper https://api.openai.com/v1/files/17/content
		try query "$CHAT?x=1" --json "$ASK"
		try name https://evil.example/
		try port http://echo.example:7778/
		try metadata http://169.254.169.254/
		try address http://203.0.113.66:7777/')
	for what in path method class deeper query; do
		has "$name: another $what is denied" "$out" "^$what: .*\"code\": ?\"http-denied\""
	done
	has "$name: another name is denied" "$out" '^name: .*Could not resolve'
	for what in port metadata address; do
		has "$name: another $what is denied" "$out" "^$what: .*(Connection refused|Couldn.t connect)"
	done
done

# ---- a client that does not accept our certificates ----
mkdir "$L/pin"
cat >"$L/pin.sh" <<'END'
# Twice, two seconds apart: whose a connection is can be asked only while its program lives.
pinned() { curl -sSf --rate 30/m --cacert "$ROOT" -o /dev/null https://pass.example/ -o /dev/null https://pass.example/; }
pinned || pinned || exit 1
END
export ROOT=$WORLD/tls/root.pem
out=$(learn pin -- bash "$L/pin.sh" 2>&1)
has "a client with roots of its own is told of" "$out" 'pass.example: the client does not accept'
has "and passed by its name" "$(cat "$L/pin/pin.yaml")" 'matchName: pass.example'
has "and so is the program that used it" "$(cat "$L/pin/pin.yaml")" '# seen: curl \([1-9]'
check "its run passes" under pin bash "$L/pin.sh"
has "unread" "$(cat "$WORLD/log/audit")" '"app":"tls".*"sni":"pass.example"'
refuse "another name does not" under pin curl -sSfm20 --cacert "$ROOT" https://bench.test/
out=$(learn pin --force --passthrough pass.example -- curl -sSf -o /dev/null --cacert "$ROOT" https://pass.example/ 2>&1)
same "--passthrough spares it the first failure" $? 0

# ---- npm ----
if command -v npm >/dev/null && command -v node >/dev/null; then
	ORIGIN=203.0.113.87
	world_name npm.test $ORIGIN
	world_cert npm npm.test
	world_daemon npm node "$TOP/tests/lib/registry_origin.mjs" "$WORLD/log/npm.seen" $ORIGIN \
		"$WORLD"/tls/npm.{key,pem}
	world_wait 60 nc -z $ORIGIN 443
	mkdir "$L/npm"
	cat >"$L/npm.sh" <<-'END'
		export HOME=$(mktemp -d) npm_config_fetch_retries=0 npm_config_update_notifier=false
		export npm_config_registry=https://npm.test/
		npm view left-pad version && npm view @types/node version
		r=$?
		rm -rf "$HOME"
		exit $r
	END
	out=$(learn npm -- bash "$L/npm.sh" 2>&1)
	has "npm runs while it is learned" "$out" '1\.2\.3'
	check "npm: its fixtures hold" "$EXEAT" policy test "$L/npm/npm.test.yaml"
	hasnt "npm: the command's arguments are not in it" "$(cat "$L/npm/npm.yaml")" 'npm\.sh'
	has "npm: a scope's slash stays what it was" "$(cat "$L/npm/npm.yaml")" "@types%2[fF]node"
	out=$(under npm bash "$L/npm.sh" 2>&1)
	has "npm: the same run passes" "$out" '1\.2\.3'
	out=$(under npm npm view --registry https://npm.test/ --cache "$WORLD/tmp/npm" \
		--fetch-retries 0 evil-package version 2>&1)
	has "npm: another package does not" "$out" '403|E403|denied'
else
	tap_skip "npm" "no npm here"
fi

# ---- odds and ends ----
mkdir "$L/for"
began=$EPOCHREALTIME
learn for --for 8s -- sh -c 'curl -sS -o /dev/null https://api.openai.com/v1/models; sleep 120' >/dev/null 2>&1
at_once "--for ends the command" 60 "$began"
has "and what it did is learned" "$(cat "$L/for/for.yaml")" "path: '/v1/models'"
has "a file that is there is not overwritten" "$(learn for -- true 2>&1; echo "exit $?")" 'is there already'
mkdir "$L/nothing"
check "a command that does nothing has a policy that allows nothing" learn nothing -- true
check "which is valid" "$EXEAT" policy check "$L/nothing/nothing.yaml"
refuse "and lets nothing out" under nothing curl -sSm20 https://api.openai.com/
mkdir "$L/log"
check "a log is as good as a run" "$EXEAT" learn -o "$L/log/log.yaml" --from <("$EXEAT" run -q \
	-p "$POLICIES/world.yaml" --log /dev/fd/3 -- curl -sS -o /dev/null http://llm-gateway:8080/v1/x 3>&1 >/dev/null)
has "--name, --namespace and --label are in the policy" "$("$EXEAT" learn -o "$L/log/l2.yaml" --name n --namespace ns \
	-l app=x --from /dev/null 2>&1; cat "$L/log/l2.yaml")" "'app': 'x'"
echo "kind: x" >"$L/log/none"
for wrong in "--from $L/log/none" '--from /dev/null --for 5s' '--from /dev/null --dns 192.0.2.1' '--run x -- true' \
	'--from /dev/null --passthrough a.test' '-l a=b -l a=c --from /dev/null'; do
	# shellcheck disable=SC2086 # words
	"$EXEAT" learn -o "$L/log/wrong.yaml" $wrong 2>/dev/null
	same "learn $wrong is refused" $? 125
done
refuse "and nothing is written" test -e "$L/log/wrong.yaml"
same "the exit status is the command's" "$(learn for --force -- sh -c 'exit 7' >/dev/null 2>&1; echo $?)" 7

# ---- what was not run, and what has no room ----
mkdir "$L/typo"
same "a command that is not there is 127" "$(learn typo -- nosuchcommandhere 2>/dev/null; echo $?)" 127
refuse "and leaves no policy in the way of the next try" ls "$L/typo/typo.yaml" "$L/typo/typo.test.yaml"
mkdir "$L/full"
mount -t tmpfs -o size=8k tmpfs "$L/full"
head -c 8192 /dev/zero >"$L/full/fill" 2>/dev/null
has "a full disk is called one" "$(learn full -- true 2>&1)" 'full.yaml: No space left'
umount "$L/full"
# a log that was cut off, or written by hand
printf '%s' '{"time":"2026-11-22T17:00:00.123Z","type":"verdict","seq":1,"verdict":"allow","app":"l4","proto":"tcp","dst":"203.0.113.5","dport":22}' \
	>"$L/log/cut"
check "a last line without an end is a record, too" "$EXEAT" learn -o "$L/log/l3.yaml" --from "$L/log/cut"
has "and learned" "$(cat "$L/log/l3.yaml")" '203\.0\.113\.5/32'

# ---- it denies nothing: so nothing of it outlives it, and it is not ended by what it runs ----
mkdir "$L/end"
learn end -- sh -c 'while :; do echo x >>"$0"; sleep 0.05; done' "$L/end/alive" >/dev/null 2>&1 &
pid=$!
world_wait 60 test -s "$L/end/alive"
kill -KILL "$(pgrep -o -f "^$EXEAT learn -o $L/end/")"
ended() { ! pgrep -f "$L/end/alive"; }
check "exeat learn killed: so is what it ran" world_wait 60 ended
wait $pid
on_terminal() { # KEY COMMAND…: of sh
	python3 "$CLIENTS/keys.py" "$1" "$EXEAT" learn --force -o "$L/end/end.yaml" -- sh -c "$2" 2>&1
}
get='curl -sS -o /dev/null https://api.openai.com/v1/models'
for key in '3 INT' '28 QUIT'; do
	rm -f "$L"/end/*.yaml
	out=$(on_terminal "${key% *}" "trap 'echo got-it' ${key#* }; $get; echo ready; sleep 20; sleep 2; exit 5")
	has "on a terminal ${key#* } is the command's" "$out" 'got-it'
	has "alone" "$out" 'status 5'
	has "and what it did is learned" "$(cat "$L/end/end.yaml")" "path: '/v1/models'"
done
rm -f "$L"/end/*.yaml
out=$(on_terminal 0 "$get; sleep 1; kill -KILL 0")
has "110: root in the command does not end exeat learn by its process group" "$out" 'status 137'
has "110: what it did is learned" "$(cat "$L/end/end.yaml")" "path: '/v1/models'"

# ---- what only a rule that names it lets pass ----

mkdir "$L/copy"
check "a copy passes while learning" learn copy -- curl -sSf -o /dev/null -H "X-Amz-Copy-Source: /a/b" https://api.openai.com/v1/models \
	--next -sSf -o /dev/null -H "Helicone-Target-URL: https://a.test" https://api.openai.com/v1/models
under copy curl -sS -o "$L/copied" -H 'X-Amz-Copy-Source: /a/b' https://api.openai.com/v1/models
has "and is for whoever writes the policy to allow" "$(cat "$L/copied")" "$(reason http-denied)"

tap_done
