/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another ruleset, or other resolvers, while flows are open. The kernel gate flips first, with
 * every name that is known: a live flow to an address without its names would be one to nowhere.
 * Then each worker is sent the bundle, and either follows or is replaced.
 */
#include <errno.h>

#include "agent/keeper/keeper_priv.h"

/* ---- into the kernel gate ---- */

struct names {
	struct ex_keeper *k;
	struct ex_ruleset *rs;
	struct ex_name_classes *classes;
	uint64_t now;
	struct ex_gate_name *v;
	size_t n, cap;
	struct ex_tables made; /* the entries of every class that names made */
	size_t made_cap, made_max;
};

static int add_entries(struct names *ns, const struct ex_tables *fresh)
{
	size_t n = ns->made.n_rules + fresh->n_rules;
	struct ex_rule_entry *v;

	if (n > ns->made_cap) {
		v = reallocarray(ns->made.rules, n * 2, sizeof(*v));
		if (!v)
			return -ENOMEM;
		ns->made.rules = v;
		ns->made_cap = n * 2;
	}
	if (fresh->n_rules)
		memcpy(ns->made.rules + ns->made.n_rules, fresh->rules,
		       fresh->n_rules * sizeof(*v));
	ns->made.n_rules = n;
	return 0;
}

static int add_name(struct names *ns, const struct ex_ip *ip, uint32_t klass, uint64_t ttl_ms)
{
	struct ex_gate_name *v;

	if (ns->n == ns->cap) {
		v = reallocarray(ns->v, ns->cap * 2 + 64, sizeof(*v));
		if (!v)
			return -ENOMEM;
		ns->v = v;
		ns->cap = ns->cap * 2 + 64;
	}
	ns->v[ns->n++] = (struct ex_gate_name){ *ip, klass, ttl_ms };
	return 0;
}

/* 0: it does not count any more. */
static uint64_t time_left(const struct names *ns, uint64_t expires, bool busy)
{
	uint64_t end = expires - EX_KEEPER_DIAL_LATER_MS;
	uint64_t least = ns->now + (busy ? EX_KEEPER_GRACE_MS : 0);

	return (end > least ? end : least) - ns->now;
}

static int take_address(void *arg, const struct ex_ip *ip, const struct ex_names_known *known,
			size_t n)
{
	struct names *ns = arg;
	struct ex_span allowed[EX_NAMES_PER_ADDR_MAX];
	struct ex_tables fresh = { 0 };
	bool busy = ex_keeper_names_is_busy(ns->k, ip);
	uint64_t expires = 0;
	uint32_t klass = 0;
	size_t kept = 0;
	int r;

	if (!ex_name_selects(ns->rs, ip) || ex_judge_answer(ns->rs, ip).verdict != EX_V_ALLOW)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!time_left(ns, known[i].expires, busy) ||
		    ex_judge_dns(ns->rs, known[i].name).verdict != EX_V_ALLOW)
			continue;
		allowed[kept++] = known[i].name;
		expires = known[i].expires > expires ? known[i].expires : expires;
	}
	r = ex_name_class(ns->classes, allowed, kept, &klass, &fresh);
	if (r < 0 || !klass)
		return r == -ENOSPC ? 0 : r; /* unknown again: denied */
	if (ns->made.n_rules + fresh.n_rules > ns->made_max) {
		ex_name_class_undo(ns->classes);
		return 0;
	}
	r = add_entries(ns, &fresh);
	return r < 0 ? r : add_name(ns, ip, klass, time_left(ns, expires, busy));
}

int ex_keeper_publish_policy(struct ex_keeper *k, struct ex_ruleset *rs,
			     struct ex_name_classes *classes)
{
	uint64_t now = ex_loop_now(k->cfg.loop);
	struct names ns = { .k = k, .rs = rs, .classes = classes, .now = now };
	struct ex_gate_names names = { 0 };
	const struct ex_tables *ingress = k->cfg.ingress ? *k->cfg.ingress : NULL;
	struct ex_tables egress = { 0 };
	int r;

	if (!k->gate)
		return 0;
	ns.made_max = ex_gate_class_room(k->gate, k->ifindex);
	r = ex_keeper_names_look_busy(k);
	if (r == 0)
		r = ex_names_each(k->names, now > EX_KEEPER_LATE_MS ? now - EX_KEEPER_LATE_MS : 0,
				  take_address, &ns);
	if (r == 0)
		r = ex_emit(rs, &egress);
	names = (struct ex_gate_names){ &ns.made, ns.v, ns.n };
	if (r == 0)
		r = ex_gate_publish_both(k->gate, k->ifindex, &k->ep,
					 &(struct ex_gate_ruleset){ &egress, &names, ingress });
	ex_tables_done(&egress);
	free(ns.made.rules);
	free(ns.v);
	if (r == 0 && ns.n)
		ex_keeper_names_late(k);
	return r;
}

/* ---- into a worker ---- */

void ex_worker_follow(struct ex_worker *w)
{
	struct ex_keeper *k = w->keeper;
	struct ex_ipc_done msg = { .head = { EX_IPC_RULESET, w->next_id + 1 } };

	/* One that is starting is told when it is ready. */
	if (!w->ready || w->next || w->rs == k->rs)
		return;
	if (ex_ipc_send(w->ipc, &msg, sizeof(msg), k->bundle, false) < 0 ||
	    ex_timer_start(k->cfg.loop, &w->late, EX_KEEPER_FOLLOW_MS) < 0) {
		w->start_again = true;
		ex_worker_lose(w, "cannot be told of another policy and was ended");
		return;
	}
	w->next_id++;
	w->next = ex_ruleset_ref(k->rs);
	w->next_turn = k->turn;
}

void ex_worker_tell_resolvers(struct ex_worker *w)
{
	struct ex_ipc_servers msg = { .head.type = EX_IPC_SERVERS };
	const struct ex_resolver_server *s;
	size_t n = ex_resolvers_general(w->keeper->cfg.resolvers, &s);

	if (!ex_worker_is_alive(w) || n == 0)
		return;
	for (; msg.n < n && msg.n < EX_RESOLVER_SERVERS; msg.n++) {
		msg.v[msg.n].ip = s[msg.n].ip;
		msg.v[msg.n].scope = s[msg.n].scope;
		msg.v[msg.n].port = s[msg.n].port;
	}
	if (ex_ipc_send(w->ipc, &msg, sizeof(msg), -1, false) == 0)
		return;
	w->start_again = true;
	ex_worker_lose(w, "cannot be told of other resolvers and was ended");
}

void ex_keeper_tell_resolvers(struct ex_keeper *k)
{
	for (unsigned i = 0; i < k->n_workers; i++)
		ex_worker_tell_resolvers(&k->workers[i]);
}

int ex_worker_followed(struct ex_worker *w, const struct ex_ipc_done *msg)
{
	if (!w->next || msg->head.id != w->next_id || msg->err > 0)
		return -EBADMSG;
	/* What it judged by the one before has been written by now, and bears its number. */
	if (ex_worker_drain(w) < 0)
		return -EBADMSG;
	ex_timer_stop(w->keeper->cfg.loop, &w->late);
	if (msg->err < 0) {
		w->keeper->swap_err = msg->err;
		w->start_again = true;
		ex_worker_lose(w, "could not follow another policy and was ended");
		return 0;
	}
	ex_ruleset_unref(w->rs);
	w->rs = EX_TAKE_PTR(w->next);
	w->turn = w->next_turn;
	/* What is newer waits for the timer, if it need not be told at once. */
	if (w->turn < w->keeper->owed_turn || !w->keeper->moving)
		ex_worker_follow(w);
	ex_keeper_look_settled(w->keeper);
	return 0;
}

void ex_keeper_look_settled(struct ex_keeper *k)
{
	if (!k->swapping || !ex_keeper_is_settled(k))
		return;
	k->swapping = false;
	if (k->cfg.ops->swapped)
		k->cfg.ops->swapped(k->cfg.arg, k->swap_err);
}
