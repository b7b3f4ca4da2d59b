#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `podman run` needs to run a container of the DaemonSet as its manifest says.

usage: daemonset.py MANIFESTS CONTAINER NODE

MANIFESTS is examples/kubernetes, NODE a directory that stands for what is the node's own: the files of
ConfigMaps are written there, and host paths other than /run and /sys are beneath it. Prints one argument
a line: options, then a line "--", then the command.
"""
import glob
import os
import sys

import yaml

manifests, name, node = sys.argv[1:4]
docs = {(d["kind"], d["metadata"]["name"]): d for f in glob.glob(f"{manifests}/*.yaml")
        for d in yaml.safe_load_all(open(f))}
pod = docs["DaemonSet", "exeat-agent"]["spec"]["template"]["spec"]
container = next(c for c in pod["containers"] if c["name"] == name)
security = container["securityContext"]
volumes = {v["name"]: v for v in pod["volumes"]}


def source(volume, sub):
    if "hostPath" in volume:
        path = volume["hostPath"]["path"]
        if not path.startswith(("/run/", "/sys/")):
            path = node + path
        os.makedirs(path, exist_ok=True)
        return path
    folder = config_map(volume["configMap"]["name"])
    return os.path.realpath(f"{folder}/{sub}") if sub else folder


def config_map(name):
    """As the kubelet writes it: each file is a link through ..data, which a change swaps."""
    folder = f"{node}/configmap/{name}"
    if os.path.exists(folder):
        return folder
    os.makedirs(f"{folder}/..one")
    os.symlink("..one", f"{folder}/..data")
    for key, text in docs["ConfigMap", name]["data"].items():
        open(f"{folder}/..data/{key}", "w").write(text)
        os.symlink(f"..data/{key}", f"{folder}/{key}")
    return folder


assert not security.get("privileged")
args = ["--cap-drop", "ALL", "--cap-add", ",".join(security["capabilities"]["add"])]
if security["readOnlyRootFilesystem"]:
    args += ["--read-only", "--read-only-tmpfs=false"]
if not security["allowPrivilegeEscalation"]:
    args += ["--security-opt", "no-new-privileges"]
if security.get("seccompProfile", {}).get("type") == "Unconfined":
    args += ["--security-opt", "seccomp=unconfined"]
if pod["hostNetwork"]:
    args += ["--network", "host"]
if pod["hostPID"]:
    args += ["--pid", "host"]
for m in container["volumeMounts"]:
    volume = volumes[m["name"]]
    if "emptyDir" in volume:
        args += ["--tmpfs", m["mountPath"]]
        continue
    how = ["ro" if m.get("readOnly") else "rw"]
    how += {"Bidirectional": ["rshared"], "HostToContainer": ["rslave"]}.get(m.get("mountPropagation"), [])
    args += ["-v", f"{source(volume, m.get('subPath'))}:{m['mountPath']}:{','.join(how)}"]
print("\n".join(args + ["--"] + container.get("command", []) + container.get("args", [])))
