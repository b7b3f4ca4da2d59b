#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Hostile clients of an allowed server: floods of HTTP/2, and requests that act on more than they
# name (attacks 34, 36, 38).

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

NGINX=203.0.113.84 SCRIPTED=203.0.113.85
world_name hostile.test $NGINX
world_cert hostile hostile.test
mkdir -p "$WORLD/hostile/case" "$WORLD/hostile/shut"
echo honest >"$WORLD/hostile/case/honest"
echo open >"$WORLD/hostile/case/open"
echo secret >"$WORLD/hostile/shut/secret"
head -c 20000000 /dev/zero >"$WORLD/hostile/case/large"
chmod -R a+rwX "$WORLD/hostile"
world_nginx hostile <<-END
	log_format seen '\$request_method \$request_uri destination=\$http_destination host=\$host '
		'source=\$http_x_amz_copy_source\$http_x_ms_copy_source\$http_x_container_sync_to\$http_upload_concat op=\$http_x_op '
		'other=\$http_proxy\$http_x_envoy_original_dst_host\$http_x_accel_mapping\$http_x_original_url.';
	access_log $WORLD/log/hostile.seen seen;
	keepalive_requests 1000000; root $WORLD/hostile;
	server {
		listen $NGINX:443 ssl http2; listen $NGINX:80;
		ssl_certificate $WORLD/tls/hostile.pem; ssl_certificate_key $WORLD/tls/hostile.key;
		location / { dav_methods PUT DELETE MKCOL COPY MOVE; create_full_put_path on; dav_access all:rw; }
		location = /case/flood { return 200 "flood\n"; }
	}
END
world_wait 60 nc -z $NGINX 443 && world_wait 60 nc -z $NGINX 80

# ---- floods ----

# The most memory that a proxy of the run had, in KiB.
watch_memory() { # PID of the subshell that runs it
	local top=0 pid kib run
	while kill -0 "$1" 2>/dev/null; do
		run=$(pgrep -P "$1" | head -n 1)
		for pid in $(pgrep -P "${run:-0}"); do
			kib=$(awk '/^VmHWM/ {print $2}' "/proc/$pid/status" 2>/dev/null)
			[ "${kib:-0}" -le "$top" ] || top=$kib
		done
		sleep 0.3
	done
	echo "$top"
}

confined hostile /usr/bin/python3 "$CLIENTS/floods.py" hostile.test >"$WORLD/tmp/floods" 2>&1 &
flooding=$!
top=$(watch_memory $flooding)
check "the run of the floods ends as its client does" wait $flooding
tap_import "$(cat "$WORLD/tmp/floods")"
asked=$(grep -cE '"verdict": ?"allow".*"/case/flood"' "$WORLD/log/audit")
arrived=$(grep -c ' /case/flood ' "$WORLD/log/hostile.seen")
check "no more arrived of the floods than was allowed ($arrived of $asked)" test "$arrived" -le "$asked"
check "and few of the 80000 streams were looked at" test "$asked" -lt 4000
ldd "$EXEAT" | grep libasan >/dev/null || # which keeps what was freed
	check "no process of the run needed much memory ($top KiB)" test "$top" -gt 1000 -a "$top" -lt 100000

# ---- COPY and MOVE act on two paths: both are judged ----

W='%{http_code}'
ask() { # VERSION METHOD PATH DESTINATION [HOST]
	confined hostile curl -sS -m 60 "--http$1" -X "$2" -H "Destination: $4" -w "\n$W" "https://hostile.test$3" 2>&1
}
for version in 1.1 2; do
	name=h${version%.1}
	out=$(ask $version COPY /case/open "https://hostile.test/case/$name")
	has "HTTP/$version: a copy within what is allowed" "$out" '^20[14]$'
	same "HTTP/$version: is made" "$(cat "$WORLD/hostile/case/$name")" open
	for to in "https://hostile.test/shut/$name" "/shut/$name"; do
		out=$(ask $version COPY /case/open "$to")
		has "HTTP/$version: a copy to $to is denied" "$out" "$(reason http-denied)"
		has "and the answer says what rule is missing" "$out" "add: - .*COPY.*'/case/open\|/shut/$name'"
	done
	out=$(ask $version COPY /shut/secret "https://hostile.test/case/stolen")
	has "HTTP/$version: nor is one made from there" "$out" "$(reason http-denied)"
	out=$(ask $version MOVE /case/open "https://hostile.test/shut/$name")
	has "HTTP/$version: a move is no other way" "$out" "$(reason http-denied)"
	for to in "https://hostile.test/case/../shut/$name" "https://hostile.test/case/%2e%2e/shut/$name" \
		"//hostile.test/shut/$name" "https://other.test/case/$name" "https://hostile.test:444/case/$name" "../shut/$name"; do
		out=$(ask $version COPY /case/open "$to")
		has "HTTP/$version: a destination that has another reading: $to" "$out" "$(reason http-malformed)"
	done
	out=$(confined hostile curl -sS -m 60 "--http$version" -X COPY -H "Destination: /case/two" -H "DESTINATION: /shut/two" \
		-w "\n$W" https://hostile.test/case/open 2>&1)
	has "HTTP/$version: two destinations" "$out" "$(reason http-malformed)"
done
unseen "nothing of it arrived" 'destination=[^ ]*(shut|\.\.|other|444)'
same "nothing is where it may not be" "$(cd "$WORLD/hostile" && echo shut/* case/*)" \
	"shut/secret case/h1 case/h2 case/honest case/large case/open"

# ---- a field that names another object: the rule has to name the field ----

put() { # VERSION PATH FIELD...
	local version=$1 path=$2 fields=()
	shift 2
	for field; do fields+=(-H "$field"); done
	confined hostile curl -sS -m 60 "--http$version" -X PUT -d x "${fields[@]}" -w "\n$W" "https://hostile.test$path" 2>&1
}
for version in 1.1 2; do
	out=$(put $version "/case/copied-$version" "X-Amz-Copy-Source: /shut/allowed")
	has "HTTP/$version: a rule names the field" "$out" '^20[14]$'
	for field in "X-Amz-Copy-Source: /shut/secret" "x_amz_copy_source: /shut/secret" "X-MS-Copy-Source: https://evil.test/" \
		"X-Container-Sync-To: https://evil.test/" "Upload-Concat: final;/shut/secret"; do
		out=$(put $version /case/plain "$field")
		has "HTTP/$version: none does for a path, $field" "$out" "$(reason http-denied)"
		has "and the answer says what is missing" "$out" 'has to be named by the rule'
		has "and the rule to write" "$out" "remedy.*\.rules\.http add: - .*path: '/case/plain', headers: .*[Cc]"
		audited "and so does the record" '"deny"' '"/case/plain"' 'has to be named by the rule'
	done
	out=$(put $version /case/copied "X-Amz-Copy-Source: /a" "X-MS-Copy-Source: https://evil.test/")
	has "HTTP/$version: each has to be named" "$out" "$(reason http-denied)"
done
unseen "none of them arrived" 'source=.*(secret|evil)'
seen "but for the one that is named" 'source=/shut/allowed'
rm -f "$WORLD"/hostile/case/copied-*

# ---- a deny is met by every reading ----

for version in 1.1 2; do
	for path in /case/denied "/case/denied;x" "/case/denied?x" "/case/denied%3Bx" "/case/denied%3Fx" "/case;x/denied" \
		/case/x:erase /case/x%3Aerase "/case/x%3aerase;y?z"; do
		out=$(put $version "$path")
		has "HTTP/$version: $path is denied" "$out" "$(reason policy-deny)"
	done
	out=$(put $version /case/op "X-Op: get" "X-Op: delete")
	has "HTTP/$version: one of two fields is denied" "$out" "$(reason policy-deny)"
	out=$(put $version /case/op "X-Op: get, delete")
	has "HTTP/$version: one of two values is denied" "$out" "$(reason policy-deny)"
	out=$(put $version /case/op "X_Op: delete")
	has "HTTP/$version: a field that is spelled otherwise is denied" "$out" "$(reason policy-deny)"
	out=$(put $version /case/op "Host: hostile.test:443" "X-Op: delete")
	has "HTTP/$version: a host with its port is denied" "$out" "$(reason policy-deny)"
	out=$(put $version /case/op "X-Op: get" "Proxy: evil" "X-Envoy-Original-Dst-Host: evil" "X-Accel-Mapping: evil" "X-Original-URL: evil")
	has "HTTP/$version: what is not denied passes" "$out" '^20[14]$'
done
unseen "nothing of it arrived" '/case.*(denied|erase)|op=[^ ]*delete|other=.*evil'
seen "but for what is allowed" '/case/op .*op=get other=-*\.$'
rm -f "$WORLD/hostile/case/op"

# ---- an allow is met by every reading ----

for version in 1.1 2; do
	out=$(put $version "/verb;v1/a.txt")
	has "HTTP/$version: what the rule says passes" "$out" '^20[14]$'
	for path in "/verb;v1/a%3Ab.txt" "/verb;v1/a%3ab.txt" "/verb;v1/a;.txt" "/verb;v1/a%3B.txt" "/verb;v1/a%3F.txt" \
		"/verb;v1/a%23.txt" "/verb;v1/a%2F.txt"; do
		out=$(put $version "$path")
		has "HTTP/$version: $path is denied" "$out" "$(reason http-denied)"
	done
done
for path in "/case/..%3F" "/case/sub/..%23x"; do # what unescapes it, and has it split again, climbs
	for version in 1.1 2; do
		has "HTTP/$version: $path is refused" "$(put $version "$path")" "$(reason http-malformed)"
	done
done
unseen "nothing of it arrived" '/verb;v1/a[^.]|/case/.*\.\.'
rm -rf "$WORLD/hostile/verb;v1"

# ---- who else the server is to be ----

for host in HOSTILE.test hostile.test. hostile.test:443 Hostile.Test.:443; do
	out=$(confined hostile curl -sS -m 60 --http1.1 -H "Host: $host" -w "$W" https://hostile.test/case/honest 2>&1)
	has "Host: $host is the same" "$out" '^200$'
done
same "and arrives in one spelling" "$(grep -o 'host=[^ ]*' "$WORLD/log/hostile.seen" | sort -u)" host=hostile.test
for host in hostile.test:0443 hostile.test:80 hostile.test.. hostile.test:443:443 x@hostile.test hostile.test,evil.test 203.0.113.84; do
	out=$(confined hostile curl -sS -m 60 --http1.1 -H "Host: $host" -w "$W" https://hostile.test/case/honest 2>&1)
	has "Host: $host is not" "$out" '^(400|421)$'
done

# ---- a server that says it switches, and does not: what follows would pass unread ----

world_daemon scripted python3 "$TOP/tests/lib/scripted_origin.py" "$WORLD/log/scripted.seen" $SCRIPTED:8080
world_wait 60 nc -z $SCRIPTED 8080
tap_import "$(confined hostile python3 "$CLIENTS/switching.py" $SCRIPTED 8080 2>&1)"
audited "a switch that was not made is written down" '"deny"' "$(reason upstream-protocol)" '/case/101-'
unseen "what followed it did not arrive" '"/smuggled"'

tap_done
