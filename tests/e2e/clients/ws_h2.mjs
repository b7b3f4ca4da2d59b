// SPDX-License-Identifier: Apache-2.0
// WebSocket over HTTP/2 (RFC 8441) by node:http2 against tests/lib/ws_origin.mjs. usage: ws_h2.mjs URL
import http2 from "node:http2";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { plan, point as say } from "./points.mjs";

const url = process.argv[2];
const point = (good, what, ...detail) => say(good, `h2: ${what}`, ...detail);
const session = http2.connect(url);
session.on("error", () => {});
const [settings] = await once(session, "remoteSettings");
point(settings.enableConnectProtocol === true, "extended CONNECT is offered", settings);

function connect(path, fields = {}) {
	const stream = session.request({
		":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": path,
		"sec-websocket-version": "13", origin: url, ...fields }, { endStream: false });
	stream.on("error", () => {});
	stream.input = Buffer.alloc(0);
	stream.on("data", (d) => ((stream.input = Buffer.concat([stream.input, d])), stream.emit("more")));
	return stream;
}

function send(stream, opcode, payload) {
	const n = payload.length, mask = randomBytes(4);
	const head = n < 126 ? [n | 0x80] : n < 65536 ? [0xfe, n >> 8, n & 255] : [0xff, 0, 0, 0, 0, n >>> 24, n >> 16 & 255, n >> 8 & 255, n & 255];
	stream.write(Buffer.concat([Buffer.from([0x80 | opcode, ...head]), mask, Buffer.from(payload.map((b, i) => b ^ mask[i & 3]))]));
}

async function receive(stream) {
	for (;;) {
		const b = stream.input;
		let n = b[1] & 127, at = 2;
		if (b.length > 10 && n === 127) (n = Number(b.readBigUInt64BE(2))), (at = 10);
		else if (b.length > 4 && n === 126) (n = b.readUInt16BE(2)), (at = 4);
		if (b.length >= at + n && b.length > 1 && n < 126 + (at > 2) * Number.MAX_SAFE_INTEGER) {
			stream.input = b.subarray(at + n);
			return { opcode: b[0] & 15, payload: b.subarray(at, at + n) };
		}
		await once(stream, "more");
	}
}

const status = async (stream) => (await once(stream, "response"))[0][":status"];

async function body(stream) {
	if (!stream.readableEnded) await once(stream, "end");
	return stream.input.toString();
}

const ws = connect("/chat");
point((await status(ws)) === 200, "the socket opens");
send(ws, 1, Buffer.from("hello"));
point((await receive(ws)).payload.toString() === "hello", "text goes both ways");
for (const size of [1, 126, 65536, 1 << 20]) {
	const bytes = randomBytes(size);
	send(ws, 2, bytes);
	point(bytes.equals((await receive(ws)).payload), `${size} binary bytes come back as they went`);
}
const other = connect("/chat");
point((await status(other)) === 200, "a second one on the same connection");
send(other, 1, Buffer.from("tick"));
const at = [];
while (at.length < 4) (await receive(other), at.push(Date.now()));
point(at[3] - at[0] > 600, "messages arrive as they are sent");
send(ws, 1, Buffer.from("bye"));
const close = await receive(ws);
point(close.opcode === 8 && close.payload.readUInt16BE(0) === 4001, "the server's close arrives with its code");
send(ws, 8, close.payload);
ws.end();
await once(ws, "close");
point(ws.rstCode === 0, "and the stream ends in order", ws.rstCode);
send(other, 1, Buffer.from("vanish"));
if (!other.closed) await once(other, "close");
point(true, "a server that vanishes is seen to");

const plain = session.request({ ":path": "/chat" });
point((await status(plain)) === 200, "a plain request beside it");
plain.resume();

for (const [what, path, fields, code, want] of [
	["another path", "/admin", {}, "http-denied", 403],
	["another protocol", "/chat", { ":protocol": "tunnel" }, "upgrade-denied", 403],
	["dots in the path", "/x/../chat", {}, "http-malformed", 400],
	["another name", "/chat", { ":authority": "evil.example" }, "host-mismatch", 421],
]) {
	const refused = connect(path, fields);
	refused.write("GET /admin HTTP/1.1\r\nHost: ws.test\r\n\r\n"); // would be a request to a server that does not switch
	const got = await status(refused);
	refused.end();
	const text = await body(refused);
	point(got === want && text.includes(`"${code}"`), `${what} is refused with ${code}`, got, text);
}

// Before the server has agreed it would take these for a request.
const early = connect("/chat");
early.write("GET /admin HTTP/1.1\r\nHost: ws.test\r\n\r\n");
if (!early.closed) await once(early, "close");
point(true, "what is no frame ends the socket");
session.close();
plan();
