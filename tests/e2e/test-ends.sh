#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The ends of connections that are carried unread: what was said arrives whole, an end says nothing about
# the other way, and what was broken off does not look like a whole.

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

for family in 4 6; do
	declare -n echo_=ECHO$family
	world_daemon ends$family python3 "$TOP/tests/e2e/clients/ends.py" serve "$echo_" 8090
	world_wait 60 nc -z "$echo_" 8090
	out=$(confined l4 python3 "$TOP/tests/e2e/clients/ends.py" ask "$echo_" 8090 2>&1)
	for case in whole slowly small 'server first' 'client after it' 'client first' 'client first, at once' 'broken off' urgent 'urgent in bulk'; do
		has "IPv$family: $case" "$out" "^$case: as it was$"
	done
done

tap_done
