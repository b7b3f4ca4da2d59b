#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# CPU of the DNS gate beside dnsmasq: microseconds of its process for each answer, every one
# forwarded to the same unbound, and with caches. Needs root (a network namespace) and dnsperf.
#
#   ROUNDS=3 SECONDS_EACH=3 bench/dns.sh
set -euo pipefail
cd "$(dirname "$0")/.."
O=${O:-build}

if [ "${1-}" != inside ]; then
	for tool in dnsperf dnsmasq unbound; do
		command -v $tool >/dev/null || { echo "bench: $tool is not installed" >&2; exit 77; }
	done
	make -s O="$O" "$O/libagent.a"
	gcc -std=gnu17 -O2 -g -D_GNU_SOURCE -I. -Iinclude -o "$O/bench-dns-gate" bench/dns_gate.c \
		"$O/libagent.a" -lcares
	exec unshare -n "$0" inside
fi

ROUNDS=${ROUNDS:-3}
each=${SECONDS_EACH:-3}
qps=${QPS:-10000} # below what any of them can do, so that CPU per answer compares
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || :; rm -rf "$dir"' EXIT
ip link set lo up

# Enough for a run without any repeated; and few, to hit the caches.
seq -f 'n%.0f.bench.example A' 0 97 $((97 * 100000)) >"$dir/many"
head -n 200 "$dir/many" >"$dir/few"
# As one address may have only so many names, each name has its own.
awk '{printf "local-data: \"%s 300 A 10.%d.%d.%d\"\n", $1, NR / 65536, NR / 256 % 256, NR % 256}' \
	"$dir/many" >"$dir/data"
cat >"$dir/unbound.conf" <<-END
	server:
	  interface: 127.0.0.1@5300
	  do-daemonize: no
	  username: ""
	  chroot: ""
	  pidfile: ""
	  use-syslog: no
	  logfile: "/dev/null"
	  local-zone: "bench.example" static
	  include: "$dir/data"
	remote-control:
	  control-enable: no
END

start() { # NAME COMMAND…
	"${@:2}" &
	pids+=($!)
	pid[$1]=$!
}

declare -A pid
masq=(dnsmasq -k --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file=
	--server=127.0.0.1#5300 --listen-address=127.0.0.1 --bind-interfaces --dns-forward-max=1000)
start unbound unbound -d -c "$dir/unbound.conf"
start exeat "$O/bench-dns-gate" 5301 127.0.0.1:5300
start dnsmasq "${masq[@]}" --port=5302 --cache-size=0
start dnsmasq-cache "${masq[@]}" --port=5303 --cache-size=10000
until dig +short +tries=1 +time=1 @127.0.0.1 -p 5300 n0.bench.example | grep -q 10.0.0.1; do
	sleep 0.2
done

ticks() { # PID: user and system time in ticks of 10 ms
	awk '{sub(/.*\) /, ""); print $12 + $13}' "/proc/$1/stat"
}

# PROCESS PORT NAMES CLIENTS: microseconds an answer, then the share of questions answered
measure() {
	local before after out answered sent
	before=$(ticks "${pid[$1]}")
	out=$(dnsperf -s 127.0.0.1 -p "$2" -d "$dir/$3" -l "$each" -c "$4" -Q "$qps" -q 200 2>&1)
	after=$(ticks "${pid[$1]}")
	answered=$(sed -n 's/.*NOERROR \([0-9]*\).*/\1/p' <<<"$out")
	sent=$(sed -n 's/.*Queries sent: *\([0-9]*\).*/\1/p' <<<"$out")
	awk -v t=$((after - before)) -v n="${answered:-0}" -v s="${sent:-0}" \
		'BEGIN {printf "%.1f %.1f\n", n ? t * 10000 / n : 0, s ? 100 * n / s : 0}'
}

declare -A cost
for ((round = 0; round < ROUNDS; round++)); do
	cost[dnsmasq]+="$(measure dnsmasq 5302 many 64)"$'\n'
	cost[exeat]+="$(measure exeat 5301 many 64)"$'\n'
	cost[dnsmasq, cached]+="$(measure dnsmasq-cache 5303 few 4)"$'\n'
	cost[exeat, cached]+="$(measure exeat 5301 few 4)"$'\n'
done
printf '%-16s %12s %12s\n' "" "CPU us" "answered %"
for who in dnsmasq exeat "dnsmasq, cached" "exeat, cached"; do
	read -r us share < <(sed '/^$/d' <<<"${cost[$who]}" | sort -n |
		awk '{a[NR] = $0} END {print a[int((NR + 1) / 2)]}')
	printf '%-16s %12s %12s\n' "$who" "$us" "$share"
done
