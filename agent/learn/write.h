/* SPDX-License-Identifier: Apache-2.0 */
/* What was learned, as a policy that says where each rule comes from, and as fixtures for it. */
#ifndef EXEAT_AGENT_LEARN_WRITE_H
#define EXEAT_AGENT_LEARN_WRITE_H

#include <stdio.h>

#include "agent/learn/model.h"

enum ex_learn_format { EX_LEARN_EGRESS, EX_LEARN_CNP };

struct ex_learn_title {
	const char *name;    /* of the policy */
	const char *ns;      /* NULL: none */
	const char *command; /* what ran; any bytes */
	const struct ex_learn_label {
		const char *key, *value;
	} * labels; /* selected by; none = every workload */
	size_t n_labels;
	enum ex_learn_format format;
};

/* l is finished. Errors stay in the stream (ferror). */
void ex_learn_write_policy(const struct ex_learn *l, const struct ex_learn_title *t, FILE *out);

/* policy: its file, as the fixtures name it. */
void ex_learn_write_fixtures(const struct ex_learn *l, const struct ex_learn_title *t,
			     const char *policy, FILE *out);

#endif
