/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/probe.h"

#include "agent/http/http1.h"

static bool keep(char *out, size_t cap, struct ex_span s)
{
	if (s.len >= cap)
		return false;
	if (s.len)
		memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
	return true;
}

static void take_head(const struct ex_h1_head *h, struct ex_probe_head *ret)
{
	if (!keep(ret->path, sizeof(ret->path), h->path) ||
	    !keep(ret->destination, sizeof(ret->destination), h->destination) ||
	    !keep(ret->host, sizeof(ret->host), h->host) ||
	    !keep(ret->authority, sizeof(ret->authority), h->authority)) {
		ret->refused = EX_R_HTTP_TOO_LARGE;
		return;
	}
	ret->host_port = h->host_port;
	if (h->upgrade.len && !ex_h1_upgrade_is_websocket(h)) {
		ret->denied = EX_R_UPGRADE_DENIED;
		ret->detail = "only websocket, by a GET without a body";
	}
}

void ex_h1_probe(struct ex_span text, struct ex_probe_head *ret)
{
	enum ex_h1_event ev = EX_H1_MORE;
	struct ex_h1 *reader;
	size_t used;

	*ret = (struct ex_probe_head){ .refused = EX_R_UNSPEC };
	if (ex_h1_new(true, &reader) < 0) {
		ret->refused = EX_R_INTERNAL;
		return;
	}
	while (text.len && ev == EX_H1_MORE) {
		ev = ex_h1_feed(reader, text.ptr, text.len, &used);
		text.ptr += used;
		text.len -= used;
	}
	if (ev == EX_H1_HEAD) {
		take_head(ex_h1_head(reader), ret);
	} else {
		ret->refused = ev == EX_H1_BAD ? ex_h1_reason(reader) : EX_R_HTTP_MALFORMED;
		ret->detail = ev == EX_H1_BAD ? ex_h1_error(reader) : "no whole head";
	}
	ex_h1_free(reader);
}
