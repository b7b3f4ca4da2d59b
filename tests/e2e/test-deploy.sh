#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What gets exeat onto a machine: make install, the systemd unit, the Debian package, the Kubernetes
# manifests and the CNI chain of a node.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
O=$(realpath -m "${O:-build}")
[ -z "${EXEAT-}" ] || O=$(dirname "$EXEAT")
exeat=$O/exeat cni=$O/exeat-cni
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# ---- make install ----

check "make install" make -s O="$O" install DESTDIR="$root/a" PREFIX=/usr
files=$(cd "$root/a" && find . -type f | sort)
for f in usr/sbin/exeat usr/lib/cni/exeat-cni usr/lib/systemd/system/exeat-agent.service \
	usr/lib/sysusers.d/exeat.conf etc/exeat/agent.yaml usr/share/man/man8/exeat.8 usr/share/man/man8/exeat-cni.8; do
	has "it installs $f" "$files" "^\./$f\$"
done
same "a user finds it as well" "$(readlink -f "$root/a/usr/bin/exeat")" "$root/a/usr/sbin/exeat"
check "and a place for policies" test -d "$root/a/etc/exeat/policies"
hasnt "no placeholder is left" "$(grep -r '@[A-Z]*@' "$root/a/usr/lib/systemd" "$root/a/etc")" .
echo 'unselected: deny' >"$root/a/etc/exeat/agent.yaml"
check "again" make -s O="$O" install DESTDIR="$root/a" PREFIX=/usr
same "a configuration that is there is kept" "$(cat "$root/a/etc/exeat/agent.yaml")" 'unselected: deny'
check "into a prefix" make -s O="$O" install DESTDIR="$root/b" PREFIX=/opt/exeat UNITDIR=/lib/systemd/system
has "the unit names the programs where they are" "$(cat "$root/b/lib/systemd/system/exeat-agent.service")" \
	'ExecStart=/opt/exeat/sbin/exeat agent'
hasnt "the plugin needs no library" "$(LC_ALL=C readelf -d "$cni")" NEEDED
for page in "$root"/a/usr/share/man/man8/*; do
	same "${page##*/} is sound" "$(man -l --warnings "$page" 2>&1 >/dev/null)" ""
done

pages=$(sed 's/\\-/-/g' "$root"/a/usr/share/man/man8/exeat*.8)
unnamed=$(for c in run agent endpoint status learn observe top audit ca prefilter doctor policy\ {check,explain,test,diff,dump,apply}; do
	# shellcheck disable=SC2086 # two words
	"$exeat" $c --help 2>&1 | grep -oE '(^|[^-[:alpha:]])--[a-z][a-z-]+' | grep -oE '\-\-[a-z-]+' | sort -u |
		while read -r option; do
			grep -qE -- "$option([^a-z-]|\$)" <<<"$pages" || echo "$c $option"
		done
done)
same "every option of --help stands in a man page" "$unnamed" ""

# ---- the unit ----

if command -v systemd-analyze >/dev/null; then
	# Only man pages and programs that are not installed on this machine may be missed.
	sed "s|/opt/exeat/sbin/exeat|/bin/true|; s|/opt/exeat/lib/cni/exeat-cni|/bin/true|; /^Documentation/d" \
		"$root/b/lib/systemd/system/exeat-agent.service" >"$root/exeat-agent.service"
	same "systemd-analyze verify" "$(systemd-analyze verify "$root/exeat-agent.service" 2>&1)" ""
	level=$(systemd-analyze security --offline=true "$root/exeat-agent.service" 2>/dev/null |
		sed -n 's/.*exposure level for [^ ]*: \([0-9.]*\).*/\1/p')
	check "its exposure is below 5.0 (${level:-unknown})" awk -v l="${level:-10}" 'BEGIN {exit !(l < 5.0)}'
else
	tap_skip "systemd-analyze verify" "kernel: no systemd here"
fi

# ---- the package ----

if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
	mkdir -p "$root/o"
	out=$(env BUILT="$O" O="$root/o" VERSION=0.0.1 .ci/package/deb 2>&1)
	pkg=("$root"/o/exeat_*.deb)
	if [ -s "${pkg[0]}" ]; then tap_ok "the package is built"; else tap_not_ok "the package is built" "$out"; fi
	hasnt "lintian is content, where it is" "$out" '^[EW]: '
	list=$(dpkg-deb -c "${pkg[0]}")
	has "it has the program" "$list" 'root/root.* \./usr/sbin/exeat$'
	has "and the plugin" "$list" 'root/root.* \./usr/lib/cni/exeat-cni$'
	has "and a place for policies" "$list" ' \./etc/exeat/policies/$'
	has "and the unit" "$list" ' \./lib/systemd/system/exeat-agent\.service$'
	has "it depends on what it is linked with" "$(dpkg-deb -f "${pkg[0]}" Depends)" 'libbpf1.*libssl3'
	same "the configuration is the administrator's" "$(dpkg-deb -I "${pkg[0]}" conffiles)" /etc/exeat/agent.yaml
else
	tap_skip "the package is built" "dpkg-dev is not installed"
fi

# ---- Kubernetes ----

# Manifests as lines "FILE KIND NAME", policies and the plugin's object as files.
out=$(/usr/bin/python3 - "$root" examples/kubernetes/*.yaml 2>&1 <<'END2'
import json, re, sys, yaml
root, files = sys.argv[1], sys.argv[2:]
seen, claims, used = {}, set(), set()
for f in files:
    for d in yaml.safe_load_all(open(f)):
        meta = d["metadata"]
        print(f.split("/")[-1], d["apiVersion"], d["kind"], meta["name"])
        assert d["kind"] == "Namespace" or meta["namespace"] == "exeat", "another namespace"
        seen[d["kind"], meta["name"]] = d
        for name, text in d.get("data", {}).items():
            assert isinstance(text, str)
            open(f"{root}/{meta['name']}.{name}", "w").write(text)
pod = seen["DaemonSet", "exeat-agent"]["spec"]["template"]
sel = seen["DaemonSet", "exeat-agent"]["spec"]["selector"]["matchLabels"]
assert sel.items() <= pod["metadata"]["labels"].items(), "the selector does not select the pod"
volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
for c in pod["spec"]["containers"]:
    for m in c["volumeMounts"]:
        used.add(m["name"])
        assert m["name"] in volumes, m
assert used == set(volumes), "a volume that nobody mounts"
for v in volumes.values():
    if "configMap" in v:
        assert ("ConfigMap", v["configMap"]["name"]) in seen, v
caps = re.findall(r"CAP_(\w+)", "".join(l for l in open("examples/systemd/exeat-agent.service")
                                        if l.startswith("CapabilityBoundingSet=")))
assert caps == pod["spec"]["containers"][0]["securityContext"]["capabilities"]["add"], "not those of the unit"
assert ("ServiceAccount", pod["spec"]["serviceAccountName"]) in seen
json.load(open(f"{root}/exeat-config.plugin.json"))
print("SOUND")
END2
)
has "the manifests fit together" "$out" SOUND
for p in "$root"/exeat-policies.*; do
	check "the policy ${p##*/exeat-policies.} is one" "$exeat" policy check "$p"
done

# ---- a node's chain, as the DaemonSet keeps it ----

mkdir -p "$root/bin" "$root/net.d"
plugin=$root/exeat-config.plugin.json
refuse "no network yet: nothing to chain" "$cni" install "$root/bin" "$root/net.d" "$plugin"
cp examples/systemd/10-pods.conflist "$root/net.d/10-pods.conflist"
/usr/bin/python3 - "$root/net.d/10-pods.conflist" <<'END2'
import json, sys
c = json.load(open(sys.argv[1]))
assert c["plugins"].pop()["type"] == "exeat-cni"
json.dump(c, open(sys.argv[1], "w"))
END2
check "a network" "$cni" install "$root/bin" "$root/net.d" "$plugin"
has "exeat-cni is the last of its plugins" "$(cat "$root/net.d/10-pods.conflist")" '"firewall"\},\{"type":"exeat-cni",[^]]*\]\}$'
check "the program is there" cmp "$cni" "$root/bin/exeat-cni"
touch -d @1 "$root/net.d/10-pods.conflist" "$root/bin/exeat-cni"
check "once more" "$cni" install "$root/bin" "$root/net.d" "$plugin"
same "changes nothing" "$(stat -c %Y "$root/net.d/10-pods.conflist" "$root/bin/exeat-cni" | sort -u)" 1
echo '{"type": "bridge"}' >"$root/net.d/05-first.conf"
refuse "a single plugin that comes first is told, not passed over" "$cni" install "$root/bin" "$root/net.d" "$plugin"

tap_done
