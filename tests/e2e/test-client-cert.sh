#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Client certificates to servers by rule (originatingTLS), against nginx that insists on one; roots of
# a rule's own; and where the private key is not.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

BANK=203.0.113.87 OWN=203.0.113.88 ONLY=203.0.113.89 POLICY=$WORLD/conf/bank.yaml SECRETS=$WORLD/secrets
world_name bank.rebind.test $BANK
world_name own.rebind.test $OWN
world_name only.rebind.test $ONLY
world_cert only only.rebind.test

# ---- certificates: two clients' (ECDSA, RSA with an intermediate CA), and a server's own CA ----
authority() { # NAME
	openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
		-addext basicConstraints=critical,CA:TRUE -keyout "$WORLD/tls/$1.key" -out "$WORLD/tls/$1.pem" 2>/dev/null
}
sign() { # BY NAME EXTENSIONS OPENSSL-REQ-OPTION…
	openssl req -new -nodes -subj "/CN=$2" -keyout "$WORLD/tls/$2.key" -out "$WORLD/tls/$2.csr" "${@:4}" 2>/dev/null
	openssl x509 -req -in "$WORLD/tls/$2.csr" -CA "$WORLD/tls/$1.pem" -CAkey "$WORLD/tls/$1.key" -days "${days:-30}" \
		-extfile <(printf '%s\n' "$3") -out "$WORLD/tls/$2.pem" 2>/dev/null
}
authority bank-clients
authority own-ca
sign bank-clients card-ec extendedKeyUsage=clientAuth -newkey ec -pkeyopt ec_paramgen_curve:P-256
sign bank-clients branch basicConstraints=critical,CA:TRUE -newkey ec -pkeyopt ec_paramgen_curve:P-256
sign branch card-rsa extendedKeyUsage=clientAuth -newkey rsa:2048
sign own-ca own subjectAltName=DNS:own.rebind.test -newkey ec -pkeyopt ec_paramgen_curve:P-256
days=-1 sign bank-clients card-old extendedKeyUsage=clientAuth -newkey ec -pkeyopt ec_paramgen_curve:P-256
secret() { # NAMESPACE/NAME CERTIFICATE CHAIN…: as Kubernetes mounts it
	mkdir -p "$SECRETS/$1/..data"
	cat "$WORLD/tls/$2.pem" "${@:3}" >"$SECRETS/$1/..data/tls.crt"
	cp "$WORLD/tls/$2.key" "$SECRETS/$1/..data/tls.key"
	ln -sf ..data/tls.crt ..data/tls.key "$SECRETS/$1/"
}
secret shop/ec card-ec
secret shop/rsa card-rsa "$WORLD/tls/branch.pem"
secret shop/old card-old
secret shop/crossed card-ec
cp "$WORLD/tls/card-rsa.key" "$SECRETS/shop/crossed/tls.key"
mkdir -p "$SECRETS/shop/own-ca" "$SECRETS/shop/half"
cp "$WORLD/tls/own-ca.pem" "$SECRETS/shop/own-ca/ca.crt"
cp "$WORLD/tls/card-ec.pem" "$SECRETS/shop/half/tls.crt"
chmod -R go= "$SECRETS"

world_nginx bank <<-END
	log_format seen '\$request_uri \$server_protocol client=\$ssl_client_s_dn verify=\$ssl_client_verify '
		'connection=\$connection reused=\$ssl_session_reused tls=\$ssl_protocol status=\$status';
	access_log $WORLD/log/bank.seen seen;
	ssl_session_tickets on; ssl_session_cache shared:s:1m;
	server {
		listen $BANK:443 ssl http2; listen $BANK:8443 ssl http2;
		ssl_certificate $WORLD/tls/site.pem; ssl_certificate_key $WORLD/tls/site.key;
		ssl_client_certificate $WORLD/tls/bank-clients.pem; ssl_verify_client on; ssl_verify_depth 3;
		location /live { proxy_pass http://127.0.0.1:9087; proxy_http_version 1.1; proxy_buffering off; }
		location / { return 200 "welcome \$ssl_client_s_dn\n"; }
	}
	server {
		listen $OWN:443 ssl http2;
		ssl_certificate $WORLD/tls/own.pem; ssl_certificate_key $WORLD/tls/own.key;
		location / { return 200 "own\n"; }
	}
END
world_daemon origin-live python3 "$TOP/tests/lib/live_origin.py" 127.0.0.1:9087
world_daemon only node "$TOP/tests/lib/h2_origin.mjs" "$WORLD/log/only.seen" $ONLY 443 \
	"$WORLD/tls/only.key" "$WORLD/tls/only.pem" "$WORLD/tls/bank-clients.pem"
world_wait 60 nc -z $BANK 443
world_wait 60 nc -z $ONLY 443

rule() { # HOST PATH [SECRET]
	cat <<-END
		  - toFQDNs: [{matchName: $1}]
		    toPorts:
		    - ports: [{port: "443", protocol: TCP}, {port: "8443", protocol: TCP}]
		      rules: {http: [{path: "$2"}]}
	END
	[ -z "${3-}" ] || echo "      originatingTLS: {secret: {namespace: shop, name: $3}}"
}
head_of() {
	printf 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: bank, namespace: shop}\n'
	printf 'spec:\n  endpointSelector: {}\n  egress:\n'
}
policy() { # ADMIN-SECRET: to stdout
	head_of
	rule bank.rebind.test '/admin.*' "$1"
	rule bank.rebind.test '/live.*' "$1"
	rule bank.rebind.test '/rsa.*' rsa
	rule bank.rebind.test '/public.*'
	rule bank.rebind.test '/distrust.*' own-ca
	rule own.rebind.test '/mine.*' own-ca
	rule own.rebind.test '/usual.*'
	rule only.rebind.test '/admin.*' "$1"
	rule only.rebind.test '/rsa.*' rsa
	rule only.rebind.test '/public.*'
}
policy ec >"$POLICY"
bank() { # COMMAND…
	: >"$WORLD/log/audit"
	: >"$WORLD/log/bank.seen"
	"$EXEAT" run "${run_args[@]}" -p "$POLICY" --secrets "$SECRETS" --log "$WORLD/log/audit" -q -- "$@"
}
bank_saw() { # DESCRIPTION REGEX
	world_wait 60 grep -qE -- "$2" "$WORLD/log/bank.seen"
	has "$1" "$(cat "$WORLD/log/bank.seen")" "$2"
}
bank_saw_all() { # HOW-MANY: nginx writes its line behind the answer
	world_wait 60 eval '[ "$(wc -l <"$WORLD/log/bank.seen")" -ge '"$1"' ]'
}
ask() { # CURL-OPTION… URL…: status and answer of each
	bank curl -sS -m 60 -w '%{http_code}\n' "$@" 2>&1
}

# ---- what a client sees, in both versions of HTTP ----
for http in http1.1 http2; do
	out=$(ask --$http https://bank.rebind.test/admin/a)
	has "$http: the server knows the workload by its certificate" "$out" 'welcome CN ?= ?card-ec'
	has "$http: the request is answered" "$out" '^200'
	audited "$http: the record names the secret" '"path": ?"/admin/a"' 'certificate shop/ec'
	hasnt "$http: and holds none" "$(cat "$WORLD/log/audit")" 'BEGIN|PRIVATE'
	out=$(ask --$http https://bank.rebind.test/rsa)
	has "$http: with RSA, and a CA in between" "$out" 'welcome CN ?= ?card-rsa'
	out=$(ask --$http https://bank.rebind.test/public)
	has "$http: a request of another rule comes without one" "$out" '400 No required SSL certificate'
	bank_saw "$http: as the server says, too" '^/public .* client=- verify=NONE .* status=400'
	out=$(ask --$http https://bank.rebind.test/else)
	has "$http: what no rule allows is denied" "$out" '^403'
	hasnt "$http: and does not arrive" "$(cat "$WORLD/log/bank.seen")" /else

	# one client connection for all of them: each request as whom its own rule says
	out=$(ask --$http https://bank.rebind.test/admin/{1,2} https://bank.rebind.test/public/{1,2} \
		https://bank.rebind.test/rsa/1 https://bank.rebind.test/admin/3)
	bank_saw_all 6
	same "$http: on one connection each request has its own" \
		"$(sed -nE 's/^(\/[a-z]+)\/[0-9].* client=(CN=)?([^ ]*) verify.*/\1 \3/p' "$WORLD/log/bank.seen" | uniq -c | awk '{print $2, $3}' | paste -sd,)" \
		"/admin card-ec,/public -,/rsa card-rsa,/admin card-ec"
	hasnt "$http: nobody goes on with a session of another's" \
		"$(grep '^/\(admin\|rsa\)' "$WORLD/log/bank.seen")" 'reused=r'
	same "$http: nor with a connection" \
		"$(sed -nE 's/.* client=([^ ]*) .*(connection=[0-9]+).*/\2 \1/p' "$WORLD/log/bank.seen" | sort -u | cut -d' ' -f1 | uniq -d)" ""

	# roots of the rule's own
	out=$(ask --$http https://own.rebind.test/mine)
	has "$http: a server of its own CA is believed where the rule says so" "$out" '^200|own'
	audited "$http: and that is recorded" '"path": ?"/mine"' 'trust shop/own-ca'
	out=$(ask --$http https://own.rebind.test/usual)
	has "$http: and nowhere else" "$out" '^502'
	out=$(ask --$http -H 'Accept: application/json' https://bank.rebind.test/distrust)
	has "$http: a server that the whole world believes is not, under that rule" "$out" '^502|"status": ?502'
	has "$http: with the reason" "$out" "$(reason upstream-tls)"
	audited "$http: also in the record" "$(reason upstream-tls)" 'unable to get (local )?issuer certificate'
	unseen "$http: and no request has gone there" '^/(distrust|usual)'
done
out=$(ask --http2 -Z --parallel-immediate https://bank.rebind.test/{admin,public,rsa}/{1,2,3,4,5})
bank_saw_all 15
same "many at once, over HTTP/2: each as itself" \
	"$(sed -nE 's/^(\/[a-z]+)\/[0-9].* client=(CN=)?([^ ]*) verify.*/\1 \3/p' "$WORLD/log/bank.seen" | sort | uniq -c | awk '{print $1, $2, $3}' | paste -sd,)" \
	"5 /admin card-ec,5 /public -,5 /rsa card-rsa"

# ---- a server that speaks HTTP/2 only ----
for how in --http1.1 --http2 '--http2 -Z --parallel-immediate'; do
	: >"$WORLD/log/only.seen"
	read -ra words <<<"$how"
	out=$(ask "${words[@]}" -d hello https://only.rebind.test/{admin,public,rsa}/{1,2,3})
	same "$how, a server of HTTP/2 only: each request is answered" "$(grep -c '200$' <<<"$out")" 9
	same "$how: each as itself" \
		"$(sed -nE 's/^POST [^ ]* (\/[a-z]+).* as (.*)/\1 \2/p' "$WORLD/log/only.seen" | sort | uniq -c | awk '{print $1, $2, $3}' | paste -sd,)" \
		"3 /admin card-ec,3 /public -,3 /rsa card-rsa"
	has "$how: what no rule allows is denied" "$(ask "${words[@]}" https://only.rebind.test/else)" '^403|403$'
	hasnt "$how: and does not arrive" "$(cat "$WORLD/log/only.seen")" /else
done
rm "$WORLD/log/only.seen"
run_args=(--workers 3)
out=$(ask -Z --parallel-immediate https://bank.rebind.test/admin/{1,2,3,4,5,6,7,8})
bank_saw_all 8
same "three workers" "$(grep -c 'client=CN=card-ec' "$WORLD/log/bank.seen")" 8
run_args=()
out=$(ask http://bank.rebind.test:443/admin)
hasnt "without TLS the rule lets nothing pass" "$out" welcome
unseen "and nothing is sent in the clear" '/admin'

# ---- where the key is not ----
cat >"$WORLD/tmp/search.py" <<'END'
import re, sys
pid, words = sys.argv[1], [bytes.fromhex(w) for w in sys.argv[2:]]
found = [0] * len(words)
with open(f"/proc/{pid}/mem", "rb", 0) as mem:
    for line in open(f"/proc/{pid}/maps"):
        start, end, perms = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
        if "r" not in perms or "[v" in line or int(end, 16) - int(start, 16) > 1 << 30:
            continue  # the last: a sanitizer's
        try:
            mem.seek(int(start, 16))
            text = mem.read(int(end, 16) - int(start, 16))
        except (OSError, ValueError):
            continue
        for i, w in enumerate(words):
            found[i] += text.count(w)
print(*found)
END
scalar=$(openssl ec -in "$WORLD/tls/card-ec.key" -text -noout 2>/dev/null |
	awk '/priv:/ {on = 1; next} /pub:/ {on = 0} on' | tr -d ' :\n')
scalar=${scalar: -64}
limbs=$(fold -w2 <<<"$scalar" | tac | tr -d '\n') # as a bignum has it
pem=$(sed -n 2p "$WORLD/tls/card-ec.key" | tr -d '\n' | xxd -p | tr -d '\n')
cert=$(sed -n 3p "$WORLD/tls/card-ec.pem" | tr -d '\n' | xxd -p | tr -d '\n')
: >"$WORLD/tmp/go"
bank bash -c 'curl -sS -o /dev/null https://bank.rebind.test/admin/{1,2,3}; touch $0/ready; while [ -e $0/go ]; do sleep .05; done' "$WORLD/tmp" &
job=$!
world_wait 60 test -e "$WORLD/tmp/ready"
proxy=$(pgrep -x exeat-proxy | head -n1)
keeper=$(ps -o ppid= -p "$proxy" | tr -d ' ')
found=$(python3 "$WORLD/tmp/search.py" "$proxy" "$scalar" "$limbs" "$pem" "$cert")
same "the proxy has shown the certificate, and has none of the key" "${found% *}" "0 0 0"
check "though it has the certificate" test "${found##* }" -gt 0
found=$(python3 "$WORLD/tmp/search.py" "$keeper" "$scalar" "$limbs" "$pem" "$cert")
has "the parent has it: the search finds keys" "${found% *}" '[1-9]'
rm "$WORLD/tmp/go"
wait $job
hasnt "a workload that is no root cannot read it" "$(bank su nobody -s /bin/sh -c "cat $SECRETS/shop/ec/tls.key" 2>&1)" PRIVATE

# ---- another policy takes it away ----
cat >"$WORLD/tmp/kept.py" <<'END'
import socket, ssl, sys, time, os
name, folder = "bank.rebind.test", sys.argv[1]
context = ssl.create_default_context()
context.set_alpn_protocols(["http/1.1"])
s = context.wrap_socket(socket.create_connection((name, 443), 20), server_hostname=name)
def ask(path):
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    text = b""
    while b"\r\n\r\n" not in text:
        more = s.recv(4096)
        if not more:
            return "end"
        text += more
    head, _, body = text.partition(b"\r\n\r\n")
    length = int(next(l for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")).split(b":")[1])
    while len(body) < length:
        body += s.recv(4096)
    return head.split(b" ")[1].decode() + " " + body.decode(errors="replace").strip().replace("\n", " ")[:60]
print("first", ask("/admin/kept"), flush=True)
open(folder + "/kept.ready", "w").close()
while not os.path.exists(folder + "/swapped"):
    time.sleep(.05)
try:
    print("second", ask("/admin/kept"), flush=True)
except OSError as e:
    print("second", type(e).__name__, flush=True)
END
: >"$WORLD/log/audit"
: >"$WORLD/log/bank.seen"
"$EXEAT" run -p "$POLICY" --secrets "$SECRETS" --watch --log "$WORLD/log/audit" -- bash -c '
	cd "$0"
	(curl -sSN --http1.1 https://bank.rebind.test/live/h1 >h1.out 2>&1; echo "end $?" >h1.end) &
	(curl -sSN --http2 https://bank.rebind.test/live/h2 >h2.out 2>&1; echo "end $?" >h2.end) &
	python3 kept.py . >kept.out 2>&1
	wait
	curl -sS --http1.1 https://bank.rebind.test/admin/h1
	curl -sS --http2 https://bank.rebind.test/admin/h2' "$WORLD/tmp" >"$WORLD/tmp/after.out" 2>"$WORLD/tmp/swap.err" &
job=$!
world_wait 60 sh -c "[ -s $WORLD/tmp/h1.out ] && [ -s $WORLD/tmp/h2.out ] && [ -e $WORLD/tmp/kept.ready ]"
has "before: an answer" "$(cat "$WORLD/tmp/kept.out")" 'first 200 welcome'
tcp() { ip netns exec net ss -Htn state established "src $BANK"; }
open=$(tcp | wc -l)
check "and connections to the server ($open)" test "$open" -ge 3
policy "" >"$POLICY.new" && mv "$POLICY.new" "$POLICY"
world_wait 60 grep -q 'in force' "$WORLD/tmp/swap.err"
touch "$WORLD/tmp/swapped"
world_wait 60 sh -c "[ -s $WORLD/tmp/h1.end ] && [ -s $WORLD/tmp/h2.end ]"
hasnt "a download over HTTP/1.1 that was allowed with the certificate ends" "$(cat "$WORLD/tmp/h1.end")" '^end 0|^$'
hasnt "and one over HTTP/2" "$(cat "$WORLD/tmp/h2.end")" '^end 0|^$'
audited "with a record" "$(reason policy-changed)" '"path": ?"/live/h1"'
audited "each" "$(reason policy-changed)" '"path": ?"/live/h2"'
wait $job
has "the next request on the same connection comes without it" "$(cat "$WORLD/tmp/kept.out")" 'second 400 .*No required'
same "and those on others" "$(grep -c '<center>No required' "$WORLD/tmp/after.out")" 2
same "no connection that has shown it is left" "$(tcp)" ""
policy ec >"$POLICY"

# ---- never silently without ----
says() { # DESCRIPTION SECRET REGEX
	{ head_of; rule bank.rebind.test '/admin.*' "$2"; } >"$WORLD/conf/bad.yaml"
	out=$("$EXEAT" run -p "$WORLD/conf/bad.yaml" --secrets "$SECRETS" -q -- true 2>&1)
	same "$1: nothing begins" $? 125
	has "$1" "$out" "bad.yaml:11:[0-9]+: error: .*$3"
	has "$1: and what to do" "$out" remedy
	out=$("$EXEAT" policy check "$WORLD/conf/bad.yaml" --secrets "$SECRETS" 2>&1)
	has "$1: check says so, too" "$out" "$3"
}
says "no such secret" nobody 'there is no secret shop/nobody'
says "an expired certificate" old 'shop/old has a certificate that has expired'
says "a key of another" crossed 'private key that is not the one of its certificate'
says "half a pair" half 'a certificate, but no private key'
{ head_of; rule bank.rebind.test '/admin.*' ec; } >"$WORLD/conf/good.yaml"
check "a good one is" "$EXEAT" policy check "$WORLD/conf/good.yaml" --secrets "$SECRETS"
refuse "not without the folder" "$EXEAT" policy check "$WORLD/conf/good.yaml"
out=$("$EXEAT" policy explain "$WORLD/conf/good.yaml" --secrets "$SECRETS" --to https://bank.rebind.test/admin 2>&1)
has "explain says what the server is shown" "$out" 'is shown the client certificate.*shop/ec'
has "dump, too" "$("$EXEAT" policy dump "$WORLD/conf/good.yaml" --secrets "$SECRETS" 2>&1)" 'originating tls shop/ec certificate'

tap_done
