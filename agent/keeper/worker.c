/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one proxy process, and the sockets it is spoken to by. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/keeper/keeper_priv.h"
#include "agent/proxy/start.h"

#define IPC_BATCH 64 /* messages dealt with per wake-up */

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
	close_fd(&w->ipc);
	close_fd(&w->resolvers);
	close_sockets(w);
	w->ready = false;
	if (w->pid > 0)
		kill(w->pid, SIGKILL);
}

static void lose(struct ex_worker *w, const char *why)
{
	struct ex_keeper *k = w->keeper;

	if (w->ipc < 0)
		return;
	stop_serving(w);
	k->cfg.ops->lost(k->cfg.arg, why);
}

static void reap(struct ex_worker *w, int flags)
{
	if (w->pid <= 0 || waitpid(w->pid, NULL, flags) != w->pid)
		return;
	w->pid = 0;
	ex_watch_stop(w->keeper->cfg.loop, &w->on_end);
	close_fd(&w->pidfd);
}

static void take_messages(struct ex_worker *w, unsigned max)
{
	union ex_ipc_message msg;

	for (unsigned i = 0; i < max && w->ipc >= 0; i++) {
		ssize_t n = ex_ipc_receive(w->ipc, &msg, NULL);

		if (n == -EAGAIN)
			return;
		if (n == 0)
			lose(w, "ended");
		else if (n < 0 || ex_worker_take(w, &msg) < 0)
			lose(w, "sent what it must not and was ended");
	}
}

static void on_ipc(struct ex_watch *watch, uint32_t events)
{
	(void)events;
	take_messages(ex_container_of(watch, struct ex_worker, on_ipc), IPC_BATCH);
}

/* What it said before it ended counts. */
static void on_end(struct ex_watch *watch, uint32_t events)
{
	struct ex_worker *w = ex_container_of(watch, struct ex_worker, on_end);

	(void)events;
	reap(w, WNOHANG);
	take_messages(w, UINT_MAX);
	lose(w, "ended");
}

static void on_resolvers(struct ex_watch *watch, uint32_t events)
{
	struct ex_worker *w = ex_container_of(watch, struct ex_worker, on_resolvers);
	union ex_ipc_message msg;
	ssize_t n = ex_ipc_receive(w->resolvers, &msg, NULL);

	(void)events;
	if (n == -EAGAIN)
		return;
	if (n == 0)
		ex_watch_stop(w->keeper->cfg.loop, &w->on_resolvers);
	else if (n < 0 || ex_worker_take_resolver(w, &msg) < 0)
		lose(w, "sent what it must not and was ended");
}

void ex_worker_init(struct ex_worker *w, struct ex_keeper *k)
{
	*w = (struct ex_worker){ .keeper = k, .pidfd = -1, .ipc = -1, .resolvers = -1 };
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		w->sockets[i] = -1;
	w->on_end = (struct ex_watch){ .fd = -1, .fn = on_end };
	w->on_ipc = (struct ex_watch){ .fd = -1, .fn = on_ipc };
	w->on_resolvers = (struct ex_watch){ .fd = -1, .fn = on_resolvers };
}

static int watch_it(struct ex_worker *w)
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

int ex_worker_start(struct ex_worker *w)
{
	const struct ex_keeper_config *cfg = &w->keeper->cfg;
	const struct ex_proxy_spec spec = { .bundle = w->keeper->bundle,
					    .sockets = w->sockets,
					    .servers = cfg->servers,
					    .n_servers = cfg->n_servers,
					    .roots = cfg->roots,
					    .uid = cfg->uid };
	int ipc[2];
	int r = ex_gateway_listen(&cfg->gw, w->sockets);

	if (r < 0)
		return r;
	w->pid = ex_proxy_start(&spec, ipc);
	if (w->pid < 0)
		return w->pid;
	w->ipc = ipc[0];
	w->resolvers = ipc[1];
	return watch_it(w);
}

void ex_worker_stop(struct ex_worker *w)
{
	stop_serving(w);
	reap(w, 0);
}

int ex_worker_publish(struct ex_worker *w)
{
	struct ex_gate *gate = w->keeper->gate;
	int r = 0;

	for (size_t i = 0; i < EX_SOCK_MAX && r == 0; i++)
		if (w->sockets[i] >= 0)
			r = ex_gate_set_socket(gate, w->keeper->ifindex, (enum ex_sock)i, 0,
					       w->sockets[i]);
	close_sockets(w);
	return r;
}

void ex_worker_drain(struct ex_worker *w)
{
	take_messages(w, IPC_BATCH);
}
