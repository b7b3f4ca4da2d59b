/* SPDX-License-Identifier: Apache-2.0 */
/* Our reader behind the head: bodies, chunk framing, trailers. */
#include "agent/http/chars.h"
#include "agent/http/fields.h"
#include "agent/http/http1_priv.h"

#define CHUNK_DIGITS  15  /* of a chunk size: keeps it below 2^60 */
#define CHUNK_EXT_MAX 256 /* bytes of a chunk-size line in a response */

/* n bytes of body data, known to be that; both readers have to take all of them. */
static enum ex_h1_event feed_data(struct ex_h1 *p, const char *bytes, size_t n)
{
	p->body = (struct ex_span){ 0 };
	if (!ex_h1_second_reads(p, bytes, n) || p->body.ptr != bytes || p->body.len != n)
		return ex_h1_break_malformed(p, "ambiguous body");
	return EX_H1_BODY;
}

static enum ex_h1_event read_length(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	size_t n = len - *used < p->remaining ? len - *used : (size_t)p->remaining;
	enum ex_h1_event ev = feed_data(p, bytes + *used, n);

	if (ev != EX_H1_BODY)
		return ev;
	*used += n;
	p->remaining -= n;
	if (p->ll_done != (p->remaining == 0))
		return ex_h1_break_malformed(p, "ambiguous body length");
	if (p->remaining == 0)
		p->state = H1_END_DUE;
	return EX_H1_BODY;
}

static enum ex_h1_event read_until_close(struct ex_h1 *p, const char *bytes, size_t len,
					 size_t *used)
{
	size_t start = *used;

	*used = len;
	return feed_data(p, bytes + start, len - start);
}

uint64_t ex_h1_body_rest(const struct ex_h1 *p)
{
	if (p->state == H1_IN_UNTIL_CLOSE)
		return UINT64_MAX;
	return p->state == H1_IN_LENGTH && p->remaining ? p->remaining - 1 : 0;
}

void ex_h1_body_skip(struct ex_h1 *p, uint64_t n)
{
	if (p->state != H1_IN_LENGTH)
		return;
	p->remaining -= n;
	ex_h1_second_skips(p, n);
}

/* "1f\r\n". Extensions are refused in requests, skipped in responses; nothing else is between. */
static const char *chunk_size_byte(struct ex_h1 *p, char byte)
{
	unsigned char c = (unsigned char)byte;
	int digit = ex_hex_value(byte);
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

static enum ex_h1_event read_chunk_size(struct ex_h1 *p, const char *bytes, size_t len,
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
	if (!ex_h1_second_reads(p, bytes + start, *used - start) || p->ll_chunk != done ||
	    (done && ex_h1_second_chunk(p) != p->remaining))
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

static enum ex_h1_event read_chunk_data(struct ex_h1 *p, const char *bytes, size_t len,
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

static enum ex_h1_event read_chunk_crlf(struct ex_h1 *p, const char *bytes, size_t len,
					size_t *used)
{
	static const char crlf[2] = { '\r', '\n' };

	for (; *used < len && p->digits < 2; (*used)++, p->digits++)
		if (bytes[*used] != crlf[p->digits] || !ex_h1_second_reads(p, bytes + *used, 1))
			return ex_h1_break_malformed(p, "chunk not closed by CR LF");
	if (p->digits == 2) {
		p->digits = 0;
		p->state = H1_IN_CHUNK_SIZE;
	}
	return EX_H1_MORE;
}

void ex_h1_trailers_drop(struct ex_h1 *p)
{
	free(p->trailer_text);
	free(p->trailers);
	p->trailer_text = NULL;
	p->trailers = NULL;
	p->n_trailers = 0;
}

size_t ex_h1_trailers(const struct ex_h1 *p, const struct ex_header **ret)
{
	*ret = p->trailers;
	return p->n_trailers;
}

/* Every line is a token, a colon, a value and CR LF: the reader has seen to that. */
static bool trailers_split(struct ex_h1 *p)
{
	const char *at = p->trailer_text, *end = at + p->extra_len - 2;

	p->trailers = calloc(p->lines.n + 1, sizeof(p->trailers[0]));
	while (p->trailers && at < end && p->n_trailers < p->lines.n) {
		const char *colon = memchr(at, ':', (size_t)(end - at));
		const char *cr = memchr(at, '\r', (size_t)(end - at));
		struct ex_header h;

		if (!colon || !cr || colon > cr)
			return false;
		h.name = (struct ex_span){ at, (size_t)(colon - at) };
		h.value = ex_span_trim((struct ex_span){ colon + 1, (size_t)(cr - colon - 1) });
		if (ex_field_may_trail(h.name))
			p->trailers[p->n_trailers++] = h;
		at = cr + 2;
	}
	return p->trailers != NULL;
}

static bool trailer_byte_keep(struct ex_h1 *p, char c)
{
	if (p->request || (p->lines.n == 0 && p->lines.line_len == 0))
		return true; /* no trailers: the empty line alone */
	if (!p->trailer_text)
		p->trailer_text = malloc(EX_H1_TRAILERS_MAX);
	if (p->trailer_text)
		p->trailer_text[p->extra_len - 1] = c;
	return p->trailer_text != NULL;
}

/* Trailers are bounded and checked like fields; see ex_h1_trailers(). */
static enum ex_h1_event read_trailers(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	size_t start = *used;
	bool done = false;

	while (*used < len && !done) {
		bool was_empty = p->lines.line_len == 0;
		char c = bytes[*used];
		const char *error = ex_h1_line_byte(&p->lines, c, false, p->request);

		if (error)
			return ex_h1_break_malformed(p, error);
		if (++p->extra_len > EX_H1_TRAILERS_MAX)
			return ex_h1_break(p, EX_R_HTTP_TOO_LARGE, "trailers too large");
		if (!trailer_byte_keep(p, c))
			return ex_h1_break(p, EX_R_INTERNAL, "out of memory");
		done = c == '\n' && was_empty;
		(*used)++;
	}
	if (!ex_h1_second_reads(p, bytes + start, *used - start) || p->ll_done != done)
		return ex_h1_break_malformed(p, "malformed trailers");
	if (done && !p->request && p->lines.n && !trailers_split(p))
		return ex_h1_break_malformed(p, "malformed trailers");
	if (done)
		p->state = H1_END_DUE;
	return EX_H1_MORE;
}

enum ex_h1_event ex_h1_body_feed(struct ex_h1 *p, const char *bytes, size_t len, size_t *used)
{
	switch (p->state) {
	case H1_IN_LENGTH:
		return read_length(p, bytes, len, used);
	case H1_IN_UNTIL_CLOSE:
		return read_until_close(p, bytes, len, used);
	case H1_IN_CHUNK_SIZE:
		return read_chunk_size(p, bytes, len, used);
	case H1_IN_CHUNK_DATA:
		return read_chunk_data(p, bytes, len, used);
	case H1_IN_CHUNK_CRLF:
		return read_chunk_crlf(p, bytes, len, used);
	case H1_IN_TRAILERS:
		return read_trailers(p, bytes, len, used);
	case H1_IN_HEAD:
	case H1_END_DUE:
	case H1_UPGRADED:
	case H1_CLOSED:
	case H1_BROKEN:
		break;
	}
	return ex_h1_break(p, EX_R_INTERNAL, "no body is due");
}
