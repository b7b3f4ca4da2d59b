/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy asks its privileged parent for. Bounded; more wait here in order. */
#ifndef EXEAT_AGENT_PROXY_ASK_H
#define EXEAT_AGENT_PROXY_ASK_H

#include "agent/audit/audit.h"
#include "agent/core/loop.h"
#include "agent/proxy/messages.h"

struct ex_ask;

/*
 * fd: the proxy's end; ring: where records go, may be closed after the call. Lives as long as the
 * process, whose loop ends when the parent is gone.
 */
EX_MUST_CHECK int ex_ask_new(struct ex_loop *loop, int fd, int ring, struct ex_ask **ret);

/*
 * Sends msg, whose head.type is set; fn gets the answer once, later. *fd: a descriptor that
 * came with it, closed unless fn takes it (EX_TAKE_FD); else -1. -ENOMEM, or -EBUSY when too many
 * wait.
 */
typedef void (*ex_ask_fn)(void *arg, const union ex_ipc_message *answer, int *fd);
EX_MUST_CHECK int ex_ask_send(struct ex_ask *a, union ex_ipc_message *msg, ex_ask_fn fn, void *arg);

/* fn(arg) of everything asked with this arg will not be called any more. */
void ex_ask_cancel(struct ex_ask *a, const void *arg);

/* What the parent says unasked; fd as above. Takes the place of the one before. */
void ex_ask_on_news(struct ex_ask *a, ex_ask_fn fn, void *arg);

/* Handles all that has come: what the parent said before this call is known after it. */
void ex_ask_drain(struct ex_ask *a);

/* No answer is expected to these. */
void ex_ask_swapped(struct ex_ask *a, uint32_t id, int err);
EX_MUST_CHECK int ex_ask_ready(struct ex_ask *a, struct ex_span spki);

/* When this returns the parent has it, even if the process is killed next. */
void ex_ask_audit(struct ex_ask *a, const struct ex_audit_record *rec);

#endif
