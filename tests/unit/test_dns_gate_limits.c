/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds, time and ends: what the gate does when it cannot do what it should. */
#include "dns_gate.h"

#include "agent/dns/gate_priv.h"

static void test_answer_that_cannot_be_learned_is_servfail(void **state)
{
	(void)state;
	f->learn_err = -ENOSPC;
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_SERVFAIL);
	assert_int_equal(f->decision.reason, EX_R_INTERNAL);
	assert_int_equal(n_answers(), 0);
}

static void test_answer_not_learned_in_time_is_servfail(void **state)
{
	(void)state;
	f->hold = true;
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	dns_run(f->loop, 2000);
	wait_replies(1);
	assert_int_equal(f->reply[3] & 15, EX_DNS_SERVFAIL);
	f->done(f->done_arg, 0); /* too late: nothing more is said */
	assert_int_equal(f->n_replies, 1);
}

static void test_gate_freed_while_learning(void **state)
{
	(void)state;
	f->hold = true;
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	dns_run(f->loop, 2000);
	ex_dns_gate_free(f->gate);
	f->gate = NULL;
	f->done(f->done_arg, 0);
	assert_int_equal(f->n_replies, 0);
}

static void test_gate_freed_while_resolving(void **state)
{
	(void)state;
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	ex_dns_gate_free(f->gate);
	f->gate = NULL;
	dns_run(f->loop, 50);
	assert_int_equal(f->n_replies, 0);
}

/* A resolver has heard of what was asked: it is on record, though nobody gets an answer. */
static void test_what_waits_when_the_gate_ends_is_audited(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		send_query("api.openai.com", EX_DNS_A, false, NULL);
	assert_int_equal(f->n_audits, 0);
	ex_dns_gate_free(f->gate);
	f->gate = NULL;
	assert_int_equal(f->n_replies, 0);
	assert_int_equal(f->n_audits, 3);
	assert_int_equal(f->decision.verdict, EX_V_ALLOW);
	assert_int_equal(f->decision.reason, EX_R_ALLOWED);
}

static void test_what_waits_under_a_policy_that_denies_it_is_audited_as_that(void **state)
{
	(void)state;
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	nothing_is_allowed = true;
	ex_dns_gate_swap(f->gate, NULL);
	ex_dns_gate_free(f->gate);
	f->gate = NULL;
	assert_int_equal(f->n_audits, 1);
	assert_int_equal(f->decision.verdict, EX_V_DENY);
	assert_int_equal(f->decision.reason, EX_R_POLICY_CHANGED);
}

static void test_gate_freed_by_the_first_of_many_replies(void **state)
{
	(void)state;
	f->free_gate_in_reply = true;
	for (int i = 0; i < 5; i++)
		send_query("api.openai.com", EX_DNS_A, false, NULL);
	dns_run(f->loop, 200);
	assert_int_equal(f->n_replies, 1);
}

static size_t say_nothing(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)s;
	(void)tcp;
	(void)buf;
	(void)len;
	return 0;
}

static void test_silent_resolver_is_servfail_within_five_seconds(void **state)
{
	(void)state;
	f->server.hook = say_nothing;
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	f->want = 1;
	dns_run(f->loop, 5000);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->reply[3] & 15, EX_DNS_SERVFAIL);
}

static void test_waiting_questions_are_bounded(void **state)
{
	(void)state;
	f->server.hook = say_nothing;
	for (int i = 0; i < 512; i++)
		send_query("api.openai.com", EX_DNS_A, false, NULL);
	assert_int_equal(f->n_replies, 0);
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->reply[3] & 15, EX_DNS_SERVFAIL);
	assert_int_equal(f->decision.reason, EX_R_LIMIT);
}

static void test_question_rate_is_bounded(void **state)
{
	unsigned limited = 0;

	(void)state;
	for (int i = 0; i < 21000; i++) { /* the loop's clock stands still meanwhile */
		f->n_replies = 0;
		send_query("evil.com", EX_DNS_A, false, NULL);
		limited += f->decision.reason == EX_R_LIMIT;
	}
	assert_int_equal(limited, 1000);
}

/* Failures are not cached; asking again and again must not load the host's resolver. */
static void test_forward_rate_is_bounded(void **state)
{
	uint64_t before = ex_clock_ms(), took;
	unsigned limited = 0;

	(void)state;
	for (int i = 0; i < 1200; i++) {
		f->n_replies = 0;
		assert_int_equal(ask("broken.example.com", EX_DNS_A), EX_DNS_SERVFAIL);
		limited += f->decision.reason == EX_R_LIMIT;
	}
	took = ex_clock_ms() - before;
	assert_in_range(limited, took < 350 ? 1 : 0, 199); /* a slow machine may never reach it */
	assert_int_equal(f->server.n_udp, 2 * (1200 - limited)); /* each is tried twice */
}

static void test_60_dense_label_under_a_wildcard_is_refused(void **state)
{
	(void)state;
	/* base32 of random bytes */
	assert_int_equal(ask("q4u7zxkpa2mvhw5tcj3ynd6grsbofe7l2ixq4kzm.example.com", EX_DNS_A),
			 EX_DNS_REFUSED);
	assert_int_equal(f->decision.reason, EX_R_LIMIT);
	assert_int_equal(f->server.n_udp, 0);
	/* as long, but only a hash in hexadecimal */
	assert_int_equal(ask("da39a3ee5e6b4b0d3255bfef95601890afd80709.example.com", EX_DNS_A),
			 EX_DNS_NXDOMAIN);
	assert_int_equal(f->server.n_udp, 1);
}

static void test_60_letters_under_a_wildcard_are_bounded(void **state)
{
	unsigned limited = 0, first = 0;
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "host-number-%08u.example.com", i * 2654435761u);
		f->n_replies = 0;
		(void)ask(name, EX_DNS_A);
		limited += f->decision.reason == EX_R_LIMIT;
		if (!limited)
			first = i;
	}
	assert_in_range(first, 300, 450);
	assert_in_range(limited, 100, 300);
	/* it is there, but not now: who may not know why must not take it for a name that is not */
	f->no_edns = true;
	f->n_replies = 0;
	assert_int_equal(ask("one-more-than-there-are-letters-for.example.com", EX_DNS_A),
			 EX_DNS_SERVFAIL);
	assert_int_equal(f->decision.reason, EX_R_LIMIT);
	/* what the policy spells out is not limited, and what was asked before is free */
	f->n_replies = 0;
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
}

static void test_61_many_labels_cost_no_more_than_their_budget(void **state)
{
	char name[EX_DNS_NAME_MAX + 1] = "a";

	(void)state;
	for (size_t i = 1; i + 2 < sizeof(name); i += 2) {
		name[i] = '.';
		name[i + 1] = 'a';
		name[i + 2] = '\0';
	}
	n_judgements = 0;
	for (unsigned i = 0; i < 5000; i++) {
		f->n_replies = 0;
		assert_int_equal(ask(name, EX_DNS_A), EX_DNS_REFUSED);
	}
	assert_in_range(n_judgements, 100000, 200000); /* not 126 each */
}

/* The server gives other addresses at each question, to open many. */
static size_t rotate_addresses(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)tcp;
	for (size_t at = 12 + 16 + 4; at + 16 <= len; at += 16) {
		buf[at + 14] = (uint8_t)(s->n_udp * 2 >> 8);
		buf[at + 15] = (uint8_t)(s->n_udp * 2 + (at >> 4 & 1));
	}
	return len;
}

static void test_65_a_name_keeps_only_so_many_addresses(void **state)
{
	(void)state;
	f->server.hook = rotate_addresses;
	for (int i = 0; i < 200; i++) {
		f->n_replies = 0;
		assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
		assert_int_equal(n_answers(), 2);
		ex_dns_gate_swap(f->gate, NULL); /* empties the cache */
	}
	assert_int_equal(ex_names_count(f->names), EX_ADDRS_PER_NAME_MAX);
}

static void test_69_an_answer_is_not_given_again_when_its_addresses_made_room(void **state)
{
	struct ex_ip ip;

	(void)state;
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned, 1); /* from the cache */
	assert_true(ex_ip_parse("93.184.216.34", &ip));
	ex_names_forget(f->names, &ip,
			ex_dns_hash(ex_names_key(f->names), EX_SPAN("another.example")));
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned, 1); /* of another name: nothing to it */
	ex_names_forget(f->names, &ip,
			ex_dns_hash(ex_names_key(f->names), EX_SPAN("api.openai.com")));
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned, 2);
}

/* Its cache is full of others by then, or its TTL is over: the gates know the addresses still. */
static void forget_answer(void)
{
	ex_dns_cache_clear(&f->gate->cache);
}

static void test_what_the_gates_know_for_long_enough_is_not_learned_again(void **state)
{
	struct ex_ip ip;

	(void)state;
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned, 1);
	forget_answer();
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->server.n_udp, 2);
	assert_int_equal(f->n_learned, 1);
	/* one of its addresses is not known */
	forget_answer();
	assert_true(ex_ip_parse("93.184.216.35", &ip));
	ex_names_forget(f->names, &ip,
			ex_dns_hash(ex_names_key(f->names), EX_SPAN("api.openai.com")));
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned, 2);
	/* the addresses of another name are not this one's */
	forget_answer();
	assert_int_equal(ask("short.example.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned, 3);
}

/* They know it for so many seconds from now. */
static void know_for(const char *name, const char *text, uint32_t seconds)
{
	struct ex_ip ip;

	assert_true(ex_ip_parse(text, &ip));
	ex_names_forget(f->names, &ip, ex_dns_hash(ex_names_key(f->names), ex_span_str(name)));
	assert_int_equal(ex_names_add(f->names, &ip, ex_span_str(name), ex_loop_now(f->loop),
				      seconds * 1000),
			 0);
	forget_answer();
}

static void test_69_who_must_wait_for_what_is_known(void **state)
{
	(void)state;
	/* its answer is good for 30 seconds */
	know_for("api.openai.com", "93.184.216.34", 120);
	know_for("api.openai.com", "93.184.216.35", 120);
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned + f->n_extended, 0);
	know_for("api.openai.com", "93.184.216.35", 30 + 40);
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_extended, 1);
	assert_int_equal(f->learned.ttl, 30 + 60);
	assert_int_equal(f->n_learned, 0);
	know_for("api.openai.com", "93.184.216.35", 30 + 9);
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_extended, 1);
	assert_int_equal(f->n_learned, 1);
}

static void test_69_what_was_known_before_another_policy_is_learned_again(void **state)
{
	(void)state;
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	ex_dns_gate_swap(f->gate, NULL);
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned, 2);
	assert_int_equal(ask("empty.example.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->n_learned, 2); /* there is nothing to learn */
}

static void test_69_what_could_not_be_learned_is_not_known(void **state)
{
	(void)state;
	f->learn_err = -EIO;
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_SERVFAIL);
	assert_int_equal(ex_names_count(f->names), 0);
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_SERVFAIL);
	assert_int_equal(f->n_learned, 2);
}

static bool keep_none(void *arg, const struct ex_ip *ip, struct ex_span name)
{
	(void)arg;
	(void)ip;
	(void)name;
	return false;
}

static void test_66_answers_are_cached_for_this_workload_only(void **state)
{
	struct ex_dns_gate *mine = f->gate;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(n_answers(), 2);
	assert_int_equal(f->server.n_udp, 1);
	assert_int_equal(f->n_learned, 1);
	assert_int_equal(f->n_audits, 5);
	new_gate();
	ex_names_keep(f->names, keep_none, NULL); /* it has learned nothing */
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->server.n_udp, 2);
	assert_int_equal(f->n_learned, 2);
	ex_dns_gate_free(mine);
}

static void test_83_policy_change_judges_what_is_cached(void **state)
{
	(void)state;
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	nothing_is_allowed = true;
	ex_dns_gate_swap(f->gate, NULL);
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_REFUSED);
	nothing_is_allowed = false;
	assert_int_equal(ask("api.openai.com", EX_DNS_A), EX_DNS_NOERROR);
	assert_int_equal(f->server.n_udp, 2);
}

static void test_83_policy_change_judges_what_is_in_flight(void **state)
{
	(void)state;
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	nothing_is_allowed = true;
	ex_dns_gate_swap(f->gate, NULL);
	wait_replies(1);
	assert_int_equal(f->reply[3] & 15, EX_DNS_REFUSED);
	assert_int_equal(f->decision.reason, EX_R_POLICY_CHANGED);
	assert_int_equal(f->n_learned, 0);
	nothing_is_allowed = false;

	f->hold = true;
	send_query("api.openai.com", EX_DNS_A, false, NULL);
	dns_run(f->loop, 2000);
	nothing_is_allowed = true;
	ex_dns_gate_swap(f->gate, NULL);
	f->done(f->done_arg, 0);
	assert_int_equal(f->n_replies, 2);
	assert_int_equal(n_answers(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_answer_that_cannot_be_learned_is_servfail),
		T(test_answer_not_learned_in_time_is_servfail),
		T(test_gate_freed_while_learning),
		T(test_gate_freed_while_resolving),
		T(test_gate_freed_by_the_first_of_many_replies),
		T(test_what_waits_when_the_gate_ends_is_audited),
		T(test_what_waits_under_a_policy_that_denies_it_is_audited_as_that),
		T(test_silent_resolver_is_servfail_within_five_seconds),
		T(test_waiting_questions_are_bounded),
		T(test_question_rate_is_bounded),
		T(test_forward_rate_is_bounded),
		T(test_60_dense_label_under_a_wildcard_is_refused),
		T(test_60_letters_under_a_wildcard_are_bounded),
		T(test_61_many_labels_cost_no_more_than_their_budget),
		T(test_65_a_name_keeps_only_so_many_addresses),
		T(test_69_an_answer_is_not_given_again_when_its_addresses_made_room),
		T(test_what_the_gates_know_for_long_enough_is_not_learned_again),
		T(test_69_who_must_wait_for_what_is_known),
		T(test_69_what_was_known_before_another_policy_is_learned_again),
		T(test_69_what_could_not_be_learned_is_not_known),
		T(test_66_answers_are_cached_for_this_workload_only),
		T(test_83_policy_change_judges_what_is_cached),
		T(test_83_policy_change_judges_what_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
