/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/extend.h"

#include "agent/dns/names.h"
#include "agent/proxy/ask.h"

#define PAUSE_MS 200 /* so long names are collected */

static void extend_at(struct ex_proxy *px, const struct ex_ipc_extend *msg, uint64_t which,
		      uint64_t at)
{
	for (uint32_t i = 0; i < msg->n && i < EX_IPC_EXTEND_MAX; i++) {
		struct ex_span name = ex_names_by_hash(px->names, &msg->v[i].ip, msg->v[i].hash);

		/* it is there: nothing has to make room, and the text stays where it is */
		if (name.len && which >> i & 1)
			(void)!ex_names_add(px->names, &msg->v[i].ip, name, at,
					    msg->v[i].ttl * 1000ull);
	}
}

void ex_extend_known(struct ex_proxy *px, const struct ex_ipc_extend *msg, uint64_t which)
{
	extend_at(px, msg, which, ex_loop_now(px->loop));
}

static void on_extended(void *arg, const union ex_ipc_message *answer, int *fd)
{
	struct ex_extend *e = arg;

	(void)fd;
	e->asked = false;
	if (answer->head.type == EX_IPC_EXTENDED)
		extend_at(e->px, &e->sent, answer->extended.which, e->asked_at);
}

static void ask(struct ex_extend *e)
{
	union ex_ipc_message msg = { .extend = e->next };

	msg.head.type = EX_IPC_EXTEND;
	e->asked_at = ex_loop_now(e->px->loop);
	e->asked = ex_ask_send(e->px->ask, &msg, on_extended, e) == 0;
	e->sent = e->next;
	e->next.n = 0;
}

static void collect(struct ex_extend *e)
{
	if (!e->timer.at)
		(void)!ex_timer_start(e->px->loop, &e->timer, PAUSE_MS);
}

static void on_timer(struct ex_timer *t)
{
	struct ex_extend *e = ex_container_of(t, struct ex_extend, timer);

	if (e->asked)
		collect(e);
	else
		ask(e);
}

static bool has(const struct ex_ipc_extend *msg, const struct ex_ip *ip, uint64_t hash)
{
	for (uint32_t i = 0; i < msg->n; i++)
		if (msg->v[i].hash == hash && ex_ip_eq(&msg->v[i].ip, ip))
			return true;
	return false;
}

void ex_extend_add(struct ex_extend *e, const struct ex_dns_learn *what)
{
	struct ex_ipc_extend *msg = &e->next;
	uint64_t hash = ex_dns_hash(ex_names_key(e->px->names), what->name);

	for (size_t i = 0; i < what->n_addrs && msg->n < EX_IPC_EXTEND_MAX; i++) {
		if (has(msg, &what->addrs[i], hash))
			continue;
		msg->v[msg->n].ip = what->addrs[i];
		msg->v[msg->n].hash = hash;
		msg->v[msg->n++].ttl = what->ttl;
	}
	if (msg->n == EX_IPC_EXTEND_MAX && !e->asked)
		ask(e);
	else if (msg->n)
		collect(e);
}

void ex_extend_init(struct ex_extend *e, struct ex_proxy *px)
{
	*e = (struct ex_extend){ .px = px, .timer.fn = on_timer };
}
