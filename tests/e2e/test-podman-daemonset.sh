#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The containers of the Kubernetes DaemonSet, run by podman with what their manifest gives them:
# capabilities, mounts, namespaces, command. The agent gates pods out of its container, the installer
# chains the plugin, and a new container of the agent takes over.

. "$(dirname "$0")/../lib/podman.sh"
podman_enter "$@"
podman_tools
mkdir -p "$NODE/k8s/etc/cni/net.d"

# The image's programs are ours; its file system is the host's, which has no exeat.
as_daemonset() { # NAME CONTAINER
	local args=() command=() into=args line
	while IFS= read -r line; do
		case $into:$line in
		args:--) into='command' ;;
		args:*) args+=("$line") ;;
		*) command+=("${line/\/usr\/sbin\/exeat/\/exeat}") ;;
		esac
	done < <(/usr/bin/python3 "$CLIENTS/daemonset.py" podman "$TOP/examples/kubernetes" "$2" "$NODE/k8s")
	podman run -d --name "$1" "${args[@]}" -v /usr:/usr:ro -v /etc/ssl:/etc/ssl:ro \
		-v "$EXEAT:/exeat:ro" -v "$CNI:/exeat-cni:ro" localhost/tools \
		"${command[@]/#\/usr\/lib\/cni\/exeat-cni/\/exeat-cni}"
}

ready() { agent_ask '{"op":"status"}'; }
check "the agent's container starts" as_daemonset agent agent
check "the agent answers out of it" world_wait 60 ready
[ $tap_bad -eq 0 ] || {
	podman logs agent
	tap_done
}

# ---- the installer ----

/usr/bin/python3 - "$NODE/net.d/pods.conflist" >"$NODE/k8s/etc/cni/net.d/10-pods.conflist" <<'END'
import json, sys
chain = json.load(open(sys.argv[1]))
chain["plugins"].pop()
json.dump(chain, sys.stdout)
END
check "the installer's container starts" as_daemonset installer install-cni
chained() { grep -q '"type":"exeat-cni"' "$NODE/k8s/etc/cni/net.d/10-pods.conflist"; }
check "it chains the plugin" world_wait 60 chained
check "and copies it" cmp "$CNI" "$NODE/k8s/opt/cni/bin/exeat-cni"

# ---- a pod, by the chain that it made, with labels as Kubernetes' runtimes bring them ----

cp "$POLICIES/podman/pods.yaml" "$NODE/k8s/configmap/exeat-policies/"
agent_ask '{"op":"policy.apply","wait":true}' >/dev/null
check "a pod that serves" box -d --name back --label app=back localhost/box httpd -f -vv -p 80 -h /www
check "one that may ask it" box -d --name front --label app=front localhost/box
back4=$(ip_of back 4)
get() {
	podman exec front curl -sS -m 60 -w ' %{http_code}' "http://$back4/$1" 2>&1 | tr '\n' ' '
}
has "what the rule says" "$(get ping)" '^pong  ?200'
has "and no more" "$(get other)" ' 403'

# ---- a new container of the agent, as after an upgrade ----

podman stop -t 5 agent >/dev/null 2>&1
hasnt "without the agent, nothing that needs it" "$(get ping)" pong
podman rm -f agent >/dev/null 2>&1
check "a new one" as_daemonset agent agent
check "answers" world_wait 60 ready
served() { get ping | grep pong >/dev/null; }
check "and serves the pod that was there" world_wait 60 served
has "with its rules" "$(get other)" ' 403'

tap_done
