#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exeat observe of a run: what both gates judged, live, with Hubble's field names, filtered; for root
# of the namespace exeat was started in and for nobody else; and nothing of it stays.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

# ---- a run that does one of each, then stays until told ----
mkfifo "$WORLD/tmp/go"
chmod 666 "$WORLD/tmp/go"
"$EXEAT" run -p "$AGENT/policy.yaml" -l app=moltbot-agent --endpoints "$AGENT/endpoints.yaml" \
	-q -- sh -c '
		curl -sS -o /dev/null -d "$ASK" -H "Content-Type: application/json" "$CHAT"
		curl -sS -o /dev/null "https://api.openai.com/v1/models?key=very-secret"
		curl -sS -o /dev/null --http1.1 "https://api.openai.com/v1/files"
		curl -sS -m 60 -o /dev/null https://evil.example/
		curl -sS -m 60 -o /dev/null http://'"$EVIL4"':81/
		curl -sS -m 60 -o /dev/null "http://['"$EVIL6"']:81/"
		echo done >'"$WORLD"'/tmp/done
		cat '"$WORLD"'/tmp/go
		curl -sS -o /dev/null https://api.openai.com/v1/late
		cat '"$WORLD"'/tmp/go' >"$WORLD/log/run.out" 2>&1 &
run=$!
world_wait 60 test -s "$WORLD/tmp/done" || tap_not_ok "the run came to its pause" "$(cat "$WORLD/log/run.out")"

observe() { "$EXEAT" observe --run $run "$@" 2>&1; }
all=
all_of() { # [FILTER…]
	all=$(observe --last 500 --json "$@")
}

# json DESCRIPTION EXPRESSION [FILTER…]: about the list f of all events, which are taken a little later than
# they happen
holds() {
	python3 -c '
import json, sys
f = [json.loads(line) for line in sys.argv[1].splitlines()]
def own(e): return e["exeat"]
def http(): return [e for e in f if "http" in e.get("l7", {})]
def dns(): return [e for e in f if "dns" in e.get("l7", {})]
if not eval(sys.argv[2]):
    for e in f:
        print(json.dumps(e)[:400])
    sys.exit(1)
' "$all" "$1"
}
holds_now() { # EXPRESSION [FILTER…]
	all_of "${@:2}"
	holds "$1"
}
json() {
	if world_wait 60 holds_now "${@:2}"; then
		tap_ok "$1"
	else
		tap_not_ok "$1" "$2" "$(holds "$2" 2>&1)"
	fi
}

json "an allowed request is FORWARDED, with method and URL" \
	'any(e["verdict"] == "FORWARDED" and e["l7"]["http"]["method"] == "POST" and e["l7"]["http"]["url"].startswith("https://api.openai.com/v1/chat/completions") for e in http())'
json "a denied one is DROPPED, with Hubble's reason and ours" \
	'any(e["verdict"] == "DROPPED" and e["drop_reason_desc"] == "POLICY_DENIED" and own(e)["reason"] == "http-denied" and e["l7"]["http"]["code"] == 403 for e in http())'
json "HTTP/2 and HTTP/1.1 are told apart" \
	'{e["l7"]["http"]["protocol"] for e in http()} == {"HTTP/1.1", "HTTP/2"}'
json "a DNS answer has its name, type, code and addresses" \
	'any(e["l7"]["dns"]["query"] == "api.openai.com." and e["l7"]["dns"]["qtypes"] == ["A"] and e["l7"]["dns"]["ips"] == ["203.0.113.10"] and e["l7"]["dns"]["ttl"] > 0 for e in dns())'
json "a denied name is DROPPED with its code" \
	'any(e["verdict"] == "DROPPED" and e["l7"]["dns"]["query"] == "evil.example." and own(e)["reason"] == "dns-name-denied" and e["l7"]["dns"]["rcode"] in (3, 5) for e in dns())'
json "a flow the kernel gate denied has addresses and ports, IPv4 and IPv6" \
	'{(e["IP"]["ipVersion"], e["IP"]["destination"], e["l4"]["TCP"]["destination_port"]) for e in f if own(e)["gate"] == "kernel" and e["verdict"] == "DROPPED" and "TCP" in e["l4"]} >= {("IPv4", "'"$EVIL4"'", 81), ("IPv6", "'"$EVIL6"'", 81)}'
json "the kernel gate tells what it steers" \
	'any(e["verdict"] == "REDIRECTED" and e["Type"] == "L3_L4" and own(e)["event"] == "new" and e["IP"]["destination"] == "203.0.113.10" for e in f)'
json "and what ended, with packets and bytes" \
	'any(own(e)["event"] == "end" and own(e)["packets"] > 3 and own(e)["bytes"] > 500 for e in f)'
json "the rule that decided is named" \
	'any(e["egress_allowed_by"][0]["name"] == "moltbot-agent-l7-policy" and own(e)["rule"].startswith("egress[") and own(e)["line"] > 0 for e in f if e.get("Type") == "L7" and "egress_allowed_by" in e)'
json "every event says who, when, which way and how in words" \
	'all(e["source"]["labels"] == ["app=moltbot-agent"] and e["source"]["pod_name"] == "run-'"$run"'" and e["time"].endswith("Z") and len(e["time"]) == 30 and e["traffic_direction"] == "EGRESS" and e["Summary"] and e["node_name"] for e in f)'
json "the numbers go up by one" '[own(e)["seq"] for e in f] == list(range(1, len(f) + 1))'
hasnt "no query value" "$all" very-secret

# ---- filters ----
only() { # DESCRIPTION EXPRESSION FILTER…
	json "$1" "len(f) > 0 and all($2 for e in f)" "${@:3}"
}
only "--verdict" 'e["verdict"] == "DROPPED"' --verdict dropped
only "--reason" 'own(e)["reason"] == "http-denied"' --reason http-denied
only "--name with a star" '"openai.com" in json.dumps(e)' --name '*.openai.com'
only "--method and --path" 'e["l7"]["http"]["method"] == "GET" and "/v1/" in e["l7"]["http"]["url"]' --method GET --path '/v1/*'
only "--protocol" '"dns" in e["l7"]' --protocol dns
only "--port, repeated" 'e["l4"].get("TCP", {}).get("destination_port") in (81, 443)' --port 81 --port 443
only "--type" 'e["Type"] == "L7"' --type L7
only "--endpoint" 'True' --endpoint 'run-*'
same "another endpoint has nothing" "$(observe --last 500 --json --endpoint other)" ""
same "--last 3 are three" "$(observe --last 3 --json | wc -l)" 3
has "a misspelt filter is an error" "$(observe --verdict DENIED)" 'invalid: verdict: DENIED is not one'
long=/tmp/$(printf 'x%.0s' {1..120})
for command in observe top; do
	has "$command: a path too long is not cut into another" "$("$EXEAT" $command --socket "$long" 2>&1)" "not a socket's path"
done
last() { # VALUE: of a request that no exeat would send
	printf '{"op":"observe","last":%s}\n' "$1" | socat -t20 - "ABSTRACT-CONNECT:exeat/run/$run"
}
same "so is a number of events that is none" "$( (last -5; last '"x"'; last 1.5) | grep -c 'last: write a number')" 3
has "and so is a misspelt reason" "$(observe --reason http-deny)" 'invalid: reason'

# ---- for people ----
out=$(observe --last 500)
has "one line an event" "$out" 'run-[0-9]+ +DROPPED +http +HTTP/2 GET https://api.openai.com/v1/models\?key=\*  http-denied'
hasnt "without colour where no terminal is" "$out" $'\x1b'
has "with colour on a terminal" \
	"$(script -qec "$EXEAT observe --run $run --last 500" /dev/null </dev/null)" $'\x1b\\[31mDROPPED'
check "-o jsonpb is in Hubble's envelope" python3 -c '
import json, sys
for line in sys.argv[1].splitlines():
    e = json.loads(line)
    assert e["flow"]["time"] == e["time"] and e["node_name"]
' "$(observe --last 10 -o jsonpb)"

# ---- top ----
"$EXEAT" top --run $run --interval 10 --count 1 >"$WORLD/tmp/top" 2>&1 &
top=$!
# ---- live ----
observe --follow --json --path /v1/late >"$WORLD/tmp/live" &
follower=$!
# both are connected; and who asks behind them is answered behind them
watched() { [ "$(grep -c "@exeat/run/$run\$" /proc/net/unix)" -gt 2 ]; }
check "(two watch)" world_wait 60 watched
observe --last 1 >/dev/null
echo >"$WORLD/tmp/go"
check "--follow sees it as it happens" world_wait 60 grep -q '"http-denied"' "$WORLD/tmp/live"
same "and nothing else" "$(wc -l <"$WORLD/tmp/live")" 1

wait $top
has "top sums up what was denied" "$(cat "$WORLD/tmp/top")" \
	"run-$run +api.openai.com +0.0 +0.1 +0.0 +0.1  http-denied"
has "and who asked for which name" "$(cat "$WORLD/tmp/top")" "run-$run +DNS api.openai.com. +[0-9.]+ +0.0"

# ---- who may look ----
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
cp "$EXEAT" "$WORLD/tmp/exeat"
chmod 755 "$WORLD/tmp/exeat"
has "a user may not look" "$(nobody "$WORLD/tmp/exeat" observe --run $run 2>&1)" 'forbidden'
out=$("$EXEAT" run -q -p "$AGENT/policy.yaml" -l app=moltbot-agent --endpoints "$AGENT/endpoints.yaml" \
	-- python3 -c '
import socket, sys
for name in ("\0exeat/run/" + sys.argv[1],):
    try:
        socket.socket(socket.AF_UNIX).connect(name)
        print("reached", name)
    except OSError as e:
        print("refused", e.errno)
' $run 2>&1)
same "a workload, root, does not find the name" "$out" "refused 111"

# ---- the end ----
echo >"$WORLD/tmp/go"
wait $run
check "the stream ends with the run" world_wait 60 sh -c "! kill -0 $follower"
hasnt "and the name is gone" "$(cat /proc/net/unix)" "@exeat/run/$run"
has "who looks then is told" "$(observe)" 'unreachable: @exeat/run/[0-9]+: Connection refused'
for command in observe 'top -n1'; do
	# shellcheck disable=SC2086 # words
	has "without an agent, $command says how to look at a run" "$("$EXEAT" $command 2>&1)" "unreachable: .*exeat agent.*--run PID"
done

tap_done
