/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy directories as they are at one moment: every *.yaml and *.yml in them, read whole, in
 * the order of their names. A directory may be a Kubernetes ConfigMap mount, whose files are links
 * through "..data", which is swapped: reading starts over when that happened meanwhile.
 */
#ifndef EXEAT_AGENT_NODE_POLICY_FILES_H
#define EXEAT_AGENT_NODE_POLICY_FILES_H

#include "policy/arena.h"
#include "policy/compile.h"

#define EX_POLICY_FILES_MAX 4096

struct ex_policy_files {
	EX_VEC(struct ex_text) texts; /* names and bytes live in the arena */
	struct ex_arena arena;
	uint64_t digest; /* of names and bytes: the same files, the same number */
};

/*
 * 0, or negative errno with the cause in err (a directory that is not there is none without
 * policies: it is an error only when it is not readable). *ret is written on success.
 */
#define EX_POLICY_FILES_ERR 256
EX_MUST_CHECK int ex_policy_files_read(const char *const *dirs, size_t n,
				       struct ex_policy_files **ret,
				       char err[static EX_POLICY_FILES_ERR]);
void ex_policy_files_free(struct ex_policy_files *f);

#endif
