/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two readers, one meaning. Our own reader finds where each line, chunk and message ends and
 * refuses every byte that is not plainly legal; llhttp then parses exactly the bytes our reader
 * has delimited. A message is accepted only when both saw the same fields, the same framing and
 * the same end. So llhttp's tolerances (leading blank lines, extra spaces, any two bytes
 * behind a chunk) are never reached, and an error in one of the readers is a refusal, not a
 * smuggled request.
 *
 * The head is collected in a buffer of its own, bounded by EX_H1_HEAD_MAX, and parsed at once: how
 * the bytes were split on the wire cannot change what is understood.
 */
#include <errno.h>

#include "agent/http/chars.h"
#include "agent/http/http1_priv.h"

#define HEAD_FIRST  2048 /* bytes; doubled as needed */
#define INTERIM_MAX 16

_Static_assert(HEAD_FIRST << 5 == EX_H1_HEAD_MAX, "no buffer has room for more than a head may be");

enum ex_h1_event ex_h1_break(struct ex_h1 *p, enum ex_reason reason, const char *error)
{
	p->state = H1_BROKEN;
	p->reason = p->request ? reason : EX_R_UPSTREAM_PROTOCOL;
	p->error = error;
	return EX_H1_BAD;
}

enum ex_h1_event ex_h1_break_malformed(struct ex_h1 *p, const char *error)
{
	return ex_h1_break(p, EX_R_HTTP_MALFORMED, error);
}

/* ---- life ---- */

static void message_start(struct ex_h1 *p)
{
	ex_h1_second_start(p);
	p->state = H1_IN_HEAD;
	p->len = 0;
	p->lines = (struct h1_lines){ 0 };
	p->head = (struct ex_h1_head){ 0 };
	p->remaining = 0;
	p->digits = 0;
	p->extra_len = 0;
	ex_h1_trailers_drop(p);
}

int ex_h1_new(bool request, struct ex_h1 **ret)
{
	struct ex_h1 *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->request = request;
	message_start(p);
	*ret = p;
	return 0;
}

void ex_h1_free(struct ex_h1 *p)
{
	if (!p)
		return;
	ex_h1_trailers_drop(p);
	free(p->buf);
	free(p->path);
	free(p->headers);
	free(p);
}

void ex_h1_expect_response_to(struct ex_h1 *p, struct ex_span method)
{
	p->to_head = ex_span_eq(method, EX_SPAN("HEAD"));
	p->to_upgrade = false;
}

void ex_h1_expect_upgrade(struct ex_h1 *p)
{
	p->to_upgrade = true;
}

const struct ex_h1_head *ex_h1_head(const struct ex_h1 *p)
{
	return &p->head;
}

struct ex_span ex_h1_body(const struct ex_h1 *p)
{
	return p->body;
}

enum ex_reason ex_h1_reason(const struct ex_h1 *p)
{
	return p->reason;
}

const char *ex_h1_error(const struct ex_h1 *p)
{
	return p->error ? p->error : "";
}

const char *ex_h1_line_byte(struct h1_lines *l, char byte, bool first_line, bool ascii)
{
	unsigned char c = (unsigned char)byte;
	bool after_cr = l->prev == '\r';

	l->prev = byte;
	if (after_cr && c != '\n')
		return "CR without LF";
	if (c == '\n') {
		if (!after_cr)
			return "LF without CR";
		if (l->line_len > 0)
			l->n++;
		l->line_len = 0;
		l->colon = false;
		return NULL;
	}
	if (c == '\r')
		return l->line_len > 0 && !l->colon && !first_line ? "field without colon" : NULL;
	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return "control byte";
	if (c >= 0x80 && (ascii || first_line || !l->colon))
		return "byte that is not ASCII";
	if (first_line) {
		if (c == '\t')
			return "control byte";
	} else if (!l->colon) {
		if (c == ':' && l->line_len > 0)
			l->colon = true;
		else if (!ex_char_is(byte, EX_CHAR_TOKEN))
			return "field name is not a token";
	}
	l->line_len++;
	return NULL;
}

/* ---- the head ---- */

static int head_grow(struct ex_h1 *p)
{
	size_t cap = p->cap ? p->cap * 2 : HEAD_FIRST;
	char *bigger = realloc(p->buf, cap);

	if (!bigger)
		return -ENOMEM;
	p->buf = bigger;
	p->cap = cap;
	return 0;
}

static bool version_is_known(struct ex_span s)
{
	return ex_span_eq(s, EX_SPAN("HTTP/1.1")) || ex_span_eq(s, EX_SPAN("HTTP/1.0"));
}

/* METHOD SP target SP version */
static const char *request_line_error(struct ex_h1 *p, struct ex_span line)
{
	const char *end = line.ptr + line.len, *sp = memchr(line.ptr, ' ', line.len), *sp2;

	if (!sp)
		return "not a request line";
	if (ex_h1_method_refused(p, (struct ex_span){ line.ptr, (size_t)(sp - line.ptr) }))
		return p->error;
	sp2 = memchr(sp + 1, ' ', (size_t)(end - sp - 1));
	if (!sp2)
		return "request line without version";
	if ((size_t)(sp2 - sp) > EX_H1_TARGET_MAX + 1) {
		ex_h1_break(p, EX_R_HTTP_TOO_LARGE, "request target too long");
		return p->error;
	}
	if (!version_is_known((struct ex_span){ sp2 + 1, (size_t)(end - sp2 - 1) }))
		return "version is neither HTTP/1.1 nor HTTP/1.0";
	return NULL;
}

/* version SP 3DIGIT [SP phrase] */
static const char *status_line_error(struct ex_span line)
{
	if (line.len < 12 || !version_is_known((struct ex_span){ line.ptr, 8 }) ||
	    line.ptr[8] != ' ' || (line.len > 12 && line.ptr[12] != ' '))
		return "not a status line";
	for (size_t i = 9; i < 12; i++)
		if (!ex_is_digit(line.ptr[i]))
			return "status is not three digits";
	return line.ptr[9] == '0' ? "status below 100" : NULL;
}

/* As soon as the first line is there: no need to wait for the rest to refuse. */
static bool first_line_refused(struct ex_h1 *p)
{
	struct ex_span line = { p->buf, p->len - 2 };
	const char *error = p->request ? request_line_error(p, line) : status_line_error(line);

	if (error && p->state != H1_BROKEN)
		ex_h1_break_malformed(p, error);
	return error != NULL;
}

static enum h1_state state_after_head(const struct ex_h1 *p)
{
	if (p->head.status == 101)
		return H1_UPGRADED;
	switch (p->head.framing) {
	case EX_H1_NO_BODY:
		break;
	case EX_H1_LENGTH:
		return p->head.content_length ? H1_IN_LENGTH : H1_END_DUE;
	case EX_H1_CHUNKED:
		return H1_IN_CHUNK_SIZE;
	case EX_H1_UNTIL_CLOSE:
		return H1_IN_UNTIL_CLOSE;
	}
	return H1_END_DUE;
}

static enum ex_h1_event head_complete(struct ex_h1 *p)
{
	if (!p->headers)
		p->headers = malloc(EX_H1_HEADERS_MAX * sizeof(p->headers[0]));
	if (!p->headers)
		return ex_h1_break(p, EX_R_INTERNAL, "out of memory");
	if (!ex_h1_second_reads(p, p->buf, p->len))
		return ex_h1_break_malformed(p, ex_h1_second_complaint(p));
	if (!p->ll_head_done || p->ll_headers + 1 != p->lines.n)
		return ex_h1_break_malformed(p, "malformed head");
	if (ex_h1_head_read(p) < 0)
		return p->state == H1_BROKEN ? EX_H1_BAD
					     : ex_h1_break(p, EX_R_INTERNAL, "out of memory");
	if (ex_h1_second_framing(p) != p->head.framing)
		return ex_h1_break_malformed(p, "ambiguous framing");
	if (!p->request && p->head.status / 100 == 1 && ++p->interim > INTERIM_MAX)
		return ex_h1_break_malformed(p, "too many interim responses");
	p->remaining = p->head.content_length;
	p->state = state_after_head(p);
	return EX_H1_HEAD;
}

/* What bytes need no closer look where the line is: most of a head is made of these. */
static unsigned plain_class(const struct h1_lines *l)
{
	if (l->prev == '\r')
		return 0;
	return l->n == 0 || l->colon ? EX_CHAR_TEXT : EX_CHAR_TOKEN;
}

/* Takes as many of them as there are. */
static size_t take_plain(struct ex_h1 *p, const char *bytes, size_t len)
{
	size_t room = p->cap - p->len;
	size_t n = ex_chars_run(bytes, len < room ? len : room, plain_class(&p->lines));

	if (n == 0)
		return 0;
	memcpy(p->buf + p->len, bytes, n);
	p->len += n;
	p->lines.line_len += n;
	p->lines.prev = bytes[n - 1];
	return n;
}

/* A line has ended. MORE: the head goes on. */
static enum ex_h1_event line_complete(struct ex_h1 *p, bool first, bool empty)
{
	if (first && empty)
		return ex_h1_break_malformed(p, "empty line before the message");
	if (first && first_line_refused(p))
		return EX_H1_BAD;
	if (p->lines.n > EX_H1_HEADERS_MAX + 1)
		return ex_h1_break(p, EX_R_HTTP_TOO_LARGE, "too many header fields");
	return empty ? head_complete(p) : EX_H1_MORE;
}

static enum ex_h1_event take_byte(struct ex_h1 *p, char c)
{
	bool first = p->lines.n == 0, empty = p->lines.line_len == 0;
	const char *error = ex_h1_line_byte(&p->lines, c, first, p->request);

	if (error)
		return ex_h1_break_malformed(p, error);
	p->buf[p->len++] = c;
	return c == '\n' ? line_complete(p, first, empty) : EX_H1_MORE;
}

/* Token, colon, printable ASCII, CR LF: the bytes of this line, or 0 when it is not such a one. */
static size_t plain_field(const char *s, size_t len)
{
	size_t n = ex_chars_run(s, len, EX_CHAR_TOKEN);

	if (n == 0 || n == len || s[n] != ':')
		return 0;
	n += 1 + ex_chars_run(s + n + 1, len - n - 1, EX_CHAR_TEXT);
	return len - n >= 2 && s[n] == '\r' && s[n + 1] == '\n' ? n + 2 : 0;
}

/*
 * A whole line at once, which nearly all are. Whatever is split, or not plainly legal, is read byte
 * by byte, to the same effect.
 */
static size_t take_field(struct ex_h1 *p, const char *bytes, size_t len)
{
	size_t room = p->cap - p->len, n;

	if (p->lines.n == 0 || p->lines.line_len || p->lines.prev != '\n')
		return 0;
	n = plain_field(bytes, len < room ? len : room);
	if (n == 0)
		return 0;
	memcpy(p->buf + p->len, bytes, n);
	p->len += n;
	p->lines.n++;
	return n;
}

static enum ex_h1_event feed_head(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	enum ex_h1_event ev = EX_H1_MORE;

	while (*used < len && ev == EX_H1_MORE) {
		size_t n;

		if (p->len == EX_H1_HEAD_MAX)
			return ex_h1_break(p, EX_R_HTTP_TOO_LARGE, "head too large");
		if (p->len == p->cap && head_grow(p) < 0)
			return ex_h1_break(p, EX_R_INTERNAL, "out of memory");
		n = take_field(p, bytes + *used, len - *used);
		if (n) {
			*used += n;
			ev = line_complete(p, false, false);
			continue;
		}
		*used += take_plain(p, bytes + *used, len - *used);
		if (*used < len && p->len < p->cap)
			ev = take_byte(p, bytes[(*used)++]);
	}
	return ev;
}

static enum ex_h1_event message_end(struct ex_h1 *p)
{
	bool interim = !p->request && p->head.status / 100 == 1;

	if (!interim) {
		p->to_head = p->to_upgrade = false;
		p->interim = 0;
	}
	/* The head stays readable until the next feed. */
	p->state = p->head.close && !interim ? H1_CLOSED : H1_IN_HEAD;
	p->ll_done = true;
	return EX_H1_END;
}

/* Some bytes are left, or none is needed in this state. */
static enum ex_h1_event feed_step(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	switch (p->state) {
	case H1_IN_HEAD:
		if (p->ll_done)
			message_start(p);
		return feed_head(p, bytes, len, used);
	case H1_IN_LENGTH:
	case H1_IN_UNTIL_CLOSE:
	case H1_IN_CHUNK_SIZE:
	case H1_IN_CHUNK_DATA:
	case H1_IN_CHUNK_CRLF:
	case H1_IN_TRAILERS:
		return ex_h1_body_feed(p, bytes, len, used);
	case H1_END_DUE:
		return message_end(p);
	case H1_UPGRADED:
		return EX_H1_UPGRADED;
	case H1_CLOSED:
		return ex_h1_break_malformed(p, "bytes after the last message");
	case H1_BROKEN:
		break;
	}
	return EX_H1_BAD;
}

enum ex_h1_event ex_h1_feed(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	enum ex_h1_event ev;

	*used = 0;
	if (p->state == H1_BROKEN)
		return EX_H1_BAD;
	while (*used < len || p->state == H1_END_DUE || p->state == H1_UPGRADED) {
		ev = feed_step(p, bytes, len, used); /* consumes bytes or reports */
		if (ev != EX_H1_MORE)
			return ev;
	}
	return EX_H1_MORE;
}

enum ex_h1_event ex_h1_eof(struct ex_h1 *p)
{
	switch (p->state) {
	case H1_IN_UNTIL_CLOSE:
		return ex_h1_second_finish(p) ? message_end(p)
					      : ex_h1_break_malformed(p, "message cut off");
	case H1_END_DUE:
		return message_end(p);
	case H1_IN_HEAD:
		if (p->len == 0 || p->ll_done)
			return EX_H1_MORE;
		break;
	case H1_CLOSED:
		return EX_H1_MORE;
	case H1_IN_LENGTH:
	case H1_IN_CHUNK_SIZE:
	case H1_IN_CHUNK_DATA:
	case H1_IN_CHUNK_CRLF:
	case H1_IN_TRAILERS:
	case H1_UPGRADED:
	case H1_BROKEN:
		break;
	}
	return p->state == H1_BROKEN ? EX_H1_BAD : ex_h1_break_malformed(p, "message cut off");
}
