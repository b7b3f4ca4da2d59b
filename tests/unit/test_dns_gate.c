// SPDX-License-Identifier: Apache-2.0
/*
 * The DNS gate between a client's packets and a name server on loopback. The policy is a fake:
 * "api.openai.com" and everything below "example.com" are allowed, addresses in 169.254.0.0/16 and
 * 10.0.0.0/8 are denied. Numbers in names are those of the list of attacks.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "dns_server.h"

/* ---- the fake policy ---- */

struct ex_ruleset *ex_ruleset_ref(struct ex_ruleset *rs)
{
	return rs;
}

struct ex_ruleset *ex_ruleset_unref(struct ex_ruleset *rs)
{
	(void)rs;
	return NULL;
}

static bool nothing_is_allowed; /* as if the policy had changed */
static unsigned n_judgements;

struct ex_decision ex_judge_dns(const struct ex_ruleset *rs, struct ex_span name)
{
	struct ex_span below = EX_SPAN(".example.com");

	(void)rs;
	n_judgements++;
	if (nothing_is_allowed)
		return (struct ex_decision){ EX_V_DENY, EX_R_DNS_NAME_DENIED, 0 };
	if (ex_span_eq(name, EX_SPAN("api.openai.com")) ||
	    (name.len > below.len &&
	     memcmp(name.ptr + name.len - below.len, below.ptr, below.len) == 0))
		return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, 3 };
	return (struct ex_decision){ EX_V_DENY, EX_R_DNS_NAME_DENIED, 0 };
}

struct ex_decision ex_judge_answer(const struct ex_ruleset *rs, const struct ex_ip *ip)
{
	(void)rs;
	if (ex_ip_is4(ip) && ((ip->b[12] == 169 && ip->b[13] == 254) || ip->b[12] == 10))
		return (struct ex_decision){ EX_V_DENY, EX_R_RESERVED_DENY, 0 };
	return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, 0 };
}

static const struct dns_record zone[] = {
	{ "api.openai.com", 0, 30, NULL, { "93.184.216.34", "93.184.216.35", "2001:db8::34" } },
	{ "cdn.example.com", 0, 30, "edge.cdn.net", { "93.184.216.36" } },
	{ "meta.example.com", 0, 30, NULL, { "169.254.169.254" } },
	{ "mixed.example.com", 0, 30, NULL, { "93.184.216.37", "10.0.0.1", "169.254.169.254" } },
	{ "alias.example.com", 0, 30, "metadata.internal", { "169.254.169.254" } },
	{ "mapped.example.com", 0, 30, NULL, { "::ffff:93.184.216.38" } },
	{ "short.example.com", 0, 0, NULL, { "93.184.216.39" } },
	{ "long.example.com", 0, 86400, NULL, { "93.184.216.40" } },
	{ "empty.example.com", 0, 30, NULL, { NULL } },
	{ "broken.example.com", EX_DNS_SERVFAIL, 0, NULL, { NULL } },
	{ NULL, 0, 0, NULL, { NULL } },
};

/* ---- the client ---- */

enum { REPLIES = 600 };

struct fixture {
	struct ex_loop *loop;
	struct dns_server server;
	struct ex_resolver *resolver;
	struct ex_names *names;
	struct ex_dns_gate *gate;
	/* what learn() was told, and its done() when it is held back */
	bool hold;
	int learn_err;
	unsigned n_learned;
	struct ex_dns_learn learned;
	char learned_name[EX_DNS_NAME_MAX + 1];
	struct ex_ip learned_addrs[EX_DNS_ADDRS_MAX];
	void (*done)(void *arg, int err);
	void *done_arg;
	/* what audit() was told last */
	unsigned n_audits;
	struct ex_decision decision;
	/* replies in order */
	unsigned n_replies, want;
	void *args[REPLIES];
	uint8_t reply[EX_DNS_SERVER_MAX];
	size_t reply_len;
	bool free_gate_in_reply, no_edns;
};

static struct fixture *f;

static void on_learn(void *arg, const struct ex_dns_learn *l, void (*done)(void *arg, int err),
		     void *done_arg)
{
	assert_ptr_equal(arg, f);
	f->n_learned++;
	f->learned = *l;
	memcpy(f->learned_name, l->name.ptr, l->name.len);
	f->learned_name[l->name.len] = '\0';
	memcpy(f->learned_addrs, l->addrs, l->n_addrs * sizeof(*l->addrs));
	if (!f->hold) {
		done(done_arg, f->learn_err);
		return;
	}
	f->done = done;
	f->done_arg = done_arg;
	ex_loop_quit(f->loop);
}

static void on_audit(void *arg, const void *client, const struct ex_dns_verdict *v)
{
	assert_ptr_equal(arg, f);
	assert_ptr_equal(client, &f->n_audits);
	f->n_audits++;
	f->decision = v->decision;
}

static void on_reply(void *arg, const void *reply, size_t len)
{
	f->args[f->n_replies++] = arg;
	if (len > 0)
		memcpy(f->reply, reply, len);
	f->reply_len = len;
	if (f->free_gate_in_reply) {
		ex_dns_gate_free(f->gate);
		f->gate = NULL;
	}
	if (f->n_replies >= f->want)
		ex_loop_quit(f->loop);
}

static void new_gate(void)
{
	const struct ex_dns_gate_ops ops = { on_learn, on_audit, f };

	assert_int_equal(ex_dns_gate_new(f->loop, NULL, f->resolver, f->names, &ops, &f->gate), 0);
}

static int setup(void **state)
{
	struct ex_resolver_server at;

	(void)state;
	nothing_is_allowed = false;
	f = calloc(1, sizeof(*f));
	assert_non_null(f);
	assert_int_equal(ex_loop_new(&f->loop), 0);
	assert_true(dns_server_start(&f->server, f->loop, &at));
	f->server.zone = zone;
	assert_int_equal(ex_resolver_new(f->loop, &at, 1, &f->resolver), 0);
	assert_int_equal(ex_names_new(1024, &f->names), 0);
	new_gate();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ex_dns_gate_free(f->gate);
	ex_resolver_free(f->resolver);
	ex_names_free(f->names);
	dns_server_stop(&f->server);
	ex_loop_free(f->loop);
	free(f);
	return 0;
}

/* Writes a query; ids count up. */
static size_t write_query(uint8_t *buf, const char *name, uint16_t type, unsigned udp_size)
{
	static uint16_t id;
	size_t len = 12;

	id++;
	memcpy(buf, "\0\0\1\0\0\1\0\0\0\0\0\0", 12);
	buf[0] = (uint8_t)(id >> 8);
	buf[1] = (uint8_t)id;
	while (*name) {
		size_t n = strcspn(name, ".");

		buf[len++] = (uint8_t)n;
		memcpy(buf + len, name, n);
		len += n;
		name += n + (name[n] == '.');
	}
	memcpy(buf + len, "\0\0\0\0\1", 5);
	buf[len + 1] = (uint8_t)(type >> 8);
	buf[len + 2] = (uint8_t)type;
	len += 5;
	if (udp_size) {
		buf[11] = 1;
		memcpy(buf + len, "\0\0\x29\0\0\0\0\0\0\0\0", 11);
		buf[len + 3] = (uint8_t)(udp_size >> 8);
		buf[len + 4] = (uint8_t)udp_size;
		len += 11;
	}
	return len;
}

static void send_query(const char *name, uint16_t type, bool tcp, void *arg)
{
	uint8_t buf[512];
	size_t len = write_query(buf, name, type, f->no_edns ? 0 : 1232);

	ex_dns_gate_query(f->gate, &f->n_audits, buf, len, tcp, on_reply, arg);
}

static void wait_replies(unsigned n)
{
	f->want = n;
	if (f->n_replies < n)
		dns_run(f->loop, 8000);
	assert_int_equal(f->n_replies, n);
}

/* Asks and waits for the reply; returns its RCODE. */
static unsigned ask(const char *name, uint16_t type)
{
	unsigned n = f->n_replies;

	send_query(name, type, false, NULL);
	wait_replies(n + 1);
	assert_true(f->reply_len >= 12);
	return f->reply[3] & 15;
}

static unsigned n_answers(void)
{
	return (unsigned)f->reply[6] << 8 | f->reply[7];
}

/* ---- tests ---- */

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

static void test_gate_freed_by_the_first_of_many_replies(void **state)
{
	(void)state;
	f->free_gate_in_reply = true;
	for (int i = 0; i < 5; i++)
		send_query("api.openai.com", EX_DNS_A, false, NULL);
	dns_run(f->loop, 200);
	assert_int_equal(f->n_replies, 1);
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

static void test_cancelled_question_is_not_answered(void **state)
{
	int who[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		send_query("api.openai.com", EX_DNS_A, false, &who[i]);
	ex_dns_gate_cancel(f->gate, &who[2]);
	ex_dns_gate_cancel(f->gate, &who[0]);
	send_query("api.openai.com", EX_DNS_A, false, &who[2]);
	wait_replies(2);
	assert_ptr_equal(f->args[0], &who[1]);
	assert_ptr_equal(f->args[1], &who[2]);
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
	unsigned limited = 0;

	(void)state;
	for (int i = 0; i < 1200; i++) {
		f->n_replies = 0;
		assert_int_equal(ask("broken.example.com", EX_DNS_A), EX_DNS_SERVFAIL);
		limited += f->decision.reason == EX_R_LIMIT;
	}
	assert_in_range(limited, 1, 199);
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

static void test_65_a_name_gathers_only_so_many_addresses(void **state)
{
	unsigned refused = 0, total = 0;

	(void)state;
	f->server.hook = rotate_addresses;
	for (int i = 0; i < 200; i++) {
		f->n_replies = 0;
		if (ask("api.openai.com", EX_DNS_A) == EX_DNS_NOERROR)
			total += n_answers();
		else
			refused++;
		ex_dns_gate_swap(f->gate, NULL); /* empties the cache */
	}
	assert_int_equal(total, EX_ADDRS_PER_NAME_MAX);
	assert_int_equal(refused, 200 - EX_ADDRS_PER_NAME_MAX / 2);
	assert_int_equal(f->decision.reason, EX_R_LIMIT);
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
	f->done(f->done_arg, 0);
	assert_int_equal(f->n_replies, 2);
	assert_int_equal(n_answers(), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		T(test_answer_that_cannot_be_learned_is_servfail),
		T(test_answer_not_learned_in_time_is_servfail),
		T(test_gate_freed_while_learning),
		T(test_gate_freed_while_resolving),
		T(test_gate_freed_by_the_first_of_many_replies),
		T(test_equal_questions_are_asked_once),
		T(test_cancelled_question_is_not_answered),
		T(test_negative_answers_pass_without_authority),
		T(test_resolver_failure_is_servfail),
		T(test_silent_resolver_is_servfail_within_five_seconds),
		T(test_search_list_goes_on_after_nxdomain),
		T(test_malformed_query_gets_formerr_or_nothing),
		T(test_waiting_questions_are_bounded),
		T(test_question_rate_is_bounded),
		T(test_forward_rate_is_bounded),
		T(test_60_dense_label_under_a_wildcard_is_refused),
		T(test_60_letters_under_a_wildcard_are_bounded),
		T(test_61_many_labels_cost_no_more_than_their_budget),
		T(test_udp_reply_fits_the_client_and_tcp_has_all),
		T(test_57_verdict_over_tcp_is_the_same),
		T(test_65_a_name_gathers_only_so_many_addresses),
		T(test_66_answers_are_cached_for_this_workload_only),
		T(test_83_policy_change_judges_what_is_cached),
		T(test_83_policy_change_judges_what_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
