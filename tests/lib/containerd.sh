# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The node of podman.sh with containerd instead of podman, and a kubelet's part (kubelet.mjs): pods are
# on the bridge cni0, 10.77.0.x and fd00:77::x, and "net" routes back to them.
#
#   . containerd.sh; containerd_enter "$@"
#
#   pod NAME [SANDBOX [CONTAINER]]   a pod runs; members of its PodSandboxConfig and ContainerConfig, as JSON
#   in_pod NAME CMD…                 what the command says, and its status
#   pod_gone NAME                    stopped and removed
#
# NAME is of the namespace "default" when it names none.

. "$(dirname "${BASH_SOURCE[0]}")/podman.sh"

KUBELET=$WORLD/pid/kubelet.sock
CONTAINERD=/run/containerd/containerd.sock
NET_D=$NODE/k8s/etc/cni/net.d

containerd_enter() { # the test's own arguments
	if ! command -v containerd runc >/dev/null || [ ! -x /usr/lib/cni/bridge ]; then
		echo "1..0 # SKIP not installed: containerd, runc or containernetworking-plugins"
		exit 77
	fi
	npm_packages
	world_enter "$@"
	world_up
	need_npm "containerd"
	cgroup=exeat-kubepods-$(stat -Lc %i /proc/self/ns/net)
	containerd_node
	trap containerd_down EXIT
}

# As systemd does it: mounts of a container reach the node where it is let, and the other way round.
containerd_node() {
	mkdir -p "$NODE"/{containerd,logs,var/upper,var/work} "$NET_D" "$NODE/k8s/opt/cni/bin" /sys/fs/bpf
	mount -t bpf bpf /sys/fs/bpf
	mount --make-rshared /
	mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$NODE/var/upper,workdir=$NODE/var/work" /var/lib
	cp /usr/lib/cni/{bridge,host-local,loopback,portmap,firewall,tuning} "$NODE/k8s/opt/cni/bin/"
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n net route add $POD4.0/24 via "$OUTER4"
	ip -n net -6 route add ${POD6}:/64 via "$OUTER6"
	containerd_config >"$NODE/containerd.toml"
	cat >"$NODE/cni.template" <<-END
		{"cniVersion": "1.0.0", "name": "net", "plugins": [
		  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
		   "ipam": {"type": "host-local", "dataDir": "$NODE/ipam",
		     "ranges": [{{range \$i, \$r := .PodCIDRRanges}}{{if \$i}}, {{end}}[{"subnet": "{{\$r}}"}]{{end}}],
		     "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}
		]}
	END
}

containerd_config() {
	cat <<-END
		version = 2
		root = "$NODE/containerd"
		state = "/run/containerd"
		[grpc]
		address = "$CONTAINERD"
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "localhost/box:latest"
		disable_apparmor = true
		restrict_oom_score_adj = true
		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "$NODE/k8s/opt/cni/bin"
		conf_dir = "$NET_D"
		conf_template = "$NODE/cni.template"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		runtime_type = "io.containerd.runc.v2"
	END
}

containerd_up() {
	containerd -c "$NODE/containerd.toml" >>"$WORLD/log/containerd" 2>&1 </dev/null &
	echo $! >"$WORLD/pid/containerd"
	world_wait 60 ctr version
}

containerd_stop() { # SIGNAL: its containers go on
	local pid
	pid=$(cat "$WORLD/pid/containerd")
	kill "-$1" "$pid"
	wait "$pid" 2>/dev/null
	return 0
}

# What examples/container/Containerfile puts into an image, as far as it is run here.
with_exeat() { # DIRECTORY
	local web
	web=$(ldconfig -p | sed -n 's/.*libmicrohttpd\.so\.12.* => //p')
	mkdir -p "$1"/{usr/sbin,usr/lib/cni,var,"${web%/*}"}
	ln -s /run "$1/var/run"
	cp "$EXEAT" "$1/usr/sbin/exeat"
	cp "$CNI" "$1/usr/lib/cni/exeat-cni"
	cp -L "$web" "$1/$web"
	libraries_of "$EXEAT" "$1"
	libraries_of "$web" "$1"
}

# A docker archive of one layer, made by hand: there is no registry here. The box has exeat, too.
containerd_import() { # box|tools
	local dir=$NODE/image sum
	"$1_root" "$dir/root"
	[ "$1" = tools ] || with_exeat "$dir/root"
	tar -C "$dir/root" -cf "$dir/layer.tar" .
	sum=$(sha256sum <"$dir/layer.tar")
	cat >"$dir/config.json" <<-END
		{"architecture": "$(dpkg --print-architecture)", "os": "linux", "config": {"Cmd": ["/bin/sleep", "100000"],
		  "Labels": {"app": "image"}}, "rootfs": {"type": "layers", "diff_ids": ["sha256:${sum%% *}"]}}
	END
	echo '[{"Config": "config.json", "RepoTags": ["localhost/'"$1"':latest"], "Layers": ["layer.tar"]}]' >"$dir/manifest.json"
	tar -C "$dir" -c manifest.json config.json layer.tar | ctr -n k8s.io images import - >/dev/null
	rm -rf "$dir"
}

kubelet_up() {
	node "$TOP/tests/lib/kubelet.mjs" "$CONTAINERD" "$KUBELET" "$cgroup" "$NODE/logs" >>"$WORLD/log/kubelet" 2>&1 </dev/null &
	world_wait 60 test -S "$KUBELET"
}

kubelet() { # WORD…
	local out
	out=$(printf '%s\0' "$@" | socat -t 300 - "UNIX-CONNECT:$KUBELET")
	printf '%s\n' "${out#*$'\n'}"
	return "${out%%$'\n'*}"
}

key_of() { # NAME
	[[ $1 == */* ]] && echo "$1" || echo "default/$1"
}

# What a kubelet writes into resolv.conf; nobody has that address.
cluster_dns='"dns_config": {"servers": ["10.96.0.10"], "options": ["ndots:5"],
	"searches": ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]}'

pod() { # NAME [SANDBOX] [CONTAINER]
	kubelet sandbox "$(key_of "$1")" "{$cluster_dns${2:+, $2}}" &&
		kubelet container "$(key_of "$1")" main "{${3-"\"image\": {\"image\": \"localhost/box\"}"}}"
}

in_pod() { # NAME CMD…
	kubelet exec "$(key_of "$1")" main "${@:2}" 2>&1
}

pod_ip() { # NAME 4|6
	kubelet ip "$(key_of "$1")" "$2"
}

pod_gone() { # NAME
	kubelet stop "$(key_of "$1")" && kubelet remove "$(key_of "$1")"
}

containerd_down() {
	local key
	while read -r key _; do
		kubelet stop "$key"
	done < <(kubelet list)
	containerd_stop TERM
	find /sys/fs/cgroup/*/"$cgroup" -depth -type d -exec rmdir {} +
} >/dev/null 2>&1
