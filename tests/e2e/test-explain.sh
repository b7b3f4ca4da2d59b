#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `exeat policy explain` and the live gates agree, verdict and reason, on random requests.
# SEED=… for others, COUNT=… for more.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up
SEED=${SEED:-4} COUNT=${COUNT:-200}
TOOL=$CLIENTS/explain.py
echo "# SEED=$SEED COUNT=$COUNT"

names=(a.explain.test b.explain.test one.wild.explain.test two.wild.explain.test denied.explain.test)
world_cert explain "${names[@]}" other.test
names+=('' other.test)
for i in "${!names[@]}"; do
	[ -n "${names[i]}" ] || continue
	world_name "${names[i]}" 203.0.113.$((101 + i))
	world_name "${names[i]}" 2001:db8:113::$((101 + i))
done
world_daemon explain python3 "$TOOL" serve "$WORLD/tls/explain.pem" "$WORLD/tls/explain.key"
check "the servers are there" world_wait 60 nc -z 2001:db8:113::106 7777

SECRETS=$WORLD/secrets
mkdir -p "$SECRETS/default"
echo 'Bearer right' >"$SECRETS/default/token"
chmod -R go= "$SECRETS"

for policy in "$POLICIES"/explain/*.yaml; do
	name=$(basename "$policy" .yaml) kind=any
	case $name in requests | lists) kind=http ;; esac
	made=("$SEED$((n += 1))" "$COUNT" "$kind")
	# shellcheck disable=SC2016 # expands inside
	check "$name: the requests are sent" sh -c '"$@" >"$0"' "$WORLD/tmp/$name" \
		"$EXEAT" run -p "$policy" --secrets "$SECRETS" --log "$WORLD/log/$name" -q -- \
		python3 "$TOOL" ask "${made[@]}"
	tap_import "$(python3 "$TOOL" judge "${made[@]}" "$EXEAT" "$policy" "$WORLD/log/$name" --secrets "$SECRETS" \
		<"$WORLD/tmp/$name" 2>&1 | sed "s/^\(.*ok - \)/\1$name: /")"
done

tap_done
