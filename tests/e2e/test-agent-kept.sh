#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The agent starts while the policy files are not valid: the last valid set is in force, as it was kept.

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

policy_llm <<'END'
  - toCIDR: [203.0.113.50/32]
    toPorts: [{ports: [{port: "7777"}]}]
END

ask() { # POD: the allowed request
	in_pod "$1" curl -sSm60 "$CHAT" -H 'content-type: application/json' -d "$ASK" 2>&1
}

killed() {
	kill -KILL $agent_pid
	wait $agent_pid 2>/dev/null
}

broken() {
	printf 'kind: CiliumNetworkPolicy\nspec: {}\n' | policy_put broken
}

node_agent
pod_new pod1 11
endpoint pod1 app=llm >/dev/null
has "the allowed request is answered" "$(ask pod1)" 'Permission to leave granted'
same "what is kept is nobody else's to read" "$(stat -c %a:%u "$NODE/run/policies")" 600:0

# ---- killed, and the files broken ----
killed
broken
node_agent
has "status says whose set is in force" "$(ex status)" 'kept from before the start'
has "and what is wrong with the files" "$(ex status)" 'broken.yaml'
has "the log too" "$(cat "$WORLD/log/agent")" 'the last valid set of the agent before'
has "the allowed request is answered" "$(ask pod1)" 'Permission to leave granted'
has "another is refused" "$(in_pod pod1 curl -sSm60 https://api.openai.com/v1/models 2>&1)" '"code": ?"http-denied"'
same "what needs no proxy passes" "$(echo hello | in_pod pod1 socat -t20 - "TCP:$ECHO4:7777" 2>&1)" hello
refuse "and what is denied does not" in_pod pod1 nc -zw20 "$EVIL4" 443
out=$(ex policy apply --wait 2>&1)
same "policy apply fails" $? 1
has "and says why" "$out" 'broken.yaml'
pod_new pod2 12
check "a new endpoint is let in" endpoint pod2 app=llm
has "by the same set" "$(ask pod2)" 'Permission to leave granted'

# ---- as after a boot: nothing is pinned, nothing runs ----
killed
rm -rf "$NODE/bpf/exeat"
node_agent
has "nothing pinned: the request is answered" "$(ask pod1)" 'Permission to leave granted'
refuse "what is denied is not" in_pod pod1 nc -zw20 "$EVIL4" 443

# ---- repaired ----
rm "$POLICY_DIR/broken.yaml"
check "repaired, the files are taken" ex policy apply --wait
hasnt "and status has nothing to say" "$(ex status)" 'kept from before'

# ---- not what was kept last, but what was valid last ----
policy_llm </dev/null
check "(a rule taken back)" ex policy apply --wait
killed
broken
node_agent
refuse "what was taken back stays so" in_pod pod1 nc -zw20 "$ECHO4" 7777
has "the rest is in force" "$(ask pod1)" 'Permission to leave granted'

# ---- a directory that is mounted later ----
killed
mv "$POLICY_DIR" "$POLICY_DIR.later"
node_agent --unselected allow
has "no policy directory: that is said" "$(ex status)" 'policies is not there: create it'
has "the kept set is in force" "$(ask pod1)" 'Permission to leave granted'
refuse "nothing is opened" in_pod pod1 nc -zw20 "$EVIL4" 443
mv "$POLICY_DIR.later" "$POLICY_DIR"
rm "$POLICY_DIR/broken.yaml"
check "once it is there it is taken" world_wait 60 sh -c "! \"$EXEAT\" status --socket \"$AGENT_SOCK\" | grep 'kept from'"
mv "$POLICY_DIR" "$POLICY_DIR.later"
out=$(ex policy apply --wait 2>&1)
same "when it goes, policy apply fails" $? 1
has "and says why" "$out" 'is not there'
refuse "what was in force stays" in_pod pod1 nc -zw20 "$EVIL4" 443
killed
node_agent --unselected allow
refuse "also for the next agent" in_pod pod1 nc -zw20 "$EVIL4" 443
mv "$POLICY_DIR.later" "$POLICY_DIR"
check "(it is there again)" ex policy apply --wait

# ---- what passes, although nothing in the directory changes ----
policy_llm <<'END'
  - toCIDR: [203.0.113.50/32]
    toPorts: [{ports: [{port: "7777"}]}]
END
mv "$POLICY_DIR/llm.yaml" "$WORLD/tmp/elsewhere.yaml"
ln -s "$WORLD/tmp/elsewhere" "$POLICY_DIR/llm.yaml"
out=$(ex policy apply --wait 2>&1)
same "a file that cannot be opened: policy apply fails" $? 1
has "and says why" "$out" 'llm.yaml: No such file'
refuse "what was in force stays" in_pod pod1 nc -zw20 "$ECHO4" 7777
sleep 2.5
same "it is told once" "$(grep -c 'cannot be taken yet.*llm.yaml' "$WORLD/log/agent")" 1
chmod o+w "$WORLD/tmp/elsewhere.yaml"
mv "$WORLD/tmp/elsewhere.yaml" "$WORLD/tmp/elsewhere"
check "attack 122: nor is one taken that anybody may write" \
	world_wait 60 grep -q 'cannot be taken yet.*llm.yaml: anybody may write' "$WORLD/log/agent"
chmod o-w "$WORLD/tmp/elsewhere"
check "it is tried again until it can be" world_wait 60 in_pod pod1 nc -zw1 "$ECHO4" 7777
rm "$POLICY_DIR/llm.yaml"

# ---- what was kept is of other directories ----
mkdir "$NODE/run/policies.new" # in the way
policy_llm <<'END'
  - toCIDR: [203.0.113.50/32]
    toPorts: [{ports: [{port: "7777"}, {port: "7776"}]}]
END
check "(a set that cannot be kept)" ex policy apply --wait
has "cannot be kept: that is said" "$(ex status)" 'cannot be kept for the next start'
rmdir "$NODE/run/policies.new"
check "(another round)" ex endpoint label pod1 round=2
hasnt "the next round keeps it" "$(ex status)" 'cannot be kept'
killed
broken
node_agent --policy-dir "$NODE/nowhere" --audit-file "$WORLD/log/audit"
has "it is from other directories: that is said" "$(ex status)" 'no valid set was kept'
check "what is in the kernel stays" in_pod pod1 nc -zw20 "$ECHO4" 7777
refuse "what it denies, too" in_pod pod1 nc -zw20 "$EVIL4" 443
audited "and is on record" '"deny"' "$(reason default-deny)" '"default/pod1"' "\"dst\":\"$EVIL4\""
has "and nobody says that it is closed" "$(ex endpoint list)" 'degraded .*default/pod1 '
check "by health, too" world_wait 60 sh -c 'curl -sSm60 http://127.0.0.1:9964/healthz | grep -q "nobody is let in"'
sleep 2.5 # it is looked for again each second
same "in the log, too, and once" "$(grep -c 'from other directories' "$WORLD/log/agent")" 1
killed
node_agent
has "by its own it is in force" "$(ex status)" 'kept from before the start'
check "as it was" in_pod pod1 nc -zw60 "$ECHO4" 7777

# ---- all policies deleted ----
rm -f "$POLICY_DIR"/*.yaml
check "(all policies deleted)" ex policy apply --wait
killed
broken
node_agent --unselected allow
refuse "then nothing is opened" in_pod pod1 nc -zw20 "$EVIL4" 443
refuse "nor what was allowed before" in_pod pod1 nc -zw20 "$ECHO4" 7777

# ---- what was kept cannot be read ----
killed
truncate -s 40 "$NODE/run/policies"
node_agent
has "what was kept is broken: that is said" "$(cat "$WORLD/log/agent")" 'cannot be used'
has "in status, too" "$(ex status)" 'no valid set was kept'
refuse "nothing is opened" in_pod pod1 nc -zw20 "$EVIL4" 443
pod_new pod3 13
refuse "and nobody is let in" endpoint pod3 app=llm

# ---- a folder of secrets that comes late ----
killed
rm -f "$POLICY_DIR"/*.yaml # broken ones
policy_llm </dev/null
node_agent --secrets-dir "$NODE/secrets"
has "no folder of secrets: that is said" "$(ex status)" "not valid: $NODE/secrets: no folder of secrets"
refuse "nobody is let in without it" endpoint pod3 app=llm
mkdir "$NODE/secrets"
check "when it is there, they are" world_wait 60 endpoint pod3 app=llm

tap_done
