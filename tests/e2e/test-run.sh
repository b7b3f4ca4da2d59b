#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exeat run as a program that runs programs: exit status, input and output, terminal, signals, user,
# directory and environment, two side by side, and nothing left behind.
# shellcheck disable=SC2016 # what stands in single quotes runs inside

. "$(dirname "$0")/../lib/e2e.sh"
world_enter "$@"
world_up

status() { # DESCRIPTION WANTED COMMAND…
	local what=$1 want=$2 out got
	shift 2
	out=$("$@" 2>&1)
	got=$?
	if [ $got -eq "$want" ]; then
		tap_ok "$what"
	else
		tap_not_ok "$what" "exit $got, wanted $want" "$out"
	fi
}

# everything on this machine that a run could leave behind
footprint() {
	ip -o link | sed 's/^[0-9]*: //; s/ .*//'
	ip netns list
	ip rule; ip -6 rule
	nft list ruleset
	ip route show table all | sed 's/expires [^ ]*//'
	mount | wc -l
	find /run /dev/shm /var/tmp "$TMPDIR" /sys/fs/bpf -maxdepth 2 -iname '*exeat*' 2>/dev/null
	mountpoint -q /tmp && find /tmp 2>/dev/null
	pgrep -x exeat
	find /sys/fs/cgroup -maxdepth 4 -iname '*exeat*' 2>/dev/null
}
before=$(footprint)

# ---- exit status ----
for n in 0 1 7 124 125 255; do
	status "exit $n comes through" $n agent sh -c "exit $n"
done
status "killed by SIGKILL is 137" 137 agent sh -c 'kill -KILL $$'
status "killed by SIGTERM is 143" 143 agent sh -c 'kill -TERM $$'
status "killed by SIGSEGV is 139" 139 agent sh -c 'ulimit -c 0; kill -SEGV $$'
status "a command that is not there is 127" 127 agent /nowhere/command
status "a command not in PATH is 127" 127 agent nosuchcommandhere
status "a file that can not be executed is 126" 126 agent /etc/passwd
status "a directory is 126" 126 agent /etc
status "no command is 125" 125 "$EXEAT" run -p "$AGENT/policy.yaml"
status "no policy is 125" 125 "$EXEAT" run -- true
status "an unknown option is 125" 125 "$EXEAT" run --no-such-option -p "$AGENT/policy.yaml" -- true
status "options of the command are its own" 0 "$EXEAT" run -q -p "$AGENT/policy.yaml" -- sh -c '[ "$1" = -p ]' - -p
status "--help is 0" 0 "$EXEAT" run --help
has "and says what it does" "$("$EXEAT" run --help 2>&1)" 'Usage: exeat run'
same "and help run as well" "$("$EXEAT" help run 2>&1)" "$("$EXEAT" run --help 2>&1)"
for words in 'audit key' 'audit verify' 'prefilter attach' 'prefilter list' 'ca init' 'endpoint add' 'policy check' 'policy apply'; do
	# shellcheck disable=SC2086 # words
	status "$words --help is 0" 0 "$EXEAT" $words --help
done
out=$("$EXEAT" policy presets 2>&1 >/dev/full)
same "what can not be printed is no success" $? 125
has "and is told" "$out" 'standard output'
has "who may not look at devices is told so" "$(unshare --user "$EXEAT" prefilter list 2>&1)" 'needs root'
status "exeat --help is 0" 0 "$EXEAT" --help
status "exeat --version is 0" 0 "$EXEAT" --version
status "an unknown sub-command fails" 125 "$EXEAT" nosuchcommand

# ---- what exeat may not do here ----
out=$(setpriv --bounding-set=-sys_ptrace "$EXEAT" run -q -p "$AGENT/policy.yaml" -- true 2>&1)
has "what it has no right to, exeat doctor knows" "$out" "Permission denied \('exeat doctor' says"
has "and says" "$(setpriv --bounding-set=-sys_ptrace "$EXEAT" doctor 2>&1)" 'needs CAP_SYS_PTRACE'
has "too few descriptors have a remedy" "$(ulimit -n 20; "$EXEAT" run -q -p "$AGENT/policy.yaml" -- true 2>&1)" 'ulimit -n'
head -c 1048000 /dev/zero >"$WORLD/tmp/small"
out=$(ulimit -f 1024; "$EXEAT" run -q -p "$AGENT/policy.yaml" --log "$WORLD/tmp/small" -- sh -c '
	for i in 1 2 3 4 5 6 7 8 9; do curl -sSm20 "https://evil-$i.example/"; done; exit 9' 2>&1)
same "a log over the limit of a file ends nothing" $? 9
has "and is told" "$out" 'records are lost.*File too large'
status "the command's files have their limit" 153 agent sh -c "ulimit -f 0; echo x >'$WORLD/tmp/none'"

# ---- input, output, terminal ----
same "stdin reaches the command" "$(printf 'one\ntwo\n' | agent cat)" $'one\ntwo'
same "stdout is only the command's" "$(agent sh -c 'echo out; echo err >&2' 2>/dev/null)" out
same "stderr of the command comes through" "$(agent sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
sum=$(head -c 20000000 /dev/zero | tr '\0' q | agent sha256sum)
same "20 MB through stdin" "${sum%% *}" "$(head -c 20000000 /dev/zero | tr '\0' q | sha256sum | cut -d' ' -f1)"
same "a closed pipe ends the command" "$(agent yes | head -n 1)" y
out=$(script -qec "$EXEAT run -q -p $AGENT/policy.yaml -- sh -c 'test -t 0 && test -t 1 && stty size && tty'" /dev/null </dev/null 2>&1)
has "the terminal is the command's" "$out" '/dev/(pts/|tty|console)|not a tty'
hasnt "no complaint about job control" "$out" 'job control'

# ---- signals ----
agent sh -c 'trap "echo got-term; exit 9" TERM; echo ready; while :; do sleep 0.05; done' >"$WORLD/tmp/sig" 2>&1 &
pid=$!
world_wait 60 grep -q ready "$WORLD/tmp/sig"
kill -TERM "$(pgrep -P $pid)"
wait $pid
same "SIGTERM to exeat is passed on" "$?" 9
has "and handled by the command" "$(cat "$WORLD/tmp/sig")" got-term
for signal in TERM HUP USR1 INT; do
	: >"$WORLD/tmp/sig"
	SUDO_UID=65534 SUDO_GID=65534 agent sh -c "trap 'exit 9' $signal; echo ready; while :; do sleep 0.05; done" \
		>"$WORLD/tmp/sig" 2>&1 </dev/null &
	pid=$!
	world_wait 60 grep -q ready "$WORLD/tmp/sig"
	kill -$signal "$(pgrep -P $pid)"
	world_wait 60 sh -c "! kill -0 $pid" || kill -KILL "$(pgrep -P $pid)"
	wait $pid
	same "SIG$signal to a command of another user, too" "$?" 9
done

# Whoever ends a run may signal its whole process group: the proxy stays for what the command does last.
cat >"$WORLD/tmp/last.sh" <<'END'
last() {
	curl -sSm30 "$CHAT" -d "$ASK"
	exit 9
}
trap last TERM
echo ready
while :; do sleep 0.05; done
END
setsid "$EXEAT" run -q -p "$AGENT/policy.yaml" -- bash "$WORLD/tmp/last.sh" >"$WORLD/tmp/last" 2>&1 &
pid=$!
world_wait 60 grep -q ready "$WORLD/tmp/last"
kill -TERM -- -$pid
wait $pid
same "SIGTERM to all of a run is the command's alone" "$?" 9
has "which can still speak" "$(cat "$WORLD/tmp/last")" 'Permission to leave granted'

# ---- who, where, with what ----
same "root stays root" "$(agent id -u)" 0
same "SUDO_UID is who it runs as" "$(SUDO_UID=65534 SUDO_GID=65534 SUDO_USER=nobody agent sh -c 'id -u; id -g; id -G' | tr '\n' ' ')" "65534 65534 65534 "
same "--user too" "$("$EXEAT" run -q -p "$AGENT/policy.yaml" --user nobody -- id -un)" nobody
status "--user that is not there" 125 "$EXEAT" run -q -p "$AGENT/policy.yaml" --user nosuchuser -- true
status "a SUDO_UID that is no number" 125 env SUDO_UID=0x0 "$EXEAT" run -q -p "$AGENT/policy.yaml" -- true
same "no capability is left to the user" "$(SUDO_UID=65534 SUDO_GID=65534 agent sed -n 's/^Cap\(Eff\|Prm\|Amb\):\s*//p' /proc/self/status | sort -u)" 0000000000000000
same "nor to be gained" "$(SUDO_UID=65534 SUDO_GID=65534 agent sed -n 's/^NoNewPrivs:\s*//p' /proc/self/status)" 1
# "cat" that may bind port 80, as a node that somebody has said setcap(8) to; then one that may mount
capable() { # CAPABILITY
	cp /bin/cat "$WORLD/tmp/capable"
	python3 -c 'import os, struct, sys
os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 1 << int(sys.argv[2]), 0, 0, 0))' "$WORLD/tmp/capable" "$1"
	SUDO_UID=65534 SUDO_GID=65534 agent "$WORLD/tmp/capable" /proc/self/status 2>&1
}
for capability in 10 12 13; do
	same "a program whose file has capability $capability runs without" \
		"$(capable $capability | sed -n 's/^Cap\(Eff\|Prm\|Amb\):\s*//p' | sort -u)" 0000000000000000
done
has "one of another capability is not executed, and why" "$(capable 21)" 'its file has capabilities that a run does not give'
mkdir -m 700 "$WORLD/tmp/roots"
out=$(PATH=$WORLD/tmp/roots:$PATH SUDO_UID=65534 SUDO_GID=65534 agent nosuchcommandhere 2>&1)
same "a command that is in no folder its user may look into is 126" $? 126
has "and is told" "$out" 'in the folders of PATH'
same "the directory is the caller's" "$(cd /usr/share && agent pwd)" /usr/share
same "the environment is the caller's" "$(MARK=yes agent sh -c 'echo $MARK')" yes
out=$(agent env)
for v in SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO DENO_CERT \
	CARGO_HTTP_CAINFO PIP_CERT AWS_CA_BUNDLE; do
	file=$(sed -n "s/^$v=//p" <<<"$out")
	has "$v names certificates" "$(agent cat "$file" 2>&1)" 'BEGIN CERTIFICATE'
done
out=$(agent sh -c 'cat /proc/sys/kernel/random/boot_id; cat /etc/resolv.conf; ls /sys/class/net; ip -o addr')
has "the resolver is exeat's" "$out" '^nameserver 192\.0\.0\.1'
hasnt "the host's addresses are not there" "$out" '198\.51\.100|2001:db8:1::'
same "the host's resolv.conf is as it was" "$(head -n1 /etc/resolv.conf)" "nameserver $RESOLVER4"
has "a user may use the network as root may" "$(SUDO_UID=65534 SUDO_GID=65534 agent curl -sS "$CHAT" -d "$ASK" 2>&1)" 'Permission to leave granted'

# ---- two side by side ----
agent sh -c 'echo a >"$0"; sleep 2; curl -sS "$CHAT" -d "$ASK"' "$WORLD/tmp/a" >"$WORLD/tmp/a.out" 2>&1 &
first=$!
world_wait 60 test -s "$WORLD/tmp/a"
out=$("$EXEAT" run -q -p "$POLICIES/names.yaml" -- curl -sS https://pass.example/ 2>&1)
same "a second run has its own policy" "$out" pass
out=$("$EXEAT" run -q -p "$AGENT/policy.yaml" -- curl -sSm60 https://pass.example/ 2>&1)
hasnt "a third does not get the second's" "$out" '^pass'
wait $first
has "the first is not disturbed" "$(cat "$WORLD/tmp/a.out")" 'Permission to leave granted'
out=$("$EXEAT" run -q -p "$POLICIES/names.yaml" -- bash -c "
	'$EXEAT' run -q -p '$POLICIES/names.yaml' -- curl -sSm60 https://pass.example/" 2>&1)
hasnt "a run inside a run opens nothing" "$out" 'evil'

# ---- the summary and the short lines ----
out=$("$EXEAT" run -p "$AGENT/policy.yaml" -- curl -sSm60 https://evil.example/ 2>&1)
has "without -q a denial is one line on stderr" "$out" 'evil\.example'
has "with its reason" "$out" 'dns-name-denied'
hasnt "with -q there is none" "$(agent curl -sSm20 https://evil.example/ 2>&1)" 'dns-name-denied'

# ---- labels ----
out=$("$EXEAT" run -q -p "$AGENT/policy.yaml" -l app=moltbot-agent -- curl -sS "$CHAT" -d "$ASK" 2>&1)
has "a policy that selects the labels applies" "$out" 'Permission to leave granted'
out=$("$EXEAT" run -q -p "$AGENT/policy.yaml" -l app=other -- curl -sSm60 "$CHAT" -d "$ASK" 2>&1)
hasnt "one that does not is left out, and nothing is allowed" "$out" 'Permission to leave granted'
out=$("$EXEAT" run -q -p "$AGENT/policy.yaml" -- curl -sSm60 "http://$GATEWAY4:8080/v1/chat/completions" -d "$ASK" 2>&1)
hasnt "without endpoints file no address carries the label" "$out" 'Permission to leave granted'

gone() { [ "$(footprint)" = "$before" ]; }
world_wait 60 gone
same "nothing is left behind" "$(diff <(echo "$before") <(footprint))" ""
tap_done
