// SPDX-License-Identifier: Apache-2.0
// An origin that speaks HTTP/2 only: to other clients it answers no_application_protocol, as servers
// in Go, and node itself from version 20 on, do.
//
// usage: h2_origin.mjs LOGFILE ADDR PORT KEY CERT [CLIENTS]
// CLIENTS: certificates that clients' are signed by; who has none is served too.
import fs from "node:fs";
import http2 from "node:http2";
import tls from "node:tls";

const [file, addr, port, key, cert, clients] = process.argv.slice(2);
const log = (line) => fs.appendFileSync(file, line + "\n");

const gone = [];
const answers = {
	"/case/204": (st) => st.respond({ ":status": 204 }, { endStream: true }),
	"/case/hints": (st) => {
		st.additionalHeaders({ ":status": 103, link: "</a>" });
		st.respond({ ":status": 200 });
		st.end("after hints");
	},
	"/case/trailers": (st) => {
		st.on("wantTrailers", () => st.sendTrailers({ "x-sum": "1" }));
		st.respond({ ":status": 200 }, { waitForTrailers: true });
		st.end("ok");
	},
	"/case/early": (st) => {
		st.respond({ ":status": 413, "content-length": "2" });
		st.end("no");
	},
	"/case/reset": (st) => st.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
	"/case/cut": (st) => {
		st.respond({ ":status": 200, "content-length": "100" });
		st.write("half", () => st.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
	},
	"/case/big": (st) => {
		st.respond({ ":status": 200, "content-length": String(30 << 20) });
		st.end(Buffer.alloc(30 << 20, "x"));
	},
	"/case/late": (st) => {
		setTimeout(() => (st.respond(), st.end("late")), 500);
	},
	// Two that are not answered, or not to the end, and how many of them the client has left.
	"/case/left": (st) => st.on("close", () => gone.push("left")),
	"/case/begun": (st) => {
		st.on("close", () => gone.push("begun"));
		st.respond();
		st.write("begun");
	},
	"/case/gone": (st) => {
		const look = (times) => {
			if (gone.length < 2 && times) return setTimeout(look, 100, times - 1);
			st.respond();
			st.end(gone.join(" "));
		};
		look(200);
	},
	"/case/goaway": (st) => {
		st.session.goaway();
		st.respond({ ":status": 200, "content-length": "4" });
		st.end("last");
	},
};

const who = (st) => (clients ? `as ${st.session.socket.getPeerCertificate().subject?.CN ?? "-"}` : "");

function onStream(st, head) {
	let size = 0;
	log(`${head[":method"]} ${head[":authority"]} ${head[":path"]} ${head.cookie ?? ""}${who(st)}`);
	st.on("error", () => {});
	const answer = answers[head[":path"]];
	if (answer) return answer(st);
	st.on("data", (piece) => (size += piece.length));
	st.on("end", () => {
		if (st.destroyed) return;
		st.respond({ ":status": 200, "set-cookie": ["a=1", "b=2"] });
		st.end(`${head[":method"]} ${size} session ${st.session.id}`);
	});
}

let sessions = 0;
const h2 = http2.createServer();
h2.on("session", (s) => (s.id = ++sessions));
h2.on("stream", onStream);
const ALPNCallback = ({ protocols }) => (protocols.includes("h2") ? "h2" : undefined);
const options = { key: fs.readFileSync(key), cert: fs.readFileSync(cert), ALPNCallback };
if (clients) Object.assign(options, { requestCert: true, rejectUnauthorized: false, ca: fs.readFileSync(clients) });
tls.createServer(options, (socket) => h2.emit("connection", socket)).listen(Number(port), addr);
