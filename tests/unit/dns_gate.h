/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS gate between a client's packets and a name server on loopback. The policy is a fake:
 * "api.openai.com" and everything below "example.com" are allowed, addresses in 169.254.0.0/16 and
 * 10.0.0.0/8 are denied. One test program includes this.
 */
#ifndef EXEAT_TESTS_DNS_GATE_H
#define EXEAT_TESTS_DNS_GATE_H

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

/* Types beside addresses: none. */
struct ex_decision ex_judge_dns_type(const struct ex_ruleset *rs, struct ex_span name,
				     uint16_t type)
{
	struct ex_decision d = ex_judge_dns(rs, name);

	if (d.verdict == EX_V_ALLOW && type)
		d = (struct ex_decision){ EX_V_DENY, EX_R_DNS_TYPE_DENIED, d.rule };
	return d;
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
	unsigned n_learned, n_extended;
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

static inline void on_learn(void *arg, const struct ex_dns_learn *l,
			    void (*done)(void *arg, int err), void *done_arg)
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

static inline void on_extend(void *arg, const struct ex_dns_learn *l)
{
	assert_ptr_equal(arg, f);
	f->n_extended++;
	f->learned = *l;
}

static inline void on_audit(void *arg, const void *client, const struct ex_dns_verdict *v)
{
	assert_ptr_equal(arg, f);
	assert_ptr_equal(client, &f->n_audits);
	f->n_audits++;
	f->decision = v->decision;
}

static inline void on_reply(void *arg, const void *reply, size_t len)
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

static inline void new_gate(void)
{
	const struct ex_dns_gate_ops ops = { on_learn, on_extend, on_audit, f };

	assert_int_equal(ex_dns_gate_new(f->loop, NULL, f->resolver, f->names, &ops, &f->gate), 0);
}

static inline int setup(void **state)
{
	struct ex_resolver_server at;

	(void)state;
	nothing_is_allowed = false;
	f = calloc(1, sizeof(*f));
	assert_non_null(f);
	assert_int_equal(ex_loop_new(&f->loop), 0);
	assert_true(dns_server_start(&f->server, f->loop, &at));
	f->server.zone = zone;
	assert_int_equal(ex_resolver_new(f->loop, &at, 1, dns_dial, NULL, &f->resolver), 0);
	assert_int_equal(ex_names_new(1024, &f->names), 0);
	new_gate();
	return 0;
}

static inline int teardown(void **state)
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
static inline size_t write_query(uint8_t *buf, const char *name, uint16_t type, unsigned udp_size)
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

static inline void send_query(const char *name, uint16_t type, bool tcp, void *arg)
{
	uint8_t buf[512];
	size_t len = write_query(buf, name, type, f->no_edns ? 0 : 1232);

	ex_dns_gate_query(f->gate, &f->n_audits, buf, len, tcp, on_reply, arg);
}

static inline void wait_replies(unsigned n)
{
	f->want = n;
	if (f->n_replies < n)
		dns_run(f->loop, 8000);
	assert_int_equal(f->n_replies, n);
}

/* Asks and waits for the reply; returns its RCODE. */
static inline unsigned ask(const char *name, uint16_t type)
{
	unsigned n = f->n_replies;

	send_query(name, type, false, NULL);
	wait_replies(n + 1);
	assert_true(f->reply_len >= 12);
	return f->reply[3] & 15;
}

static inline unsigned n_answers(void)
{
	return (unsigned)f->reply[6] << 8 | f->reply[7];
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
