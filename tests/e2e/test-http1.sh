#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 as its clients and servers expect it, through exeat.

# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

ORIGIN=203.0.113.81
world_daemon scripted python3 "$TOP/tests/lib/scripted_origin.py" "$WORLD/log/scripted.jsonl" $ORIGIN:8080
world_wait 10 ip netns exec net bash -c "exec 3<>/dev/tcp/$ORIGIN/8080"

tap_import "$(confined smuggling python3 "$CLIENTS/http1_cases.py" $ORIGIN 8080 2>&1)"

out=$(confined smuggling curl -sS -w '%{http_code}' -H 'Expect: 100-continue' --data-binary @/bin/bash \
	"http://$ORIGIN:8080/case/echo" 2>&1)
has "curl's own 100-continue works" "$out" "POST $(stat -Lc %s /bin/bash) 0200"

tap_done
