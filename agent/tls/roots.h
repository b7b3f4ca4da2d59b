/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roots that servers are verified against: every certificate of a trust store, in a sealed
 * memory file that all proxies of a process share. A proxy maps it, and reads a certificate when a
 * server's chain asks for it; until then it is bytes.
 */
#ifndef EXEAT_AGENT_TLS_ROOTS_H
#define EXEAT_AGENT_TLS_ROOTS_H

#include "exeat/util.h"

/*
 * pem: certificates; one that is broken is an error, not skipped over. The file, or -EBADMSG, also
 * when there is none.
 */
EX_MUST_CHECK int ex_roots_new(struct ex_span pem);

struct ex_roots;

/* Mapped read-only; fd may be closed then. -EPERM: not sealed; -EBADMSG. */
EX_MUST_CHECK int ex_roots_map(int fd, struct ex_roots **ret);
void ex_roots_unmap(struct ex_roots *r); /* accepts NULL */

#endif
