/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS wire format: packets as bytes. Every good packet is also fed in all its prefixes and with a
 * byte too many: none of those may be accepted.
 */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/dns/wire.h"

struct packet {
	const char *what;
	int want;
	const char *bytes;
	size_t len;
};

#define P(what, want, bytes)                                                                       \
	{                                                                                          \
		what, want, bytes, sizeof(bytes) - 1                                               \
	}

#define HEAD(flags, qd, an, ns, ar) "\x12\x34" flags "\0" qd "\0" an "\0" ns "\0" ar
#define QUERY                       HEAD("\1\0", "\1", "\0", "\0", "\0")
#define QUERY_OPT                   HEAD("\1\0", "\1", "\0", "\0", "\1")
#define REPLY(an)                   HEAD("\x81\x80", "\1", an, "\0", "\0")
#define NAME                        "\3api\6openai\3com\0"
#define A_IN                        "\0\1\0\1"
#define AAAA_IN                     "\0\x1c\0\1"
#define TTL                         "\0\0\1\x2c" /* 300 */
#define OPT(size, ttl, rdata)       "\0\0\x29" size ttl rdata
#define A63                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct packet good_queries[] = {
	P("A", 0, QUERY NAME A_IN),
	P("AAAA", 0, QUERY NAME AAAA_IN),
	P("TXT", 0, QUERY NAME "\0\x10\0\1"),
	P("root", 0, QUERY "\0" A_IN),
	P("upper case", 0, QUERY "\3aPi\6OPENAI\3com\0" A_IN),
	P("underscore", 0, QUERY "\5_http\4_tcp\3com\0\0\x21\0\1"),
	P("without RD", 0, HEAD("\0\0", "\1", "\0", "\0", "\0") NAME A_IN),
	P("AD and CD", 0, HEAD("\1\x30", "\1", "\0", "\0", "\0") NAME A_IN),
	P("label of 63", 0, QUERY "\x3f" A63 "\0" A_IN),
	P("name of 253", 0,
	  QUERY "\x3f" A63 "\x3f" A63 "\x3f" A63 "\x3d"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0" A_IN),
	P("EDNS", 0, QUERY_OPT NAME A_IN OPT("\x10\0", "\0\0\0\0", "\0\0")),
	P("EDNS DO", 0, QUERY_OPT NAME A_IN OPT("\x10\0", "\0\0\x80\0", "\0\0")),
	P("EDNS cookie", 0,
	  QUERY_OPT NAME A_IN OPT("\x04\xd0", "\0\0\0\0",
				  "\0\x0c\0\x0a\0\x08"
				  "12345678")),
};

static const struct packet bad_queries[] = {
	P("response", -EBADMSG, REPLY("\0") NAME A_IN),
	P("opcode NOTIFY", EX_DNS_NOTIMP, HEAD("\x21\0", "\1", "\0", "\0", "\0") NAME A_IN),
	P("opcode UPDATE", EX_DNS_NOTIMP, HEAD("\x29\0", "\1", "\0", "\0", "\0") NAME A_IN),
	P("AA", EX_DNS_FORMERR, HEAD("\5\0", "\1", "\0", "\0", "\0") NAME A_IN),
	P("TC", EX_DNS_FORMERR, HEAD("\3\0", "\1", "\0", "\0", "\0") NAME A_IN),
	P("RA", EX_DNS_FORMERR, HEAD("\1\x80", "\1", "\0", "\0", "\0") NAME A_IN),
	P("Z", EX_DNS_FORMERR, HEAD("\1\x40", "\1", "\0", "\0", "\0") NAME A_IN),
	P("rcode", EX_DNS_FORMERR, HEAD("\1\5", "\1", "\0", "\0", "\0") NAME A_IN),
	P("no question", EX_DNS_FORMERR, HEAD("\1\0", "\0", "\0", "\0", "\0")),
	P("two questions", EX_DNS_FORMERR,
	  HEAD("\1\0", "\2", "\0", "\0", "\0") NAME A_IN "\4evil\0" A_IN),
	P("an answer", EX_DNS_FORMERR,
	  HEAD("\1\0", "\1", "\1", "\0", "\0") NAME A_IN "\xc0\x0c" A_IN TTL "\0\4\1\2\3\4"),
	P("authority", EX_DNS_FORMERR,
	  HEAD("\1\0", "\1", "\0", "\1", "\0") NAME A_IN "\xc0\x0c" A_IN TTL "\0\4\1\2\3\4"),
	P("trailing byte", EX_DNS_FORMERR, QUERY NAME A_IN "x"),
	P("class CH", EX_DNS_REFUSED, QUERY NAME "\0\1\0\3"),
	P("class ANY", EX_DNS_REFUSED, QUERY NAME "\0\1\0\xff"),
	P("type 0", EX_DNS_FORMERR, QUERY NAME "\0\0\0\1"),
	P("NUL in label", EX_DNS_FORMERR, QUERY "\10evil\0com\3com\0" A_IN),
	P("dot in label", EX_DNS_FORMERR, QUERY "\7api.com\3com\0" A_IN),
	P("space in label", EX_DNS_FORMERR, QUERY "\3a i\3com\0" A_IN),
	P("star", EX_DNS_FORMERR, QUERY "\1*\3com\0" A_IN),
	P("UTF-8", EX_DNS_FORMERR, QUERY "\3\xc3\xa9x\3com\0" A_IN),
	P("backslash", EX_DNS_FORMERR, QUERY "\3a\\x\3com\0" A_IN),
	P("compression", EX_DNS_FORMERR, QUERY "\3api\xc0\x0c" A_IN),
	P("pointer into header", EX_DNS_FORMERR, QUERY "\xc0\x00" A_IN),
	P("label type 01", EX_DNS_FORMERR, QUERY "\x41z\0" A_IN),
	P("label type 10", EX_DNS_FORMERR, QUERY "\x81z\0" A_IN),
	P("name of 254", EX_DNS_FORMERR,
	  QUERY "\x3f" A63 "\x3f" A63 "\x3f" A63 "\x3e"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0" A_IN),
	P("EDNS version 1", EX_DNS_BADVERS, QUERY_OPT NAME A_IN OPT("\x10\0", "\0\1\0\0", "\0\0")),
	P("EDNS rcode", EX_DNS_FORMERR, QUERY_OPT NAME A_IN OPT("\x10\0", "\1\0\0\0", "\0\0")),
	P("OPT with owner", EX_DNS_FORMERR, QUERY_OPT NAME A_IN "\1x\0\0\x29\x10\0\0\0\0\0\0\0"),
	P("OPT beyond the end", EX_DNS_FORMERR,
	  QUERY_OPT NAME A_IN OPT("\x10\0", "\0\0\0\0", "\0\1")),
	P("option beyond OPT", EX_DNS_FORMERR,
	  QUERY_OPT NAME A_IN OPT("\x10\0", "\0\0\0\0", "\0\5\0\x0a\0\2x")),
	P("TSIG instead of OPT", EX_DNS_FORMERR, QUERY_OPT NAME A_IN "\0\0\xfa\0\xff\0\0\0\0\0\0"),
	P("two OPT", EX_DNS_FORMERR,
	  HEAD("\1\0", "\1", "\0", "\0", "\2") NAME A_IN OPT("\x10\0", "\0\0\0\0", "\0\0")
		  OPT("\x10\0", "\0\0\0\0", "\0\0")),
};

#define CNAME(owner, len, target) owner "\0\5\0\1" TTL "\0" len target
#define ADDR(owner, d)            owner A_IN TTL "\0\4\1\2\3" d
#define X_NET                     "\1x\3net\0"
#define Y_NET                     "\1y\3net\0"
#define SOA                                                                                        \
	"\xc0\x0c\0\6\0\1" TTL "\0\x16\0\0"                                                        \
	"abcdefghijklmnopqrst"

/* All for api.openai.com A; want: the number of addresses. */
static const struct packet good_answers[] = {
	P("one address", 1, REPLY("\1") NAME A_IN ADDR("\xc0\x0c", "\4")),
	P("three addresses", 3,
	  REPLY("\3") NAME A_IN ADDR("\xc0\x0c", "\4") ADDR("\xc0\x0c", "\5") ADDR(NAME, "\6")),
	P("the same address twice", 1,
	  REPLY("\2") NAME A_IN ADDR("\xc0\x0c", "\4") ADDR("\xc0\x0c", "\4")),
	P("case differs", 1, REPLY("\1") "\3API\6openai\3com\0" A_IN ADDR("\3Api\xc0\x10", "\4")),
	P("CNAME", 1, REPLY("\2") NAME A_IN CNAME("\xc0\x0c", "\7", X_NET) ADDR(X_NET, "\4")),
	P("CNAME after its address", 1,
	  REPLY("\2") NAME A_IN ADDR(X_NET, "\4") CNAME("\xc0\x0c", "\7", X_NET)),
	P("two CNAMEs in the wrong order", 1,
	  REPLY("\3") NAME A_IN CNAME(X_NET, "\7", Y_NET) ADDR(Y_NET, "\4")
		  CNAME("\xc0\x0c", "\7", X_NET)),
	P("CNAME without address", 0, REPLY("\1") NAME A_IN CNAME("\xc0\x0c", "\7", X_NET)),
	P("63: DNAME beside its CNAME", 1,
	  REPLY("\3") NAME A_IN "\xc0\x10\0\x27\0\1" TTL
				"\0\5\3net\0" CNAME("\xc0\x0c", "\7", X_NET) ADDR(X_NET, "\4")),
	P("other types and classes", 1,
	  REPLY("\3") NAME A_IN ADDR("\xc0\x0c", "\4") "\1\xff\0\0\x10\0\1" TTL "\0\1x"
						       "\xc0\x0c\0\1\0\3" TTL "\0\4\6\6\6\6"),
	P("NODATA with SOA", 0, HEAD("\x81\x80", "\1", "\0", "\1", "\0") NAME A_IN SOA),
	P("NXDOMAIN with SOA", 0, HEAD("\x81\x83", "\1", "\0", "\1", "\0") NAME A_IN SOA),
	P("SERVFAIL", 0, HEAD("\x81\x82", "\1", "\0", "\0", "\0") NAME A_IN),
	P("OPT", 1,
	  HEAD("\x81\x80", "\1", "\1", "\0", "\1") NAME A_IN ADDR("\xc0\x0c", "\4")
		  OPT("\x04\xd0", "\0\0\0\0", "\0\0")),
};

static const struct packet bad_answers[] = {
	P("a query", 0, QUERY NAME A_IN),
	P("67: truncated by TC", 0,
	  HEAD("\x83\x80", "\1", "\1", "\0", "\0") NAME A_IN ADDR("\xc0\x0c", "\4")),
	P("opcode", 0, HEAD("\x89\x80", "\1", "\1", "\0", "\0") NAME A_IN ADDR("\xc0\x0c", "\4")),
	P("other name asked", 0, REPLY("\1") X_NET A_IN ADDR("\xc0\x0c", "\4")),
	P("other type asked", 0, REPLY("\1") NAME AAAA_IN ADDR("\xc0\x0c", "\4")),
	P("other class asked", 0, REPLY("\1") NAME "\0\1\0\3" ADDR("\xc0\x0c", "\4")),
	P("no question", 0, HEAD("\x81\x80", "\0", "\1", "\0", "\0") ADDR(NAME, "\4")),
	P("63: address of another name", 0, REPLY("\1") NAME A_IN ADDR(X_NET, "\4")),
	P("addresses of two owners", 0,
	  REPLY("\2") NAME A_IN ADDR("\xc0\x0c", "\4") ADDR(X_NET, "\5")),
	P("address of an alias", 0,
	  REPLY("\2") NAME A_IN CNAME("\xc0\x0c", "\7", X_NET) ADDR("\xc0\x0c", "\4")),
	P("two targets", 0,
	  REPLY("\3") NAME A_IN CNAME("\xc0\x0c", "\7", X_NET) CNAME("\xc0\x0c", "\7", Y_NET)
		  ADDR(X_NET, "\4")),
	P("CNAME beside the chain", 0,
	  REPLY("\2") NAME A_IN CNAME(X_NET, "\7", Y_NET) ADDR("\xc0\x0c", "\4")),
	P("CNAME to itself", 0, REPLY("\1") NAME A_IN CNAME("\xc0\x0c", "\2", "\xc0\x0c")),
	P("CNAME loop", 0,
	  REPLY("\2") NAME A_IN CNAME("\xc0\x0c", "\7", X_NET) CNAME(X_NET, "\2", "\xc0\x0c")),
	P("CNAME loop beside the name", 0,
	  REPLY("\3") NAME A_IN CNAME(X_NET, "\7", Y_NET) CNAME(Y_NET, "\7", X_NET)
		  ADDR("\xc0\x0c", "\4")),
	P("CNAME to the root", 0, REPLY("\1") NAME A_IN CNAME("\xc0\x0c", "\1", "\0")),
	P("CNAME to an odd name", 0, REPLY("\1") NAME A_IN CNAME("\xc0\x0c", "\5", "\3a.b\0")),
	P("CNAME with a NUL", 0, REPLY("\1") NAME A_IN CNAME("\xc0\x0c", "\5", "\3a\0b\0")),
	P("CNAME longer than its data", 0, REPLY("\1") NAME A_IN CNAME("\xc0\x0c", "\6", X_NET)),
	P("CNAME shorter than its data", 0,
	  REPLY("\1") NAME A_IN CNAME("\xc0\x0c", "\10", X_NET "\0")),
	P("63: DNAME alone", 0,
	  REPLY("\2") NAME A_IN "\xc0\x10\0\x27\0\1" TTL "\0\5\3net\0" ADDR(X_NET, "\4")),
	P("A of 5 bytes", 0, REPLY("\1") NAME A_IN "\xc0\x0c" A_IN TTL "\0\5\1\2\3\4\5"),
	P("A of 3 bytes", 0, REPLY("\1") NAME A_IN "\xc0\x0c" A_IN TTL "\0\3\1\2\3"),
	P("pointer forward", 0, REPLY("\1") NAME A_IN ADDR("\xc0\x22", "\4")),
	P("pointer to itself", 0, REPLY("\1") NAME A_IN ADDR("\xc0\x20", "\4")),
	P("pointer into the header", 0, REPLY("\1") NAME A_IN ADDR("\xc0\x02", "\4")),
	P("address with NXDOMAIN", 0,
	  HEAD("\x81\x83", "\1", "\1", "\0", "\0") NAME A_IN ADDR("\xc0\x0c", "\4")),
	P("extended RCODE", 0,
	  HEAD("\x81\x80", "\1", "\1", "\0", "\1") NAME A_IN ADDR("\xc0\x0c", "\4")
		  OPT("\x04\xd0", "\1\0\0\0", "\0\0")),
	P("OPT among the answers", 0,
	  REPLY("\2") NAME A_IN ADDR("\xc0\x0c", "\4") OPT("\x04\xd0", "\0\0\0\0", "\0\0")),
	P("counts that lie", 0, REPLY("\xff") NAME A_IN ADDR("\xc0\x0c", "\4")),
};

static const struct ex_span api = { "api.openai.com", 14 };

/* From a copy of the exact size on the heap, so that ASan sees a read too far. */
static int parse_query(const char *bytes, size_t len, struct ex_dns_question *q)
{
	EX_AUTO_FREE char *copy = malloc(len ? len : 1);

	memcpy(copy, bytes, len);
	return ex_dns_parse_query(copy, len, q);
}

static int parse_answer(const char *bytes, size_t len, struct ex_dns_answer *a)
{
	EX_AUTO_FREE char *copy = malloc(len ? len : 1);

	memcpy(copy, bytes, len);
	return ex_dns_parse_answer(copy, len, api, EX_DNS_A, a);
}

static void test_good_queries_and_none_of_their_prefixes(void **state)
{
	struct ex_dns_question q;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(good_queries); i++) {
		const struct packet *p = &good_queries[i];

		if (parse_query(p->bytes, p->len, &q) != 0)
			fail_msg("%s", p->what);
		for (size_t n = 0; n < p->len; n++)
			if (parse_query(p->bytes, n, &q) == 0)
				fail_msg("%s: first %zu bytes accepted", p->what, n);
	}
}

static void test_bad_queries(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad_queries); i++) {
		const struct packet *p = &bad_queries[i];
		struct ex_dns_question q;
		int r = parse_query(p->bytes, p->len, &q);

		if (r != p->want)
			fail_msg("%s: %d instead of %d", p->what, r, p->want);
	}
}

static void test_question_is_canonical_and_remembers_its_case(void **state)
{
	struct ex_dns_question q;
	const char m[] = QUERY_OPT "\3aPi\6OPENAI\3com\0" AAAA_IN OPT("\0\1", "\0\0\0\0", "\0\0");

	(void)state;
	assert_int_equal(parse_query(m, sizeof(m) - 1, &q), 0);
	assert_string_equal(q.name, "api.openai.com");
	assert_int_equal(q.name_len, 14);
	assert_string_equal(q.name_sent, "aPi.OPENAI.com");
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, EX_DNS_AAAA);
	assert_true(q.rd);
	assert_true(q.edns);
	assert_int_equal(q.udp_size, 512);
}

static void test_good_answers_and_none_of_their_prefixes(void **state)
{
	struct ex_dns_answer a;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(good_answers); i++) {
		const struct packet *p = &good_answers[i];
		char more[512];

		if (parse_answer(p->bytes, p->len, &a) != 0 || a.n_addrs != (size_t)p->want)
			fail_msg("%s", p->what);
		for (size_t n = 0; n < p->len; n++)
			if (parse_answer(p->bytes, n, &a) == 0)
				fail_msg("%s: first %zu bytes accepted", p->what, n);
		memcpy(more, p->bytes, p->len);
		more[p->len] = 0;
		if (parse_answer(more, p->len + 1, &a) == 0)
			fail_msg("%s: accepted with a byte too many", p->what);
	}
}

static void test_bad_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad_answers); i++) {
		const struct packet *p = &bad_answers[i];
		struct ex_dns_answer a;

		if (parse_answer(p->bytes, p->len, &a) != -EBADMSG)
			fail_msg("%s: accepted", p->what);
		assert_int_equal(a.n_addrs, 0);
		assert_int_equal(a.rcode, EX_DNS_SERVFAIL);
	}
}

/* A record whose data are n pointers, each to the one before, and one whose owner is the last. */
static size_t write_pointers(char *buf, unsigned n)
{
	const char head[] = HEAD("\x81\x80", "\1", "\0", "\0", "\2") NAME A_IN;
	const char rr[] = "\0\0\x10\0\1\0\0\0\x9\0"; /* TXT of the root; a byte of length to come */
	size_t len = sizeof(head) - 1, to = 12;

	memcpy(buf, head, len);
	memcpy(buf + len, rr, sizeof(rr) - 1);
	len += sizeof(rr) - 1;
	buf[len++] = (char)(2 * n);
	for (unsigned i = 0; i < n; i++) {
		buf[len] = (char)(0xc0 | to >> 8);
		buf[len + 1] = (char)to;
		to = len;
		len += 2;
	}
	buf[len] = (char)(0xc0 | to >> 8);
	buf[len + 1] = (char)to;
	memcpy(buf + len + 2, "\0\x10\0\1\0\0\0\x9\0\0", 10);
	return len + 12;
}

/* Each leads backwards, but 512 names that take 8000 pointers each cost tens of milliseconds. */
static void test_65_pointers_of_a_name_are_bounded(void **state)
{
	char m[512];
	struct ex_dns_answer a;

	(void)state;
	assert_int_equal(parse_answer(m, write_pointers(m, 126), &a), 0);
	assert_int_equal(parse_answer(m, write_pointers(m, 127), &a), -EBADMSG);
}

static void test_answer_has_chain_in_order_and_lowest_ttl(void **state)
{
	const char m[] = REPLY("\3") NAME A_IN ADDR(Y_NET, "\4") X_NET
		"\0\5\0\1\0\0\0\7\0\7" Y_NET CNAME("\xc0\x0c", "\7", X_NET);
	struct ex_dns_answer a;

	(void)state;
	assert_int_equal(parse_answer(m, sizeof(m) - 1, &a), 0);
	assert_int_equal(a.n_chain, 2);
	assert_string_equal(a.chain[0], "x.net");
	assert_string_equal(a.chain[1], "y.net");
	assert_int_equal(a.ttl, 7);
}

static void test_ttl_with_top_bit_is_zero(void **state)
{
	const char m[] = REPLY("\1") NAME A_IN "\xc0\x0c" A_IN "\x80\0\0\1\0\4\1\2\3\4";
	struct ex_dns_answer a;

	(void)state;
	assert_int_equal(parse_answer(m, sizeof(m) - 1, &a), 0);
	assert_int_equal(a.ttl, 0);
}

/* A chain of n CNAMEs api.openai.com -> aa -> ab -> ... and one address at the end. */
static size_t write_chain(uint8_t *buf, unsigned n)
{
	const char head[] = REPLY("\0") NAME A_IN;
	size_t len = sizeof(head) - 1, owner = 12;

	memcpy(buf, head, len);
	buf[7] = (uint8_t)(n + 1);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t rr[] = { 0xc0, (uint8_t)owner,     0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 2,
				       'a',  (uint8_t)('a' + i), 0 };
		memcpy(buf + len, rr, sizeof(rr));
		buf[len] = (uint8_t)(0xc0 | owner >> 8);
		owner = len + 12;
		len += sizeof(rr);
	}
	memcpy(buf + len, "\xc0\0\0\1\0\1\0\0\0\x9\0\4\1\2\3\4", 16);
	buf[len] = (uint8_t)(0xc0 | owner >> 8);
	buf[len + 1] = (uint8_t)owner;
	return len + 16;
}

static void test_chain_length_is_bounded(void **state)
{
	struct ex_dns_answer a;
	uint8_t buf[512];
	size_t n;

	(void)state;
	n = write_chain(buf, EX_DNS_CHAIN_MAX);
	assert_int_equal(parse_answer((char *)buf, n, &a), 0);
	assert_int_equal(a.n_chain, EX_DNS_CHAIN_MAX);
	n = write_chain(buf, EX_DNS_CHAIN_MAX + 1);
	assert_int_equal(parse_answer((char *)buf, n, &a), -EBADMSG);
}

static void test_65_surplus_addresses_are_not_kept(void **state)
{
	const char head[] = REPLY("\0") NAME A_IN;
	size_t len = sizeof(head) - 1;
	struct ex_dns_answer a;
	uint8_t buf[4096];

	(void)state;
	memcpy(buf, head, len);
	buf[7] = 200;
	for (unsigned i = 0; i < 200; i++, len += 16) {
		memcpy(buf + len, "\xc0\x0c\0\1\0\1\0\0\0\x9\0\4\1\2\3\4", 16);
		buf[len + 15] = (uint8_t)i;
	}
	assert_int_equal(parse_answer((char *)buf, len, &a), 0);
	assert_int_equal(a.n_addrs, EX_DNS_ADDRS_MAX);
}

static struct ex_dns_question ask(const char *name, uint16_t type, bool edns)
{
	struct ex_dns_question q = { .id = 7,
				     .type = type,
				     .rd = true,
				     .edns = edns,
				     .udp_size = 512,
				     .name_len = strlen(name) };

	memcpy(q.name_sent, name, q.name_len + 1);
	for (size_t i = 0; i < q.name_len; i++)
		q.name[i] = (char)tolower((unsigned char)name[i]);
	return q;
}

static void test_reply_parses_to_what_was_built(void **state)
{
	struct ex_dns_question q = ask("Api.OpenAI.com", EX_DNS_AAAA, true);
	struct ex_dns_answer a = { .ttl = 42,
				   .n_chain = 2,
				   .chain = { "x.net", "y.x.net" },
				   .n_addrs = 2 },
			     b;
	uint8_t buf[512];
	size_t n;

	(void)state;
	assert_true(ex_ip_parse("2001:db8::1", &a.addrs[0]));
	assert_true(ex_ip_parse("2001:db8::2", &a.addrs[1]));
	n = ex_dns_build_reply(&q, &a, 0, NULL, buf, sizeof(buf));
	assert_memory_equal(buf, "\0\7\x81\x80\0\1\0\4\0\0\0\1\3Api\6OpenAI\3com", 28);
	assert_int_equal(ex_dns_parse_answer(buf, n, api, EX_DNS_AAAA, &b), 0);
	assert_int_equal(b.ttl, 42);
	assert_int_equal(b.n_chain, 2);
	assert_string_equal(b.chain[1], "y.x.net");
	assert_int_equal(b.n_addrs, 2);
	assert_memory_equal(a.addrs, b.addrs, 2 * sizeof(a.addrs[0]));
}

static void test_reply_too_long_is_cut_with_tc(void **state)
{
	struct ex_dns_question q = ask("api.openai.com", EX_DNS_A, true);
	struct ex_dns_answer a = { .ttl = 42, .n_addrs = EX_DNS_ADDRS_MAX }, b;
	uint8_t buf[2048];
	size_t n;

	(void)state;
	for (unsigned i = 0; i < EX_DNS_ADDRS_MAX; i++)
		a.addrs[i] = ex_ip_from4((uint8_t[]){ 1, 2, 3, (uint8_t)i });
	n = ex_dns_build_reply(&q, &a, 0, NULL, buf, 512);
	assert_in_range(n, 500 - 28, 512);
	assert_true(buf[2] & 2);
	buf[2] &= (uint8_t)~2; /* what is there must be whole records */
	assert_int_equal(ex_dns_parse_answer(buf, n, api, EX_DNS_A, &b), 0);
	assert_int_equal(b.n_addrs, (512 - 32 - 11) / 16);
	n = ex_dns_build_reply(&q, &a, 0, NULL, buf, sizeof(buf));
	assert_false(buf[2] & 2);
	assert_int_equal(n, 32 + 64 * 16 + 11);
}

static void test_refusal_carries_text_only_to_edns_clients(void **state)
{
	struct ex_dns_question q = ask("evil.example", EX_DNS_A, true);
	struct ex_dns_answer a = { .rcode = EX_DNS_REFUSED };
	uint8_t buf[512];
	size_t n, plain;

	(void)state;
	n = ex_dns_build_reply(&q, &a, 15, "no", buf, sizeof(buf));
	assert_memory_equal(buf + n - 19, "\0\0\x29\x04\xd0\0\0\0\0\0\x8\0\xf\0\4\0\xfno", 19);
	assert_int_equal(buf[3] & 15, EX_DNS_REFUSED);
	q.edns = false;
	plain = ex_dns_build_reply(&q, &a, 15, "no", buf, sizeof(buf));
	assert_int_equal(plain, n - 19);
}

static void test_unreadable_question_gets_a_bare_header(void **state)
{
	struct ex_dns_question q;
	struct ex_dns_answer a = { .rcode = EX_DNS_BADVERS };
	const char m[] = QUERY "\xc0\x0c" A_IN;
	uint8_t buf[512];

	(void)state;
	assert_int_equal(parse_query(m, sizeof(m) - 1, &q), EX_DNS_FORMERR);
	a.rcode = EX_DNS_FORMERR;
	assert_int_equal(ex_dns_build_reply(&q, &a, 0, "x", buf, sizeof(buf)), 12);
	assert_memory_equal(buf, "\x12\x34\x81\x81\0\0\0\0\0\0\0\0", 12);
}

static void test_reply_repeats_an_unknown_opcode(void **state)
{
	struct ex_dns_question q;
	struct ex_dns_answer a = { .rcode = EX_DNS_NOTIMP };
	const char m[] = HEAD("\x29\0", "\1", "\0", "\0", "\0") NAME A_IN;
	uint8_t buf[512];

	(void)state;
	assert_int_equal(parse_query(m, sizeof(m) - 1, &q), EX_DNS_NOTIMP);
	assert_int_equal(ex_dns_build_reply(&q, &a, 0, NULL, buf, sizeof(buf)), 12);
	assert_memory_equal(buf, "\x12\x34\xa9\x84", 4);
}

static void test_bad_edns_version_is_told_in_the_opt_record(void **state)
{
	struct ex_dns_question q = ask("a", EX_DNS_A, true);
	struct ex_dns_answer a = { .rcode = EX_DNS_BADVERS };
	uint8_t buf[512];
	size_t n = ex_dns_build_reply(&q, &a, 0, NULL, buf, sizeof(buf));

	(void)state;
	assert_int_equal(buf[3] & 15, 0);
	assert_memory_equal(buf + n - 11, "\0\0\x29\x04\xd0\1\0\0\0\0\0", 11);
}

/* Whatever the room, the builder stays inside and never leaves half a record. */
static void test_reply_of_every_capacity(void **state)
{
	struct ex_dns_question q = ask("api.openai.com", EX_DNS_A, true);
	struct ex_dns_answer a = { .n_chain = 1, .chain = { "x.net" }, .n_addrs = 3 }, b;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		a.addrs[i] = ex_ip_from4((uint8_t[]){ 1, 2, 3, (uint8_t)i });
	for (size_t cap = 0; cap < 200; cap++) {
		EX_AUTO_FREE uint8_t *buf = malloc(cap + 1);
		size_t n = ex_dns_build_reply(&q, &a, 15, "text", buf, cap);

		assert_true(n <= cap);
		if (n == 0)
			continue;
		if (!(buf[2] & 2))
			assert_true(n >= 32 + 19 + 3 * 16 + 11);
		buf[2] &= (uint8_t)~2;
		assert_int_equal(ex_dns_parse_answer(buf, n, api, EX_DNS_A, &b), 0);
	}
}

/* ---- records of other types ---- */

static const struct record {
	struct packet p;
	uint16_t type;
	const char *data; /* as it goes on */
	size_t data_len;
} records[] = {
#define R(what, want, type, bytes, data)                                                           \
	{                                                                                          \
		P(what, want, bytes), type, data, sizeof(data) - 1                                 \
	}
	R("MX, compressed and in capitals", 0, EX_DNS_MX,
	  REPLY("\1") NAME "\0\x0f\0\1\xc0\x0c\0\x0f\0\1" TTL "\0\6\0\x0a\1M\xc0\x10",
	  "\0\x0a\1m\6openai\3com\0"),
	R("MX of nobody", 0, EX_DNS_MX,
	  REPLY("\1") NAME "\0\x0f\0\1\xc0\x0c\0\x0f\0\1" TTL "\0\3\0\0\0", "\0\0\0"),
	R("SRV", 0, EX_DNS_SRV,
	  REPLY("\1") NAME "\0\x21\0\1\xc0\x0c\0\x21\0\1" TTL "\0\x09\0\1\0\2\x1f\x90\1a\0",
	  "\0\1\0\2\x1f\x90\1a\0"),
	R("PTR", 0, EX_DNS_PTR, REPLY("\1") NAME "\0\x0c\0\1\xc0\x0c\0\x0c\0\1" TTL "\0\3\1a\0",
	  "\1a\0"),
	R("TXT", 0, EX_DNS_TXT,
	  REPLY("\1") NAME "\0\x10\0\1\xc0\x0c\0\x10\0\1" TTL "\0\6\2\0\xff\0\1x", "\2\0\xff\0\1x"),
	R("TXT, a string beyond the end", -EBADMSG, EX_DNS_TXT,
	  REPLY("\1") NAME "\0\x10\0\1\xc0\x0c\0\x10\0\1" TTL "\0\3\3ab", ""),
	R("TXT without a string", -EBADMSG, EX_DNS_TXT,
	  REPLY("\1") NAME "\0\x10\0\1\xc0\x0c\0\x10\0\1" TTL "\0\0", ""),
	R("TXT of another name", -EBADMSG, EX_DNS_TXT,
	  REPLY("\1") NAME "\0\x10\0\1\1x\0\0\x10\0\1" TTL "\0\2\1x", ""),
	R("MX without a name", -EBADMSG, EX_DNS_MX,
	  REPLY("\1") NAME "\0\x0f\0\1\xc0\x0c\0\x0f\0\1" TTL "\0\2\0\x0a", ""),
	R("MX, bytes behind the name", -EBADMSG, EX_DNS_MX,
	  REPLY("\1") NAME "\0\x0f\0\1\xc0\x0c\0\x0f\0\1" TTL "\0\6\0\x0a\1a\0x", ""),
	R("SRV, a name that is none", -EBADMSG, EX_DNS_SRV,
	  REPLY("\1") NAME "\0\x21\0\1\xc0\x0c\0\x21\0\1" TTL "\0\x09\0\1\0\2\0\1\1/\0", ""),
	R("PTR, a loop of compression", -EBADMSG, EX_DNS_PTR,
	  REPLY("\1") NAME "\0\x0c\0\1\xc0\x0c\0\x0c\0\1" TTL "\0\2\xc0\x2c", ""),
	R("CAA is not read", -EBADMSG, 257, REPLY("\1") NAME "\1\1\0\1\xc0\x0c\1\1\0\1" TTL "\0\1x",
	  ""),
#undef R
};

static void test_61_records_of_other_types_are_written_anew(void **state)
{
	static struct ex_dns_answer a, again;
	struct ex_dns_question q = { .name = "api.openai.com",
				     .name_sent = "api.openai.com",
				     .name_len = 14 };
	uint8_t reply[4096];
	size_t len;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(records); i++) {
		const struct record *r = &records[i];
		int got = ex_dns_parse_answer(r->p.bytes, r->p.len, EX_SPAN("api.openai.com"),
					      r->type, &a);

		if (got != r->p.want)
			fail_msg("%s: %d", r->p.what, got);
		for (size_t n = 0; n < r->p.len; n++)
			assert_int_equal(ex_dns_parse_answer(r->p.bytes, n,
							     EX_SPAN("api.openai.com"), r->type,
							     &again),
					 -EBADMSG);
		if (got < 0)
			continue;
		assert_int_equal(a.n_records, 1);
		assert_int_equal(a.n_addrs, 0);
		assert_int_equal(a.record_len[0], r->data_len);
		assert_memory_equal(a.records, r->data, r->data_len);
		/* what goes on is what was read */
		q.type = r->type;
		len = ex_dns_build_reply(&q, &a, 0, NULL, reply, sizeof(reply));
		assert_int_equal(
			ex_dns_parse_answer(reply, len, EX_SPAN("api.openai.com"), r->type, &again),
			0);
		assert_int_equal(again.n_records, 1);
		assert_memory_equal(again.records, r->data, r->data_len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_queries_and_none_of_their_prefixes),
		cmocka_unit_test(test_bad_queries),
		cmocka_unit_test(test_question_is_canonical_and_remembers_its_case),
		cmocka_unit_test(test_good_answers_and_none_of_their_prefixes),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_65_pointers_of_a_name_are_bounded),
		cmocka_unit_test(test_answer_has_chain_in_order_and_lowest_ttl),
		cmocka_unit_test(test_ttl_with_top_bit_is_zero),
		cmocka_unit_test(test_chain_length_is_bounded),
		cmocka_unit_test(test_65_surplus_addresses_are_not_kept),
		cmocka_unit_test(test_reply_parses_to_what_was_built),
		cmocka_unit_test(test_reply_too_long_is_cut_with_tc),
		cmocka_unit_test(test_refusal_carries_text_only_to_edns_clients),
		cmocka_unit_test(test_unreadable_question_gets_a_bare_header),
		cmocka_unit_test(test_reply_repeats_an_unknown_opcode),
		cmocka_unit_test(test_bad_edns_version_is_told_in_the_opt_record),
		cmocka_unit_test(test_reply_of_every_capacity),
		cmocka_unit_test(test_61_records_of_other_types_are_written_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
