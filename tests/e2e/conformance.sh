# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What upstream's own connectivity tests expect of CiliumNetworkPolicy, live through both gates. The
# policies are ours, one for each of upstream's; its one.one.one.one is pass.example here, its k8s.io
# evil.example, its echo pod the gateway on 8080. A drop is a refusal here, not a timeout.
# Sourced by test-conformance-*.sh, each of which has the rows of one kind.

. "$(dirname "${BASH_SOURCE[0]}")/../lib/e2e.sh"
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
	got=$(live "$who" "$policies" curl -sk -m 60 -o /dev/null -w '%{http_code} %{exitcode}' "$@")
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

# What the rows of $f, which is -4 or -6, name.
targets() {
	# shellcheck disable=SC2034 # for the rows
	if [ "$f" = -4 ]; then
		one=$SHARED4 pass=203.0.113.70 evil=$EVIL4 echo=$GATEWAY4
	else
		one="[$SHARED6]" pass='[2001:db8:113::70]' evil="[$EVIL6]" echo="[$GATEWAY6]"
	fi
}
