#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a container of the DaemonSet is given by its manifest.

usage: daemonset.py podman|cri MANIFESTS CONTAINER NODE

MANIFESTS is examples/kubernetes, NODE a directory that stands for what is the node's own: the files of
ConfigMaps are written there, and host paths other than /run and /sys are beneath it. podman: prints one
argument of `podman run` a line: options, then a line "--", then the command. cri: prints its
ContainerConfig of the Container Runtime Interface, as JSON.
"""
import glob
import json
import os
import re
import subprocess
import sys

import yaml

how, manifests, name, node = sys.argv[1:5]
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


def mount(m):
    """(container's path, node's path or None for memory, read-only, propagation)"""
    volume = volumes[m["name"]]
    where = None if "emptyDir" in volume else source(volume, m.get("subPath"))
    return m["mountPath"], where, m.get("readOnly", False), m.get("mountPropagation")


def podman(mounts):
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
    for inside, where, readonly, propagation in mounts:
        flags = ["ro" if readonly else "rw"]
        flags += {"Bidirectional": ["rshared"], "HostToContainer": ["rslave"]}.get(propagation, [])
        args += ["-v", f"{where}:{inside}:{','.join(flags)}"] if where else ["--tmpfs", inside]
    return "\n".join(args + ["--"] + container.get("command", []) + container.get("args", []))


def empty_dir(inside):
    where = f"{node}/empty/{name}{inside}"
    os.makedirs(where, exist_ok=True)
    return where


def had(capabilities):
    """runc refuses what this machine does not have itself."""
    dump = subprocess.run(["setpriv", "--dump"], capture_output=True, text=True, check=True).stdout
    bounds = re.search(r"bounding set: (.*)", dump)[1].split(",")
    return [c for c in capabilities if c.lower() in bounds]


def cri(mounts):
    """Seccomp is left out: containerd confines nobody by it who does not ask for it."""
    words = {"Bidirectional": "PROPAGATION_BIDIRECTIONAL", "HostToContainer": "PROPAGATION_HOST_TO_CONTAINER"}
    return json.dumps({
        "image": {"image": "localhost/box"}, "command": container["command"], "args": container.get("args", []),
        "mounts": [{"container_path": inside, "host_path": where or empty_dir(inside), "readonly": readonly,
                    "propagation": words.get(propagation, "PROPAGATION_PRIVATE")}
                   for inside, where, readonly, propagation in mounts],
        "linux": {"security_context": {
            "namespace_options": {"network": "NODE" if pod["hostNetwork"] else "POD",
                                  "pid": "NODE" if pod["hostPID"] else "CONTAINER"},
            "capabilities": {"add_capabilities": had(security["capabilities"]["add"]),
                             "drop_capabilities": security["capabilities"]["drop"]},
            "readonly_rootfs": security["readOnlyRootFilesystem"],
            "no_new_privs": not security["allowPrivilegeEscalation"]}}})


assert not security.get("privileged")
print({"podman": podman, "cri": cri}[how]([mount(m) for m in container["volumeMounts"]]))
