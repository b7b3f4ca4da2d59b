/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper that goes on in another program of the same process. Its workers are children of the
 * process and stay; so do the descriptors they are spoken to by. What they ask meanwhile waits in
 * their sockets. The kernel gate has their listening sockets, and they themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "agent/core/pack.h"
#include "agent/keeper/keeper_priv.h"
#include "agent/proxy/bundle.h"

/* ---- giving ---- */

static void pack_fd(struct ex_pack *p, int fd)
{
	if (fcntl(fd, F_SETFD, 0) < 0)
		p->err = -errno;
	ex_pack_u32(p, (uint32_t)fd);
}

/* It is reaped by whoever is its keeper then. */
static void kill_and_drain(struct ex_worker *w)
{
	siginfo_t info;

	if (w->pid > 0 && kill(w->pid, SIGKILL) == 0)
		(void)waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOWAIT);
	(void)!ex_worker_drain(w);
}

static void pack_worker(struct ex_pack *p, struct ex_worker *w)
{
	/*
	 * One that is on its way, or behind, is started anew by the other program; not one that is
	 * just told of other endpoints. What they wrote is read while it is known who they are: a
	 * program of another version knows nobody.
	 */
	bool keep = w->ready && w->turn >= w->keeper->owed_turn && ex_worker_drain(w) == 0;

	ex_pack_u32(p, w->pid > 0 ? (uint32_t)w->pid : 0);
	ex_pack_u32(p, keep);
	if (!keep) {
		kill_and_drain(w);
		return;
	}
	pack_fd(p, w->ipc);
	pack_fd(p, w->resolvers);
	pack_fd(p, w->ring_fd);
	ex_pack_u32(p, w->ring.at);
	ex_pack_u32(p, w->next_id);
	ex_pack_u32(p, w->next != NULL);
	ex_pack_span(p, (struct ex_span){ (const char *)w->spki, w->spki_len });
}

static int count_names(void *arg, const struct ex_ip *ip, const struct ex_names_known *known,
		       size_t n)
{
	(void)ip;
	(void)known;
	*(uint32_t *)arg += (uint32_t)n;
	return 0;
}

static int pack_names(void *arg, const struct ex_ip *ip, const struct ex_names_known *known,
		      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ex_pack_bytes(arg, ip, sizeof(*ip));
		ex_pack_span(arg, known[i].name);
		ex_pack_bytes(arg, &known[i].expires, sizeof(known[i].expires));
	}
	return 0;
}

void ex_keeper_hand_over(struct ex_keeper *k, struct ex_pack *p)
{
	uint32_t n = 0;

	pack_fd(p, k->bundle);
	ex_pack_u32(p, k->n_workers);
	for (unsigned i = 0; i < k->n_workers; i++)
		pack_worker(p, &k->workers[i]);
	ex_pack_bytes(p, k->secret, sizeof(k->secret));
	ex_pack_bytes(p, ex_names_key(k->names), sizeof(struct ex_dns_key));
	ex_audit_limit_flush(&k->limit);
	(void)ex_names_each(k->names, 0, count_names, &n);
	ex_pack_u32(p, n);
	(void)ex_names_each(k->names, 0, pack_names, p);
	ex_keeper_pack_keys(k, p);
}

/* ---- taking ---- */

static int take_fd(struct ex_unpack *u)
{
	int fd = (int)ex_unpack_u32(u);

	if (u->bad || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		u->bad = true;
		return -1;
	}
	return fd;
}

static void end_it(struct ex_worker *w)
{
	if (w->pid > 0 && kill(w->pid, SIGKILL) == 0)
		(void)waitpid(w->pid, NULL, 0);
	w->pid = 0;
}

static int map_ring(struct ex_worker *w, uint32_t at)
{
	int r = ex_ring_map(&w->ring, w->ring_fd);

	w->ring.at = at;
	return r;
}

static void unpack_worker(struct ex_unpack *u, struct ex_worker *w)
{
	struct ex_span spki;
	uint32_t at;

	w->pid = (pid_t)ex_unpack_u32(u);
	if (!ex_unpack_u32(u)) {
		end_it(w);
		return;
	}
	w->ipc = take_fd(u);
	w->resolvers = take_fd(u);
	w->ring_fd = take_fd(u);
	at = ex_unpack_u32(u);
	w->next_id = ex_unpack_u32(u);
	w->follows = ex_unpack_u32(u);
	spki = ex_unpack_span(u);
	if (u->bad || spki.len > sizeof(w->spki) || map_ring(w, at) < 0) {
		u->bad = true;
		return;
	}
	memcpy(w->spki, spki.ptr, spki.len);
	w->spki_len = spki.len;
}

static int unpack_names(struct ex_unpack *u, struct ex_keeper *k)
{
	uint64_t now = ex_loop_now(k->cfg.loop), expires;
	struct ex_dns_key key;
	int r = 0;
	size_t n;

	ex_unpack_bytes(u, &key, sizeof(key));
	ex_names_set_key(k->names, &key); /* its workers have it */
	n = ex_unpack_count(u, sizeof(struct ex_ip) + sizeof(uint32_t) + sizeof(expires));
	for (size_t i = 0; i < n && r == 0; i++) {
		struct ex_span name;
		struct ex_ip ip;

		ex_unpack_bytes(u, &ip, sizeof(ip));
		name = ex_unpack_span(u);
		ex_unpack_bytes(u, &expires, sizeof(expires));
		/* also late ones: connections that began with them go on */
		if (!u->bad && name.len)
			r = ex_names_add(k->names, &ip, name, now < expires ? now : expires,
					 now < expires ? expires - now : 0);
	}
	return r;
}

/* What it judges by, or is about to, may be of other endpoints; its rules are these. */
static void take_up_rulesets(struct ex_worker *w)
{
	w->rs = ex_ruleset_ref(w->keeper->rs);
	w->next = w->follows ? ex_ruleset_ref(w->keeper->rs) : NULL;
}

/* The workers that came along are spoken with again; the others are started. */
static int take_up(struct ex_worker *w)
{
	struct ex_loop *loop = w->keeper->cfg.loop;
	int r;

	if (w->pid <= 0)
		return ex_worker_start(w);
	w->started = ex_loop_now(loop);
	w->ready = true;
	r = w->follows ? ex_timer_start(loop, &w->late, EX_KEEPER_FOLLOW_MS) : 0;
	if (r == 0)
		r = ex_worker_watch(w);
	if (r == 0)
		ex_worker_tell_resolvers(w); /* they may be others since */
	return r;
}

/* Of another number of them none is gone on with. */
static int unpack_workers(struct ex_keeper *k, struct ex_unpack *u)
{
	struct ex_diags diags = { 0 };
	unsigned n, want = k->n_workers;
	int r;

	k->bundle = take_fd(u);
	n = ex_unpack_u32(u);
	for (k->n_workers = 0; k->n_workers < n && k->n_workers < EX_WORKERS_MAX && !u->bad;) {
		struct ex_worker *w = &k->workers[k->n_workers];

		ex_worker_init(w, k, k->n_workers++);
		unpack_worker(u, w);
	}
	r = k->bundle < 0 ? -EBADMSG : ex_bundle_compile(k->bundle, &k->rs, &diags);
	ex_diags_done(&diags);
	for (unsigned i = 0; i < k->n_workers; i++)
		take_up_rulesets(&k->workers[i]);
	return r < 0 ? r : u->bad || n != want ? -EBADMSG : 0;
}

static int adopt(struct ex_keeper *k, struct ex_unpack *u)
{
	int r = unpack_workers(k, u);

	ex_unpack_bytes(u, k->secret, sizeof(k->secret));
	if (r == 0)
		r = ex_name_classes_new(k->rs, &k->classes);
	if (r == 0)
		r = unpack_names(u, k);
	if (r == 0)
		r = ex_keeper_unpack_keys(u, k);
	for (unsigned i = 0; i < k->n_workers && r == 0; i++)
		r = take_up(&k->workers[i]);
	return r == 0 && u->bad ? -EBADMSG : r;
}

/* What its workers wrote is read when they are dead: not before there is a gate. */
static void end(struct ex_keeper *k)
{
	k->gate = k->cfg.names_kept;
	ex_keeper_stop(k);
	ex_keeper_free(k);
}

int ex_keeper_adopt(const struct ex_keeper_config *config, struct ex_unpack *u,
		    struct ex_keeper **ret)
{
	struct ex_keeper *k;
	int r = ex_keeper_alloc(config, &k);

	if (r < 0)
		return r;
	r = adopt(k, u);
	if (r < 0) {
		end(k);
		return r;
	}
	*ret = k;
	return 0;
}

void ex_keeper_end_handed(const struct ex_keeper_config *config, struct ex_unpack *u)
{
	struct ex_keeper *k;

	if (ex_keeper_alloc(config, &k) < 0) {
		ex_keeper_abandon(u);
		return;
	}
	(void)!unpack_workers(k, u);
	end(k);
}

void ex_keeper_abandon(struct ex_unpack *u)
{
	int bundle = take_fd(u);
	uint32_t n = ex_unpack_u32(u);

	for (uint32_t i = 0; i < n && i < EX_WORKERS_MAX && !u->bad; i++) {
		struct ex_worker w = { .ipc = -1, .resolvers = -1, .ring_fd = -1 };

		unpack_worker(u, &w);
		ex_closep(&w.ipc);
		ex_closep(&w.resolvers);
		ex_closep(&w.ring_fd);
		ex_ring_unmap(&w.ring);
		end_it(&w);
	}
	ex_closep(&bundle);
}
