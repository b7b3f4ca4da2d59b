#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Addresses, entities, ports and names: what the kernel gate and the DNS gate decide.

. "$(dirname "$0")/conformance.sh"

for f in -4 -6; do
	targets
	table <<-END
		client deny-all-egress 000 default-deny http://$one/
		client deny-all-egress 000 default-deny https://$one/
		client deny-all-egress 000 default-deny http://$echo:8080/
		client deny-all-egress 000 dns-name-denied http://pass.example/
		client deny-all-entities 000 policy-deny http://$one/
		client deny-all-entities 000 policy-deny http://$echo:8080/
		client deny-all-entities,allow-all 000 policy-deny https://$one/
		client allow-all 200 allowed https://$one/
		client allow-all 200 allowed http://$echo:8080/

		client only-dns 000 default-deny http://pass.example/
		client only-dns 000 default-deny https://pass.example/
		client only-dns 000 default-deny http://$echo:8080/

		client to-cidr-external 200 allowed https://$one/
		client to-cidr-external 000 default-deny https://$evil/
		client to-cidr-external-deny,allow-all 200 allowed https://$pass/
		client to-cidr-external-deny,allow-all 000 policy-deny https://$one/
		client to-cidr-external-deny 000 default-deny https://$pass/
		client to-cidr-external-deny 000 policy-deny https://$one/
		client to-cidrgroup-external-deny,allow-all 200 allowed https://$pass/
		client to-cidrgroup-external-deny,allow-all 000 policy-deny https://$one/
		client to-cidrgroup-external-deny 000 default-deny https://$pass/
		client to-cidrgroup-external-deny 000 policy-deny https://$one/
		client to-cidrgroup-external-deny-label,allow-all 200 allowed https://$pass/
		client to-cidrgroup-external-deny-label,allow-all 000 policy-deny https://$one/
		client to-cidrgroup-external-deny-label 000 default-deny https://$pass/
		client to-cidrgroup-external-deny-label 000 policy-deny https://$one/

		client to-echo-expression-deny,allow-all 000 policy-deny http://$echo:8080/
		client2 to-echo-expression-deny,allow-all 200 allowed http://$echo:8080/
		client to-echo-expression-deny,allow-all 200 allowed http://$one/

		client to-entities-world-port-range 200 allowed http://pass.example/
		client to-entities-world-port-range 000 default-deny https://pass.example/
	END
done

# only-dns: the names resolve, each other way to ask does not
out=$(live client only-dns dig +short +time=30 +tries=1 evil.example)
has "only-dns: any name resolves" "$out" "$EVIL4"
out=$(live client deny-all-egress dig +time=30 +tries=1 pass.example @192.0.0.1 2>&1)
has "deny-all-egress: no name resolves" "$out" 'status: REFUSED'

# Rows that cannot be run: upstream's meaning needs what is not here, and saying less would be wrong.
refused() { # POLICY WHY MESSAGE
	local out
	out=$(live client2 "$1" true 2>&1)
	same "$1 does not start: $2" $? 125
	has "$1: and the message names the field" "$out" "$3"
}
refused host-firewall-egress "nodes are not workloads" nodeSelector
refused to-fqdns-and-ccec-listener "there is no Envoy to have the listener" listener

tap_done
