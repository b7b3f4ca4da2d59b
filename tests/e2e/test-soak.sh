#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything at once for a while: kept and fresh connections, TLS read and passed, HTTP/2, WebSocket,
# events, up- and downloads, DNS; slow readers, resets, clients and servers that are killed, a policy
# that is written again and again. Afterwards no memory, descriptor or connection is left over, the
# audit log is complete, and nothing that is denied ever arrived.
#
#   SOAK_SECONDS=1800 tests/e2e/test-soak.sh      the long form (make soak)

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up
SOAK=$TOP/tests/soak
seconds=${SOAK_SECONDS:-30}
ORIGIN=203.0.113.92
H2=203.0.113.93
PASS=203.0.113.94
world_name soak.test $ORIGIN
world_name h2.soak.test $H2
world_name pass.soak.test $PASS
world_cert soak soak.test h2.soak.test pass.soak.test
cp -r "$SOAK" "$WORLD/soak"

start_origin() {
	world_daemon soak-origin python3 "$SOAK/origin.py" "$WORLD/log/soak.seen" "$WORLD"/tls/soak.{pem,key} $ORIGIN $PASS
	world_wait 30 nc -z $PASS 443
}
start_origin
world_nginx soak-nginx <<-END
	access_log off;
	server { listen $H2:443 ssl http2; ssl_certificate $WORLD/tls/soak.pem; ssl_certificate_key $WORLD/tls/soak.key;
		location / { proxy_pass http://$ORIGIN; proxy_http_version 1.1; proxy_next_upstream off; } }
END
world_wait 30 nc -z $H2 443

cp "$SOAK/policy.yaml" "$WORLD/soak-policy.yaml"
watch=()
"$EXEAT" run --help | grep -e --watch >/dev/null && watch=(--watch)

# The client's log lies where the confined command, whoever that is, may write.
touch "$WORLD/tmp/client.seen"
chmod 666 "$WORLD/tmp/client.seen"
: >"$WORLD/log/audit"
# shellcheck disable=SC2016 # runs inside
"$EXEAT" run -q "${watch[@]}" -p "$WORLD/soak-policy.yaml" --log "$WORLD/log/audit" -- bash -c \
	'sleep 1.5; python3 "$0/client.py" "$1" "$2"; until [ -e "$3" ]; do sleep 0.1; done' \
	"$WORLD/soak" "$seconds" "$WORLD/tmp/client.seen" "$WORLD/tmp/looked-at" \
	>"$WORLD/log/client.out" 2>&1 &
run=$!
world_wait 30 pgrep -x exeat-proxy
proxy=$(pgrep -x exeat-proxy | head -n 1)

sample() {
	local p
	for p in "$proxy" $run; do
		awk '/^VmRSS/ {printf "%s ", $2}' "/proc/$p/status" 2>/dev/null || echo gone
		# the proxy keeps pipes for the next bulk, a bounded number
		find "/proc/$p/fd" -mindepth 1 ! -lname 'pipe:*' 2>/dev/null | wc -l
	done | tr '\n' ' '
	echo
}

swap() { # each time another text, every other time another meaning for what nobody asks
	sed "s|/up/\.\*|&\\n        - method: GET\\n          path: /extra/$1/.*|" "$SOAK/policy.yaml" >"$WORLD/soak-policy.new"
	mv "$WORLD/soak-policy.new" "$WORLD/soak-policy.yaml"
}

sleep 1
sample >"$WORLD/samples"
end=$((SECONDS + seconds + 4)) turn=0
while kill -0 $run 2>/dev/null && [ $SECONDS -lt $end ]; do
	sleep 1
	sample >>"$WORLD/samples"
	turn=$((turn + 1))
	[ $((turn % 11)) -ne 0 ] || { kill -KILL "$(cat "$WORLD/pid/soak-origin")"; start_origin; }
	[ $((turn % 7)) -ne 0 ] || [ ${#watch[@]} -eq 0 ] || swap $turn
done
# what the load took is given back by now: pooled connections wait for less than two seconds
world_wait 60 grep -q '^requests=' "$WORLD/log/client.out"
nobody_left() { [ -z "$(ss -Htn state established dst 203.0.113.0/24)" ]; }
world_wait 30 nobody_left
sleep 4
sample >>"$WORLD/samples"
kill -0 "$proxy" && lived=yes
left=$(ss -Htn state established dst 203.0.113.0/24)
touch "$WORLD/tmp/looked-at"
wait $run
status=$?

same "the workload came to its end" $status 0
same "and the proxy was the same one all the time" "${lived-no}" yes
same "every answer was right" "$(sed -n 's/.*wrong=//p' "$WORLD/log/client.out")" 0
hasnt "and of HTTP" "$(cat "$WORLD/log/client.out")" 'Traceback|^wrong'
same "no connection to a server is left" "$left" ""
tap_import "$(python3 "$SOAK/check.py" "$WORLD/tmp/client.seen" "$WORLD/log/audit" "$WORLD/log/soak.seen" "$WORLD/samples" 2>&1)"
sed 's/^/# /' "$WORLD/log/client.out" | tail -n 4
[ -z "${SOAK_KEEP-}" ] || cp "$WORLD"/{samples,log/audit,log/client.out,log/soak.seen,tmp/client.seen} "$SOAK_KEEP/"
tap_done
