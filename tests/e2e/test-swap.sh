#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Another policy while flows are open: what it does not allow ends now, what it allows goes on, and a
# policy that is not valid changes nothing.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

LIVE=203.0.113.86 POLICY=$WORLD/conf/swap.yaml
for name in live.test pin.test gone.test lost.test read.test; do world_name $name $LIVE; done
world_cert live live.test pin.test gone.test lost.test read.test
world_nginx live <<-END
	access_log off;
	server {
		listen $LIVE:443 ssl http2;
		ssl_certificate $WORLD/tls/live.pem; ssl_certificate_key $WORLD/tls/live.key;
		location / { proxy_pass http://127.0.0.1:9086; proxy_http_version 1.1; proxy_buffering off; }
	}
END
world_daemon origin-live python3 "$TOP/tests/lib/live_origin.py" 127.0.0.1:9086 $LIVE:8080
world_wait 60 curl -fsm 10 https://live.test/short && world_wait 60 nc -z $LIVE 8080

# The policy has a way for everything twice: "keep" in both, "gone" in the first only.
http_rules() { # INDENT PATH…
	local p
	for p in "${@:2}"; do printf '%s- {method: GET, path: "%s"}\n' "$1" "$p"; done
}

policy() { # NAME READ-NAMES PATHS CIDR PASSED-NAMES: to stdout
	cat <<-END
		apiVersion: cilium.io/v2
		kind: CiliumNetworkPolicy
		metadata: {name: swap-$1}
		spec:
		  endpointSelector: {}
		  egress:
		  - toFQDNs: [$2]
		    toPorts:
		    - ports: [{port: "443", protocol: TCP}]
		      rules:
		        http:
	END
	# shellcheck disable=SC2086
	http_rules "        " $3
	cat <<-END
		  - toCIDR: [$LIVE/32]
		    toPorts:
		    - ports: [{port: "8080", protocol: TCP}]
		      rules:
		        http:
	END
	# shellcheck disable=SC2086
	http_rules "        " $3
	cat <<-END
		  - toFQDNs: [$5]
		    toPorts:
		    - ports: [{port: "443", protocol: TCP}]
		  - toCIDR: [$4]
		    toPorts:
		    - ports: [{port: "7777", protocol: ANY}]
	END
}

name() { printf '{matchName: %s}' "$1"; }
before() {
	policy before "$(name live.test), $(name lost.test)" "/keep /gone /short /short-keep" $ECHO4/32 \
		"$(name pin.test), $(name gone.test), $(name read.test)"
}
after() {
	policy after "$(name live.test), $(name read.test)" "/keep /short-keep /short-wide" 203.0.113.51/32 "$(name pin.test)"
}

put() { # by rename, as careful writers do
	cat >"$POLICY.new" && mv "$POLICY.new" "$POLICY"
}

out=$WORLD/tmp/swap.out err=$WORLD/tmp/swap.err
start() { # [RUN-OPTION…] -- COMMAND…
	: >"$WORLD/log/audit"
	: >"$out"
	"$EXEAT" run -p "$POLICY" --watch --log "$WORLD/log/audit" "$@" >"$out" 2>"$err" &
	job=$!
}
stop() {
	kill "$job" 2>/dev/null
	wait "$job" 2>/dev/null
}
is() { grep -qE -- "^$1\$" "$out"; }
ends() { # DESCRIPTION NAME HOW
	world_wait 60 grep -qE "^$2 ($3)\$" "$out"
	has "$1" "$(grep "^$2 [a-zA-Z4]" "$out")" "^$2 ($3)\$"
}
moved_on() { # NAME
	last=$(grep -E "^$1 [0-9.]+\$" "$out" | tail -n1 | cut -d' ' -f2)
	awk -v a="${last:-0}" -v b="$swapped" 'BEGIN {exit !(a > b + 0.8)}'
}
goes_on() { # DESCRIPTION NAME: it moved well after the swap
	local last
	if world_wait 60 moved_on "$2" && ! is "$2 (reset|eof|cut|[A-Z].*)"; then
		tap_ok "$1"
	else
		tap_not_ok "$1" "last seen at ${last:-never}, swapped at $swapped" "$(grep "^$2 " "$out" | tail -n 3)"
	fi
}
swap() { # the policy from stdin; until it is said to be in force
	local n
	n=$(grep -c 'in force' "$err")
	put
	world_wait 60 sh -c "[ \"\$(grep -c 'in force' '$err')\" -gt $n ]"
	swapped=$EPOCHREALTIME
}

# ---- everything open at once ----

all="h1-keep=https://live.test/keep h1-gone=https://live.test/gone
	plain-keep=http://$LIVE:8080/keep plain-gone=http://$LIVE:8080/gone
	ws-keep=ws://$LIVE:8080/keep ws-gone=ws://$LIVE:8080/gone
	pass-keep=https://pin.test/keep pass-gone=https://gone.test/gone pass-read=https://read.test/keep
	tcp-gone=tcp://$ECHO4:7777 udp-gone=udp://$ECHO4:7777
	idle-keep=idle://live.test/short-keep idle-gone=idle://gone.test/short
	idle-lost=idle://lost.test/short"
for workers in 1 3; do
	before | put
	# shellcheck disable=SC2086
	start --workers $workers -- bash -c '
		nghttp -v --no-dep https://live.test/keep https://live.test/gone >"$0" 2>&1 &
		exec python3 "$@"' "$WORLD/tmp/h2.out" "$CLIENTS/live.py" $all
	: >"$WORLD/tmp/h2.out"
	world_wait 60 sh -c "[ \$(grep -c ' up$' '$out') = 14 ]"
	same "$workers workers: all flows are open" "$(grep -c ' up$' "$out")" 14
	world_wait 60 sh -c "grep -q 'DATA frame.*stream_id=1>' '$WORLD/tmp/h2.out' && grep -q 'DATA frame.*stream_id=3>' '$WORLD/tmp/h2.out'"
	swap < <(after)
	w="$workers workers:"
	ends "$w a download over HTTP/1.1 inside TLS ends" h1-gone 'reset|cut'
	ends "$w one in the clear ends" plain-gone 'reset|cut'
	ends "$w a WebSocket ends" ws-gone reset
	ends "$w TLS that is passed through ends" pass-gone 'reset|cut|SSLEOFError'
	ends "$w TLS that was passed unread and has to be read now ends" pass-read 'reset|cut|SSLEOFError'
	ends "$w a TCP stream ends" tcp-gone reset
	ends "$w datagrams end" udp-gone 'ConnectionRefusedError|PermissionError|TimeoutError|OSError'
	ends "$w an idle connection that was passed ends" idle-gone 'reset|eof'
	ends "$w one that was read into ends" idle-lost eof
	sleep 1.2
	for name in h1 plain ws pass; do goes_on "$w $name that is still allowed goes on" $name-keep; done
	hasnt "$w an idle connection that is still allowed stays" "$(cat "$out")" '^idle-keep (eof|reset|[A-Z])'
	h2=$(tr '\r' '\n' <"$WORLD/tmp/h2.out" | sed 's/\x1b\[[0-9;]*m//g')
	has "$w a stream of HTTP/2 ends" "$h2" 'recv RST_STREAM.*stream_id=3>'
	hasnt "$w and not the other one of its connection" "$h2" 'RST_STREAM.*stream_id=1>|GOAWAY'
	audited "$w ends are in the audit log" '"verdict": ?"deny"' "$(reason policy-changed)" '"path": ?"/gone"'
	audited "$w with the rules of the new policy" "$(reason policy-changed)" 'swap-after'
	stop
done

# ---- what is asked anew ----

ask='ask() { curl -sk -m 60 -o /dev/null -w "$1 %{http_code}\n" "$2"; }
	await() { while [ ! -e "$1" ]; do sleep .05; done; }'
before | put
rm -f "$WORLD/tmp/go"
start -- bash -c "$ask"'
	ask before-wide https://live.test/short-wide; ask before-short https://live.test/short
	getent ahostsv4 gone.test >/dev/null && echo "before-name known"
	await "$0"
	ask after-wide https://live.test/short-wide; ask after-short https://live.test/short
	getent ahostsv4 gone.test >/dev/null || echo "after-name refused"
	curl -sk -m 60 --resolve gone.test:443:'$LIVE' https://gone.test/short; echo "after-pass $?"' "$WORLD/tmp/go"
world_wait 60 grep -q before-name "$out"
swap < <(after)
touch "$WORLD/tmp/go"
wait "$job"
has "a path that was denied" "$(cat "$out")" 'before-wide 403'
has "is allowed at once" "$(cat "$out")" 'after-wide 200'
has "one that was allowed" "$(cat "$out")" 'before-short 200'
has "is denied at once" "$(cat "$out")" 'after-short 403'
has "a name that was allowed" "$(cat "$out")" 'before-name known'
has "is refused at once" "$(cat "$out")" 'after-name refused'
hasnt "and nobody gets to the address it had" "$(cat "$out")" '^short|after-pass 0'

# ---- a policy that is not valid ----

before | put
rm -f "$WORLD"/tmp/go*
start -- bash -c "$ask"'
	ask first https://live.test/short
	await "$0.1"; ask second https://live.test/short; ask denied https://live.test/short-wide
	await "$0.2"; ask third https://live.test/short' "$WORLD/tmp/go"
world_wait 60 grep -q first "$out"
before | sed 's/matchName/matchNames/' | put
world_wait 60 grep -q 'stays in force' "$err"
has "a policy that is not valid is told about" "$(cat "$err")" 'not valid: the last valid one stays in force'
has "with file and line" "$(cat "$err")" 'swap\.yaml:[0-9]+:[0-9]+: error'
touch "$WORLD/tmp/go.1"
world_wait 60 grep -q denied "$out"
has "what was allowed still is" "$(cat "$out")" 'second 200'
has "what was denied still is" "$(cat "$out")" 'denied 403'
rm "$POLICY"
sleep 0.3
before | put
sleep 0.3
hasnt "the same policy again is no other" "$(cat "$err")" 'another policy is in force'
swap < <(after)
same "nor later" "$(grep -c 'another policy is in force' "$err")" 1
touch "$WORLD/tmp/go.2"
wait "$job"
has "a valid one is in force then" "$(cat "$out")" 'third 403'

# ---- a worker that does not follow, and one that dies ----

proxies() { pgrep -x exeat-proxy | sort; }
before | put
start --workers 2 -- sh -c 'echo up; exec sleep 600'
world_wait 60 grep -q up "$out" # each is ready when the command starts
first=$(proxies)
victim=$(head -n1 <<<"$first")
kill -STOP "$victim"
swap < <(after)
has "a worker that does not follow is told about" "$(cat "$err")" 'did not follow another policy in time'
world_wait 60 sh -c '[ $(pgrep -cx exeat-proxy) = 2 ]'
hasnt "and is no more" "$(proxies)" "^$victim\$"
has "another one is there instead" "$(proxies | wc -l)" '^2$'
stop

before | put
rm -f "$WORLD/tmp/go"
start --workers 2 -- bash -c "$ask"'
	ask first https://live.test/short
	await "$0"
	for i in $(seq 40); do ask again https://live.test/short; done' "$WORLD/tmp/go"
world_wait 60 grep -q first "$out"
first=$(proxies)
kill -KILL "$(tail -n1 <<<"$first")"
world_wait 60 sh -c '[ $(pgrep -cx exeat-proxy) = 2 ]'
touch "$WORLD/tmp/go"
wait "$job"
same "after a worker died and came back every request is answered" "$(grep -c 'again 200' "$out")" 40
has "its end is told" "$(cat "$err")" 'a proxy process ended'

tap_done
