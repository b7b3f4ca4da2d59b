#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the agent tells: metrics and health, live events, alerts to a webhook that comes and goes, a
# signed audit log with a key that changes; and that none of it is asked for by a pod.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/node.sh"
node_enter "$@"

policy_llm </dev/null

# ---- a webhook server, which can be told to fail ----
hook=$WORLD/tmp/hook
mkdir -p "$hook"
cat >"$hook/server.py" <<'END'
import http.server, os, sys, time
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = open(sys.argv[1] + "/mode").read().strip()
        if mode == "slow":
            time.sleep(30)
        if mode == "ok":
            with open(sys.argv[1] + "/bodies", "ab") as f:
                f.write((self.headers.get("X-Exeat-Signature", "") + " ").encode() + body + b"\n")
        self.send_response(200 if mode == "ok" else 500)
        self.end_headers()
    def log_message(self, *a):
        with open(sys.argv[1] + "/posts", "a") as f:
            f.write("post\n")
http.server.ThreadingHTTPServer(("127.0.0.1", 9099), Hook).serve_forever()
END
: >"$hook/bodies"
echo secret >"$hook/secret"
"$EXEAT" audit key "$hook/key"
mode() { echo "$1" >"$hook/mode"; }
serve_hook() {
	python3 "$hook/server.py" "$hook" &
	hook_pid=$!
	world_wait 60 nc -z 127.0.0.1 9099
}
mode ok
serve_hook
node_agent --webhook http://127.0.0.1:9099/alerts --webhook-secret "$hook/secret" \
	--webhook-interval 100 --audit-file "$hook/audit" --audit-key "$hook/key"

pod_new pod1 11
pod_new pod2 12
endpoint pod1 app=llm >/dev/null
endpoint pod2 app=other >/dev/null
ask() { # PATH [CURL-OPTION…]
	in_pod pod1 curl -sSm60 -o /dev/null -w '%{http_code}' "https://api.openai.com$1" "${@:2}" 2>&1
}
same "an allowed request" "$(ask /v1/chat/completions --json "$ASK")" 200
same "a denied one" "$(ask '/v1/files?key=very-secret')" 403
refuse "a pod that no policy selects" in_pod pod2 nc -zw20 "$EVIL4" 443

# ---- metrics and health ----
metrics() { curl -sSm60 http://127.0.0.1:9964/metrics; }
# A verdict is counted soon after its request was answered.
counted() {
	out=$(metrics)
	grep -q '^exeat_verdicts_total.*"pod1",.*verdict="allow",' <<<"$out" && grep -q '^exeat_verdicts_total.*"pod1",.*verdict="deny",' <<<"$out" &&
		grep -q '^exeat_verdicts_total.*"pod2",.*verdict="deny",' <<<"$out"
}
world_wait 60 counted
has "metrics count the allowed request" "$out" \
	'^exeat_verdicts_total\{namespace="default",endpoint="pod1",gate="proxy",protocol="http",verdict="allow",reason="allowed"\} 1$'
has "and the denied one" "$out" \
	'^exeat_verdicts_total\{namespace="default",endpoint="pod1",gate="proxy",protocol="http",verdict="deny",reason="http-denied"\} 1$'
has "what the kernel gate denied" "$out" '^exeat_kernel_packets_total\{reason="default-deny"\} [1-9]'
has "and by whom it was tried" "$out" 'endpoint="pod2",gate="kernel",protocol="l4",verdict="deny",reason="default-deny"'
has "endpoints by state" "$out" '^exeat_endpoints\{state="enforcing"\} 2$'
has "the policy set" "$out" '^exeat_policy_valid 1$'
has "the audit log" "$out" '^exeat_audit_lost_total 0$'
has "names of addresses" "$out" '^exeat_names [1-9]'
has "and room for them" "$out" '^exeat_names_max 49152$'
has "the process" "$out" '^process_resident_memory_bytes [1-9]'
check "the text is well-formed, every family once, every sample of its family" python3 -c '
import re, sys
families, samples = {}, set()
for line in sys.argv[1].splitlines():
    if line.startswith("# TYPE "):
        name, kind = line[7:].split(" ")
        assert name not in families, line
        families[name] = kind
        if kind == "counter":
            assert name.endswith("_total"), line
    elif not line.startswith("# HELP "):
        m = re.fullmatch(r"([a-z_]+)(\{(?:[a-z_]+=\"(?:[^\"\\\n]|\\.)*\",?)*\})? ([0-9.]+)", line)
        assert m and m[1] in families, line
        assert (m[1], m[2]) not in samples, line
        samples.add((m[1], m[2]))
' "$out"
check "docs/metrics.md names every family" python3 -c '
import sys
doc = open(sys.argv[2]).read()
missing = [l.split(" ")[2] for l in sys.argv[1].splitlines() if l.startswith("# TYPE") and "`" + l.split(" ")[2] + "`" not in doc]
assert not missing, missing
' "$out" "$TOP/docs/metrics.md"
check "what the examples ask for is there" python3 -c '
import re, sys
doc = open(sys.argv[1]).read()
for name in sys.argv[2:]:
    used = set(re.findall(r"\b((?:exeat|process)_[a-z_]+)", open(name).read()))
    assert used and all("`" + u + "`" in doc for u in used), used
' "$TOP/docs/metrics.md" "$TOP/examples/observability/alerts.yaml" "$TOP/examples/observability/dashboard.json"
has "health is good" "$(curl -sSm60 http://127.0.0.1:9964/healthz)" '"ok":true'
report=$(pgrep -f 'exeat report' | head -n 1)
has "who serves them is nobody" "$(cat "/proc/$report/status")" 'Uid:.2113929200'
has "without a capability" "$(cat "/proc/$report/status")" 'CapPrm:.0000000000000000'
ldd "$EXEAT" | grep libasan >/dev/null || # which does without
	check "every thread of it behind a filter of system calls" python3 -c '
import glob, sys
threads = glob.glob(f"/proc/{sys.argv[1]}/task/*/status")
assert len(threads) > 1
for name in threads:
    text = open(name).read()
    assert "Seccomp:\t2" in text and "NoNewPrivs:\t1" in text, text
' "$report"
same "with no file but what names are looked up by" \
	"$(find "/proc/$report/root/" -type f -printf '%P\n' | grep -vxE 'etc/(resolv.conf|hosts|nsswitch.conf|host.conf|gai.conf|services)')" ""

# ---- live ----
has "observe shows the agent's endpoints" "$(ex observe --last 50 --endpoint default/pod1 --json)" \
	'"pod_name":"pod1".*"http-denied"'
has "by label and identity" "$(ex observe --last 50 --json --endpoint pod1)" '"labels":\[[^]]*"app=llm"'
same "and no other's under that filter" "$(ex observe --last 500 --json --endpoint pod1 | grep -c '"pod2"')" 0

# ---- alerts ----
alerts() { cat "$hook/bodies"; }
check "a denial reaches the webhook" world_wait 60 grep -q http-denied "$hook/bodies"
hasnt "without its secrets" "$(alerts)" very-secret
hasnt "what was allowed does not" "$(alerts)" 'chat/completions'
check "posts are signed" python3 -c '
import hmac, json, sys
for line in open(sys.argv[1], "rb"):
    signature, body = line.rstrip(b"\n").split(b" ", 1)
    assert signature.decode() == "sha256=" + hmac.new(b"secret", body, "sha256").hexdigest()
    assert json.loads(body)["alerts"]
' "$hook/bodies"
mode fail
ask /v1/while-it-fails >/dev/null
world_wait 60 sh -c "[ \$(wc -l <$hook/posts) -ge 3 ]"
began=$EPOCHREALTIME
same "the gates do not notice a webhook that fails" "$(ask /v1/other)" 403
at_once "nor wait for it" 10 "$began"
mode ok
check "when it works again the alert comes" world_wait 60 grep -q while-it-fails "$hook/bodies"
kill $hook_pid
wait $hook_pid
ask /v1/while-it-is-down >/dev/null
serve_hook
check "and so it does after a server that was down" world_wait 60 grep -q while-it-is-down "$hook/bodies"
has "metrics know of the failures" "$(metrics)" '^exeat_webhook_failures_total [1-9]'
kill -KILL "$report"
same "without the reporting process the gates work" "$(ask /v1/chat/completions --json "$ASK")" 200
check "and it comes back" world_wait 60 sh -c 'curl -sSm60 http://127.0.0.1:9964/healthz | grep -q true'

# ---- an invalid policy is seen everywhere ----
policy_put bad <<'END'
this is: [not
END
world_wait 60 sh -c 'curl -sSm60 http://127.0.0.1:9964/metrics | grep -q "^exeat_policy_valid 0"'
has "metrics tell of an invalid policy" "$(metrics)" '^exeat_policy_valid 0$'
has "health as well" "$(curl -sSm60 -w '%{http_code}' http://127.0.0.1:9964/healthz | tr '\n' ' ')" 'not valid.*503'
rm "$POLICY_DIR/bad.yaml"

# ---- nobody else ----
refuse "a pod does not reach the metrics" in_pod pod1 curl -sSm20 http://10.88.0.1:9964/metrics
out=$(in_pod pod1 "$EXEAT" observe --socket "$AGENT_SOCK" 2>&1)
has "a pod, root, with the socket in sight, may not look" "$out" forbidden

# ---- the audit log ----
"$EXEAT" audit key "$hook/key"
kill -HUP $agent_pid
kid=$(tail -n 1 "$hook/key" | cut -d' ' -f1)
signs() {
	ask /v1/with-the-new-key >/dev/null
	grep with-the-new-key "$hook/audit" | grep "\"kid\":\"$kid\""
}
check "after a reload the new key signs" world_wait 60 signs
kill -TERM $agent_pid
wait $agent_pid
has "the log of the node is whole" "$("$EXEAT" audit verify --key "$hook/key" "$hook/audit" 2>&1)" '^whole: '
has "its records say which pod" "$(cat "$hook/audit")" '"run":"default/pod1"'
check "the reporting process went with the agent" world_wait 60 sh -c '! curl -sm60 http://127.0.0.1:9964/metrics'

# ---- a server that is named, and speaks TLS ----
node_agent --webhook https://api.openai.com/v1/chat/completions --webhook-interval 100
ask /v1/to-a-named-server >/dev/null
told() { metrics | grep '^exeat_alerts_total{result="sent"} [1-9]' >/dev/null; }
check "a webhook by name, over TLS" world_wait 60 told
has "at once" "$(metrics)" '^exeat_webhook_failures_total 0'

tap_done
