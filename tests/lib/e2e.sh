# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the end-to-end tests share. A test file begins:
#
#   . "$(dirname "$0")/../lib/e2e.sh"
#   world_enter "$@"; world_up

. "$(dirname "${BASH_SOURCE[0]}")/world.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

AGENT=$TOP/examples/llm-agent
POLICIES=$TOP/tests/e2e/policies
CLIENTS=$WORLD/clients
CHAT=https://api.openai.com/v1/chat/completions
# shellcheck disable=SC2089,SC2090 # JSON, quotes and all
ASK='{"model":"test-model","messages":[{"role":"user","content":"may I leave?"}]}'
# shellcheck disable=SC2090
export AGENT POLICIES CLIENTS CHAT ASK

if [ ! -x "$EXEAT" ]; then
	echo "1..1"
	echo "not ok 1 - $EXEAT is built"
	exit 1
fi

# Node clients' packages come from outside, so this is called before world_enter.
npm_packages() {
	EXEAT_NPM=${EXEAT_NPM-$("$TOP/tests/lib/npm.sh")} || EXEAT_NPM=
	export EXEAT_NPM
}

need_npm() { # WHAT is not tested without
	if [ -z "$EXEAT_NPM" ]; then
		tap_skip "$1" "the package registry can not be reached"
		tap_done
	fi
}

# What a run writes down, and where one looks for it. What runs beside others has one of its own:
# audit_log=… confined … &
audit_log=$WORLD/log/audit

# A run that never began shows nothing, which is what many a test looks for: it fails in the end.
begun() { # STATUS COMMAND…
	case $1 in
	125 | 126 | 127) [ -s "$audit_log" ] || echo "$*" >>"$WORLD/log/not-begun" ;;
	esac
	return "$1"
}

tap_last() {
	[ ! -e "$WORLD/log/not-begun" ] || tap_not_ok "every run has begun" "$(cat "$WORLD/log/not-begun")"
}

# exeat run with the seed policy; the audit log is truncated first. run_args: more options of run.
run_args=()
agent() { # COMMAND…
	: >"$audit_log"
	"$EXEAT" run "${run_args[@]}" -p "$AGENT/policy.yaml" -l app=moltbot-agent --endpoints "$AGENT/endpoints.yaml" \
		--log "$audit_log" -q -- "$@"
	begun $? "$@"
}

# the same with a policy of tests/e2e/policies
confined() { # POLICY-NAME COMMAND…
	: >"$audit_log"
	"$EXEAT" run "${run_args[@]}" -p "$POLICIES/$1.yaml" --log "$audit_log" -q -- "${@:2}"
	begun $? "$@"
}

# The lines of the audit log that match every pattern given.
audit() { # REGEX…
	local text re
	text=$(cat "$audit_log")
	for re; do
		text=$(grep -E -- "$re" <<<"$text")
	done
	[ -n "$text" ] && printf '%s\n' "$text"
}

# audited DESCRIPTION REGEX…: a record says so. (A run's log is whole when it ends, an agent's is written soon.)
audited() {
	local what=$1
	shift
	if world_wait 60 audit "$@"; then
		tap_ok "$what"
	else
		tap_not_ok "$what" "no record matches: $*" "$(tail -n 12 "$audit_log")"
	fi
}

reason() { # WORD: as a pattern, for the audit log and for the body of a refusal
	printf '"(reason|code)": ?"%s"' "$1"
}

# What the servers wrote down, also where it is no text: of that grep shows nothing by itself.
arrived() {
	world_settle
	grep -ahvF /settle- "$WORLD"/log/*.seen | tr -d '\0'
}

# Nothing reached a server: no log of one has a line that matches.
unseen() { # DESCRIPTION REGEX
	hasnt "$1" "$(arrived)" "$2"
}

seen() { # DESCRIPTION REGEX
	has "$1" "$(arrived)" "$2"
}

asked() { # NAME: the world's resolver was asked for it
	grep -qiF " $1. " "$WORLD/log/unbound.out"
}

# The ends of what was written down, when a point has failed.
tap_context() {
	tail -n 15 "$WORLD"/log/{agent,agent.out,audit,nginx.error} 2>/dev/null | cut -c1-600
}

# at_once DESCRIPTION SECONDS STARTED: a refusal comes by message, not by timeout. What was started would
# have waited for twice as long.
at_once() {
	local took
	took=$(awk -v a="$3" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.2f", b - a}')
	if awk -v t="$took" -v m="$2" 'BEGIN {exit !(t < m)}'; then
		tap_ok "$1"
	else
		tap_not_ok "$1" "took ${took}s, limit ${2}s"
	fi
}
