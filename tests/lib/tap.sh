# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# TAP for shell tests. Sourced; a test ends with `tap_done`.

tap_n=0 tap_bad=0

tap_ok() { # DESCRIPTION
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1"
}

tap_not_ok() { # DESCRIPTION [DETAIL…]
	tap_n=$((tap_n + 1))
	tap_bad=$((tap_bad + 1))
	echo "not ok $tap_n - $1"
	shift
	local detail
	for detail; do
		tail -n 40 <<<"$detail" | sed 's/^/#   /'
	done
}

tap_skip() { # DESCRIPTION REASON
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}

# What a test has to add, where somebody has defined it: tap_last, in the end; tap_context, to failures.
tap_done() {
	! declare -F tap_last >/dev/null || tap_last
	[ $tap_bad -eq 0 ] || ! declare -F tap_context >/dev/null || tap_context 2>&1 | sed 's/^/#   | /'
	echo "1..$tap_n"
	[ $tap_bad -eq 0 ]
	exit
}

# Takes over the points of a client that prints TAP itself: "ok - what", "not ok - what", and "1..N"
# in the end, without which it did not come to its end. A client that prints no plan: N here, or "-"
# when the caller checks the end by itself.
tap_import() { # TEXT [N]
	local line before=$tap_n planned=${2-}
	while IFS= read -r line; do
		case $line in
		"ok - "*) tap_ok "${line#ok - }" ;;
		"not ok - "*) tap_not_ok "${line#not ok - }" ;;
		1..*) planned=${line#1..} ;;
		*) printf '#   %s\n' "$line" ;;
		esac
	done <<<"$1"
	[ "$planned" != - ] || return 0
	if [ "${planned:-0}" -eq 0 ] || [ $((tap_n - before)) -ne "$planned" ]; then
		tap_not_ok "the client came to its end" "${planned:-no} points announced, $((tap_n - before)) seen"
	fi
}

# check DESCRIPTION COMMAND…: the command succeeds
check() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		tap_ok "$what"
	else
		tap_not_ok "$what" "$ $*" "exit $?" "$out"
	fi
}

# refuse DESCRIPTION COMMAND…: the command fails
refuse() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		tap_not_ok "$what" "$ $*" "succeeded" "$out"
	else
		tap_ok "$what"
	fi
}

# same DESCRIPTION GOT WANTED
same() {
	if [ "$2" = "$3" ]; then
		tap_ok "$1"
	else
		tap_not_ok "$1" "got:    $2" "wanted: $3"
	fi
}

# has DESCRIPTION TEXT EXTENDED-REGEX
has() {
	if grep -qE -- "$3" <<<"$2"; then
		tap_ok "$1"
	else
		tap_not_ok "$1" "no match for: $3" "in:" "$2"
	fi
}

# hasnt DESCRIPTION TEXT EXTENDED-REGEX
hasnt() {
	if grep -qE -- "$3" <<<"$2"; then
		tap_not_ok "$1" "matches: $3" "$(grep -E -- "$3" <<<"$2" | cut -c1-300)"
	else
		tap_ok "$1"
	fi
}
