#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A policy that can not be enforced never starts: exit 125, the place, what is wrong, what to write.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

mark=$WORLD/tmp/started

# bad DESCRIPTION LINE WHAT-IS-SAID [FILE]: the policy on stdin is refused
bad() {
	local file=${4:-$WORLD/tmp/policy.yaml} out status
	[ -n "${4-}" ] || cat >"$file"
	rm -f "$mark"
	out=$("$EXEAT" run -p "$file" -- touch "$mark" 2>&1)
	status=$?
	same "$1: exit 125" "$status" 125
	has "$1: the place" "$out" "$file$([ -z "$2" ] || echo ":$2:[0-9]+")"
	has "$1: what is wrong" "$out" "$3"
	refuse "$1: nothing started" test -e "$mark"
}

head='apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: bad}'
doc() { # lines from stdin under spec, which is line 4
	echo "$head"
	echo "spec:"
	echo "  endpointSelector: {}"
	sed 's/^/  /'
}

# the twin that is good
doc <<<'egress: [{toCIDR: [203.0.113.50/32]}]' >"$WORLD/tmp/good.yaml"
check "a good policy starts" "$EXEAT" run -q -p "$WORLD/tmp/good.yaml" -- touch "$mark"
check "as JSON too" sh -c "python3 - >$WORLD/tmp/good.json <<'END'
import json
print(json.dumps({'apiVersion': 'cilium.io/v2', 'kind': 'CiliumNetworkPolicy', 'metadata': {'name': 'j'},
  'spec': {'endpointSelector': {}, 'egress': [{'toCIDR': ['203.0.113.50/32']}]}}))
END
$EXEAT run -q -p $WORLD/tmp/good.json -- true"

bad "an unknown field" 6 'toCidr' < <(doc <<<'egress: [{toCidr: [203.0.113.50/32]}]')
bad "an unknown field at the top" 6 'egres' < <(doc <<<'egres: []')
bad "an unknown field in a port" 8 'prot' < <(doc <<'END'
egress:
- toCIDR: [203.0.113.50/32]
  toPorts: [{ports: [{port: "1", prot: TCP}]}]
END
)
bad "a field that is not enforced" 6 'toGroups' < <(doc <<<'egress: [{toGroups: [{aws: {}}]}]')
bad "a field twice" 7 '[Dd]uplicate|twice' < <(doc <<<$'egress: [{toCIDR: [203.0.113.50/32]}]\negress: []')
bad "an empty egress list" 6 'egress' < <(doc <<<'egress: []')
bad "an egress that is null" 6 'egress' < <(doc <<<'egress:')
bad "a bad CIDR" 6 '203\.0\.113\.500' < <(doc <<<'egress: [{toCIDR: [203.0.113.500/32]}]')
bad "a prefix that is too long" 6 '/33' < <(doc <<<'egress: [{toCIDR: [203.0.113.50/33]}]')
bad "an exception outside of its CIDR" 6 'except' < <(doc <<<'egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]}]')
bad "a bad regular expression" 7 'regular expression|regex|path' < <(doc <<'END'
egress:
- toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{path: "/a("}]}}]
END
)
bad "a backreference" 7 'regular expression|regex|path' < <(doc <<'END'
egress:
- toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{path: "(a)\\1"}]}}]
END
)
bad "a port out of range" 7 '65536' < <(doc <<'END'
egress:
- toPorts: [{ports: [{port: "65536", protocol: TCP}]}]
END
)
bad "a port that is no number" 7 'ht tp' < <(doc <<'END'
egress:
- toPorts: [{ports: [{port: "ht tp", protocol: TCP}]}]
END
)
bad "a range that ends before it begins" 7 'endPort' < <(doc <<'END'
egress:
- toPorts: [{ports: [{port: "90", endPort: 80, protocol: TCP}]}]
END
)
bad "a protocol that does not exist" 7 'TPC' < <(doc <<'END'
egress:
- toPorts: [{ports: [{port: "80", protocol: TPC}]}]
END
)
bad "a name that is none" 6 'exa mple' < <(doc <<<'egress: [{toFQDNs: [{matchName: "exa mple.com"}]}]')
bad "an entity that does not exist" 6 'wrld' < <(doc <<<'egress: [{toEntities: [wrld]}]')
bad "a string where a list belongs" 6 'toCIDR' < <(doc <<<'egress: [{toCIDR: 203.0.113.50/32}]')
bad "another kind" 2 'Deployment' <<<$'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}'
bad "another version" 1 'v3' <<<$'apiVersion: cilium.io/v3\nkind: CiliumNetworkPolicy\nmetadata: {name: x}\nspec: {endpointSelector: {}}'
bad "no selector" '' 'endpointSelector|nodeSelector' <<<"$head"$'\nspec: {egress: [{toCIDR: [1.2.3.4/32]}]}'
bad "not YAML" '' '.' <<<$'a: [b\nc: }'
bad "binary" '' '.' < <(head -c 4096 /dev/urandom)
bad "empty" '' 'no policy|empty' <<<''
bad "a scalar" '' '.' <<<hello
bad "tabs" '' '[Tt]ab|YAML|scan' <<<$'apiVersion: cilium.io/v2\n\tkind: x'
bad "a bomb of aliases" '' '[Aa]lias|anchor' <<'END'
a: &a [x,x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]
END
bad "a missing file" '' 'No such file' "$WORLD/tmp/nowhere.yaml"
bad "a directory" '' '.' "$WORLD/tmp"

out=$("$EXEAT" run -p "$WORLD/tmp/good.yaml" -p "$WORLD/tmp/nowhere.yaml" -- touch "$mark" 2>&1)
same "one bad file among good ones: exit 125" $? 125
out=$("$EXEAT" run -p "$WORLD/tmp/good.yaml" --endpoints "$WORLD/tmp/nowhere.yaml" -- true 2>&1)
same "a missing endpoints file: exit 125" $? 125
out=$("$EXEAT" run -p "$WORLD/tmp/good.yaml" --upstream-ca "$WORLD/tmp/nowhere.pem" -- true 2>&1)
same "a missing CA file: exit 125" $? 125
out=$("$EXEAT" run -p "$WORLD/tmp/good.yaml" --secrets "$WORLD/tmp/nowhere" -- touch "$mark" 2>&1)
same "a missing folder of secrets: exit 125" $? 125
has "and it says so" "$out" "^$WORLD/tmp/nowhere: error: no folder of secrets: No such file"
out=$("$EXEAT" run -p "$WORLD/tmp/good.yaml" -l app=a -l app=b -- touch "$mark" 2>&1)
same "a label with two values: exit 125" $? 125
out=$("$EXEAT" run -p "$WORLD/tmp/good.yaml" --log-format text -- touch "$mark" 2>&1)
same "the format of no log: exit 125" $? 125
refuse "nothing was run" test -e "$mark"
out=$("$EXEAT" run -p "$WORLD/tmp/good.yaml" --dns not-an-address -- true 2>&1)
same "a resolver that is no address: exit 125" $? 125
out=$("$EXEAT" run -p "$WORLD/tmp/good.yaml" --log "$WORLD/no/such/dir" -- true 2>&1)
same "a log that can not be written: exit 125" $? 125
out=$(cd "$WORLD/tmp" && "$EXEAT" run -p good.yaml --log - -- touch "$mark" 2>&1)
same "a log named -: exit 125" $? 125
has "and it says what to write" "$out" '--log -: write /dev/stderr'
out=$(cd "$WORLD/tmp" && "$EXEAT" learn -o - -- touch "$mark" 2>&1)
same "a learned policy named -: exit 125" $? 125
refuse "no file of that name was made" ls "$WORLD/tmp/-" "$WORLD/tmp/-.test.yaml"
refuse "nothing was run for it" test -e "$mark"

tap_done
