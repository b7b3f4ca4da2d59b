# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The peers that mint certificates, as exeat does: squid (peek, then bump or splice) and mitmproxy. Who is
# not installed is left out. Sourced by peers.sh, which has peer().

# One process and one helper, as there is one CPU. Nothing is cached or logged. By the second step squid
# knows the server name, and may speak with the client first, so that it can keep what it has to the server.
squid_start() {
	local certgen=/usr/lib/squid/security_file_certgen mint
	command -v squid >/dev/null && [ -x $certgen ] || return 0
	{ $certgen -c -s "$WORLD/conf/squid-certs" -M 64MB && chown -R proxy: "$WORLD/conf/squid-certs"; } >/dev/null || return 0
	mint="ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=64MB
		tls-cert=$WORLD/tls/root.pem tls-key=$WORLD/tls/root.key"
	cat >"$WORLD/conf/squid.conf" <<-END
		http_port 127.0.0.1:9588
		http_port 9580 tproxy
		https_port 9543 tproxy name=bump ${mint//[$'\n\t']/ }
		https_port 9544 tproxy name=name ${mint//[$'\n\t']/ }
		sslcrtd_program $certgen -s $WORLD/conf/squid-certs -M 64MB
		sslcrtd_children 1 startup=1 idle=1
		tls_outgoing_options cafile=/etc/ssl/certs/ca-certificates.crt
		acl by_name myportname name
		acl first at_step SslBump1
		acl servers ssl::server_name $NAME .mint.test
		ssl_bump peek first
		ssl_bump splice by_name servers
		ssl_bump bump !by_name servers
		ssl_bump terminate all
		acl tunnel method CONNECT
		acl ok dstdomain $NAME .mint.test
		acl ok1 method POST
		acl ok2 urlpath_regex ^/v1/chat/completions\$
		acl ok3 method GET
		acl ok4 urlpath_regex ^/(v1/models|blob)\$
		acl ok5 method PUT
		acl ok6 urlpath_regex ^/sink/blob\$
		http_access allow tunnel
		http_access allow ok ok1 ok2
		http_access allow ok ok3 ok4
		http_access allow ok ok5 ok6
		http_access deny all
		spoof_client_ip deny all
		cache deny all
		cache_mem 8 MB
		access_log none
		cache_log $WORLD/log/squid.log
		pid_filename none
		coredump_dir $WORLD/tmp
		pinger_enable off
		via off
		forwarded_for delete
		dns_nameservers $RESOLVER4
		max_filedescriptors 19000
		client_idle_pconn_timeout 10 minutes
		server_idle_pconn_timeout 10 minutes
		read_ahead_gap 256 KB
		shutdown_lifetime 0 seconds
	END
	peer squid squid -N -f "$WORLD/conf/squid.conf"
}

# Connects only when a request was judged, and mints by the client's server name alone. Bodies stream.
mitmproxy_start() {
	local dir=$WORLD/conf/mitmproxy
	command -v mitmdump >/dev/null || return 0
	mkdir -p "$dir"
	cat "$WORLD/tls/root.key" "$WORLD/tls/root.pem" >"$dir/mitmproxy-ca.pem"
	peer mitmproxy mitmdump -q --mode transparent --listen-host 0.0.0.0 --listen-port 9600 \
		-s "$TOP/bench/mitmproxy_policy.py" --set confdir="$dir" --set flow_detail=0 \
		--set connection_strategy=lazy --set upstream_cert=false \
		--set ssl_verify_upstream_trusted_ca=/etc/ssl/certs/ca-certificates.crt
}
