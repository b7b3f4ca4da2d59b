/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/tls/hello.h"
#include "tests/unit/tls_hellos.h"

/* ---- a hello built from parts ---- */

struct buf {
	uint8_t b[2 * EX_HELLO_MAX];
	size_t len;
};

static void put(struct buf *b, const void *p, size_t n)
{
	assert_true(b->len + n <= sizeof(b->b));
	memcpy(b->b + b->len, p, n);
	b->len += n;
}

static void put_be(struct buf *b, size_t value, size_t width)
{
	while (width-- > 0)
		put(b, &(uint8_t){ (uint8_t)(value >> (8 * width)) }, 1);
}

static void put_ext(struct buf *b, size_t type, const void *data, size_t len)
{
	put_be(b, type, 2);
	put_be(b, len, 2);
	put(b, data, len);
}

/* server_name with one entry of this type; slack falsifies the length of the name */
static void put_sni(struct buf *b, int type, const char *name, size_t len, int slack)
{
	put_be(b, 0, 2);
	put_be(b, len + 5, 2);
	put_be(b, len + 3, 2);
	put_be(b, (size_t)type, 1);
	put_be(b, len + (size_t)slack, 2);
	put(b, name, len);
}

struct parts {
	size_t legacy_version;
	size_t session_id_len;
	const char *ciphers;
	size_t ciphers_len;
	const char *compression;
	size_t compression_len;
	const struct buf *extensions; /* NULL: the field is absent */
	int extensions_slack;         /* added to the declared length */
	const char *trailer;          /* in the message, behind the extensions */
	int message_slack;
};

static const struct parts usual = {
	.legacy_version = 0x0303,
	.session_id_len = 32,
	.ciphers = "\x13\x01\x13\x02",
	.ciphers_len = 4,
	.compression = "\0",
	.compression_len = 1,
	.trailer = "",
};

/* The handshake message alone. */
static void build(const struct parts *p, struct buf *message)
{
	static struct buf body;
	static const uint8_t zeros[256];

	body.len = message->len = 0;
	put_be(&body, p->legacy_version, 2);
	put(&body, zeros, 32);
	put_be(&body, p->session_id_len, 1);
	put(&body, zeros, p->session_id_len);
	put_be(&body, p->ciphers_len, 2);
	put(&body, p->ciphers, p->ciphers_len);
	put_be(&body, p->compression_len, 1);
	put(&body, p->compression, p->compression_len);
	if (p->extensions) {
		put_be(&body, p->extensions->len + (size_t)p->extensions_slack, 2);
		put(&body, p->extensions->b, p->extensions->len);
	}
	put(&body, p->trailer, strlen(p->trailer));
	put_be(message, 1, 1);
	put_be(message, body.len + (size_t)p->message_slack, 3);
	put(message, body.b, body.len);
}

/* Cuts a message into records of `step` bytes. */
static void wrap(const uint8_t *message, size_t len, size_t step, struct buf *wire)
{
	wire->len = 0;
	for (size_t off = 0; off < len; off += step) {
		size_t n = len - off < step ? len - off : step;

		put(wire, "\x16\x03\x01", 3);
		put_be(wire, n, 2);
		put(wire, message + off, n);
	}
}

static enum ex_hello_status parse_parts(const struct parts *p, struct ex_hello *h)
{
	static struct buf message, wire;

	build(p, &message);
	wrap(message.b, message.len, 16384, &wire);
	return ex_hello_parse(wire.b, wire.len, h);
}

static enum ex_hello_status parse_extensions(const struct buf *extensions, struct ex_hello *h)
{
	struct parts p = usual;

	p.extensions = extensions;
	return parse_parts(&p, h);
}

static enum ex_hello_status parse_name(const char *name, size_t len, struct ex_hello *h)
{
	static struct buf e;

	e.len = 0;
	put_sni(&e, 0, name, len, 0);
	return parse_extensions(&e, h);
}

/* ---- real clients ---- */

struct sample {
	const uint8_t *b;
	size_t len;
	const char *sni; /* NULL: none */
	bool h2, http11;
};

#define SAMPLE(name, ...)                                                                          \
	{                                                                                          \
		hello_##name, sizeof(hello_##name), __VA_ARGS__                                    \
	}

static const struct sample samples[] = {
	SAMPLE(openssl_tls13, "api.openai.com", false, false),
	SAMPLE(openssl_tls12, "api.openai.com", false, false),
	SAMPLE(curl_h2, "api.openai.com", true, true),
	SAMPLE(node, "api.openai.com", false, true),
	SAMPLE(wget_gnutls, "localhost", false, false),
	SAMPLE(python_no_sni, NULL, false, false),
};

static void assert_sample(const struct sample *s, const uint8_t *b, size_t len)
{
	struct ex_hello h;

	assert_int_equal(ex_hello_parse(b, len, &h), EX_HELLO_DONE);
	assert_int_equal(h.has_sni, s->sni != NULL);
	if (s->sni) {
		assert_string_equal(h.sni, s->sni);
		assert_int_equal(h.sni_len, strlen(s->sni));
	}
	assert_int_equal(h.offers_h2, s->h2);
	assert_int_equal(h.offers_http11, s->http11);
	assert_false(h.ech);
	assert_false(h.early_data);
}

static void test_real_clients_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(samples); i++)
		assert_sample(&samples[i], samples[i].b, samples[i].len);
}

static void test_every_prefix_asks_for_more_and_need_never_overshoots(void **state)
{
	struct ex_hello h;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(samples); i++) {
		for (size_t n = 0; n < samples[i].len; n++) {
			assert_int_equal(ex_hello_parse(samples[i].b, n, &h), EX_HELLO_MORE);
			assert_in_range(h.need, n + 1, samples[i].len);
		}
	}
}

static void test_bytes_behind_the_hello_do_not_matter(void **state)
{
	static struct buf b;

	(void)state;
	b.len = 0;
	put(&b, hello_node, sizeof(hello_node));
	put(&b, "\x14\x03\x03\x00\x01\x01\x17\x03\x03\xff\xff", 11);
	assert_sample(&samples[3], b.b, b.len);
}

static void test_every_split_into_records_is_the_same_hello(void **state)
{
	static struct buf wire;
	struct ex_hello h;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(samples); i++) {
		const uint8_t *message = samples[i].b + 5;
		size_t len = samples[i].len - 5;

		for (size_t step = 1; step <= len; step++) {
			wrap(message, len, step, &wire);
			assert_sample(&samples[i], wire.b, wire.len);
			/* every prefix of a few of the splits */
			for (size_t n = 0; step < 8 && n < wire.len; n++) {
				assert_int_equal(ex_hello_parse(wire.b, n, &h), EX_HELLO_MORE);
				assert_in_range(h.need, n + 1, wire.len);
			}
		}
		/* two records, cut anywhere */
		for (size_t cut = 1; cut < len; cut++) {
			struct buf tail;

			wrap(message, cut, cut, &wire);
			wrap(message + cut, len - cut, len - cut, &tail);
			put(&wire, tail.b, tail.len);
			assert_sample(&samples[i], wire.b, wire.len);
		}
	}
}

/* Each byte of a good hello, damaged: never a crash, never a longer or a dirty name. */
static void test_no_damaged_byte_gives_a_dirty_name(void **state)
{
	struct ex_hello h;
	uint8_t b[sizeof(hello_curl_h2)];

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(b, hello_curl_h2, sizeof(b));
			b[i] ^= (uint8_t)(1 << bit);
			if (ex_hello_parse(b, sizeof(b), &h) == EX_HELLO_DONE && h.has_sni)
				assert_true(ex_tls_name_is_canonical(
					(struct ex_span){ h.sni, h.sni_len }));
		}
	}
}

/* ---- server name ---- */

static void test_upper_case_is_folded(void **state)
{
	struct ex_hello h;

	(void)state;
	assert_int_equal(parse_name("API.OpenAI.com", 14, &h), EX_HELLO_DONE);
	assert_string_equal(h.sni, "api.openai.com");
}

static void test_longest_name_and_label_are_read_and_one_more_is_refused(void **state)
{
	char name[300];
	struct ex_hello h;

	(void)state;
	memset(name, 'a', sizeof(name));
	for (size_t i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	assert_int_equal(parse_name(name, 253, &h), EX_HELLO_DONE);
	assert_int_equal(h.sni_len, 253);
	assert_int_equal(parse_name(name, 254, &h), EX_HELLO_BAD);
	assert_int_equal(h.reason, EX_R_SNI_INVALID);
	name[63] = 'a';
	assert_int_equal(parse_name(name, 253, &h), EX_HELLO_BAD);
}

static void test_deny_names_that_are_not_host_names(void **state)
{
#define N(s)                                                                                       \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}
	static const struct ex_span bad[] = {
		N(""),
		N("."),
		N("a."),
		N("api.openai.com."),
		N(".a"),
		N("a..b"),
		N("evil\0.a.com"),
		N("a.com\0"),
		N("a_b.com"),
		N("-a.com"),
		N("a-.com"),
		N("a b.com"),
		N("a.com "),
		N("\xc3\xa4.com"),
		N("*.com"),
		N("a,b"),
		N("a/b"),
		N("a%2eb"),
		N("a\r\nb"),
		N("127.0.0.1"),
		N("127.1"),
		N("2130706433"),
		N("0x7f000001"),
		N("0X7F.0x1"),
		N("1"),
		N("0x"),
		N("0177.0.0.1"),
		N("a.0x7f"),
		N("a.123"),
		N("::1"),
		N("[::1]"),
		N("fe80::1%lo"),
		N("a:443"),
		N("user@a.com"),
	};
#undef N
	struct ex_hello h;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse_name(bad[i].ptr, bad[i].len, &h), EX_HELLO_BAD);
		assert_int_equal(h.reason, EX_R_SNI_INVALID);
	}
}

/* The twins: as near to the refused ones as an honest name gets. */
static void test_allow_names_one_step_from_the_refused(void **state)
{
	static const char *const good[] = {
		"a",      "a.b",        "api.openai.com", "xn--4ca.com", "a-b.com", "127.0.0.1a",
		"127.a1", "0x7f00000g", "0x.a",           "1.com",       "a.0y7f",  "a--b.c0m",
	};
	struct ex_hello h;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(good); i++) {
		assert_int_equal(parse_name(good[i], strlen(good[i]), &h), EX_HELLO_DONE);
		assert_string_equal(h.sni, good[i]);
	}
}

static void test_deny_second_name_in_the_list(void **state)
{
	static struct buf e;
	struct ex_hello h;

	(void)state;
	e.len = 0;
	/* two host names; then a host name and one of an unknown type */
	for (int type = 0; type < 2; type++) {
		uint8_t data[] = "\x00\x0c\x00\x00\x03one\x00\x00\x03two";

		data[8] = (uint8_t)type;
		e.len = 0;
		put_ext(&e, 0, data, sizeof(data) - 1);
		assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
		assert_int_equal(h.reason, EX_R_SNI_INVALID);
	}
}

static void test_deny_lying_lengths_in_server_name(void **state)
{
	static const struct ex_span bad[] = {
		{ "", 0 },
		{ "\x00", 1 },
		{ "\x00\x00", 2 },
		{ "\x00\x06\x00\x00\x04"
		  "one",
		  8 }, /* name longer than the list */
		{ "\x00\x07\x00\x00\x03"
		  "one",
		  8 }, /* list longer than the extension */
		{ "\x00\x05\x00\x00\x03"
		  "one",
		  8 }, /* list shorter */
		{ "\x00\x06\x00\x00\x03"
		  "one!",
		  9 }, /* bytes behind the list */
	};
	static struct buf e;
	struct ex_hello h;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		e.len = 0;
		put_ext(&e, 0, bad[i].ptr, bad[i].len);
		assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
		assert_int_equal(h.reason, EX_R_TLS_MALFORMED);
	}
	e.len = 0;
	put_ext(&e, 0, "\x00\x06\x00\x00\x03one", 8); /* the twin */
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_DONE);
	/* a byte left in the list */
	e.len = 0;
	put_ext(&e, 0, "\x00\x06\x00\x00\x02one", 8);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
	/* a type that is no host name */
	e.len = 0;
	put_sni(&e, 1, "one", 3, 0);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
	assert_int_equal(h.reason, EX_R_SNI_INVALID);
}

/* ---- extensions ---- */

static void test_deny_duplicate_extensions(void **state)
{
	static struct buf e;
	struct ex_hello h;

	(void)state;
	e.len = 0;
	put_sni(&e, 0, "one.com", 7, 0);
	put_ext(&e, 0x1234, "", 0);
	put_sni(&e, 0, "two.com", 7, 0);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
	assert_int_equal(h.reason, EX_R_TLS_MALFORMED);
	e.len = 0;
	put_ext(&e, 0x1234, "", 0);
	put_ext(&e, 0x1234, "", 0);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
	e.len = 0;
	put_ext(&e, 0x1234, "", 0);
	put_ext(&e, 0x1235, "", 0);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_DONE);
}

static void test_number_of_extensions_is_bounded(void **state)
{
	static struct buf e;
	struct ex_hello h;

	(void)state;
	e.len = 0;
	for (size_t i = 0; i < 128; i++)
		put_ext(&e, 0x1000 + i, "", 0);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_DONE);
	put_ext(&e, 0x2000, "", 0);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
}

static void test_alpn_is_read_and_its_lengths_must_hold(void **state)
{
	static const struct ex_span bad[] = {
		{ "", 0 },         { "\0\0", 2 },     { "\0\1\0", 3 },   { "\0\3\2h2!", 6 },
		{ "\0\4\2h2", 5 }, { "\0\3\3h2", 5 }, { "\0\2\2h2", 5 }, { "\0\4\2h2\0", 6 },
	};
	static struct buf e;
	struct ex_hello h;

	(void)state;
	e.len = 0;
	put_ext(&e, 16, "\0\x0c\2h2\x08http/1.1", 14);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_DONE);
	assert_true(h.has_alpn && h.offers_h2 && h.offers_http11);
	e.len = 0;
	put_ext(&e, 16, "\0\x0c\2H2\x08http/1.0", 14);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_DONE);
	assert_true(h.has_alpn && !h.offers_h2 && !h.offers_http11);
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		e.len = 0;
		put_ext(&e, 16, bad[i].ptr, bad[i].len);
		assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
		assert_int_equal(h.reason, EX_R_TLS_MALFORMED);
	}
}

static void test_encrypted_hello_is_told_to_the_caller(void **state)
{
	static const size_t types[] = { 0xfe0d, 0xfe0a, 0xfe08, 0xff02, 0xffce, 0xda09 };
	static struct buf e;
	struct ex_hello h;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(types); i++) {
		e.len = 0;
		put_sni(&e, 0, "one.com", 7, 0);
		put_ext(&e, types[i], "\0", 1);
		assert_int_equal(parse_extensions(&e, &h), EX_HELLO_DONE);
		assert_true(h.ech);
	}
	e.len = 0;
	put_ext(&e, 0xfe0e, "\0", 1);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_DONE);
	assert_false(h.ech);
}

static void test_early_data_is_told_and_psk_must_be_last(void **state)
{
	static struct buf e;
	struct ex_hello h;

	(void)state;
	e.len = 0;
	put_ext(&e, 42, "", 0);
	put_ext(&e, 41, "x", 1);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_DONE);
	assert_true(h.early_data);
	put_ext(&e, 10, "", 0);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
	e.len = 0;
	put_ext(&e, 42, "x", 1);
	assert_int_equal(parse_extensions(&e, &h), EX_HELLO_BAD);
}

/* ---- message ---- */

static void test_message_fields_one_step_wrong_are_denied(void **state)
{
	static struct buf e;
	struct ex_hello h;
	struct parts p = usual;

	(void)state;
	e.len = 0;
	put_sni(&e, 0, "one.com", 7, 0);
	p.extensions = &e;
	assert_int_equal(parse_parts(&p, &h), EX_HELLO_DONE);
#define BAD(field, value)                                                                          \
	do {                                                                                       \
		struct parts q = p;                                                                \
		q.field = (value);                                                                 \
		assert_int_equal(parse_parts(&q, &h), EX_HELLO_BAD);                               \
		assert_int_equal(h.reason, EX_R_TLS_MALFORMED);                                    \
	} while (0)
	BAD(legacy_version, 0x0300);
	BAD(legacy_version, 0x0304);
	BAD(legacy_version, 0x0203);
	BAD(session_id_len, 33);
	BAD(ciphers_len, 0);
	BAD(ciphers_len, 3);
	BAD(compression_len, 0);
	BAD(compression, "\1");
	BAD(extensions_slack, 1);
	BAD(extensions_slack, -1);
	BAD(trailer, "x");
	BAD(message_slack, -1);
#undef BAD
	p.message_slack = 1; /* not wrong yet: one more byte may come */
	assert_int_equal(parse_parts(&p, &h), EX_HELLO_MORE);
	p.message_slack = 0;
	p.extensions = NULL;
	assert_int_equal(parse_parts(&p, &h), EX_HELLO_DONE);
	assert_false(h.has_sni);
	p.session_id_len = 0;
	p.legacy_version = 0x0301;
	assert_int_equal(parse_parts(&p, &h), EX_HELLO_DONE);
}

/* ---- records ---- */

static void test_other_protocols_are_not_tls(void **state)
{
	static const struct ex_span other[] = {
		{ "G", 1 },
		{ "GET / HTTP/1.1\r\n", 16 },
		{ "SSH-2.0-x\r\n", 11 },
		{ "\x16\x02", 2 },
		{ "\x80\x2e\x01\x03\x01", 5 },
		{ "\x15\x03\x01\x00\x02", 5 },
		{ "\x17\x03\x03\x00\x02", 5 },
		{ "\x14\x03\x03\x00\x01", 5 },
		{ "\0", 1 },
	};
	struct ex_hello h;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(other); i++)
		assert_int_equal(ex_hello_parse(other[i].ptr, other[i].len, &h), EX_HELLO_NOT_TLS);
	assert_int_equal(ex_hello_parse("", 0, &h), EX_HELLO_MORE);
	assert_int_equal(ex_hello_parse("\x16", 1, &h), EX_HELLO_MORE);
}

static void test_bad_records_are_denied_as_soon_as_seen(void **state)
{
	static const struct ex_span bad[] = {
		{ "\x16\x03\x04", 3 },                         /* no such record version */
		{ "\x16\x03\x01\x00\x00", 5 },                 /* empty fragment */
		{ "\x16\x03\x01\x40\x01", 5 },                 /* record too long */
		{ "\x16\x03\x01\x00\x20\x02", 6 },             /* a ServerHello */
		{ "\x16\x03\x01\x00\x20\x01\x01", 7 },         /* 64 KiB */
		{ "\x16\x03\x01\x00\x20\x01\x00\xff\xff", 9 }, /* 64 KiB with the record heads */
		{ "\x16\x03\x01\x00\x05\x01\x00\x00\x00", 9 }, /* record longer than its hello */
		{ "\x16\x03\x01\x00\x01\x01\x17", 7 },         /* other content in between */
		{ "\x16\x03\x01\x00\x01\x01\x16\x03\x03", 9 }, /* other version in between */
	};
	struct ex_hello h;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		assert_int_equal(ex_hello_parse(bad[i].ptr, bad[i].len, &h), EX_HELLO_BAD);
		assert_int_equal(h.reason, EX_R_TLS_MALFORMED);
		assert_int_not_equal(ex_hello_parse(bad[i].ptr, bad[i].len - 1, &h), EX_HELLO_DONE);
	}
}

/* A post-quantum key share, cookies and padding: as large as is allowed, and one byte more. */
static void test_hello_may_fill_the_bound_and_not_exceed_it(void **state)
{
	static struct buf e, message, wire;
	static uint8_t padding[EX_HELLO_MAX];
	struct parts p = usual;
	struct ex_hello h;

	(void)state;
	p.extensions = &e;
	for (size_t extra = 0; extra < 2; extra++) {
		/* message + four record heads = bound */
		size_t fixed = 4 + 2 + 32 + 33 + 6 + 2 + 2 + 4;

		e.len = 0;
		put_ext(&e, 21, padding, EX_HELLO_MAX - 4 * 5 - fixed + extra);
		build(&p, &message);
		wrap(message.b, message.len, 16384, &wire);
		assert_int_equal(wire.len, EX_HELLO_MAX + extra);
		assert_int_equal(ex_hello_parse(wire.b, wire.len, &h),
				 extra ? EX_HELLO_BAD : EX_HELLO_DONE);
		assert_int_equal(ex_hello_parse(wire.b, 9, &h),
				 extra ? EX_HELLO_BAD : EX_HELLO_MORE);
	}
}

static void test_alert_is_a_fatal_alert_record(void **state)
{
	uint8_t a[7];

	(void)state;
	ex_hello_alert(EX_ALERT_UNRECOGNIZED_NAME, a);
	assert_memory_equal(a, "\x15\x03\x03\x00\x02\x02\x70", 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_clients_are_read),
		cmocka_unit_test(test_every_prefix_asks_for_more_and_need_never_overshoots),
		cmocka_unit_test(test_bytes_behind_the_hello_do_not_matter),
		cmocka_unit_test(test_every_split_into_records_is_the_same_hello),
		cmocka_unit_test(test_no_damaged_byte_gives_a_dirty_name),
		cmocka_unit_test(test_upper_case_is_folded),
		cmocka_unit_test(test_longest_name_and_label_are_read_and_one_more_is_refused),
		cmocka_unit_test(test_deny_names_that_are_not_host_names),
		cmocka_unit_test(test_allow_names_one_step_from_the_refused),
		cmocka_unit_test(test_deny_second_name_in_the_list),
		cmocka_unit_test(test_deny_lying_lengths_in_server_name),
		cmocka_unit_test(test_deny_duplicate_extensions),
		cmocka_unit_test(test_number_of_extensions_is_bounded),
		cmocka_unit_test(test_alpn_is_read_and_its_lengths_must_hold),
		cmocka_unit_test(test_encrypted_hello_is_told_to_the_caller),
		cmocka_unit_test(test_early_data_is_told_and_psk_must_be_last),
		cmocka_unit_test(test_message_fields_one_step_wrong_are_denied),
		cmocka_unit_test(test_other_protocols_are_not_tls),
		cmocka_unit_test(test_bad_records_are_denied_as_soon_as_seen),
		cmocka_unit_test(test_hello_may_fill_the_bound_and_not_exceed_it),
		cmocka_unit_test(test_alert_is_a_fatal_alert_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
