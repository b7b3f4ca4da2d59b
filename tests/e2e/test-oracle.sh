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
/usr/bin/python3 -B "$(dirname "$0")/../lib/oracle" "$folder" "$COUNT" "$SEED" || exit 1

# A point is called "N …" after its policy; that of a policy that is refused after its file.
"$EXEAT" policy test "$folder" >"$folder/out" 2>"$folder/err"
declare -A wrong
while read -r n; do
	wrong[$n]=1
done < <(sed -nE 's/^not ok [0-9]+ - (.*\/p)?([0-9]+).*/\2/p' "$folder/out")
for ((i = 0; i < COUNT; i++)); do
	if [ "${wrong[$i]-}" ]; then
		tap_not_ok "policy $i" "$(cat "$folder/p$i.yaml")" "$(grep "/p$i\.yaml" "$folder/err")" \
			"$(grep -A2 -E "^not ok [0-9]+ - $i " "$folder/out")"
	else
		tap_ok "policy $i"
	fi
done
check "they are judged by thousands of flows" [ "$(grep -c '^ok' "$folder/out")" -gt $((COUNT * 20)) ]
tap_done
