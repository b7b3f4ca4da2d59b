#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# TXT, SRV, MX and PTR: only where a rule lists them, and nothing in them is an address one may use.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

data() { unbound-control -q -c "$WORLD/conf/unbound.conf" local_data "$1"; }
unbound-control -q -c "$WORLD/conf/unbound.conf" local_zone mail.test static
unbound-control -q -c "$WORLD/conf/unbound.conf" local_zone 113.0.203.in-addr.arpa static
data 'mail.test. 60 IN A 203.0.113.70'
data 'mail.test. 60 IN MX 10 mx1.mail.test.'
data 'mail.test. 60 IN MX 20 evil.example.'
data 'mail.test. 60 IN TXT "v=spf1 -all" "second"'
data '_http._tcp.mail.test. 60 IN SRV 1 2 8080 node.mail.test.'
data 'plain.mail.test. 60 IN TXT "not for you"'
data 'plain.mail.test. 60 IN A 203.0.113.70'
data 'alias.mail.test. 60 IN TXT "of the alias"'
data '10.113.0.203.in-addr.arpa. 60 IN PTR api.openai.com.'
for i in $(seq 1 40); do data "mail.test. 60 IN TXT \"$(printf 'x%.0s' $(seq 1 200))$i\""; done

query() { confined dns-types dig +time=10 +tries=1 "$@" 2>&1; }

for via in +notcp +tcp; do
	out=$(query $via mail.test MX)
	has "$via: MX" "$out" 'IN\s+MX\s+10 mx1\.mail\.test\.'
	has "$via: names of others in it are but names" "$out" 'IN\s+MX\s+20 evil\.example\.'
	out=$(query $via _http._tcp.mail.test SRV)
	has "$via: SRV" "$out" 'IN\s+SRV\s+1 2 8080 node\.mail\.test\.'
	out=$(query $via 10.113.0.203.in-addr.arpa PTR)
	has "$via: PTR" "$out" 'IN\s+PTR\s+api\.openai\.com\.'
	out=$(query $via alias.mail.test TXT)
	has "$via: TXT" "$out" 'IN\s+TXT\s+"of the alias"'
done
audited "with its type in the record" '"allow"' '"qtype": ?"TXT"'
out=$(query mail.test TXT)
has "a large answer comes by TCP, as far as the bound" "$out" 'IN\s+TXT\s+"x{200}'
out=$(query mail.test A)
has "addresses go with them" "$out" '203\.0\.113\.70'
out=$(query mail.test A @192.0.0.1 +noedns)
has "also without EDNS" "$out" '203\.0\.113\.70'

# each with its twin
world_forget
for twin in 'plain.mail.test TXT' 'mail.test SRV' '_http._tcp.mail.test TXT' '_http._tcp.mail.test MX' \
	'10.113.0.203.in-addr.arpa TXT' 'mail.test PTR' 'mail.test ANY' 'mail.test NS' 'mail.test SOA' 'mail.test CAA' 'mail.test NULL'; do
	# shellcheck disable=SC2086
	out=$(query $twin)
	has "$twin is refused" "$out" 'status: (REFUSED|NOTIMP|FORMERR)'
done
audited "with its reason" '"deny"' "$(reason dns-type-denied)"
hasnt "and the resolver not asked" "$(grep -E ' (SRV|NULL|CAA|SOA|ANY) IN| _http.* (TXT|MX) IN' "$WORLD/log/unbound.out")" mail.test
out=$(query evil.example A)
has "the address of a name in an answer is not to be had by it" "$out" 'REFUSED|NXDOMAIN'
out=$(query mx1.mail.test A)
has "nor that of a name in the same zone" "$out" 'REFUSED|NXDOMAIN'
out=$(query mail.test HTTPS)
hasnt "HTTPS stays empty" "$out" 'IN\s+HTTPS\s+[0-9]'

for kind in 'cilium.io/v2 CiliumNetworkPolicy' 'exeat.dev/v1alpha1 EgressPolicy'; do
	sed "s#exeat.dev/v1alpha1#${kind% *}#; s#EgressPolicy#${kind#* }#; s#^spec:#spec:\n  endpointSelector: {}#" \
		"$POLICIES/dns-types.yaml" >"$WORLD/tmp/kind.yaml"
	"$EXEAT" policy check "$WORLD/tmp/kind.yaml" >"$WORLD/tmp/kind.out" 2>&1
	if [ "${kind#* }" = EgressPolicy ]; then
		has "an EgressPolicy may list types" "$(cat "$WORLD/tmp/kind.out")" "^0 errors"
	else
		has "a CiliumNetworkPolicy may not" "$(cat "$WORLD/tmp/kind.out")" 'types'
	fi
done
sed 's/\[SRV\]/[ANY]/' "$POLICIES/dns-types.yaml" >"$WORLD/tmp/any.yaml"
has "ANY is no type to list" "$("$EXEAT" policy check "$WORLD/tmp/any.yaml" 2>&1)" 'record type "?ANY'

tap_done
