// SPDX-License-Identifier: Apache-2.0
// node's own fetch: one chat completion.
const answer = await fetch(process.argv[2], {
	method: "POST",
	headers: { "content-type": "application/json", authorization: "Bearer sk-test" },
	body: process.env.ASK,
});
console.log(answer.status, JSON.stringify(await answer.json()));
