#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The signed log of a run: whole when exeat ended it, also when it was killed; what was done to it is
# found; a full disk loses records and says how many, and the run goes on.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

dir=$WORLD/tmp/audit
mkdir -m 700 "$dir"
log=$dir/log.jsonl key=$dir/key
verify() { "$EXEAT" audit verify --key "$key" "$@" 2>&1; }
signed() { # COMMAND…
	"$EXEAT" run -p "$AGENT/policy.yaml" -l app=moltbot-agent --endpoints "$AGENT/endpoints.yaml" \
		--log "$log" --log-key "$key" -q -- "$@"
}

# ---- keys ----
has "without its key nothing is run" "$(signed echo ran 2>&1; echo $?)" '^125'
"$EXEAT" audit key "$key"
same "the key is its owner's only" "$(stat -c %a "$key")" 600
chmod 644 "$key"
hasnt "a key that others can read is refused" "$(signed echo ran 2>&1)" '^ran'
chmod 600 "$key"
has "--log-key without --log is a mistake" \
	"$("$EXEAT" run -p "$AGENT/policy.yaml" --log-key "$key" -- true 2>&1; echo $?)" '^125'

# ---- real traffic ----
signed sh -c 'curl -sS -o /dev/null -d "$ASK" "$CHAT"; curl -sS -o /dev/null https://api.openai.com/v1/files' \
	>/dev/null 2>&1
signed curl -sS -m 60 -o /dev/null https://evil.example/ >/dev/null 2>&1
has "two runs make one whole log" "$(verify "$log")" '^whole: '
has "without its key, verify says that it has one" "$("$EXEAT" audit verify "$log" 2>&1)" '^note: it is signed: --key'
has "with the allowed request" "$(cat "$log")" '"verdict":"allow".*"path":"/v1/chat/completions"'
has "the denied one" "$(cat "$log")" '"verdict":"deny".*"reason":"http-denied"'
has "the denied name" "$(cat "$log")" '"reason":"dns-name-denied"'
same "and the end of each" "$(grep -c '"type":"summary"' "$log")" 2
hasnt "the key is not in the command's sight" \
	"$(signed sh -c 'grep -l . /proc/1/environ; tr "\0" "\n" </proc/1/environ; ls -l /proc/1/fd' 2>&1)" "$key|log.jsonl"

# The command's init was forked from exeat: what it does not hold it cannot be made to tell.
hex=$(tail -n 1 "$key" | cut -d' ' -f2)
check "and not in the memory of the command's init" python3 - "$hex" "$EXEAT" "$AGENT" "$log" "$key" <<'END'
import os, re, subprocess, sys, time
secret = bytes.fromhex(sys.argv[1])
run = subprocess.Popen([sys.argv[2], "run", "-p", sys.argv[3] + "/policy.yaml", "-l", "app=moltbot-agent",
    "--endpoints", sys.argv[3] + "/endpoints.yaml", "--log", sys.argv[4], "--log-key", sys.argv[5],
    "-q", "--", "sleep", "60"])
def found(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            a, b, perms = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if perms[0] != "r":
                continue
            try:
                mem.seek(int(a, 16))
                if secret in mem.read(int(b, 16) - int(a, 16)):
                    return True
            except (OSError, ValueError, OverflowError):
                pass
    return False
def children(pid):
    return [int(p) for p in os.listdir("/proc") if p.isdigit()
            and int(open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[1]) == pid]
for _ in range(600):
    time.sleep(0.05)
    if any(children(c) for c in children(run.pid)):
        break
assert found(run.pid), "it is looked for rightly: exeat itself has it"
bad = [c for c in children(run.pid) if found(c)]
run.terminate()
run.wait()
assert not bad, bad
END

# ---- one writer ----
mkfifo "$dir/go"
chmod 711 "$dir"; chmod 666 "$dir/go"
signed sh -c "read x <$dir/go" &
first=$!
world_wait 60 grep -q "@exeat/run/" /proc/net/unix
has "a second writer fails at its start" "$(signed echo ran 2>&1; echo $?)" 'another process writes it'
echo x >"$dir/go"
wait $first
has "the log is whole after it" "$(verify "$log")" '^whole: '

# ---- what was done to it ----
tampered() { # DESCRIPTION SED-SCRIPT WANTED
	cp "$log" "$dir/t"
	cp "$log.head" "$dir/t.head"
	sed -i "$2" "$dir/t"
	has "$1" "$(verify "$dir/t"; echo "exit $?")" "$3"
	has "$1: the exit status says so" "$(verify "$dir/t" >/dev/null; echo "exit $?")" 'exit 1'
}
tampered "a changed record is found" '4s/"verdict":"[a-z]*"/"verdict":"other"/' 't:4: '
tampered "a missing record is found" '4d' 'missing'
tampered "records that changed places are found" '4{h;d};5{G}' 't:[45]: '
tampered "a cut end is found" '$d' 'head|missing|ends'

# ---- killed ----
signed sh -c 'curl -sS -o /dev/null https://api.openai.com/v1/killed; sleep 60' >/dev/null 2>&1 &
killed=$!
world_wait 60 grep -q /v1/killed "$log"
world_wait 60 sh -c "[ \$(sed 's/.*\"n\":\\([0-9]*\\).*/\\1/' '$log.head') -gt \$(grep /v1/killed '$log' | tail -n 1 | sed 's/.*\"n\":\\([0-9]*\\).*/\\1/') ]"
pkill -KILL -P $killed -x exeat 2>/dev/null
kill -KILL $killed
wait $killed 2>/dev/null
check "a killed run lets go of its log" world_wait 60 signed true
has "which is whole and goes on" "$(verify "$log")" '^whole: '

# ---- soon, and whoever dies ----
# The parent is stopped: it takes no record while the proxy lives.
cat >"$dir/asks.py" <<'END'
import http.client, os, sys
c = http.client.HTTPSConnection("api.openai.com", timeout=60)
def ask():
    c.request("POST", "/v1/chat/completions", os.environ["ASK"])
    return len(c.getresponse().read())
ask()
open(sys.argv[1]).readline()
if all(ask() for _ in range(100)):
    open(sys.argv[2], "w").write("all")
END
asks() { echo $(($(grep -c '"verdict":"allow".*"path":"/v1/chat/completions"' "$log") - before)); }
asks_are() { [ "$(asks)" = "$1" ]; }
before=0
before=$(asks)
signed sh -c "nc -zw 20 203.0.113.50 4711; python3 $dir/asks.py $dir/go $WORLD/tmp/asked; sleep 60" >/dev/null 2>&1 &
run=$!
check "a packet is in the log within a second" world_wait 60 grep -q '"gate":"kernel".*"dport":4711,' "$log"
check "and a request, while the run goes on" world_wait 60 asks_are 1
parent=$(pgrep -P $run -x exeat || echo $run)
kill -STOP "$parent"
timeout 60 sh -c 'echo x >"$0"' "$dir/go" # it does not open where nobody reads
check "a hundred are answered while nobody takes their records" world_wait 60 test -s "$WORLD/tmp/asked"
same "which are not in the log yet" "$(asks)" 1
pkill -KILL -P "$parent" -x exeat-proxy
kill -CONT "$parent"
world_wait 60 asks_are 101
same "but when their writer was killed they are all there" "$(asks)" 101
kill -TERM "$parent"
wait $run 2>/dev/null
has "and the log is whole" "$(verify "$log")" '^whole: '

# ---- a new key ----
"$EXEAT" audit key "$key"
signed true
kid=$(tail -n 1 "$key" | cut -d' ' -f1)
has "the last key signs" "$(tail -n 1 "$log")" "\"kid\":\"$kid\""
has "and all verify" "$(verify "$log")" '^whole: '

# ---- a full disk ----
small=$dir/small
mkdir "$small"
mount -t tmpfs -o size=64k,mode=700 tmpfs "$small"
log=$small/log.jsonl
head -c 50000 /dev/zero >"$small/fill"
signed sh -c 'for i in $(seq 40); do curl -sS -m 60 -o /dev/null "https://api.openai.com/v1/$i"; done
	echo done >'"$WORLD"'/tmp/done; read x <'"$dir"'/go
	curl -sS -o /dev/null https://api.openai.com/v1/after' >/dev/null 2>&1 &
run=$!
world_wait 90 test -s "$WORLD/tmp/done"
same "the disk is full" "$(df --output=avail "$small" | tail -n 1 | tr -d ' ')" 0
rm "$small/fill"
timeout 60 sh -c 'echo x >"$0"' "$dir/go"
wait $run
same "and the run went on to its end" $? 0
has "what was lost is recorded" "$(cat "$log")" '"type":"lost".*"lost":[1-9]'
has "what came later as well" "$(cat "$log")" '/v1/after'
has "and the log is whole, but for a torn line" "$(verify "$log")" '^whole: '
umount "$small"
out=$("$EXEAT" run -q -p "$AGENT/policy.yaml" --log /dev/full -- curl -sSm5 https://evil.example/ 2>&1)
has "a loss is said, also with -q" "$out" 'error: records are lost.*No space left on device'
same "once" "$(grep -c 'records are lost' <<<"$out")" 1
# Where standard error is a file, too, neither is written over.
"$EXEAT" run -p "$AGENT/policy.yaml" --log /dev/stderr -- curl -sSm5 https://evil.example/ 2>"$dir/both"
has "a log on standard error that is a file has its records" "$(cat "$dir/both")" '"reason":"dns-name-denied"'
has "and the terminal's lines" "$(cat "$dir/both")" '^exeat: denied DNS evil.example'
has "without its head, verify says how it is checked" "$(verify "$dir/both")" '--head FILE.*--no-head'
has "what is not chained is said to be" "$(verify --no-head "$dir/both")" '^note: no record of a chained log'
has "more logs than can be read are a mistake that is told" "$(verify $(seq 1001))" 'too many logs'

tap_done
