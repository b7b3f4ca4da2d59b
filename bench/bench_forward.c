/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel gate beside nftables, live: a workload behind a veth, a host that forwards, a world
 * that only counts. 64-byte datagrams to an address that is allowed, to random addresses that are
 * denied, and one TCP stream; with 10 to 100000 denied prefixes. nftables drops by a set of the
 * same prefixes in its forward hook, once bare and once behind a conntrack rule, as a firewall that
 * knows flows, like the gate does, has it.
 *
 * Variants take turns, in an order that rotates; the CPU time of the sender counts, which does the
 * work of the whole path; ratios are paired within a round.
 *
 *   bench_forward [ROUNDS [MILLISECONDS]]
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/gate/gate.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define ROUNDS_MAX 32
#define BATCH      64
#define TARGETS    (64 * BATCH)
#define ALLOWED    "198.51.100.9"
#define SINK       "198.51.100.7"

enum filter { NONE, GATE, NFT, NFT_CT };

struct result {
	double allowed, denied; /* CPU ns a packet */
	double stream;          /* Gbit/s */
	double setup;           /* ms */
	unsigned long leaked;
};

struct variant {
	const char *name;
	enum filter filter;
	size_t n;
	struct result r[ROUNDS_MAX];
};

static struct variant variants[] = {
	{ .name = "no filter", .filter = NONE, .n = 0 },
	{ .name = "exeat, 10 prefixes", .filter = GATE, .n = 10 },
	{ .name = "exeat, 1000", .filter = GATE, .n = 1000 },
	{ .name = "exeat, 100000", .filter = GATE, .n = 100000 },
	{ .name = "nft set, 10", .filter = NFT, .n = 10 },
	{ .name = "nft set, 1000", .filter = NFT, .n = 1000 },
	{ .name = "nft set, 100000", .filter = NFT, .n = 100000 },
	{ .name = "nft set and conntrack, 100000", .filter = NFT_CT, .n = 100000 },
};

#define N_VARIANTS EX_ARRAY_SIZE(variants)

static struct netns ns;
static unsigned rounds = 7, millis = 300;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- what is denied: /24s from 20.0.0.0 on ---- */

static uint32_t prefix_at(size_t i)
{
	return (uint32_t)(20u << 24) + (uint32_t)(i << 8);
}

static struct ex_gate *gate_start(size_t n)
{
	static const struct ex_rule_entry rules[] = {
		{ 1, 0, 0, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
		{ 2, 0, 0, 0, { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, 2 } },
	};
	struct ex_rule_entry copy[EX_ARRAY_SIZE(rules)];
	struct ex_dest_entry *dests = calloc(n + 1, sizeof(*dests));
	struct ex_tables t = { dests, n + 1, copy, EX_ARRAY_SIZE(copy), 2 };
	struct ex_endpoint ep;
	struct ex_gate *gate;
	uint32_t four;

	if (!dests || ex_gate_load(NULL, &gate))
		die("gate");
	memcpy(copy, rules, sizeof(copy));
	for (size_t i = 0; i < n; i++) {
		four = htonl(prefix_at(i));
		dests[i] = (struct ex_dest_entry){ ex_ip_from4(&four), 96 + 24, 2 };
	}
	four = 0;
	dests[n] = (struct ex_dest_entry){ ex_ip_from4(&four), 96, 1 };
	netns_endpoint(&ep, EX_EP_SILENT);
	if (ex_gate_publish(gate, ns.ifindex, &ep, &t) || ex_gate_attach(gate, ns.ifindex))
		die("gate");
	free(dests);
	return gate;
}

static void nft(const char *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("nft", "nft", "-f", arg, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("nft");
}

static void nft_start(size_t n, bool conntrack)
{
	char path[] = "/tmp/bench-forward.XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		die("mkstemp");
	fprintf(f, "table ip b {\n set deny { type ipv4_addr; flags interval; elements = {\n");
	for (size_t i = 0; i < n; i++) {
		uint32_t p = prefix_at(i);

		fprintf(f, "%u.%u.%u.0/24,\n", p >> 24, p >> 16 & 255, p >> 8 & 255);
	}
	fprintf(f,
		" } }\n chain f { type filter hook forward priority 0; policy accept;\n%s"
		" iifname \"exg\" ip daddr @deny drop\n }\n}\n",
		conntrack ? "ct state established,related accept\n" : "");
	if (fclose(f))
		die("write");
	nft(path);
	unlink(path);
}

static void nft_stop(void)
{
	char path[] = "/tmp/bench-forward.XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || dprintf(fd, "delete table ip b\n") < 0)
		die("mkstemp");
	close(fd);
	nft(path);
	unlink(path);
}

/* ---- load ---- */

/* IPv4 packets that have reached the world and are for nobody there, as all that is flooded. */
static unsigned long arrived(void)
{
	unsigned long n = 0;
	char line[1024];
	FILE *f;

	netns_enter(ns.world);
	f = fopen("/proc/thread-self/net/snmp", "r"); /* of the thread's namespace */
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Ip: %*d %*u %*u %*u %lu", &n) == 1)
			break; /* InAddrErrors */
	if (f)
		fclose(f);
	netns_enter(ns.gw);
	return n;
}

/* Sends to the addresses in turn for a while; CPU ns a packet. */
static double flood(const struct sockaddr_in *to, size_t n)
{
	static char payload[64 - 28];
	struct iovec iov = { payload, sizeof(payload) };
	struct mmsghdr m[BATCH] = { 0 };
	uint64_t end, cpu, sent = 0;
	int fd, r;

	netns_enter(ns.workload);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		die("socket");
	end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)millis * 1000000;
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (size_t at = 0; clock_ns(CLOCK_MONOTONIC) < end; at = (at + BATCH) % n) {
		for (size_t i = 0; i < BATCH; i++)
			m[i].msg_hdr = (struct msghdr){ .msg_name = (void *)(uintptr_t)&to[at + i],
							.msg_namelen = sizeof(*to),
							.msg_iov = &iov,
							.msg_iovlen = 1 };
		r = sendmmsg(fd, m, BATCH, 0);
		if (r > 0)
			sent += (uint64_t)r;
	}
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	close(fd);
	netns_enter(ns.gw);
	return sent ? (double)cpu / (double)sent : 0;
}

static void sink_run(int listener)
{
	static char buf[1 << 18];

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
	}
}

static pid_t sink_start(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(5001) };
	int listener;
	pid_t pid;

	netns_enter(ns.world);
	netns_ip("addr add 203.0.113.2/30 dev exv");
	netns_ip("addr add " SINK "/32 dev exv");
	netns_ip("route add default via 203.0.113.1");
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 8))
		die("listen");
	pid = fork();
	if (pid == 0)
		sink_run(listener);
	close(listener);
	netns_enter(ns.gw);
	return pid;
}

static double stream(void)
{
	static char buf[1 << 18];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(5001) };
	uint64_t began, bytes = 0, took;
	ssize_t n;
	int fd;

	inet_pton(AF_INET, SINK, &a.sin_addr);
	netns_enter(ns.workload);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die("connect");
	began = clock_ns(CLOCK_MONOTONIC);
	do {
		n = write(fd, buf, sizeof(buf));
		bytes += n > 0 ? (uint64_t)n : 0;
		took = clock_ns(CLOCK_MONOTONIC) - began;
	} while (n > 0 && took < (uint64_t)millis * 1000000);
	close(fd);
	netns_enter(ns.gw);
	return (double)bytes * 8 / (double)took;
}

/* ---- rounds ---- */

static void measure(struct variant *v, struct result *r)
{
	static struct sockaddr_in allowed[BATCH], denied[TARGETS];
	struct ex_gate *gate = NULL;
	uint64_t began = clock_ns(CLOCK_MONOTONIC);
	unsigned long before;

	for (size_t i = 0; i < TARGETS; i++) {
		denied[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(9) };
		denied[i].sin_addr.s_addr = htonl(prefix_at((size_t)rand() % (v->n ? v->n : 1)) +
						  1 + (uint32_t)i % 250);
		allowed[i % BATCH] = denied[i];
		inet_pton(AF_INET, ALLOWED, &allowed[i % BATCH].sin_addr);
	}
	if (v->filter == GATE)
		gate = gate_start(v->n);
	else if (v->filter != NONE)
		nft_start(v->n, v->filter == NFT_CT);
	r->setup = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e6;
	before = arrived();
	r->allowed = flood(allowed, BATCH);
	if (arrived() == before) {
		fprintf(stderr, "%s: nothing that is allowed arrives\n", v->name);
		exit(1);
	}
	before = arrived();
	if (v->filter != NONE)
		r->denied = flood(denied, TARGETS);
	r->leaked = arrived() - before;
	r->stream = stream();
	if (gate)
		ex_gate_free(gate);
	else if (v->filter != NONE)
		nft_stop();
}

static int cmp(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The median over rounds of a value, or of its ratio to the same of another variant. */
static double median(const struct variant *v, const struct variant *base, size_t offset)
{
	double x[ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++) {
		x[i] = *(const double *)((const char *)&v->r[i] + offset);
		if (base)
			x[i] /= *(const double *)((const char *)&base->r[i] + offset);
	}
	qsort(x, rounds, sizeof(*x), cmp);
	return x[rounds / 2];
}

#define MEDIAN(v, base, field) median(v, base, offsetof(struct result, field))

static void report(void)
{
	const struct variant *none = &variants[0], *big = &variants[3], *set = &variants[6],
			     *ct = &variants[7];
	unsigned long leaked = 0;

	printf("\n| %u rounds of %u ms | set up, ms | allowed, CPU ns | of none | denied, CPU ns | "
	       "leaked | TCP, of none |\n|---|---|---|---|---|---|---|\n",
	       rounds, millis);
	for (size_t i = 0; i < N_VARIANTS; i++) {
		const struct variant *v = &variants[i];
		unsigned long n = 0;

		for (unsigned k = 0; k < rounds; k++)
			n += v->r[k].leaked;
		leaked += v->filter == GATE ? n : 0;
		printf("| %s | %.0f | %.0f | %.2f | %.0f | %lu | %.2f |\n", v->name,
		       MEDIAN(v, NULL, setup), MEDIAN(v, NULL, allowed), MEDIAN(v, none, allowed),
		       MEDIAN(v, NULL, denied), n, MEDIAN(v, none, stream));
	}
	printf("\nG15: allowed packets with 100000 prefixes cost %.2f of those without a filter (<= 1.05: "
	       "%s), %.2f of nft's (<= 1.00: %s);\ndenied ones %.2f of nft's set, %.2f of nft's with "
	       "conntrack (<= 0.95: %s); %lu leaked\n",
	       MEDIAN(big, none, allowed), MEDIAN(big, none, allowed) <= 1.05 ? "met" : "missed",
	       MEDIAN(big, set, allowed), MEDIAN(big, set, allowed) <= 1.0 ? "met" : "missed",
	       MEDIAN(big, set, denied), MEDIAN(big, ct, denied),
	       MEDIAN(big, set, denied) <= 0.95 ? "met" : "missed", leaked);
}

int main(int argc, char **argv)
{
	cpu_set_t one;
	pid_t sink;

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		millis = (unsigned)strtoul(argv[2], NULL, 10);
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	netns_open(&ns);
	netns_add_world(&ns);
	sink = sink_start();
	CPU_ZERO(&one);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
	for (unsigned k = 0; k < rounds; k++)
		for (size_t i = 0; i < N_VARIANTS; i++) {
			struct variant *v = &variants[(i + k) % N_VARIANTS];

			measure(v, &v->r[k]);
		}
	report();
	kill(sink, SIGKILL);
	waitpid(sink, NULL, 0);
	netns_close(&ns);
	return 0;
}
