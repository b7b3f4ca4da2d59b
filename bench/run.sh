#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make bench: requests and bytes a second through exeat, as a ratio to the direct path of the same
# run, on the little internet of the tests. Direct and exeat take turns, the median of ROUNDS counts.
# Two cores serve client, exeat and server alike here: compare ratios, not numbers.
#
#   ROUNDS=3 SECONDS_EACH=2 bench/run.sh [--short]

. "$(dirname "$0")/../tests/lib/e2e.sh"
world_enter "$@"
world_up

case " $* " in
*" --short "*) ROUNDS=${ROUNDS:-1} SECONDS_EACH=${SECONDS_EACH:-1} ;;
esac
ROUNDS=${ROUNDS:-3}
each=${SECONDS_EACH:-2}
here=$TOP/bench
blob=$((128 * 1024 * 1024))
head -c 1024 /dev/zero | tr '\0' s >"$WORLD/www/small"
head -c $blob /dev/zero >"$WORLD/www/blob"
ip netns exec net iperf3 -s -B 203.0.113.90 >"$WORLD/log/iperf3.out" 2>&1 </dev/null &

confined() { # POLICY COMMAND…
	"$EXEAT" run -q -p "$here/policy-$1.yaml" -- "${@:2}"
}

# ---- what is measured: each prints one number ----

requests() { # URL [CONNECTIONS] [WRK-ARG…]: a second, all of them answered 200
	local out
	out=$(wrk -t1 -c"${2:-16}" -d"${each}s" "${@:3}" "$1" 2>&1)
	if grep -q 'Non-2xx' <<<"$out"; then
		echo "bench: wrong answers from $1" >&2
		return 1
	fi
	sed -n 's/^Requests\/sec: *//p' <<<"$out"
}

latency() { # URL: microseconds of one request on a warm connection, median
	wrk -t1 -c1 -d"${each}s" --latency "$1" 2>&1 | awk '$1 == "50%" {
		v = $2 + 0
		if ($2 ~ /ms$/) v *= 1000; else if ($2 !~ /us$/) v *= 1000000
		printf "%.0f\n", v }'
}

download() { # URL: MB a second
	curl -4sk -o /dev/null -w '%{speed_download} %{size_download} %{http_code}\n' "$1" |
		awk -v want="$blob" '$2 == want && $3 == 200 {printf "%.0f\n", $1 / 1e6}'
}

stream() { # MB a second of a raw TCP stream
	iperf3 -c 203.0.113.90 -t "$each" -f M 2>/dev/null | awk '/receiver/ {print $(NF - 2)}'
}

lookups() { # DNS answers a second, one at a time
	python3 - "$each" <<-'END'
		import re, socket, struct, sys, time
		server = re.findall(r"^nameserver\s+(\S+)", open("/etc/resolv.conf").read(), re.M)[0]
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.settimeout(2)
		s.connect((server, 53))
		tail = struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + b"\x05bench\x04test\0\0\1\0\1"
		end, n = time.monotonic() + float(sys.argv[1]), 0
		while time.monotonic() < end:
		    s.send(struct.pack(">H", n & 0xffff) + tail)
		    s.recv(2048)
		    n += 1
		print("%.0f" % (n / float(sys.argv[1])))
	END
}
export -f requests latency download stream lookups
export each blob

median() {
	sort -n | awk '{v[NR] = $1} END {if (NR) print v[int((NR + 1) / 2)]}'
}

bad=0
row() { # NAME UNIT BETTER POLICY FUNCTION ARG…
	local name=$1 unit=$2 better=$3 policy=$4 direct='' through='' i d t ratio
	shift 4
	for i in $(seq "$ROUNDS"); do
		direct+="$("$@")"$'\n'
		# shellcheck disable=SC2016 # runs inside
		through+="$(confined "$policy" bash -c '"$@"' - "$@")"$'\n'
	done
	d=$(grep . <<<"$direct" | median)
	t=$(grep . <<<"$through" | median)
	if [ -z "$d" ] || [ -z "$t" ] || [ "$(grep -c . <<<"$through")" -ne "$ROUNDS" ]; then
		bad=1
		printf '%-46s %12s %12s   failed\n' "$name" "${d:--}" "${t:--}"
		return
	fi
	ratio=$(awk -v d="$d" -v t="$t" 'BEGIN {printf "%.2f", t / d}')
	printf '%-46s %12.0f %12.0f   %5s  %s, %s\n' "$name" "$d" "$t" "$ratio" "$unit" "$better"
}

# A benchmark of a gate that is open, or shut, measures nothing.
smoke() {
	[ "$(confined http curl -4sSm5 https://bench.test/small 2>/dev/null | wc -c)" -eq 1024 ] &&
		confined http curl -4sSm5 https://bench.test/other 2>/dev/null | grep -q http-denied
}
if ! smoke; then
	echo "bench: the gates do not do what the policy says; nothing is measured" >&2
	confined http curl -4sSm5 https://bench.test/small >&2
	exit 1
fi

printf 'exeat %s, %s, Linux %s, %s cores; median of %s\n\n' "$("$EXEAT" version | cut -d' ' -f2)" \
	"$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n1)" "$(uname -r)" "$(nproc)" "$ROUNDS"
printf '%-46s %12s %12s   %5s\n' "" direct exeat ratio
up='more is better' down='less is better'
row "HTTP, every request judged" requests/s "$up" http requests http://bench.test/small
row "HTTPS intercepted, every request judged" requests/s "$up" http requests https://bench.test/small
row "HTTPS passed by server name" requests/s "$up" name requests https://bench.test/small
row "HTTP under an address rule" requests/s "$up" l4 requests http://203.0.113.90/small
row "HTTP, a connection each, judged" requests/s "$up" http requests http://bench.test/small 16 -H 'Connection: close'
row "HTTPS intercepted, a connection each" requests/s "$up" http requests https://bench.test/small 16 -H 'Connection: close'
row "HTTPS intercepted, latency of one request" us "$down" http latency https://bench.test/small
row "HTTP download, judged" MB/s "$up" http download http://bench.test/blob
row "HTTPS download, intercepted" MB/s "$up" http download https://bench.test/blob
row "HTTPS download, passed by server name" MB/s "$up" name download https://bench.test/blob
row "TCP stream under an address rule" MB/s "$up" l4 stream
row "DNS lookups" answers/s "$up" http lookups

start=$EPOCHREALTIME
for i in 1 2 3 4 5; do "$EXEAT" run -q -p "$here/policy-http.yaml" -- true; done
awk -v a="$start" -v b="$EPOCHREALTIME" \
	'BEGIN {printf "\nexeat run -- true takes %.0f ms\n", (b - a) / 5 * 1000}'
exit $bad
