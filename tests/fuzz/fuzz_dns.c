/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages from both hostile sides. First byte: bit 0 = a question (else an answer), bit 1 =
 * the answer is to AAAA (else A). What parses must survive the round trip: built anew and parsed
 * again, it is the same.
 */
#include "agent/dns/wire.h"
#include "tests/fuzz/fuzz.h"

static void check_canonical(const char *name, size_t len)
{
	CHECK(len <= EX_DNS_NAME_MAX && strlen(name) == len);
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		CHECK((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		      (c == '.' && i > 0 && i + 1 < len && name[i - 1] != '.'));
	}
}

static void check_same(const struct ex_dns_answer *a, const struct ex_dns_answer *b)
{
	CHECK(a->rcode == b->rcode && a->n_chain == b->n_chain && a->n_addrs == b->n_addrs);
	CHECK(a->ttl == b->ttl || a->n_chain + a->n_addrs == 0);
	for (size_t i = 0; i < a->n_chain; i++)
		CHECK(strcmp(a->chain[i], b->chain[i]) == 0);
	CHECK(memcmp(a->addrs, b->addrs, a->n_addrs * sizeof(a->addrs[0])) == 0);
}

/* Builds the reply in full and in 512 bytes; both must be sound. */
static void round_trip(const struct ex_dns_question *q, const struct ex_dns_answer *a)
{
	static const size_t caps[] = { 8192, 512 };
	struct ex_span name = { q->name, q->name_len };

	for (size_t i = 0; i < EX_ARRAY_SIZE(caps); i++) {
		uint8_t *buf = malloc(caps[i]);
		size_t len = ex_dns_build_reply(q, a, 15, "text", buf, caps[i]);
		struct ex_dns_answer b;

		CHECK(len >= EX_DNS_HEADER && len <= caps[i]);
		CHECK(i > 0 || !(buf[2] & EX_DNS_TC >> 8));
		if (buf[2] & EX_DNS_TC >> 8) {
			CHECK(ex_dns_parse_answer(buf, len, name, q->type, &b) < 0);
			buf[2] &= (uint8_t) ~(EX_DNS_TC >> 8);
			CHECK(ex_dns_parse_answer(buf, len, name, q->type, &b) == 0);
			CHECK(b.n_addrs <= a->n_addrs && b.n_chain <= a->n_chain);
		} else {
			CHECK(ex_dns_parse_answer(buf, len, name, q->type, &b) == 0);
			check_same(a, &b);
		}
		free(buf);
	}
}

static void fuzz_query(const uint8_t *msg, size_t len)
{
	struct ex_dns_answer a = { .ttl = 60, .n_chain = 1, .chain = { "x.net" }, .n_addrs = 2 };
	struct ex_dns_question q;
	uint8_t buf[512];
	int r = ex_dns_parse_query(msg, len, &q);

	if (r < 0)
		return;
	check_canonical(q.name, q.name_len);
	if (r > 0) { /* an error always has a reply */
		a = (struct ex_dns_answer){ .rcode = (uint8_t)r };
		CHECK(ex_dns_build_reply(&q, &a, 0, "text", buf, sizeof(buf)) >= EX_DNS_HEADER);
		return;
	}
	a.addrs[0].b[15] = 1;
	a.addrs[1].b[15] = 2;
	if (q.type == EX_DNS_A) {
		a.addrs[0] = ex_ip_from4("\1\2\3\4");
		a.addrs[1] = ex_ip_from4("\1\2\3\5");
	}
	if (strcmp(q.name, a.chain[0]) == 0)
		return; /* would be a loop */
	if (q.type == EX_DNS_A || q.type == EX_DNS_AAAA)
		round_trip(&q, &a);
}

static void fuzz_answer(const uint8_t *msg, size_t len, uint16_t type)
{
	struct ex_dns_cursor c = { .msg = msg, .len = len, .at = EX_DNS_HEADER, .ok = true };
	struct ex_dns_question q = { .type = type, .edns = true };
	struct ex_dns_answer a;

	/* ask for what it answers, so that the fuzzer need not guess */
	if (len < EX_DNS_HEADER || !ex_dns_read_name(&c, false, NULL, q.name))
		return;
	memcpy(q.name_sent, q.name, sizeof(q.name));
	q.name_len = strlen(q.name);
	if (ex_dns_parse_answer(msg, len, (struct ex_span){ q.name, q.name_len }, type, &a) < 0) {
		CHECK(a.n_addrs == 0 && a.rcode == EX_DNS_SERVFAIL);
		return;
	}
	CHECK(a.n_chain <= EX_DNS_CHAIN_MAX && a.n_addrs <= EX_DNS_ADDRS_MAX);
	for (size_t i = 0; i < a.n_chain; i++)
		check_canonical(a.chain[i], strlen(a.chain[i]));
	for (size_t i = 0; i < a.n_addrs; i++)
		CHECK(type == EX_DNS_AAAA || ex_ip_is4(&a.addrs[i]));
	round_trip(&q, &a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		fuzz_query(data + 1, size - 1);
	else
		fuzz_answer(data + 1, size - 1, data[0] & 2 ? EX_DNS_AAAA : EX_DNS_A);
	return 0;
}
