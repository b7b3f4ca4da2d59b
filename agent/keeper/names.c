/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names a workload has learned, on the privileged side: the book of them (dns/names.h) and what
 * the kernel gate makes of it. An address has the class of all the names that are live for it, and
 * no other: it is classed again when one of them is learned, ends, or has to make room.
 */
#include <errno.h>

#include "agent/core/log.h"
#include "agent/keeper/keeper_priv.h"

#define TTL_MAX  86400 /* seconds an address may be known for, whatever is asked */
#define PAUSE_MS 1000  /* between two looks at what has ended */

static uint64_t now_of(const struct ex_keeper *k)
{
	return ex_loop_now(k->cfg.loop);
}

/* ---- what the kernel gate is told ---- */

static int compare_ips(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ex_ip));
}

bool ex_keeper_names_is_busy(const struct ex_keeper *k, const struct ex_ip *ip)
{
	return k->n_busy && bsearch(ip, k->busy, k->n_busy, sizeof(*ip), compare_ips);
}

/* The book has names for longer than the kernel gate; after a swap both count late ones. */
static uint64_t counted_since(const struct ex_keeper *k, const struct ex_ip *ip)
{
	uint64_t now = now_of(k);

	if (now >= k->late_until || !ex_keeper_names_is_busy(k, ip))
		return now + EX_KEEPER_DIAL_LATER_MS;
	return now > EX_KEEPER_LATE_MS ? now - EX_KEEPER_LATE_MS : 0;
}

static void look_again(struct ex_keeper *k, uint64_t at)
{
	uint64_t now = now_of(k);

	if (at < now + PAUSE_MS)
		at = now + PAUSE_MS;
	if (k->look_at && k->look_at <= at)
		return;
	/* Without the timer a class lasts as long as the name that lives longest. */
	if (ex_timer_start(k->cfg.loop, &k->look, at - now) == 0)
		k->look_at = at;
}

static uint64_t end_of(const struct ex_keeper *k, const struct ex_ip *ip, uint64_t expires)
{
	uint64_t end = expires - EX_KEEPER_DIAL_LATER_MS;

	if (now_of(k) < k->late_until && end < k->late_until && ex_keeper_names_is_busy(k, ip))
		return k->late_until;
	return end;
}

/* The class of one address under all its names. */
static int class_address(struct ex_keeper *k, const struct ex_ip *ip)
{
	struct ex_names_known known[EX_NAMES_PER_ADDR_MAX];
	struct ex_span names[EX_NAMES_PER_ADDR_MAX];
	size_t n = ex_names_known_of(k->names, ip, counted_since(k, ip), known);
	uint64_t first = UINT64_MAX, last = 0;
	struct ex_tables fresh = { 0 };
	uint32_t klass = 0;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t end = end_of(k, ip, known[i].expires);

		names[i] = known[i].name;
		first = end < first ? end : first;
		last = end > last ? end : last;
	}
	if (n)
		r = ex_name_class(k->classes, names, n, &klass, &fresh);
	if (r == 0 && fresh.n_rules) {
		r = ex_gate_add_class(k->gate, k->ifindex, &fresh);
		if (r < 0)
			ex_name_class_undo(k->classes);
	}
	if (r < 0)
		return r;
	if (n > 1 && klass)
		look_again(k, first);
	/* class 0: the name may be asked for, but no rule leads to it */
	return ex_gate_learn(k->gate, k->ifindex, ip, klass, last ? last - now_of(k) : 0);
}

/* After it has lost a name. What cannot be put right goes. */
static void class_again(struct ex_keeper *k, const struct ex_ip *ip)
{
	if (ex_name_selects(k->rs, ip) && class_address(k, ip) < 0)
		(void)!ex_gate_learn(k->gate, k->ifindex, ip, 0, 0);
}

/* ---- names that end ---- */

struct look {
	struct ex_keeper *k;
	uint64_t from, to; /* in the time of the book */
};

static int look_at_address(void *arg, const struct ex_ip *ip, const struct ex_names_known *known,
			   size_t n)
{
	const struct look *l = arg;
	uint64_t first = UINT64_MAX;
	bool ended = false;

	for (size_t i = 0; i < n; i++) {
		ended |= known[i].expires <= l->to;
		if (known[i].expires > l->to && known[i].expires < first)
			first = known[i].expires;
	}
	if (first == UINT64_MAX || n == 1)
		return 0; /* it has ended with its last name, or goes on with its only one */
	if (ended)
		class_again(l->k, ip);
	else
		look_again(l->k, end_of(l->k, ip, first));
	return 0;
}

static void forget_busy(struct ex_keeper *k)
{
	free(k->busy);
	k->busy = NULL;
	k->n_busy = 0;
	k->late_until = 0;
}

static void on_look(struct ex_timer *t)
{
	struct ex_keeper *k = ex_container_of(t, struct ex_keeper, look);
	struct look l = { .k = k, .from = k->looked, .to = now_of(k) + EX_KEEPER_DIAL_LATER_MS };

	k->look_at = 0;
	if (k->late_until && now_of(k) >= k->late_until) {
		forget_busy(k);
		l.from = 0; /* late ones counted until now, whenever they ended */
	}
	k->looked = l.to;
	(void)ex_names_each(k->names, l.from, look_at_address, &l);
	if (k->late_until)
		look_again(k, k->late_until);
}

int ex_keeper_names_look_busy(struct ex_keeper *k)
{
	struct ex_ip *busy;
	size_t n;
	int r = ex_gate_remotes(k->gate, k->ifindex, &busy, &n);

	if (r < 0)
		return r;
	free(k->busy);
	k->busy = busy;
	k->n_busy = n;
	return 0;
}

void ex_keeper_names_late(struct ex_keeper *k)
{
	k->late_until = now_of(k) + EX_KEEPER_GRACE_MS;
	look_again(k, 0); /* which of several names ends first was not looked at */
}

/* ---- names that make room ---- */

/* All workers but one. */
static void tell(struct ex_keeper *k, const struct ex_worker *but, const struct ex_ipc_head *msg)
{
	for (unsigned i = 0; i < k->n_workers; i++) {
		struct ex_worker *w = &k->workers[i];

		if (w != but && ex_worker_is_alive(w) &&
		    ex_ipc_send(w->ipc, msg, ex_ipc_size(msg), -1, false) < 0)
			ex_worker_lose(w, "does not listen and was ended");
	}
}

static void tell_forgotten(struct ex_keeper *k)
{
	struct ex_ipc_forgotten *f = &k->forgotten;

	ex_timer_stop(k->cfg.loop, &k->forget);
	if (!f->head.id)
		return;
	f->head.type = EX_IPC_FORGOTTEN;
	tell(k, NULL, &f->head);
	f->head.id = 0;
}

static void on_forget(struct ex_timer *t)
{
	tell_forgotten(ex_container_of(t, struct ex_keeper, forget));
}

/* The workers must not answer with it any more. */
static void note_forgotten(struct ex_keeper *k, const struct ex_ip *ip, struct ex_span name)
{
	struct ex_ipc_forgotten *f = &k->forgotten;

	f->v[f->head.id].ip = *ip;
	f->v[f->head.id].hash = ex_dns_hash(ex_names_key(k->names), name);
	if (++f->head.id == EX_IPC_FORGOTTEN_MAX || ex_timer_start(k->cfg.loop, &k->forget, 0) < 0)
		tell_forgotten(k);
}

static void on_out(void *arg, const struct ex_ip *ip, struct ex_span name, uint64_t expires)
{
	struct ex_keeper *k = arg;

	if (k->cfg.names_kept)
		ex_gate_binding_remove(k->cfg.names_kept, k->cfg.ifindex, ip, name);
	if (expires > now_of(k) + EX_KEEPER_DIAL_LATER_MS) {
		k->names_out++;
		note_forgotten(k, ip, name);
	}
	if (k->gate)
		class_again(k, ip);
}

/* ---- names that are learned ---- */

static int learn_address(struct ex_keeper *k, const struct ex_ip *ip, struct ex_span name,
			 uint64_t ttl_ms)
{
	int r;

	if (ex_judge_answer(k->rs, ip).verdict != EX_V_ALLOW)
		return -EACCES;
	r = ex_names_add(k->names, ip, name, now_of(k), ttl_ms + EX_KEEPER_DIAL_LATER_MS);
	if (r < 0)
		return r;
	if (!ex_name_selects(k->rs, ip))
		return 0; /* known by what it is: a name gives it nothing */
	return class_address(k, ip);
}

/* As long as the book has it. A name that cannot be kept is asked for again after a restart. */
static void keep_name(struct ex_keeper *k, const struct ex_ip *ip, struct ex_span name)
{
	uint64_t until = ex_names_until(k->names, ip, name, 0) - EX_KEEPER_DIAL_LATER_MS;

	if (k->cfg.names_kept &&
	    ex_gate_binding_put(k->cfg.names_kept, k->cfg.ifindex, ip, name, until - now_of(k)) < 0)
		ex_debug("no room to keep a name over a restart");
}

int ex_keeper_learn(struct ex_keeper *k, const struct ex_ipc_learn *msg)
{
	struct ex_span name = ex_ipc_name_get(&msg->name);
	uint64_t ttl_ms = (msg->ttl < TTL_MAX ? msg->ttl : TTL_MAX) * 1000ull;
	int r = 0;

	if (!name.len)
		return -EINVAL;
	if (ex_judge_dns(k->rs, name).verdict != EX_V_ALLOW)
		return -EACCES;
	for (uint32_t i = 0; i < msg->n_addrs && r == 0; i++) {
		r = learn_address(k, &msg->addrs[i], name, ttl_ms);
		if (r == 0)
			keep_name(k, &msg->addrs[i], name);
	}
	tell_forgotten(k); /* before it is told of what may be the same name */
	return r;
}

void ex_keeper_tell_known(const struct ex_worker *teller, const struct ex_ipc_learn *msg)
{
	struct ex_ipc_learn known;

	if (teller->keeper->n_workers < 2)
		return;
	memcpy(&known, msg, ex_ipc_size(&msg->head));
	known.head = (struct ex_ipc_head){ .type = EX_IPC_KNOWN };
	known.ttl = msg->ttl < TTL_MAX ? msg->ttl : TTL_MAX;
	tell(teller->keeper, teller, &known.head);
}

/* ---- names that stay in use ---- */

/* It need not be asked for by its text: it is here, or it is not known. */
static bool extend_name(struct ex_keeper *k, const struct ex_ip *ip, uint64_t hash, uint32_t ttl)
{
	struct ex_span known = ex_names_by_hash(k->names, ip, hash);
	uint64_t ttl_ms = (ttl < TTL_MAX ? ttl : TTL_MAX) * 1000ull;
	char text[EX_NAME_MAX];
	struct ex_span name = { text, known.len };

	memcpy(text, known.len ? known.ptr : "", known.len);
	if (!name.len || ex_judge_dns(k->rs, name).verdict != EX_V_ALLOW ||
	    learn_address(k, ip, name, ttl_ms) < 0)
		return false;
	keep_name(k, ip, name);
	return true;
}

uint64_t ex_keeper_extend(struct ex_keeper *k, const struct ex_ipc_extend *msg)
{
	uint64_t which = 0;

	for (uint32_t i = 0; i < msg->n; i++)
		if (extend_name(k, &msg->v[i].ip, msg->v[i].hash, msg->v[i].ttl))
			which |= 1ull << i;
	return which;
}

void ex_keeper_tell_extended(const struct ex_worker *teller, const struct ex_ipc_extend *msg,
			     uint64_t which)
{
	struct ex_ipc_extend extended = { .head.type = EX_IPC_EXTEND };

	if (teller->keeper->n_workers < 2)
		return;
	for (uint32_t i = 0; i < msg->n; i++) {
		if (!(which >> i & 1))
			continue;
		extended.v[extended.n] = msg->v[i];
		if (extended.v[extended.n].ttl > TTL_MAX)
			extended.v[extended.n].ttl = TTL_MAX;
		extended.n++;
	}
	tell(teller->keeper, teller, &extended.head);
}

/* ---- life ---- */

static bool is_wanted(const struct ex_ruleset *rs, const struct ex_ip *ip, struct ex_span name)
{
	return ex_judge_dns(rs, name).verdict == EX_V_ALLOW &&
	       ex_judge_answer(rs, ip).verdict == EX_V_ALLOW;
}

struct recall {
	struct ex_keeper *k;
	int err;
};

static void recall_name(void *arg, const struct ex_ip *ip, struct ex_span name, uint64_t ttl_ms)
{
	struct recall *to = arg;
	struct ex_keeper *k = to->k;

	if (to->err == 0 && is_wanted(k->rs, ip, name))
		to->err = ex_names_add(k->names, ip, name, now_of(k),
				       ttl_ms + EX_KEEPER_DIAL_LATER_MS);
}

int ex_keeper_names_recall(struct ex_keeper *k)
{
	struct recall to = { .k = k };

	if (k->cfg.names_kept)
		ex_gate_bindings_each(k->cfg.names_kept, k->cfg.ifindex, recall_name, &to);
	return to.err;
}

static bool keep_wanted(void *arg, const struct ex_ip *ip, struct ex_span name)
{
	struct ex_keeper *k = arg;

	if (is_wanted(k->rs, ip, name))
		return true;
	if (k->cfg.names_kept)
		ex_gate_binding_remove(k->cfg.names_kept, k->cfg.ifindex, ip, name);
	return false;
}

void ex_keeper_names_swap(struct ex_keeper *k)
{
	ex_names_keep(k->names, keep_wanted, k);
}

int ex_keeper_names_open(struct ex_keeper *k)
{
	struct ex_names_pool *pool = k->cfg.names_pool;
	size_t max = pool ? ex_names_pool_max(pool) / 3 : EX_KEEPER_NAMES_MAX;
	int r = ex_names_new(max < EX_KEEPER_NAMES_MAX ? max : EX_KEEPER_NAMES_MAX, &k->names);

	if (r < 0)
		return r;
	k->look.fn = on_look;
	k->forget.fn = on_forget;
	ex_names_on_out(k->names, on_out, k);
	if (pool)
		ex_names_join(k->names, pool);
	return 0;
}

void ex_keeper_names_close(struct ex_keeper *k)
{
	ex_timer_stop(k->cfg.loop, &k->look);
	ex_timer_stop(k->cfg.loop, &k->forget);
	forget_busy(k);
	ex_names_free(k->names);
}
