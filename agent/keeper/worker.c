/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one proxy process, and the sockets it is spoken to by. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/keeper/keeper_priv.h"
#include "agent/proxy/start.h"

#define IPC_BATCH 64    /* messages dealt with per wake-up */
#define START_MS  15000 /* until it is ready */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(EX_TAKE_FD(*fd));
}

static void close_sockets(struct ex_worker *w)
{
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		close_fd(&w->sockets[i]);
}

/* Nothing opens: its sockets are closed with it, so the kernel gate finds none to steer to. */
static void stop_serving(struct ex_worker *w)
{
	struct ex_loop *loop = w->keeper->cfg.loop;

	ex_watch_stop(loop, &w->on_ipc);
	ex_watch_stop(loop, &w->on_resolvers);
	ex_timer_stop(loop, &w->late);
	ex_timer_stop(loop, &w->drain);
	ex_timer_stop(loop, &w->unheard);
	close_fd(&w->ipc);
	close_fd(&w->resolvers);
	close_sockets(w);
	w->ready = false;
	if (w->pid > 0)
		kill(w->pid, SIGKILL);
}

static void drop_ring(struct ex_worker *w)
{
	ex_ring_unmap(&w->ring);
	close_fd(&w->ring_fd);
}

/* Its memory outlives it: the last records are taken when nobody writes any more. */
static void reap(struct ex_worker *w, int flags)
{
	if (w->pid <= 0 || waitpid(w->pid, NULL, flags) != w->pid)
		return;
	w->pid = 0;
	(void)!ex_worker_drain(w);
	drop_ring(w);
	ex_watch_stop(w->keeper->cfg.loop, &w->on_end);
	close_fd(&w->pidfd);
}

/* Its ports are free when it is dead; then, and not at once, it may begin anew. */
static void plan_start(struct ex_worker *w)
{
	struct ex_keeper *k = w->keeper;
	uint64_t lived = ex_loop_now(k->cfg.loop) - w->started;

	if (w->pid || (!k->cfg.restart && !w->start_again))
		return;
	if (lived > EX_KEEPER_PAUSE_MAX_MS)
		w->pause_ms = EX_KEEPER_PAUSE_MS;
	if (ex_timer_start(k->cfg.loop, &w->again, w->pause_ms) < 0)
		return;
	w->pause_ms *= 2;
	if (w->pause_ms > EX_KEEPER_PAUSE_MAX_MS)
		w->pause_ms = EX_KEEPER_PAUSE_MAX_MS;
}

static void on_again(struct ex_timer *t)
{
	struct ex_worker *w = ex_container_of(t, struct ex_worker, again);

	if (ex_worker_start(w) < 0)
		ex_worker_lose(w, "could not be started");
}

static void on_late(struct ex_timer *t)
{
	struct ex_worker *w = ex_container_of(t, struct ex_worker, late);

	if (!w->ready) {
		ex_worker_lose(w, "did not start in time and was ended");
		return;
	}
	w->keeper->swap_err = -ETIMEDOUT;
	w->start_again = true;
	ex_worker_lose(w, "did not follow another policy in time and was ended");
}

void ex_worker_lose(struct ex_worker *w, const char *why)
{
	struct ex_keeper *k = w->keeper;

	stop_serving(w);
	if (w->on_end.fd < 0) /* nobody would tell */
		reap(w, 0);
	ex_keeper_look_settled(k);
	k->cfg.ops->lost(k->cfg.arg, why);
	plan_start(w);
}

static void on_unheard(struct ex_timer *t)
{
	ex_worker_hear(ex_container_of(t, struct ex_worker, unheard));
}

/* False: there is no other one now, or it is not heard now. */
static bool take_message(struct ex_worker *w)
{
	union ex_ipc_message msg EX_UNSET;
	ssize_t n = w->ipc < 0 ? -EAGAIN : ex_ipc_receive(w->ipc, &msg, NULL);

	if (n == -EAGAIN)
		return false;
	if (n == 0) {
		ex_worker_lose(w, "ended");
		return false;
	}
	if (n < 0 || ex_worker_take(w, &msg) < 0) {
		ex_worker_lose(w, "sent what it must not and was ended");
		return false;
	}
	return ex_worker_spend(w, &msg);
}

static void on_ipc(struct ex_watch *watch, uint32_t events)
{
	struct ex_worker *w = ex_container_of(watch, struct ex_worker, on_ipc);

	(void)events;
	for (unsigned i = 0; i < IPC_BATCH && take_message(w); i++)
		;
}

/* What it wrote before it ended counts; what it asked for does not. */
static void on_end(struct ex_watch *watch, uint32_t events)
{
	struct ex_worker *w = ex_container_of(watch, struct ex_worker, on_end);

	(void)events;
	reap(w, WNOHANG);
	if (ex_worker_is_alive(w))
		ex_worker_lose(w, "ended");
	else
		plan_start(w);
}

static void on_resolvers(struct ex_watch *watch, uint32_t events)
{
	struct ex_worker *w = ex_container_of(watch, struct ex_worker, on_resolvers);
	union ex_ipc_message msg EX_UNSET;
	ssize_t n = ex_ipc_receive(w->resolvers, &msg, NULL);

	(void)events;
	if (n == -EAGAIN)
		return;
	if (n == 0)
		ex_watch_stop(w->keeper->cfg.loop, &w->on_resolvers);
	else if (n < 0 || ex_worker_take_resolver(w, &msg) < 0)
		ex_worker_lose(w, "sent what it must not and was ended");
	else
		(void)ex_worker_spend(w, &msg);
}

void ex_worker_init(struct ex_worker *w, struct ex_keeper *k, uint32_t index)
{
	*w = (struct ex_worker){ .keeper = k,
				 .index = index,
				 .pidfd = -1,
				 .ipc = -1,
				 .resolvers = -1,
				 .ring_fd = -1,
				 .late.fn = on_late,
				 .drain.fn = ex_worker_on_drain,
				 .unheard.fn = on_unheard,
				 .again.fn = on_again,
				 .pause_ms = EX_KEEPER_PAUSE_MS };
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		w->sockets[i] = -1;
	w->on_end = (struct ex_watch){ .fd = -1, .fn = on_end };
	w->on_ipc = (struct ex_watch){ .fd = -1, .fn = on_ipc };
	w->on_resolvers = (struct ex_watch){ .fd = -1, .fn = on_resolvers };
}

int ex_worker_watch(struct ex_worker *w)
{
	struct ex_loop *loop = w->keeper->cfg.loop;
	int r;

	w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	if (w->pidfd < 0)
		return -errno;
	r = ex_watch_start(loop, &w->on_end, w->pidfd, EPOLLIN);
	if (r == 0)
		r = ex_watch_start(loop, &w->on_ipc, w->ipc, EPOLLIN);
	if (r == 0)
		r = ex_watch_start(loop, &w->on_resolvers, w->resolvers, EPOLLIN);
	return r;
}

static void take_ruleset(struct ex_worker *w)
{
	ex_ruleset_unref(w->rs);
	w->rs = ex_ruleset_ref(w->keeper->rs);
	w->turn = w->keeper->turn;
	w->next = ex_ruleset_unref(w->next);
	w->next_id = 0;
}

static int make_ring(struct ex_worker *w)
{
	drop_ring(w); /* when the last start went no further */
	w->ring_fd = ex_ring_new();
	return w->ring_fd < 0 ? w->ring_fd : ex_ring_map(&w->ring, w->ring_fd);
}

static int spawn(struct ex_worker *w)
{
	struct ex_keeper *k = w->keeper;
	const struct ex_proxy_spec spec = { .bundle = k->bundle,
					    .sockets = w->sockets,
					    .ring = w->ring_fd,
					    .servers = k->cfg.resolvers->v,
					    .n_servers = k->cfg.resolvers->n,
					    .roots = k->cfg.roots,
					    .unread = k->cfg.unread,
					    .names = k->names,
					    .names_since = ex_loop_now(k->cfg.loop) +
							   EX_KEEPER_DIAL_LATER_MS,
					    .workers = k->n_workers,
					    .uid = k->cfg.uid,
					    .secret = k->secret };
	int ipc[2], r = ex_proxy_start(&spec, ipc);

	if (r < 0)
		return r;
	w->pid = r;
	w->ipc = ipc[0];
	w->resolvers = ipc[1];
	return 0;
}

int ex_worker_start(struct ex_worker *w)
{
	struct ex_keeper *k = w->keeper;
	int r;

	w->started = ex_loop_now(k->cfg.loop);
	w->start_again = false;
	take_ruleset(w);
	r = ex_gateway_listen(&k->cfg.gw, w->index, w->sockets);
	if (r == 0)
		r = make_ring(w);
	if (r == 0)
		r = spawn(w);
	if (r == 0)
		r = ex_worker_watch(w);
	if (r == 0)
		r = ex_timer_start(k->cfg.loop, &w->late, START_MS);
	return r < 0 || !k->gate ? r : ex_worker_publish(w);
}

void ex_worker_stop(struct ex_worker *w)
{
	stop_serving(w);
	ex_timer_stop(w->keeper->cfg.loop, &w->again);
	reap(w, 0);
	drop_ring(w);
	w->rs = ex_ruleset_unref(w->rs);
	w->next = ex_ruleset_unref(w->next);
}

int ex_worker_publish(struct ex_worker *w)
{
	const struct ex_keeper *k = w->keeper;
	int r = 0;

	for (size_t i = 0; i < EX_SOCK_MAX && r == 0; i++)
		if (w->sockets[i] >= 0)
			r = ex_gate_set_socket(k->gate, k->ifindex, (enum ex_sock)i, w->index,
					       w->sockets[i]);
	close_sockets(w);
	/* What it wrote in the time of the program before this one, and then whenever it says so.
	 */
	return r < 0 ? r : ex_timer_start(k->cfg.loop, &w->drain, 0);
}

void ex_worker_finish(struct ex_worker *w, uint64_t until)
{
	struct pollfd ipc = { .fd = w->ipc, .events = POLLIN };
	union ex_ipc_message msg;
	uint64_t now = ex_clock_ms();

	if (!w->ready || shutdown(w->ipc, SHUT_WR) < 0)
		return;
	while (now < until && poll(&ipc, 1, (int)(until - now)) != 0) {
		ssize_t n = ex_ipc_receive(w->ipc, &msg, NULL);

		/* What it asks for is not answered any more; it may wait for room for records. */
		if (n == 0 || (n < 0 && n != -EAGAIN) ||
		    (n > 0 && msg.head.type == EX_IPC_RECORDS && ex_worker_drain(w) < 0))
			return;
		now = ex_clock_ms();
	}
}
