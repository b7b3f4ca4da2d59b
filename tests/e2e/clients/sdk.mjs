// SPDX-License-Identifier: Apache-2.0
// The npm SDKs of OpenAI and Anthropic as their users call them. usage: sdk.mjs h1|h2; TAP points.
// h1: node's own fetch, which is what the SDKs take. h2: fetch of npm undici, which can do HTTP/2.
import { plan, point as say, require } from "./points.mjs";

const version = process.argv[2];
const options = { apiKey: "sk-test", maxRetries: 0 };
if (version === "h2") {
	const { Agent, fetch } = require("undici");
	Object.assign(options, { fetch, fetchOptions: { dispatcher: new Agent({ allowH2: true }) } });
}
const OpenAI = require("openai");
const Anthropic = require("@anthropic-ai/sdk");
const openai = new OpenAI.OpenAI(options);
const anthropic = new Anthropic.Anthropic(options);
const granted = "Permission to leave granted.";
const ask = { model: "test-model", max_tokens: 20, messages: [{ role: "user", content: "may I leave?" }] };

// Each returns the whole text and when its pieces came.
async function collect(stream, text_of) {
	const at = [];
	let text = "";
	for await (const piece of stream) {
		const part = text_of(piece);
		if (part) at.push(Date.now());
		text += part;
	}
	return { text, took: at.at(-1) - at[0] };
}

async function failure(promise) {
	try {
		await promise;
		return new Error("it was answered");
	} catch (e) {
		return e;
	}
}

const sdks = [{
	name: "openai",
	module: OpenAI,
	plain: async () => (await openai.chat.completions.create(ask)).choices[0].message.content,
	stream: () => openai.chat.completions.create({ ...ask, stream: true }),
	text_of: (chunk) => chunk.choices[0].delta.content ?? "",
	denied: () => openai.models.list(),
	denied_post: () => openai.embeddings.create({ model: "m", input: "secret" }),
}, {
	name: "@anthropic-ai/sdk",
	module: Anthropic,
	plain: async () => (await anthropic.messages.create(ask)).content[0].text,
	stream: () => anthropic.messages.create({ ...ask, stream: true }),
	text_of: (event) => event.delta?.text ?? "",
	denied: () => anthropic.models.list(),
	denied_post: () => anthropic.messages.countTokens({ model: "m", messages: ask.messages }),
}];

for (const sdk of sdks) {
	const point = (good, what, ...detail) => say(good, `${sdk.name}, ${version}: ${what}`, ...detail);

	point((await sdk.plain()) === granted, "a plain call is answered");
	const { text, took } = await collect(await sdk.stream(), sdk.text_of);
	point(text === granted, "a stream is whole", text);
	point(took > 800, "its tokens arrive as they are sent", took);

	for (const [how, call] of [["GET", sdk.denied], ["POST", sdk.denied_post]]) {
		const e = await failure(call());
		point(e instanceof sdk.module.PermissionDeniedError && e.status === 403,
			`a denied ${how} is a PermissionDeniedError`, String(e));
		point(/exeat denied/.test(e.message) && JSON.stringify(e.error).includes('"http-denied"'),
			"whose message says who denied it, and whose error says why", e.message, e.error);
	}

	const cut = await sdk.stream();
	for await (const piece of cut) if (sdk.text_of(piece)) break; // leaving the loop aborts the request
	point((await sdk.plain()) === granted, "a call after a stream that was left is answered");
}

const busy = await failure(anthropic.messages.create({ ...ask, model: "busy" }));
say(busy instanceof Anthropic.RateLimitError && busy.headers.get("retry-after") === "7",
	`@anthropic-ai/sdk, ${version}: the server's own refusal arrives as it is`, String(busy));
plan();
process.exit(0);
