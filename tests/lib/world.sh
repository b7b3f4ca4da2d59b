#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The little internet: real servers in network namespaces, for tests, the demo and the benchmark.
#
#        this namespace ("outer")                       namespace "net"
#     198.51.100.2  2001:db8:1::2                198.51.100.1   gateway, and on local routes:
#   exeat run is started here     up0 ---- wan0  198.51.100.53  resolver (also as 8.8.8.8)
#   resolv.conf and the trust                    203.0.113.10   api.openai.com   TLS, SSE behind it
#   store are the world's                        203.0.113.20   ok.shared.test, evil.shared.test
#                                                203.0.113.30   llm-gateway:8080 plain HTTP
#                                                203.0.113.50   echo:7777 TCP and UDP
#                                                203.0.113.66   evil.example
#                                                203.0.113.90   bench.test, static files
#                                                169.254.169.254:80, fd00:ec2::254  metadata
#   IPv6: 2001:db8:113::10 is 203.0.113.10 and so on.
#
# A script sources this file, calls `world_enter "$@"` (which runs the script again in namespaces of
# its own: network, mounts, processes), then `world_up`. Nothing is ever made outside these
# namespaces and they die with the script, SIGKILL included, so there is no clean-up to forget.
#
# By hand:  tests/lib/world.sh shell     a shell in "outer"; leaving it ends the world
#           tests/lib/world.sh run CMD…  one command in it
#           tests/lib/world.sh up DIR | exec DIR CMD… | down DIR

# shellcheck disable=SC2034 # many names are for the scripts that source this
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
EXEAT=${EXEAT:-$(realpath -m "${O:-$TOP/build}")/exeat}
WORLD=/mnt # a tmpfs that only the world sees
case $TOP in /mnt*) WORLD=/srv ;; esac
export TOP EXEAT WORLD PYTHONDONTWRITEBYTECODE=1

OUTER4=198.51.100.2 OUTER6=2001:db8:1::2
RESOLVER4=198.51.100.53 RESOLVER6=2001:db8:1::53
OPENAI4=203.0.113.10 OPENAI6=2001:db8:113::10
SHARED4=203.0.113.20 SHARED6=2001:db8:113::20
GATEWAY4=203.0.113.30 GATEWAY6=2001:db8:113::30
ECHO4=203.0.113.50 ECHO6=2001:db8:113::50
EVIL4=203.0.113.66 EVIL6=2001:db8:113::66
META4=169.254.169.254 META6=fd00:ec2::254

# Runs the calling script again inside fresh namespaces; returns only there.
world_enter() {
	[ "${EXEAT_WORLD-}" = inside ] && return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "1..0 # SKIP needs root (network namespaces)"
		exit 77
	fi
	EXEAT_WORLD=inside exec unshare --net --mount --propagation private --pid --fork \
		--kill-child --mount-proc "$0" "$@"
}

world_wait() { # SECONDS COMMAND…: polls until the command succeeds
	local end=$((SECONDS + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

# A daemon of the world: dies with the pid namespace. Its output is kept for failures.
world_daemon() { # NAME COMMAND…
	local name=$1
	shift
	ip netns exec net "$@" >>"$WORLD/log/$name.out" 2>&1 </dev/null &
	echo $! >"$WORLD/pid/$name"
}

world_mounts() {
	local conf
	conf=$(readlink -f /etc/resolv.conf || echo /etc/resolv.conf)
	mount -t tmpfs -o mode=755 tmpfs /run
	mount -t tmpfs -o mode=755 tmpfs $WORLD
	# /tmp too, unless what is tested lives there: then others' files stay in sight.
	case $TOP:$EXEAT:${EXEAT_NPM-} in
	*/tmp/*) ;;
	*) mount -t tmpfs -o mode=1777 tmpfs /tmp ;;
	esac
	mkdir -p /run/netns /run/lock $WORLD/{conf,log,pid,pcap,tls,tmp}
	chmod 1777 $WORLD/tmp
	mkdir -p "$(dirname "$conf")"
	[ -e "$conf" ] || : >"$conf"
	printf 'nameserver %s\nnameserver %s\n' $RESOLVER4 $RESOLVER6 >$WORLD/conf/resolv.conf
	mount --bind $WORLD/conf/resolv.conf "$conf"
	printf '127.0.0.1 localhost\n::1 localhost\n' >$WORLD/conf/hosts
	mount --bind $WORLD/conf/hosts /etc/hosts
	# sysctl and /sys/class/net of the new network namespace come with /proc; /sys stays.
}

world_network() {
	ip link set lo up
	ip netns add net
	ip link add up0 type veth peer name wan0 netns net
	sysctl -qw net.ipv6.conf.up0.accept_dad=0
	ip addr add $OUTER4/24 dev up0
	ip addr add $OUTER6/64 dev up0 nodad
	ip link set up0 up
	ip netns exec net bash -e <<-END
		sysctl -qw net.ipv6.conf.wan0.accept_dad=0 net.ipv6.ip_nonlocal_bind=1
		ip link set lo up
		ip link set wan0 up
		ip addr add 198.51.100.1/24 dev wan0
		ip addr add 198.51.100.53/24 dev wan0
		ip addr add 2001:db8:1::1/64 dev wan0 nodad
		ip addr add 2001:db8:1::53/64 dev wan0 nodad
		ip route add local 203.0.113.0/24 dev lo
		ip route add local 169.254.169.254/32 dev lo
		ip route add local 8.8.8.8/32 dev lo
		ip -6 route add local 2001:db8:113::/64 dev lo
		ip -6 route add local fd00:ec2::254/128 dev lo
		ip -6 route add local 2001:4860:4860::8888/128 dev lo
	END
	ip route add default via 198.51.100.1
	ip -6 route add default via 2001:db8:1::1
}

world_cert() { # NAME SAN…
	local name=$1 san
	shift
	san=$(printf ',DNS:%s' "$@")
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
		-keyout $WORLD/tls/"$name".key -out $WORLD/tls/"$name".csr 2>/dev/null
	openssl x509 -req -in $WORLD/tls/"$name".csr -CA $WORLD/tls/root.pem -CAkey $WORLD/tls/root.key \
		-days 30 -extfile <(printf 'subjectAltName=%s\n' "${san#,}") \
		-out $WORLD/tls/"$name".pem 2>/dev/null
}

# The world's root joins the system store, which this mount namespace has a copy of: so the servers
# are as valid to every program here as the real ones are outside.
world_trust() {
	local certs=$WORLD/tls/certs
	openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
		-subj '/CN=Little Internet Root' -addext 'basicConstraints=critical,CA:TRUE' \
		-addext 'keyUsage=critical,keyCertSign,cRLSign' \
		-keyout $WORLD/tls/root.key -out $WORLD/tls/root.pem 2>/dev/null
	world_cert openai api.openai.com
	world_cert shared ok.shared.test evil.shared.test
	world_cert evil evil.example
	world_cert site pass.example bench.test registry.npmjs.org many.example '*.rebind.test' '*.cname.test'
	cp -a /etc/ssl/certs $certs
	cp --remove-destination $WORLD/tls/root.pem \
		$certs/"$(openssl x509 -hash -noout -in $WORLD/tls/root.pem)".0
	cp --remove-destination /etc/ssl/certs/ca-certificates.crt $certs/ca-certificates.crt
	cat $WORLD/tls/root.pem >>$certs/ca-certificates.crt
	mount --bind $certs /etc/ssl/certs
}

# FAMILY=4 or 6 makes a world whose names have addresses of that family only, so that clients which
# cannot be told which to use are tested over both.
world_family() {
	case ${FAMILY-} in
	4) grep -vE '[[:space:]](AAAA|HTTPS)[[:space:]]' ;;
	6) grep -vE '^[^n].*[[:space:]](A|HTTPS)[[:space:]]' ;;
	*) cat ;;
	esac
}

world_zone() {
	local i
	cat <<-'END'
		$ORIGIN .
		$TTL 60
		.                SOA ns.world. root.world. 1 3600 600 86400 60
		.                NS  ns.world.
		ns.world         A   198.51.100.53
		api.openai.com   A   203.0.113.10
		api.openai.com   AAAA 2001:db8:113::10
		api.openai.com   HTTPS 1 . alpn="h2,http/1.1" ipv4hint=203.0.113.10
		api.openai.com   TXT "allowed name, type not allowed"
		v4.openai.test   A   203.0.113.10
		v6.openai.test   AAAA 2001:db8:113::10
		evil.example     A   203.0.113.66
		evil.example     AAAA 2001:db8:113::66
		*.tunnel.evil.example TXT "exfiltrated"
		ok.shared.test   A   203.0.113.20
		ok.shared.test   AAAA 2001:db8:113::20
		evil.shared.test A   203.0.113.20
		evil.shared.test AAAA 2001:db8:113::20
		llm-gateway      A   203.0.113.30
		llm-gateway      AAAA 2001:db8:113::30
		echo.example     A   203.0.113.50
		echo.example     AAAA 2001:db8:113::50
		registry.npmjs.org A 203.0.113.70
		registry.npmjs.org AAAA 2001:db8:113::70
		bench.test       A   203.0.113.90
		bench.test       AAAA 2001:db8:113::90
		pass.example     A   203.0.113.70
		pass.example     AAAA 2001:db8:113::70
		one.cname.test   CNAME two.cname.test
		two.cname.test   CNAME pass.example
		evil.cname.test  CNAME evil.example
		meta.cname.test  CNAME metadata.rebind.test
		loop1.cname.test CNAME loop2.cname.test
		loop2.cname.test CNAME loop1.cname.test
		metadata.rebind.test A 169.254.169.254
		metadata.rebind.test AAAA ::ffff:169.254.169.254
		aws6.rebind.test AAAA fd00:ec2::254
		nat64.rebind.test AAAA 64:ff9b::a9fe:a9fe
		sixtofour.rebind.test AAAA 2002:a9fe:a9fe::1
		compat.rebind.test AAAA ::169.254.169.254
		loop.rebind.test A 127.0.0.1
		loop.rebind.test AAAA ::1
		zero.rebind.test A 0.0.0.0
		host.rebind.test A 198.51.100.2
		host.rebind.test AAAA 2001:db8:1::2
		gate.rebind.test A 192.0.0.1
		private.rebind.test A 10.1.2.3
		mixed.rebind.test A 169.254.169.254
		mixed.rebind.test A 203.0.113.10
		good.rebind.test A 203.0.113.70
		good.rebind.test AAAA 2001:db8:113::70
	END
	for i in $(seq 200 239); do echo "many.example A 203.0.113.$i"; done
	for i in $(seq 1 60); do
		echo "huge.rebind.test TXT \"$(printf 'x%.0s' $(seq 1 200))$i\""
		echo "huge.rebind.test A 203.0.113.$((i + 100))"
	done
}

world_resolver() {
	world_zone | world_family >$WORLD/conf/root.zone
	cat >$WORLD/conf/unbound.conf <<-END
		server:
		  username: ""
		  chroot: ""
		  directory: "$WORLD/conf"
		  pidfile: "$WORLD/pid/unbound.pid"
		  use-syslog: no
		  logfile: ""
		  log-queries: yes
		  verbosity: 1
		  interface: $RESOLVER4
		  interface: $RESOLVER6
		  interface: 8.8.8.8
		  interface: 2001:4860:4860::8888
		  access-control: 0.0.0.0/0 allow
		  access-control: ::0/0 allow
		  module-config: "iterator"
		  local-zone: "test." nodefault
		  do-daemonize: no
		  num-threads: 1
		auth-zone:
		  name: "."
		  zonefile: "$WORLD/conf/root.zone"
		  for-downstream: yes
		  for-upstream: no
		remote-control:
		  control-enable: yes
		  control-interface: $WORLD/pid/unbound.ctl
	END
	world_daemon unbound unbound -d -c $WORLD/conf/unbound.conf
}

# Configures one more resolver, at port 5300, for names that are only its own: they come from standard
# input, as lines of local-data.
world_resolver_conf() { # FILE ZONE…
	{
		cat <<-END
			server:
			  username: ""
			  chroot: ""
			  directory: "$WORLD/conf"
			  pidfile: ""
			  use-syslog: no
			  logfile: "/dev/null"
			  interface: $RESOLVER4@5300
			  access-control: 0.0.0.0/0 allow
			  do-daemonize: no
		END
		printf '  local-zone: "%s." static\n' "${@:2}"
		cat
	} >"$1"
}

# One more name, for a server that a test brings itself.
world_name() { # NAME ADDRESS
	unbound-control -q -c $WORLD/conf/unbound.conf local_data "$1 60 IN $([[ $2 == *:* ]] && echo AAAA || echo A) $2"
}

world_site() { # NAME CERT ADDR4 ADDR6 BODY-DIRECTIVES
	cat <<-END
		server {
			listen $3:443 ssl http2; listen [$4]:443 ssl http2;
			listen $3:80; listen [$4]:80;
			server_name $1;
			ssl_certificate $WORLD/tls/$2.pem; ssl_certificate_key $WORLD/tls/$2.key;
			$5
		}
	END
}

# One more nginx; what is in its http block comes from standard input.
world_nginx() { # NAME
	local kind
	{
		cat <<-END
			pid $WORLD/pid/$1.pid; daemon off; worker_processes 1; user root;
			error_log $WORLD/log/$1.error warn;
			events { worker_connections 4096; }
			http {
		END
		for kind in client_body proxy fastcgi uwsgi scgi; do
			echo "${kind}_temp_path $WORLD/tmp/$1-$kind;"
		done
		cat
		echo '}'
	} >"$WORLD/conf/$1.conf"
	world_daemon "$1" nginx -c "$WORLD/conf/$1.conf"
}

world_sites() {
	# shellcheck disable=SC2016 # nginx's variables
	local proxy='location / { proxy_pass http://127.0.0.1:9001; proxy_http_version 1.1;
		proxy_set_header Host $http_host; proxy_set_header Connection ""; proxy_buffering off; }
		location = /plain { return 200 "ok\n"; }
		location = /to-metadata { return 302 http://169.254.169.254/; }
		location = /to-evil { return 302 https://evil.example/; }'
	cat <<-END
		log_format seen '\$server_addr:\$server_port sni=\$ssl_server_name host=\$http_host '
			'"\$request" \$status';
		access_log $WORLD/log/nginx.seen seen;
		merge_slashes off; server_tokens off; keepalive_requests 1000000;
		client_max_body_size 100m; root $WORLD/www;
		default_type text/plain;
	END
	world_site api.openai.com openai $OPENAI4 $OPENAI6 "$proxy"
	# the worst case: a server elsewhere that holds a valid certificate for the allowed name
	world_site api.openai.com openai $EVIL4 $EVIL6 'return 200 "stolen\n";'
	world_site evil.example evil $EVIL4 $EVIL6 'return 200 "evil\n";'
	world_site ok.shared.test shared $SHARED4 $SHARED6 'return 200 "ok\n";'
	world_site evil.shared.test shared $SHARED4 $SHARED6 'return 200 "evil\n";'
	world_site '_ pass.example' site 203.0.113.70 2001:db8:113::70 'return 200 "pass\n";'"
		$(seq -f 'listen 203.0.113.%g:443 ssl;' 200 239)"
	world_site bench.test site 203.0.113.90 2001:db8:113::90 'access_log off;'
	cat <<-END
		server {
			listen $META4:80; listen [$META6]:80;
			location / { return 200 "SECRET-CREDENTIALS\n"; }
		}
	END
}

world_servers() {
	mkdir -p $WORLD/www
	world_nginx nginx < <(world_sites)
	world_daemon origin python3 "$TOP/tests/lib/origin.py" $WORLD/log/openai.seen 127.0.0.1:9001
	world_daemon gateway python3 "$TOP/tests/lib/origin.py" $WORLD/log/gateway.seen \
		$GATEWAY4:8080 "[$GATEWAY6]:8080"
	world_daemon echo4 socat TCP4-LISTEN:7777,bind=$ECHO4,fork,reuseaddr EXEC:cat
	world_daemon echo6 socat TCP6-LISTEN:7777,bind="[$ECHO6]",fork,reuseaddr EXEC:cat
	world_daemon uecho4 socat UDP4-LISTEN:7777,bind=$ECHO4,fork EXEC:cat
	world_daemon uecho6 socat UDP6-LISTEN:7777,bind="[$ECHO6]",fork EXEC:cat
	world_daemon quic4 socat -u UDP4-RECV:443,bind=$OPENAI4 OPEN:$WORLD/log/quic.seen,creat,append
	world_daemon quic6 socat -u UDP6-RECV:443,bind="[$OPENAI6]" OPEN:$WORLD/log/quic.seen,creat,append
	# something of the host itself, which no workload may reach; it reads what it is asked, for an end
	# with something unread would take the answer along
	cat >$WORLD/conf/host <<-'END'
		while read -r -t 2 line && [ ${#line} -gt 1 ]; do :; done
		printf 'HTTP/1.0 200 OK\r\n\r\nHOST-SERVICE\n'
	END
	socat TCP6-LISTEN:9009,fork,reuseaddr,ipv6only=0 "EXEC:bash $WORLD/conf/host" \
		>$WORLD/log/host.out 2>&1 </dev/null &
	echo $! >$WORLD/pid/host
}

world_ready() {
	world_wait 60 dig +short +time=1 +tries=1 api.openai.com @$RESOLVER4 &&
		world_wait 60 curl -fsm 10 https://api.openai.com/v1/models &&
		world_wait 60 curl -fsm 10 http://$GATEWAY4:8080/v1/models &&
		world_wait 60 nc -z $ECHO4 7777 && world_wait 60 nc -z $ECHO6 7777 &&
		world_wait 60 world_listens 4 udp 7777 443 &&
		world_wait 60 eval "curl -sm 10 http://$OUTER4:9009/ | grep HOST-SERVICE >/dev/null"
}

# What says nothing to who only looks whether it is there: so many sockets are bound to the ports.
world_listens() { # HOW-MANY udp|tcp PORT…
	local p n=0
	for p in "${@:3}"; do
		n=$((n + $(ip netns exec net ss -Hln "--$2" "sport = :$p" | wc -l)))
	done
	[ $n -ge "$1" ]
}

world_up() {
	set -o pipefail # so what is piped into is read to its end: no grep -q
	if ! { world_mounts && world_network && world_trust; }; then
		echo "world: can not be built" >&2
		exit 1
	fi
	cp -r "$TOP/tests/e2e/clients" $WORLD/ # the checkout may be closed to other users
	world_resolver
	world_servers
	export TMPDIR=$WORLD/tmp
	if ! world_ready; then
		echo "world: a server did not come up" >&2
		tail -n 20 $WORLD/log/* >&2
		exit 1
	fi
	world_forget
}

# nginx writes its line behind its answer, so that who has the answer may be faster: when the line of one
# more request is there, so are all before.
world_settle() {
	local mark=/settle-$RANDOM$RANDOM conn
	exec {conn}<>/dev/tcp/203.0.113.70/80
	printf 'GET %s HTTP/1.0\r\n\r\n' "$mark" >&"$conn"
	read -r -t 30 <&"$conn"
	exec {conn}>&-
	world_wait 60 grep -qF "$mark" "$WORLD/log/nginx.seen"
}

# What arrived so far is forgotten: called before a test looks at what arrives.
world_forget() {
	local f
	world_settle
	for f in "$WORLD"/log/*.seen "$WORLD"/log/unbound.out; do
		[ ! -e "$f" ] || : >"$f"
	done
}

# ---- the sniffer on the far side ----

# One packet of the test's own, behind all others.
sniff_mark="(udp dst port 9 and src host $OUTER4 and dst host 198.51.100.1)"

sniff_start() { # NAME [FILTER]
	local pcap=$WORLD/pcap/$1.pcap
	ip netns exec net tcpdump -i wan0 -n -U --immediate-mode -Q in -w "$pcap" ${2:+"($2) or $sniff_mark"} \
		>"$WORLD/log/tcpdump.$1" 2>&1 </dev/null &
	echo $! >"$WORLD/pid/tcpdump.$1"
	world_wait 60 grep -q 'listening on' "$WORLD/log/tcpdump.$1"
}

sniff_marked() { # NAME
	echo >/dev/udp/198.51.100.1/9
	[ -n "$(tcpdump -n -r "$WORLD/pcap/$1.pcap" "$sniff_mark" 2>/dev/null)" ]
}

# When it has written the mark, it has written what was on its way before. One that has died never does.
sniff_stop() { # NAME
	world_wait 60 sniff_marked "$1" ||
		echo "not ok - the sniffer $1 has seen all: $(tail -n 1 "$WORLD/log/tcpdump.$1")"
	sniff_end "$1"
}

sniff_end() { # NAME
	local pid
	pid=$(cat "$WORLD/pid/tcpdump.$1")
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return 0
}

# The packets that match, one a line. What it cannot look for is not nothing.
sniff_print() { # NAME [OPTION…] [FILTER]
	local args=("${@:2}") last
	last=$((${#args[@]} - 1))
	if [ $last -ge 0 ] && [[ ${args[last]} != -* ]]; then
		args[last]="(${args[last]}) and not $sniff_mark"
	else
		args+=("not $sniff_mark")
	fi
	tcpdump -n -r "$WORLD/pcap/$1.pcap" "${args[@]}" 2>"$WORLD/log/tcpdump.read" && return
	sed 's/^/sniff_print: /' "$WORLD/log/tcpdump.read"
	return 1
}

sniff_count() { # NAME FILTER…
	local found
	if found=$(sniff_print "$@"); then
		printf '%s' "${found:+$found$'\n'}" | wc -l
	else
		echo "$found"
	fi
}

# ---- by hand ----

world_main() {
	case ${1-} in
	shell)
		world_enter "$@"
		world_up
		echo "world: you are in 'outer'; try: curl https://api.openai.com/v1/models"
		PS1='world# ' bash --norc
		;;
	run)
		world_enter "$@"
		world_up
		"${@:2}"
		;;
	up)
		mkdir -p "$2"
		EXEAT_WORLD=inside setsid unshare --net --mount --propagation private --pid --fork \
			--kill-child --mount-proc "$0" hold >"$2/out" 2>&1 </dev/null &
		echo $! >"$2/pid"
		world_wait 60 grep -q ready "$2/out" || { cat "$2/out" >&2; exit 1; }
		;;
	hold)
		world_up
		echo ready
		exec sleep infinity
		;;
	exec)
		local pid
		pid=$(pgrep -P "$(cat "$2/pid")")
		EXEAT_WORLD=inside TMPDIR=$WORLD/tmp exec nsenter -t "$pid" -n -m -p "${@:3}"
		;;
	down)
		kill -KILL "$(cat "$2/pid")"
		rm -f "$2/pid" "$2/out"
		;;
	*)
		echo "usage: world.sh shell | run CMD… | up DIR | exec DIR CMD… | down DIR" >&2
		exit 2
		;;
	esac
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	world_main "$@"
fi
