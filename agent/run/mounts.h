/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system as the command sees it: the host's, except that the resolver and the trust store
 * are ours, that services listening on unix sockets outside (container engines, system buses, name
 * service daemons, agents) cannot be reached, and that the kernel's knobs are read-only. Everything
 * is a mount in the command's own mount namespace; the host's files are not touched.
 */
#ifndef EXEAT_AGENT_RUN_MOUNTS_H
#define EXEAT_AGENT_RUN_MOUNTS_H

#include "exeat/util.h"

#define EX_RUN_DIR     "/run/exeat"
#define EX_CA_PATH     EX_RUN_DIR "/ca.pem"     /* our CA only: for additive variables */
#define EX_BUNDLE_PATH EX_RUN_DIR "/bundle.pem" /* system roots and ours: for replacing ones */
#define EX_RESOLV_PATH EX_RUN_DIR "/resolv.conf"

struct ex_mounts {
	struct ex_span ca;     /* PEM */
	struct ex_span bundle; /* PEM */
	struct ex_span resolv; /* text of resolv.conf */
	uid_t uid;             /* owner of /run/user/UID */
	gid_t gid;
};

/*
 * Path names that unix sockets listen by, in any network namespace; malloc'd, each ends with a NUL,
 * the last is empty.
 */
EX_MUST_CHECK int ex_mounts_find_sockets(char **ret);

/*
 * In the new mount and PID namespace, as root. sockets: what ex_mounts_find_sockets() found.
 * hidden: files and directories that are not for the command, up to a NULL. 0 or negative errno,
 * cause logged.
 */
EX_MUST_CHECK int ex_mounts_apply(const struct ex_mounts *m, const char *sockets,
				  const char *const *hidden);

#endif
