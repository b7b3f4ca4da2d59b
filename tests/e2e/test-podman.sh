#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Containers and pods of real podman behind exeat-cni and the agent: policies by label, side by side,
# IPv4 and IPv6, pod to pod, services, other plugins beside it, and the agent away.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/podman.sh"
podman_enter "$@"
ip netns exec net ip addr add 203.0.113.7/32 dev lo # a client of services

get() { # CONTAINER CURL-ARGUMENT…: status and body on one line
	podman exec "$1" /usr/bin/curl -sS -m 60 -o /dev/stdout -w ' %{http_code}' "${@:2}" 2>&1 | tr '\n' ' '
}

# ---- the agent is away ----

sniff_start away
out=$(box --rm --label app=plain localhost/box sh -c 'nc -w 1 203.0.113.50 7777 </dev/null; echo RAN' 2>&1)
refuse "without the agent no container starts" grep -q RAN <<<"$out"
has "the runtime is told why" "$out" 'exeat agent does not answer'
sniff_stop away
same "and nothing left the node for it" "$(sniff_print away "net $POD4.0/24 or net ${POD6}:/64")" ""
same "nor is anything left of it" "$(ip -o link show type veth | grep -c 'master cni0')" 0

# ---- side by side ----

cp "$POLICIES/podman/pods.yaml" "$NODE_POLICIES/"
check "the agent starts" agent_up
[ $tap_bad -eq 0 ] || tap_done # nothing else could be told
check "a container that serves" box -d --name back --label app=back localhost/box httpd -f -vv -p 80 -h /www
check "one that may ask it, and one name" box -d --name front --label app=front localhost/box
check "one that may reach an address" box -d --name plain --label app=plain localhost/box
check "one that no policy selects" box -d --name none localhost/box
has "the agent knows them by name and label" "$(agent_ask '{"op":"endpoint.list"}')" '"name":"front".*"app":"front"'
hasnt "a label of the image is not the container's" "$(agent_ask '{"op":"endpoint.list"}')" '"vendor"'
podman create --network pods --name old --label app=plain localhost/box >/dev/null
podman tag localhost/box localhost/kept
tar -c -T /dev/null | podman import -q - localhost/box >/dev/null
check "a container of an image whose name means another one now" podman start old
hasnt "has no labels of its image either" "$(agent_ask '{"op":"endpoint.list"}')" '"vendor"'
podman rm -f -t 0 old >/dev/null
podman tag localhost/kept localhost/box

back4=$(ip_of back 4) back6=$(ip_of back 6)
front4=$(ip_of front 4) front6=$(ip_of front 6)
for v in 4 6; do
	at=back$v from=front$v echo=ECHO$v evil=EVIL$v
	host=${!at}
	[ $v = 4 ] || host="[$host]"
	has "IPv$v: pod to pod, what the rule says" "$(get front "http://$host/ping")" '^pong  ?200'
	has "IPv$v: not another path" "$(get front "http://$host/other")" ' 403$'
	has "IPv$v: not another method" "$(get front -X POST -d x "http://$host/ping")" ' 403$'
	has "IPv$v: the other pod sees the pod's own address" "$(podman logs back 2>&1)" "${!from}.*/ping"
	hasnt "IPv$v: and never the denied paths" "$(podman logs back 2>&1)" '/other'
	hasnt "IPv$v: a pod without that rule does not reach it" "$(get plain "http://$host/ping")" 'pong'
	hasnt "IPv$v: nor one that no policy selects" "$(get none "http://$host/ping")" 'pong'
	same "IPv$v: an address and port that are allowed" \
		"$(podman exec plain hello "${!echo}" 7777 2>&1)" hello
	hasnt "IPv$v: not for its neighbour" \
		"$(podman exec front hello "${!echo}" 7777 2>&1)" hello
	hasnt "IPv$v: not another address" \
		"$(get plain "http://$([ $v = 4 ] && echo "${!evil}" || echo "[${!evil}]")/")" evil
done
has "a name, its TLS opened" "$(get front -k https://api.openai.com/v1/models)" 'test-model.* 200$'
has "not another path of it" "$(get front -k https://api.openai.com/v1/other)" ' 403$'
hasnt "not for its neighbour" "$(get plain -k https://api.openai.com/v1/models)" 'test-model'
hasnt "a pod that may send nothing asks no name" "$(podman exec back nslookup api.openai.com 2>&1)" "$OPENAI4"

sniff_start outside
get front -k https://api.openai.com/v1/models >/dev/null
podman exec plain hello "$ECHO4" 7777 >/dev/null 2>&1
sniff_stop outside
check "the far side sees the pod's own address, not the node's" test \
	"$(sniff_count outside "(src host $front4 and dst host $OPENAI4) or (src host $front6 and dst host $OPENAI6)")" -gt 0
same "no packet for the name from the node itself" \
	"$(sniff_count outside "(src host $OUTER4 and dst host $OPENAI4) or (src host $OUTER6 and dst host $OPENAI6)")" 0

# ---- pods ----

check "a pod, made by hand" podman pod create --name hand --network pods --label app=plain -p 8080:80
check "a container in it" podman run -d --name in-hand --pod hand --label app=front localhost/box httpd -f -p 80 -h /www
same "the pod's labels count, not the container's" \
	"$(podman exec in-hand hello "$ECHO4" 7777 2>&1)" hello
hasnt "so the container's rules are not the pod's" "$(get in-hand -k https://api.openai.com/v1/models)" test-model

cat >"$WORLD/tmp/kube.yaml" <<'END2'
apiVersion: v1
kind: Pod
metadata:
  name: molt
  labels: {app: moltbot, tier: agent}
spec:
  containers:
  - name: one
    image: localhost/box
    imagePullPolicy: Never
    command: [/bin/sleep, "100000"]
  - name: two
    image: localhost/box
    imagePullPolicy: Never
    command: [/bin/sleep, "100000"]
END2
check "a Kubernetes pod, played" podman play kube --network pods "$WORLD/tmp/kube.yaml"
has "its labels select the policy" "$(get molt-one http://llm-gateway:8080/v1/models)" 'test-model.* 200$'
has "and no more than that" "$(get molt-two http://llm-gateway:8080/v1/other)" ' 403$'
has "the agent has it by the pod's name" "$(agent_ask '{"op":"endpoint.show","name":"molt"}')" '"tier":"agent"'

# ---- services ----

has "a published port answers" "$(ip netns exec net curl -sm 60 http://$OUTER4:8080/ping)" pong
hand4=$(podman inspect in-hand --format '{{.State.Pid}}' | xargs -I{} nsenter -t {} -n ip -4 -o addr show eth0 | grep -oE "$POD4\.[0-9]+" | head -n 1)
has "and so does the pod's own address" "$(ip netns exec net curl -sm 60 "http://$hand4/ping")" pong
has "over IPv6 too" "$(ip netns exec net curl -sm 60 "http://[$back6]/ping")" pong
has "a pod without any allowed egress serves" "$(ip netns exec net curl -sm 60 "http://$back4/ping")" pong
has "the firewall plugin's rules stand beside" "$(iptables-save -t filter)" "$front4"

# ---- behind masquerade ----

podman_network hidden cni1 10.78.0.0/24 fd00:78::/64 true
check "a container on a network that masquerades" podman run -d --name hidden --network hidden --label app=front localhost/box
has "is gated alike" "$(get hidden -4 -k https://api.openai.com/v1/models)" 'test-model.* 200$'
has "and refused alike" "$(get hidden -4 -k https://api.openai.com/v1/other)" ' 403$'

# ---- routed, without a bridge ----

sed -e 's/"name": "pods"/"name": "routed"/; s/"bridge", "bridge": "cni0", "isGateway": true/"ptp"/; s/, "hairpinMode": true//' \
	-e "s/$POD4\\.0/10.79.0.0/; s/${POD6}:/fd00:79::/" "$NODE/net.d/pods.conflist" >"$NODE/net.d/routed.conflist"
ip -n net route add 10.79.0.0/24 via "$OUTER4"
ip -n net -6 route add fd00:79::/64 via "$OUTER6"
check "a container behind the ptp plugin" podman run -d --name routed --network routed --label app=front localhost/box
has "reaches a pod of the bridge, IPv4" "$(get routed "http://$back4/ping")" '^pong  ?200'
has "and IPv6" "$(get routed "http://[$back6]/ping")" '^pong  ?200'
has "as the rule says and no further" "$(get routed "http://$back4/other")" ' 403$'
has "by its own address" "$(podman logs back 2>&1)" '10\.79\.0\.[0-9]+\]:[0-9]+: url:/ping'
hasnt "and not another pod" "$(get routed "http://$front4/ping")" pong

# ---- from the first packet on ----

sniff_start first
flood='i=0; while [ $i -lt 40 ]; do
	nc -w 1 203.0.113.66 80 </dev/null & nc -u -w 1 203.0.113.66 53 <<E &
x
E
	nc -w 1 203.0.113.50 7777 </dev/null & i=$((i+1)); done >/dev/null 2>&1; wait'
check "a container that floods from its first instruction" box --rm --label app=plain localhost/box sh -c "$flood"
sniff_stop first
same "not one packet to where it may not go" "$(sniff_count first 'dst host 203.0.113.66')" 0
check "the allowed ones came" test "$(sniff_count first 'dst host 203.0.113.50 and tcp port 7777')" -gt 0

# ---- what podman does not ask for: CHECK, GC, STATUS ----

cni() { # COMMAND CONTAINER MEMBERS: the plugin by hand
	CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni \
		CNI_NETNS=$(podman inspect "${2:-front}" --format '{{.NetworkSettings.SandboxKey}}') \
		"$CNI" <<<"{\"cniVersion\": \"1.1.0\", \"name\": \"pods\", \"type\": \"exeat-cni\"$3}"
}
id=$(podman inspect front --format '{{.Id}}')
prev=", \"prevResult\": {\"cniVersion\": \"1.1.0\", \"ips\": [{\"address\": \"$front4/24\"}, {\"address\": \"$front6/64\"}]}"
check "CHECK: the gates are the pod's" cni CHECK "$id" "$prev"
has "CHECK: not another's" "$(cni CHECK "$id" "${prev/$front4/$back4}")" '"code":104'
check "STATUS" cni STATUS "" ""
check "GC that knows no pod" cni GC "" ', "cni.dev/valid-attachments": []'
has "leaves what still stands" "$(agent_ask '{"op":"endpoint.list"}')" '"name":"front"'
check "DEL" cni DEL "$id" ""
has "CHECK: no gates, no success" "$(cni CHECK "$id" "$prev")" '"code":101.*not-found'
hasnt "and nothing passes without them" "$(get front -m 5 "http://$back4/ping")" pong
check "ADD again" cni ADD "$id" "$prev, \"labels\": {\"app\": \"front\"}"
has "and it does" "$(get front "http://$back4/ping")" pong

check "a container stops and starts" sh -c 'podman stop -t 0 front && podman start front'
has "with its gates" "$(get front "http://$back4/ping")" pong
has "both of them" "$(get front "http://$back4/other")" ' 403$'

# ---- going ----

check "containers go" podman rm -f -t 0 plain none
hasnt "their endpoints with them" "$(agent_ask '{"op":"endpoint.list"}')" '"name":"(plain|none)"'
agent_down KILL
check "a container goes without the agent" podman rm -f -t 0 front
out=$(box --rm --label app=plain localhost/box echo RAN 2>&1)
refuse "and none comes" grep -q RAN <<<"$out"
hasnt "what ran stays confined" "$(get molt-one http://llm-gateway:8080/v1/other)" 'test-model'
check "the agent comes back" agent_up
has "and the pod is served again" "$(get molt-one http://llm-gateway:8080/v1/models)" 'test-model.* 200$'
collected() { ! agent_ask '{"op":"endpoint.list"}' | grep '"name":"front"' >/dev/null; }
check "what went meanwhile is collected" world_wait 60 collected

# ---- killed at any point of a start ----

sniff_start killed
for _ in 1 2 3 4 5 6; do
	(
		trap - EXIT
		sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
		kill -9 "$(cat "$WORLD/pid/agent")"
	) &
	box --rm --label app=plain localhost/box sh -c 'for i in 1 2 3; do
		nc -w 1 203.0.113.66 80 </dev/null & nc -w 1 2001:db8:113::66 80 </dev/null & done; wait' >/dev/null 2>&1
	wait $!
	agent_down KILL
	check "killed, and back" agent_up
done
sniff_stop killed
same "an agent that is killed while containers start lets no packet out" \
	"$(sniff_print killed 'host 203.0.113.66 or host 2001:db8:113::66')" ""
has "and comes back whole" "$(get molt-one http://llm-gateway:8080/v1/models)" 'test-model.* 200$'

# ---- closed instead of failed ----

agent_down
podman_network pods cni0 $POD4.0/24 ${POD6}:/64 false '"onAgentDown": "closed"'
sniff_start closed
check "with onAgentDown: closed a container starts without the agent" \
	box -d --name later --label app=plain localhost/box sh -c 'while :; do nc -w 1 203.0.113.50 7777 </dev/null; done; sleep 1000'
sleep 1
sniff_stop closed
same "and sends nothing" "$(sniff_print closed "src host $(ip_of later 4) or src host $(ip_of later 6)")" ""
check "the agent comes" agent_up
check "and is given what waits" "$CNI" adopt
greeted() { podman exec later hello "$ECHO4" 7777 2>&1 | grep hello >/dev/null; }
check "then its policy holds" world_wait 60 greeted # its kernel asks again for a neighbour that did not answer
hasnt "and nothing else" "$(get later http://203.0.113.66/)" evil

tap_done
