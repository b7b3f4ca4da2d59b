#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The node agent gates pods on a bridge: allowed flows go natively, L7 is judged, the rest refused.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

policy_llm <<'END'
  - toCIDR: [203.0.113.50/32, "2001:db8:113::50/128"]
    toPorts: [{ports: [{port: "7777"}]}]
  - toEndpoints: [{matchLabels: {app: web}}]
    toPorts:
    - ports: [{port: "8080", protocol: TCP}]
      rules: {http: [{method: GET, path: "/public.*"}]}
END
policy_put plain <<'END'
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: plain, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: plain}}
  egress:
  - toCIDR: [203.0.113.50/32]
    toPorts: [{ports: [{port: "7777", protocol: TCP}]}]
END
node_agent

pod_new pod1 11
pod_new pod2 12
pod_new web 13
check "a pod that the agent does not know is its own matter" in_pod pod1 nc -zw60 "$EVIL4" 443
same "the agent takes a pod" "$(endpoint pod1 app=llm)" 1
check "another one" endpoint pod2 app=plain
check "and one that no policy selects" endpoint web app=web
has "they are listed" "$(ex endpoint list)" '1 +enforcing .*default/pod1 +10.88.0.11,fd00:88::11'
doctor() { "$EXEAT" doctor --node --state-dir "$NODE/run" --policy-dir "$POLICY_DIR" "$@"; }
out=$(doctor --bpffs "$NODE/bpf" 2>&1)
has "doctor finds what a node needs" "$out" 'The node agent can run here'
has "and the agent" "$out" 'ok +the agent answers'
has "and says what is missing" "$(doctor --bpffs "$WORLD/tmp" 2>&1)" 'MISSING +a bpf file system'
ip link set veth-pod1 mtu 1300
has "and a link that takes less than its gateway gives" "$(doctor --bpffs "$NODE/bpf" --socket "$AGENT_SOCK" 2>&1)" \
	'absent +the MTU of the pods'
ip link set veth-pod1 mtu 1500
has "as long as it does" "$(doctor --bpffs "$NODE/bpf" --socket "$AGENT_SOCK" 2>&1)" 'ok +the MTU of the pods'
has "status counts them" "$(ex status)" 'endpoints +3 enforcing'
out=$(ex endpoint add --netns /run/netns/pod1 --name twice 2>&1)
has "the same interface twice is refused" "$out" 'exists:'
out=$(ex endpoint add --netns /run/netns/pod1 --name node --ip 10.88.0.1 2>&1)
has "so is who would be the node" "$out" 'invalid: 10.88.0.1 is an address of this node'
for hidden in 64:ff9b::a58:1 2002:a58:1::1; do # attack 141: as which others' gates take it
	has "or hide it in another form ($hidden)" "$(ex endpoint add --netns /run/netns/pod1 --name node --ip "$hidden" 2>&1)" \
		"invalid: $hidden is an address of this node"
done
pod_new link 14
node_ll=$(ip -j -6 addr show cni0 scope link | sed 's/.*"local":"\(fe80[^"]*\)".*/\1/')
ip -n link addr flush dev eth0 scope link
ip -n link addr add "$node_ll/64" dev eth0 nodad
has "attack 123: or would be it on the link" "$(endpoint link app=web 2>&1)" "invalid: $node_ll is an address of this node"
check "(its addresses named)" endpoint link app=web --ip 10.88.0.14 --ip fd00:88::e
hasnt "then one that it chose itself is not its own" "$(ex endpoint show link)" "$node_ll"
check "(that one goes again)" ex endpoint remove link
pod_gone link
for wrong in 'list pod1' 'list -l app=llm' 'list --open' 'show pod1 --name pod1' 'add --name x --pid 12x' \
	'add --name x --pid 1 -l a=b -l a=c' 'label pod1 a' 'label pod1 -'; do
	# shellcheck disable=SC2086 # words
	ex endpoint $wrong >/dev/null 2>&1
	same "endpoint $wrong is wrong usage" $? 2
done
ex endpoint label pod1 '' >/dev/null 2>&1
same "so is a label that is nothing" $? 2

has "attack 140: nor one that others' policies could not be compiled with" "$(ex endpoint label pod1 'note=🚀' 2>&1)" 'invalid: label note'
check "the policies can be changed" ex policy apply --wait
check "others that no policy asks for" ex endpoint label pod1 tier=front
refuse "(something is refused)" in_pod pod1 nc -zw60 "$EVIL4" 443
labelled() { ex observe --last 20 --endpoint pod1 --json | grep '"tier=front"' >/dev/null; }
check "are in its records from then on" world_wait 60 labelled
ask() { printf '%s\n' "$1" | socat -t60 - "UNIX-CONNECT:$AGENT_SOCK"; }
has "a request for labels that tells none takes none away" "$(ask '{"op":"endpoint.labels","name":"pod1"}')" '"invalid"'
for wrong in '"id":"1","name":"pod2"' '"name":"pod2","namespace":7' '"name":"pod2","open":"no"' '"container_id":[],"name":"pod2"'; do
	has "a key of the wrong kind is an error: $wrong" "$(ask "{\"op\":\"endpoint.remove\",$wrong}")" '"invalid"'
done
for wrong in '"mac":7' '"ips":"10.88.0.9"' '"interface":null' '"pid":"1"'; do
	has "and so it is of one who is new: $wrong" \
		"$(ask "{\"op\":\"endpoint.add\",\"name\":\"new\",\"netns\":\"/run/netns/pod1\",$wrong}")" '"invalid".* kind'
done

for family in 4 6; do
	declare -n echo_=ECHO$family evil_=EVIL$family
	url=$([ $family = 4 ] && echo "$echo_" || echo "[$echo_]")
	sniff_start "native$family" "tcp port 7777"
	same "IPv$family: an L4 rule carries TCP" \
		"$(echo hello | in_pod pod1 socat -t20 - "TCP:$url:7777" 2>&1)" hello
	same "IPv$family: and UDP" "$(in_pod pod1 python3 "$CLIENTS/hello.py" udp "$echo_" 7777 2>&1)" hello
	sniff_stop "native$family"
	has "IPv$family: natively, with the pod's own address" "$(sniff_print "native$family")" \
		"(10.88.0.11|fd00:88::11)[.][0-9]+ > $echo_.7777"
	began=$EPOCHREALTIME
	refuse "IPv$family: what no rule allows is refused" in_pod pod1 nc -zw60 "$evil_" 443
	at_once "IPv$family: at once" 30 "$began"
	refuse "IPv$family: a pod that no policy selects may nothing" in_pod web nc -zw20 "$echo_" 7777
done

world_forget
out=$(in_pod pod1 curl -sSm60 "$CHAT" -H 'content-type: application/json' -d "$ASK" 2>&1)
has "an allowed request is answered" "$out" 'Permission to leave granted'
out=$(in_pod pod1 curl -sSm60 https://api.openai.com/v1/models 2>&1)
has "another path of the same host is refused by the proxy" "$out" '"code": ?"http-denied"'
has "a name that no rule allows is not resolved" \
	"$(in_pod pod1 dig +tries=1 +time=10 evil.example 2>&1)" REFUSED
unseen "and nothing of it arrived" '/v1/models|evil'
refuse "what one pod has learned is not another's" \
	in_pod pod2 curl -sSm60 --connect-to "::$OPENAI4" "$CHAT" -d "$ASK"
same "the other pod has its own rules" \
	"$(echo hello | in_pod pod2 socat -t20 - "TCP:$ECHO4:7777" 2>&1)" hello
has "and what each let go is counted" "$(ex endpoint show pod2)" '"rule": ?"egress\[0\][^"]*", ?"packets": ?[1-9]'
hasnt "of a pod that may nothing none did" "$(ex endpoint show web)" '"packets"'
refuse "and no more than them" in_pod pod2 nc -zw20 "$ECHO6" 7777

# Pod to pod, L7, over the bridge: the other pod sees who really asks.
cat >"$WORLD/tmp/peer" <<'END'
#!/bin/sh
read -r line
printf 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfrom %s %s\n' "$SOCAT_PEERADDR" "$line"
END
chmod 755 "$WORLD/tmp/peer"
in_pod web socat TCP-LISTEN:8080,fork,reuseaddr "EXEC:$WORLD/tmp/peer" &
world_wait 60 in_pod web nc -z 127.0.0.1 8080
has "toEndpoints with an HTTP rule; the pod's own address arrives" \
	"$(in_pod pod1 curl -sSm60 http://10.88.0.13:8080/public/x 2>&1)" 'from 10.88.0.11 GET /public/x'
has "another path there is refused" \
	"$(in_pod pod1 curl -sSm60 http://10.88.0.13:8080/private 2>&1)" '"code": ?"http-denied"'
refuse "a pod without the rule does not get there" in_pod pod2 nc -zw20 10.88.0.13 8080
has "a service of a pod answers others: the node" \
	"$(curl -sSm60 http://10.88.0.13:8080/ 2>&1)" 'from 10.88.0.1 GET /'

in_pod pod1 socat TCP-LISTEN:8080,fork,reuseaddr "EXEC:$WORLD/tmp/peer" &
world_wait 60 in_pod pod1 nc -z 127.0.0.1 8080
has "and so does one of a pod whose policy needs the proxy" \
	"$(curl -sSm60 http://10.88.0.11:8080/ 2>&1)" 'from 10.88.0.1 GET /'

"$EXEAT" ca rotate --dir "$NODE/ca" >/dev/null && "$EXEAT" ca rotate --switch --dir "$NODE/ca" >/dev/null
kill -HUP $agent_pid
cat /etc/ssl/certs/ca-certificates.crt "$NODE/ca/trust.pem" >"$NODE/roots.pem"
pod_new late 14
# who says which namespace was meant: any of the three that is another's is another pod
add_late() { # DEV INO IFINDEX: each more by so much than it is
	local dev ino ifindex
	read -r dev ino < <(stat -Lc '%d %i' /run/netns/late)
	ifindex=$(ip -j link show veth-late | sed 's/.*"ifindex":\([0-9]*\).*/\1/')
	printf '{"op":"endpoint.add","name":"late","labels":{"app":"llm"},"netns":"/run/netns/late","ips":["10.88.0.14","fd00:88::e"],%s}\n' \
		"\"netns_id\":{\"dev\":$((dev + $1)),\"ino\":$((ino + $2)),\"host_ifindex\":$((ifindex + $3))}" |
		socat -t60 - "UNIX-CONNECT:$AGENT_SOCK"
}
for other in '1 0 0' '0 1 0' '0 0 1'; do
	# shellcheck disable=SC2086 # three numbers
	has "a pod that is another by now is not gated ($other)" "$(add_late $other)" 'another namespace by now'
done
ip -n late addr flush dev eth0 scope link
ip -n late addr add fe80::bad/64 dev eth0 nodad
has "the one that was meant is" "$(add_late 0 0 0)" '"ok":true'
hasnt "attack 123: with no link-local address that was not named" "$(ex endpoint show late)" 'fe80::bad'
has "SIGHUP: after a rotation another authority signs" \
	"$(in_pod late curl -sSvm60 "$CHAT" -H 'content-type: application/json' -d "$ASK" 2>&1)" \
	"issuer: .*CN=$(openssl x509 -in "$NODE/ca/ca.pem" -noout -subject -nameopt multiline | sed -n 's/ *commonName *= //p')"
has "and what the former one has signed is good" "$(in_pod pod1 curl -sSm60 "$CHAT" -H 'content-type: application/json' -d "$ASK" 2>&1)" \
	'Permission to leave granted'

check "an endpoint can be removed" ex endpoint remove pod2
refuse "its gates go with it: it is no endpoint" ex endpoint show pod2
has "what is asked for is named" "$(ex endpoint show pod2 2>&1)" 'there is no endpoint default/pod2$'
has "and the one that may be meant" "$(ex endpoint show nowhere/web 2>&1)" 'there is no endpoint nowhere/web; there is [a-z]+/web$'
pod_gone pod1
check "a pod that is gone is collected" world_wait 60 sh -c "! '$EXEAT' endpoint show pod1 --socket '$AGENT_SOCK'"
same "and nothing of it stays in the node's namespace" "$(ip -o link | grep -c exg-)" 2

kill -TERM $agent_pid
wait $agent_pid
same "the agent ends when told to" $? 0
tap_done
