/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/websocket.h"

#include "agent/http/chars.h"

static bool field_is(const struct ex_h1_head *h, const char *name, const char *value)
{
	const struct ex_header *found = NULL;

	for (size_t i = 0; i < h->n_headers; i++) {
		if (!ex_span_is(h->headers[i].name, name))
			continue;
		if (found)
			return false;
		found = &h->headers[i];
	}
	return found && ex_span_eq(found->value, ex_span_str(value));
}

bool ex_websocket_opens(const struct ex_h1_head *h, const char key[static EX_WS_KEY_LEN + 1])
{
	char accept[EX_WS_ACCEPT_LEN + 1];

	return h->status == 101 && ex_ws_accept(key, accept) == 0 &&
	       field_is(h, "sec-websocket-accept", accept);
}

bool ex_websocket_answers(const struct ex_h1_head *h, const struct ex_h1_head *request)
{
	char key[EX_WS_KEY_LEN + 1];
	size_t n = 0;

	for (size_t i = 0; i < request->n_headers; i++) {
		const struct ex_header *f = &request->headers[i];

		if (!ex_span_is(f->name, "sec-websocket-key"))
			continue;
		if (n++ || f->value.len != EX_WS_KEY_LEN)
			return false;
		memcpy(key, f->value.ptr, EX_WS_KEY_LEN);
	}
	key[EX_WS_KEY_LEN] = '\0';
	return n && ex_websocket_opens(h, key);
}
