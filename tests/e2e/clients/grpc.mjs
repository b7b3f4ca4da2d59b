// SPDX-License-Identifier: Apache-2.0
// npm @grpc/grpc-js against tests/lib/grpc_origin.mjs. usage: grpc.mjs HOST:PORT; TAP points.
import { once } from "node:events";
import { plan, point, require } from "./points.mjs";
const grpc = require("@grpc/grpc-js");

// No roots given: it has to find them by GRPC_DEFAULT_SSL_ROOTS_FILE_PATH.
const client = new grpc.Client(process.argv[2], grpc.credentials.createSsl(), {
	"grpc.max_receive_message_length": 64 << 20, "grpc.enable_retries": 0,
});
const pack = (value) => Buffer.from(JSON.stringify(value));
const unpack = (bytes) => JSON.parse(bytes);
const soon = () => ({ deadline: Date.now() + 30000 });

const unary = (method, value, metadata = new grpc.Metadata()) =>
	new Promise((resolve) => {
		client.makeUnaryRequest(`/talk.Talk/${method}`, pack, unpack, value, metadata, soon(),
			(error, answer) => resolve({ error, answer }));
	});

let r = await unary("Say", { text: "hello" });
point(r.answer?.said === "hello", "a unary call is answered", r.error);
r = await unary("Say", { text: "long", pad: "x".repeat(5 << 20) });
point(r.answer?.size === 5 << 20, "a message of 5 MB arrives whole", r.error);

const counting = client.makeServerStreamRequest("/talk.Talk/Count", pack, unpack, { to: 4 }, soon());
const at = [];
for await (const _ of counting) at.push(Date.now());
point(at.length === 4 && at[3] - at[0] > 600, "messages of a stream arrive as they are sent", at);

const echo = client.makeBidiStreamRequest("/talk.Talk/Echo", pack, unpack, soon());
let back = 0;
for (let i = 0; i < 5; i++) {
	echo.write({ i });
	const [message] = await once(echo, "data");
	back += message.i === i;
}
point(back === 5, "both directions at once: each message is answered before the next is sent");
echo.end();
const [ended] = await once(echo, "status");
point(ended.code === grpc.status.OK, "and the call ends with OK", ended);

r = await unary("Fail", {});
point(r.error?.code === grpc.status.RESOURCE_EXHAUSTED && r.error.details === "quota used up: 100%" &&
	r.error.metadata.get("x-hint")[0] === "later", "the server's own error arrives with its details", r.error);

for (const [method, what] of [["Drop", "a method no rule allows"], ["Say/", "a path beside the rule"]]) {
	const start = Date.now();
	r = await unary(method, { text: "no" });
	point(r.error?.code === grpc.status.PERMISSION_DENIED, `${what} is PERMISSION_DENIED`, r.error, r.answer);
	point(Date.now() - start < 15000, "at once");
	point(/exeat denied/.test(r.error?.details), "and the details say who did it, and why", r.error);
}

const start = Date.now();
const denied = client.makeBidiStreamRequest("/talk.Talk/Listen", pack, unpack, soon());
denied.on("data", () => {});
denied.on("error", () => {});
denied.write({ i: 1 });
const status = await new Promise((resolve) => denied.on("status", resolve));
point(status.code === grpc.status.PERMISSION_DENIED && Date.now() - start < 15000,
	"a denied stream that is still open is PERMISSION_DENIED at once", status);

r = await unary("Say", { text: "again" });
point(r.answer?.said === "again", "the connection lives on", r.error);
plan();
client.close();
