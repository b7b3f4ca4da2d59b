#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The wall clock is set by hours, forward and back, while the agent runs: nothing opens, nothing that is known
# ends early, timers go on and the audit log stays whole. The clock is that of the agent, of its commands and
# of the pod's programs (libfaketime); the kernel gate and the proxies have another all the time.

. "$(dirname "$0")/../lib/node.sh"
lib=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -n 1)
if [ -z "$lib" ]; then
	echo "1..0 # SKIP not installed: faketime"
	exit 77
fi
if ldd "$EXEAT" | grep libasan >/dev/null; then
	echo "1..0 # SKIP a sanitizer wants to be the first library"
	exit 77
fi
node_enter "$@"

clock() { # OFFSET: for every program that is started by `wrong`
	echo "$1" >"$WORLD/clock.new"
	chmod 644 "$WORLD/clock.new"
	mv "$WORLD/clock.new" "$WORLD/clock"
}
wrong() { # COMMAND…
	LD_PRELOAD=$lib FAKETIME_TIMESTAMP_FILE=$WORLD/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 "$@"
}
ask() { # PATH [CURL-OPTION…]
	wrong in_pod pod1 curl -sSm60 -o /dev/null -w '%{http_code}' "https://api.openai.com$1" "${@:2}" 2>&1
}
in_force() { # the other policy, which lets pod2 speak with the echo server
	wrong ex policy apply --wait >/dev/null && in_pod pod2 nc -zw60 "$ECHO4" 7777
}
not_in_force() { ! in_pod pod2 nc -zw60 "$ECHO4" 7777; }

policy_llm </dev/null
# The authority is made first: before its time nothing that it signed is good.
clock '-10h'
"$EXEAT" audit key "$WORLD/key"
wrong node_agent --audit-file "$WORLD/audit" --audit-key "$WORLD/key"
pod_new pod1 11
pod_new pod2 12
endpoint pod1 app=llm >/dev/null
endpoint pod2 app=other >/dev/null
same "the clock is wrong" "$(($(date +%s) - $(wrong date +%s) > 35000))" 1

all() { # WHEN
	same "$1: what is allowed" "$(ask /v1/chat/completions --json "$ASK")" 200
	same "$1: what is not" "$(ask /v1/files)" 403
	refuse "$1: a pod that no policy selects" in_pod pod2 nc -zw20 "$EVIL4" 443
	refuse "$1: metadata" in_pod pod1 curl -sSm20 "http://$META4/"
	has "$1: the agent answers" "$(wrong ex status 2>&1)" '2 enforcing'
}
# Without asking for it again.
name_known() {
	same "$1: a name from before is known" \
		"$(ask /v1/chat/completions --json "$ASK" --resolve "api.openai.com:443:$OPENAI4")" 200
}

all "before"
policy_put echo <<'END'
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: echo, namespace: default}
spec:
  endpointSelector: {matchLabels: {app: other}}
  egress:
  - toCIDR: [203.0.113.50/32]
    toPorts: [{ports: [{port: "7777", protocol: TCP}]}]
END
check "a policy" world_wait 60 in_force

mkfifo "$WORLD/in"
said() { # WHAT: on the connection, and answered
	echo "$1" >&8
	world_wait 60 grep -qx -- "$1" "$WORLD/out"
}
for step in -5h -10h +9h -10h; do
	in_pod pod2 socat -t1 - "TCP:$ECHO4:7777" <"$WORLD/in" >"$WORLD/out" &
	conn=$!
	exec 8>"$WORLD/in"
	check "a connection" said before
	clock "$step"
	check "$step: goes on" said "after$step"
	exec 8>&-
	wait $conn
	name_known "$step"
	all "$step"
	mv "$POLICY_DIR/echo.yaml" "$WORLD/echo.yaml"
	check "$step: a policy that goes is followed" world_wait 60 not_in_force
	cp "$WORLD/echo.yaml" "$POLICY_DIR/echo.yaml"
	check "$step: and one that comes" world_wait 60 in_force
done

# ---- an agent that is killed, and starts under another clock ----
kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null
clock '-8h'
refuse "without the agent: what needs the proxy" ask /v1/files -f
wrong node_agent --audit-file "$WORLD/audit" --audit-key "$WORLD/key"
all "started under another clock"
kill -TERM "$agent_pid"
wait "$agent_pid"
has "the audit log is whole" "$(wrong "$EXEAT" audit verify --key "$WORLD/key" "$WORLD/audit" 2>&1)" '^whole: '

tap_done
