/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier's work per program, against .ci/verifier-budget.csv. Kernels count differently, so a
 * row holds for one release; on another kernel the numbers are only printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <cmocka.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "gate.skel.h"
#include "prefilter.skel.h"
#include "exeat/util.h"

#define BUDGET ".ci/verifier-budget.csv"

static char release[16]; /* "6.18" */

/* The number in the row of this program and this kernel; 0 = there is none. */
static unsigned budget_of(const char *program)
{
	char line[128], name[32], kernel[16];
	unsigned insns, found = 0;
	FILE *in = fopen(BUDGET, "re");

	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		if (sscanf(line, "%31[^,],%15[^,],%u", name, kernel, &insns) == 3 &&
		    strcmp(name, program) == 0 && strcmp(kernel, release) == 0)
			found = insns;
	fclose(in);
	return found;
}

static void assert_within_budget(const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	unsigned len = sizeof(info), budget = budget_of(bpf_program__name(prog));

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len), 0);
	print_message("%s,%s,%u\n", bpf_program__name(prog), release, info.verified_insns);
	if (!info.verified_insns || !budget) /* Linux 5.15 does not tell */
		return;
	if (info.verified_insns > budget + budget / 10)
		fail_msg("%s: the verifier looks at %u instructions, the budget is %u: make it "
			 "simpler, or say in the commit why it may cost more",
			 bpf_program__name(prog), info.verified_insns, budget);
}

static void assert_object(struct bpf_object *obj)
{
	struct bpf_program *prog;

	assert_non_null(obj);
	assert_int_equal(bpf_object__load(obj), 0);
	bpf_object__for_each_program(prog, obj) assert_within_budget(prog);
}

static void test_verifier_budget_is_kept(void **state)
{
	struct gate_bpf *gate = gate_bpf__open();
	struct prefilter_bpf *prefilter = prefilter_bpf__open();
	struct utsname u;
	int major, minor;

	(void)state;
	assert_int_equal(uname(&u), 0);
	assert_int_equal(sscanf(u.release, "%d.%d", &major, &minor), 2);
	snprintf(release, sizeof(release), "%d.%d", major, minor);
	/* as the agent sets them: of what they switch off the verifier sees nothing */
	gate->rodata->refuse_mark = 2;
	gate->rodata->gateway_mark = 3;
	gate->rodata->mark_check = 5;
	gate->rodata->inward_max = 7;
	assert_object(gate->obj);
	assert_object(prefilter->obj);
	gate_bpf__destroy(gate);
	prefilter_bpf__destroy(prefilter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifier_budget_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
