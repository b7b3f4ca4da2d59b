/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real stub resolvers against the gate: glibc (getent) with a search list, dig over UDP and TCP.
 * The gate answers at 127.0.0.1:53 of a network namespace, resolv.conf is bound over in a mount
 * namespace. The policy is a fake: only "api.openai.com", "redis.ns.svc.cluster.local" and what is
 * below "example.com".
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "dns_server.h"
#include "own_network.h"

struct ex_ruleset *ex_ruleset_ref(struct ex_ruleset *rs)
{
	return rs;
}

struct ex_ruleset *ex_ruleset_unref(struct ex_ruleset *rs)
{
	(void)rs;
	return NULL;
}

struct ex_decision ex_judge_dns(const struct ex_ruleset *rs, struct ex_span name)
{
	struct ex_span below = EX_SPAN(".example.com");

	(void)rs;
	if (ex_span_eq(name, EX_SPAN("api.openai.com")) ||
	    ex_span_eq(name, EX_SPAN("redis.ns.svc.cluster.local")) ||
	    (name.len > below.len &&
	     memcmp(name.ptr + name.len - below.len, below.ptr, below.len) == 0))
		return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, 1 };
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
	(void)ip;
	return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, 0 };
}

static const struct dns_record zone[] = {
	{ "api.openai.com", 0, 30, NULL, { "93.184.216.34", "2001:db8::34" } },
	{ "cdn.example.com", 0, 30, "edge.cdn.net", { "93.184.216.36" } },
	{ "redis.ns.svc.cluster.local", 0, 30, NULL, { "93.184.216.37" } },
	{ NULL, 0, 0, NULL, { NULL } },
};

static struct ex_loop *loop;
static struct dns_server server;
static struct ex_resolver *resolver;
static struct ex_names *names;
static struct ex_dns_gate *gate;
static struct ex_watch front;
static char resolv_conf[] = "/tmp/exeat-resolv-XXXXXX";

static void learn(void *arg, const struct ex_dns_learn *l, void (*done)(void *arg, int err),
		  void *done_arg)
{
	(void)arg;
	(void)l;
	done(done_arg, 0);
}

static void extend(void *arg, const struct ex_dns_learn *l)
{
	(void)arg;
	(void)l;
}

struct asking {
	struct sockaddr_in from;
	uint8_t msg[1024];
};

static void on_reply(void *arg, const void *reply, size_t len)
{
	struct asking *a = arg;

	if (len > 0)
		sendto(front.fd, reply, len, 0, (struct sockaddr *)&a->from, sizeof(a->from));
	free(a);
}

static void on_query(struct ex_watch *w, uint32_t events)
{
	struct asking *a = calloc(1, sizeof(*a));
	socklen_t len = sizeof(a->from);
	ssize_t n = recvfrom(w->fd, a->msg, sizeof(a->msg), MSG_DONTWAIT,
			     (struct sockaddr *)&a->from, &len);

	(void)events;
	if (n < 0)
		free(a);
	else
		ex_dns_gate_query(gate, NULL, a->msg, (size_t)n, false, on_reply, a);
}

static void write_resolv_conf(void)
{
	static const char text[] = "nameserver 127.0.0.1\noptions ndots:5 timeout:5 attempts:1\n"
				   "search ns.svc.cluster.local svc.cluster.local lan\n";
	EX_AUTO_CLOSE int fd = mkstemp(resolv_conf);

	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount(resolv_conf, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
}

static int setup(void **state)
{
	const struct ex_dns_gate_ops ops = { .learn = learn, .extend = extend };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(53),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ex_resolver_server upstream;

	(void)state;
	write_resolv_conf();
	assert_int_equal(ex_loop_new(&loop), 0);
	assert_true(dns_server_start(&server, loop, &upstream));
	server.zone = zone;
	assert_int_equal(ex_resolver_new(loop, &upstream, 1, dns_dial, NULL, &resolver), 0);
	assert_int_equal(ex_names_new(1024, &names), 0);
	assert_int_equal(ex_dns_gate_new(loop, NULL, resolver, names, &ops, &gate), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	front.fn = on_query;
	assert_int_equal(ex_watch_start(loop, &front, fd, EPOLLIN), 0);
	return 0;
}

static int teardown(void **state)
{
	int fd = front.fd;

	(void)state;
	ex_watch_stop(loop, &front);
	close(fd);
	ex_dns_gate_free(gate);
	ex_resolver_free(resolver);
	ex_names_free(names);
	dns_server_stop(&server);
	ex_loop_free(loop);
	umount("/etc/resolv.conf");
	unlink(resolv_conf);
	return 0;
}

/* ---- running a client while the gate runs ---- */

struct client {
	struct ex_watch out;
	char text[4096];
	size_t len;
};

static void on_output(struct ex_watch *w, uint32_t events)
{
	struct client *c = ex_container_of(w, struct client, out);
	ssize_t n = read(w->fd, c->text + c->len, sizeof(c->text) - 1 - c->len);

	(void)events;
	if (n > 0) {
		c->len += (size_t)n;
		return;
	}
	ex_watch_stop(loop, w);
	ex_loop_quit(loop);
}

/* Its exit status; what it wrote is in c->text. */
static int run(struct client *c, const char *const *argv)
{
	int out[2], status;
	pid_t pid;

	*c = (struct client){ .out.fn = on_output };
	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		char *copy[16] = { NULL };

		for (size_t i = 0; i + 1 < EX_ARRAY_SIZE(copy) && argv[i]; i++)
			copy[i] = strdup(argv[i]);
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execvp(copy[0], copy);
		_exit(127);
	}
	close(out[1]);
	assert_int_equal(ex_watch_start(loop, &c->out, out[0], EPOLLIN), 0);
	dns_run(loop, 4000); /* a client that meets silence takes longer than this */
	if (c->out.slot) {
		kill(pid, SIGKILL);
		ex_watch_stop(loop, &c->out);
	}
	close(out[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_glibc_finds_an_allowed_name_behind_its_search_list(void **state)
{
	const char *const argv[] = { "getent", "-s", "dns", "ahosts", "api.openai.com", NULL };
	struct client c;

	(void)state;
	assert_int_equal(run(&c, argv), 0);
	assert_non_null(strstr(c.text, "93.184.216.34"));
	assert_non_null(strstr(c.text, "2001:db8::34"));
}

/* The first name of the list is refused, and not an allowed one with something appended. */
static void test_glibc_goes_through_its_search_list_also_with_edns(void **state)
{
	static const char *const options[] = { "RES_OPTIONS=", "RES_OPTIONS=edns0",
					       "RES_OPTIONS=edns0 trust-ad" };
	struct client c;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(options); i++) {
		const char *const argv[] = { "env", options[i], "getent",   "-s",
					     "dns", "ahosts",   "redis.ns", NULL };

		assert_int_equal(run(&c, argv), 0);
		assert_non_null(strstr(c.text, "93.184.216.37"));
	}
}

static void test_glibc_follows_a_chain(void **state)
{
	const char *const argv[] = { "getent", "-s", "dns", "ahosts", "cdn.example.com", NULL };
	struct client c;

	(void)state;
	assert_int_equal(run(&c, argv), 0);
	assert_non_null(strstr(c.text, "93.184.216.36"));
	assert_non_null(strstr(c.text, "edge.cdn.net"));
}

static void test_glibc_gives_up_at_once_on_a_denied_name(void **state)
{
	const char *const argv[] = { "getent", "-s", "dns", "ahosts", "evil.example", NULL };
	struct client c;

	(void)state;
	assert_int_equal(run(&c, argv), 2); /* not found; -1 would be a timeout */
}

static void test_dig_shows_why(void **state)
{
	const char *const argv[] = { "dig", "+tries=1", "evil.example", NULL };
	struct client c;
	int status = run(&c, argv);

	(void)state;
	if (status == 127)
		skip();
	assert_int_equal(status, 0);
	assert_non_null(strstr(c.text, "status: REFUSED"));
	assert_non_null(strstr(c.text, "EDE: 15 (Blocked)"));
	assert_non_null(strstr(c.text, "exeat: dns-name-denied"));
}

static void test_dig_with_odd_case_and_options(void **state)
{
	const char *const argv[] = {
		"dig",          "+short",         "+tries=1", "+dnssec", "+subnet=192.0.2.0/24",
		"+padding=128", "aPi.OpenAI.com", NULL
	};
	struct client c;
	int status = run(&c, argv);

	(void)state;
	if (status == 127)
		skip();
	assert_int_equal(status, 0);
	assert_string_equal(c.text, "93.184.216.34\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glibc_finds_an_allowed_name_behind_its_search_list),
		cmocka_unit_test(test_glibc_goes_through_its_search_list_also_with_edns),
		cmocka_unit_test(test_glibc_follows_a_chain),
		cmocka_unit_test(test_glibc_gives_up_at_once_on_a_denied_name),
		cmocka_unit_test(test_dig_shows_why),
		cmocka_unit_test(test_dig_with_odd_case_and_options),
	};

	if (!own_network() || unshare(CLONE_NEWNS) < 0) {
		printf("1..0 # SKIP needs root for namespaces\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
