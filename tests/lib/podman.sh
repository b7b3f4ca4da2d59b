# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A node with podman, inside the little internet (world.sh): "outer" is the node, its pods live on a
# bridge behind exeat-cni, and "net" routes back to them, so that a sniffer there sees the pods' own
# addresses.
#
#       pod ---- cni0 ---- up0 | wan0 ---- net
#    10.77.0.x   10.77.0.1
#    fd00:77::x  fd00:77::1
#
# podman has its own storage, network configuration and image, all in the world's file systems; what
# it leaves outside, empty cgroups, podman_down removes. Needs podman, runc and the CNI plugins.
#
#   . podman.sh; podman_enter "$@"; agent_up; …
#
#   box ARG… IMAGE CMD…    podman run on the network "pods"
#   tools ARG… IMAGE CMD…  the same with CAP_NET_ADMIN, CAP_NET_RAW and all programs of the host

. "$(dirname "${BASH_SOURCE[0]}")/e2e.sh"

# shellcheck disable=SC2034 # some names are for the scripts that source this
NODE=$WORLD/node
CNI=${EXEAT%/*}/exeat-cni
POD4=10.77.0 POD6=fd00:77:
NODE_POLICIES=$NODE/policies
AGENT_SOCKET=/run/exeat/agent.sock

need_podman() {
	local missing=()
	for c in podman runc; do
		command -v $c >/dev/null || missing+=("$c")
	done
	[ -x /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
	[ -x /bin/busybox ] || missing+=(busybox-static)
	if [ ${#missing[@]} -gt 0 ]; then
		echo "1..0 # SKIP not installed: ${missing[*]}"
		exit 77
	fi
}

podman_enter() { # the test's own arguments
	need_podman
	world_enter "$@"
	world_up
	node_up
	trap podman_down EXIT
}

# The files of an image of busybox and curl, with the world's roots where curl looks for them. "hello ADDRESS
# PORT" says it, and what comes back on standard error.
box_root() { # DIRECTORY
	local root=$1 lib
	mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev,root,www,usr/bin}
	cp /bin/busybox "$root/bin/busybox"
	for lib in $(/bin/busybox --list); do
		[ "$lib" = busybox ] || ln -sf busybox "$root/bin/$lib"
	done
	cp /usr/bin/curl "$root/usr/bin/"
	libraries_of /usr/bin/curl "$root"
	mkdir -p "$root/etc/ssl/certs"
	cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
	# shellcheck disable=SC2016 # expands inside
	printf '#!/bin/sh\nexec nc -w 20 "$1" "$2" -e /bin/hear\n' >"$root/bin/hello"
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho hello; read -r -t 20 line; echo "$line" >&2\n' >"$root/bin/hear"
	chmod 755 "$root/bin/hello" "$root/bin/hear"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo pong >"$root/www/ping"
}

libraries_of() { # PROGRAM DIRECTORY
	local lib
	for lib in $(ldd "$1" | grep -oE '/[^ )]+'); do
		mkdir -p "$2/${lib%/*}"
		cp -L "$lib" "$2/$lib"
	done
}

# The same of nothing but names: the host's own programs, mounted read-only, for a container that is to
# have everything an attacker could want.
tools_root() { # DIRECTORY
	mkdir -p "$1"/{usr,etc,tmp,proc,sys,dev,root,mnt,run,clients}
	ln -s usr/bin usr/sbin usr/lib usr/lib64 "$1/"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
}

podman_import() { # box|tools OPTION…
	"$1_root" "$NODE/image"
	tar -C "$NODE/image" -c . | podman import -q "${@:2}" - "localhost/$1" >/dev/null
	rm -rf "$NODE/image"
}

podman_tools() {
	podman_import tools
}

tools() { # ARG… IMAGE CMD…
	podman run --network pods --cap-add NET_ADMIN,NET_RAW -v /usr:/usr:ro -v "$CLIENTS:/clients:ro" \
		-v /etc/alternatives:/etc/alternatives:ro -v /etc/ssl:/etc/ssl:ro "$@"
}

# The chain of the network, for `network NAME BRIDGE SUBNET4 SUBNET6 [ipMasq] [exeat-cni's settings]`
podman_network() {
	cat >"$NODE/net.d/$1.conflist" <<-END
		{"cniVersion": "1.0.0", "name": "$1", "plugins": [
		  {"type": "bridge", "bridge": "$2", "isGateway": true, "ipMasq": ${5:-false}, "hairpinMode": true,
		   "ipam": {"type": "host-local", "dataDir": "$NODE/ipam",
		     "ranges": [[{"subnet": "$3"}], [{"subnet": "$4"}]],
		     "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}},
		  {"type": "firewall", "backend": "iptables"},
		  {"type": "tuning", "sysctl": {"net.ipv4.conf.all.arp_notify": "1"}},
		  {"type": "exeat-cni", "labelsFrom": "podman"${6:+, $6}}
		]}
	END
}

box() {
	podman run --network pods "$@"
}

node_up() {
	mkdir -p "$NODE"/{storage,run,tmp,net.d,policies,bin} /sys/fs/bpf
	mount -t bpf bpf /sys/fs/bpf
	# libcni keeps a cache in /var/lib/cni: in a copy of ours.
	mkdir -p "$NODE"/var/{upper,work}
	mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$NODE/var/upper,workdir=$NODE/var/work" /var/lib
	cp "$CNI" "$NODE/bin/exeat-cni"
	cat >"$NODE/containers.conf" <<-END
		[containers]
		default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
		log_driver = "k8s-file"
		[engine]
		runtime = "runc"
		cgroup_manager = "cgroupfs"
		events_logger = "none"
		infra_image = "localhost/box"
		lock_type = "file"
		tmp_dir = "$NODE/tmp"
		[network]
		network_backend = "cni"
		cni_plugin_dirs = ["/usr/lib/cni", "$NODE/bin"]
		network_config_dir = "$NODE/net.d"
		default_network = "pods"
	END
	cat >"$NODE/storage.conf" <<-END
		[storage]
		driver = "overlay"
		graphroot = "$NODE/storage"
		runroot = "$NODE/run"
	END
	export CONTAINERS_CONF=$NODE/containers.conf CONTAINERS_STORAGE_CONF=$NODE/storage.conf
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n net route add $POD4.0/24 via "$OUTER4"
	ip -n net -6 route add ${POD6}:/64 via "$OUTER6"
	podman_network pods cni0 $POD4.0/24 ${POD6}:/64
	podman_import box -c 'CMD=["/bin/sleep","100000"]' -c LABEL=vendor=image
}

# The agent with the policies of $NODE_POLICIES, and with no more than its systemd unit lets it have.
# Its log: $WORLD/log/agent.out
agent_up() { # FLAG…
	local caps
	caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$TOP/examples/systemd/exeat-agent.service" |
		tr 'A-Z\n ' 'a-z,,' | sed 's/cap_/+/g; s/,*$//')
	setpriv --bounding-set "-all,$caps" --no-new-privs "$EXEAT" agent --policy-dir "$NODE_POLICIES" --ca-dir "$NODE/ca" --audit-file "$WORLD/log/audit" \
		--upstream-ca "$WORLD/tls/root.pem" "$@" >>"$WORLD/log/agent.out" 2>&1 </dev/null &
	echo $! >"$WORLD/pid/agent"
	world_wait 60 agent_ask '{"op":"status"}' || {
		tail -n 20 "$WORLD/log/agent.out"
		return 1
	}
}

agent_down() { # [SIGNAL]
	local pid
	pid=$(cat "$WORLD/pid/agent")
	kill "-${1:-TERM}" "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return 0
}

# One line to the control socket, the answer; fails when it is not ok.
agent_ask() { # JSON
	local answer
	answer=$(socat -t 20 - "UNIX-CONNECT:$AGENT_SOCKET" <<<"$1" 2>/dev/null) || return 1
	printf '%s\n' "$answer"
	[[ $answer == '{"ok":true'* ]]
}

# Policies from stdin are written as one file and in force when this returns.
policy_set() { # NAME
	cat >"$NODE_POLICIES/.$1.new"
	mv "$NODE_POLICIES/.$1.new" "$NODE_POLICIES/$1.yaml"
	agent_ask '{"op":"policy.apply","wait":true}' >/dev/null
}

ip_of() { # CONTAINER 4|6: its address on the network "pods"
	podman inspect "$1" --format \
		"{{range .NetworkSettings.Networks}}{{.$([ "$2" = 4 ] && echo IPAddress || echo GlobalIPv6Address)}}{{end}}"
}

# All containers, and the cgroups that stay behind them: podman forgets those of pods in the
# hierarchies that have no controller.
podman_down() {
	mapfile -t podman_pods < <(podman pod ps -q --no-trunc)
	podman pod rm -fa -t 0 >/dev/null 2>&1
	podman rm -fa -t 0 >/dev/null 2>&1
	world_wait 60 podman_cgroups_gone
}

podman_cgroups_gone() {
	local pod
	for pod in conmon "${podman_pods[@]}" ''; do
		rmdir /sys/fs/cgroup/*/libpod_parent/"$pod"
	done
	! ls -d /sys/fs/cgroup/*/libpod_parent
}
