// SPDX-License-Identifier: Apache-2.0
/*
 * The DNS gate and its resolver on a socket, without the rest of exeat: for bench/dns.sh.
 *
 *   dns_gate PORT UPSTREAM
 *
 * Each client port is another workload with a gate of its own, as the limits are per workload.
 * learn() accepts at once; what a map update costs is measured with the kernel gate.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "agent/dns/resolver.h"

enum { GATES = 64, BATCH = 64, NAMES_MAX = 65536 };

/*
 * "nNUMBER.bench.example" for multiples of 97: many names, and none of their letters is free, since
 * no two multiples of 97 differ in one digit only.
 */
struct ex_decision ex_judge_dns(const struct ex_ruleset *rs, struct ex_span name)
{
	static const char tail[] = ".bench.example";
	size_t len = sizeof(tail) - 1;
	unsigned number = 0;

	(void)rs;
	if (name.len < len + 2 || name.ptr[0] != 'n' ||
	    memcmp(name.ptr + name.len - len, tail, len) != 0)
		return (struct ex_decision){ EX_V_DENY, EX_R_DNS_NAME_DENIED, 0 };
	for (size_t i = 1; i < name.len - len; i++) {
		if (name.ptr[i] < '0' || name.ptr[i] > '9')
			return (struct ex_decision){ EX_V_DENY, EX_R_DNS_NAME_DENIED, 0 };
		number = number * 10 + (unsigned)(name.ptr[i] - '0');
	}
	if (number % 97 != 0)
		return (struct ex_decision){ EX_V_DENY, EX_R_DNS_NAME_DENIED, 0 };
	return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, 1 };
}

struct ex_decision ex_judge_answer(const struct ex_ruleset *rs, const struct ex_ip *ip)
{
	(void)rs;
	(void)ip;
	return (struct ex_decision){ EX_V_ALLOW, EX_R_ALLOWED, 0 };
}

struct ex_ruleset *ex_ruleset_ref(struct ex_ruleset *rs)
{
	return rs;
}

struct ex_ruleset *ex_ruleset_unref(struct ex_ruleset *rs)
{
	(void)rs;
	return NULL;
}

struct bench {
	struct ex_watch watch;
	struct ex_dns_gate *gates[GATES];
};

struct asking {
	struct sockaddr_in from;
	int fd;
};

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

static void on_reply(void *arg, const void *reply, size_t len)
{
	struct asking *a = arg;

	if (len > 0)
		sendto(a->fd, reply, len, 0, (struct sockaddr *)&a->from, sizeof(a->from));
	free(a);
}

static void on_query(struct ex_watch *w, uint32_t events)
{
	struct bench *b = ex_container_of(w, struct bench, watch);
	uint8_t msg[1024];

	(void)events;
	for (int i = 0; i < BATCH; i++) {
		struct asking *a = malloc(sizeof(*a));
		socklen_t len = sizeof(a->from);
		ssize_t n;

		if (!a)
			return;
		n = recvfrom(w->fd, msg, sizeof(msg), MSG_DONTWAIT, (struct sockaddr *)&a->from,
			     &len);
		if (n < 0) {
			free(a);
			return;
		}
		a->fd = w->fd;
		ex_dns_gate_query(b->gates[ntohs(a->from.sin_port) % GATES], NULL, msg, (size_t)n,
				  false, on_reply, a);
	}
}

static int listen_at(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
	const struct ex_dns_gate_ops ops = { .learn = learn, .extend = extend };
	struct bench b = { .watch.fn = on_query };
	struct ex_resolver_server upstream;
	struct ex_resolver *resolver;
	struct ex_loop *loop;
	int fd;

	if (argc != 3 || !ex_resolver_server_parse(argv[2], &upstream))
		return 2;
	fd = listen_at((uint16_t)strtoul(argv[1], NULL, 10));
	if (fd < 0 || ex_loop_new(&loop) < 0 || ex_resolver_new(loop, &upstream, 1, &resolver) < 0)
		return 1;
	for (size_t i = 0; i < GATES; i++) {
		struct ex_names *names;

		if (ex_names_new(NAMES_MAX, &names) < 0 ||
		    ex_dns_gate_new(loop, NULL, resolver, names, &ops, &b.gates[i]) < 0)
			return 1;
	}
	if (ex_watch_start(loop, &b.watch, fd, EPOLLIN) < 0)
		return 1;
	return ex_loop_run(loop) < 0;
}
