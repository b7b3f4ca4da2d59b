/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of an HTTP/2 connection (RFC 9113), the only user of nghttp2. Bytes in, bytes out: no
 * socket, no clock. Requests come out in the same normal form as from http1.h, so that one
 * judgement serves both; what goes on is written anew from it. http2_relay.h puts two ends back to
 * back; use that one for a proxied connection.
 *
 * Bounds: streams at once, fields and bytes of a head, bytes received and not yet consumed (the
 * windows), resets, frames that carry nothing, malformed streams, answers we owe. Window is given
 * back only for what ex_h2_consume() says is gone, so a slow reader on one end stops the sender on
 * the other.
 */
#ifndef EXEAT_AGENT_HTTP_HTTP2_H
#define EXEAT_AGENT_HTTP_HTTP2_H

#include <sys/types.h>

#include "agent/core/buf.h"
#include "agent/core/list.h"
#include "agent/http/http1.h"

#define EX_H2_STREAMS_MAX 100

/* RFC 9113 7 */
enum ex_h2_error {
	EX_H2_NO_ERROR = 0,
	EX_H2_PROTOCOL_ERROR = 1,
	EX_H2_INTERNAL_ERROR = 2,
	EX_H2_REFUSED_STREAM = 7,
	EX_H2_CANCEL = 8,
	EX_H2_ENHANCE_YOUR_CALM = 11,
};

struct ex_h2_head {
	/*
	 * As from HTTP/1.1; headers are the regular fields, names in lower case. framing: NO_BODY
	 * when the stream ends here, LENGTH when content-length told, else CHUNKED.
	 */
	struct ex_h1_head h;
	struct ex_span scheme;
	const bool *
		secret; /* one per field: never to be put in a compression table (RFC 7541 7.1.3) */
	bool end;       /* nothing follows on this half of the stream */
	/*
	 * Extended CONNECT for WebSocket (RFC 8441): h reads as the GET with Upgrade that it stands
	 * for, and what follows is no body.
	 */
	bool websocket;
};

struct ex_h2;

struct ex_h2_stream {
	void *user;      /* the owner's */
	struct ex_h2 *h; /* all below is private */
	struct ex_link link;
	int32_t id;
	struct ex_buf out; /* body still to be sent */
	struct ex_h2_trailers *trailers;
	bool out_end;   /* nothing will be added to out */
	bool out_idle;  /* nghttp2 was told that there is nothing to send just now */
	bool reset_due; /* once out is empty: with reset_error */
	enum ex_h2_error reset_error;
	bool head_sent, head_got, in_end;
	uint8_t interim; /* 1xx responses received */
};

/* All are called from within ex_h2_feed() or ex_h2_pull(); spans are valid during the call only. */
struct ex_h2_events {
	/* A request, or a response (interim ones too). */
	void (*head)(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head);
	/*
	 * A request that must not be forwarded (head holds what could be read), or an unusable
	 * response. The owner answers or resets. st is NULL when the stream is gone already.
	 */
	void (*bad)(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *head,
		    enum ex_reason reason, const char *detail);
	/* Owes an ex_h2_consume() of len, sooner or later. */
	void (*data)(void *arg, struct ex_h2_stream *st, const void *bytes, size_t len);
	/* The peer's half ended, after a body; trailers may be NULL. */
	void (*end)(void *arg, struct ex_h2_stream *st, const struct ex_h2_head *trailers);
	/* n bytes of ex_h2_write() are gone: sent, or dropped with their stream. */
	void (*drained)(void *arg, struct ex_h2_stream *st, size_t n);
	/* The stream is over and st becomes invalid. */
	void (*closed)(void *arg, struct ex_h2_stream *st, enum ex_h2_error error);
	/* The peer takes no new streams; the open ones go on. */
	void (*goaway)(void *arg);
};

/* server: towards the workload. ev must outlive the object. */
EX_MUST_CHECK int ex_h2_new(bool server, const struct ex_h2_events *ev, void *arg,
			    struct ex_h2 **ret);
void ex_h2_free(struct ex_h2 *h); /* no event is told any more */

/*
 * Bytes consumed: fewer than len (also 0) while too much waits to be sent: feed the rest after a
 * pull. Negative errno: the connection is broken; pull what is left (it tells why), then close.
 */
ssize_t ex_h2_feed(struct ex_h2 *h, const void *bytes, size_t len, uint64_t now_ms);
/* Bytes to be sent next, at most cap; 0 = none now; negative errno: broken. */
ssize_t ex_h2_pull(struct ex_h2 *h, void *out, size_t cap);
/* Nothing is left to be read or sent: close. */
bool ex_h2_done(const struct ex_h2 *h);

/* Client: head goes out as a request; NULL when no stream can be opened. */
struct ex_h2_stream *ex_h2_request(struct ex_h2 *h, const struct ex_h2_head *head, void *user);
/* Server: head->h.status and fields go out; status 1xx may be followed by another. */
EX_MUST_CHECK int ex_h2_respond(struct ex_h2_stream *st, const struct ex_h2_head *head);
/* Body bytes are copied; the windows bound how many can wait. */
EX_MUST_CHECK int ex_h2_write(struct ex_h2_stream *st, const void *bytes, size_t len);
EX_MUST_CHECK int ex_h2_finish(struct ex_h2_stream *st, const struct ex_h2_head *trailers);
/* At once, dropping what waits; or behind the body bytes written so far. */
void ex_h2_reset(struct ex_h2_stream *st, enum ex_h2_error error);
void ex_h2_reset_after(struct ex_h2_stream *st, enum ex_h2_error error);
/* n received bytes of st (NULL: of a stream that is over) are out of our hands. */
void ex_h2_consume(struct ex_h2 *h, const struct ex_h2_stream *st, size_t n);
/* Takes no new streams; the open ones go on (NO_ERROR) or end now. */
void ex_h2_goaway(struct ex_h2 *h, enum ex_h2_error error);

#endif
