// SPDX-License-Identifier: Apache-2.0
// node:http2 against tests/lib/scripted_origin.py, which speaks HTTP/1.1. usage: h2_h1.mjs ORIGIN-URL
import http2 from "node:http2";
import { once } from "node:events";
import { plan, point } from "./points.mjs";

const origin = process.argv[2];
let session = http2.connect(origin);
session.on("error", () => {});

// One request: status, head, interim heads, body, trailers; or what became of the stream.
function ask(path, { method = "GET", headers = {}, body, end = body === undefined } = {}) {
	if (session.closed || session.destroyed) {
		session = http2.connect(origin);
		session.on("error", () => {});
	}
	const stream = session.request({ ":method": method, ":path": `/case/${path}`, ...headers }, { endStream: end });
	const got = { interim: [], body: "", at: [] };
	return new Promise((resolve) => {
		stream.on("headers", (h) => got.interim.push(h[":status"]));
		stream.on("continue", () => got.interim.push(100));
		stream.on("response", (h) => ((got.head = h), (got.status = h[":status"])));
		stream.on("trailers", (h) => (got.trailers = h));
		stream.on("data", (d) => ((got.body += d), got.at.push(Date.now())));
		// An answer before the end of the request: node waits for the request else.
		stream.on("end", () => setTimeout(() => stream.writableFinished || stream.destroy(), 100));
		stream.on("error", (e) => (got.error = e.code));
		stream.on("close", () => resolve(Object.assign(got, { rst: stream.rstCode })));
		if (body !== undefined) stream.end(body);
	});
}

let r = await ask("echo", { method: "POST", headers: { "content-length": "5" }, body: "hello" });
point(r.status === 200 && r.body.startsWith("POST 5 "), "a body of known length arrives", r);
r = await ask("echo", { method: "PUT", body: "x".repeat(1 << 20) });
point(r.status === 200 && r.body.startsWith(`PUT ${1 << 20} `), "one of unknown length arrives, in chunks", r);
r = await ask("echo", { method: "POST" });
point(r.status === 200 && r.body.startsWith("POST 0 "), "none is told as none", r);
r = await ask("echo", { method: "DELETE", headers: { "content-length": "2" }, body: "{}" });
point(r.status === 200 && r.body.startsWith("DELETE 2 "), "a DELETE with a body", r);

r = await ask("continue", { method: "POST", headers: { expect: "100-continue", "content-length": "3" }, body: "abc" });
point(r.status === 200 && r.interim.includes(100) && r.body === "ok", "100 Continue comes, and the answer after it", r);
r = await ask("echo", { method: "POST", headers: { expect: "100-continue", "content-length": "3" }, body: "abc" });
point(r.status === 200 && r.body.startsWith("POST 3 "), "the server, which would not read a body that waits, is not asked", r);
r = await ask("hints");
point(r.status === 200 && r.interim[0] === 103, "103 Early Hints pass", r);
r = await ask("many-hints");
point(r.status !== 200 && r.interim.length < 100, "a flood of interim answers is cut off", r.status, r.rst);

for (const [path, status] of [["204", 204], ["204-length", 204], ["304", 304]]) {
	r = await ask(path);
	point(r.status === status && r.body === "" && r.rst === 0, `${path} has no body`, r);
}
point(r.head["content-length"] === "5", "304 tells the length it would have", r);
for (const path of ["head", "head-chunked"]) {
	r = await ask(path, { method: "HEAD" });
	point(r.status === 200 && r.body === "" && r.rst === 0, `an answer to HEAD has no body (${path})`, r);
}

r = await ask("chunks");
point(r.body === "onetwothree" && r.at.at(-1) - r.at[0] > 400, "chunks arrive as they are sent", r);
r = await ask("trailers");
point(r.body === "ok" && r.trailers?.["x-sum"] === "1", "trailers pass", r);
point(!r.trailers?.["content-length"] && !r.trailers?.["set-cookie"], "but for those that belong in a head", r);
r = await ask("until-close");
point(r.body === "all of it" && r.rst === 0, "a body until the close is whole", r);
r = await ask("http10");
point(r.body === "ok" && r.status === 200, "a server of HTTP/1.0", r);
r = await ask("hop");
point(r.body === "ok" && !r.head["keep-alive"] && !r.head["proxy-authenticate"] && !r.head.connection,
	"fields of the server's connection stay there", r);
r = await ask("early", { method: "POST", headers: { "content-length": "10000000" }, body: "x".repeat(10000000) });
point(r.status === 413 || r.rst !== 0, "an early answer ends the request", r.status, r.rst);

session.destroy(); // its memory is full of what was not sent
for (const path of ["cut-length", "cut-chunk"]) {
	r = await ask(path);
	point(r.rst !== 0, `an answer that is cut off does not look whole (${path})`, r);
}
for (const path of ["cut-head", "nothing", "cl-te", "two-lengths", "bare-lf", "fold", "unasked-101", "big-head", "not-http"]) {
	r = await ask(path);
	point(r.status === 502 && r.body.includes('"upstream-protocol"'), `${path} is a 502 with its reason`, r);
}
r = await ask("unasked");
const next = await ask("echo");
point(r.body === "ok" && next.body.startsWith("GET 0 "), "what a server says unasked answers nobody", r, next);

const many = await Promise.all(Array.from({ length: 90 }, (_, i) => ask(`echo?n=${i}`, { method: "POST", body: "y".repeat(i * 100) })));
point(many.every((m, i) => m.status === 200 && m.body.startsWith(`POST ${i * 100} `)),
	"ninety streams at once: each gets its own answer", many.find((m, i) => !m.body.startsWith(`POST ${i * 100} `)));

r = await ask("echo-cookies", { headers: { cookie: ["a=1", "b=2", "c=3"] } });
point(r.status === 200, "a cookie in crumbs", r);

for (const [what, leave] of [
	["a request has been given up", (_, stream) => stream.close(http2.constants.NGHTTP2_CANCEL)],
	["its client has gone", (client) => client.destroy()],
]) {
	const client = http2.connect(origin);
	const stream = client.request({ ":path": "/case/left" });
	client.on("error", () => {});
	stream.on("error", () => {});
	const awaited = await ask("how");
	leave(client, stream);
	r = await ask("how");
	point(awaited.body === "awaited" && r.body === "closed", `a server sees that ${what}`, awaited, r);
	client.destroy();
}

r = await ask("../other");
point(r.status === 400, "a path with two readings is refused", r);
session.close();
session = http2.connect(origin);
const stream = session.request({ ":path": "/other" });
const [head] = await once(stream, "response");
point(head[":status"] === 403, "a denied request is denied", head);
stream.close();
session.close();
plan();
