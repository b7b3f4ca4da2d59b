/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random policies of every kind, as tests/lib/oracle makes them up and says what they mean, against
 * the kernel program over the compiled tables. Of a TCP flow, of which the proxy may see more, the
 * oracle says whether all, some or none of what could be said there is allowed: what the kernel
 * passes by itself has to be all of it, what it denies none.
 *
 *   EX_ORACLE_SEED=N   other policies      EX_ORACLE_COUNT=N   default 60
 */
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"
#include "policy/explain.h"
#include "tests/datapath/bench.h"

struct asked {
	char direction[8], address[EX_IP_TEXT], proto[8], word[8];
	unsigned port;
};

static char folder[] = "/tmp/exeat-oracle-XXXXXX";
static uint16_t source_port;
static unsigned long counts[2][4]; /* ingress; by verdict */

static const struct ex_label workload[] = {
	{ "app", "agent" },
	{ "tier", "front" },
	{ "io.cilium.k8s.namespace.labels.team", "red" },
	{ "io.kubernetes.pod.namespace", "shop" },
};

static const char *from_env(const char *name, const char *otherwise)
{
	const char *text = getenv(name);

	return text ? text : otherwise;
}

static void run(const char *const *words)
{
	char *argv[10] = { 0 };
	int status;
	pid_t pid;

	for (size_t i = 0; words[i]; i++) {
		assert_true(i + 1 < EX_ARRAY_SIZE(argv));
		argv[i] = strdup(words[i]);
	}
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
}

static struct ex_ruleset *compile(const char *policy, const struct ex_inward *inward)
{
	char endpoints[128];
	const struct ex_compile_input in = {
		.files = &policy,
		.n_files = 1,
		.endpoints_file = endpoints,
		.labels = workload,
		.n_labels = EX_ARRAY_SIZE(workload),
		.allow_unselected = true,
		.deny_metadata = true,
		.inward = inward,
	};
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	snprintf(endpoints, sizeof(endpoints), "%s/endpoints.yml", folder);
	if (ex_compile(&in, &rs, &diags) < 0) {
		ex_diags_print(&diags, stderr);
		fail_msg("does not compile: %s", policy);
	}
	ex_diags_done(&diags);
	return rs;
}

static void publish(const struct ex_ruleset *rs)
{
	struct ex_tables out, in;
	const struct ex_gate_ruleset ruleset = { .egress = &out, .ingress = &in };
	struct ex_endpoint ep;
	struct ex_flow_key key;
	int fd;

	assert_int_equal(ex_emit(rs, &out), 0);
	assert_int_equal(ex_emit(ex_ruleset_ingress(rs), &in), 0);
	netns_endpoint(&ep, EX_EP_SILENT);
	assert_int_equal(ex_gate_publish_both(bench_gate, BENCH_IF, &ep, &ruleset), 0);
	fd = gate_port_find(bench_gate, BENCH_IF)->flows;
	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	ex_tables_done(&out);
	ex_tables_done(&in);
	source_port = 20000;
}

static uint8_t proto_of(const struct asked *q)
{
	if (strcmp(q->proto, "ICMP") == 0)
		return strchr(q->address, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	if (strcmp(q->proto, "SCTP") == 0)
		return IPPROTO_SCTP;
	return strcmp(q->proto, "TCP") == 0 ? IPPROTO_TCP : IPPROTO_UDP;
}

static enum ex_verdict judge(const struct asked *q, bool ingress, enum ex_reason *why)
{
	bool six = strchr(q->address, ':');
	struct pkt_spec s = { .proto = proto_of(q), .sport = source_port++, .payload_len = 8 };

	s.dport = (uint16_t)(strcmp(q->proto, "ICMP") == 0 ? q->port << 8 : q->port);
	s.src = ingress ? q->address : NULL;
	s.dst = !ingress ? q->address : six ? NET_OWN6 : NET_OWN4;
	*why = ingress ? bench_in(&s) : bench_out(&s);
	if (*why == EX_R_NO_PROXY) /* steered, with nobody there */
		return EX_V_STEER;
	return *why == EX_R_ALLOWED ? EX_V_ALLOW : EX_V_DENY;
}

static bool agrees(const struct asked *q, enum ex_verdict v)
{
	switch (v) {
	case EX_V_ALLOW:
		return strcmp(q->word, "all") == 0;
	case EX_V_STEER: /* what is not TCP the DNS gate answers, or nobody */
		return strcmp(q->proto, "TCP") == 0 || strcmp(q->word, "none") != 0;
	case EX_V_DENY:
		return strcmp(q->word, "none") == 0;
	case EX_V_INVALID:
		break;
	}
	return false;
}

static void ask(const char *policy, const struct ex_ruleset *rs, const struct asked *q)
{
	bool ingress = strcmp(q->direction, "in") == 0;
	enum ex_verdict v;
	enum ex_reason why;

	if (!ingress && ex_ruleset_is_unselected(rs)) /* its owner does not let it out */
		return;
	v = judge(q, ingress, &why);
	if (!agrees(q, v))
		fail_msg("%s: %s %s %s %u: the oracle says %s, the kernel %s", policy, q->direction,
			 q->address, q->proto, q->port, q->word, ex_reason_word(why));
	counts[ingress][v]++;
}

static void ask_about(const char *policy, FILE *f)
{
	struct ex_served served[4];
	struct ex_inward inward = { served, 0 };
	struct ex_ruleset *rs = NULL;
	struct asked q;
	char line[256], text[32];

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "serve %31s", text) == 1) {
			assert_true(ex_served_parse(text, &served[inward.n++]));
			continue;
		}
		assert_int_equal(sscanf(line, "%7s %45s %7s %u %7s", q.direction, q.address,
					q.proto, &q.port, q.word),
				 5);
		if (!rs) {
			rs = compile(policy, &inward);
			publish(rs);
		}
		ask(policy, rs, &q);
	}
	ex_ruleset_unref(rs);
}

static void test_kernel_agrees_with_the_oracle(void **state)
{
	const char *count = from_env("EX_ORACLE_COUNT", "60");
	const char *seed = from_env("EX_ORACLE_SEED", "1");
	const char *const make[] = {
		"/usr/bin/python3", "-B", "tests/lib/oracle", folder, count, seed, "packets", NULL
	};
	char policy[64], flows[64];

	(void)state;
	run(make);
	for (long i = 0; i < strtol(count, NULL, 10); i++) {
		FILE *f;

		snprintf(policy, sizeof(policy), "%s/p%ld.yaml", folder, i);
		snprintf(flows, sizeof(flows), "%s/p%ld.flows", folder, i);
		f = fopen(flows, "r");
		assert_non_null(f);
		ask_about(policy, f);
		(void)fclose(f);
	}
	for (int i = 0; i < 2; i++)
		printf("%s: %lu denied, %lu allowed, %lu steered\n", i ? "in" : "out",
		       counts[i][EX_V_DENY], counts[i][EX_V_ALLOW], counts[i][EX_V_STEER]);
	for (int i = 0; i < 2; i++) {
		assert_true(counts[i][EX_V_DENY] > 0);
		assert_true(counts[i][EX_V_ALLOW] > 0);
	}
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	bench_open(NULL);
	return 0;
}

static int teardown(void **state)
{
	const char *const remove[] = { "/bin/rm", "-r", folder, NULL };

	run(remove);
	return bench_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_agrees_with_the_oracle),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
