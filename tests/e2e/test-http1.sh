#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 as its clients and servers expect it, through exeat.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

ORIGIN=203.0.113.81
world_daemon scripted python3 "$TOP/tests/lib/scripted_origin.py" "$WORLD/log/scripted.jsonl" $ORIGIN:8080
world_wait 60 ip netns exec net bash -c "exec 3<>/dev/tcp/$ORIGIN/8080"

tap_import "$(confined smuggling python3 "$CLIENTS/http1_cases.py" $ORIGIN 8080 2>&1)"

out=$(confined smuggling curl -sS -w '%{http_code}' -H 'Expect: 100-continue' --data-binary @/bin/bash \
	"http://$ORIGIN:8080/case/echo" 2>&1)
has "curl's own 100-continue works" "$out" "POST $(stat -Lc %s /bin/bash) 0200"

# ---- bodies that move without being read: every byte, and the next request on the connection ----

BULK=203.0.113.82
mkdir -p "$WORLD/bulk/case"
chmod 777 "$WORLD/bulk/case"
head -c 40000000 /dev/urandom >"$WORLD/bulk/case/down"
cp "$WORLD/bulk/case/down" "$WORLD/tmp/up"
world_nginx bulk <<-END
	access_log off; client_max_body_size 0; root $WORLD/bulk;
	server { listen $BULK:8080; location /case/ { dav_methods PUT; } }
END
world_wait 60 ip netns exec net bash -c "exec 3<>/dev/tcp/$BULK/8080"
sum() { sha256sum <"$1"; }
down=http://$BULK:8080/case/down
out=$(confined smuggling bash -c "curl -sS $down | sha256sum; curl -sS --limit-rate 20M $down | sha256sum")
same "a large download arrives whole, also for a slow reader" "$out" \
	"$(sum "$WORLD/bulk/case/down")"$'\n'"$(sum "$WORLD/bulk/case/down")"
out=$(confined smuggling curl -sS -o /dev/null -o /dev/null -w '%{http_code} %{num_connects} %{size_download}\n' \
	-T "$WORLD/tmp/up" "http://$BULK:8080/case/up" --next -sS -o /dev/null \
	-w '%{http_code} %{num_connects} %{size_download}\n' $down)
same "the request behind a large upload is read as one" "$out" $'201 1 0\n200 0 40000000'
same "a large upload arrives whole" "$(sum "$WORLD/bulk/case/up")" "$(sum "$WORLD/tmp/up")"
out=$(confined smuggling bash -c "curl -sS -o /dev/null $down -w '%{http_code} '  --next -sS -o /dev/null \
	-w '%{http_code}' -X DELETE http://$BULK:8080/case/down")
same "the request behind a large download is judged" "$out" "200 403"

tap_done
