/* SPDX-License-Identifier: Apache-2.0 */
/* Is a chained log whole? Reads files, writes what it finds; see chain.h for what can be found. */
#ifndef EXEAT_AGENT_AUDIT_VERIFY_H
#define EXEAT_AGENT_AUDIT_VERIFY_H

#include <stdio.h>

#include "agent/audit/key.h"

struct ex_audit_verify {
	const char *const *files; /* oldest first */
	size_t n_files;
	const char *head;                 /* NULL: none; records cut off the end cannot be missed */
	const struct ex_audit_keys *keys; /* n == 0: an unkeyed log */
	FILE *out;                        /* one line for each problem and note */
};

struct ex_audit_verified {
	uint64_t records, first, last; /* numbers of the first and last record */
	unsigned problems;
};

/* 0 (problems may have been found) or negative errno when a file cannot be read, cause logged. */
EX_MUST_CHECK int ex_audit_verify(const struct ex_audit_verify *v, struct ex_audit_verified *ret);

#endif
