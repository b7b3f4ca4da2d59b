/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that are in use stay known. The parent is asked for many of them at once, and nobody waits
 * for its answer: what it does not extend is learned again when it has to be.
 */
#ifndef EXEAT_AGENT_PROXY_EXTEND_H
#define EXEAT_AGENT_PROXY_EXTEND_H

#include "agent/dns/gate.h"
#include "agent/proxy/proxy.h"

struct ex_extend {
	struct ex_proxy *px;
	struct ex_timer timer;
	bool asked; /* for sent, at this time */
	uint64_t asked_at;
	struct ex_ipc_extend next, sent;
};

void ex_extend_init(struct ex_extend *e, struct ex_proxy *px);

/* What there is no room for is left out. */
void ex_extend_add(struct ex_extend *e, const struct ex_dns_learn *what);

/* The gate has extended those whose bit of `which` is set: so do we. */
void ex_extend_known(struct ex_proxy *px, const struct ex_ipc_extend *msg, uint64_t which);

#endif
