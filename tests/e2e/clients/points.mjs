// SPDX-License-Identifier: Apache-2.0
// TAP points for tap_import of tests/lib/tap.sh. Nothing may take longer than three minutes.
import { createRequire } from "node:module";

let n = 0;
export function point(good, what, ...detail) {
	n++;
	console.log(`${good ? "ok" : "not ok"} - ${what}`);
	if (!good) for (const d of detail) console.log("#", typeof d === "string" ? d : JSON.stringify(d));
}
export const plan = () => console.log(`1..${n}`);
export const require = createRequire((process.env.EXEAT_NPM || "/nowhere") + "/package.json");
setTimeout(() => process.exit(1), 180000).unref();
