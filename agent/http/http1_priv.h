/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the HTTP/1.1 module only. */
#ifndef EXEAT_AGENT_HTTP_HTTP1_PRIV_H
#define EXEAT_AGENT_HTTP_HTTP1_PRIV_H

#include <llhttp.h>

#include "agent/http/authority.h"
#include "agent/http/http1.h"

enum h1_state {
	H1_IN_HEAD = 0,
	H1_IN_LENGTH,
	H1_IN_CHUNK_SIZE,
	H1_IN_CHUNK_DATA,
	H1_IN_CHUNK_CRLF,
	H1_IN_TRAILERS,
	H1_IN_UNTIL_CLOSE,
	H1_END_DUE,
	H1_UPGRADED,
	H1_CLOSED, /* after a message that ends the connection: any further byte is BAD */
	H1_BROKEN,
};

/* The raw bytes of a head or of trailers as they come in, line by line. */
struct h1_lines {
	char prev;       /* last byte */
	size_t line_len; /* bytes of this line so far, without CR */
	size_t n;        /* complete lines, the empty one not counted */
	bool colon;      /* this line has its name complete */
};

struct ex_h1 {
	llhttp_t ll;
	bool request;
	bool to_head;     /* responses: no body follows */
	bool to_upgrade;  /* responses: 101 is in order */
	unsigned interim; /* 1xx seen for this response */
	enum h1_state state;

	char *buf; /* the head as received, up to EX_H1_HEAD_MAX */
	size_t len, cap;
	struct h1_lines lines;
	struct ex_h1_head head;
	struct ex_header *headers; /* room for EX_H1_HEADERS_MAX */
	struct ex_authority host;
	char authority[EX_AUTHORITY_MAX + 1];
	char *path;
	size_t path_cap;

	/* what llhttp reported, to be compared with our own reading */
	struct ex_span ll_method, ll_url, ll_phrase;
	size_t ll_headers;
	bool ll_head_done, ll_done, ll_chunk;
	struct ex_span body;

	uint64_t remaining;         /* of the body or the chunk */
	unsigned digits;            /* of the chunk size */
	size_t extra_len;           /* bytes of the chunk-size line or the trailers */
	char *trailer_text;         /* responses: as received, extra_len bytes */
	struct ex_header *trailers; /* point into it */
	size_t n_trailers;

	enum ex_reason reason;
	const char *error;
};

/* Breaks the parser for good. Returns EX_H1_BAD. */
enum ex_h1_event ex_h1_break(struct ex_h1 *p, enum ex_reason reason, const char *error);
enum ex_h1_event ex_h1_break_malformed(struct ex_h1 *p, const char *error);

/* Is this method one no rule can allow? Sets reason and error. */
bool ex_h1_method_refused(struct ex_h1 *p, struct ex_span method);

/* The complete head in p->buf -> p->head. 0, or -EINVAL after ex_h1_break(), or -ENOMEM. */
EX_MUST_CHECK int ex_h1_head_read(struct ex_h1 *p);

/*
 * One byte of a head or of trailers. NULL, or what is wrong with it. Every line ends in CR LF; a
 * field line is a token, a colon and a value without controls; nothing is folded.
 */
const char *ex_h1_line_byte(struct h1_lines *l, char byte, bool first_line, bool ascii);

/* Forgets the trailers of the message before. */
void ex_h1_trailers_drop(struct ex_h1 *p);

/* Bytes behind the head; some are left. */
enum ex_h1_event ex_h1_body_feed(struct ex_h1 *p, const char *bytes, size_t len, size_t *used);

/* llhttp, the second reader, on bytes that the first has passed. False when it disagrees. */
void ex_h1_second_start(struct ex_h1 *p);
bool ex_h1_second_reads(struct ex_h1 *p, const char *bytes, size_t len);
bool ex_h1_second_finish(struct ex_h1 *p);
void ex_h1_second_skips(struct ex_h1 *p, uint64_t n);      /* bytes of a body with a length */
const char *ex_h1_second_complaint(const struct ex_h1 *p); /* about a head it did not read */
unsigned ex_h1_second_minor(const struct ex_h1 *p);
unsigned ex_h1_second_status(const struct ex_h1 *p);
uint64_t ex_h1_second_chunk(const struct ex_h1 *p);
enum ex_h1_framing ex_h1_second_framing(const struct ex_h1 *p);

#endif
