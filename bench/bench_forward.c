/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel gate beside nftables, live: a workload behind a veth, a host that forwards, a world
 * that only counts. 64-byte datagrams to an address that is allowed, to random addresses that are
 * denied, and one TCP stream; with 10 to 100000 denied prefixes. nftables drops by a set of the
 * same prefixes in its forward hook, once bare and once behind a conntrack rule, as a firewall that
 * knows flows, like the gate does, has it. An ipset of iptables drops there, too, and once before
 * the route is looked up (the raw table), which is as early as it can.
 *
 * A program that does nothing, on the gate's own hook, tells what the hook costs.
 *
 * Variants take turns, in an order that is another one each round; what the former one leaves to
 * the kernel to tidy up is waited for, and the first packets do not count. The CPU time of the
 * sender counts, which does the work of the whole path; ratios are paired within a round.
 *
 *   bench_forward [ROUNDS [MILLISECONDS]]
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <bpf/bpf.h>

#include "agent/gate/gate.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define ROUNDS_MAX  32
#define BATCH       64
#define SETTLE_US   100000 /* for what the kernel has put off */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TARGETS     (64 * BATCH)
#define ALLOWED     "198.51.100.9"
#define SINK        "198.51.100.7"
#define BPFFS       "/tmp/bench-forward.bpf"
#define PIN         BPFFS "/exeat"

enum filter { NONE, EMPTY, GATE, GATE_STAMPS, NFT, NFT_CT, IPSET, IPSET_RAW };

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
	bool missing; /* what it takes is not installed */
};

enum {
	V_NONE,
	V_EMPTY,
	V_GATE_100K = 4,
	V_SET_100K = 8,
	V_CT_100K,
	V_IPSET_100K,
	V_IPSET_RAW_100K
};

static struct variant variants[] = {
	[V_NONE] = { .name = "no filter", .filter = NONE, .n = 0 },
	[V_EMPTY] = { .name = "a program that does nothing", .filter = EMPTY, .n = 0 },
	{ .name = "exeat, 10 prefixes", .filter = GATE, .n = 10 },
	{ .name = "exeat, 1000", .filter = GATE, .n = 1000 },
	[V_GATE_100K] = { .name = "exeat, 100000", .filter = GATE, .n = 100000 },
	{ .name = "exeat as on a kernel without trampolines, 100000",
	  .filter = GATE_STAMPS,
	  .n = 100000 },
	{ .name = "nft set, 10", .filter = NFT, .n = 10 },
	{ .name = "nft set, 1000", .filter = NFT, .n = 1000 },
	[V_SET_100K] = { .name = "nft set, 100000", .filter = NFT, .n = 100000 },
	[V_CT_100K] = { .name = "nft set and conntrack, 100000", .filter = NFT_CT, .n = 100000 },
	[V_IPSET_100K] = { .name = "ipset, 100000", .filter = IPSET, .n = 100000 },
	[V_IPSET_RAW_100K] = { .name = "ipset before the route, 100000",
			       .filter = IPSET_RAW,
			       .n = 100000 },
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

/* ---- what is denied: every other /24 from 20.0.0.0 on, so that no two are one ---- */

static uint32_t prefix_at(size_t i)
{
	return (uint32_t)(20u << 24) + (uint32_t)(i << 9);
}

/* stamps: as the agent does it; on this kernel, if it has no BPF trampolines. */
static struct ex_gate *gate_start(size_t n, bool stamps)
{
	const struct ex_gate_limits limits = { .pin = stamps ? PIN : NULL };
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

	if (!dests || ex_gate_load(&limits, &gate))
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

/* A link, before all filters (TCX); a kernel before 6.6 has none. */
static int empty_start(void)
{
	const struct bpf_insn nothing[] = {
		{ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0 }, /* it may pass */
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "nothing", "GPL", nothing,
				 EX_ARRAY_SIZE(nothing), NULL);
	int link = bpf_link_create(prog, (int)ns.ifindex, TCX_INGRESS, NULL);

	close(prog);
	return link;
}

static bool empty_is_missing(void)
{
	int link = empty_start();

	if (link >= 0)
		close(link);
	return link < 0;
}

/* ---- the peers: a script is written, and one of their programs reads it ---- */

static FILE *script_open(char path[static 32])
{
	int fd;

	snprintf(path, 32, "/tmp/bench-forward.XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

static bool run(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

#define RUN(...)                                                                                   \
	do {                                                                                       \
		if (!run((const char *const[]){ __VA_ARGS__, NULL }))                              \
			die((const char *const[]){ __VA_ARGS__ }[0]);                              \
	} while (0)

static void write_prefix(FILE *f, const char *before, uint32_t p, const char *after)
{
	fprintf(f, "%s%u.%u.%u.0/24%s\n", before, p >> 24, p >> 16 & 255, p >> 8 & 255, after);
}

static void nft_start(size_t n, bool conntrack)
{
	char path[32];
	FILE *f = script_open(path);

	if (!f)
		die("mkstemp");
	fprintf(f, "table ip b {\n set deny { type ipv4_addr; flags interval; elements = {\n");
	for (size_t i = 0; i < n; i++)
		write_prefix(f, "", prefix_at(i), ",");
	fprintf(f,
		" } }\n chain f { type filter hook forward priority 0; policy accept;\n%s"
		" iifname \"exg\" ip daddr @deny drop\n }\n}\n",
		conntrack ? "ct state established,related accept\n" : "");
	if (fclose(f))
		die("write");
	RUN("nft", "-f", path);
	unlink(path);
}

static void ipset_start(size_t n, bool raw)
{
	char path[32];
	FILE *f = script_open(path);

	if (!f)
		die("mkstemp");
	fprintf(f, "create deny hash:net hashsize 65536 maxelem %zu\n", n);
	for (size_t i = 0; i < n; i++)
		write_prefix(f, "add deny ", prefix_at(i), "");
	if (fclose(f))
		die("write");
	RUN("ipset", "restore", "-f", path);
	unlink(path);
	RUN("iptables-legacy", "-t", raw ? "raw" : "filter", "-A", raw ? "PREROUTING" : "FORWARD",
	    "-i", "exg", "-m", "set", "--match-set", "deny", "dst", "-j", "DROP");
}

static void ipset_stop(bool raw)
{
	RUN("iptables-legacy", "-t", raw ? "raw" : "filter", "-F");
	RUN("ipset", "destroy", "deny");
}

static void peer_start(const struct variant *v)
{
	if (v->filter == IPSET || v->filter == IPSET_RAW)
		ipset_start(v->n, v->filter == IPSET_RAW);
	else
		nft_start(v->n, v->filter == NFT_CT);
}

static void peer_stop(const struct variant *v)
{
	if (v->filter == IPSET || v->filter == IPSET_RAW)
		ipset_stop(v->filter == IPSET_RAW);
	else
		RUN("nft", "delete", "table", "ip", "b");
}

/* Nothing of it is left for whoever is next. */
static void gate_stop(struct ex_gate *gate, bool stamps)
{
	if (ex_gate_detach(gate, ns.ifindex))
		die("gate");
	ex_gate_free(gate);
	if (stamps && ex_gate_unpin(PIN))
		die("gate");
	RUN("tc", "qdisc", "del", "dev", "exg", "clsact");
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
static double flood(const struct sockaddr_in *to, size_t n, unsigned ms)
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
	end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000;
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
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		sink_run(listener);
	}
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
	int link = -1;

	for (size_t i = 0; i < TARGETS; i++) {
		denied[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(9) };
		denied[i].sin_addr.s_addr = htonl(prefix_at((size_t)rand() % (v->n ? v->n : 1)) +
						  1 + (uint32_t)i % 250);
		allowed[i % BATCH] = denied[i];
		inet_pton(AF_INET, ALLOWED, &allowed[i % BATCH].sin_addr);
	}
	if (v->filter == GATE || v->filter == GATE_STAMPS)
		gate = gate_start(v->n, v->filter == GATE_STAMPS);
	else if (v->filter == EMPTY)
		link = empty_start();
	else if (v->filter != NONE)
		peer_start(v);
	r->setup = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e6;
	usleep(SETTLE_US);
	(void)flood(allowed, BATCH, millis / 4);
	before = arrived();
	r->allowed = flood(allowed, BATCH, millis);
	if (arrived() == before) {
		fprintf(stderr, "%s: nothing that is allowed arrives\n", v->name);
		exit(1);
	}
	before = arrived();
	if (v->n)
		r->denied = flood(denied, TARGETS, millis);
	r->leaked = arrived() - before;
	r->stream = stream();
	if (gate)
		gate_stop(gate, v->filter == GATE_STAMPS);
	else if (v->filter == EMPTY)
		close(link);
	else if (v->filter != NONE)
		peer_stop(v);
}

static void shuffle(size_t order[static N_VARIANTS])
{
	for (size_t i = 0; i < N_VARIANTS; i++) {
		size_t j = (size_t)rand() % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

static void measure_all(unsigned round)
{
	size_t order[N_VARIANTS];

	shuffle(order);
	for (size_t i = 0; i < N_VARIANTS; i++) {
		struct variant *v = &variants[order[i]];

		if (!v->missing)
			measure(v, &v->r[round]);
	}
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

static const char *verdict(double ratio, double limit)
{
	return ratio <= limit ? "met" : "missed";
}

static void report_goal(unsigned long leaked)
{
	const struct variant *big = &variants[V_GATE_100K], *ipset = &variants[V_IPSET_100K],
			     *raw = &variants[V_IPSET_RAW_100K];
	double none = MEDIAN(big, &variants[V_NONE], allowed);
	double set = MEDIAN(big, &variants[V_SET_100K], allowed);

	printf("\nG15: allowed packets with 100000 prefixes cost %.2f of those without a filter (<= 1.05: "
	       "%s), %.2f of nft's (<= 1.00: %s);\n",
	       none, verdict(none, 1.05), set, verdict(set, 1.0));
	if (ipset->missing)
		printf("denied ones: ipset is not installed;");
	else
		printf("denied ones %.2f of ipset's (<= 0.95: %s), %.2f of ipset's before the route;",
		       MEDIAN(big, ipset, denied), verdict(MEDIAN(big, ipset, denied), 0.95),
		       MEDIAN(big, raw, denied));
	printf(" %.2f of nft's set, %.2f of nft's with conntrack; %lu leaked\n",
	       MEDIAN(big, &variants[V_SET_100K], denied),
	       MEDIAN(big, &variants[V_CT_100K], denied), leaked);
}

static void report(void)
{
	const struct variant *none = &variants[V_NONE];
	unsigned long leaked = 0;

	printf("\n| %u rounds of %u ms | set up, ms | allowed, CPU ns | of none | denied, CPU ns | "
	       "leaked | TCP, of none |\n|---|---|---|---|---|---|---|\n",
	       rounds, millis);
	for (size_t i = 0; i < N_VARIANTS; i++) {
		const struct variant *v = &variants[i];
		unsigned long n = 0;

		if (v->missing)
			continue;
		for (unsigned k = 0; k < rounds; k++)
			n += v->r[k].leaked;
		leaked += v->filter == GATE || v->filter == GATE_STAMPS ? n : 0;
		printf("| %s | %.0f | %.0f | %.2f | %.0f | %lu | %.2f |\n", v->name,
		       MEDIAN(v, NULL, setup), MEDIAN(v, NULL, allowed), MEDIAN(v, none, allowed),
		       MEDIAN(v, NULL, denied), n, MEDIAN(v, none, stream));
	}
	report_goal(leaked);
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
	variants[V_IPSET_100K].missing = variants[V_IPSET_RAW_100K].missing =
		!run((const char *const[]){ "sh", "-c",
					    "command -v ipset iptables-legacy >/dev/null", NULL });
	if (mkdir(BPFFS, 0700) && errno != EEXIST)
		die(BPFFS);
	netns_bpffs(BPFFS);
	netns_open(&ns);
	netns_add_world(&ns);
	sink = sink_start();
	CPU_ZERO(&one);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
	variants[V_EMPTY].missing = empty_is_missing();
	for (unsigned k = 0; k < rounds; k++)
		measure_all(k);
	report();
	kill(sink, SIGKILL);
	waitpid(sink, NULL, 0);
	netns_close(&ns);
	rmdir(BPFFS);
	return 0;
}
