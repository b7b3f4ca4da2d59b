/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to a denied packet, byte by byte, and when there must be none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

#include "tests/datapath/bench.h"

#define FAR4 "198.51.100.7"
#define FAR6 "2001:db8::7"

static int deny_all(void **state)
{
	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish_rules(NULL, 0, 0);
	return 0;
}

static struct bench_result denied(const struct pkt_spec *spec)
{
	struct pkt_frame f;
	struct bench_result r;

	pkt_build(&f, spec);
	r = bench_send(&f);
	assert_int_not_equal(r.reason, EX_R_ALLOWED);
	return r;
}

static void assert_ip(const uint8_t *at, const char *text)
{
	struct ex_ip ip;

	assert_true(ex_ip_parse(text, &ip));
	if (strchr(text, ':'))
		assert_memory_equal(at, ip.b, 16);
	else
		assert_memory_equal(at, ip.b + 12, 4);
}

/* Goes back out of the same interface, between the right MACs, with right lengths and checksums. */
static void assert_answer(const struct bench_result *r, size_t len)
{
	assert_int_equal(r->action, TC_ACT_REDIRECT);
	assert_int_not_equal(r->mark, 0);
	assert_int_equal(r->len, len);
	assert_true(pkt_is_sound(r->out, r->len));
	assert_memory_equal(r->out, "\x02\x65\x78\x00\x00\x02\x02\x65\x78\x00\x00\x01", 12);
}

static void assert_rst(const struct bench_result *r, size_t l4, uint8_t flags, uint32_t seq,
		       uint32_t ack)
{
	const uint8_t *tcp = r->out + l4;

	assert_int_equal(pkt_get16(tcp), 443);
	assert_int_equal(pkt_get16(tcp + 2), 40000);
	assert_int_equal(pkt_get32(tcp + 4), seq);
	assert_int_equal(pkt_get32(tcp + 8), ack);
	assert_int_equal(tcp[12], 0x50);
	assert_int_equal(tcp[13], flags);
}

static void test_syn_gets_rst_that_acknowledges_it(void **state)
{
	struct pkt_spec s = { .dst = FAR4,
			      .proto = IPPROTO_TCP,
			      .sport = 40000,
			      .dport = 443,
			      .seq = 0xfffffff0,
			      .payload_len = 21 };
	struct bench_result r = denied(&s);

	(void)state;
	assert_answer(&r, 54);
	assert_ip(r.out + PKT_L3 + 12, FAR4);
	assert_ip(r.out + PKT_L3 + 16, NET_OWN4);
	assert_rst(&r, 34, PKT_RST | PKT_ACK, 0, 0xfffffff0 + 21 + 1);
	s.dst = FAR6;
	r = denied(&s);
	assert_answer(&r, 74);
	assert_ip(r.out + PKT_L3 + 8, FAR6);
	assert_ip(r.out + PKT_L3 + 24, NET_OWN6);
	assert_rst(&r, 54, PKT_RST | PKT_ACK, 0, 0xfffffff0 + 21 + 1);
}

static void test_ack_gets_rst_at_the_expected_number(void **state)
{
	struct pkt_spec s = { .dst = FAR4,
			      .proto = IPPROTO_TCP,
			      .sport = 40000,
			      .dport = 443,
			      .seq = 5,
			      .ack = 777,
			      .flags = PKT_ACK,
			      .payload_len = 1200 };
	struct bench_result r = denied(&s);

	(void)state;
	assert_int_equal(r.reason, EX_R_NO_FLOW);
	assert_answer(&r, 54);
	assert_rst(&r, 34, PKT_RST, 777, 0);
}

static void assert_prohibited4(const struct pkt_spec *s)
{
	struct bench_result r = denied(s);
	struct pkt_frame f;
	size_t quote;

	pkt_build(&f, s);
	quote = f.len - 14 > 96 ? 96 : f.len - 14;
	assert_answer(&r, 14 + 20 + 8 + quote);
	assert_ip(r.out + PKT_L3 + 12, NET_GW4);
	assert_ip(r.out + PKT_L3 + 16, NET_OWN4);
	assert_int_equal(r.out[PKT_L3 + 9], IPPROTO_ICMP);
	assert_int_equal(pkt_get16(r.out + 34), 3 << 8 | 13);
	assert_int_equal(pkt_get32(r.out + 38), 0);
	assert_memory_equal(r.out + 42, f.b + PKT_L3, quote);
}

static void assert_prohibited6(const struct pkt_spec *s)
{
	struct bench_result r = denied(s);
	struct pkt_frame f;
	size_t quote;

	pkt_build(&f, s);
	quote = f.len - 14 > 96 ? 96 : f.len - 14;
	assert_answer(&r, 14 + 40 + 8 + quote);
	assert_ip(r.out + PKT_L3 + 8, NET_GW6);
	assert_ip(r.out + PKT_L3 + 24, NET_OWN6);
	assert_int_equal(r.out[PKT_L3 + 6], IPPROTO_ICMPV6);
	assert_int_equal(pkt_get16(r.out + 54), 1 << 8 | 1);
	assert_int_equal(pkt_get32(r.out + 58), 0);
	assert_memory_equal(r.out + 62, f.b + PKT_L3, quote);
}

static void test_others_get_admin_prohibited(void **state)
{
	static const uint8_t protos[] = { IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_GRE, IPPROTO_ESP,
					  IPPROTO_AH,  IPPROTO_IPIP, 99 };
	struct pkt_spec s = { .sport = 40000, .dport = 443 };
	size_t i, len;

	(void)state;
	for (i = 0; i < EX_ARRAY_SIZE(protos); i++) {
		for (len = 4; len < 120; len += 23) {
			s.proto = protos[i];
			s.payload_len = len;
			s.dst = FAR4;
			assert_prohibited4(&s);
			s.dst = FAR6;
			assert_prohibited6(&s);
		}
	}
	s = (struct pkt_spec){
		.dst = FAR4, .proto = IPPROTO_ICMP, .dport = 8 << 8, .payload_len = 56
	};
	assert_prohibited4(&s);
	s = (struct pkt_spec){ .dst = FAR6, .proto = IPPROTO_ICMPV6, .dport = 128 << 8 };
	assert_prohibited6(&s);
}

static void assert_silent(const struct pkt_spec *s)
{
	struct bench_result r = denied(s);

	assert_int_equal(r.action, TC_ACT_SHOT);
}

static void test_no_answer_to_what_must_not_be_answered(void **state)
{
	struct pkt_spec s = { .dst = FAR4, .proto = IPPROTO_TCP, .sport = 40000, .dport = 443 };
	uint16_t type;

	(void)state;
	s.flags = PKT_RST;
	assert_silent(&s);
	s.flags = PKT_RST | PKT_ACK;
	assert_silent(&s);
	s.flags = 0;
	s.src = "192.0.0.9"; /* somebody else would get it */
	assert_silent(&s);
	s.src = NULL;
	s.src_mac = "02:65:78:00:00:03";
	assert_silent(&s);
	s = (struct pkt_spec){ .proto = IPPROTO_UDP, .sport = 40000, .dport = 443 };
	s.dst = "224.0.0.1";
	assert_silent(&s);
	s.dst = "255.255.255.255";
	assert_silent(&s);
	s.dst = "ff02::1";
	assert_silent(&s);
	s.dst = "127.0.0.1";
	assert_silent(&s);
	s = (struct pkt_spec){ .dst = FAR4, .proto = IPPROTO_ICMP, .payload_len = 40 };
	for (type = 0; type < 256; type++) {
		s.dport = (uint16_t)(type << 8);
		if (type != 8 && type != 13)
			assert_silent(&s);
	}
	s.dst = FAR6;
	s.proto = IPPROTO_ICMPV6;
	for (type = 0; type < 256; type++) {
		s.dport = (uint16_t)(type << 8);
		if (type != 128)
			assert_silent(&s);
	}
}

static void test_silent_endpoint_answers_nothing(void **state)
{
	struct pkt_spec s = { .dst = FAR4, .proto = IPPROTO_TCP, .sport = 40000, .dport = 443 };

	(void)state;
	bench_publish_rules(NULL, 0, EX_EP_SILENT);
	assert_silent(&s);
	s.proto = IPPROTO_UDP;
	assert_silent(&s);
	bench_publish_rules(NULL, 0, 0);
	assert_int_equal(denied(&s).action, TC_ACT_REDIRECT);
}

static void test_answers_are_rate_limited(void **state)
{
	struct pkt_spec s = { .dst = FAR4, .proto = IPPROTO_UDP, .sport = 40000, .dport = 443 };
	struct timespec from, to;
	int i, answered = 0, ms;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < 2000; i++)
		answered += denied(&s).action == TC_ACT_REDIRECT;
	clock_gettime(CLOCK_MONOTONIC, &to);
	ms = (int)((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000);
	assert_true(answered >= 200); /* the burst */
	assert_true(answered <= 200 + ms + 20);
	usleep(50000);
	assert_int_equal(denied(&s).action, TC_ACT_REDIRECT);
}

/* Our own answer leaves through the egress program; anybody else's RST does not. */
static void test_only_the_secret_mark_lets_an_answer_out(void **state)
{
	struct pkt_spec s = { .dst = FAR4, .proto = IPPROTO_TCP, .sport = 40000, .dport = 443 };
	struct bench_result r = denied(&s);
	struct pkt_frame f = { .len = r.len };

	(void)state;
	memcpy(f.b, r.out, r.len);
	assert_int_equal(bench_receive_marked(&f, r.mark), TC_ACT_OK);
	assert_int_equal(bench_receive_marked(&f, r.mark ^ 1), TC_ACT_SHOT);
	assert_int_equal(bench_receive_marked(&f, 0), TC_ACT_SHOT);
}

#define refuse_test(f) cmocka_unit_test_setup(f, deny_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		refuse_test(test_syn_gets_rst_that_acknowledges_it),
		refuse_test(test_ack_gets_rst_at_the_expected_number),
		refuse_test(test_others_get_admin_prohibited),
		refuse_test(test_no_answer_to_what_must_not_be_answered),
		refuse_test(test_silent_endpoint_answers_nothing),
		refuse_test(test_answers_are_rate_limited),
		refuse_test(test_only_the_secret_mark_lets_an_answer_out),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
