#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Differential: ambiguous requests through exeat to three origins that read HTTP differently. Each
# must have seen exactly the requests that exeat judged (attacks 6, 7, 9, 19, 20, 29, 30, 34, 38).

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

PLAIN=203.0.113.81 NODE=203.0.113.82 NGINX=203.0.113.83

world_nginx smuggle-nginx <<-END
	log_format seen escape=json '{"method":"\$request_method","target":"\$request_uri",'
		'"host":"\$http_host","length":\$request_length,"status":\$status}';
	merge_slashes off; server_tokens off; keepalive_requests 1000000;
	ignore_invalid_headers off; underscores_in_headers on;
	server {
		listen $NGINX:8080;
		access_log $WORLD/log/nginx-smuggle.jsonl seen;
		# passed on, so that bodies are read to their end before the line is written
		location / { proxy_pass http://unix:$WORLD/tmp/ok.sock; add_header X-Seen "\$request_method \$request_uri" always; }
	}
	server { listen unix:$WORLD/tmp/ok.sock; access_log off; location / { return 200 "ok"; } }
END
world_daemon smuggle-plain python3 "$TOP/tests/lib/plain_origin.py" "$WORLD/log/plain.jsonl" $PLAIN:8080
world_daemon smuggle-node node --insecure-http-parser "$TOP/tests/lib/node_origin.js" \
	"$WORLD/log/node.jsonl" $NODE 8080
for address in $PLAIN $NODE $NGINX; do
	world_wait 60 ip netns exec net bash -c "exec 3<>/dev/tcp/$address/8080"
done
touch "$WORLD"/log/{plain,node}.jsonl
: >"$WORLD/log/nginx-smuggle.jsonl"

: >"$WORLD/log/all"
for address in $PLAIN $NODE $NGINX; do
	tap_import "$(confined smuggling python3 "$CLIENTS/smuggle.py" send "$address" 8080 2>&1)"
	cat "$WORLD/log/audit" >>"$WORLD/log/all"
done
tap_import "$(python3 "$CLIENTS/smuggle.py" check "$WORLD/log/all" "$WORLD/log/plain.jsonl" \
	"$WORLD/log/node.jsonl" "$WORLD/log/nginx-smuggle.jsonl" 2>&1)"

# The same origins behind TLS, to which HTTP/2 has to be translated.
: >"$WORLD/log/all"
: >"$WORLD/log/nginx-smuggle.jsonl"
: >"$WORLD/log/plain.jsonl"
: >"$WORLD/log/node.jsonl"
world_cert smuggle plain.test node.test nginx.test
for origin in plain:$PLAIN node:$NODE nginx:$NGINX; do
	name=${origin%%:*} address=${origin#*:}
	world_name "$name.test" "$address"
	world_daemon "tls-$name" socat "OPENSSL-LISTEN:443,bind=$address,fork,reuseaddr,backlog=128,cert=$WORLD/tls/smuggle.pem,key=$WORLD/tls/smuggle.key,verify=0" \
		"TCP:$address:8080"
	world_wait 60 nc -z "$address" 443
	tap_import "$(confined h2-h1 /usr/bin/python3 "$CLIENTS/smuggle_h2.py" send "$name.test" "$address" 2>&1)"
	cat "$WORLD/log/audit" >>"$WORLD/log/all"
done
tap_import "$(/usr/bin/python3 "$CLIENTS/smuggle_h2.py" check "$WORLD/log/all" "$WORLD/log/plain.jsonl" \
	"$WORLD/log/node.jsonl" "$WORLD/log/nginx-smuggle.jsonl" 2>&1)"

tap_done
