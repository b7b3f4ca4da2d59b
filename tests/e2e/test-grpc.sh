#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gRPC by npm @grpc/grpc-js: HTTP/2 from end to end, each call judged by its path.

. "$(dirname "$0")/../lib/e2e.sh"
npm_packages
world_enter "$@"
world_up
need_npm "gRPC"

ORIGIN=203.0.113.85
world_name grpc.test $ORIGIN
world_cert grpc grpc.test
world_daemon grpc node "$TOP/tests/lib/grpc_origin.mjs" "$WORLD/log/grpc.seen" $ORIGIN:443 "$WORLD"/tls/grpc.{key,pem}
world_wait 60 nc -z $ORIGIN 443
: >"$WORLD/log/grpc.seen"

# Without the variable that would add our CA to node's own roots.
tap_import "$(confined grpc env -u NODE_EXTRA_CA_CERTS node "$CLIENTS/grpc.mjs" grpc.test:443 2>&1)"
audited "an allowed call is in the audit log" '"verdict": ?"allow"' '"path": ?"/talk.Talk/Say"'
audited "so is a denied one" '"verdict": ?"deny"' '"path": ?"/talk.Talk/Drop"' "$(reason http-denied)"
seen "allowed calls arrived" '^/talk.Talk/Echo$'
unseen "denied ones did not" 'Drop|Say/|Listen'

tap_done
