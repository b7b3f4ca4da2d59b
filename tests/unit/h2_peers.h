/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay between two peers in memory: nghttp2 as the workload's client and as the origin, or bare
 * frames in place of either.
 */
#ifndef EXEAT_TESTS_H2_PEERS_H
#define EXEAT_TESTS_H2_PEERS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "agent/http/http2_relay_priv.h"

#define IDS 1024

/* What a peer saw on one stream. */
struct seen {
	char method[16], authority[300], path[300], status[4];
	char fields[2048]; /* "name: value\n", trailers behind "--\n" */
	char body[4096];   /* the first bytes */
	size_t body_len;
	unsigned heads;
	bool end, closed;
	uint32_t error; /* when closed */
};

struct peer {
	nghttp2_session *s;
	bool server, hold_windows;
	struct seen seen[IDS];
	size_t n_heads; /* final heads, all streams */
	bool goaway;
	uint32_t goaway_error;
	/* origin: what it answers; zero is 200 and no body */
	const char *status;
	size_t body, trailers;
	bool silent;
	bool never_ends; /* bodies come whole and END_STREAM does not */
	/* what is still to be sent, by stream */
	size_t to_send[IDS];
	bool with_trailers[IDS];
};

struct world {
	struct ex_h2_relay *relay;
	struct peer workload, origin;
	unsigned judged, denied, refused, judged_again, fields_kept;
	enum ex_reason refused_reason;
	int broken[2]; /* by side: what feed or pull returned */
	uint64_t now;
	size_t from_origin;   /* bytes on the wire */
	size_t heads, others; /* bytes of heads under way; of them, of other connections */
};

static struct world w;

/* ---- policy ---- */

static bool judge(void *arg, const struct ex_h1_head *head, struct ex_h1_denial *d,
		  struct ex_header_edits *edits)
{
	static const struct ex_header_edits edited = {
		.v = { { EX_HEADER_REPLACE, EX_SPAN("authorization"), EX_SPAN("token"), 1 },
		       { EX_HEADER_DELETE, EX_SPAN("x-drop"), { NULL, 0 }, 1 },
		       { EX_HEADER_ADD, EX_SPAN("x-add"), EX_SPAN("more"), 1 } },
		.n = 3,
	};

	(void)arg;
	w.judged++;
	if (ex_span_eq(head->path, EX_SPAN("/ok/edit")))
		*edits = edited;
	if (head->path.len >= 3 && memcmp(head->path.ptr, "/ok", 3) == 0)
		return true;
	w.denied++;
	d->status = 403;
	d->reason = EX_R_HTTP_DENIED;
	return false;
}

/* Another policy: what has "gone" in its path is not allowed any more. */
static bool judge_again(void *arg, const struct ex_h1_head *head, uint32_t identity,
			struct ex_h1_denial *d)
{
	(void)arg;
	(void)identity;
	w.judged_again++;
	for (size_t i = 0; i < head->n_headers; i++)
		w.fields_kept += ex_span_eq(head->headers[i].name, EX_SPAN("x-team")) &&
				 ex_span_eq(head->headers[i].value, EX_SPAN("blue"));
	if (!memmem(head->path.ptr, head->path.len, "gone", 4))
		return true;
	d->status = 403;
	d->reason = EX_R_POLICY_CHANGED;
	return false;
}

static uint32_t identity(void *arg, const struct ex_header_edits *edits)
{
	(void)arg;
	(void)edits;
	return 0; /* nobody, all of them */
}

static void refused(void *arg, const struct ex_h1_denial *d)
{
	(void)arg;
	w.refused++;
	w.refused_reason = d->reason;
}

/* ---- peers ---- */

static void note(char *out, size_t cap, const uint8_t *p, size_t n)
{
	snprintf(out, cap, "%.*s", (int)n, (const char *)p);
}

static int peer_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t nlen,
		       const uint8_t *value, size_t vlen, uint8_t flags, void *arg)
{
	struct peer *p = arg;
	struct seen *e = &p->seen[f->hd.stream_id % IDS];
	size_t len = strlen(e->fields);

	(void)s;
	if (nlen == 7 && memcmp(name, ":method", 7) == 0)
		note(e->method, sizeof(e->method), value, vlen);
	else if (nlen == 10 && memcmp(name, ":authority", 10) == 0)
		note(e->authority, sizeof(e->authority), value, vlen);
	else if (nlen == 5 && memcmp(name, ":path", 5) == 0)
		note(e->path, sizeof(e->path), value, vlen);
	else if (nlen == 7 && memcmp(name, ":status", 7) == 0)
		note(e->status, sizeof(e->status), value, vlen);
	else if (name[0] != ':')
		snprintf(e->fields + len, sizeof(e->fields) - len, "%.*s: %.*s%s\n", (int)nlen,
			 (const char *)name, (int)vlen, (const char *)value,
			 flags & NGHTTP2_NV_FLAG_NO_INDEX ? " (secret)" : "");
	return 0;
}

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), 0 };
}

static ssize_t peer_body(nghttp2_session *s, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
			 nghttp2_data_source *source, void *arg)
{
	struct peer *p = source->ptr;
	size_t n = p->to_send[id % IDS];
	nghttp2_nv trailer = nv("grpc-status", "0");

	(void)arg;
	if (n > len)
		n = len;
	memset(buf, 'x', n);
	p->to_send[id % IDS] -= n;
	if (p->never_ends && !n)
		return NGHTTP2_ERR_DEFERRED;
	if (p->to_send[id % IDS] || p->never_ends)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (p->with_trailers[id % IDS]) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(s, id, &trailer, 1);
	}
	return (ssize_t)n;
}

static void origin_answer(struct peer *p, int32_t id)
{
	nghttp2_data_provider body = { .source.ptr = p, .read_callback = peer_body };
	nghttp2_nv fields[] = { nv(":status", p->status ? p->status : "200"),
				nv("server", "test") };

	p->to_send[id % IDS] = p->body;
	p->with_trailers[id % IDS] = p->trailers;
	nghttp2_submit_response(p->s, id, fields, 2, p->body || p->trailers ? &body : NULL);
}

static int peer_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct peer *p = arg;
	struct seen *e = &p->seen[f->hd.stream_id % IDS];
	size_t len;

	(void)s;
	if (f->hd.type == NGHTTP2_GOAWAY) {
		p->goaway = true;
		p->goaway_error = f->goaway.error_code;
	}
	if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
		return 0;
	if (f->hd.type == NGHTTP2_HEADERS) {
		e->heads++;
		p->n_heads += p->server;
		len = strlen(e->fields);
		snprintf(e->fields + len, sizeof(e->fields) - len, "--\n");
	}
	if (f->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		e->end = true;
		if (p->server && !p->silent)
			origin_answer(p, f->hd.stream_id);
	}
	return 0;
}

static int peer_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		     void *arg)
{
	struct peer *p = arg;
	struct seen *e = &p->seen[id % IDS];

	(void)flags;
	if (e->body_len < sizeof(e->body) - 1)
		note(e->body + e->body_len, sizeof(e->body) - e->body_len, data, len);
	e->body_len += len;
	if (!p->hold_windows)
		nghttp2_session_consume(s, id, len);
	return 0;
}

static int peer_close(nghttp2_session *s, int32_t id, uint32_t error, void *arg)
{
	struct peer *p = arg;

	(void)s;
	p->seen[id % IDS].closed = true;
	p->seen[id % IDS].error = error;
	return 0;
}

static void peer_open(struct peer *p, bool server)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;

	memset(p, 0, sizeof(*p));
	p->server = server;
	nghttp2_session_callbacks_new(&cb);
	nghttp2_option_new(&opt);
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_http_messaging(opt, 1);
	nghttp2_option_set_max_send_header_block_length(opt, 1 << 20);
	nghttp2_session_callbacks_set_on_header_callback(cb, peer_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, peer_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, peer_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, peer_close);
	if (server)
		nghttp2_session_server_new2(&p->s, cb, p, opt);
	else
		nghttp2_session_client_new2(&p->s, cb, p, opt);
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(opt);
	nghttp2_submit_settings(p->s, 0, NULL, 0);
}

/* ---- moving bytes ---- */

static bool relay_gives(enum ex_h2_side side, struct peer *to)
{
	static uint8_t buf[1024];
	bool moved = false;
	ssize_t n;

	while ((n = ex_h2_relay_pull(w.relay, side, buf, sizeof(buf))) > 0) {
		moved = true;
		if (to->s)
			nghttp2_session_mem_recv(to->s, buf, (size_t)n);
	}
	if (n < 0)
		w.broken[side] = (int)n;
	return moved;
}

static bool relay_gets(enum ex_h2_side side, struct peer *from)
{
	const uint8_t *p;
	bool moved = false;
	ssize_t n, r;

	while (from->s && w.broken[side] == 0 && (n = nghttp2_session_mem_send(from->s, &p)) > 0) {
		moved = true;
		if (side == EX_H2_ORIGIN)
			w.from_origin += (size_t)n;
		while (n > 0) {
			r = ex_h2_relay_feed(w.relay, side, p, (size_t)n, w.now);
			if (r < 0) {
				w.broken[side] = (int)r;
				break;
			}
			p += r;
			n -= r;
			relay_gives(side, from);
		}
	}
	return moved;
}

static inline void pump(void)
{
	bool moved = true;

	for (int i = 0; i < 10000 && moved; i++) {
		moved = relay_gets(EX_H2_WORKLOAD, &w.workload);
		moved |= relay_gives(EX_H2_WORKLOAD, &w.workload);
		moved |= relay_gets(EX_H2_ORIGIN, &w.origin);
		moved |= relay_gives(EX_H2_ORIGIN, &w.origin);
	}
	assert_false(moved);
}

static inline int world_open(void **state)
{
	const struct ex_h2_relay_config config = {
		.heads = &w.heads,
		.tls = true,
		.sni = EX_SPAN("api.test"),
		.port = 443,
		.judge = judge,
		.identity = identity,
		.judge_again = judge_again,
		.refused = refused,
	};

	(void)state;
	memset(&w, 0, sizeof(w));
	assert_int_equal(ex_h2_relay_new(&config, &w.relay), 0);
	assert_int_equal(ex_h2_relay_origin(w.relay, EX_H2_ORIGIN_H2), 0);
	peer_open(&w.workload, false);
	peer_open(&w.origin, true);
	return 0;
}

static inline int world_close(void **state)
{
	(void)state;
	ex_h2_relay_free(w.relay);
	assert_int_equal(w.heads, w.others);
	nghttp2_session_del(w.workload.s);
	nghttp2_session_del(w.origin.s);
	return 0;
}

#endif
