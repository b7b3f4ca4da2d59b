#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `exeat policy test` and an oracle that shares no code with it agree about what random policies mean.
# SEED=… for others, COUNT=… for more.

. "$(dirname "$0")/../lib/tap.sh"
SEED=${SEED:-1} COUNT=${COUNT:-200}
EXEAT=${O:-build}/exeat
echo "# SEED=$SEED COUNT=$COUNT"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
/usr/bin/python3 "$(dirname "$0")/../lib/cnp_oracle.py" "$folder" "$COUNT" "$SEED" || exit 1

for ((i = 0; i < COUNT; i++)); do
	if out=$("$EXEAT" policy test "$folder/p$i.test.yaml" 2>&1); then
		tap_ok "policy $i"
	else
		tap_not_ok "policy $i" "$(cat "$folder/p$i.yaml")" "$(grep -A2 '^not ok' <<<"$out")"
	fi
done
tap_done
