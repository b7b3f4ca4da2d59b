/* SPDX-License-Identifier: Apache-2.0 */
/* A resolver and two name servers that it may ask, shared by the tests of it. */
#ifndef EXEAT_TESTS_DNS_RESOLVER_H
#define EXEAT_TESTS_DNS_RESOLVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns_server.h"

static const struct dns_record zone[] = {
	{ "api.openai.com", 0, 30, NULL, { "93.184.216.34", "2001:db8::34" } },
	{ NULL, 0, 0, NULL, { NULL } },
};

struct fixture {
	struct ex_loop *loop;
	struct dns_server server, second;
	struct ex_resolver_server at[2];
	struct ex_resolver *resolver;
	unsigned n_replies, want;
	int err;
	struct ex_dns_answer answer;
	bool free_in_reply;
};

static struct fixture *f;

static inline void on_reply(void *arg, int err, const void *msg, size_t len)
{
	(void)arg;
	f->n_replies++;
	f->err = err;
	if (err == 0)
		f->err = ex_dns_parse_answer(msg, len, EX_SPAN("api.openai.com"), EX_DNS_A,
					     &f->answer);
	if (f->free_in_reply) {
		ex_resolver_free(f->resolver);
		f->resolver = NULL;
	}
	if (f->n_replies >= f->want)
		ex_loop_quit(f->loop);
}

static inline int setup(void **state)
{
	(void)state;
	f = calloc(1, sizeof(*f));
	assert_non_null(f);
	assert_int_equal(ex_loop_new(&f->loop), 0);
	assert_true(dns_server_start(&f->server, f->loop, &f->at[0]));
	assert_true(dns_server_start(&f->second, f->loop, &f->at[1]));
	f->server.zone = f->second.zone = zone;
	assert_int_equal(ex_resolver_new(f->loop, f->at, 1, dns_dial, NULL, &f->resolver), 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	ex_resolver_free(f->resolver);
	dns_server_stop(&f->server);
	dns_server_stop(&f->second);
	ex_loop_free(f->loop);
	free(f);
	return 0;
}

static inline struct ex_resolve *query(void)
{
	struct ex_resolve *q = NULL;

	assert_int_equal(
		ex_resolver_query(f->resolver, "api.openai.com", EX_DNS_A, on_reply, f, &q), 0);
	return q;
}

static inline int ask(void)
{
	f->want = f->n_replies + 1;
	(void)query();
	dns_run(f->loop, 8000);
	assert_int_equal(f->n_replies, f->want);
	return f->err;
}

static inline size_t drop_udp(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)s;
	(void)buf;
	return tcp ? len : 0;
}

static inline size_t truncate_udp(struct dns_server *s, bool tcp, uint8_t *buf, size_t len)
{
	(void)s;
	if (!tcp)
		buf[2] |= 2;
	return len;
}

static inline unsigned count_sockets(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++) {
		struct sockaddr_in to;
		socklen_t len = sizeof(to);

		n += getpeername(fd, (struct sockaddr *)&to, &len) == 0 &&
		     to.sin_family == AF_INET && ntohs(to.sin_port) == f->at[0].port;
	}
	return n;
}

static inline void ask_name(const char *name)
{
	struct ex_resolve *q;

	assert_int_equal(ex_resolver_query(f->resolver, name, EX_DNS_A, on_reply, f, &q), 0);
	f->want = f->n_replies + 1;
	dns_run(f->loop, 2000);
	assert_int_equal(f->n_replies, f->want);
}

#endif
