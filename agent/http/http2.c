/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/http/http2_priv.h"

#define SLICE         4096 /* bytes read between two looks at the bounds */
#define BACKLOG_MAX   256  /* frames waiting to be sent; nothing is read meanwhile */
#define ACKS_MAX      64   /* answers owed to PING and SETTINGS */
#define INTERIM_MAX   8
#define RESET_BURST   200
#define RESET_PER_SEC 20

/* The workload is near and read by us at once; the origin is far and should be kept sending. */
#define SERVER_STREAM_WINDOW 65535
#define SERVER_WINDOW        (256 * 1024)
#define CLIENT_STREAM_WINDOW (256 * 1024)
#define CLIENT_WINDOW        (512 * 1024)

static struct ex_h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- heads, incoming ---- */

static void block_release(struct ex_h2 *h)
{
	while (h->n_kept)
		nghttp2_rcbuf_decref(h->kept[--h->n_kept]);
	ex_h2_block_reset(&h->block);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct ex_h2 *h = arg;
	struct ex_h2_stream *st;

	block_release(h);
	if (!h->server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	st = ex_h2_stream_new(h, NULL);
	if (!st)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
	st->id = frame->hd.stream_id;
	if (nghttp2_session_set_stream_user_data(session, st->id, st) == 0)
		return 0;
	ex_h2_stream_free(st);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static struct ex_span rcbuf_span(nghttp2_rcbuf *buf)
{
	nghttp2_vec v = nghttp2_rcbuf_get_buf(buf);

	return (struct ex_span){ (const char *)v.base, v.len };
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
		     nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
	struct ex_h2 *h = arg;

	(void)session;
	(void)frame;
	ex_h2_purse_pay_field(&h->purse, rcbuf_span(name).len + rcbuf_span(value).len);
	if (ex_h2_purse_is_empty(&h->purse))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (h->n_kept + 2 > EX_ARRAY_SIZE(h->kept)) {
		h->block.too_large = true;
		return 0;
	}
	if (!ex_h2_block_add(&h->block, rcbuf_span(name), rcbuf_span(value),
			     flags & NGHTTP2_NV_FLAG_NO_INDEX))
		return 0;
	nghttp2_rcbuf_incref(name);
	nghttp2_rcbuf_incref(value);
	h->kept[h->n_kept++] = name;
	h->kept[h->n_kept++] = value;
	return 0;
}

/* Without this callback nghttp2 would drop the field and let the message pass. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
			     nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
	struct ex_h2 *h = arg;

	(void)session;
	(void)frame;
	(void)name;
	(void)value;
	(void)flags;
	h->block.malformed = true;
	return 0;
}

static void head_bad(struct ex_h2 *h, struct ex_h2_stream *st, enum ex_reason reason,
		     const char *detail)
{
	ex_h2_purse_pay_fault(&h->purse);
	h->ev->bad(h->arg, st, &h->block.head, reason, detail);
}

static void request_event(struct ex_h2 *h, struct ex_h2_stream *st)
{
	const char *detail = NULL;
	enum ex_reason reason;

	st->head_got = true;
	/* The client will take it at its word and ask elsewhere: so it is not done here as well. */
	if (h->going) {
		ex_h2_reset(st, EX_H2_REFUSED_STREAM);
		return;
	}
	reason = ex_h2_read_request(&h->block, st->in_end, &detail);
	if (reason == EX_R_ALLOWED)
		h->ev->head(h->arg, st, &h->block.head);
	else
		head_bad(h, st, reason, detail);
}

static void response_event(struct ex_h2 *h, struct ex_h2_stream *st)
{
	const char *detail = "too many interim responses";
	enum ex_reason reason = ex_h2_read_response(&h->block, st->in_end, &detail);
	bool interim = h->block.head.h.status < 200;

	st->head_got = !interim;
	if (interim && ++st->interim > INTERIM_MAX)
		reason = EX_R_UPSTREAM_PROTOCOL;
	if (reason == EX_R_ALLOWED)
		h->ev->head(h->arg, st, &h->block.head);
	else
		head_bad(h, st, reason, detail);
}

static void headers_event(struct ex_h2 *h, struct ex_h2_stream *st)
{
	const char *detail = NULL;
	enum ex_reason reason;

	if (!st->head_got && h->server) {
		request_event(h, st);
	} else if (!st->head_got) {
		response_event(h, st);
	} else {
		reason = ex_h2_read_trailers(&h->block, &detail);
		if (reason == EX_R_ALLOWED)
			h->ev->end(h->arg, st, &h->block.head);
		else
			head_bad(h, st, reason, detail);
	}
	block_release(h);
}

/* ---- frames ---- */

/* What comes in one go is not read to its end when the purse is empty. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
	struct ex_h2 *h = arg;

	(void)session;
	(void)hd;
	return ex_h2_purse_is_empty(&h->purse) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct ex_h2 *h = arg;
	struct ex_h2_stream *st = stream_of(session, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_GOAWAY)
		h->ev->goaway(h->arg);
	if (!st)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		st->in_end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
		headers_event(h, st);
	} else if (frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		st->in_end = true;
		h->ev->end(h->arg, st, NULL);
	}
	return 0;
}

/* nghttp2 has found a message malformed and resets its stream; nobody else will hear of it. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
			    void *arg)
{
	struct ex_h2 *h = arg;

	(void)session;
	/*
	 * One stream too many is no fault: the client may not know our bound yet, and tries again.
	 */
	if (frame->hd.type != NGHTTP2_HEADERS || error == NGHTTP2_ERR_REFUSED_STREAM)
		return 0;
	memset(&h->block.head, 0, sizeof(h->block.head));
	h->prepaid++;
	head_bad(h, NULL, h->server ? EX_R_HTTP_MALFORMED : EX_R_UPSTREAM_PROTOCOL,
		 "a header block against the rules of HTTP/2");
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t len, void *arg)
{
	struct ex_h2 *h = arg;
	struct ex_h2_stream *st = stream_of(session, id);

	(void)flags;
	if (st)
		h->ev->data(h->arg, st, data, len);
	else
		ex_h2_consume(h, NULL, len);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
	struct ex_h2 *h = arg;
	struct ex_h2_stream *st = stream_of(session, id);

	if (!st)
		return 0;
	if (ex_buf_len(&st->out))
		h->ev->drained(h->arg, st, ex_buf_len(&st->out));
	/* Codes beyond the standard's are the peer's own affair. */
	h->ev->closed(h->arg, st, error <= 0xd ? error : EX_H2_INTERNAL_ERROR);
	(void)nghttp2_session_set_stream_user_data(session, id, NULL);
	ex_h2_stream_free(st);
	return 0;
}

/* The peer's, which has its streams reset by us as it might do itself (CVE-2025-8671). */
static bool is_fault(uint32_t error)
{
	return error == NGHTTP2_PROTOCOL_ERROR || error == NGHTTP2_FLOW_CONTROL_ERROR ||
	       error == NGHTTP2_STREAM_CLOSED || error == NGHTTP2_FRAME_SIZE_ERROR;
}

static void reset_pay(struct ex_h2 *h)
{
	if (h->prepaid)
		h->prepaid--;
	else
		ex_h2_purse_pay_fault(&h->purse);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct ex_h2 *h = arg;
	const struct ex_h2_stream *st;

	if (frame->hd.type == NGHTTP2_RST_STREAM && is_fault(frame->rst_stream.error_code))
		reset_pay(h);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	ex_h2_purse_earn(&h->purse);
	if (!h->server || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	/* The answer is complete and the request is not: its rest is not wanted (RFC 9113 8.1). */
	st = stream_of(session, frame->hd.stream_id);
	if (st && !st->in_end)
		(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, st->id,
						NGHTTP2_NO_ERROR);
	return 0;
}

/* ---- the connection ---- */

static int session_start(struct ex_h2 *h)
{
	int32_t window = h->server ? SERVER_WINDOW : CLIENT_WINDOW;
	nghttp2_settings_entry iv[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, EX_H2_STREAMS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
		  h->server ? SERVER_STREAM_WINDOW : CLIENT_STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, EX_H1_HEAD_MAX },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
		/* the one is the server's to say, the other the client's */
		{ h->server ? NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL
			    : NGHTTP2_SETTINGS_ENABLE_PUSH,
		  h->server ? 1 : 0 },
	};

	if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, iv, EX_ARRAY_SIZE(iv)) != 0 ||
	    nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, window) != 0)
		return -ENOMEM;
	return 0;
}

static void callbacks_set(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
}

/*
 * nghttp2 1.52 frees some objects twice when memory runs out (nghttp2_submit_data() is one place).
 * A process that reads hostile bytes does better to end, which denies everything.
 */
static void *or_abort(void *p)
{
	if (!p)
		abort();
	return p;
}

static void *mem_malloc(size_t size, void *arg)
{
	(void)arg;
	return or_abort(malloc(size));
}

static void mem_free(void *ptr, void *arg)
{
	(void)arg;
	free(ptr);
}

static void *mem_calloc(size_t n, size_t size, void *arg)
{
	(void)arg;
	return or_abort(calloc(n, size));
}

static void *mem_realloc(void *ptr, size_t size, void *arg)
{
	(void)arg;
	return or_abort(realloc(ptr, size));
}

static int session_new(struct ex_h2 *h)
{
	nghttp2_mem mem = { NULL, mem_malloc, mem_free, mem_calloc, mem_realloc };
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;
	int r;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -ENOMEM;
	callbacks_set(cb);
	if (nghttp2_option_new(&opt) != 0) {
		nghttp2_session_callbacks_del(cb);
		return -ENOMEM;
	}
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_option_set_max_outbound_ack(opt, ACKS_MAX);
	nghttp2_option_set_stream_reset_rate_limit(opt, RESET_BURST, RESET_PER_SEC);
	nghttp2_option_set_peer_max_concurrent_streams(opt, EX_H2_STREAMS_MAX);
	r = h->server ? nghttp2_session_server_new3(&h->session, cb, h, opt, &mem)
		      : nghttp2_session_client_new3(&h->session, cb, h, opt, &mem);
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
	return r == 0 ? session_start(h) : -ENOMEM;
}

int ex_h2_new(bool server, const struct ex_h2_events *ev, void *arg, struct ex_h2 **ret)
{
	struct ex_h2 *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->ev = ev;
	h->arg = arg;
	h->server = server;
	ex_h2_purse_init(&h->purse, server ? NGHTTP2_CLIENT_MAGIC_LEN : 0);
	r = session_new(h);
	if (r < 0) {
		ex_h2_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void ex_h2_free(struct ex_h2 *h)
{
	if (!h)
		return;
	nghttp2_session_del(h->session); /* calls back nothing */
	block_release(h);
	while (h->streams)
		ex_h2_stream_free(ex_container_of(h->streams, struct ex_h2_stream, link));
	free(h);
}

ssize_t ex_h2_feed(struct ex_h2 *h, const void *bytes, size_t len, uint64_t now_ms)
{
	size_t used = 0;
	bool flooding;

	if (h->broken)
		return -EPROTO;
	ex_h2_purse_fill(&h->purse, now_ms);
	while (used < len) {
		size_t n = len - used < SLICE ? len - used : SLICE;
		ssize_t r;

		if (nghttp2_session_get_outbound_queue_size(h->session) > BACKLOG_MAX)
			break;
		r = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes + used, n);
		if (r > 0)
			ex_h2_purse_pay_frames(&h->purse, (const uint8_t *)bytes + used, (size_t)r);
		flooding = ex_h2_purse_is_empty(&h->purse) || r == NGHTTP2_ERR_FLOODED;
		if (r < 0 || flooding) {
			h->broken = true;
			(void)nghttp2_session_terminate_session(h->session,
								flooding ? NGHTTP2_ENHANCE_YOUR_CALM
									 : NGHTTP2_PROTOCOL_ERROR);
			return -EPROTO;
		}
		used += (size_t)r;
	}
	return (ssize_t)used;
}

ssize_t ex_h2_pull(struct ex_h2 *h, void *out, size_t cap)
{
	size_t len = 0, n;

	while (len < cap) {
		if (h->chunk_len == 0) {
			ssize_t r = nghttp2_session_mem_send(h->session, &h->chunk);

			if (r < 0) {
				h->broken = true;
				return len ? (ssize_t)len : -EPROTO;
			}
			if (r == 0)
				break;
			h->chunk_len = (size_t)r;
		}
		n = h->chunk_len < cap - len ? h->chunk_len : cap - len;
		memcpy((char *)out + len, h->chunk, n);
		h->chunk += n;
		h->chunk_len -= n;
		len += n;
	}
	return (ssize_t)len;
}

bool ex_h2_done(const struct ex_h2 *h)
{
	return h->chunk_len == 0 && !nghttp2_session_want_write(h->session) &&
	       (h->broken || !nghttp2_session_want_read(h->session));
}

void ex_h2_goaway(struct ex_h2 *h, enum ex_h2_error error)
{
	h->going = true;
	if (error != EX_H2_NO_ERROR)
		(void)nghttp2_session_terminate_session(h->session, error);
	else
		(void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
					    nghttp2_session_get_last_proc_stream_id(h->session),
					    NGHTTP2_NO_ERROR, NULL, 0);
}
