#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Client certificates of pods: whose policy names one, before and after the agent starts anew in place.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

BANK=203.0.113.87 SECRETS=$NODE/secrets
world_name bank.rebind.test $BANK
openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=clients \
	-addext basicConstraints=critical,CA:TRUE -keyout "$WORLD/tls/clients.key" -out "$WORLD/tls/clients.pem" 2>/dev/null
card() { # NAME
	openssl req -new -nodes -subj "/CN=$1" -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-keyout "$WORLD/tls/$1.key" -out "$WORLD/tls/$1.csr" 2>/dev/null
	openssl x509 -req -in "$WORLD/tls/$1.csr" -CA "$WORLD/tls/clients.pem" -CAkey "$WORLD/tls/clients.key" \
		-days 30 -out "$WORLD/tls/$1.pem" 2>/dev/null
}
give() { # SECRET CARD
	mkdir -p "$SECRETS/default/$1"
	cp "$WORLD/tls/$2.pem" "$SECRETS/default/$1/tls.crt"
	cp "$WORLD/tls/$2.key" "$SECRETS/default/$1/tls.key"
}
card one
card two
card three
give teller one
world_nginx bank <<-END
	access_log off;
	server {
		listen $BANK:443 ssl http2;
		ssl_certificate $WORLD/tls/site.pem; ssl_certificate_key $WORLD/tls/site.key;
		ssl_client_certificate $WORLD/tls/clients.pem; ssl_verify_client on;
		location / { return 200 "welcome \$ssl_client_s_dn\n"; }
	}
END
world_wait 60 nc -z $BANK 443
policy() { # LABEL [SECRET]
	{
		cat <<-END
			apiVersion: cilium.io/v2
			kind: CiliumNetworkPolicy
			metadata: {name: $1, namespace: default}
			spec:
			  endpointSelector: {matchLabels: {app: $1}}
			  egress:
			  - toFQDNs: [{matchName: bank.rebind.test}]
			    toPorts:
			    - ports: [{port: "443", protocol: TCP}]
			      rules: {http: [{method: GET}]}
		END
		[ -z "${2-}" ] || echo "      originatingTLS: {secret: {name: $2}}"
	} | policy_put "$1"
}
policy teller teller
policy guest
node_agent --audit-file "$WORLD/log/audit" --secrets-dir "$SECRETS"
pod_new pod1 11
pod_new pod2 12
endpoint pod1 app=teller >/dev/null
endpoint pod2 app=guest >/dev/null
ask() { # POD [CURL-OPTION…]
	in_pod "$1" curl -sS -m 60 "${@:2}" https://bank.rebind.test/ 2>&1
}
is_known() { # POD CARD
	[[ $(ask "$1") == *"CN=$2"* ]]
}
for http in http1.1 http2; do
	has "$http: the server knows the pod" "$(ask pod1 --$http)" 'welcome CN=one'
	has "$http: and not the other one" "$(ask pod2 --$http)" 'No required SSL certificate'
done
audited "the record names the secret" '"name": ?"bank.rebind.test"' 'certificate default/teller'

# ---- the agent starts anew in place: the key goes along, though the policy's bundle has none ----
proxies() { pgrep -P "$agent_pid" -f 'exeat[ ]proxy' | sort | tr '\n' ' '; }
before=$(proxies)
kill -USR2 "$agent_pid"
world_wait 60 sh -c "[ \$(grep -c 'exeat: agent ' '$WORLD/log/agent') -ge 2 ]" && world_wait 60 ex status
same "started anew with the same proxies" "$(proxies)" "$before"
has "the server still knows the pod" "$(ask pod1)" 'welcome CN=one'
has "and not the other one" "$(ask pod2)" 'No required SSL certificate'

# ---- another certificate in its place, another policy, none ----
give teller two
policy teller teller
kill -HUP "$agent_pid"
check "another one is shown once policies are read again" world_wait 60 is_known pod1 two
hasnt "no key is in the log" "$(cat "$WORLD/log/agent" "$WORLD/log/audit")" PRIVATE
cp "$WORLD/tls/three.key" "$SECRETS/default/teller/tls.key"
policy teller teller
kill -HUP "$agent_pid"
check "a key of another certificate: the agent says so" \
	world_wait 60 grep -q 'private key that is not the one of its certificate' "$WORLD/log/agent"
hasnt "and nothing goes out without it" "$(ask pod1)" 'welcome|No required'
has "of this endpoint: others go on" "$(ask pod2)" 'No required SSL certificate'
kill "$agent_pid"
wait "$agent_pid" 2>/dev/null
node_agent --audit-file "$WORLD/log/audit" --secrets-dir "$SECRETS"
served() { [[ $(ask pod2) == *"No required"* ]]; }
check "so they do when the agent is started with it" world_wait 60 served
hasnt "and it stays closed" "$(ask pod1)" 'welcome|No required'
give teller two
kill -HUP "$agent_pid"
check "mended, the server knows the pod again" world_wait 60 is_known pod1 two
policy teller
forgotten() { [[ $(ask pod1) == *"No required"* ]]; }
check "a policy without it: nothing is shown any more" world_wait 60 forgotten

tap_done
