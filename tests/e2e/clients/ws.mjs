// SPDX-License-Identifier: Apache-2.0
// The npm ws client against tests/lib/ws_origin.mjs. usage: ws.mjs BASE-URL; prints TAP points.
import { randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";
import { once } from "node:events";
import { plan, point as say, require } from "./points.mjs";
const { WebSocket } = require("ws");

const base = process.argv[2];
const label = new URL(base).protocol.slice(0, -1);
const point = (good, what, ...detail) => say(good, `${label}: ${what}`, ...detail);

async function open(options) {
	const ws = new WebSocket(base + "/chat", options);
	await once(ws, "open");
	return ws;
}

async function reply(ws, data) {
	ws.send(data);
	const [answer, binary] = await once(ws, "message");
	return binary ? answer : answer.toString();
}

// An upgrade that should be refused: its status, and the body.
function refusal(path, headers, method = "GET") {
	return new Promise((resolve, reject) => {
		const lib = label === "wss" ? https : http;
		const { hostname, port } = new URL(base);
		const req = lib.request({ hostname, port, path, method, headers, agent: false }); // the path as it is
		req.on("upgrade", (res, socket) => (socket.destroy(), resolve([res.statusCode, "upgraded"])));
		req.on("response", async (res) => {
			let body = "";
			for await (const piece of res) body += piece;
			resolve([res.statusCode, body]);
		});
		req.on("error", reject).end();
	});
}

async function talks() {
	const ws = await open();
	point((await reply(ws, "hello")) === "hello", "text goes both ways");
	for (const size of [1, 126, 65536, 1 << 20]) {
		const bytes = randomBytes(size);
		point(bytes.equals(await reply(ws, bytes)), `${size} binary bytes come back as they went`);
	}
	ws.ping("are you there");
	point((await once(ws, "pong"))[0].toString() === "are you there", "ping and pong");

	const at = [];
	ws.on("message", () => at.push(Date.now()));
	ws.send("tick");
	while (at.length < 4) await once(ws, "message");
	point(at[3] - at[0] > 600, "messages arrive as they are sent");

	ws.send("bye");
	const [code, why] = await once(ws, "close");
	point(code === 4001 && why.toString() === "goodbye", "the server's close arrives with its code");
}

async function ends() {
	const plain = await open({ perMessageDeflate: false });
	plain.close(1000, "done");
	point((await once(plain, "close"))[0] === 1000, "the client's close is answered");
	const cut = await open();
	cut.send("vanish");
	point((await once(cut, "close"))[0] === 1006, "a server that vanishes is seen to");
}

async function refused() {
	const ws = new WebSocket(base + "/admin");
	ws.on("error", () => {});
	const [, res] = await once(ws, "unexpected-response");
	let body = "";
	for await (const piece of res) body += piece;
	point(res.statusCode === 403 && JSON.parse(body).error.code === "http-denied", "another path is 403, and says why");

	const upgrade = { Connection: "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==" };
	for (const [what, path, fields, method, status, code] of [
		["another protocol", "/chat", { Upgrade: "tunnel" }, "GET", 403, "upgrade-denied"],
		["a list of protocols", "/chat", { Upgrade: "websocket, tunnel" }, "GET", 400, "http-malformed"],
		["h2c", "/chat", { Upgrade: "h2c" }, "GET", 400, "h2-unsupported"],
		["TLS in HTTP", "/chat", { Upgrade: "TLS/1.0" }, "GET", 403, "upgrade-denied"],
		["another method", "/chat", { Upgrade: "websocket" }, "POST", 403, "http-denied"],
		["dots in the path", "/x/../chat", { Upgrade: "websocket" }, "GET", 400, "http-malformed"],
	]) {
		const [got, text] = await refusal(path, { ...upgrade, ...fields }, method);
		point(got === status && text.includes(`"${code}"`), `an upgrade by ${what} is refused with ${code}`, got, text);
	}
}

await talks();
await ends();
await refused();
plan();
