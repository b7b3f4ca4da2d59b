// SPDX-License-Identifier: Apache-2.0
// A registry of npm packages that has every package there is, in version 1.2.3.
//
// usage: node registry_origin.mjs LOGFILE ADDR KEY CERT
//
// Every request that arrives is a JSON line in LOGFILE.
import { appendFileSync, readFileSync } from "node:fs";
import http2 from "node:http2";

const [file, addr, key, cert] = process.argv.slice(2);
const server = http2.createSecureServer({ key: readFileSync(key), cert: readFileSync(cert), allowHTTP1: true });
server.on("request", (req, res) => {
	const name = decodeURIComponent(req.url.slice(1));
	const version = { name, version: "1.2.3", dist: { tarball: `https://npm.test/${name}.tgz`, shasum: "0".repeat(40) } };
	appendFileSync(file, JSON.stringify({ version: req.httpVersion, method: req.method, target: req.url }) + "\n");
	res.writeHead(200, { "content-type": "application/json" });
	res.end(JSON.stringify({ name, "dist-tags": { latest: "1.2.3" }, versions: { "1.2.3": version } }));
});
server.listen(443, addr);
