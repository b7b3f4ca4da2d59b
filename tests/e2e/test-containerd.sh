#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods of real containerd, made as a kubelet makes them, behind the DaemonSet of examples/kubernetes: its
# containers are containerd's too, with what their manifest gives them. Labels by annotation, two policies
# side by side, a hostile root, ports of the node, starts that fail, containerd and the agent away.

. "$(dirname "$0")/../lib/containerd.sh"
containerd_enter "$@"
ip netns exec net ip addr add 203.0.113.7/32 dev lo # a client of services

check "containerd starts" containerd_up
check "an image is brought in" containerd_import box
check "and the arsenal" containerd_import tools
check "the kubelet's part" kubelet_up
[ $tap_bad -eq 0 ] || tap_done # nothing else could be told

daemonset() { # CONTAINER: its ContainerConfig
	/usr/bin/python3 "$CLIENTS/daemonset.py" cri "$TOP/examples/kubernetes" "$1" "$NODE/k8s"
}
daemon=exeat/exeat-agent
on_node='{"linux": {"security_context": {"namespace_options": {"network": "NODE", "pid": "NODE"}}}}'
labels() { # LABEL,…: as an annotation, beside one of kubectl's
	printf '"annotations": {"exeat.dev/labels": "%s", "kubectl.kubernetes.io/last-applied-configuration": %s}' "$1" \
		'"{\"a\": \"<&>\\u0000\\n\\u00e4\"}\n"'
}
audit_log=$NODE/k8s/var/log/exeat/audit.jsonl

# ---- the DaemonSet ----

check "the DaemonSet's pod, on the node's network" kubelet sandbox "$daemon" "$on_node"
check "its agent" kubelet container "$daemon" agent "$(daemonset agent)"
probed() { kubelet exec "$daemon" agent /usr/sbin/exeat status; }
check "its probe succeeds" world_wait 60 probed
check "its installer" kubelet container "$daemon" install-cni "$(daemonset install-cni)"
refuse "there is no network yet" kubelet ready
kubelet cidr "$POD4.0/24,${POD6}:/64" >/dev/null
conflist=$NET_D/10-containerd-net.conflist
chained() { grep '"type":"exeat-cni"' "$conflist" && kubelet ready; }
check "containerd writes its configuration, and the plugin joins it" world_wait 60 chained
kubelet cidr "$POD4.0/24,${POD6}:/64" >/dev/null
check "it stays there when the kubelet says its range again" chained
[ $tap_bad -eq 0 ] || tap_done

config_map() { # NAME: takes over what is in $NODE/new, as the kubelet does
	local map=$NODE/k8s/configmap/$1 now=..$RANDOM$RANDOM f
	cp -r "$map/..data/" "$map/$now"
	cp -r "$NODE/new/." "$map/$now/"
	ln -s $now "$map/..new"
	mv -T "$map/..new" "$map/..data"
	for f in "$NODE"/new/*; do
		ln -sfn "..data/${f##*/}" "$map/${f##*/}"
	done
	rm -rf "$NODE/new"
}
mkdir -p "$NODE/new"
cp "$POLICIES/podman/pods.yaml" "$NODE/new/"
config_map exeat-policies
check "a changed ConfigMap is taken" agent_ask '{"op":"policy.apply","wait":true}'
has "(whole)" "$(agent_ask '{"op":"policy.list"}')" 'pods.yaml'

left() { # what a pod could leave on the node
	find /run/exeat /sys/fs/bpf /run/netns /var/lib/cni/results "$NODE/ipam" -type f ! -name last\* ! -name lock 2>/dev/null | sort
	ip -br link | awk '$1 != "cni0" {print $1}'
	nft list ruleset 2>/dev/null | grep -E "$POD4|$POD6"
}
left >"$WORLD/tmp/left.before"

# ---- labels ----

trust='"image": {"image": "localhost/box"}, "mounts": [{"container_path": "/exeat.pem", "readonly": true,
	"host_path": "'$NODE'/k8s/var/lib/exeat/trust.pem"}]'
plain=(curl -sS -m 60 -w ' %{http_code}')
ask=("${plain[@]}" --cacert /exeat.pem)
chat=("${ask[@]}" -d "$ASK" "$CHAT")
check "a pod, its labels in the annotation" pod agents/llm "$(labels app=llm-agent)" "$trust"
check "one whose annotation is a letter off" pod agents/off "$(labels app=llm-agenu)" "$trust"
check "one with Kubernetes' own labels alone" pod agents/own '"labels": {"app": "llm-agent"}' "$trust"
check "one of another namespace" pod agentt/llm "$(labels app=llm-agent)" "$trust"
has "the agent knows it by name, namespace and label" "$(agent_ask '{"op":"endpoint.show","name":"llm","namespace":"agents"}')" \
	'"labels":\{"app":"llm-agent"'
has "allowed: by the cluster's DNS, a search list, its own authority" "$(in_pod agents/llm "${chat[@]}")" 'may I leave.* 200$|choices.* 200$'
has "not another method" "$(in_pod agents/llm "${ask[@]}" "$CHAT")" ' 403$'
has "not another path" "$(in_pod agents/llm "${ask[@]}" -d "$ASK" "${CHAT}s")" ' 403$'
audited "on record: what passed" '"run":"agents/llm"' '"verdict":"allow"' '"path":"/v1/chat/completions"'
audited "on record: what did not" '"run":"agents/llm"' '"verdict":"deny"' '"path":"/v1/chat/completionss"'
hasnt "no other name" "$(in_pod agents/llm "${ask[@]}" https://evil.example/)" evil$
for pod in agents/off agents/own agentt/llm; do
	hasnt "$pod: nothing" "$(in_pod $pod "${chat[@]}" --resolve api.openai.com:443:$OPENAI4)" 'choices'
	audited "$pod: on record" '"run":"'$pod'"' '"verdict":"deny"' "\"dst\":\"$OPENAI4\""
done
for to in $META4 "[$META6]"; do
	hasnt "cloud metadata: not $to" "$(in_pod agents/llm "${ask[@]}" "http://$to/")" SECRET
done
audited "on record" '"run":"agents/llm"' '"verdict":"deny"' "\"dst\":\"$META4\""
check "a pod of the cluster's own" pod kube-system/dns
has "reaches the node" "$(in_pod kube-system/dns "${plain[@]}" http://$OUTER4:9009/)" HOST-SERVICE
has "and asks whom it likes for names" "$(in_pod kube-system/dns nslookup -type=a evil.example $RESOLVER4)" $EVIL4
hasnt "but for cloud metadata" "$(in_pod kube-system/dns "${plain[@]}" http://$META4/)" SECRET
hasnt "no other pod reaches the node" "$(in_pod agents/off "${plain[@]}" http://$OUTER4:9009/)" HOST-SERVICE
out=$(pod agents/bad '"annotations": {"exeat.dev/labels": "app"}' 2>&1)
has "an annotation that is no list of labels: the pod does not start, and why" "$out" 'not a list of labels'
pod_gone agents/bad >/dev/null

# ---- side by side ----

check "a pod that serves, and at a port of the node" pod back \
	"$(labels app=back), \"port_mappings\": [{\"host_port\": 8080, \"container_port\": 80}]" \
	'"image": {"image": "localhost/box"}, "command": ["httpd", "-f", "-vv", "-p", "80", "-h", "/www"]'
check "one that may ask it" pod front "$(labels app=front)"
check "one that may reach an address" pod plain "$(labels app=plain)"
for v in 4 6; do
	host=$(pod_ip back $v) echo=ECHO$v
	[ $v = 4 ] || host="[$host]"
	has "IPv$v: what its policy says" "$(in_pod front "${plain[@]}" "http://$host/ping")" pong
	has "IPv$v: not another path" "$(in_pod front "${plain[@]}" "http://$host/other")" ' 403$'
	hasnt "IPv$v: not its neighbour" "$(in_pod plain curl -sSm5 "http://$host/ping")" pong
	same "IPv$v: an address and port" "$(in_pod plain hello "${!echo}" 7777)" hello
	hasnt "IPv$v: not the port beside it" "$(in_pod plain hello "${!echo}" 7778)" hello
	hasnt "IPv$v: not its neighbour" "$(in_pod front hello "${!echo}" 7777)" hello
done
has "a port of the node" "$(ip netns exec net curl -sm 60 --interface 203.0.113.7 http://$OUTER4:8080/ping)" pong
sniff_start outside
in_pod front "${plain[@]}" -k https://api.openai.com/v1/models >/dev/null &
in_pod plain hello $ECHO4 7777 >/dev/null
wait $!
sniff_stop outside
front4=$(pod_ip front 4) plain4=$(pod_ip plain 4)
check "both at once, each by its own address" test "$(sniff_count outside "tcp[13] = 2 and src host $front4 and dst port 443")" -gt 0 -a \
	"$(sniff_count outside "tcp[13] = 2 and src host $plain4 and dst port 7777")" -gt 0
same "and nothing else of theirs" "$(sniff_print outside "(src host $front4 and not dst port 443) or
	(src host $plain4 and not dst port 7777)")" ""

# ---- a hostile root ----

check "a container with CAP_NET_ADMIN and CAP_NET_RAW" pod mole "$(labels app=plain)" "$(/usr/bin/python3 - "$CLIENTS" <<'END'
import json, sys
mounts = {"/usr": "/usr", "/etc/alternatives": "/etc/alternatives", "/etc/ssl": "/etc/ssl", sys.argv[1]: "/clients"}
print(json.dumps({"image": {"image": "localhost/tools"},
    "mounts": [{"host_path": a, "container_path": b, "readonly": True} for a, b in mounts.items()],
    "linux": {"security_context": {"capabilities": {"add_capabilities": ["NET_ADMIN", "NET_RAW"]}}}})[1:-1])
END
)"
mole4=$(pod_ip mole 4)
sniff_start hostile
out=$(in_pod mole python3 /clients/packets.py eth0 $OPENAI4 $OPENAI6 $EVIL4 $EVIL6)
has "it sends what it likes" "$out" '^sent destinations [1-9]'
out=$(in_pod mole bash -c "
	mac=\$(cat /sys/class/net/eth0/address); tc qdisc del dev eth0 clsact; nft flush ruleset
	ip addr add $front4/24 dev eth0; curl -ksSm1 --interface $front4 https://$OPENAI4/; ip addr del $front4/24 dev eth0
	ip route add 169.254.169.254 dev eth0; curl -sSm1 http://169.254.169.254/; ip route del 169.254.169.254
	ip link add ifb9 type ifb && ip link set ifb9 up && tc qdisc add dev eth0 clsact && tc filter add dev eth0 egress \
		matchall action mirred egress redirect dev ifb9; curl -sSm1 http://$EVIL4/; tc qdisc del dev eth0 clsact; ip link del ifb9
	ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:99; ip link set eth0 up; ip route replace default via $POD4.1
	curl -sSm1 http://$EVIL4/; ip link set eth0 down; ip link set eth0 address \$mac; ip link set eth0 up
	ip route replace default via $POD4.1; for p in 10256 9009 8080 9964; do curl -sSm1 http://$OUTER4:\$p/ http://$POD4.1:\$p/; done
	ls /run/exeat /run/netns; echo END")
sniff_stop hostile
has "it rebuilds its network" "$out" END
hasnt "and reaches nothing by it" "$out" 'evil|SECRET|HOST-SERVICE|pong|agent.sock|stolen'
same "nor does anything arrive" "$(sniff_print hostile "src net $POD4.0/24 and not (src host $mole4 and dst port 7777) and not arp" | head)" ""
same "what it may works again" "$(in_pod mole python3 /clients/hello.py tcp $ECHO4 7777 | grep -o hello | head -n 1)" hello

# ---- CHECK and GC, which this containerd does not ask for ----

id=$(agent_ask '{"op":"endpoint.show","name":"front"}' | grep -oE '"container_id":"[0-9a-f]+' | grep -oE '[0-9a-f]{64}')
cni() { # COMMAND MEMBERS: the plugin as the runtime's cache has it
	/usr/bin/python3 - "$id" "$2" <<'END' | CNI_COMMAND=$1 CNI_CONTAINERID=$id CNI_IFNAME=eth0 \
		CNI_PATH=$NODE/k8s/opt/cni/bin CNI_NETNS=$netns "$CNI"
import glob, json, sys
cached = json.load(open(glob.glob(f"/var/lib/cni/results/*{sys.argv[1]}-eth0")[0]))
print(json.dumps({"cniVersion": "1.1.0", "name": "net", "type": "exeat-cni", "prevResult": cached["result"],
    **json.loads(sys.argv[2])}))
END
}
netns=$(agent_ask '{"op":"endpoint.show","name":"front"}' | grep -oE '/var/run/netns/cni-[0-9a-f-]+')
check "CHECK: the gates are the pod's" cni CHECK '{}'
check "GC that knows no pod" cni GC '{"cni.dev/valid-attachments": []}'
has "leaves those that run" "$(agent_ask '{"op":"endpoint.list"}')" '"name":"front"'

# ---- a start that fails half way ----

left >"$WORLD/tmp/left.half"
out=$(pod broken "$(labels app=plain), \"linux\": {\"sysctls\": {\"net.ipv4.no_such_thing\": \"1\"}}" 2>&1)
has "a sandbox that fails behind its network" "$out" 'no_such_thing|no such file'
hasnt "is no endpoint" "$(agent_ask '{"op":"endpoint.list"}')" '"name":"broken"'
kubelet remove default/broken >/dev/null
same "and leaves nothing" "$(left | diff "$WORLD/tmp/left.half" -)" ""
check "the kubelet's next attempt" pod broken "$(labels app=plain)"
same "works" "$(in_pod broken hello $ECHO4 7777)" hello
pod_gone broken >/dev/null

# ---- a sandbox that dies ----

ctr -n k8s.io tasks kill -s KILL "$id"
check "the kubelet stops what is left of it" kubelet stop default/front
check "and makes another" pod front "$(labels app=front)"
has "with the gates of the first" "$(in_pod front "${plain[@]}" "http://$(pod_ip back 4)/ping")" pong
has "both of them" "$(in_pod front "${plain[@]}" "http://$(pod_ip back 4)/other")" ' 403$'

# ---- containerd restarted ----

containerd_stop KILL
has "without containerd, policies hold" "$(nsenter -t "$(pgrep -f 'httpd -f -vv')" -n curl -sSm3 http://$EVIL4/ 2>&1)" 'curl: \('
check "containerd comes back" containerd_up
check "with its network" world_wait 60 kubelet ready
has "what was allowed is" "$(in_pod front "${plain[@]}" "http://$(pod_ip back 4)/ping")" pong
has "what was denied too" "$(in_pod front "${plain[@]}" "http://$(pod_ip back 4)/other")" ' 403$'
check "a pod from before goes" pod_gone agents/own
hasnt "and its endpoint" "$(agent_ask '{"op":"endpoint.list"}')" '"name":"own"'

# ---- the agent away, and an upgrade ----

check "the agent's container ends" kubelet end "$daemon" agent
same "pods keep what needs no proxy" "$(in_pod plain hello $ECHO4 7777)" hello
hasnt "and nothing else" "$(in_pod plain hello $EVIL4 80)" hello
hasnt "what needs it is refused" "$(in_pod front "${plain[@]}" -m 5 "http://$(pod_ip back 4)/ping")" pong
sniff_start away
out=$(pod new "$(labels app=plain)" 2>&1)
has "no pod starts, and the kubelet is told why" "$out" 'exeat agent does not answer'
sniff_stop away
same "not a packet for it" "$(sniff_print away "net $POD4.0/24 or net ${POD6}:/64")" ""
hasnt "nor a sandbox that could run" "$(kubelet list)" 'default/new .* SANDBOX_READY'
check "a pod goes all the same" pod_gone agents/off
check "a new container of the agent" kubelet container "$daemon" agent "$(daemonset agent)"
check "answers" world_wait 60 probed
check "the kubelet's next attempt" pod new "$(labels app=plain)"
same "works" "$(in_pod new hello $ECHO4 7777)" hello
has "the pods from before are served" "$(in_pod front "${plain[@]}" "http://$(pod_ip back 4)/ping")" pong
collected() { ! agent_ask '{"op":"endpoint.list"}' | grep '"name":"off"' >/dev/null; }
check "what went meanwhile is collected" world_wait 60 collected

# ---- closed instead of failed ----

mkdir -p "$NODE/new"
sed 's/"onAgentDown": "fail"/"onAgentDown": "closed"/' "$NODE/k8s/configmap/exeat-config/plugin.json" >"$NODE/new/plugin.json"
config_map exeat-config
check "a changed plugin.json reaches the chain" world_wait 60 grep -q '"onAgentDown":"closed"' "$conflist"
kubelet end "$daemon" agent >/dev/null
closed() { pod later "$(labels app=plain)" || { pod_gone later; false; }; }
sniff_start closed
check "a pod starts without the agent" world_wait 60 closed
hasnt "closed" "$(in_pod later timeout 2 hello $ECHO4 7777)" hello
sniff_stop closed
same "not a packet of it" "$(sniff_print closed "src host $(pod_ip later 4) or src host $(pod_ip later 6)")" ""
check "the agent is back" kubelet container "$daemon" agent "$(daemonset agent)"
greeted() { in_pod later hello "$ECHO4" 7777 | grep hello; }
check "the installer gives it what waits" world_wait 60 greeted
hasnt "and its policy holds" "$(in_pod later hello $EVIL4 80)" hello

# ---- the end ----

gone=yes
for pod in agents/llm agentt/llm kube-system/dns back front plain mole new later; do
	pod_gone "$pod" >/dev/null || gone=$pod
done
same "all pods go" "$gone" yes
nothing_left() { [ -z "$(left | diff "$WORLD/tmp/left.before" -)" ]; }
world_wait 20 nothing_left
same "and leave nothing on the node" "$(left | diff "$WORLD/tmp/left.before" -)" ""
hasnt "the agent logs no error" "$(cat "$NODE"/logs/exeat_exeat-agent/*.log)" ' error: '

tap_done
