/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last valid set of policies, on disk: STATE/policies, for an agent that starts while the files
 * are not valid. It is a set of files like any other, and is decoded and compiled again.
 */
#ifndef EXEAT_AGENT_NODE_KEPT_H
#define EXEAT_AGENT_NODE_KEPT_H

#include "agent/node/policy_files.h"

struct ex_kept_from { /* the directories of the set: for others it does not stand */
	const char *const *dirs;
	size_t n;
};

/*
 * Written whole or not at all, mode 0600. On error there is none any more: an older one could allow
 * what was taken back.
 */
EX_MUST_CHECK int ex_kept_write(const char *state_dir, struct ex_kept_from from,
				const struct ex_policy_files *files);

void ex_kept_remove(const char *state_dir);

/* -ENOENT: there is none; -ESTALE: it is from other directories; -EBADMSG: it cannot be read. */
EX_MUST_CHECK int ex_kept_read(const char *state_dir, struct ex_kept_from from,
			       struct ex_policy_files **ret);

#endif
