#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exeat beside its peers, in one run: HAProxy, nginx, squid, mitmproxy, and a relay that reads nothing
# (the floor), all between the same client and the same server. What is compared is the CPU time of the
# proxy for one request, connection or GiB; peers.py takes the measures and says how.
#
#   bench/peers.sh [--short] [ROW…]     root; installs haproxy, nginx' stream module, squid-openssl,
#                                       mitmproxy, dnsdist, dnsperf and ipset where missing
#
#   pod-X 10.77.N.2 --veth-- this namespace: the proxies --veth-- "net" 203.0.113.91: the server
#
# A pod for each variant, so that steering never changes and no address is shared: HAProxy, squid and the
# relays get their flows by tproxy, nginx and mitmproxy (which have no IP_TRANSPARENT) by redirect, exeat
# by itself.

. "$(dirname "$0")/../tests/lib/e2e.sh"

if [ "${EXEAT_WORLD-}" != inside ]; then
	make -C "$TOP" --no-print-directory -s O="$(dirname "$EXEAT")" "$(dirname "$EXEAT")/bench/load" \
		"$(dirname "$EXEAT")/bench/relay" || exit 1
	# the daemons that the packages would start are not wanted
	policy=/usr/sbin/policy-rc.d
	for p in haproxy libnginx-mod-stream dnsdist dnsperf squid-openssl mitmproxy ipset iptables; do
		dpkg-query -W -f '${db:Status-Status}\n' $p 2>/dev/null | grep -qx installed && continue
		echo "bench: installing $p"
		[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=$policy; }
		apt-get install -y -qq --no-install-recommends $p >/dev/null 2>&1 </dev/null && continue
		echo "bench: apt-get install $p failed" >&2
		case $p in squid-openssl | mitmproxy | ip*) ;; *) exit 77 ;; esac # it goes on without those
	done
	[ -z "${made-}" ] || rm -f "$made"
fi
world_enter "$@"
world_up

ORIGIN=203.0.113.91
NAME=api.bench.test
LOAD=$(dirname "$EXEAT")/bench
FRESH=2000 # names below mint.test, for those that are seen for the first time
export ORIGIN NAME LOAD RESOLVER4 PYTHONDONTWRITEBYTECODE=1
world_name $NAME $ORIGIN
world_name other.test $ORIGIN
world_cert origin $NAME other.test '*.mint.test'
world_cert mitm $NAME
cat $WORLD/tls/mitm.pem $WORLD/tls/mitm.key >$WORLD/tls/mitm.both

# Everything paces alike; what the machine's default is does not matter.
for ns in '' 'ip netns exec net'; do
	$ns sysctl -qw net.ipv4.tcp_congestion_control=reno
done
# Who does not pool connects thousands of times a second to one address: its ports come back at once.
sysctl -qw net.ipv4.tcp_tw_reuse=1 net.ipv4.ip_local_port_range='1024 65000'

# ---- the server ----

mkdir -p $WORLD/www/v1/chat $WORLD/www/sink
head -c $((100 << 20)) /dev/zero >$WORLD/www/blob
answer=$(printf '{"id":"1","object":"chat.completion","choices":[{"message":{"content":"%0139d"}}]}' 0)
sites=''
for port in 80 '443 ssl'; do
	sites+="
		server {
			listen $ORIGIN:$port backlog=4096 reuseport; server_name $NAME;
			ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:4m;
			ssl_certificate $WORLD/tls/origin.pem; ssl_certificate_key $WORLD/tls/origin.key;
			location = /v1/chat/completions { return 200 '$answer'; }
			location = /v1/models { return 200 '$answer'; }
			location /sink/ { dav_methods PUT; }
			location / { sendfile on; sendfile_max_chunk 2m; }
		}"
done
origin() { # NAME SERVERS
	cat >"$WORLD/conf/$1.conf" <<-END
		pid $WORLD/pid/bench-$1.pid; daemon off; worker_processes 1; user root;
		error_log $WORLD/log/bench-$1.error crit; worker_rlimit_nofile 19000;
		events { worker_connections 9000; }
		http {
		access_log off; client_max_body_size 0; client_body_buffer_size 256k;
		client_body_temp_path $WORLD/tmp/body-o; proxy_temp_path $WORLD/tmp/proxy-o;
		fastcgi_temp_path $WORLD/tmp/fcgi-o; uwsgi_temp_path $WORLD/tmp/uwsgi-o; scgi_temp_path $WORLD/tmp/scgi-o;
		server_tokens off; keepalive_requests 100000000; keepalive_timeout 600s; root $WORLD/www;
		default_type application/json; tcp_nodelay on; $2
		}
	END
}
origin origin "$sites"
world_daemon bench-origin setsid taskset -c 0 nginx -c $WORLD/conf/origin.conf

# Names to be seen for the first time: each has an address, as one address may have only so many names,
# and one server in a namespace of its own is behind them all. It keeps no connection and resumes none,
# so that a name that was seen before costs the same towards it.
ip netns add fresh
ip -n net link add fresh0 type veth peer name eth0 netns fresh
ip netns exec net bash -e <<-END
	sysctl -qw net.ipv4.ip_forward=1
	ip addr add 10.78.0.1/30 dev fresh0
	ip link set fresh0 up
	ip route add 45.1.0.0/16 via 10.78.0.2
END
ip netns exec fresh bash -e <<-END
	sysctl -qw net.ipv4.tcp_congestion_control=reno
	ip link set lo up
	ip link set eth0 up
	ip addr add 10.78.0.2/30 dev eth0
	ip route add default via 10.78.0.1
	ip route add local 45.1.0.0/16 dev lo
END
for i in $(seq 0 $((FRESH - 1))); do
	echo "n$i.mint.test 600 IN A 45.1.$((i / 250)).$((i % 250 + 1))"
done | unbound-control -q -c $WORLD/conf/unbound.conf local_datas
origin fresh "server {
		listen 443 ssl backlog=4096; server_name .mint.test; keepalive_timeout 0;
		ssl_certificate $WORLD/tls/origin.pem; ssl_certificate_key $WORLD/tls/origin.key;
		ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
		location = /v1/chat/completions { return 200 '$answer'; }
	}"
ip netns exec fresh setsid taskset -c 0 nginx -c $WORLD/conf/fresh.conf >>$WORLD/log/bench-fresh.out 2>&1 </dev/null &
echo $! >$WORLD/pid/bench-fresh

# A thousand names that nobody may cache, each with its own address. All policies spell them out: below
# a pattern so many of so few, asked time and again, say as much as a tunnel, and exeat refuses them as one.
cat >$WORLD/conf/policy-dns.yaml <<END
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: bench-dns
spec:
  endpointSelector: {}
  egress:
  - toPorts:
    - ports:
      - port: "443"
        protocol: TCP
    toFQDNs:
END
for i in $(seq 0 999); do
	echo "n$i.bench.example A" >>$WORLD/conf/bench.names
	echo "    - matchName: n$i.bench.example" >>$WORLD/conf/policy-dns.yaml
	echo "server=/n$i.bench.example/$RESOLVER4#5300" >>$WORLD/conf/dnsmasq.servers
	echo "local-data: \"n$i.bench.example 0 IN A 45.0.$((i / 250)).$((i % 250 + 1))\"" >>$WORLD/conf/bench.data
done
world_resolver_conf $WORLD/conf/bench-unbound.conf bench.example <$WORLD/conf/bench.data
world_daemon bench-unbound setsid taskset -c 0 unbound -d -c $WORLD/conf/bench-unbound.conf
world_wait 5 dig +tries=1 +time=1 -p 5300 @$RESOLVER4 n1.bench.example

# ---- the peers ----

cat >$WORLD/conf/haproxy.cfg <<END
global
	nbthread 1
	maxconn 6000
	tune.bufsize 131072
	tune.pipesize 1048576
defaults
	timeout connect 5s
	timeout client 600s
	timeout server 600s
	timeout http-keep-alive 600s
	option splice-auto
	maxconn 6000
frontend http
	mode http
	bind :9080 transparent
	acl ok hdr(host) $NAME
	acl ok1 method POST
	acl ok2 path /v1/chat/completions
	acl ok3 method GET
	acl ok4 path /v1/models /blob
	acl ok5 method PUT
	acl ok6 path /sink/blob
	http-request deny unless ok ok1 ok2 or ok ok3 ok4 or ok ok5 ok6
	default_backend http
backend http
	mode http
	http-reuse always
	server o $ORIGIN:80
frontend mitm
	mode http
	bind :9443 transparent ssl crt $WORLD/tls/mitm.both alpn http/1.1
	acl ok hdr(host) $NAME
	acl ok0 ssl_fc_sni $NAME
	acl ok1 method POST
	acl ok2 path /v1/chat/completions
	acl ok3 method GET
	acl ok4 path /v1/models /blob
	acl ok5 method PUT
	acl ok6 path /sink/blob
	http-request deny unless ok0 ok ok1 ok2 or ok0 ok ok3 ok4 or ok0 ok ok5 ok6
	default_backend mitm
backend mitm
	mode http
	http-reuse always
	server o $ORIGIN:443 ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt sni str($NAME) verifyhost $NAME
frontend name
	mode tcp
	bind :9444 transparent
	tcp-request inspect-delay 5s
	tcp-request content accept if { req.ssl_sni -i $NAME }
	tcp-request content reject if { req.ssl_hello_type 1 }
	default_backend name
backend name
	mode tcp
	server o $ORIGIN:443
END
only() { # METHOD: nginx passes no other
	# shellcheck disable=SC2016 # nginx's variable
	printf 'if ($request_method != %s) { return 403; }' "$1"
}
# shellcheck disable=SC2016
proxy='proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;'
site() { # LISTEN UPSTREAM
	cat <<-END
		server { listen $1 backlog=4096; server_name $NAME;
			ssl_certificate $WORLD/tls/mitm.pem; ssl_certificate_key $WORLD/tls/mitm.key;
			location = /v1/chat/completions { $(only POST) proxy_pass $2; $proxy }
			location = /v1/models { $(only GET) proxy_pass $2; $proxy }
			location = /blob { $(only GET) proxy_pass $2; $proxy }
			location = /sink/blob { $(only PUT) proxy_pass $2; $proxy }
			location / { return 403; } }
		server { listen ${1/ ssl/} default_server ${1//[0-9]/}; server_name _;
			ssl_certificate $WORLD/tls/mitm.pem; ssl_certificate_key $WORLD/tls/mitm.key; return 403; }
	END
}
cat >$WORLD/conf/peer.conf <<END
	load_module /usr/lib/nginx/modules/ngx_stream_module.so;
	pid $WORLD/pid/bench-nginx.pid; daemon off; worker_processes 1; user root;
	error_log $WORLD/log/bench-nginx.error crit; worker_rlimit_nofile 19000;
	events { worker_connections 9500; }
	http {
	access_log off; client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;
	proxy_buffer_size 16k; proxy_buffers 16 64k; proxy_busy_buffers_size 256k; client_body_buffer_size 128k;
	client_body_temp_path $WORLD/tmp/body-p; proxy_temp_path $WORLD/tmp/proxy-p;
	fastcgi_temp_path $WORLD/tmp/fcgi-p; uwsgi_temp_path $WORLD/tmp/uwsgi-p; scgi_temp_path $WORLD/tmp/scgi-p;
	keepalive_requests 100000000; keepalive_timeout 600s; proxy_read_timeout 600s;
	ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_verify on; proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt; proxy_ssl_name $NAME;
	proxy_ssl_server_name on; proxy_ssl_session_reuse on; proxy_ssl_protocols TLSv1.2 TLSv1.3;
	upstream plain { server $ORIGIN:80; keepalive 256; keepalive_requests 100000000; keepalive_timeout 600s; }
	upstream tls { server $ORIGIN:443; keepalive 256; keepalive_requests 100000000; keepalive_timeout 600s; }
	$(site 9180 http://plain)
	$(site '9143 ssl' https://tls)
	}
	stream {
	map \$ssl_preread_server_name \$to { $NAME $ORIGIN:443; }
	server { listen 9144 backlog=4096; ssl_preread on; proxy_pass \$to; proxy_timeout 600s; proxy_buffer_size 128k; }
	}
END
# shellcheck source=bench/interceptors.sh
. "$TOP/bench/interceptors.sh"
# A session of its own for everyone, as pods and daemons have (and `exeat run` makes): the scheduler
# groups by session, and who shares one with the server is woken more cheaply.
peer() { # NAME COMMAND…: alone on CPU 1
	setsid taskset -c 1 "${@:2}" >>"$WORLD/log/bench-$1.out" 2>&1 </dev/null &
	echo $! >"$WORLD/pid/bench-$1"
}
peer haproxy haproxy -f $WORLD/conf/haproxy.cfg
peer nginx nginx -c $WORLD/conf/peer.conf
squid_start
mitmproxy_start
cat >$WORLD/conf/dnsdist.conf <<END
setLocal("0.0.0.0:5353")
setACL("0.0.0.0/0")
newServer{address="$RESOLVER4:5300"}:setUp()
allowed = newSuffixMatchNode()
for i = 0, 999 do
	allowed:add(newDNSName("n" .. i .. ".bench.example."))
end
addAction(NotRule(SuffixMatchNodeRule(allowed)), RCodeAction(DNSRCode.REFUSED))
END
masq=(dnsmasq -k --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= --bind-interfaces
	--local=/#/ "--servers-file=$WORLD/conf/dnsmasq.servers" --listen-address=0.0.0.0 --cache-size=0 --dns-forward-max=1000)
peer dnsdist dnsdist --supervised --disable-syslog -C $WORLD/conf/dnsdist.conf
peer dnsmasq "${masq[@]}" --port=5354
peer relay "$LOAD/relay" 9300 rw
peer relay-splice "$LOAD/relay" 9301 splice

# ---- pods and steering ----

pod() { # NAME N
	ip netns add "pod-$1"
	ip link add "v-$1" type veth peer name eth0 netns "pod-$1"
	ip addr add "10.77.$2.1/24" dev "v-$1"
	ip link set "v-$1" up
	ip netns exec "pod-$1" bash -e <<-END
		sysctl -qw net.ipv4.tcp_congestion_control=reno
		ip link set lo up
		ip link set eth0 up
		ip addr add 10.77.$2.2/24 dev eth0
		ip route add default via 10.77.$2.1
	END
}
n=1
for v in direct relay splice haproxy hapname nginx nginxname squid squidname mitm; do
	pod $v $n
	n=$((n + 1))
done
sysctl -qw net.ipv4.ip_forward=1
ip netns exec net ip route add 10.77.0.0/16 via $OUTER4
ip rule add fwmark 1 lookup 100
ip route add local default dev lo table 100
# Only those who are reached by redirect pay for conntrack, and nobody for the rules of the others.
nft -f - <<-END || exit 1
	table ip bench {
		chain raw { type filter hook prerouting priority raw; policy accept;
			iifname != { "v-nginx", "v-nginxname", "v-mitm" } notrack
		}
		chain out { type filter hook output priority raw; policy accept;
			oifname != { "v-nginx", "v-nginxname", "v-mitm" } notrack
		}
		chain relay { tcp dport { 80, 443 } tproxy to :9300 meta mark set 1 accept; }
		chain splice { tcp dport { 80, 443 } tproxy to :9301 meta mark set 1 accept; }
		chain haproxy { tcp dport 80 tproxy to :9080 meta mark set 1 accept
			tcp dport 443 tproxy to :9443 meta mark set 1 accept; }
		chain hapname { tcp dport 443 tproxy to :9444 meta mark set 1 accept; }
		chain squid { tcp dport 80 tproxy to :9580 meta mark set 1 accept
			tcp dport 443 tproxy to :9543 meta mark set 1 accept; }
		chain squidname { tcp dport 443 tproxy to :9544 meta mark set 1 accept; }
		chain steer { type filter hook prerouting priority mangle; policy accept;
			iifname vmap { "v-relay" : jump relay, "v-splice" : jump splice,
				"v-haproxy" : jump haproxy, "v-hapname" : jump hapname,
				"v-squid" : jump squid, "v-squidname" : jump squidname }
		}
		chain nat { type nat hook prerouting priority dstnat; policy accept;
			iifname "v-nginx" tcp dport 80 redirect to :9180
			iifname "v-nginx" tcp dport 443 redirect to :9143
			iifname "v-nginxname" tcp dport 443 redirect to :9144
			iifname "v-mitm" tcp dport { 80, 443 } redirect to :9600
		}
	}
END
# dnsmasq that learns, as the gate does: it needs its set first
nft add set ip bench learned '{ type ipv4_addr; }'
peer dnsmasq-nftset "${masq[@]}" --port=5355 --nftset=/bench.example/4#ip#bench#learned
for port in 9080 9143 9144 9180 9300 9301 9443 9444; do
	world_wait 5 nc -z 127.0.0.1 $port || { echo "bench: nothing listens on $port" >&2
		tail -n 5 $WORLD/log/bench-* >&2; exit 1; }
done
# those that may be missing: peers.py says what of them does not work
[ ! -e $WORLD/pid/bench-squid ] || world_wait 5 nc -z 127.0.0.1 9544
[ ! -e $WORLD/pid/bench-mitmproxy ] || world_wait 10 nc -z 127.0.0.1 9600
world_wait 5 ip netns exec pod-direct curl -fsSo /dev/null --data x http://$NAME/v1/chat/completions
exec python3 "$TOP/bench/peers.py" "$@"
