/* SPDX-License-Identifier: Apache-2.0 */
/* The resolvers of a run, as the host's resolv.conf changes: agent/dns/resolvers.h. */
#ifndef EXEAT_AGENT_RUN_RESOLV_H
#define EXEAT_AGENT_RUN_RESOLV_H

#include "agent/run/parent.h"

struct ex_resolv;

/*
 * Reads the file, where it plays a part. Changes are told to the proxy, unless the command, being
 * uid, could make them: who says whom to ask for a name says where it is. All borrowed.
 */
EX_MUST_CHECK int ex_resolv_new(struct ex_parent *parent, struct ex_resolvers *dns, uid_t uid,
				struct ex_resolv **ret);
void ex_resolv_free(struct ex_resolv *r); /* accepts NULL */

#endif
