/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

struct ex_gate *bench_gate;
uint32_t bench_ifindex = BENCH_IF;

static int cpus;
static struct ex_count *counters[2];

void bench_open(const struct ex_gate_limits *limits)
{
	cpus = libbpf_num_possible_cpus();
	assert_true(cpus > 0);
	counters[0] = calloc((size_t)cpus * EX_R_MAX, sizeof(**counters));
	counters[1] = calloc((size_t)cpus * EX_R_MAX, sizeof(**counters));
	assert_true(counters[0] && counters[1]);
	assert_return_code(unshare(CLONE_NEWNET), 0);
	assert_int_equal(ex_gate_load(limits, &bench_gate), 0);
}

void bench_close(void)
{
	ex_gate_free(bench_gate);
	bench_gate = NULL;
	free(counters[0]);
	free(counters[1]);
}

int bench_setup(void **state)
{
	(void)state;
	bench_open(NULL);
	return 0;
}

int bench_teardown(void **state)
{
	(void)state;
	bench_close();
	return 0;
}

void bench_publish(const struct ex_tables *tables, uint32_t flags)
{
	struct ex_endpoint ep;

	netns_endpoint(&ep, flags);
	ep.gateway = flags & EX_EP_GATEWAY ? bench_ifindex : 0;
	assert_int_equal(ex_gate_publish(bench_gate, bench_ifindex, &ep, tables), 0);
}

void bench_publish_rules(const struct ex_rule_entry *rules, size_t n, uint32_t flags)
{
	struct ex_dest_entry dests[2] = { { .prefix = 96 + 24, .klass = 1 },
					  { .prefix = 32, .klass = 1 } };
	struct ex_tables t = { .dests = dests, .n_dests = 2, .n_rules = n, .n_classes = 1 };

	EX_AUTO_FREE struct ex_rule_entry *copy = calloc(n + 1, sizeof(*copy));

	assert_non_null(copy);
	memcpy(copy, rules, n * sizeof(*copy));
	t.rules = copy;
	assert_true(ex_ip_parse("198.51.100.0", &dests[0].ip));
	assert_true(ex_ip_parse("2001:db8::", &dests[1].ip));
	bench_publish(&t, flags);
}

static void counters_read(struct ex_count *into)
{
	uint32_t keys[EX_R_MAX], n = EX_R_MAX, next;
	int r = bpf_map_lookup_batch(gate_map_fd(bench_gate, "ex_reasons"), NULL, &next, keys, into,
				     &n, NULL);

	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(n, EX_R_MAX);
}

static enum ex_reason counted(size_t bytes)
{
	uint64_t packets, moved = 0;
	int reason, cpu, found = -1;

	for (reason = 0; reason < EX_R_MAX; reason++) {
		for (cpu = 0; cpu < cpus; cpu++) {
			const struct ex_count *was = &counters[0][reason * cpus + cpu];
			const struct ex_count *is = &counters[1][reason * cpus + cpu];

			packets = is->packets - was->packets;
			if (!packets)
				continue;
			moved += packets;
			found = reason;
			assert_int_equal(is->bytes - was->bytes, bytes);
		}
	}
	assert_int_equal(moved, 1);
	return (enum ex_reason)found;
}

static void run(int prog, const struct pkt_frame *f, uint32_t mark, struct bench_result *ret)
{
	struct __sk_buff in = { .ifindex = bench_ifindex, .mark = mark }, out = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = (uint32_t)f->len,
		    .data_out = ret->out, .data_size_out = sizeof(ret->out), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out),
		    .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(prog, &opts), 0);
	ret->action = (int)opts.retval;
	ret->mark = out.mark;
	ret->len = opts.data_size_out;
}

static struct bench_result run_counted(int prog, const struct pkt_frame *f, uint32_t mark)
{
	struct bench_result result = { 0 };

	counters_read(counters[0]);
	run(prog, f, mark, &result);
	counters_read(counters[1]);
	result.reason = counted(f->len);
	if (result.action != TC_ACT_REDIRECT) /* with an answer, or to a gateway */
		assert_int_equal(result.action == TC_ACT_OK, result.reason == EX_R_ALLOWED);
	return result;
}

struct bench_result bench_send(const struct pkt_frame *f)
{
	return run_counted(gate_prog_fd(bench_gate, "from_workload"), f, 0);
}

struct bench_result bench_receive(const struct pkt_frame *f)
{
	return run_counted(gate_prog_fd(bench_gate, "to_workload"), f, 0);
}

struct bench_result bench_program(const char *name, const struct pkt_frame *f, uint32_t mark)
{
	return run_counted(gate_prog_fd(bench_gate, name), f, mark);
}

int bench_program_action(const char *name, const struct pkt_frame *f)
{
	struct bench_result result = { 0 };

	run(gate_prog_fd(bench_gate, name), f, 0, &result);
	return result.action;
}

int bench_receive_marked(const struct pkt_frame *f, uint32_t mark)
{
	struct bench_result result = { 0 };

	run(gate_prog_fd(bench_gate, "to_workload"), f, mark, &result);
	return result.action;
}

int bench_action(const struct pkt_frame *f)
{
	struct bench_result result;

	run(gate_prog_fd(bench_gate, "from_workload"), f, 0, &result);
	return result.action;
}

enum ex_reason bench_out(const struct pkt_spec *spec)
{
	struct pkt_frame f;

	pkt_build(&f, spec);
	return bench_send(&f).reason;
}

/* Zero values mean: from the gateway's MAC to the workload. */
enum ex_reason bench_in(const struct pkt_spec *spec)
{
	struct pkt_spec s = *spec;
	struct pkt_frame f;

	s.src_mac = s.src_mac ? s.src_mac : NET_GW_MAC;
	s.dst_mac = s.dst_mac ? s.dst_mac : NET_OWN_MAC;
	pkt_build(&f, &s);
	return bench_receive(&f).reason;
}
