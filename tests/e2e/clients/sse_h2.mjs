// SPDX-License-Identifier: Apache-2.0
// Server-sent events by node:http2, two streams of one connection. usage: sse_h2.mjs URL; TAP points.
import http2 from "node:http2";
import { once } from "node:events";
import { plan, point as say } from "./points.mjs";

const url = new URL(process.argv[2]);
const session = http2.connect(url.origin);
const point = (good, what) => say(good, `node:http2: ${what}`);

async function tokens() {
	const stream = session.request({ ":method": "POST", ":path": url.pathname, "content-type": "application/json" });
	const at = [];
	let text = "";
	stream.on("data", (piece) => (at.push(Date.now()), (text += piece)));
	stream.end(JSON.stringify({ stream: true }));
	const [head] = await once(stream, "response");
	await once(stream, "end");
	return { status: head[":status"], at, whole: text.includes("data: [DONE]") };
}

const [a, b] = await Promise.all([tokens(), tokens()]);
point(a.status === 200 && b.status === 200, "two streams at once are answered");
point(a.whole && b.whole, "both are whole");
for (const { at } of [a, b]) point(at.length >= 4 && at.at(-1) - at[0] > 800, "tokens arrive as they are sent");
point(a.at[0] < b.at.at(-1) && b.at[0] < a.at.at(-1), "neither waits for the other");
session.close();
plan();
