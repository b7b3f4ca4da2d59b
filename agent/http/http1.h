/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 messages (RFC 9110, 9112), the only user of llhttp. Strict: lenient flags off, and our
 * own checks on top wherever two parsers could read the bytes differently. Pull style: each call
 * consumes some bytes and reports at most one event, so the caller can judge between events.
 * What is forwarded is written anew from what was parsed (ex_h1_put_*), never the bytes as sent.
 */
#ifndef EXEAT_AGENT_HTTP_HTTP1_H
#define EXEAT_AGENT_HTTP_HTTP1_H

#include "agent/core/buf.h"
#include "policy/ruleset.h"

#define EX_H1_HEAD_MAX     (64 * 1024) /* request or status line plus header fields, bytes */
#define EX_H1_HEADERS_MAX  128
#define EX_H1_TARGET_MAX   8192
#define EX_H1_TRAILERS_MAX 8192

enum ex_h1_event {
	EX_H1_MORE = 0, /* all bytes consumed, nothing to report */
	EX_H1_HEAD,     /* head complete: ex_h1_head() */
	EX_H1_BODY,     /* ex_h1_body(): body bytes, framing removed; points into the bytes given */
	EX_H1_END,      /* message complete; the next byte starts the next message */
	EX_H1_BAD,      /* ex_h1_reason(); the parser stays broken */
	EX_H1_UPGRADED, /* responses: 101 accepted; what follows is not HTTP */
};

enum ex_h1_framing {
	EX_H1_NO_BODY = 0,
	EX_H1_LENGTH, /* content_length says */
	EX_H1_CHUNKED,
	EX_H1_UNTIL_CLOSE, /* responses only */
};

struct ex_h1_head {
	/* requests */
	struct ex_span method; /* token, upper case as sent */
	struct ex_span path;   /* origin-form with query, normal form (see ex_h1_normalise) */
	struct ex_span host;   /* canonical: lower case, no trailing dot, no port, v6 unbracketed */
	uint16_t host_port;    /* 0 = none given */
	struct ex_span authority;   /* the Host field as it goes upstream: canonical host[:port] */
	struct ex_span destination; /* in normal form; len 0: none. See destination.h */
	bool expect_continue;       /* a 100 is ours to send: Expect ends here */
	struct ex_span upgrade;     /* value of Upgrade when Connection names it; else len 0 */
	/* responses; status 1xx (but 101) is interim: the same request's next response follows */
	uint16_t status;
	struct ex_span phrase;
	/* both */
	uint8_t minor; /* HTTP/1.minor: 0 or 1 */
	bool close;    /* the connection ends after this message */
	enum ex_h1_framing framing;
	uint64_t content_length;
	bool length_given; /* NO_BODY answers to HEAD, and 304: content_length is still told */
	const struct ex_header *headers; /* all fields as sent, Host and hop-by-hop included */
	size_t n_headers;
};

struct ex_h1;

/* request: parse requests; else responses. */
EX_MUST_CHECK int ex_h1_new(bool request, struct ex_h1 **ret);
void ex_h1_free(struct ex_h1 *p);

/*
 * Responses: the method of the request that the next final response answers (no body follows a
 * HEAD), and whether that request went out with an Upgrade, which only websocket does: a 101
 * without it, or to another protocol, is BAD.
 */
void ex_h1_expect_response_to(struct ex_h1 *p, struct ex_span method);
void ex_h1_expect_upgrade(struct ex_h1 *p);

/*
 * *used <= len bytes were consumed. Call again with the rest, also when no byte is left, after
 * every event but MORE, BAD and UPGRADED: an END may be due without another byte.
 */
enum ex_h1_event ex_h1_feed(struct ex_h1 *p, const char *bytes, size_t len, size_t *used);

/* The peer closed: END for an UNTIL_CLOSE body, MORE between messages, else BAD. */
enum ex_h1_event ex_h1_eof(struct ex_h1 *p);

const struct ex_h1_head *
ex_h1_head(const struct ex_h1 *p); /* valid until the next feed after END */
struct ex_span ex_h1_body(const struct ex_h1 *p);

/*
 * How many of the next bytes are known to be body without framing of its own, and need not be read
 * here: whoever moves n of them says so. The last byte of a body whose length was given is not
 * among them: with it, both readers come to the end.
 */
uint64_t ex_h1_body_rest(const struct ex_h1 *p);
void ex_h1_body_skip(struct ex_h1 *p, uint64_t n);

/*
 * After the END of a chunked response: the fields of its trailer section that may be sent on
 * (RFC 9110 6.5.1), valid until the next feed. Those of a request are read, and dropped.
 */
size_t ex_h1_trailers(const struct ex_h1 *p, const struct ex_header **ret);
enum ex_reason ex_h1_reason(const struct ex_h1 *p);
const char *ex_h1_error(const struct ex_h1 *p); /* short text for the 400 body; our words only */

/*
 * The one upgrade there is: WebSocket starts as a request that a rule allowed, on a connection of
 * its own.
 */
bool ex_h1_upgrade_is_websocket(const struct ex_h1_head *head);

/*
 * The normal form a path is judged and forwarded in: percent-encoded unreserved bytes decoded,
 * other escapes upper case, no dot segments, no empty segments. Returns the length written or
 * -EINVAL when the target is refused rather than normalised: not origin-form, control or non-ASCII
 * bytes, fragment, backslash, a dot segment in any encoding, "//", bad escapes; in the path also
 * escaped backslash, percent, controls and invalid UTF-8; in the query an escaped NUL and
 * parameters that override the method. %2F stays in a path and ends a segment in these checks; the
 * judgement allows it only where a rule names it. out must not overlap target; target.len bytes are
 * enough. The normal form of a normal form is itself.
 */
ssize_t ex_h1_normalise(struct ex_span target, char *out, size_t cap);

/*
 * What is sent on is appended to out: 0 or -ENOMEM. (-EINVAL: no parser makes such a head.)
 *
 * The request as it goes upstream: HTTP/1.1, path and Host from the head as parsed, hop-by-hop and
 * method-override fields (X-HTTP-Method-Override, X-Original-URL, ...) removed, framing written
 * anew, Connection: keep-alive or close (or Upgrade when head->upgrade is set and keep_upgrade).
 */
EX_MUST_CHECK int ex_h1_put_request(struct ex_buf *out, const struct ex_h1_head *head, bool close,
				    bool keep_upgrade);

/*
 * The response head as it goes to the client; hop-by-hop fields removed, framing as head says: for
 * a client of HTTP/1.0 set UNTIL_CLOSE and close on a copy, and send chunk data bare. A 101 keeps
 * its Upgrade.
 */
EX_MUST_CHECK int ex_h1_put_response(struct ex_buf *out, const struct ex_h1_head *head, bool close);

/*
 * Some of a body, one chunk of it when it goes in chunks; and its end, where trailers have a place
 * behind chunks only.
 */
EX_MUST_CHECK int ex_h1_put_body(struct ex_buf *out, struct ex_span body, bool chunked);
EX_MUST_CHECK int ex_h1_put_end(struct ex_buf *out, bool chunked, const struct ex_header *trailers,
				size_t n);

/*
 * A body where some servers expect none and would take it for the next request. The connection ends
 * with such a request, on both sides: then there is no next one.
 */
bool ex_h1_body_is_unexpected(const struct ex_h1_head *head);

/* One that may be sent twice as well as once (RFC 9110 9.2.1), and has no body to keep for that. */
bool ex_h1_may_repeat(const struct ex_h1_head *head);

/* Does the client accept text, but neither JSON nor just anything? (Accept, RFC 9110 12.5.1) */
bool ex_h1_prefers_text(const struct ex_header *headers, size_t n);

/*
 * A denial: status line, headers, short body: reason, rule, request, remedy. Returns bytes or
 * -ENOSPC; 4 KiB are enough.
 */
struct ex_h1_denial {
	uint16_t status; /* 400, 403, 413?, 421, 431, 502, 503, 504 */
	enum ex_reason reason;
	const struct ex_rule_info *rule;   /* nearest rule; may be NULL */
	struct ex_span method, host, path; /* of the request; escaped here; query values removed */
	const struct ex_h1_head *judged;   /* what the rules denied; NULL: they were not asked */
	const char *detail;                /* our words; may be NULL */
	bool head_only;                    /* answer to HEAD */
	bool text;                         /* plain text, not JSON: see ex_h1_prefers_text() */
};

/* The status a denial is told with, over either version of HTTP. */
uint16_t ex_h1_status(enum ex_reason reason);

ssize_t ex_h1_write_denial(const struct ex_h1_denial *d, bool close, char *out, size_t cap);

#endif
