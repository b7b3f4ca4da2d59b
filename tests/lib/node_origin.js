#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The tolerant origin of the smuggling tests: node's server with its lenient parser.
//
// usage: node --insecure-http-parser node_origin.js LOGFILE ADDR PORT
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

const [file, addr, port] = process.argv.slice(2);
const log = (entry) => fs.appendFileSync(file, JSON.stringify(entry) + '\n');

const server = http.createServer({ insecureHTTPParser: true, keepAliveTimeout: 60000 }, (req, res) => {
	const entry = { method: req.method, target: req.url, host: req.headers.host };
	const hash = crypto.createHash('sha256');
	log({ ...entry, part: 'head', raw: req.rawHeaders });
	req.on('data', (piece) => hash.update(piece));
	req.on('end', () => {
		log({ ...entry, part: 'whole', body: hash.digest('hex') });
		res.setHeader('X-Seen', `${req.method} ${req.url}`);
		res.setHeader('Content-Length', 2);
		res.end(req.method === 'HEAD' ? undefined : 'ok');
	});
});
server.on('clientError', (err, socket) => {
	// The parser's own errors; how a connection ended (ECONNRESET, EPIPE) says nothing of the bytes.
	if (err.rawPacket && err.code !== 'HPE_INVALID_EOF_STATE')
		log({ odd: err.code, data: String(err.rawPacket || '').slice(0, 400) });
	socket.destroy();
});
server.on('upgrade', (req, socket) => {
	const entry = { method: req.method, target: req.url, host: req.headers.host };
	log({ ...entry, part: 'head', raw: req.rawHeaders });
	log({ ...entry, part: 'whole', body: crypto.createHash('sha256').digest('hex') });
	socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nX-Seen: upgrade\r\n\r\nok');
});
server.listen(Number(port), addr);
