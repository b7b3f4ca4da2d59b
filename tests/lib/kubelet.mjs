// SPDX-License-Identifier: Apache-2.0
// The part of a kubelet that speaks with a container runtime, by npm @grpc/grpc-js.
//
// usage: node kubelet.mjs RUNTIME-SOCKET SOCKET CGROUP LOGS
//
// At SOCKET it takes one command a connection, its words ended by NUL each, and answers with a line
// that has the status, then the text. A pod is called by NAMESPACE/NAME, its containers by name.
//
//   ready                        the runtime and its network are
//   cidr SUBNETS                 the pods' addresses, for a runtime that writes its configuration itself
//   sandbox POD JSON             RunPodSandbox: members of PodSandboxConfig
//   container POD NAME JSON      made and started in the pod: members of ContainerConfig
//   end POD NAME                 the container, stopped and removed
//   exec POD NAME WORD…          what it writes, and its exit status
//   ip POD 4|6                   the pod's address
//   stop POD, remove POD         every sandbox that the runtime has by that name
//   list                         the sandboxes: name, attempt, state
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
const require = createRequire(process.env.EXEAT_NPM + "/package.json");
const grpc = require("@grpc/grpc-js");
const { runtime } = grpc.loadPackageDefinition(require("@grpc/proto-loader").loadSync(
	new URL("cri.proto", import.meta.url).pathname, { keepCase: true, enums: String, longs: Number, defaults: true }));

const [at, mine, cgroup, logs] = process.argv.slice(2);
const client = new runtime.v1.RuntimeService("unix:" + at, grpc.credentials.createInsecure());
const cri = (method, request) => new Promise((resolve, reject) =>
	client[method](request, { deadline: Date.now() + 240000 }, (error, answer) => error ? reject(error) : resolve(answer)));

// As of every container that does not say how it wants /proc.
const paths = {
	readonly_paths: ["asound", "bus", "fs", "irq", "sys", "sysrq-trigger"].map((p) => "/proc/" + p),
	masked_paths: ["acpi", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi"].map((p) => "/proc/" + p),
};
const pods = new Map(); // by name: uid, attempt, sandbox, config, containers

async function sandbox(key, given) {
	const [namespace, name] = key.split("/"), pod = pods.get(key) ?? { uid: randomUUID(), attempt: -1, containers: {} };
	const { linux, ...more } = JSON.parse(given);
	pods.set(key, pod);
	pod.attempt++;
	pod.config = {
		metadata: { name, namespace, uid: pod.uid, attempt: pod.attempt },
		hostname: linux?.security_context?.namespace_options?.network === "NODE" ? "" : name,
		log_directory: `${logs}/${namespace}_${name}`, linux: { cgroup_parent: `${cgroup}/pod${pod.uid}`, ...linux }, ...more,
	};
	mkdirSync(pod.config.log_directory, { recursive: true });
	pod.sandbox = (await cri("RunPodSandbox", { config: pod.config })).pod_sandbox_id;
}

async function container(key, name, given) {
	const pod = pods.get(key), attempt = pod.containers[name]?.attempt + 1 || 0;
	const { linux, ...config } = JSON.parse(given);
	const { container_id } = await cri("CreateContainer", {
		pod_sandbox_id: pod.sandbox, sandbox_config: pod.config,
		config: {
			metadata: { name, attempt }, log_path: `${name}.log`,
			linux: { security_context: { ...paths, ...linux?.security_context } }, ...config,
		},
	});
	pod.containers[name] = { attempt, container_id };
	await cri("StartContainer", { container_id });
}

async function end(key, name) {
	const { container_id } = pods.get(key).containers[name];
	await cri("StopContainer", { container_id, timeout: 10 });
	await cri("RemoveContainer", { container_id });
}

async function exec(key, name, ...cmd) {
	const { container_id } = pods.get(key).containers[name];
	const done = await cri("ExecSync", { container_id, cmd, timeout: 120 });
	return [done.exit_code, done.stdout.toString() + done.stderr];
}

async function ip(key, family) {
	const { network } = (await cri("PodSandboxStatus", { pod_sandbox_id: pods.get(key).sandbox })).status;
	return [network.ip, ...network.additional_ips.map((a) => a.ip)].find((a) => a.includes(":") === (family === "6")) ?? "";
}

async function ready() {
	const bad = (await cri("Status", {})).status.conditions.find((c) => !c.status);
	if (bad)
		throw new Error(`${bad.type}: ${bad.message}`);
}

async function list() {
	return (await cri("ListPodSandbox", {})).items
		.map((s) => `${s.metadata.namespace}/${s.metadata.name} ${s.metadata.attempt} ${s.state}`).join("\n");
}

async function each(method, key) {
	for (const s of (await cri("ListPodSandbox", {})).items)
		if (`${s.metadata.namespace}/${s.metadata.name}` === key)
			await cri(method, { pod_sandbox_id: s.id });
}

const commands = {
	ready, sandbox, container, end, exec, ip, list,
	cidr: (pod_cidr) => cri("UpdateRuntimeConfig", { runtime_config: { network_config: { pod_cidr } } }),
	stop: (key) => each("StopPodSandbox", key),
	remove: (key) => each("RemovePodSandbox", key),
};

async function answer(words) {
	try {
		const result = await commands[words[0]](...words.slice(1));
		return Array.isArray(result) ? `${result[0]}\n${result[1]}` : `0\n${typeof result === "string" ? result : ""}`;
	} catch (error) {
		return `1\n${error.details ?? error}`;
	}
}

createServer({ allowHalfOpen: true }, (peer) => {
	let text = "";
	peer.setEncoding("utf8").on("data", (part) => { text += part; });
	peer.on("end", async () => peer.end(await answer(text.split("\0").slice(0, -1))));
}).listen(mine);
