#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Policies at run time: files, ConfigMaps, labels; what is not valid, and what is not there.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

echo_policy() { # NAME APP PORT
	cat <<-END
		apiVersion: cilium.io/v2
		kind: CiliumNetworkPolicy
		metadata: {name: $1, namespace: default}
		spec:
		  endpointSelector: {matchLabels: {app: $2}}
		  egress:
		  - toCIDR: [$ECHO4/32]
		    toPorts: [{ports: [{port: "$3"}]}]
	END
}

http_policy() { # PATH
	cat <<-END
		apiVersion: cilium.io/v2
		kind: CiliumNetworkPolicy
		metadata: {name: http, namespace: default}
		spec:
		  endpointSelector: {matchLabels: {app: http}}
		  egress:
		  - toCIDR: [$GATEWAY4/32]
		    toPorts:
		    - ports: [{port: "8080", protocol: TCP}]
		      rules: {http: [{method: GET, path: $1}]}
	END
}

reaches() { # POD
	in_pod "$1" nc -zw60 "$ECHO4" 7777
}

follows() { # DESCRIPTION COMMAND…: without being told
	local what=$1
	shift
	if world_wait 60 "$@"; then tap_ok "$what"; else tap_not_ok "$what" "$(ex status)"; fi
}

not() { ! "$@"; }

echo_policy echo one 7777 | policy_put echo
node_agent
pod_new pod1 11
endpoint pod1 app=one >/dev/null
pod_new pod2 12
endpoint pod2 app=http >/dev/null

# ---- files ----
check "a pod may what its policy says" reaches pod1
echo_policy echo one 7776 | policy_put echo
follows "a file that is replaced is followed" not reaches pod1
echo_policy echo one 7777 >"$POLICY_DIR/echo.yaml"
follows "one that is written in place too" reaches pod1
exec 5>"$POLICY_DIR/slow.yaml"
echo_policy slow two 7776 >&5 # valid as it is, and not all of it
out=$(ex policy apply --wait 2>&1)
same "one that is still being written is not taken" $? 1
has "and it is said" "$out" 'slow.yaml: it is being written'
check "the set that was in force stays" reaches pod1
exec 5>&-
follows "it is when it is whole" sh -c "'$EXEAT' policy apply --wait --socket '$AGENT_SOCK' | grep -q ' 2 files'"
rm "$POLICY_DIR/slow.yaml"
follows "(and gone)" sh -c "'$EXEAT' policy apply --wait --socket '$AGENT_SOCK' | grep -q ' 1 files'"
out=$(ex policy apply --wait)
has "policy apply waits, and says which revision" "$out" '^revision 5, 1 files$'
out=$(ex policy apply --wait)
has "nothing new is no new revision" "$out" '^revision 5, 1 files$'

# ---- a live flow ----
exec 4< <(in_pod pod1 bash -c "exec 3<>/dev/tcp/$ECHO4/7777; while sleep 0.1; do echo x >&3 || break; read -r -t 20 l <&3 || break; echo alive; done; echo ended")
read -r -t 30 line <&4
same "a flow is open" "$line" alive
echo_policy echo one 7776 | policy_put echo
check "(policy applied)" ex policy apply --wait
end=$((SECONDS + 30)) line=
while [ $SECONDS -lt $end ] && [ "$line" != ended ]; do read -r -t 30 line <&4 || break; done
same "a rule that goes ends the flows it allowed" "$line" ended
exec 4<&-
echo_policy echo one 7777 | policy_put echo

# ---- requests ----
http_policy /v1/models | policy_put http
check "a proxy is started when a policy needs one" ex policy apply --wait
url=http://$GATEWAY4:8080
has "a request it allows is answered" "$(in_pod pod2 curl -sSm60 "$url/v1/models" 2>&1)" test-model
http_policy /other | policy_put http
check "(another one applied)" ex policy apply --wait
hasnt "in force when policy apply returns: the former request is refused" \
	"$(in_pod pod2 curl -sSm60 "$url/v1/models" 2>&1)" test-model

# ---- not valid ----
cp "$POLICY_DIR/echo.yaml" "$WORLD/tmp/good"
printf 'kind: CiliumNetworkPolicy\nspec: {}\n' | policy_put broken
out=$(ex policy apply --wait 2>&1)
same "an invalid file: policy apply fails" $? 1
has "and says where" "$out" 'broken.yaml:1:1'
check "the last valid set stays in force" reaches pod1
has "status tells" "$(ex status)" 'not valid: .*broken.yaml'
echo_policy echo one 7776 | policy_put echo
follows "nothing of a set that is not valid as a whole is taken" sh -c "'$EXEAT' status --socket '$AGENT_SOCK' | grep -qE '[2-9] times refused'"
check "also not its valid files" reaches pod1
pod_new pod3 13
check "a new endpoint gets the last valid set" endpoint pod3 app=one
check "and may what it says" reaches pod3
rm "$POLICY_DIR/broken.yaml"
follows "repaired, the new set is taken" not reaches pod1
cp "$WORLD/tmp/good" "$POLICY_DIR/echo.yaml"
follows "(and back)" reaches pod1

# ---- valid, but together too much for one endpoint ----
too_much() {
	python3 - "$POLICY_DIR" <<-'END'
		import sys
		head = """apiVersion: cilium.io/v2
		kind: CiliumNetworkPolicy
		metadata: {name: %s, namespace: default}
		spec:
		  endpointSelector: {matchLabels: {%s: "yes"}}
		  egress:
		"""
		wide = ["  - toCIDR: [10.0.0.0/8]\n    toPorts: [{ports: [{port: '%d', protocol: TCP}]}]\n" % n
		        for n in range(1, 2501)]
		many = ["  - toCIDR: [10.1.%d.%d/32]\n" % (n // 250, n % 250) for n in range(8000)]
		for name, rules in (("wide", wide), ("many", many)):
		    with open(sys.argv[1] + "/" + name + ".yaml", "w") as f:
		        f.write(head % (name, name) + "".join(rules))
	END
}
pod_new pod8 18
endpoint pod8 app=one wide=yes many=yes >/dev/null
check "(one that many policies will be for)" reaches pod8
too_much
out=$(ex policy apply --wait 2>&1)
same "each is valid, for one endpoint they are too much: policy apply fails" $? 1
has "and names it" "$out" 'default/pod8'
has "status tells" "$(ex status)" 'default/pod8.*nothing passes'
refuse "nothing passes for it" reaches pod8
check "the others go on" reaches pod1
echo_policy echo one 7776 | policy_put echo
follows "and follow what is new" not reaches pod1
cp "$WORLD/tmp/good" "$POLICY_DIR/echo.yaml"
pod_new pod9 19
out=$(endpoint pod9 wide=yes many=yes 2>&1)
same "a new one of that kind is not let in" $? 1
has "and it is said why" "$out" 'too many classes'
rm "$POLICY_DIR/wide.yaml" "$POLICY_DIR/many.yaml"
follows "repaired, it may again" reaches pod8
check "and policy apply is content" ex policy apply --wait

# ---- more names than there is room for ----
many_names() { # N
	echo_policy names one 7777
	for i in $(seq "$1"); do
		echo "  - toFQDNs: [{matchName: n$i.good.test}]"
	done
}
many_names 1024 | policy_put names
hasnt "as many rules with names as there is room for" "$(ex policy apply --wait)" warning
many_names 1025 | policy_put names
out=$(ex policy apply --wait)
has "one more: policy apply says which has none" "$out" 'default/pod1.*names.yaml:1033: .*1024 sets of rules'
has "so does status" "$(ex status)" 'default/pod1.*names.yaml:1033'
check "what there is room for is in force" reaches pod1
echo_policy names one 7777 | sed 's|toCIDR: .*|toCIDR: [10.1.2.3/24]|' | policy_put names
hasnt "what is legal and surely not meant is no warning there" "$(ex policy apply --wait)" warning
has "but in the log" "$(grep names.yaml "$WORLD/log/agent" | tail -n 1)" 'warning: .*names.yaml:7:[0-9]*: .*host bits'
rm "$POLICY_DIR/names.yaml"
hasnt "(and back)" "$(ex policy apply --wait)" warning

# ---- the node's own addresses ----
cat <<-END | policy_put world
	apiVersion: cilium.io/v2
	kind: CiliumNetworkPolicy
	metadata: {name: world, namespace: default}
	spec:
	  endpointSelector: {matchLabels: {app: world}}
	  egress: [{toEntities: [world]}]
END
check "(a pod that may go to the world)" ex policy apply --wait
pod_new pod5 15
endpoint pod5 app=world >/dev/null
check "the world it may" in_pod pod5 nc -zw60 "$EVIL4" 443
refuse "the node it may not" in_pod pod5 nc -zw20 "$OUTER4" 9009
ip addr add 198.51.100.77/24 dev up0
follows "nor an address that the node gets later" not in_pod pod5 nc -zw60 198.51.100.77 9009
ip addr del 198.51.100.77/24 dev up0
rm "$POLICY_DIR/world.yaml"

# ---- audit: what the kernel gate lets pass is recorded as what it would have denied ----
audit_policy() { # ENFORCEMENT
	cat <<-END | policy_put audit
		apiVersion: exeat.dev/v1alpha1
		kind: EgressPolicy
		metadata: {name: audit, namespace: default}
		spec:
		  endpointSelector: {matchLabels: {app: audit}}
		  enforcement: $1
		  egress: [{toCIDR: [$ECHO4/32], toPorts: [{ports: [{port: "7777"}]}]}]
		  egressDeny: [{toCIDR: [$EVIL4/32]}]
	END
	ex policy apply --wait >/dev/null
}
seen_of() { # VERDICT: of pod6
	ex observe --last 1000 --endpoint pod6 --verdict "$1" --json | grep -o '"destination_port": *443.*'
}
check "(a policy that audits)" audit_policy audit
pod_new pod6 16
endpoint pod6 app=audit >/dev/null
check "what it denies passes" in_pod pod6 nc -zw60 "$EVIL4" 443
follows "and is seen as such" seen_of AUDIT
has "with the reason and the rule" "$(seen_of AUDIT)" '"reason": *"policy-deny".*"rule": *"egressDeny'
check "what it allows passes" in_pod pod6 nc -zw60 "$ECHO4" 7777
hasnt "and is no audit" "$(ex observe --last 1000 --endpoint pod6 --verdict AUDIT --json)" 7777
audit_policy enforce
refuse "enforced, it is denied" in_pod pod6 nc -zw20 "$EVIL4" 443
follows "and seen as that" seen_of DROPPED
rm "$POLICY_DIR/audit.yaml"

# ---- labels ----
check "another label" ex endpoint label pod3 app=other
refuse "another label, other policies: at once" reaches pod3
check "the label back" ex endpoint label pod3 app=one
check "and the policies" reaches pod3
out=$(ex endpoint label pod3 reserved:host=x 2>&1)
has "a label that makes one the host is refused" "$out" 'invalid:'
check "a namespace cannot be taken by a label" ex endpoint label pod3 io.kubernetes.pod.namespace=kube-system
has "it is what it was" "$(ex endpoint show pod3)" '"io.kubernetes.pod.namespace": ?"default"'

# ---- all policies deleted ----
rm "$POLICY_DIR"/*.yaml
follows "all policies deleted: nothing is opened" not reaches pod1
check "the agent goes on" ex status # and answers when the round is over: endpoints follow one by one
refuse "to nobody" reaches pod3
kill -TERM $agent_pid
wait $agent_pid

# ---- unselected: allow ----
node_agent --unselected allow
refuse "unselected: allow opens nobody who was confined before" reaches pod1
pod_new pod4 14
check "one that never was" endpoint pod4 app=four
check "may everything" reaches pod4
check "everything" in_pod pod4 nc -zw60 "$EVIL4" 443
refuse "but metadata" in_pod pod4 nc -zw20 "$META4" 80
echo_policy four four 7776 | policy_put four
follows "until a policy selects it" not reaches pod4
rm "$POLICY_DIR/four.yaml"
check "(and goes)" ex policy apply --wait
refuse "then never again" reaches pod4
kill -TERM $agent_pid
wait $agent_pid

# ---- a ConfigMap ----
mkdir -p "$NODE/map/..v1" "$NODE/map/..v2"
echo_policy echo one 7776 >"$NODE/map/..v1/p.yaml"
echo_policy echo one 7777 >"$NODE/map/..v2/p.yaml"
ln -s ..v1 "$NODE/map/..data"
ln -s ..data/p.yaml "$NODE/map/p.yaml"
node_agent --policy-dir "$NODE/map"
refuse "a ConfigMap's policy" reaches pod1
ln -s ..v2 "$NODE/map/..data_tmp"
mv -T "$NODE/map/..data_tmp" "$NODE/map/..data"
follows "its swap is followed" reaches pod1
tap_done
