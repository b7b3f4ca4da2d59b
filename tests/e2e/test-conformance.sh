#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What upstream's own connectivity tests expect of CiliumNetworkPolicy, live through both gates. The
# policies are ours, one for each of upstream's; its one.one.one.one is pass.example here, its k8s.io
# evil.example, its echo pod the gateway on 8080. A drop is a refusal here, not a timeout.

# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

# What originatingTLS names: the CA of the servers, and nothing besides.
mkdir -p "$WORLD/secrets/tests/outside"
cp "$WORLD/tls/root.pem" "$WORLD/secrets/tests/outside/ca.crt"
HERE=$POLICIES/conformance

declare -A labels=(
	[client]="-l kind=client -l name=client"
	[client2]="-l kind=client -l name=client2 -l other=client"
)

live() { # WHO POLICY,… COMMAND…
	local who=$1 p args=()
	for p in ${2//,/ }; do
		args+=(-p "$HERE/$p.yaml")
	done
	shift 2
	: >"$WORLD/log/audit"
	# shellcheck disable=SC2086 # several arguments
	"$EXEAT" run "${args[@]}" ${labels[$who]} --endpoints "$HERE/endpoints.yaml" --secrets "$WORLD/secrets" \
		--log "$WORLD/log/audit" -q -- "$@"
}

# row WHO POLICY,… STATUS REASON CURL-ARG…: the status of the answer, 000 without any; a verdict with
# that reason; what is denied does not arrive, and of what is allowed nothing is denied.
row() {
	local who=$1 policies=$2 want=$3 why=$4 got
	local what="$policies, $who: ${*:5}"
	shift 4
	world_forget
	got=$(live "$who" "$policies" curl -sk -m 20 -o /dev/null -w '%{http_code} %{exitcode}' "$@")
	case $want in
	000) has "$what: no answer, at once" "$got" '^000 (6|7|35|56)$' ;;
	tls) has "$what: a TLS error" "$got" '^000 35$' ;;
	*) same "$what: $want" "${got% *}" "$want" ;;
	esac
	if [ "$why" = allowed ]; then
		refuse "$what: nothing is denied" audit '"verdict":"deny"'
	else
		audited "$what: $why" '"verdict":"deny"' "$(reason "$why")"
		unseen "$what: nothing arrived" .
	fi
}

# "WHO POLICY,… STATUS REASON CURL-ARG…" a line, over each family
table() {
	local who policies want why args rows=()
	while read -r who policies want why args; do
		[ -z "$who" ] || rows+=("$who $policies $want $why $f $args")
	done
	for args in "${rows[@]}"; do
		# shellcheck disable=SC2086 # several arguments
		row $args
	done
}

# names of several labels, for the stars of server names
for label in first second; do
	world_name fake.external.$label.test 203.0.113.70
	world_name fake.external.$label.test 2001:db8:113::70
done
world_name plain.external.first.test 203.0.113.70
world_name plain.external.first.test 2001:db8:113::70

for f in -4 -6; do
	if [ $f = -4 ]; then
		one=$SHARED4 pass=203.0.113.70 evil=$EVIL4 echo=$GATEWAY4
	else
		one="[$SHARED6]" pass='[2001:db8:113::70]' evil="[$EVIL6]" echo="[$GATEWAY6]"
	fi
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

		client to-fqdns-and-http-get,only-dns 200 allowed http://pass.example/
		client to-fqdns-and-http-get,only-dns 403 http-denied http://pass.example/foo
		client to-fqdns-and-http-get,only-dns 403 http-denied -X POST http://pass.example/
		client to-fqdns-and-http-get,only-dns 000 default-deny https://pass.example/
		client to-fqdns-and-http-get,only-dns 000 default-deny http://evil.example/
		client to-fqdns-and-http-get 200 allowed http://pass.example/
		client to-fqdns-and-http-get 000 dns-name-denied http://evil.example/

		client2 l7-http,only-dns 200 allowed http://pass.example/
		client2 l7-http,only-dns 403 http-denied http://pass.example/foo
		client2 l7-http,only-dns 200 allowed http://$echo:8080/
		client2 l7-http,only-dns 403 http-denied http://$echo:8080/foo
		client2 l7-http,only-dns 000 default-deny https://pass.example/
		client l7-http,only-dns 000 default-deny http://pass.example/
		client l7-http,only-dns 000 default-deny http://$echo:8080/
		client2 l7-http-port-range,only-dns 200 allowed http://pass.example/
		client2 l7-http-port-range,only-dns 403 http-denied http://pass.example/foo
		client2 l7-http-port-range,only-dns 200 allowed http://$echo:8080/
		client2 l7-http-port-range,only-dns 403 http-denied http://$echo:8080/foo
		client2 l7-http-port-range,only-dns 000 default-deny http://pass.example:128/
		client l7-http-port-range,only-dns 000 default-deny http://$echo:8080/
		client2 l7-http-named-port,only-dns 200 allowed http://$echo:8080/
		client2 l7-http-named-port,only-dns 403 http-denied http://$echo:8080/foo
		client2 l7-http-named-port,only-dns 000 default-deny http://$echo:8081/
		client l7-http-named-port,only-dns 000 default-deny http://$echo:8080/

		client2 l7-http-method,only-dns 200 allowed -X POST http://$echo:8080/public
		client2 l7-http-method,only-dns 200 allowed -X POST http://$echo:8080/private
		client2 l7-http-method,only-dns 403 http-denied http://$echo:8080/public
		client2 l7-http-method,only-dns 403 http-denied http://$echo:8080/private
		client2 l7-http-method,only-dns 403 http-denied -X POST http://$echo:8080/publicly
		client l7-http-method,only-dns 000 default-deny -X POST http://$echo:8080/public

		client l7-tls,only-dns 200 allowed -H X-Very-Secret-Token:42 https://pass.example/
		client l7-tls,only-dns 403 http-denied https://pass.example/
		client l7-tls,only-dns 403 http-denied -H X-Very-Secret-Token:43 https://pass.example/
		client l7-tls-sni,only-dns 200 allowed -H X-Very-Secret-Token:42 https://pass.example/
		client l7-tls-sni,only-dns 403 http-denied https://pass.example/
		client l7-tls-sni,only-dns tls sni-denied -H X-Very-Secret-Token:42 https://evil.example/
		client l7-tls-other-sni,only-dns tls sni-denied -H X-Very-Secret-Token:42 https://pass.example/

		client tls-sni,only-dns 200 allowed https://pass.example/
		client tls-sni,only-dns tls sni-denied https://evil.example/
		client tls-sni,only-dns 000 default-deny http://pass.example/
		client tls-sni-wildcard,only-dns 200 allowed https://fake.external.first.test/
		client tls-sni-wildcard,only-dns tls sni-denied https://fake.external.second.test/
		client tls-sni-wildcard,only-dns 000 default-deny http://fake.external.first.test/
		client tls-sni-double-wildcard,only-dns 200 allowed https://fake.external.first.test/
		client tls-sni-double-wildcard,only-dns tls sni-denied https://fake.external.second.test/
		client tls-sni-double-wildcard,only-dns 000 default-deny http://fake.external.first.test/
		client tls-sni-random,only-dns 200 allowed https://fake.external.first.test/
		client tls-sni-random,only-dns tls sni-denied https://plain.external.first.test/
		client tls-sni-random,only-dns tls sni-denied https://fake.external.second.test/

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
out=$(live client only-dns dig +short +time=10 +tries=1 evil.example)
has "only-dns: any name resolves" "$out" "$EVIL4"
out=$(live client deny-all-egress dig +time=10 +tries=1 pass.example @192.0.0.1 2>&1)
hasnt "deny-all-egress: no name resolves" "$out" '203\.0\.113'

# The header that the server wants is written into the request, and only where the policy is.
mkdir -p "$WORLD/secrets/tests"
echo 'Bearer 12345' >"$WORLD/secrets/tests/token"
for f in -4 -6; do
	[ $f = -4 ] && echo=$GATEWAY4 || echo="[$GATEWAY6]"
	ask=(curl -s -m 20 "$f" -X POST -w ' %{http_code}' "http://$echo:8080/auth-header-required")
	out=$(live client2 l7-http-matchheader-secret "${ask[@]}")
	has "l7-http-matchheader-secret, client2 $f: the header is injected" "$out" ' 200$'
	out=$(live client2 allow-all "${ask[@]}")
	has "allow-all, client2 $f: without the policy the server says 401" "$out" ' 401$'
	out=$(live client2 l7-http-matchheader-secret curl -s -m 20 $f -X POST "http://$echo:8080/other")
	has "l7-http-matchheader-secret, client2 $f: another path is denied" "$out" '"http-denied"'
	out=$(live client l7-http-matchheader-secret true 2>&1)
	same "l7-http-matchheader-secret, client $f: the policy is not for it" $? 125
done

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
