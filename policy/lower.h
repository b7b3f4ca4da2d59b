/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the compiler: typed policies to peers, terms and marks. */
#ifndef EXEAT_POLICY_LOWER_H
#define EXEAT_POLICY_LOWER_H

#include "policy/endpoints.h"
#include "policy/model.h"

struct ex_lowering {
	const struct ex_compile_input *in;
	struct ex_ruleset *rs;
	struct ex_diags *diags;
	const struct ex_known_endpoints *known;
	struct ex_marks *marks;
	const struct ex_spec *specs;
	size_t n_specs;
};

/*
 * Fills rs (infos, peers, terms) from the specs that select the workload, and marks. 0, -ENOMEM, or
 * -EINVAL with an error in diags when no policy selects the workload.
 */
EX_MUST_CHECK int ex_lower(struct ex_lowering *l);

/* ex_compile() from memory; file names in diags are policy.yaml and endpoints.yaml. For tests. */
EX_MUST_CHECK int ex_compile_text(const char *policy, size_t len, const char *endpoints,
				  size_t endpoints_len, const struct ex_compile_input *in,
				  struct ex_ruleset **ret, struct ex_diags *diags);

#endif
