/* SPDX-License-Identifier: Apache-2.0 */
/* The second ClientHello of a handshake that is passed through. */
#include "agent/tls/hello.h"

#define RECORD_HEAD   5
#define RECORD_MAX    (16384 + 256) /* protected records are a little larger */
#define CONTENT_CCS   20
#define CONTENT_ALERT 21
#define CONTENT_HS    22
#define CONTENT_DATA  23
#define SERVER_HELLO  2
#define HELLO_LEAST   43 /* up to the end of its random, which tells a retry */
#define ALERT_LEN     7
#define WARNING       1 /* the level; what comes behind one counts */
#define WARNINGS_MAX  4

/* A ServerHello whose random is this one is a HelloRetryRequest (RFC 8446 4.1.3). */
static const uint8_t retry_random[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static enum ex_hello_answer read_alert(const uint8_t *p, size_t len)
{
	if (len < ALERT_LEN)
		return EX_ANSWER_MORE;
	if (p[1] != 3 || p[3] != 0 || p[4] != ALERT_LEN - RECORD_HEAD)
		return EX_ANSWER_ODD;
	return EX_ANSWER_FINAL;
}

static enum ex_hello_answer read_server_hello(const uint8_t *p, size_t len)
{
	if (p[0] != CONTENT_HS)
		return EX_ANSWER_ODD;
	if (len < HELLO_LEAST)
		return EX_ANSWER_MORE;
	/* Version, random and what is before them stand in the first record; no server cuts there.
	 */
	if (p[1] != 3 || ((size_t)p[3] << 8 | p[4]) < HELLO_LEAST - RECORD_HEAD ||
	    p[5] != SERVER_HELLO)
		return EX_ANSWER_ODD;
	return memcmp(p + 11, retry_random, sizeof(retry_random)) == 0 ? EX_ANSWER_RETRY
								       : EX_ANSWER_FINAL;
}

enum ex_hello_answer ex_hello_answer(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	enum ex_hello_answer alert;

	for (int warnings = 0; len && p[0] == CONTENT_ALERT; warnings++) {
		alert = read_alert(p, len);
		if (alert != EX_ANSWER_FINAL || p[RECORD_HEAD] != WARNING)
			return alert;
		if (warnings == WARNINGS_MAX)
			return EX_ANSWER_ODD;
		p += ALERT_LEN;
		len -= ALERT_LEN;
	}
	return len ? read_server_hello(p, len) : EX_ANSWER_MORE;
}

/* May this record stand between the hellos? Early data that the retry made void may, once offered.
 */
static bool is_between(const uint8_t *record, size_t size, const struct ex_hello *first)
{
	if (record[1] != 3 || size == 0 || size > RECORD_MAX)
		return false;
	return record[0] == CONTENT_CCS ? size == 1 : first->early_data;
}

static bool names_same_server(const struct ex_hello *first, const struct ex_hello *second)
{
	return first->has_sni == second->has_sni && strcmp(first->sni, second->sni) == 0;
}

static enum ex_hello_status again_bad(struct ex_hello *ret, enum ex_reason reason)
{
	ret->reason = reason;
	return EX_HELLO_BAD;
}

static enum ex_hello_status again_more(struct ex_hello *ret, size_t need)
{
	if (need > EX_HELLO_MAX)
		return again_bad(ret, EX_R_TLS_MALFORMED);
	ret->need = need;
	return EX_HELLO_MORE;
}

enum ex_hello_status ex_hello_parse_again(const void *bytes, size_t len,
					  const struct ex_hello *first, struct ex_hello *ret)
{
	const uint8_t *p = bytes;
	enum ex_hello_status status;
	size_t off = 0, size;

	memset(ret, 0, sizeof(*ret));
	while (off < len && (p[off] == CONTENT_CCS || p[off] == CONTENT_DATA)) {
		if (len - off < RECORD_HEAD)
			return again_more(ret, off + RECORD_HEAD);
		size = (size_t)p[off + 3] << 8 | p[off + 4];
		if (!is_between(p + off, size, first))
			return again_bad(ret, EX_R_TLS_MALFORMED);
		off += RECORD_HEAD + size;
	}
	if (off > len)
		return again_more(ret, off);
	status = ex_hello_parse(p + off, len - off, ret);
	if (status == EX_HELLO_MORE)
		return again_more(ret, off + ret->need);
	if (status != EX_HELLO_DONE)
		return again_bad(ret, ret->reason);
	if (!names_same_server(first, ret))
		return again_bad(ret, EX_R_SNI_DENIED);
	if (ret->ech && !first->ech)
		return again_bad(ret, EX_R_ECH);
	ret->size += off;
	return EX_HELLO_DONE;
}
