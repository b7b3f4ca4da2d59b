/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random policies and packets, judged three times: by the naive model, by ex_judge_l4(), and by the
 * kernel program over the compiled tables. A difference is minimised and printed with its seed.
 *
 *   EX_MODEL_SEED=N    repeat a run        EX_MODEL_PAIRS=N   default 100000
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "policy/lower.h"
#include "tests/datapath/bench.h"
#include "tests/datapath/model.h"

#define PACKETS_A_POLICY 1000

static uint64_t seed;
static uint16_t source_port; /* a fresh flow each time */

static struct ex_ruleset *compile(const struct model_policy *p, const char *text)
{
	const struct ex_compile_input in = { 0 };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	(void)p;
	if (ex_compile_text(text, strlen(text), NULL, 0, &in, &rs, &diags) < 0) {
		ex_diags_print(&diags, stderr);
		fail_msg("does not compile:\n%s", text);
	}
	ex_diags_done(&diags);
	return rs;
}

/* Each policy meets only new flows. Cheaper than a new endpoint, which waits for the kernel. */
static void forget_flows(void)
{
	int fd = gate_port_find(bench_gate, BENCH_IF)->flows;
	struct ex_flow_key key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
}

static struct ex_ruleset *put_in_force(const struct model_policy *p)
{
	char text[16384];
	struct ex_ruleset *rs;
	struct ex_tables t;

	model_write(p, text, sizeof(text));
	rs = compile(p, text);
	assert_int_equal(ex_emit(rs, &t), 0);
	bench_publish(&t, EX_EP_SILENT);
	forget_flows();
	ex_tables_done(&t);
	source_port = 0;
	return rs;
}

static void event_note(void *arg, const struct ex_event *ev)
{
	struct model_verdict *v = arg;

	v->verdict = ev->verdict;
	v->reason = ev->reason;
}

/* A full bucket, so that no event is left out. */
static void refill_limits(void)
{
	assert_int_equal(gate_port_reset(bench_gate, gate_port_find(bench_gate, BENCH_IF)->slot),
			 0);
}

static struct model_verdict judge_kernel(const struct model_packet *m)
{
	struct model_verdict v = { 0 };
	struct pkt_spec s = { .proto = m->proto, .dport = m->port };
	char dst[EX_IP_TEXT];
	struct pkt_frame f;
	int action;

	if (source_port++ % 256 == 0)
		refill_limits();
	s.dst = ex_ip_text(&m->dst, dst);
	s.sport = source_port;
	s.payload_len = 8;
	pkt_build(&f, &s);
	action = bench_action(&f);
	assert_int_equal(ex_gate_events_drain(bench_gate, event_note, &v), 0);
	if (v.reason == EX_R_NO_PROXY) /* steered, with nobody there */
		v.verdict = EX_V_STEER;
	else if (v.verdict == EX_V_INVALID && action == TC_ACT_OK) /* protocols without flows */
		v = (struct model_verdict){ EX_V_ALLOW, EX_R_ALLOWED };
	assert_int_equal(action == TC_ACT_OK, v.verdict == EX_V_ALLOW);
	return v;
}

static struct model_verdict judge_user(const struct ex_ruleset *rs, const struct model_packet *m)
{
	const struct ex_flow flow = { .dst = m->dst, .port = m->port, .proto = m->proto };
	struct ex_decision d = ex_judge_l4(rs, &flow);

	if (d.verdict == EX_V_STEER)
		d.reason = EX_R_NO_PROXY;
	return (struct model_verdict){ d.verdict, d.reason };
}

static bool same(struct model_verdict a, struct model_verdict b)
{
	return a.verdict == b.verdict && a.reason == b.reason;
}

static bool agree(const struct ex_ruleset *rs, const struct model_policy *p,
		  const struct model_packet *m)
{
	struct model_verdict expected = model_judge(p, m);

	return same(expected, judge_kernel(m)) && same(expected, judge_user(rs, m));
}

static bool agree_about(const struct model_policy *p, const struct model_packet *m)
{
	struct ex_ruleset *rs = put_in_force(p);
	bool r = agree(rs, p, m);

	ex_ruleset_unref(rs);
	return r;
}

/* Leaves out every rule that the difference does not need, then tells it. */
static void fail_minimised(struct model_policy p, const struct model_packet *m)
{
	struct model_policy less;
	struct model_verdict model, kernel, user;
	struct ex_ruleset *rs;
	char text[16384], dst[EX_IP_TEXT];
	int i;

	for (i = p.n - 1; i >= 0 && p.n > 1; i--) {
		less = p;
		memmove(&less.rules[i], &less.rules[i + 1],
			(size_t)(p.n - i - 1) * sizeof(less.rules[0]));
		less.n--;
		if (!agree_about(&less, m))
			p = less;
	}
	rs = put_in_force(&p);
	model = model_judge(&p, m);
	kernel = judge_kernel(m);
	user = judge_user(rs, m);
	model_write(&p, text, sizeof(text));
	fail_msg("%s protocol %u port %u: model %s, kernel %s, ex_judge_l4 %s\n%s",
		 ex_ip_text(&m->dst, dst), m->proto, m->port, ex_reason_word(model.reason),
		 ex_reason_word(kernel.reason), ex_reason_word(user.reason), text);
}

static long from_env(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 0) : otherwise;
}

static void test_kernel_agrees_with_the_naive_model(void **state)
{
	long pairs = from_env("EX_MODEL_PAIRS", 100000), n = 0;
	long verdicts[4] = { 0 };
	struct model_policy p;
	struct model_packet m;
	struct ex_ruleset *rs;
	int i;

	(void)state;
	printf("EX_MODEL_SEED=%llu\n", (unsigned long long)seed);
	while (n < pairs) {
		model_random_policy(&p, &seed);
		rs = put_in_force(&p);
		for (i = 0; i < PACKETS_A_POLICY; i++, n++) {
			model_random_packet(&p, &m, &seed);
			if (!agree(rs, &p, &m))
				fail_minimised(p, &m);
			verdicts[model_judge(&p, &m).verdict]++;
		}
		ex_ruleset_unref(rs);
	}
	printf("%ld pairs: %ld denied, %ld allowed, %ld steered\n", n, verdicts[EX_V_DENY],
	       verdicts[EX_V_ALLOW], verdicts[EX_V_STEER]);
	/* a model that always says no would agree with a gate that always says no */
	assert_true(verdicts[EX_V_ALLOW] > n / 50);
	assert_true(verdicts[EX_V_DENY] > n / 50);
	assert_true(verdicts[EX_V_STEER] > n / 5000);
}

static int setup(void **state)
{
	struct timespec now;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	seed = (uint64_t)from_env("EX_MODEL_SEED", (long)(now.tv_sec ^ now.tv_nsec << 20));
	seed += !seed; /* zero would stay zero */
	bench_open(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_agrees_with_the_naive_model),
	};

	return cmocka_run_group_tests(tests, setup, bench_teardown);
}
