// SPDX-License-Identifier: Apache-2.0
// A WebSocket server by npm ws: an echo that can also tick, say goodbye, and vanish.
//
// usage: node ws_origin.mjs LOGFILE ADDR KEY CERT      plain at port 8080, TLS at 443
//
// Every request that arrives is a JSON line in LOGFILE, also one that is no WebSocket.
import { appendFileSync, readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
const { WebSocketServer } = createRequire(process.env.EXEAT_NPM + "/package.json")("ws");

const [file, addr, key, cert] = process.argv.slice(2);
const log = (req) =>
	appendFileSync(file, JSON.stringify({ method: req.method, target: req.url, upgrade: req.headers.upgrade }) + "\n");

function tick(socket, left) {
	socket.send(`tick ${left}`);
	if (left > 1) setTimeout(tick, 500, socket, left - 1);
}

function talk(socket) {
	socket.on("message", (data, binary) => {
		const text = binary ? "" : data.toString();
		if (text === "tick") tick(socket, 4);
		else if (text === "bye") socket.close(4001, "goodbye");
		else if (text === "vanish") socket.terminate();
		else socket.send(data, { binary });
	});
}

function serve(server, port) {
	const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: true });
	server.on("request", (req, res) => {
		log(req);
		res.end("no socket\n");
	});
	server.on("upgrade", (req, stream, head) => {
		log(req);
		if (req.headers.upgrade.toLowerCase() === "websocket")
			sockets.handleUpgrade(req, stream, head, talk);
		else stream.end(`HTTP/1.1 101 As You Wish\r\nConnection: Upgrade\r\nUpgrade: ${req.headers.upgrade}\r\n\r\n`);
	});
	server.listen(port, addr);
}

serve(http.createServer(), 8080);
serve(https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }), 443);
