#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Server connections that carry requests of many clients: nothing is sent twice that may not be, and
# nothing is mixed.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

ORIGIN=203.0.113.87
world_name one.reuse.test $ORIGIN
world_name two.reuse.test $ORIGIN
world_cert reuse one.reuse.test two.reuse.test
world_daemon plain python3 "$TOP/tests/lib/leaving_origin.py" "$WORLD/log/plain.seen" $ORIGIN:8080
world_daemon tls python3 "$TOP/tests/lib/leaving_origin.py" "$WORLD/log/tls.seen" $ORIGIN:443 \
	"$WORLD/tls/reuse.pem" "$WORLD/tls/reuse.key"
world_wait 60 nc -z $ORIGIN 443 && world_wait 60 nc -z $ORIGIN 8080
chmod a+r "$WORLD"/log/*.seen

run_args=(--workers 1) # which share nothing
audit_log=$WORLD/log/tls confined reuse python3 "$CLIENTS/reuse_cases.py" https "$WORLD/log/tls.seen" >"$WORLD/tmp/tls" 2>&1 &
tls=$!
tap_import "$(confined reuse python3 "$CLIENTS/reuse_cases.py" http "$WORLD/log/plain.seen" 2>&1)"
audited "a request that the server left is written down" '"verdict": ?"deny"' "$(reason upstream-protocol)" '/case/dies/pooled'
wait $tls
tap_import "$(cat "$WORLD/tmp/tls")"
unseen "nothing denied arrived" '"/other"'

tap_done
