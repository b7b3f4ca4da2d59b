/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which program of a network namespace opened a flow: the socket by sock_diag(7), its owner by
 * /proc. Asked when the flow's first packet is seen, while whoever opened it still waits. A note
 * for who reads a learned policy, and nothing that is decided by: programs call themselves what
 * they like, and what takes too long is left out.
 */
#ifndef EXEAT_AGENT_LEARN_OWNER_H
#define EXEAT_AGENT_LEARN_OWNER_H

#include "exeat/abi.h"
#include "exeat/util.h"

#define EX_OWNER_NAME     64
#define EX_OWNER_LINE_MAX 1024

struct ex_owners;

EX_MUST_CHECK int ex_owners_new(int netns, struct ex_owners **ret);
void ex_owners_free(struct ex_owners *o); /* accepts NULL */

/*
 * A line of an audit log (docs/audit.md, type "program") about an event that is the begin of a flow
 * of the namespace: its length without a newline; 0: another event, or nobody knows.
 */
size_t ex_owners_line(struct ex_owners *o, const struct ex_event *ev,
		      char out[static EX_OWNER_LINE_MAX]);

#endif
