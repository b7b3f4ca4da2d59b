// SPDX-License-Identifier: Apache-2.0
// The npm openai SDK, plain or with stream: true. Prints each token with the milliseconds since the
// first one, so that the test can see whether tokens arrive as they are sent.
import { createRequire } from "node:module";
const OpenAI = createRequire(process.env.EXEAT_NPM + "/package.json")("openai").default;
const client = new OpenAI({ apiKey: "sk-test", maxRetries: 0 });
const ask = { ...JSON.parse(process.env.ASK), stream: process.argv[2] === "stream" };
try {
	const answer = await client.chat.completions.create(ask);
	if (!ask.stream) {
		console.log("answer:", answer.choices[0].message.content);
	} else {
		let start = 0, text = "";
		for await (const chunk of answer) {
			start ||= Date.now();
			text += chunk.choices[0].delta.content ?? "";
			console.log("token", Date.now() - start);
		}
		console.log("answer:", text);
	}
} catch (e) {
	console.log("error:", e.status, JSON.stringify(e.error ?? String(e)));
	process.exitCode = 1;
}
