/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a proxy may ask for. Everything it asks costs the privileged side time, sockets, or
 * entries of a map; the workload is given far more than it can use, a proxy that was taken over no
 * more than that. Who asks for more is not refused but not heard for a while: its messages wait in
 * its socket, and then so does it.
 */
#include <sys/epoll.h>

#include "agent/keeper/keeper_priv.h"

/* In brackets: what it costs here, and what a workload that does nothing else comes to. */
static const struct ex_rate rates[] = {
	[EX_ASK_DIAL] = { 20000, 20000 },  /* a socket (20 us; 10000: a proxy is busy then) */
	[EX_ASK_MINT] = { 200, 1000 },     /* a signature (150 us; one a name, then cached) */
	[EX_ASK_SIGN] = { 500, 2000 },     /* a signature (RSA: 1 ms; one a connection) */
	[EX_ASK_LEARN] = { 10000, 40000 }, /* an address (10 us; 500 questions a second) */
	[EX_ASK_UDP] = { 2000, 8000 },     /* a socket in the gateway (50 us; one a flow) */
	[EX_ASK_OTHER] = { 300, 600 },     /* a look into the ring (100, and at each half of it) */
};

static enum ex_ask_kind kind_of(const union ex_ipc_message *msg)
{
	switch ((enum ex_ipc_type)msg->head.type) {
	case EX_IPC_DIAL:
		return EX_ASK_DIAL;
	case EX_IPC_MINT:
		return EX_ASK_MINT;
	case EX_IPC_SIGN:
		return EX_ASK_SIGN;
	case EX_IPC_LEARN:
	case EX_IPC_EXTEND:
		return EX_ASK_LEARN;
	case EX_IPC_UDP:
		return EX_ASK_UDP;
	default:
		return EX_ASK_OTHER;
	}
}

static uint32_t amount_of(const union ex_ipc_message *msg)
{
	uint32_t n = msg->head.type == EX_IPC_LEARN    ? msg->learn.n_addrs
		     : msg->head.type == EX_IPC_EXTEND ? msg->extend.n
						       : 1;

	return n ? n : 1;
}

bool ex_worker_spend(struct ex_worker *w, const union ex_ipc_message *msg)
{
	struct ex_loop *loop = w->keeper->cfg.loop;
	enum ex_ask_kind kind = kind_of(msg);
	uint64_t wait =
		ex_bucket_spend(&w->asked[kind], &rates[kind], ex_loop_now(loop), amount_of(msg));

	if (!wait || !ex_worker_is_alive(w))
		return !wait;
	if (ex_timer_start(loop, &w->unheard, wait) < 0)
		return false; /* no memory: it may go on */
	ex_watch_set(loop, &w->on_ipc, 0);
	ex_watch_set(loop, &w->on_resolvers, 0);
	return false;
}

void ex_worker_hear(struct ex_worker *w)
{
	ex_watch_set(w->keeper->cfg.loop, &w->on_ipc, EPOLLIN);
	ex_watch_set(w->keeper->cfg.loop, &w->on_resolvers, EPOLLIN);
}
