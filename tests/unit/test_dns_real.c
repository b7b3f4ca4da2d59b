/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolver and gate against dnsmasq and unbound, in a network namespace of their own. The resolver
 * runs as the proxy runs it: after its start no file can be opened, and the environment is hostile.
 */
#include <errno.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "dns_server.h"
#include "own_network.h"

enum { DNSMASQ_PORT = 5301, UNBOUND_PORT = 5302, MANY = 100 };

static pid_t dnsmasq, unbound;
static char unbound_conf[] = "/tmp/exeat-unbound-XXXXXX";

/* ---- the servers ---- */

static pid_t spawn(const char *const *argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		char *copy[16] = { NULL };

		for (size_t i = 0; i + 1 < EX_ARRAY_SIZE(copy) && argv[i]; i++)
			copy[i] = strdup(argv[i]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(copy[0], copy);
		_exit(127);
	}
	return pid;
}

static void write_unbound_conf(void)
{
	int fd = mkstemp(unbound_conf);
	FILE *out = fdopen(fd, "w");

	assert_non_null(out);
	fprintf(out,
		"server:\n interface: 127.0.0.1@%d\n interface: ::1@%d\n do-daemonize: no\n"
		" username: \"\"\n chroot: \"\"\n pidfile: \"\"\n use-syslog: no\n logfile: \"/dev/null\"\n"
		" access-control: 127.0.0.0/8 allow\n access-control: ::1 allow\n"
		" local-zone: \"example.com\" static\n"
		" local-data: \"one.example.com. 60 A 192.0.2.1\"\n"
		" local-data: \"one.example.com. 60 AAAA 2001:db8::1\"\n",
		UNBOUND_PORT, UNBOUND_PORT);
	for (int i = 0; i < MANY; i++)
		fprintf(out, " local-data: \"many.example.com. 60 A 198.51.100.%d\"\n", i);
	fprintf(out, "remote-control:\n control-enable: no\n");
	fclose(out);
}

static int setup_servers(void **state)
{
	const char *const dnsmasq_argv[] = { "dnsmasq",
					     "-k",
					     "--conf-file=/dev/null",
					     "--no-resolv",
					     "--no-hosts",
					     "--user=root",
					     "--pid-file=",
					     "--port=5301",
					     "--listen-address=127.0.0.1",
					     "--bind-interfaces",
					     "--host-record=one.example.com,192.0.2.1,2001:db8::1",
					     "--host-record=end.example.net,192.0.2.2",
					     "--cname=alias.example.com,end.example.net",
					     "--local=/example.com/",
					     NULL };
	const char *const unbound_argv[] = { "unbound", "-d", "-c", unbound_conf, NULL };

	(void)state;
	write_unbound_conf();
	dnsmasq = spawn(dnsmasq_argv);
	unbound = spawn(unbound_argv);
	return dnsmasq > 0 && unbound > 0 ? 0 : -1;
}

static int teardown_servers(void **state)
{
	(void)state;
	kill(dnsmasq, SIGKILL);
	kill(unbound, SIGKILL);
	waitpid(dnsmasq, NULL, 0);
	waitpid(unbound, NULL, 0);
	unlink(unbound_conf);
	return 0;
}

/* ---- asking ---- */

struct asking {
	struct ex_loop *loop;
	bool done;
	int err;
	const char *name;
	uint16_t type;
	struct ex_dns_answer answer;
};

static void on_reply(void *arg, int err, const void *msg, size_t len)
{
	struct asking *a = arg;

	a->done = true;
	a->err = err;
	if (err == 0)
		a->err = ex_dns_parse_answer(msg, len, ex_span_str(a->name), a->type, &a->answer);
	ex_loop_quit(a->loop);
}

/* Asks until the server is up. */
static int ask(struct ex_loop *loop, struct ex_resolver *r, const char *name, uint16_t type,
	       struct ex_dns_answer *ret)
{
	struct asking a = { .loop = loop, .name = name, .type = type };
	struct ex_resolve *q;

	for (int tries = 0; tries < 100; tries++) {
		int err = ex_resolver_query(r, name, type, on_reply, &a, &q);

		if (err < 0)
			return err;
		for (a.done = false; !a.done;)
			dns_run(loop, 100);
		if (a.err == 0)
			break;
		dns_run(loop, 50);
	}
	*ret = a.answer;
	return a.err;
}

struct client {
	struct ex_loop *loop;
	struct ex_resolver *resolver;
};

static void open_client(struct client *c, const char *server)
{
	struct ex_resolver_server s;

	assert_true(ex_resolver_server_parse(server, &s));
	assert_int_equal(ex_loop_new(&c->loop), 0);
	assert_int_equal(ex_resolver_new(c->loop, &s, 1, dns_dial, NULL, &c->resolver), 0);
}

static void close_client(struct client *c)
{
	ex_resolver_free(c->resolver);
	ex_loop_free(c->loop);
}

static void test_dnsmasq_answers(void **state)
{
	struct ex_dns_answer a;
	struct client c;

	(void)state;
	open_client(&c, "127.0.0.1:5301");
	assert_int_equal(ask(c.loop, c.resolver, "one.example.com", EX_DNS_A, &a), 0);
	assert_int_equal(a.n_addrs, 1);
	assert_int_equal(ask(c.loop, c.resolver, "one.example.com", EX_DNS_AAAA, &a), 0);
	assert_int_equal(a.n_addrs, 1);
	assert_int_equal(a.addrs[0].b[0], 0x20);
	assert_int_equal(ask(c.loop, c.resolver, "alias.example.com", EX_DNS_A, &a), 0);
	assert_int_equal(a.n_chain, 1);
	assert_string_equal(a.chain[0], "end.example.net");
	assert_int_equal(a.n_addrs, 1);
	assert_int_equal(ask(c.loop, c.resolver, "none.example.com", EX_DNS_A, &a), 0);
	assert_int_equal(a.rcode, EX_DNS_NXDOMAIN);
	close_client(&c);
}

static void test_67_unbound_answers_what_udp_cannot_carry(void **state)
{
	struct ex_dns_answer a;
	struct client c;

	(void)state;
	open_client(&c, "127.0.0.1:5302");
	assert_int_equal(ask(c.loop, c.resolver, "many.example.com", EX_DNS_A, &a), 0);
	assert_int_equal(a.n_addrs, EX_DNS_ADDRS_MAX);
	close_client(&c);
}

static void test_unbound_answers_over_ipv6(void **state)
{
	struct ex_dns_answer a;
	struct client c;

	(void)state;
	open_client(&c, "[::1]:5302");
	assert_int_equal(ask(c.loop, c.resolver, "one.example.com", EX_DNS_AAAA, &a), 0);
	assert_int_equal(a.n_addrs, 1);
	assert_int_equal(ask(c.loop, c.resolver, "none.example.com", EX_DNS_A, &a), 0);
	assert_int_equal(a.rcode, EX_DNS_NXDOMAIN);
	close_client(&c);
}

/* After its start the resolver can open nothing, as in the proxy, and may look at nothing. */
static void resolve_in_a_sandbox(void)
{
	static const int forbidden[] = { SCMP_SYS(open),      SCMP_SYS(openat2), SCMP_SYS(access),
					 SCMP_SYS(stat),      SCMP_SYS(statx),   SCMP_SYS(readlink),
					 SCMP_SYS(newfstatat) };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	struct ex_dns_answer a;
	struct client c;

	open_client(&c, "127.0.0.1:5302");
	for (size_t i = 0; i < EX_ARRAY_SIZE(forbidden); i++)
		if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, forbidden[i], 0) < 0)
			_exit(2);
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0) < 0)
		_exit(2);
	if (seccomp_load(filter) < 0)
		_exit(2);
	for (int i = 0; i < 20; i++)
		if (ask(c.loop, c.resolver, "many.example.com", EX_DNS_A, &a) < 0 ||
		    a.n_addrs != EX_DNS_ADDRS_MAX ||
		    ask(c.loop, c.resolver, "none.example.com", EX_DNS_A, &a) < 0)
			_exit(1);
	close_client(&c);
	_exit(0);
}

static void test_no_file_and_no_variable_has_a_say(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	setenv("LOCALDOMAIN", "evil.example", 1);
	setenv("RES_OPTIONS", "ndots:15 timeout:30 attempts:1 rotate", 1);
	setenv("HOSTALIASES", "/etc/passwd", 1);
	setenv("CARES_HOSTS", "/etc/passwd", 1);
	pid = fork();
	if (pid == 0)
		resolve_in_a_sandbox();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dnsmasq_answers),
		cmocka_unit_test(test_67_unbound_answers_what_udp_cannot_carry),
		cmocka_unit_test(test_unbound_answers_over_ipv6),
		cmocka_unit_test(test_no_file_and_no_variable_has_a_say),
	};

	if (!own_network()) {
		printf("1..0 # SKIP needs root for a network namespace\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup_servers, teardown_servers);
}
