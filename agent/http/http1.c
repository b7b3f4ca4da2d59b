// SPDX-License-Identifier: Apache-2.0
/*
 * Two readers, one meaning. Our own reader finds where each line, chunk and message ends and
 * refuses every byte that is not plainly legal; llhttp then parses exactly the bytes our reader
 * has delimited. A message is accepted only when both saw the same fields, the same framing and
 * the same end. So llhttp's tolerances (bare LF, leading blank lines, extra spaces) are never
 * reached, and an error in one of the readers is a refusal, not a smuggled request.
 *
 * The head is collected in a buffer of its own, bounded by EX_H1_HEAD_MAX, and parsed at once: how
 * the bytes were split on the wire cannot change what is understood.
 */
#include <errno.h>

#include "agent/http/chars.h"
#include "agent/http/http1_priv.h"

#define HEAD_FIRST    2048
#define CHUNK_DIGITS  15  /* of a chunk size: keeps it below 2^60 */
#define CHUNK_EXT_MAX 256 /* bytes of a chunk-size line in a response */
#define TRAILERS_MAX  8192
#define INTERIM_MAX   16

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

/* ---- llhttp's reports ---- */

static int on_method(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	p->ll_method = (struct ex_span){ at, len };
	return 0;
}

static int on_url(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	p->ll_url = (struct ex_span){ at, len };
	return 0;
}

static int on_status(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	p->ll_phrase = (struct ex_span){ at, len };
	return 0;
}

static int on_field(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	if (p->ll_head_done)
		return 0; /* a trailer: read for its framing only */
	if (p->ll_headers == EX_H1_HEADERS_MAX)
		return HPE_USER;
	p->headers[p->ll_headers++] = (struct ex_header){ .name = { at, len } };
	return 0;
}

/* The head is parsed from one buffer, so a value that comes in pieces is contiguous or folded. */
static int on_value(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;
	struct ex_span *value;

	if (p->ll_head_done)
		return 0;
	if (p->ll_headers == 0)
		return HPE_USER;
	value = &p->headers[p->ll_headers - 1].value;
	if (!value->ptr)
		*value = (struct ex_span){ at, len };
	else if (value->ptr + value->len == at)
		value->len += len;
	else
		return HPE_USER;
	return 0;
}

static bool status_has_no_body(unsigned status)
{
	return status / 100 == 1 || status == 204 || status == 304;
}

static int on_head(llhttp_t *ll)
{
	struct ex_h1 *p = ll->data;

	p->ll_head_done = true;
	return !p->request && (p->to_head || status_has_no_body(ll->status_code));
}

static int on_body(llhttp_t *ll, const char *at, size_t len)
{
	struct ex_h1 *p = ll->data;

	if (p->body.ptr)
		return HPE_USER;
	p->body = (struct ex_span){ at, len };
	return 0;
}

static int on_chunk(llhttp_t *ll)
{
	struct ex_h1 *p = ll->data;

	p->ll_chunk = true;
	return 0;
}

static int on_done(llhttp_t *ll)
{
	struct ex_h1 *p = ll->data;

	p->ll_done = true;
	return 0;
}

static const llhttp_settings_t settings = {
	.on_method = on_method,
	.on_url = on_url,
	.on_status = on_status,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_chunk_header = on_chunk,
	.on_message_complete = on_done,
};

/* llhttp's turn on bytes our reader has passed. False when it disagrees. */
static bool second_reader(struct ex_h1 *p, const char *bytes, size_t len)
{
	llhttp_errno_t err = llhttp_execute(&p->ll, bytes, len);

	return err == HPE_OK || (err == HPE_PAUSED_UPGRADE && p->ll_done);
}

/* ---- life ---- */

static void message_start(struct ex_h1 *p)
{
	llhttp_init(&p->ll, p->request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	p->ll.data = p;
	p->state = H1_IN_HEAD;
	p->len = 0;
	p->lines = (struct h1_lines){ 0 };
	p->head = (struct ex_h1_head){ 0 };
	p->ll_method = p->ll_url = p->ll_phrase = p->body = (struct ex_span){ 0 };
	p->ll_headers = 0;
	p->ll_head_done = p->ll_done = p->ll_chunk = false;
	p->remaining = 0;
	p->digits = 0;
	p->extra_len = 0;
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
	free(p->buf);
	free(p->path);
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

/* ---- our reader: lines ---- */

/*
 * One byte of a head or of trailers. NULL, or what is wrong with it. Every line ends in CR LF; a
 * field line is a token, a colon and a value without controls; nothing is folded.
 */
static const char *line_byte(struct h1_lines *l, char byte, bool first_line, bool ascii)
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
		else if (!ex_is_tchar(c))
			return "field name is not a token";
	}
	l->line_len++;
	return NULL;
}

/* ---- the head ---- */

static int head_reserve(struct ex_h1 *p, size_t need)
{
	size_t cap = p->cap ? p->cap : HEAD_FIRST;
	char *bigger;

	while (cap < need)
		cap *= 2;
	if (cap == p->cap)
		return 0;
	bigger = realloc(p->buf, cap);
	if (!bigger)
		return -ENOMEM;
	p->buf = bigger;
	p->cap = cap;
	return 0;
}

/* The request line as soon as it is there: no need to wait for the rest to refuse. */
static bool first_line_refused(struct ex_h1 *p)
{
	struct ex_span line = { p->buf, p->len - 2 };
	const char *sp = memchr(line.ptr, ' ', line.len), *sp2;
	struct ex_span version;

	if (!p->request) {
		version = (struct ex_span){ line.ptr, sp ? (size_t)(sp - line.ptr) : 0 };
	} else {
		if (!sp) {
			ex_h1_break_malformed(p, "not a request line");
			return true;
		}
		if (ex_h1_method_refused(p, (struct ex_span){ line.ptr, (size_t)(sp - line.ptr) }))
			return true;
		sp++;
		sp2 = memchr(sp, ' ', line.len - (size_t)(sp - line.ptr));
		if (!sp2) {
			ex_h1_break_malformed(p, "request line without version");
			return true;
		}
		if ((size_t)(sp2 - sp) > EX_H1_TARGET_MAX) {
			ex_h1_break(p, EX_R_HTTP_TOO_LARGE, "request target too long");
			return true;
		}
		version.ptr = sp2 + 1;
		version.len = line.len - (size_t)(version.ptr - line.ptr);
	}
	if (!ex_span_eq(version, EX_SPAN("HTTP/1.1")) &&
	    !ex_span_eq(version, EX_SPAN("HTTP/1.0"))) {
		ex_h1_break_malformed(p, "version is neither HTTP/1.1 nor HTTP/1.0");
		return true;
	}
	return false;
}

static enum ex_h1_framing framing_of(struct ex_h1 *p)
{
	if (p->ll_done)
		return p->head.framing == EX_H1_LENGTH && p->head.content_length == 0
			       ? EX_H1_LENGTH
			       : EX_H1_NO_BODY;
	if (p->ll.flags & F_CHUNKED)
		return EX_H1_CHUNKED;
	if ((p->ll.flags & F_CONTENT_LENGTH) && p->ll.content_length == p->head.content_length)
		return EX_H1_LENGTH;
	return !p->request && llhttp_message_needs_eof(&p->ll) ? EX_H1_UNTIL_CLOSE : EX_H1_NO_BODY;
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
	if (!second_reader(p, p->buf, p->len) || !p->ll_head_done ||
	    p->ll_headers + 1 != p->lines.n)
		return ex_h1_break_malformed(p, "malformed head");
	if (ex_h1_head_read(p) < 0)
		return p->state == H1_BROKEN ? EX_H1_BAD
					     : ex_h1_break(p, EX_R_INTERNAL, "out of memory");
	if (framing_of(p) != p->head.framing)
		return ex_h1_break_malformed(p, "ambiguous framing");
	if (!p->request && p->head.status / 100 == 1 && ++p->interim > INTERIM_MAX)
		return ex_h1_break_malformed(p, "too many interim responses");
	p->remaining = p->head.content_length;
	p->state = state_after_head(p);
	return EX_H1_HEAD;
}

static enum ex_h1_event feed_head(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	for (; *used < len; (*used)++) {
		bool first = p->lines.n == 0, was_empty = p->lines.line_len == 0;
		char c = bytes[*used];
		const char *error;

		if (p->len == EX_H1_HEAD_MAX)
			return ex_h1_break(p, EX_R_HTTP_TOO_LARGE, "head too large");
		if (head_reserve(p, p->len + 1) < 0)
			return ex_h1_break(p, EX_R_INTERNAL, "out of memory");
		error = line_byte(&p->lines, c, first, p->request);
		if (error)
			return ex_h1_break_malformed(p, error);
		p->buf[p->len++] = c;
		if (c != '\n')
			continue;
		if (first && was_empty)
			return ex_h1_break_malformed(p, "empty line before the message");
		if (first && first_line_refused(p))
			return EX_H1_BAD;
		if (p->lines.n > EX_H1_HEADERS_MAX + 1)
			return ex_h1_break(p, EX_R_HTTP_TOO_LARGE, "too many header fields");
		if (was_empty) {
			(*used)++;
			return head_complete(p);
		}
	}
	return EX_H1_MORE;
}

/* ---- bodies ---- */

/* n bytes of body data, known to be that; both readers have to take all of them. */
static enum ex_h1_event feed_data(struct ex_h1 *p, const char *bytes, size_t n)
{
	p->body = (struct ex_span){ 0 };
	if (!second_reader(p, bytes, n) || p->body.ptr != bytes || p->body.len != n)
		return ex_h1_break_malformed(p, "ambiguous body");
	return EX_H1_BODY;
}

static enum ex_h1_event feed_length(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	size_t n = len < p->remaining ? len : (size_t)p->remaining;
	enum ex_h1_event ev;

	ev = feed_data(p, bytes, n);
	if (ev != EX_H1_BODY)
		return ev;
	*used = n;
	p->remaining -= n;
	if (p->ll_done != (p->remaining == 0))
		return ex_h1_break_malformed(p, "ambiguous body length");
	if (p->remaining == 0)
		p->state = H1_END_DUE;
	return EX_H1_BODY;
}

static enum ex_h1_event feed_until_close(struct ex_h1 *p, const char *bytes, size_t len,
					 size_t *used)
{
	*used = len;
	return feed_data(p, bytes, len);
}

/* "1f\r\n". Extensions are refused in requests, skipped in responses; nothing else is between. */
static const char *chunk_size_byte(struct ex_h1 *p, char byte)
{
	unsigned char c = (unsigned char)byte;
	int digit = ex_hex_value(c);
	char prev = p->lines.prev;

	p->lines.prev = byte;
	if (prev == '\r')
		return c == '\n' ? NULL : "CR without LF in a chunk size";
	if (c == '\r')
		return p->digits ? NULL : "chunk without size";
	if (++p->extra_len > CHUNK_EXT_MAX)
		return "chunk-size line too long";
	if (p->extra_len > p->digits + 1 || c == ';') { /* within an extension */
		if (p->request || p->digits == 0 || c < 0x20 || c >= 0x7f)
			return "chunk extension";
		return NULL;
	}
	if (digit < 0 || ++p->digits > CHUNK_DIGITS)
		return "bad chunk size";
	p->remaining = p->remaining << 4 | (unsigned)digit;
	return NULL;
}

static enum ex_h1_event feed_chunk_size(struct ex_h1 *p, const char *bytes, size_t len,
					size_t *used)
{
	size_t start = *used;
	bool done = false;

	while (*used < len && !done) {
		char c = bytes[*used];
		const char *error = chunk_size_byte(p, c);

		if (error)
			return ex_h1_break_malformed(p, error);
		done = c == '\n';
		(*used)++;
	}
	if (!second_reader(p, bytes + start, *used - start) || p->ll_chunk != done ||
	    (done && p->ll.content_length != p->remaining))
		return ex_h1_break_malformed(p, "ambiguous chunk size");
	if (done) {
		p->state = p->remaining ? H1_IN_CHUNK_DATA : H1_IN_TRAILERS;
		p->ll_chunk = false;
		p->lines = (struct h1_lines){ 0 };
		p->digits = 0;
		p->extra_len = 0;
	}
	return EX_H1_MORE;
}

static enum ex_h1_event feed_chunk_data(struct ex_h1 *p, const char *bytes, size_t len,
					size_t *used)
{
	size_t n = len - *used < p->remaining ? len - *used : (size_t)p->remaining;
	enum ex_h1_event ev = feed_data(p, bytes + *used, n);

	if (ev != EX_H1_BODY)
		return ev;
	*used += n;
	p->remaining -= n;
	if (p->remaining == 0)
		p->state = H1_IN_CHUNK_CRLF;
	return EX_H1_BODY;
}

static enum ex_h1_event feed_chunk_crlf(struct ex_h1 *p, const char *bytes, size_t len,
					size_t *used)
{
	static const char crlf[2] = { '\r', '\n' };

	for (; *used < len && p->digits < 2; (*used)++, p->digits++)
		if (bytes[*used] != crlf[p->digits] || !second_reader(p, bytes + *used, 1))
			return ex_h1_break_malformed(p, "chunk not closed by CR LF");
	if (p->digits == 2) {
		p->digits = 0;
		p->state = H1_IN_CHUNK_SIZE;
	}
	return EX_H1_MORE;
}

/* Trailers are bounded, checked like fields, and dropped. */
static enum ex_h1_event feed_trailers(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	size_t start = *used;
	bool done = false;

	while (*used < len && !done) {
		bool was_empty = p->lines.line_len == 0;
		char c = bytes[*used];
		const char *error = line_byte(&p->lines, c, false, p->request);

		if (error)
			return ex_h1_break_malformed(p, error);
		if (++p->extra_len > TRAILERS_MAX)
			return ex_h1_break(p, EX_R_HTTP_TOO_LARGE, "trailers too large");
		done = c == '\n' && was_empty;
		(*used)++;
	}
	if (!second_reader(p, bytes + start, *used - start) || p->ll_done != done)
		return ex_h1_break_malformed(p, "malformed trailers");
	if (done)
		p->state = H1_END_DUE;
	return EX_H1_MORE;
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
		return feed_length(p, bytes, len, used);
	case H1_IN_UNTIL_CLOSE:
		return feed_until_close(p, bytes, len, used);
	case H1_IN_CHUNK_SIZE:
		return feed_chunk_size(p, bytes, len, used);
	case H1_IN_CHUNK_DATA:
		return feed_chunk_data(p, bytes, len, used);
	case H1_IN_CHUNK_CRLF:
		return feed_chunk_crlf(p, bytes, len, used);
	case H1_IN_TRAILERS:
		return feed_trailers(p, bytes, len, used);
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
		return llhttp_finish(&p->ll) == HPE_OK && p->ll_done
			       ? message_end(p)
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
