#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# headerMatches with mismatch and secrets: what arrives at the server, over both versions of HTTP, with
# and without TLS; what the workload and the log never see.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

SECRETS=$WORLD/secrets
TOKEN=tok-not-to-be-seen-7261
mkdir -p "$SECRETS/team"
printf '%s\n' "Bearer $TOKEN" >"$SECRETS/team/token"
chmod -R go= "$SECRETS"

world_cert headers h2.headers.test h1.headers.test
for family in 4 6; do
	address=203.0.113.82
	[ $family = 4 ] || address=2001:db8:113::82
	for name in h2 h1; do
		world_name $name.headers.test $address
	done
done
# shellcheck disable=SC2016 # nginx' variables
ECHO='return 200 "auth=[$http_authorization] team=[$http_x_team] drop=[$http_x_drop] seen=[$http_x_seen]\n";'
world_nginx headers <<-END
	log_format seen 'headers "\$request" \$status';
	access_log $WORLD/log/headers.seen seen;
	ssl_certificate $WORLD/tls/headers.pem; ssl_certificate_key $WORLD/tls/headers.key;
	server { listen 203.0.113.82:80; listen [2001:db8:113::82]:80; location / { $ECHO } }
	server { listen 203.0.113.82:443 ssl http2; listen [2001:db8:113::82]:443 ssl http2; location / { $ECHO } }
END
check "the server is there" world_wait 60 nc -z 203.0.113.82 443

run() { # COMMAND…
	: >"$WORLD/log/audit"
	"$EXEAT" run -p "$POLICIES/headers.yaml" --secrets "$SECRETS" --log "$WORLD/log/audit" -q -- "$@"
}

for family in 4 6; do
	for way in "h2 --http2 https://h2.headers.test" "h1 --http1.1 https://h1.headers.test" "plain --http1.1 http://h1.headers.test"; do
		read -r what flag url <<<"$way"
		what="IPv$family $what"
		get() { run curl -$family -sS -m 60 "$flag" "$@"; }

		out=$(get -H 'Authorization: Bearer mine' -H 'X-Drop: this' -H 'X-Seen: 2' "$url/edit")
		same "$what: replaced, added, deleted, left" "$out" "auth=[Bearer $TOKEN] team=[blue] drop=[] seen=[2]"
		audited "$what: the record says so" '"verdict": ?"allow"' \
			'"detail": ?"REPLACE authorization, ADD x-team, DELETE x-drop, LOG x-seen"'
		hasnt "$what: and not the token" "$(cat "$WORLD/log/audit")" "$TOKEN|Bearer"
		out=$(get -H 'X-Team: blue' -H 'X-Drop: never' -H 'X-Seen: 1' "$url/edit")
		same "$what: what is as it should be stays" "$out" "auth=[Bearer $TOKEN] team=[blue] drop=[never] seen=[1]"
		out=$(get -H 'x_team: red' -H 'authorization_: x' "$url/edit")
		same "$what: what looks alike does not pass for it" "$out" "auth=[Bearer $TOKEN] team=[blue] drop=[] seen=[]"
		out=$(get -H 'Authorization: Bearer mine' "$url/must")
		has "$what: without mismatch a wrong secret is denied" "$out" '"http-denied"'
		hasnt "$what: and the answer does not tell it" "$out" "$TOKEN"
		out=$(get -H "Authorization: Bearer $TOKEN" "$url/must")
		same "$what: the right one is not" "$out" "auth=[Bearer $TOKEN] team=[] drop=[] seen=[]"
		out=$(get "$url/nosecret")
		has "$what: a secret that is not there matches nothing" "$out" '"http-denied"'
	done
done

for flag in --http1.1 --http2; do
	out=$(run curl -sS -m 60 $flag -H 'Host: evil.example' -w ' %{http_code}' https://h2.headers.test/edit)
	has "attack 18: $flag: another Host gets no secret" "$out" ' 421$'
	hasnt "attack 18: $flag: nor does the answer show it" "$out" "$TOKEN"
done

# Several requests of one connection are edited one by one.
out=$(run curl -4 -sS -m 60 --http1.1 https://h1.headers.test/edit -H 'X-Seen: a' --next -4 -sS -m 60 --http1.1 \
	https://h1.headers.test/edit -H 'X-Seen: b')
same "a kept connection" "$out" "auth=[Bearer $TOKEN] team=[blue] drop=[] seen=[a]
auth=[Bearer $TOKEN] team=[blue] drop=[] seen=[b]"

check "the workload cannot find the secret in its surroundings" \
	run sh -c "! grep -rqs '${TOKEN%1}[1]' /proc/self/environ /proc/self/cmdline /proc/1/environ"

# Nor is it in the command's process 1, which was forked from the one that has it.
cat >"$WORLD/tmp/memory.py" <<'END'
import re
import sys
found = 0
with open(f"/proc/{sys.argv[1]}/mem", "rb") as mem:
    for line in open(f"/proc/{sys.argv[1]}/maps"):
        low, high, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
        if mode.startswith("rw"):
            mem.seek(int(low, 16))
            found += sys.argv[2].encode() in mem.read(int(high, 16) - int(low, 16))
print("found" if found else "nothing")
END
"$EXEAT" run -p "$POLICIES/headers.yaml" --secrets "$SECRETS" -q -- sleep 300 &
job=$!
world_wait 60 sh -c "pgrep -P \$(pgrep -P $job -x exeat-init) sleep"
same "(it is in memory of exeat's)" "$(python3 "$WORLD/tmp/memory.py" $job "$TOKEN")" found
same "but not of process 1" "$(python3 "$WORLD/tmp/memory.py" "$(pgrep -P $job -x exeat-init)" "$TOKEN")" nothing
kill $job
wait $job

# Without the folder nothing matches, and it is said.
out=$("$EXEAT" run -p "$POLICIES/headers.yaml" -- curl -4 -sS -m 60 https://h2.headers.test/edit 2>&1)
has "without --secrets: denied" "$out" '"http-denied"'
has "without --secrets: a warning says why" "$out" 'there is no secret team/token'

printf 'two\nlines\n' >"$SECRETS/team/token"
out=$(run true 2>&1)
same "a secret of two lines is refused" $? 125
has "with its place" "$out" 'headers.yaml:[0-9]+:[0-9]+: error: .*secret'
hasnt "and not its text" "$out" 'two.*lines'

tap_done
