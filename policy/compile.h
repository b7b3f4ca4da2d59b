/* SPDX-License-Identifier: Apache-2.0 */
/* From policy files to a ruleset, with errors a policy author can act on. */
#ifndef EXEAT_POLICY_COMPILE_H
#define EXEAT_POLICY_COMPILE_H

#include <stdio.h>

#include "exeat/util.h"

struct ex_ruleset;

struct ex_diag {
	const char *file; /* owned by the list */
	int line, col;    /* 1-based; 0 = the whole file */
	bool warning;
	char *message; /* what is wrong, naming the field; attacker bytes escaped */
	char *remedy;  /* what to write instead; may be NULL */
};

struct ex_diags {
	struct ex_diag *items;
	size_t n;
};

void ex_diags_done(struct ex_diags *diags);

/* "FILE:LINE:COL: error: MESSAGE" and, indented below, "  remedy: …". */
void ex_diags_print(const struct ex_diags *diags, FILE *out);

struct ex_label {
	const char *key, *value; /* key may carry a source prefix: "k8s:app" */
};

struct ex_compile_input {
	const char *const *files;
	size_t n_files;
	const char *endpoints_file; /* which addresses carry which labels; NULL = none */

	/* The workload's labels. n_labels == 0: every policy given is applied, selectors unread. */
	const struct ex_label *labels;
	size_t n_labels;

	/* Addresses of the node itself (the "host" entity; never "world"). */
	const struct ex_ip *host_ips;
	size_t n_host_ips;

	/* Where the DNS gate answers: port 53 of these is steered, everything else there denied. */
	const struct ex_ip *dns_ips;
	size_t n_dns_ips;

	/* Deny the cloud metadata addresses whatever the policy allows. */
	bool deny_metadata;
};

/*
 * 0, or -EINVAL with at least one error in diags (warnings may come with success), or -ENOMEM.
 * *ret is written on success only.
 */
EX_MUST_CHECK int ex_compile(const struct ex_compile_input *in, struct ex_ruleset **ret,
			     struct ex_diags *diags);

/* The same, and warnings for what is legal but surely not meant: for `exeat policy check`. */
EX_MUST_CHECK int ex_compile_lint(const struct ex_compile_input *in, struct ex_ruleset **ret,
				  struct ex_diags *diags);

#endif
