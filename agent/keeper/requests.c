/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy may ask for. Every field is judged here anew; nothing it says is taken for true.
 */
#include <errno.h>
#include <netinet/in.h>

#include "agent/keeper/keeper_priv.h"
#include "agent/keeper/own.h"
#include "agent/tls/ca.h"

/*
 * The proxy may have only so many requests waiting that every answer has room: when one has not,
 * the proxy does not read, and waiting for it would stop everything here.
 */
static int answer(struct ex_worker *w, const void *msg, size_t len)
{
	return ex_ipc_send(w->ipc, msg, len, -1, false);
}

static int take_learn(struct ex_worker *w, const struct ex_ipc_learn *msg)
{
	struct ex_ipc_done done = { .head = { EX_IPC_LEARNED, msg->head.id },
				    .err = ex_keeper_learn(w->keeper, msg) };

	if (!ex_worker_is_alive(w)) /* it did not listen to what was forgotten for it */
		return 0;
	if (done.err == 0)
		ex_keeper_tell_known(w, msg);
	return answer(w, &done, sizeof(done));
}

static int take_extend(struct ex_worker *w, const struct ex_ipc_extend *msg)
{
	struct ex_ipc_extended done = { .head = { EX_IPC_EXTENDED, msg->head.id },
					.which = ex_keeper_extend(w->keeper, msg) };

	if (!ex_worker_is_alive(w))
		return 0;
	ex_keeper_tell_extended(w, msg, done.which);
	return answer(w, &done, sizeof(done));
}

/* Hands fd over, or says why there is none; our copy is closed. */
static int answer_fd(int socket, uint32_t type, uint32_t id, int fd)
{
	struct ex_ipc_done done = { .head = { type, id }, .err = fd < 0 ? fd : 0 };
	int r = ex_ipc_send(socket, &done, sizeof(done), fd, false);

	if (fd >= 0)
		close(fd);
	return r;
}

static int mint(struct ex_worker *w, const struct ex_ipc_mint *msg)
{
	struct ex_ipc_minted minted = { .head = { EX_IPC_MINTED, msg->head.id }, .err = -EACCES };
	struct ex_span name = ex_ipc_name_get(&msg->name);
	const void *spki = msg->spki_len ? msg->spki : w->spki;
	size_t spki_len = msg->spki_len ? msg->spki_len : w->spki_len;
	int n;

	if (w->keeper->cfg.ca && name.len && spki_len <= sizeof(msg->spki) &&
	    ex_ruleset_intercepts(w->keeper->rs, name)) {
		n = ex_ca_sign(w->keeper->cfg.ca, name, spki, spki_len, minted.der);
		minted.err = n < 0 ? n : 0;
		minted.len = n < 0 ? 0 : (uint32_t)n;
	}
	return answer(w, &minted, sizeof(minted));
}

/* The flow as the parent itself knows it: the proxy's word is not asked. */
static struct ex_decision judge_flow(struct ex_keeper *k, const struct ex_ip *dst, uint16_t port,
				     uint8_t proto)
{
	struct ex_span names[EX_NAMES_PER_ADDR_MAX];
	struct ex_flow flow = { .dst = *dst, .port = port, .proto = proto, .names = names };

	flow.n_names =
		ex_names_of(k->names, dst, ex_loop_now(k->cfg.loop), names, EX_NAMES_PER_ADDR_MAX);
	return ex_judge_l4(k->rs, &flow);
}

/*
 * Where no rule leads there, the proxy has asked too late: the name was known when it judged.
 * connect(2) says neither of these, as it does EACCES.
 */
static int may_go(struct ex_keeper *k, const struct ex_ip *dst, uint16_t port, uint8_t proto)
{
	struct ex_decision d = judge_flow(k, dst, port, proto);

	if (d.verdict == EX_V_ALLOW || (d.verdict == EX_V_STEER && proto == IPPROTO_TCP))
		return 0;
	return d.reason == EX_R_DEFAULT_DENY ? -ESTALE : -ELOOP;
}

/* Towards the workload only, and as an address it may speak with. */
static int open_udp(struct ex_keeper *k, const struct ex_ipc_udp *msg)
{
	const struct ex_gateway *gw = &k->cfg.gw;
	int r;

	if (!ex_gateway_is_workload(gw, &msg->src) ||
	    ex_ip_is4(&msg->src) != ex_ip_is4(&msg->dst) || !msg->sport || !msg->dport)
		return -EACCES;
	r = may_go(k, &msg->dst, msg->dport, IPPROTO_UDP);
	return r < 0 ? r : ex_gateway_udp(gw, &msg->src, msg->sport, &msg->dst, msg->dport);
}

/*
 * Only where the policy lets the workload go. What it may say there is the proxy's to judge, but a
 * proxy that was taken over reaches no other address. Addresses the host got after the policy was
 * compiled are the host's all the same.
 */
static int open_up(struct ex_keeper *k, const struct ex_ipc_dial *msg)
{
	int r;

	if (!msg->port || msg->scope || (msg->proto != IPPROTO_TCP && msg->proto != IPPROTO_UDP))
		return -EACCES;
	r = may_go(k, &msg->dst, msg->port, msg->proto);
	if (r < 0)
		return r;
	if (ex_name_selects(k->rs, &msg->dst) && ex_host_owns(&msg->dst))
		return -ELOOP;
	return k->cfg.dial(&k->cfg.gw, &msg->dst, msg->port, msg->proto, msg->speaks);
}

int ex_worker_take_resolver(struct ex_worker *w, const union ex_ipc_message *msg)
{
	const struct ex_keeper_config *cfg = &w->keeper->cfg;
	const struct ex_ipc_dial *dial = &msg->dial;
	const struct ex_resolver_server *s;
	int fd = -EACCES;

	if (msg->head.type != EX_IPC_DIAL)
		return -EBADMSG;
	s = ex_resolvers_find(cfg->resolvers, &dial->dst, dial->port, ex_loop_now(cfg->loop));
	if (s)
		fd = ex_dial(&s->ip, s->port,
			     dial->proto == IPPROTO_TCP ? IPPROTO_TCP : IPPROTO_UDP, s->scope,
			     false);
	return answer_fd(w->resolvers, EX_IPC_DIALLED, msg->head.id, fd);
}

static int take_ready(struct ex_worker *w, const struct ex_ipc_ready *msg)
{
	struct ex_keeper *k = w->keeper;

	if (w->ready || msg->spki_len == 0 || msg->spki_len > sizeof(msg->spki))
		return -EBADMSG;
	memcpy(w->spki, msg->spki, msg->spki_len);
	w->spki_len = msg->spki_len;
	w->ready = true;
	ex_timer_stop(k->cfg.loop, &w->late);
	ex_worker_follow(w);
	if (ex_keeper_is_ready(k))
		k->cfg.ops->ready(k->cfg.arg);
	return 0;
}

int ex_worker_take(struct ex_worker *w, const union ex_ipc_message *msg)
{
	struct ex_keeper *k = w->keeper;
	enum ex_ipc_type type = msg->head.type;

	/* Before that no flow can have reached it. */
	if (type != EX_IPC_READY && (!w->ready || !k->gate))
		return -EBADMSG;
	switch (type) {
	case EX_IPC_READY:
		return take_ready(w, &msg->ready);
	case EX_IPC_DIAL:
		return answer_fd(w->ipc, EX_IPC_DIALLED, msg->head.id, open_up(k, &msg->dial));
	case EX_IPC_LEARN:
		return take_learn(w, &msg->learn);
	case EX_IPC_EXTEND:
		return take_extend(w, &msg->extend);
	case EX_IPC_MINT:
		return mint(w, &msg->mint);
	case EX_IPC_SIGN:
		return ex_worker_sign(w, &msg->sign);
	case EX_IPC_UDP:
		return answer_fd(w->ipc, EX_IPC_UDP_READY, msg->head.id, open_udp(k, &msg->udp));
	case EX_IPC_RECORDS:
		return ex_worker_drain(w);
	case EX_IPC_SWAPPED:
		return ex_worker_followed(w, &msg->done);
	case EX_IPC_DIALLED:
	case EX_IPC_LEARNED:
	case EX_IPC_EXTENDED:
	case EX_IPC_MINTED:
	case EX_IPC_SIGNED:
	case EX_IPC_UDP_READY:
	case EX_IPC_RULESET:
	case EX_IPC_KNOWN:
	case EX_IPC_FORGOTTEN:
	case EX_IPC_SERVERS:
	case EX_IPC_INVALID:
		break;
	}
	return -EBADMSG;
}
