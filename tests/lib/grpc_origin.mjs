// SPDX-License-Identifier: Apache-2.0
// A gRPC service by npm @grpc/grpc-js, over TLS; its messages are JSON, so no .proto is needed.
//
// usage: node grpc_origin.mjs LOGFILE ADDR:PORT KEY CERT
//
// Every call that arrives is a line in LOGFILE.
import { appendFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
const grpc = createRequire(process.env.EXEAT_NPM + "/package.json")("@grpc/grpc-js");

const [file, where, key, cert] = process.argv.slice(2);
const serialize = (value) => Buffer.from(JSON.stringify(value));
const deserialize = (bytes) => JSON.parse(bytes);
const log = (call) => appendFileSync(file, call.getPath() + "\n");

const kind = (path, requestStream, responseStream) => ({
	path: `/talk.Talk/${path}`, requestStream, responseStream,
	requestSerialize: serialize, requestDeserialize: deserialize,
	responseSerialize: serialize, responseDeserialize: deserialize,
});

const service = {
	say: kind("Say", false, false), drop: kind("Drop", false, false), fail: kind("Fail", false, false),
	count: kind("Count", false, true), echo: kind("Echo", true, true),
};

const unary = (call, answer) => (log(call), answer(null, { said: call.request.text, size: call.request.pad?.length }));

const methods = {
	say: unary,
	drop: unary,
	fail(call, answer) {
		const metadata = new grpc.Metadata();
		log(call);
		metadata.set("x-hint", "later");
		answer({ code: grpc.status.RESOURCE_EXHAUSTED, details: "quota used up: 100%", metadata });
	},
	count(call) {
		let n = 0;
		log(call);
		const next = () => {
			call.write({ n: ++n });
			if (n < call.request.to) setTimeout(next, 500);
			else call.end();
		};
		next();
	},
	echo(call) {
		log(call);
		call.on("data", (message) => call.write(message));
		call.on("end", () => call.end());
	},
};

const server = new grpc.Server({ "grpc.max_receive_message_length": 64 << 20 });
server.addService(service, methods);
server.bindAsync(where,
	grpc.ServerCredentials.createSsl(null, [{ private_key: readFileSync(key), cert_chain: readFileSync(cert) }]),
	(error) => { if (error) throw error; });
