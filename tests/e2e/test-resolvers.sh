#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A resolv.conf that changes while pods and runs are up: another resolver, which knows other addresses.

# shellcheck disable=SC2317 # functions are called by name
# shellcheck source=tests/lib/node.sh
. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

FIRST=203.0.113.10 SECOND=203.0.113.20
OTHER4=198.51.100.1
world_daemon dnsmasq dnsmasq -k -C /dev/null -u root -a $OTHER4 -I lo --bind-interfaces -R -h \
	--host-record=api.openai.com,$SECOND

conf() { # NAMESERVER…: in place
	printf 'nameserver %s\n' "$@" >"$WORLD/conf/resolv.conf"
}

ask() { # POD SERVER: the address
	in_pod "$1" dig +short +tries=1 +time=10 "@$2" api.openai.com A
}

answers() { # POD SERVER ADDRESS
	[ "$(ask "$1" "$2")" = "$3" ]
}

shows() { # PATTERN
	ex status | grep -Eq "$1"
}

follows() { # DESCRIPTION COMMAND…
	local what=$1
	shift
	if world_wait 60 "$@"; then tap_ok "$what"; else tap_not_ok "$what" "$(ex status)"; fi
}

policy_llm </dev/null
# shellcheck disable=SC2119
node_agent
check "(the other resolver is there)" world_wait 60 dig +short +tries=1 +time=5 @$OTHER4 api.openai.com A
pod_new pod1 11
endpoint pod1 app=llm >/dev/null
same "the resolver of resolv.conf is asked" "$(ask pod1 $RESOLVER4)" $FIRST
has "status names it" "$(ex status)" "^resolvers +$RESOLVER4 $RESOLVER6, as in /etc/resolv.conf\$"
same "another one does not answer" "$(ask pod1 $OTHER4 2>&1 | grep -v '^;')" ''

# ---- in place ----
conf $OTHER4
follows "a file that is written anew is followed" shows "^resolvers +$OTHER4, as in"
follows "who asks the new one is answered by the gate" answers pod1 $OTHER4 $SECOND
same "who has not heard of it is still answered, by what the new one says" "$(ask pod1 $RESOLVER4)" $SECOND
pod_new pod2 12
endpoint pod2 app=llm >/dev/null
same "so is who comes later" "$(ask pod2 $OTHER4)" $SECOND
same "and the one before is none of theirs" "$(ask pod2 $RESOLVER4 2>&1 | grep -v '^;')" ''

# ---- a file that says nothing ----
: >"$WORLD/conf/resolv.conf"
follows "an empty one changes nothing" shows '/etc/resolv.conf: it has no nameserver that can be asked'
same "names are still found" "$(ask pod1 $OTHER4)" $SECOND
has "and status warns" "$(ex status)" '^warning .*resolv.conf cannot be used'

# ---- another file in its place ----
printf 'nameserver %s\n' $RESOLVER4 >"$WORLD/conf/resolv.other"
mount --bind "$WORLD/conf/resolv.other" "$(readlink -f /etc/resolv.conf)"
follows "another file in its place is followed" shows "^resolvers +$RESOLVER4, as in"
follows "and asked" answers pod1 $RESOLVER4 $FIRST
hasnt "there is nothing to warn of" "$(ex status)" 'resolv.conf cannot be used'
umount "$(readlink -f /etc/resolv.conf)"
conf $RESOLVER4
follows "(and back)" shows "^resolvers +$RESOLVER4, as in"

# ---- what is under way ----
kill -STOP "$(cat "$WORLD/pid/unbound")"
in_pod pod1 dig +short +tries=1 +time=20 @$RESOLVER4 api.openai.com AAAA >"$WORLD/tmp/waits" 2>&1 &
waits=$!
sleep 0.3
start=$EPOCHREALTIME
conf $OTHER4
wait $waits
same "a question on its way is answered by the new one" "$?" 0
at_once "and does not wait for the old one" 4000 "$start"
hasnt "(with an answer)" "$(cat "$WORLD/tmp/waits")" 'timed out|communications error'
kill -CONT "$(cat "$WORLD/pid/unbound")"

# ---- agents to come ----
kill -STOP "$agent_pid"
conf $RESOLVER4
kill -USR2 "$agent_pid"
kill -CONT "$agent_pid"
follows "an agent that starts anew in place tells the proxies" answers pod1 $RESOLVER4 $FIRST
kill "$agent_pid"
wait "$agent_pid"
# shellcheck disable=SC2119
node_agent
follows "the next agent answers in the place of both" answers pod1 $RESOLVER4 $FIRST
same "also of the one that is none any more" "$(ask pod1 $OTHER4)" $FIRST

# ---- a run ----
cat >"$WORLD/tmp/run.sh" <<-'END'
	while [ ! -e "$1/end" ]; do
		dig +short +tries=1 +time=5 api.openai.com A >"$1/run.new" && mv "$1/run.new" "$1/run.out"
		sleep 0.1
	done
END
mkdir -m 777 "$WORLD/tmp/run"
says() { [ "$(cat "$WORLD/tmp/run/run.out" 2>&1)" = "$1" ]; }
run() { # OPTION…
	"$EXEAT" run "${run_args[@]}" -p "$AGENT/policy.yaml" -l app=moltbot-agent --endpoints "$AGENT/endpoints.yaml" "$@" -q \
		-- sh "$WORLD/tmp/run.sh" "$WORLD/tmp/run" >"$WORLD/log/run" 2>&1 &
	runs=$!
}
ends() {
	: >"$WORLD/tmp/run/end"
	wait $runs
	rm -f "$WORLD"/tmp/run/*
}
run --user nobody
follows "a run asks the resolver of resolv.conf" says $FIRST
conf $OTHER4
follows "and the other one, when that says so" says $SECOND
: >"$WORLD/conf/resolv.conf"
sleep 0.3
conf $RESOLVER4
follows "and back, over a file that said nothing" says $FIRST
has "which was told" "$(cat "$WORLD/log/run")" 'resolv.conf: it has no nameserver'
ends
run --user nobody --dns $RESOLVER4
follows "one with resolvers of its own" says $FIRST
conf $OTHER4
sleep 0.5
check "does not look there" says $FIRST
ends
run --user root
follows "one whose command is root" says $SECOND
conf $RESOLVER4
sleep 1.5
check "does not follow a file that it could write" says $SECOND
ends
conf $OTHER4
chown nobody "$WORLD/conf/resolv.conf"
run --user nobody
follows "one whose command owns the file" says $SECOND
conf $RESOLVER4
sleep 1.5
check "does not either" says $SECOND
ends
tap_done
