/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate answers. Numbers in names are those of the list of attacks. */
#include "dns_gate.h"

static void test_allowed_name_is_answered_and_learned(void **state)
{
	struct ex_ip ip;
	struct ex_span name;

	(void)state;
	assert_int_equal(ask("API.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 2);
	assert_memory_equal(f->reply + 12, "\3API\6openai\3com", 15);
	assert_int_equal(f->n_learned, 1);
	assert_string_equal(f->learned_name, "api.openai.com");
	assert_int_equal(f->learned.n_addrs, 2);
	assert_int_equal(f->learned.ttl, 30 + 60);
	assert_int_equal(f->decision.verdict, EX_V_ALLOW);
	assert_int_equal(f->decision.rule, 3);
	assert_true(ex_ip_parse("93.184.216.35", &ip));
	assert_int_equal(ex_names_of(f->names, &ip, ex_loop_now(f->loop), &name, 1), 1);
	assert_true(ex_span_eq(name, EX_SPAN("api.openai.com")));
}

static void test_ipv6_is_answered_and_learned(void **state)
{
	struct ex_ip ip;

	(void)state;
	assert_int_equal(ask("api.openai.com", EX_DNS_AAAA), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 1);
	assert_true(ex_ip_parse("2001:db8::34", &ip));
	assert_true(ex_ip_eq(&ip, &f->learned_addrs[0]));
}

static void test_55_denied_name_never_reaches_a_resolver(void **state)
{
	(void)state;
	assert_int_equal(ask("mfrggzdfmy.evil.com", EX_DNS_A), EX_DNS_REFUSED);
	assert_int_equal(ask("api.openai.con", EX_DNS_A), EX_DNS_REFUSED);
	assert_int_equal(f->decision.verdict, EX_V_DENY);
	assert_int_equal(f->decision.reason, EX_R_DNS_NAME_DENIED);
	assert_int_equal(f->server.n_udp, 0);
	assert_int_equal(f->n_learned, 0);
	/* Blocked (15), with a text a person can read */
	assert_non_null(memmem(f->reply, f->reply_len,
			       "\0\x0f"
			       "exeat: dns-name-denied",
			       24));
}

/* musl and glibc: neither understands REFUSED, and neither sends EDNS. */
static void test_client_without_edns_gets_a_final_answer(void **state)
{
	(void)state;
	f->no_edns = true;
	assert_int_equal(ask("evil.com", EX_DNS_A), EX_DNS_NXDOMAIN);
	assert_int_equal(f->decision.verdict, EX_V_DENY);
	assert_int_equal(f->decision.reason, EX_R_DNS_NAME_DENIED);
	assert_int_equal(ask("api.openai.com", 16), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 0);
	assert_int_equal(f->decision.reason, EX_R_DNS_TYPE_DENIED);
	assert_int_equal(ask("meta.example.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 0);
	assert_int_equal(f->decision.reason, EX_R_DNS_ANSWER_DENIED);
	assert_int_equal(ask("broken.example.com", EX_DNS_A), EX_DNS_SERVFAIL);
}

static void test_61_only_addresses_are_answered(void **state)
{
	static const uint16_t types[] = { 0x10, 10, 255, 252, 251, 5, 2, 6, 12, 33, 15, 43, 65280 };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(types); i++) {
		assert_int_equal(ask("api.openai.com", types[i]), EX_DNS_REFUSED);
		assert_int_equal(f->decision.reason, EX_R_DNS_TYPE_DENIED);
	}
	assert_int_equal(f->server.n_udp, 0);
}

static void test_61_what_is_forwarded_is_built_anew(void **state)
{
	/* 0x20 case, an EDNS cookie, AD, CD, and no RD: none of it may reach the resolver */
	static const char m[] = "\x12\x34\0\x30\0\1\0\0\0\0\0\1\3aPi\6oPENai\3CoM\0\0\1\0\1"
				"\0\0\x29\xff\xff\0\0\x80\0\0\x0c\0\x0a\0\x08secret!!";

	(void)state;
	ex_dns_gate_query(f->gate, &f->n_audits, m, sizeof(m) - 1, false, on_reply, NULL);
	wait_replies(1);
	assert_string_equal(f->server.last.name, "api.openai.com");
	assert_string_not_equal(f->server.last.name_sent,
				"aPi.oPENai.CoM"); /* 1 in 4096 is equal */
	assert_true(f->server.last.rd);
	assert_int_equal(f->server.last.udp_size, EX_DNS_UDP_MAX);
	assert_memory_equal(f->reply, "\x12\x34\x80\x80", 4);
}

static void test_23_https_records_are_empty(void **state)
{
	(void)state;
	assert_int_equal(ask("api.openai.com", EX_DNS_HTTPS), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 0);
	assert_int_equal(ask("api.openai.com", EX_DNS_SVCB), EX_DNS_NOERROR);
	assert_int_equal(ask("evil.com", EX_DNS_HTTPS), EX_DNS_REFUSED);
	assert_int_equal(f->server.n_udp, 0);
}

static void test_62_denied_address_is_not_answered(void **state)
{
	(void)state;
	assert_int_equal(ask("meta.example.com", EX_DNS_A), EX_DNS_REFUSED);
	assert_int_equal(f->decision.reason, EX_R_DNS_ANSWER_DENIED);
	assert_int_equal(n_answers(), 0);
	assert_int_equal(f->n_learned, 0);
	assert_non_null(memmem(f->reply, f->reply_len,
			       "\0\x11"
			       "exeat: dns-answer-denied",
			       26));
}

static void test_62_mixed_answer_loses_denied_addresses(void **state)
{
	struct ex_ip ip;
	struct ex_span name;

	(void)state;
	assert_int_equal(ask("mixed.example.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 1);
	assert_int_equal(f->learned.n_addrs, 1);
	assert_true(ex_ip_parse("10.0.0.1", &ip));
	assert_int_equal(ex_names_of(f->names, &ip, ex_loop_now(f->loop), &name, 1), 0);
}

static void test_62_mapped_ipv4_in_aaaa_is_not_answered(void **state)
{
	(void)state;
	assert_int_equal(ask("mapped.example.com", EX_DNS_AAAA), EX_DNS_REFUSED);
	assert_int_equal(f->n_learned, 0);
}

static void test_63_chain_is_answered_and_learned_under_the_name_asked(void **state)
{
	(void)state;
	assert_int_equal(ask("cdn.example.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 2);
	assert_string_equal(f->learned_name, "cdn.example.com");
	/* the target is data; asking for it is another question */
	assert_int_equal(ask("edge.cdn.net", EX_DNS_A), EX_DNS_REFUSED);
}

static void test_63_chain_to_denied_address(void **state)
{
	(void)state;
	assert_int_equal(ask("alias.example.com", EX_DNS_A), EX_DNS_REFUSED);
	assert_int_equal(f->decision.reason, EX_R_DNS_ANSWER_DENIED);
}

static void test_64_ttl_is_clamped_and_has_grace(void **state)
{
	(void)state;
	assert_int_equal(ask("short.example.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->learned.ttl, 5 + 60);
	assert_int_equal(ask("long.example.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->learned.ttl, 300 + 60);
}

static void test_69_reply_waits_until_the_address_is_learned(void **state)
{
	(void)state;
	f->hold = true;
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	dns_run(f->loop, 2000);
	assert_int_equal(f->n_learned, 1);
	dns_run(f->loop, 50);
	assert_int_equal(f->n_replies, 0);
	f->done(f->done_arg, 0);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(n_answers(), 2);
}

static void test_equal_questions_are_asked_once(void **state)
{
	int who[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		send_query(i == 1 ? "API.OPENAI.COM" : "api.openai.com", EX_DNS_A, i == 2, &who[i]);
	wait_replies(3);
	assert_int_equal(f->server.n_udp, 1);
	assert_int_equal(f->n_learned, 1);
	assert_int_equal(f->n_audits, 3);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(f->args[i], &who[i]);
}

static void test_negative_answers_pass_without_authority(void **state)
{
	(void)state;
	assert_int_equal(ask("none.example.com", EX_DNS_A), EX_DNS_NXDOMAIN);
	assert_int_equal(n_answers(), 0);
	assert_int_equal(f->reply[9], 0);
	assert_int_equal(ask("empty.example.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 0);
	assert_int_equal(f->n_learned, 0);
	assert_int_equal(f->decision.verdict, EX_V_ALLOW);
}

static void test_resolver_failure_is_servfail(void **state)
{
	(void)state;
	assert_int_equal(ask("broken.example.com", EX_DNS_A), EX_DNS_SERVFAIL);
	assert_int_equal(f->decision.reason, EX_R_DNS_UPSTREAM);
}

static void test_search_list_goes_on_after_nxdomain(void **state)
{
	(void)state;
	assert_int_equal(ask("api.openai.com.ns.svc.cluster.local", EX_DNS_A), EX_DNS_NXDOMAIN);
	assert_int_equal(f->decision.verdict, EX_V_DENY);
	assert_int_equal(f->decision.reason, EX_R_DNS_NAME_DENIED);
	assert_int_equal(ask("a.example.com.lan", EX_DNS_AAAA), EX_DNS_NXDOMAIN);
	assert_int_equal(ask("api.openai.comlan", EX_DNS_A), EX_DNS_REFUSED);
	assert_int_equal(f->server.n_udp, 0);
}

static void test_malformed_query_gets_formerr_or_nothing(void **state)
{
	static const char response[] = "\x12\x34\x81\x80\0\1\0\0\0\0\0\0\1a\0\0\1\0\1";
	static const char two[] = "\x12\x34\1\0\0\2\0\0\0\0\0\0\1a\0\0\1\0\1\1b\0\0\1\0\1";

	(void)state;
	ex_dns_gate_query(f->gate, &f->n_audits, response, sizeof(response) - 1, false, on_reply,
			  f);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->reply_len, 0);
	assert_int_equal(f->decision.reason, EX_R_DNS_MALFORMED);
	ex_dns_gate_query(f->gate, &f->n_audits, two, sizeof(two) - 1, false, on_reply, f);
	assert_int_equal(f->n_replies, 2);
	assert_int_equal(f->reply_len, 12);
	assert_int_equal(f->reply[3] & 15, EX_DNS_FORMERR);
}

static void test_udp_reply_fits_the_client_and_tcp_has_all(void **state)
{
	uint8_t buf[512];
	size_t len = write_query(buf, "api.openai.com", EX_DNS_A, 0);

	(void)state;
	ex_dns_gate_query(f->gate, &f->n_audits, buf, len, false, on_reply, NULL);
	wait_replies(1);
	assert_int_equal(f->reply[11], 0); /* no OPT to a client without EDNS */
	assert_int_equal(f->reply_len, len + 32);
}

static void test_57_verdict_over_tcp_is_the_same(void **state)
{
	(void)state;
	send_query("evil.com", EX_DNS_A, true, NULL);
	assert_int_equal(f->reply[3] & 15, EX_DNS_REFUSED);
	send_query("meta.example.com", EX_DNS_A, true, NULL);
	wait_replies(2);
	assert_int_equal(f->reply[3] & 15, EX_DNS_REFUSED);
	send_query("api.openai.com", EX_DNS_A, true, NULL);
	wait_replies(3);
	assert_int_equal(n_answers(), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_allowed_name_is_answered_and_learned),
		T(test_ipv6_is_answered_and_learned),
		T(test_55_denied_name_never_reaches_a_resolver),
		T(test_client_without_edns_gets_a_final_answer),
		T(test_61_only_addresses_are_answered),
		T(test_61_what_is_forwarded_is_built_anew),
		T(test_23_https_records_are_empty),
		T(test_62_denied_address_is_not_answered),
		T(test_62_mixed_answer_loses_denied_addresses),
		T(test_62_mapped_ipv4_in_aaaa_is_not_answered),
		T(test_63_chain_is_answered_and_learned_under_the_name_asked),
		T(test_63_chain_to_denied_address),
		T(test_64_ttl_is_clamped_and_has_grace),
		T(test_69_reply_waits_until_the_address_is_learned),
		T(test_equal_questions_are_asked_once),
		T(test_negative_answers_pass_without_authority),
		T(test_resolver_failure_is_servfail),
		T(test_search_list_goes_on_after_nxdomain),
		T(test_malformed_query_gets_formerr_or_nothing),
		T(test_udp_reply_fits_the_client_and_tcp_has_all),
		T(test_57_verdict_over_tcp_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
