/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes, no copy. The first walks the record layer and finds out whether the whole hello is
 * there; the second reads the hello through a cursor that steps over record headers, so that a
 * hello in one record and the same hello in thousand records are the same hello.
 */
#include "agent/tls/hello.h"

#include <errno.h>

#define RECORD_HEAD     5
#define RECORD_MAX      16384 /* RFC 8446 5.1 */
#define HANDSHAKE_HEAD  4
#define CONTENT_ALERT   21
#define CONTENT_HS      22
#define HS_CLIENT_HELLO 1
#define EXTENSIONS_MAX  128 /* real clients send about twenty; bounds the search for duplicates */

enum {
	EXT_SERVER_NAME = 0,
	EXT_GROUPS = 10,
	EXT_SIGNATURES = 13,
	EXT_ALPN = 16,
	EXT_PRE_SHARED_KEY = 41,
	EXT_EARLY_DATA = 42,
	EXT_VERSIONS = 43,
};

#define GROUP_P256        0x0017
#define ECDSA_P256_SHA256 0x0403
#define TLS_1_3           0x0304

/* ---- first pass: records ---- */

struct records {
	const uint8_t *p;
	size_t len;
	size_t body;  /* handshake bytes in the records so far, as their heads declare */
	size_t head;  /* bytes of the message head read: 0..HANDSHAKE_HEAD */
	size_t hello; /* length of the message with its head; known when head is complete */
};

/* The message head may itself be spread over up to four records. */
static bool head_read(struct records *r, const uint8_t *fragment, size_t len)
{
	for (size_t i = 0; i < len && r->head < HANDSHAKE_HEAD; i++) {
		/* Type, then the upper third of the length: 64 KiB and more is too large. */
		if (r->head < 2 && fragment[i] != (r->head == 0 ? HS_CLIENT_HELLO : 0))
			return false;
		if (r->head >= 2)
			r->hello = r->hello << 8 | fragment[i];
		if (++r->head == HANDSHAKE_HEAD)
			r->hello += HANDSHAKE_HEAD;
	}
	return true;
}

/* Records up to `off` are known; what is still missing cannot take fewer bytes than this. */
static enum ex_hello_status records_more(const struct records *r, size_t off, struct ex_hello *ret)
{
	size_t goal = r->head == HANDSHAKE_HEAD ? r->hello : HANDSHAKE_HEAD;
	size_t left = goal > r->body ? goal - r->body : 0;
	size_t need = off + left + RECORD_HEAD * ((left + RECORD_MAX - 1) / RECORD_MAX);

	if (need > EX_HELLO_MAX)
		return EX_HELLO_BAD;
	ret->need = need;
	return EX_HELLO_MORE;
}

/* The record head at off: 0 and *size, -EAGAIN when it is not all there, or -EINVAL. */
static int record_read(const struct records *r, size_t off, size_t *size)
{
	const uint8_t *h = r->p + off;
	size_t have = r->len - off;

	/* All records of a hello carry one version, from SSL 3.0 (sic, old GnuTLS) to TLS 1.2. */
	if ((have > 0 && h[0] != CONTENT_HS) || (have > 1 && h[1] != 3) ||
	    (have > 2 && (h[2] > 3 || h[2] != r->p[2])))
		return -EINVAL;
	if (have < RECORD_HEAD)
		return -EAGAIN;
	*size = (size_t)h[3] << 8 | h[4];
	/* RFC 8446 5.1: no empty fragments of handshake messages. */
	return *size == 0 || *size > RECORD_MAX ? -EINVAL : 0;
}

static enum ex_hello_status records_walk(struct records *r, struct ex_hello *ret)
{
	for (size_t off = 0;;) {
		size_t size, have;
		int e = record_read(r, off, &size);

		if (e < 0)
			return e == -EAGAIN ? records_more(r, off, ret) : EX_HELLO_BAD;
		off += RECORD_HEAD;
		have = r->len - off < size ? r->len - off : size;
		if (!head_read(r, r->p + off, have))
			return EX_HELLO_BAD;
		off += size;
		r->body += size;
		/* Nothing follows a hello in its record: the keys change behind it. */
		if (r->head == HANDSHAKE_HEAD && r->body > r->hello)
			return EX_HELLO_BAD;
		if (have < size)
			return records_more(r, off, ret);
		if (r->head == HANDSHAKE_HEAD && r->body == r->hello) {
			ret->size = off;
			return off <= EX_HELLO_MAX ? EX_HELLO_DONE : EX_HELLO_BAD;
		}
	}
}

/* ---- second pass: the message ---- */

/* Handshake bytes, record heads skipped. A copy of a cursor is a second cursor. */
struct cursor {
	const uint8_t *p; /* next byte, when record > 0 */
	size_t record;    /* bytes left in this record */
	size_t left; /* bytes left for the reader: the message, or the field it is bounded to */
};

/* One byte; only with left > 0. The first pass made sure that the records hold the message. */
static uint8_t take(struct cursor *c)
{
	if (c->record == 0) {
		c->record = (size_t)c->p[3] << 8 | c->p[4];
		c->p += RECORD_HEAD;
	}
	c->record--;
	c->left--;
	return *c->p++;
}

static bool skip(struct cursor *c, size_t n)
{
	if (n > c->left)
		return false;
	while (n > 0) {
		size_t step;

		take(c);
		n--;
		step = n < c->record ? n : c->record;
		c->p += step;
		c->record -= step;
		c->left -= step;
		n -= step;
	}
	return true;
}

static bool get(struct cursor *c, size_t width, size_t *ret)
{
	if (width > c->left)
		return false;
	for (*ret = 0; width > 0; width--)
		*ret = *ret << 8 | take(c);
	return true;
}

/* A field behind a length of `width` bytes: *field is bounded to it and c moves past it. */
static bool get_field(struct cursor *c, size_t width, struct cursor *field)
{
	size_t n;

	if (!get(c, width, &n) || n > c->left)
		return false;
	*field = *c;
	field->left = n;
	return skip(c, n);
}

/* RFC 6066 3. A list with one host name and nothing else: there is no other name type. */
static enum ex_reason server_name_read(struct cursor *c, struct ex_hello *ret)
{
	char raw[EX_SNI_MAX];
	struct cursor list, name;
	size_t type;
	ssize_t n;

	if (!get_field(c, 2, &list) || c->left || !get(&list, 1, &type) ||
	    !get_field(&list, 2, &name))
		return EX_R_TLS_MALFORMED;
	if (type != 0 || list.left || name.left > sizeof(raw))
		return EX_R_SNI_INVALID;
	for (n = 0; name.left > 0; n++)
		raw[n] = (char)take(&name);
	n = ex_tls_name_canonical((struct ex_span){ raw, (size_t)n }, ret->sni);
	if (n < 0)
		return EX_R_SNI_INVALID;
	ret->has_sni = true;
	ret->sni_len = (size_t)n;
	return EX_R_ALLOWED;
}

static bool cursor_is(struct cursor c, struct ex_span word)
{
	if (c.left != word.len)
		return false;
	for (size_t i = 0; i < word.len; i++)
		if (take(&c) != (uint8_t)word.ptr[i])
			return false;
	return true;
}

/* Is value in a list of two-byte values behind a length of `width` bytes? Malformed: no. */
static bool list_has(struct cursor c, size_t width, size_t value)
{
	struct cursor list;
	bool found = false;
	size_t one;

	if (width && (!get_field(&c, width, &list) || c.left))
		return false;
	if (!width)
		list = c;
	while (get(&list, 2, &one))
		found |= one == value;
	return found;
}

/*
 * What a signature by ECDSA needs: the algorithm, and before TLS 1.3 also a cipher suite and the
 * group. The lists are OpenSSL's to judge; here they only choose the key.
 */
struct means {
	bool no_signature, cipher, no_group, tls13;
};

static void means_note(size_t type, struct cursor data, struct means *m)
{
	if (type == EXT_SIGNATURES)
		m->no_signature = !list_has(data, 2, ECDSA_P256_SHA256);
	else if (type == EXT_GROUPS)
		m->no_group = !list_has(data, 2, GROUP_P256);
	else if (type == EXT_VERSIONS)
		m->tls13 = list_has(data, 1, TLS_1_3);
}

static bool needs_rsa(const struct means *m)
{
	return m->no_signature || (!m->tls13 && (!m->cipher || m->no_group));
}

/* RFC 7301 3.1 */
static enum ex_reason alpn_read(struct cursor *c, struct ex_hello *ret)
{
	struct cursor list, proto;

	if (!get_field(c, 2, &list) || c->left || !list.left)
		return EX_R_TLS_MALFORMED;
	while (list.left) {
		if (!get_field(&list, 1, &proto) || !proto.left)
			return EX_R_TLS_MALFORMED;
		ret->offers_h2 |= cursor_is(proto, EX_SPAN("h2"));
		ret->offers_http11 |= cursor_is(proto, EX_SPAN("http/1.1"));
	}
	ret->has_alpn = true;
	return EX_R_ALLOWED;
}

/* encrypted_client_hello, the code points of its drafts 7 to 13, and encrypted_server_name. */
static bool is_ech(size_t type)
{
	return (type >= 0xfe08 && type <= 0xfe0d) || (type >= 0xff02 && type <= 0xff04) ||
	       type == 0xffce || type == 0xda09;
}

static enum ex_reason extension_read(size_t type, struct cursor *data, struct ex_hello *ret)
{
	switch (type) {
	case EXT_SERVER_NAME:
		return server_name_read(data, ret);
	case EXT_ALPN:
		return alpn_read(data, ret);
	case EXT_EARLY_DATA:
		ret->early_data = true;
		return data->left ? EX_R_TLS_MALFORMED : EX_R_ALLOWED;
	default:
		ret->ech |= is_ech(type);
		return EX_R_ALLOWED;
	}
}

static enum ex_reason extensions_read(struct cursor *list, struct means *means,
				      struct ex_hello *ret)
{
	uint16_t seen[EXTENSIONS_MAX];
	size_t n = 0;

	while (list->left) {
		struct cursor data;
		enum ex_reason reason;
		size_t type;

		if (!get(list, 2, &type) || !get_field(list, 2, &data) || n == EXTENSIONS_MAX)
			return EX_R_TLS_MALFORMED;
		for (size_t i = 0; i < n; i++)
			if (seen[i] == type)
				return EX_R_TLS_MALFORMED;
		seen[n++] = (uint16_t)type;
		/* RFC 8446 4.2.11: it is the last one. */
		if (type == EXT_PRE_SHARED_KEY && list->left)
			return EX_R_TLS_MALFORMED;
		means_note(type, data, means);
		reason = extension_read(type, &data, ret);
		if (reason != EX_R_ALLOWED)
			return reason;
	}
	return EX_R_ALLOWED;
}

static bool has_null_compression(struct cursor methods)
{
	while (methods.left)
		if (take(&methods) == 0)
			return true;
	return false;
}

/* Those of context.c that sign with ECDSA. */
static const uint16_t ecdsa_suites[] = { 0xc02b, 0xc02c, 0xcca9 };

/* RFC 8446 4.1.2. A hello without extensions is legal in TLS 1.2; it has no server name. */
static enum ex_reason message_read(struct cursor *c, struct ex_hello *ret)
{
	struct cursor session_id, ciphers, compression, extensions;
	struct means means = { 0 };
	enum ex_reason reason;
	size_t version;

	if (!get(c, 2, &version) || version < 0x0301 || version > 0x0303 || !skip(c, 32) ||
	    !get_field(c, 1, &session_id) || session_id.left > 32 || !get_field(c, 2, &ciphers) ||
	    ciphers.left < 2 || ciphers.left % 2 || !get_field(c, 1, &compression) ||
	    !has_null_compression(compression))
		return EX_R_TLS_MALFORMED;
	if (!c->left)
		return EX_R_ALLOWED;
	if (!get_field(c, 2, &extensions) || c->left)
		return EX_R_TLS_MALFORMED;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ecdsa_suites); i++)
		means.cipher |= list_has(ciphers, 0, ecdsa_suites[i]);
	reason = extensions_read(&extensions, &means, ret);
	ret->rsa_only = needs_rsa(&means);
	return reason;
}

enum ex_hello_status ex_hello_parse(const void *bytes, size_t len, struct ex_hello *ret)
{
	struct records r = { .p = bytes, .len = len };
	struct cursor c = { .p = bytes };
	enum ex_hello_status status;

	memset(ret, 0, sizeof(*ret));
	ret->reason = EX_R_TLS_MALFORMED;
	if ((len > 0 && r.p[0] != CONTENT_HS) || (len > 1 && r.p[1] != 3))
		return EX_HELLO_NOT_TLS;
	status = records_walk(&r, ret);
	if (status != EX_HELLO_DONE)
		return status;
	c.left = r.hello;
	skip(&c, HANDSHAKE_HEAD);
	ret->reason = message_read(&c, ret);
	return ret->reason == EX_R_ALLOWED ? EX_HELLO_DONE : EX_HELLO_BAD;
}

void ex_hello_alert(uint8_t description, uint8_t ret[static 7])
{
	/* alert, TLS 1.2 as every version writes it, two bytes: fatal, description */
	const uint8_t alert[7] = { CONTENT_ALERT, 3, 3, 0, 2, 2, description };

	memcpy(ret, alert, sizeof(alert));
}
