/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of a well-behaved workload; on top of h2_peers.h. */
#ifndef EXEAT_TESTS_H2_ASK_H
#define EXEAT_TESTS_H2_ASK_H

#include "tests/unit/h2_peers.h"

struct request {
	const char *method, *scheme, *authority, *path;
	const char *names[8], *values[8];
	size_t body; /* 0: the head ends the stream */
};

static int32_t ask(const struct request *q)
{
	nghttp2_data_provider body = { .source.ptr = &w.workload, .read_callback = peer_body };
	nghttp2_nv fields[16];
	size_t n = 0;
	int32_t id;

	fields[n++] = nv(":method", q->method ? q->method : q->body ? "POST" : "GET");
	fields[n++] = nv(":scheme", q->scheme ? q->scheme : "https");
	fields[n++] = nv(":authority", q->authority ? q->authority : "api.test");
	fields[n++] = nv(":path", q->path ? q->path : "/ok");
	for (size_t i = 0; i < 8 && q->names[i]; i++) {
		fields[n] = nv(q->names[i], q->values[i]);
		if (strcmp(q->names[i], "authorization") == 0)
			fields[n].flags = NGHTTP2_NV_FLAG_NO_INDEX;
		n++;
	}
	id = nghttp2_submit_request(w.workload.s, NULL, fields, n, q->body ? &body : NULL, NULL);
	assert_true(id > 0);
	w.workload.to_send[id % IDS] = q->body;
	return id;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in \"%s\"", part, text);
}

#endif
