/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `exeat run`. */
#ifndef EXEAT_AGENT_RUN_OPTIONS_H
#define EXEAT_AGENT_RUN_OPTIONS_H

#include "agent/dns/resolvers.h"
#include "policy/compile.h"

#define EX_RUN_POLICIES_MAX 64
#define EX_RUN_LABELS_MAX   64

struct ex_run_options {
	const char *policies[EX_RUN_POLICIES_MAX];
	size_t n_policies;
	struct ex_label labels[EX_RUN_LABELS_MAX]; /* point into argv, which is cut at '=' */
	size_t n_labels;
	struct ex_resolvers dns;
	const char *endpoints;
	const char *secrets; /* folder, or NULL */
	const char *ca;
	const char *upstream_ca;
	const char *log;
	const char *log_key;    /* chains and signs the log */
	const char *learn;      /* instead of policies: names to pass unread; NULL = enforces */
	const char *log_format; /* as it was given, or NULL */
	bool log_json;
	const char *user;
	unsigned workers; /* proxy processes */
	bool watch;       /* the policy files: what is valid is put in force */
	bool allow_metadata;
	bool quiet;
	bool verbose;
	char **command; /* NULL-terminated, at least one */
};

/* 0 = run; 1 = help was printed; -EINVAL = the mistake was printed. */
EX_MUST_CHECK int ex_run_options_parse(int argc, char **argv, struct ex_run_options *ret);

#endif
