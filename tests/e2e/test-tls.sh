#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# TLS towards the workload as clients of every age see it.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

# client NAME OPENSSL-OPTION…: one request by openssl s_client; what it says about the session.
client() {
	printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$1" |
		confined names timeout 60 openssl s_client -connect "$1:443" -servername "$1" -verify_return_error \
			-CAfile /etc/ssl/certs/ca-certificates.crt -ign_eof "${@:2}" 2>&1
}

# ---- old clients: RSA ----
out=$(client ok.shared.test)
has "a client of today gets ECDSA" "$out" 'Peer signature type: ECDSA'
out=$(client ok.shared.test -tls1_2 -sigalgs RSA+SHA256 -cipher ECDHE-RSA-AES128-GCM-SHA256)
has "one that knows RSA only gets that" "$out" 'Peer signature type: RSA$'
has "the certificate is good" "$out" 'Verify return code: 0'
has "and its request is answered" "$out" 'HTTP/1.1 200'
out=$(client ok.shared.test -tls1_2 -sigalgs RSA+SHA256 -cipher ECDHE-RSA-AES256-SHA)
has "also without GCM" "$out" 'HTTP/1.1 200'
out=$(client ok.shared.test -tls1_3 -sigalgs rsa_pss_rsae_sha256)
has "and in TLS 1.3" "$out" 'Peer signature type: RSA-PSS'
out=$(client evil.shared.test -tls1_2 -sigalgs RSA+SHA256 -cipher ECDHE-RSA-AES128-GCM-SHA256)
hasnt "another name has no leaf of either kind" "$out" 'Peer signature type'
out=$(client ok.shared.test -tls1_2 -cipher AES128-SHA)
hasnt "key exchange without forward secrecy is refused" "$out" 'HTTP/1.1 200'
out=$(client ok.shared.test -tls1_1 -cipher ALL:@SECLEVEL=0)
hasnt "so is TLS 1.1" "$out" 'HTTP/1.1 200'

check "a run that takes years has a CA for as long" \
	confined names sh -c 'openssl x509 -noout -checkend $((9 * 365 * 86400)) -in "$NODE_EXTRA_CA_CERTS"'

# ---- what openssl.cnf says is for others: here, that there are no algorithms ----
printf 'openssl_conf = a\n[a]\nproviders = b\n[b]\nnull = c\n[c]\nactivate = 1\n' >"$WORLD/conf/openssl.cnf"
refuse "a program that goes by it can do nothing" env OPENSSL_CONF="$WORLD/conf/openssl.cnf" openssl dgst -sha256 /dev/null
same "exeat does not" "$(OPENSSL_CONF=$WORLD/conf/openssl.cnf confined names \
	env -u OPENSSL_CONF curl -sS -m 30 -o /dev/null -w '%{http_code}' https://ok.shared.test/ 2>&1)" 200

# ---- coming back: a ticket is good for every worker, and for its name only ----
run_args=(--workers 3)
for version in tls1_2 tls1_3; do
	out=$(confined names sh -c '
		ask() {
			printf "GET / HTTP/1.1\r\nHost: $1\r\nConnection: close\r\n\r\n" |
				timeout 60 openssl s_client -connect "$1:443" -servername "$1" -ign_eof -'$version' \
				-CAfile /etc/ssl/certs/ca-certificates.crt "$2" "$3" 2>&1 | grep -E "^(New|Reused)|^HTTP|    Verify return" | sed "s/^/$1 /"
		}
		ask ok.shared.test -sess_out '"$WORLD"'/tmp/s
		for i in 1 2 3 4 5 6 7 8; do ask ok.shared.test -sess_in '"$WORLD"'/tmp/s; done
		ask api.openai.com -sess_in '"$WORLD"'/tmp/s' 2>&1)
	same "$version: a client that comes back resumes, whichever worker it meets" \
		"$(grep -c '^ok.shared.test Reused' <<<"$out")" 8
	same "$version: its requests are judged and answered" "$(grep -c 'ok.shared.test HTTP/1.1 200' <<<"$out")" 9
	hasnt "$version: but not under another name (28)" "$out" '^api.openai.com Reused'
	has "$version: which is a session of its own" "$out" '^api.openai.com New'
done

# ---- handshakes in turns ----
run_args=(--workers 1)
out=$(confined names python3 "$CLIENTS/turns.py" ok.shared.test 2>&1)
has "of many handshakes at once each comes to its end" "$out" '^crowd answered 150 of 150 '
has "clients that stand still in theirs do not hold up others" "$out" '^beside them HTTP/1.1 200 soon'
has "nor when they go" "$out" '^and after HTTP/1.1 200'
for i in $(seq 0 799); do
	echo "n$i.crowd.test. 60 IN A 45.1.$((i / 200)).$((i % 200 + 1))"
done | unbound-control -q -c "$WORLD/conf/unbound.conf" local_datas
has "nor is the certificate of one that waits for its turn forgotten" \
	"$(confined crowd timeout 100 python3 "$CLIENTS/crowd.py" 800 2>&1)" "^handshakes {'done': 800}"
run_args=(--workers 3)

# ---- passed through by name: not when another name may be hidden in the hello ----
cat >"$WORLD/tmp/extended.py" <<'END'
import socket, ssl, sys
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
try:
    ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="pass.example").do_handshake()
except ssl.SSLWantReadError:
    pass
body = outgoing.read()[9:]
at = 2 + 32  # version and random; then session, ciphers, compression
at += 1 + body[at]
at += 2 + int.from_bytes(body[at:at + 2], "big")
at += 1 + body[at]
extensions = bytes.fromhex(sys.argv[1]) + b"\0\0" + body[at + 2:]
body = body[:at] + len(extensions).to_bytes(2, "big") + extensions
body = b"\1" + len(body).to_bytes(3, "big") + body
s = socket.create_connection(("pass.example", 443), 60)
s.sendall(b"\x16\3\1" + len(body).to_bytes(2, "big") + body)
print("answer", s.recv(1).hex())  # 16: of the server's handshake; 15: an alert
END
same "a hello with an extension that nobody knows is passed" \
	"$(confined names python3 "$WORLD/tmp/extended.py" fe0e 2>&1)" "answer 16"
world_forget
for type in fe0d ffce; do
	same "one with an encrypted name is not ($type)" \
		"$(confined names python3 "$WORLD/tmp/extended.py" $type 2>&1)" "answer 15"
	audited "for that reason" '"verdict": ?"deny"' "$(reason encrypted-client-hello)"
done
unseen "and does not arrive" pass.example

# ---- passed through by name: a server that does not speak TLS ----
world_name odd.rebind.test 203.0.113.86
world_daemon odd socat TCP-LISTEN:443,bind=203.0.113.86,fork,reuseaddr \
	SYSTEM:"head -c 50 >/dev/null; echo NOT-TLS; exec cat >>$WORLD/log/odd.seen"
world_wait 60 nc -z 203.0.113.86 443
touch "$WORLD/log/odd.seen"
out=$(confined names python3 - <<-'END' 2>&1
	import socket, ssl
	incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
	tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="odd.rebind.test")
	try:
	    tls.do_handshake()
	except ssl.SSLWantReadError:
	    pass
	s = socket.create_connection(("odd.rebind.test", 443), 30)
	s.sendall(outgoing.read())
	print(s.recv(100))
	s.sendall(b"SMUGGLED" * 100)
	try:
	    print("end" if s.recv(100) == b"" else "answer")
	except OSError as e:
	    print("reset")
	END
)
has "its words reach the client" "$out" 'NOT-TLS'
has "the client's next ones end the connection at once" "$out" '^reset'
audited "with a record" '"verdict": ?"deny"' "$(reason upstream-protocol)" 'did not answer in TLS'
unseen "and do not arrive" SMUGGLED

tap_done
