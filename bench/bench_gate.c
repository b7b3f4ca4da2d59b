/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nanoseconds per packet of the kernel gate, by BPF_PROG_TEST_RUN: beside a program that does
 * nothing, with 10 to 100000 prefixes in the policy. bpf_sk_assign() works on real ingress only, so
 * a steered packet is measured up to the missing socket.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define ROUNDS 7
#define RUNS   200000
#define LOOP   1

static const struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
	{ 1, 32, IPPROTO_TCP, 80, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 2 } },
	{ 2, 0, 0, 0, { EX_V_DENY, EX_KIND_NONE, EX_R_POLICY_DENY, 3 } },
};

static struct ex_dest_entry *dests_make(size_t n)
{
	struct ex_dest_entry *dests = calloc(n + 2, sizeof(*dests));
	size_t i;
	uint32_t four;

	if (!dests)
		exit(1);
	for (i = 0; i < n; i++) { /* every other /24 from 20.0.0.0 on */
		four = htonl((uint32_t)(20u << 24) + (uint32_t)(i << 9));
		dests[i] = (struct ex_dest_entry){ ex_ip_from4(&four), 96 + 24, 2 };
	}
	ex_ip_parse("198.51.100.0", &dests[n].ip);
	ex_ip_parse("2001:db8::", &dests[n + 1].ip);
	dests[n].prefix = 96 + 24;
	dests[n + 1].prefix = 32;
	dests[n].klass = dests[n + 1].klass = 1;
	return dests;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t publish(struct ex_gate *gate, size_t n)
{
	struct ex_dest_entry *dests = dests_make(n);
	struct ex_rule_entry copy[EX_ARRAY_SIZE(rules)];
	struct ex_tables t = { dests, n + 2, copy, EX_ARRAY_SIZE(copy), 2 };
	struct ex_endpoint ep = {
		.flags = EX_EP_SILENT, /* the answer is not measured: TEST_RUN keeps the packet */
		.mac = { 2, 0x65, 0x78, 0, 0, 2 },
		.gw_mac = { 2, 0x65, 0x78, 0, 0, 1 },
	};
	uint64_t from = now();
	int r;

	ex_ip_parse(NET_OWN4, &ep.ip4);
	ex_ip_parse(NET_OWN6, &ep.ip6);
	memcpy(copy, rules, sizeof(copy));
	r = ex_gate_publish(gate, LOOP, &ep, &t);
	free(dests);
	if (r) {
		fprintf(stderr, "publish: %s\n", strerror(-r));
		exit(1);
	}
	return now() - from;
}

static int cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The median round, ns a packet. */
static uint32_t measure(int prog, const struct pkt_frame *f)
{
	struct __sk_buff ctx = { .ifindex = LOOP };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = RUNS);
	uint32_t rounds[ROUNDS];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (bpf_prog_test_run_opts(prog, &opts)) {
			perror("BPF_PROG_TEST_RUN");
			exit(1);
		}
		rounds[i] = opts.duration;
	}
	qsort(rounds, ROUNDS, sizeof(*rounds), cmp);
	return rounds[ROUNDS / 2];
}

static int trivial_load(void)
{
	const struct bpf_insn ok[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "trivial", "GPL", ok, EX_ARRAY_SIZE(ok),
			     NULL);
}

static void established(struct ex_gate *gate, struct pkt_frame *f, const char *dst)
{
	struct pkt_spec s = { .dst = dst, .proto = IPPROTO_TCP, .sport = 40000, .dport = 443 };
	const char *own = strchr(dst, ':') ? NET_OWN6 : NET_OWN4;

	pkt_build(f, &s);
	(void)measure(gate_prog_fd(gate, "from_workload"), f);
	pkt_build(f, &(struct pkt_spec){ .src = dst,
					 .dst = own,
					 .src_mac = NET_GW_MAC,
					 .dst_mac = NET_OWN_MAC,
					 .proto = IPPROTO_TCP,
					 .sport = 443,
					 .dport = 40000,
					 .flags = PKT_SYN | PKT_ACK });
	(void)measure(gate_prog_fd(gate, "to_workload"), f);
	s.flags = PKT_ACK;
	pkt_build(f, &s);
}

static void row(const char *what, uint32_t ns, uint32_t floor)
{
	printf("  %-34s %5u ns  %+5d\n", what, ns, (int)ns - (int)floor);
}

static void measure_policy(struct ex_gate *gate, size_t n, uint32_t floor)
{
	uint64_t took = publish(gate, n);
	int out = gate_prog_fd(gate, "from_workload");
	struct pkt_frame f;

	printf("%zu prefixes (published in %.0f ms)\n", n, (double)took / 1e6);
	established(gate, &f, "198.51.100.7");
	row("established, IPv4", measure(out, &f), floor);
	established(gate, &f, "2001:db8::7");
	row("established, IPv6", measure(out, &f), floor);
	pkt_build(&f,
		  &(struct pkt_spec){
			  .dst = "198.51.100.7", .proto = IPPROTO_TCP, .sport = 1, .dport = 443 });
	row("allowed SYN, sent again", measure(out, &f), floor);
	pkt_build(&f, &(struct pkt_spec){
			      .dst = "20.0.6.1", .proto = IPPROTO_TCP, .sport = 1, .dport = 443 });
	row("denied by a prefix", measure(out, &f), floor);
	pkt_build(&f, &(struct pkt_spec){
			      .dst = "9.9.9.9", .proto = IPPROTO_UDP, .sport = 1, .dport = 53 });
	row("denied by default", measure(out, &f), floor);
	pkt_build(&f,
		  &(struct pkt_spec){
			  .dst = "198.51.100.7", .proto = IPPROTO_TCP, .sport = 2, .dport = 80 });
	row("steered, up to the socket", measure(out, &f), floor);
}

int main(void)
{
	static const size_t sizes[] = { 10, 1000, 100000 };
	struct ex_gate *gate = NULL;
	struct pkt_frame f;
	uint32_t floor;
	size_t i;
	int trivial;

	if (unshare(CLONE_NEWNET) || ex_gate_load(NULL, &gate))
		return 1;
	trivial = trivial_load();
	if (trivial < 0)
		return 1;
	pkt_build(&f,
		  &(struct pkt_spec){
			  .dst = "198.51.100.7", .proto = IPPROTO_TCP, .sport = 1, .dport = 443 });
	floor = measure(trivial, &f);
	printf("ns a packet; the second number is above a program that does nothing (%u ns)\n",
	       floor);
	for (i = 0; i < EX_ARRAY_SIZE(sizes); i++)
		measure_policy(gate, sizes[i], floor);
	close(trivial);
	ex_gate_free(gate);
	return 0;
}
