#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ingress of policies on a node: who may open flows to a pod, at which port; all others may not.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

web4=10.88.0.11 web6=fd00:88::11

# To pod web: prints what it says back, which may take SECONDS.
ask() { # SECONDS NETNS FAMILY PORT [udp]
	local to=$web4 from=$ECHO4
	[ "$3" = 4 ] || to=$web6 from=$ECHO6
	[ "$2" = net ] || from=
	ip netns exec "$2" python3 "$CLIENTS/hello.py" "${5:-tcp}" "$to" "$4" "$1" $from 2>/dev/null
}

says() { # ANSWER DESCRIPTION NETNS PORT [udp]: both families, at the same time: who is denied waits
	local family pids=() seconds=20
	[ -n "$1" ] || seconds=2
	for family in 4 6; do
		ask $seconds "$3" $family "${@:4}" >"$NODE/said$family" &
		pids+=($!)
	done
	wait "${pids[@]}"
	for family in 4 6; do
		same "IPv$family: $2" "$(cat "$NODE/said$family")" "$1"
	done
}

opens() { # DESCRIPTION NETNS PORT [udp]
	says hello "$@"
}

closed() { # DESCRIPTION NETNS PORT [udp]
	says "" "$@"
}

# egress of the clients is open, and says nothing about ingress
policy_put clients <<'END'
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: clients, namespace: default}
spec:
  endpointSelector: {matchLabels: {role: client}}
  egress: [{toEntities: [all]}]
END

ingress_policy() { # PORT [EGRESS]: good may come to it, and echo, but for 8082
	cat <<-END
		apiVersion: cilium.io/v2
		kind: CiliumNetworkPolicy
		metadata: {name: web, namespace: default}
		spec:
		  endpointSelector: {matchLabels: {app: web}}
		  ${2-}
		  ingress:
		  - fromEndpoints: [{matchLabels: {app: good}}]
		    toPorts: [{ports: [{port: "$1", endPort: 8083, protocol: TCP}]}]
		  - fromCIDR: [$ECHO4/32, "$ECHO6/128"]
		    toPorts: [{ports: [{port: "$1", endPort: 8083, protocol: TCP}]}]
		  ingressDeny:
		  - fromEntities: [world]
		    toPorts: [{ports: [{port: "8082", protocol: TCP}]}]
	END
}

pod_new web 11
pod_new good 12
pod_new bad 13
audit_log=$NODE/audit
node_agent --audit-file "$audit_log"
endpoint web app=web >/dev/null
endpoint good app=good role=client >/dev/null
endpoint bad app=bad role=client >/dev/null
for port in 8079 8080 8081 8082; do
	in_pod web socat "TCP6-LISTEN:$port,ipv6only=0,fork,reuseaddr" EXEC:cat 2>/dev/null &
	world_wait 60 in_pod web nc -z 127.0.0.1 $port
done
in_pod web socat UDP4-LISTEN:8080,fork,reuseaddr EXEC:cat 2>/dev/null &
in_pod web socat UDP6-LISTEN:8080,ipv6only=1,fork,reuseaddr EXEC:cat 2>/dev/null &
served() { [ "$(in_pod web ss -Hlnu "sport = :8080" | wc -l)" -eq 2 ]; }
world_wait 60 served

opens "without a policy about ingress a pod serves" bad 8080
opens "by UDP, too" bad 8080 udp
opens "the world, too" net 8080

ingress_policy 8080 | policy_put web
check "a policy with ingress is put in force" ex policy apply --wait
opens "who may come is answered" good 8080
opens "by CIDR, too" net 8080
closed "another endpoint is not" bad 8080
closed "nor another port of who may" good 8079
closed "nor another protocol" good 8080 udp
closed "nor one of the world" net 8079
opens "a port beside the denied one" net 8081
closed "a deny beats the allow" net 8082
opens "but not those it is not about" good 8082
audited "the rule that denied is on record" '"rule":"ingressDeny\[0\].toPorts\[0\]"'
audited "as ingress" '"direction":"ingress".*"rule":"ingressDeny'
out=$(ex observe --last 1000 --endpoint web --json)
has "who watches sees the pod as its destination" "$out" '"destination":{[^}]*"pod_name":"web".*"traffic_direction":"INGRESS"'
hasnt "and never as its source" "$out" '"source":{[^}]*"pod_name":"web".*"traffic_direction":"INGRESS"'
audited "and what no rule allowed" "$(reason default-deny)"
refuse "the node is nobody special" nc -zw3 $web4 8080
refuse "the pod opens nothing by what may come in" in_pod web nc -zw20 10.88.0.12 22
refuse "to nobody" in_pod web nc -zw20 "$ECHO4" 7777

# ---- a live flow ----
exec 4< <(in_pod good bash -c "exec 3<>/dev/tcp/$web4/8080; while sleep 0.1; do echo x >&3 || break; read -r -t 20 l <&3 || break; echo alive; done; echo ended")
read -r -t 30 line <&4
same "a flow came in" "$line" alive
ingress_policy 8081 | policy_put web
check "(the port is taken away)" ex policy apply --wait
end=$((SECONDS + 30)) line=
while [ $SECONDS -lt $end ] && [ "$line" != ended ]; do read -r -t 30 line <&4 || break; done
same "a rule that goes ends the flows it let in" "$line" ended
exec 4<&-
closed "and lets no new one in" good 8080
opens "what it leaves stays" good 8081

# ---- with a proxy ----
ingress_policy 8080 "egress: [{toCIDR: [$GATEWAY4/32], toPorts: [{ports: [{port: '8080', protocol: TCP}], rules: {http: [{method: GET, path: /v1/models}]}}]}]" |
	policy_put web
check "a policy that needs the proxy as well" ex policy apply --wait
has "what the pod asks goes by it" "$(in_pod web curl -sSm60 "http://$GATEWAY4:8080/v1/models" 2>&1)" test-model
opens "behind a proxy: who may come is answered" good 8080
opens "by CIDR, too" net 8080
closed "another endpoint is not" bad 8080
closed "nor another port" good 8079
closed "denied is denied" net 8082
ingress_policy 8081 "egress: [{toCIDR: [$GATEWAY4/32], toPorts: [{ports: [{port: '8080', protocol: TCP}], rules: {http: [{method: GET, path: /v1/models}]}}]}]" |
	policy_put web
check "(the port is taken away)" ex policy apply --wait
closed "behind a proxy: a rule that goes lets nobody in" good 8080
opens "the other stays" good 8081

# ---- Kubernetes ----
policy_put web <<'END'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: good}}}]
    ports: [{port: 8080}]
END
check "(NetworkPolicy applied)" ex policy apply --wait
opens "NetworkPolicy: who may come is answered" good 8080
closed "others are not" bad 8080
closed "nor is the world" net 8080
closed "nor another port" good 8081

# ---- the agent starts anew; what cannot be enforced ----
kill -KILL $agent_pid
wait $agent_pid
closed "with the agent dead the kernel gate goes on" bad 8080
opens "(both ways)" good 8080
node_agent
closed "the agent started again: the same" bad 8080
opens "(both ways again)" good 8080
policy_put web <<'END'
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: web}}
  ingress:
  - toPorts:
    - ports: [{port: "8080", protocol: TCP}]
      rules: {http: [{method: GET}]}
END
out=$(ex policy apply --wait 2>&1)
same "L7 rules on ingress are refused" $? 1
has "by name and place" "$out" 'web.yaml:9:7: .*rules'
closed "and the policy before stays in force" bad 8080
rm "$POLICY_DIR/web.yaml"
check "no policy about ingress any more" ex policy apply --wait
opens "it serves as it did" bad 8080
tap_done
