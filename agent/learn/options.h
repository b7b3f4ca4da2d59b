/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `exeat learn`. */
#ifndef EXEAT_AGENT_LEARN_OPTIONS_H
#define EXEAT_AGENT_LEARN_OPTIONS_H

#include "agent/learn/write.h"

#define EX_LEARN_LABELS_MAX 64
#define EX_LEARN_PASSED_MAX 32

struct ex_learn_options {
	struct ex_learn_title title;
	struct ex_learn_label labels[EX_LEARN_LABELS_MAX];
	const char *output;   /* policy file */
	const char *endpoint; /* of the agent, instead of a command: [NS/]NAME; NULL */
	const char *socket;   /* of the agent */
	const char *from;     /* audit log instead of a command; NULL */
	const char *run;      /* only records of this run or endpoint; NULL = all */
	unsigned seconds;     /* 0 = until the command ends */
	char unread[8192];    /* names, ',' between them */
	bool force;           /* overwrite */
	const char *passed[EX_LEARN_PASSED_MAX]; /* options for `exeat run` */
	size_t n_passed;
	char **command; /* NULL-terminated */
};

/* 0; 1 = help was printed; -EINVAL = the mistake was printed. */
EX_MUST_CHECK int ex_learn_options_parse(int argc, char **argv, struct ex_learn_options *ret);

#endif
