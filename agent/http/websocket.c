/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/websocket.h"

#include "agent/http/fields.h"

bool ex_websocket_opens(const struct ex_h1_head *h, const char key[static EX_WS_KEY_LEN + 1])
{
	char accept[EX_WS_ACCEPT_LEN + 1];
	const struct ex_header *f;

	return h->status == 101 && ex_ws_accept(key, accept) == 0 &&
	       ex_fields_find(h->headers, h->n_headers, "sec-websocket-accept", &f) == 1 &&
	       ex_span_eq(f->value, ex_span_str(accept));
}

bool ex_websocket_answers(const struct ex_h1_head *h, const struct ex_h1_head *request)
{
	char key[EX_WS_KEY_LEN + 1] = "";
	const struct ex_header *f;

	if (ex_fields_find(request->headers, request->n_headers, "sec-websocket-key", &f) != 1 ||
	    f->value.len != EX_WS_KEY_LEN)
		return false;
	memcpy(key, f->value.ptr, EX_WS_KEY_LEN);
	return ex_websocket_opens(h, key);
}
