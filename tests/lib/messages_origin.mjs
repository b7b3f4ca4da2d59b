// SPDX-License-Identifier: Apache-2.0
// Anthropic's messages API in small, over HTTP/2 and HTTP/1.1.
//
// usage: node messages_origin.mjs LOGFILE ADDR PORT KEY CERT
//
// Every request that arrives is a JSON line in LOGFILE. Words of a streamed answer come DELAY ms apart.
import { appendFileSync, readFileSync } from "node:fs";
import http2 from "node:http2";

const DELAY = 500;
const WORDS = ["Permission", " to", " leave", " granted", "."];
const [file, addr, port, key, cert] = process.argv.slice(2);
const message = (content) => ({
	id: "msg_1", type: "message", role: "assistant", model: "test-model", content,
	stop_reason: content.length ? "end_turn" : null, stop_sequence: null,
	usage: { input_tokens: 1, output_tokens: content.length },
});

function events(res) {
	const steps = [
		{ type: "message_start", message: message([]) },
		{ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
		...WORDS.map((text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })),
		{ type: "content_block_stop", index: 0 },
		{ type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 5 } },
		{ type: "message_stop" },
	];
	const next = () => {
		const step = steps.shift();
		if (!step) return res.end();
		res.write(`event: ${step.type}\ndata: ${JSON.stringify(step)}\n\n`);
		return setTimeout(next, step.type === "content_block_delta" ? DELAY : 0);
	};
	res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
	next();
}

const server = http2.createSecureServer({ key: readFileSync(key), cert: readFileSync(cert), allowHTTP1: true });
server.on("request", async (req, res) => {
	let text = "";
	for await (const piece of req) text += piece;
	appendFileSync(file, JSON.stringify({ version: req.httpVersion, method: req.method, target: req.url }) + "\n");
	const ask = JSON.parse(text || "{}");
	const json = (status, value, more) => {
		res.writeHead(status, { "content-type": "application/json", ...more });
		res.end(JSON.stringify(value));
	};
	if (ask.model === "busy")
		json(429, { type: "error", error: { type: "rate_limit_error", message: "too many" } }, { "retry-after": "7" });
	else if (ask.stream) events(res);
	else json(200, message([{ type: "text", text: WORDS.join("") }]));
});
server.listen(Number(port), addr);
