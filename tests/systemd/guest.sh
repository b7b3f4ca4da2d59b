#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What runs in the machine that tests/systemd/run boots: a node, its pods by podman, and "net", a namespace
# with the server, the resolver and nothing else. A second boot goes on where the first one ended.
set -u
n=0 bad=0

tap() { # STATUS WHAT
	n=$((n + 1))
	[ "$1" = 0 ] && echo "ok $n - $2" && return
	bad=$((bad + 1))
	echo "not ok $n - $2"
	journalctl -q --no-pager -n 3 -o cat -u exeat-agent | sed 's/^/#   /'
	return 1
}
check() { # WHAT COMMAND…
	local out
	out=$("${@:2}" 2>&1)
	tap $? "$1" || echo "#   ${out//$'\n'/$'\n'#   }"
}
refuse() { # WHAT COMMAND…
	! "${@:2}" >/dev/null 2>&1
	tap $? "$1"
}
same() { # WHAT IS SHOULD-BE
	[ "$2" = "$3" ]
	tap $? "$1${3:+: $3}" || echo "#   is: ${2//$'\n'/$'\n'#   }"
}
within() { # SECONDS COMMAND…
	local i
	for ((i = 0; i < $1 * 2; i++)); do
		"${@:2}" >/dev/null 2>&1 && return
		sleep 0.5
	done
	return 1
}

# ---- the world ----

world() {
	ip netns add net
	ip link add wan0 type veth peer name eth0 netns net
	ip addr add 203.0.113.1/24 dev wan0
	ip link set wan0 up
	ip -n net link set lo up
	ip -n net link set eth0 up
	for a in 10 53 80 81; do ip -n net addr add 203.0.113.$a/24 dev eth0; done
	ip -n net route add default via 203.0.113.1
	sysctl -qw net.ipv4.ip_forward=1
	mkdir -p /run/net/www/v1
	echo models >/run/net/www/v1/models
	cat >/run/net/nginx.conf <<-END
		pid /run/net/nginx.pid; error_log /run/net/nginx.error; worker_processes 1; user root;
		events { }
		http { access_log /run/net/nginx.access; root /run/net/www;
		server { listen 80; listen 443 ssl; ssl_certificate /root/api.pem; ssl_certificate_key /root/api.key; } }
	END
	systemd-run -q --unit net-nginx -p NetworkNamespacePath=/run/netns/net \
		nginx -c /run/net/nginx.conf -g 'daemon off;'
	systemd-run -q --unit net-dns -p NetworkNamespacePath=/run/netns/net \
		dnsmasq -k -u root --no-resolv --no-hosts --listen-address=203.0.113.53 --bind-interfaces \
		--address=/api.test/203.0.113.10 --address=/other.test/203.0.113.10
}

image() {
	local root=/run/image lib
	mkdir -p $root/{bin,etc,tmp,proc,sys,dev,usr/bin}
	cp /bin/busybox $root/bin/
	for lib in cat ls sh sleep; do ln -s busybox "$root/bin/$lib"; done
	for lib in /usr/bin/curl $(ldd /usr/bin/curl | grep -oE '/[^ )]+'); do
		mkdir -p "$root/${lib%/*}"
		cp -L "$lib" "$root/$lib"
	done
	tar -C $root -c . | podman import -q -c 'CMD=["/bin/sleep","100000"]' - localhost/box
	rm -rf $root
}

box() { # NAME LABEL
	podman run -d --name "$1" --network pods --dns 203.0.113.53 --label "app=$2" \
		-v /var/lib/exeat/trust.pem:/exeat.pem:ro localhost/box
}
get() { # CONTAINER CURL-ARGUMENT…: the status, 000 for none
	podman exec "$1" curl -s -m 60 -o /dev/null -w '%{http_code}' --cacert /exeat.pem "${@:2}"
}
agent_is() { [ "$(systemctl is-active exeat-agent)" = "$1" ]; }
main_pid() { systemctl show -p MainPID --value exeat-agent; }
proxies() { pgrep -cx exeat-proxy; }

gates() { # of the container "agent", when
	same "$1: what a rule allows" "$(get agent https://api.test/v1/models)" 200
	same "$1: not another path" "$(get agent https://api.test/v1/other)" 403
	same "$1: not another name" "$(get agent https://other.test/v1/models)" 000
	same "$1: an address that is allowed" "$(get agent http://203.0.113.80/v1/models)" 200
	same "$1: not its neighbour" "$(get agent -m 5 http://203.0.113.81/v1/models)" 000
}

# ---- first boot ----

first_boot() {
	check "systemd has started the agent" within 60 agent_is active
	same "and nothing of it has failed" "$(systemctl show -p NRestarts --value exeat-agent)" 0
	check "doctor finds all that it needs" exeat doctor --node
	check "the authority is made, and for everybody to read" test -r /var/lib/exeat/trust.pem
	same "its key is root's alone" "$(stat -c '%U %a' /var/lib/exeat/ca.key)" "root 600"
	same "the group of the socket is that of sysusers" "$(stat -c %G /run/exeat/agent.sock)" exeat
	check "an image" image
	check "a container, in a cgroup that systemd made" box agent agent
	check "one that no policy selects" box none none
	[ $bad = 0 ] || finish # nothing else could be told
	gates "started"
	same "nobody: nothing" "$(get none -m 5 http://203.0.113.80/v1/models)" 000
	check "denials are on record" grep -q '"/v1/other"' /var/log/exeat/audit.jsonl
	same "the records are root's alone" "$(stat -c '%U %a' /var/log/exeat)" "root 700"
}

reloaded() {
	sed -i 's|/v1/models|/v1/other|' /etc/exeat/policies/agent.yaml
	check "another policy is in force" within 20 status_is 403
	sed -i 's|/v1/other|/v1/models|' /etc/exeat/policies/agent.yaml
	check "systemctl reload" systemctl reload exeat-agent
	check "the first one again" within 20 status_is 200
	gates "reloaded"
}
status_is() { [ "$(get agent https://api.test/v1/models)" = "$1" ]; }

restarted() {
	check "systemctl restart" systemctl restart exeat-agent
	check "it adopts what there was" within 60 status_is 200
	gates "restarted"
	kill -KILL "$(main_pid)"
	check "systemd starts it again after a crash" within 60 status_is 200
	gates "crashed"
	same "twice started, by systemd once" "$(systemctl show -p NRestarts --value exeat-agent)" 1
}

stopped() {
	check "systemctl stop" systemctl stop exeat-agent
	same "no proxy is left" "$(proxies)" 0
	check "what it has to know stays in /run/exeat" test -d /run/exeat/endpoints
	same "stopped: an address that is allowed" "$(get agent http://203.0.113.80/v1/models)" 200
	same "stopped: not its neighbour" "$(get agent -m 5 http://203.0.113.81/v1/models)" 000
	same "stopped: what needs the proxy is refused" "$(get agent -m 5 https://api.test/v1/models)" 000
	refuse "no container starts without the agent" box away agent
	podman rm -f -t 0 away >/dev/null 2>&1
	check "a container can be removed" podman rm -f -t 0 none
	check "systemctl start" systemctl start exeat-agent
	check "the proxy is back" within 60 status_is 200
	gates "started again"
	echo 'no: such key' >>/etc/exeat/agent.yaml
	systemctl restart exeat-agent 2>/dev/null
	sleep 30 # more starts than systemd takes by default
	sed -i '$ d' /etc/exeat/agent.yaml
	check "a configuration that was not valid is tried until it is" within 60 status_is 200
	same "who was removed is gone" "$(exeat endpoint list | grep -c none)" 0
}

confined() { # the unit's own promises, asked of the running process
	local pid
	pid=$(main_pid)
	same "no new privileges" "$(awk '/NoNewPrivs/ { print $2 }' /proc/"$pid"/status)" 1
	same "a filter of system calls" "$(awk '/^Seccomp:/ { print $2 }' /proc/"$pid"/status)" 2
	refuse "it cannot write to /etc" nsenter -t "$pid" -m touch /etc/exeat/x
	refuse "nor to /usr" nsenter -t "$pid" -m touch /usr/x
	same "/home is empty for it" "$(nsenter -t "$pid" -m ls -A /home /root 2>/dev/null | grep -v : | grep .)" ""
	same "a proxy has no capability" "$(awk '/CapEff/ { print $2 }' /proc/"$(pgrep -ox exeat-proxy)"/status)" 0000000000000000
}

# ---- second boot ----

second_boot() {
	check "the agent runs after a boot" within 60 agent_is active
	check "the container starts again" podman start agent
	check "and is served" within 60 status_is 200
	gates "booted"
	same "the authority is the same" "$(sha256sum </var/lib/exeat/trust.pem)" "$(cat /root/trust.sum)"
	podman rm -f -t 0 agent >/dev/null
	check "systemctl stop, at the end" systemctl stop exeat-agent
	check "uninstall" exeat agent --uninstall
	same "nothing is pinned any more" "$(find /sys/fs/bpf/exeat 2>/dev/null)" ""
	check "the package goes" dpkg -r exeat
	refuse "with its unit" systemctl cat exeat-agent
}

finish() {
	echo "1..$n"
	[ $bad = 0 ] || echo "# $bad failed"
	echo "# end"
	systemctl --force poweroff
	exit
}

echo
world
within 30 test -S /run/exeat/agent.sock
if [ ! -e /root/trust.sum ]; then
	echo "# first boot, $(uname -r), $(systemctl --version | head -1)"
	first_boot
	confined
	reloaded
	restarted
	stopped
	sha256sum </var/lib/exeat/trust.pem >/root/trust.sum
	echo $n >/root/n
	echo "# reboot"
	systemctl --force reboot
else
	n=$(cat /root/n)
	echo "# second boot"
	second_boot
	finish
fi
