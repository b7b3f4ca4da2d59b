/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a confined command runs as: whose identity, which capabilities, which system calls. The
 * network gates do not depend on this; it closes the ways round them (a setuid program that joins
 * another namespace, a socket family that namespaces do not contain, input typed into the
 * terminal).
 */
#ifndef EXEAT_AGENT_RUN_CONFINE_H
#define EXEAT_AGENT_RUN_CONFINE_H

#include <grp.h>
#include <sys/types.h>

#include "exeat/util.h"

#define EX_GROUPS_MAX 256

struct ex_identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[EX_GROUPS_MAX];
	int n_groups;
	char *name, *home; /* NULL: keep the environment's */
};

/*
 * user (a name or a number) when not NULL; else SUDO_UID's when exeat runs as root by sudo; else
 * the caller's own. 0 or negative errno, cause logged.
 */
EX_MUST_CHECK int ex_identity_find(const char *user, struct ex_identity *ret);
void ex_identity_done(struct ex_identity *id);

/*
 * In the process that will exec the command: becomes id for good, keeps no capability (root keeps
 * those that act inside its own network namespace or on plain files), no_new_privs, system call
 * filter. 0 or negative errno.
 */
EX_MUST_CHECK int ex_confine_self(const struct ex_identity *id);

#endif
