#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rules on addresses, ports, protocols, entities and server names: each allow beside its deny.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

url() { # ADDRESS: as it stands in a URL
	[[ $1 = *:* ]] && echo "[$1]" || echo "$1"
}

for family in 4 6; do
	declare -n echo_=ECHO$family evil_=EVIL$family gateway_=GATEWAY$family shared_=SHARED$family
	declare -n openai_=OPENAI$family outer_=OUTER$family meta_=META$family
	same "IPv$family: TCP to an allowed address and port" \
		"$(echo hello | confined l4 socat -t20 - "TCP:$(url "$echo_"):7777" 2>&1)" hello
	same "IPv$family: UDP too" \
		"$(confined l4 python3 "$CLIENTS/hello.py" udp "$echo_" 7777 2>&1)" hello
	lost=${echo_%50}51
	ip route add unreachable "$lost"
	refuse "IPv$family: UDP to an allowed address that there is no way to" \
		confined l4 python3 "$CLIENTS/hello.py" udp "$lost" 7777 1
	audited "IPv$family: and that it did not go out is on record" '"deny"' "$(reason upstream-unreachable)" '"udp"' "$lost"
	refuse "IPv$family: UDP to where nobody listens" confined l4 python3 "$CLIENTS/hello.py" udp "$gateway_" 7777 1
	audited "IPv$family: and that it was refused is on record" '"deny"' "$(reason upstream-unreachable)" '"udp"' "$gateway_" "Connection refused"
	rm -f "$WORLD"/tmp/talk-*
	confined l4 python3 "$CLIENTS/talk.py" "$echo_" 7777 "$WORLD/tmp/talk" >"$WORLD/tmp/talked" 2>&1 &
	talk=$!
	world_wait 60 test -e "$WORLD/tmp/talk-first"
	port=$(ss -Hun dst "$(url "$echo_"):7777" | sed -n '1s/.*:\([0-9]*\) .*:7777.*/\1/p')
	ip netns exec net python3 "$CLIENTS/too_big.py" "$outer_" "$port" "$echo_" 7777
	touch "$WORLD/tmp/talk-next"
	wait "$talk"
	same "IPv$family: a datagram that a router has no room for does not end the others" "$(cat "$WORLD/tmp/talked")" $'one\ntwo'
	same "IPv$family: they are one flow" "$(grep -c '"udp".*"dport":7777' "$audit_log")" 1
	sum=$(head -c 3000000 /dev/urandom | tee "$WORLD/tmp/blob" | sha256sum)
	same "IPv$family: 3 MB there and back, whole" \
		"$(confined l4 socat -t20 - "TCP:$(url "$echo_"):7777" <"$WORLD/tmp/blob" 2>/dev/null | sha256sum)" "$sum"
	refuse "IPv$family: another port of it" confined l4 nc -zw20 "$echo_" 7776
	has "IPv$family: a port in a range" "$(confined l4 curl -sSm60 "http://$(url "$gateway_"):8080/v1/models" 2>&1)" test-model
	refuse "IPv$family: beyond the range" confined l4 nc -zw20 "$gateway_" 8101
	has "IPv$family: TLS is carried unread" "$(confined l4 curl -sSvm60 --connect-to "::$(url "$openai_"):443" https://api.openai.com/plain 2>&1)" 'issuer: CN=Little'
	refuse "IPv$family: an excepted prefix" confined l4 nc -zw20 "$evil_" 443
	refuse "IPv$family: a denied address inside an allowed prefix" confined l4 nc -zw20 "$shared_" 443
	audited "IPv$family: and the reason is the deny" "$(reason policy-deny)"
	refuse "IPv$family: a denied port of an allowed address" confined l4 nc -zw20 "$gateway_" 443
	refuse "IPv$family: metadata under a rule that does not name it" confined l4 nc -zw20 "$meta_" 80

	has "IPv$family: the world is open to toEntities: world" \
		"$(confined world curl -sSkm60 "https://$(url "$evil_")/" 2>&1)" '^(evil|stolen)'
	hasnt "IPv$family: but not metadata" "$(confined world curl -sSm20 "http://$(url "$meta_")/" 2>&1)" SECRET
	hasnt "IPv$family: nor the host" "$(confined world curl -sSm20 "http://$(url "$outer_"):9009/" 2>&1)" HOST-SERVICE

	has "IPv$family: an allowed server name passes unread" \
		"$(confined sni curl -sSm60 --resolve "ok.shared.test:443:$shared_" https://ok.shared.test/ 2>&1)" '^ok'
	has "IPv$family: a server name of a pattern" \
		"$(confined sni curl -sSm60 --resolve "good.rebind.test:443:${shared_%20}70" https://good.rebind.test/ 2>&1)" '^pass'
	world_forget
	out=$(confined sni curl -sSm60 --resolve "evil.shared.test:443:$shared_" https://evil.shared.test/ 2>&1)
	hasnt "IPv$family: another server name does not" "$out" '^evil'
	audited "IPv$family: reason" "$(reason sni-denied)"
	out=$(confined sni curl -sSkm60 "https://$(url "$shared_")/" 2>&1)
	audited "IPv$family: nor none at all" "$(reason sni-missing)"
	out=$(confined sni curl -sSm60 "http://$(url "$shared_"):443/" 2>&1)
	hasnt "IPv$family: nor plain HTTP on that port" "$out" '^(ok|evil)|400 The plain'
	unseen "IPv$family: nothing of it arrived" 'evil|sni=-'
done

# a client that asks each time from another port
world_daemon many python3 "$CLIENTS/many.py" echo 203.0.113.53 7777
run_args=(--workers 1) # they share the room
same "UDP: all that there is room for, none more, and others when these are quiet" \
	"$(confined l4 python3 "$CLIENTS/many.py" ask 203.0.113.53 7777 2>&1)" "1024 0 50"
audited "UDP: and the reason is the limit" '"deny"' "$(reason limit)" '"udp"'

tap_done
