/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "agent/core/ipc.h"
#include "agent/core/log.h"
#include "agent/core/loop.h"
#include "agent/dns/names.h"
#include "agent/gate/gate.h"
#include "agent/run/parent_priv.h"

#define NAMES_MAX 16384
#define IPC_BATCH 64 /* messages dealt with per wake-up */

/* Nothing opens: its sockets are closed, so the kernel gate finds none to steer to and denies. */
static void lose_proxy(struct ex_parent *p, const char *why)
{
	if (p->proxy_gone)
		return;
	p->proxy_gone = true;
	ex_watch_stop(p->loop, &p->ipc);
	ex_watch_stop(p->loop, &p->resolvers);
	kill(p->cfg.proxy, SIGKILL);
	ex_error("the proxy %s: everything that needs it is refused from now on", why);
	if (!p->ready)
		ex_loop_quit(p->loop);
}

static void on_ipc(struct ex_watch *w, uint32_t events)
{
	struct ex_parent *p = ex_container_of(w, struct ex_parent, ipc);
	union ex_ipc_message msg;

	(void)events;
	for (int i = 0; i < IPC_BATCH; i++) {
		ssize_t n = ex_ipc_receive(p->cfg.ipc, &msg, NULL);

		if (n == -EAGAIN)
			return;
		if (n == 0) {
			lose_proxy(p, "ended");
			return;
		}
		if (n < 0 || ex_parent_take(p, &msg) < 0) {
			lose_proxy(p, "sent what it must not and was ended");
			return;
		}
		if (!p->child_gone && p->ready && msg.head.type == EX_IPC_READY)
			ex_loop_quit(p->loop); /* ex_parent_wait_ready() waits for this */
	}
}

static void on_resolvers(struct ex_watch *w, uint32_t events)
{
	struct ex_parent *p = ex_container_of(w, struct ex_parent, resolvers);
	union ex_ipc_message msg;
	ssize_t n = ex_ipc_receive(p->cfg.resolvers, &msg, NULL);

	(void)events;
	if (n == -EAGAIN)
		return;
	if (n == 0)
		ex_watch_stop(p->loop, &p->resolvers);
	else if (n < 0 || ex_parent_take_resolver(p, &msg) < 0)
		lose_proxy(p, "sent what it must not and was ended");
}

/* ---- events of the kernel gate ---- */

/*
 * Denied and counted as everything else, but not worth a record: nobody tried anything. Both
 * kernels announce their multicast groups on the link (MLDv2, RFC 3810).
 */
static bool is_chatter(const struct ex_event *ev)
{
	static const struct ex_ip routers = { .b = { 0xff, 0x02, [15] = 0x16 } };

	/* The last words on a connection that was ended here: its rule is known, its socket gone.
	 */
	if (ev->reason == EX_R_NO_FLOW && ev->proto == IPPROTO_TCP && ev->rule)
		return true;
	return ev->proto == IPPROTO_ICMPV6 && ex_ip_eq(&ev->dst, &routers);
}

static void take_event(void *arg, const struct ex_event *ev)
{
	struct ex_parent *p = arg;
	struct ex_audit_record rec = { .app = EX_AUDIT_L4,
				       .gate = EX_AUDIT_KERNEL,
				       .verdict = ev->verdict,
				       .proto = ev->proto,
				       .reason = ev->reason,
				       .rule = ev->rule,
				       .count = 1,
				       .src = ev->src,
				       .dst = ev->dst,
				       .sport = ntohs(ev->sport),
				       .dport = ntohs(ev->dport) };

	/* What is steered is judged, and recorded, by the proxy. */
	if (ev->type != EX_EV_DENY)
		return;
	/* Left out were denials of anything: they are not this one's. */
	p->left_out += ev->suppressed;
	ex_parent_record_left_out(p);
	if (!is_chatter(ev))
		ex_audit_write(p->cfg.audit, &rec);
}

static void on_events(struct ex_watch *w, uint32_t events)
{
	struct ex_parent *p = ex_container_of(w, struct ex_parent, events);

	(void)events;
	if (ex_gate_events_drain(p->cfg.gate, take_event, p) < 0)
		ex_debug("cannot read the events of the kernel gate");
}

/* ---- signals ---- */

static void reap(struct ex_parent *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == p->cfg.proxy)
			lose_proxy(p, "ended");
		if (pid == p->cfg.child->pid) {
			p->child_gone = true;
			ex_loop_quit(p->loop);
		}
	}
}

static void on_signal(struct ex_watch *w, uint32_t events)
{
	struct ex_parent *p = ex_container_of(w, struct ex_parent, signals);
	struct signalfd_siginfo si;

	(void)events;
	while (read(p->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			reap(p);
		else
			kill(p->cfg.child->pid, (int)si.ssi_signo); /* its init passes it on */
	}
}

static int watch_signals(struct ex_parent *p)
{
	static const int taken[] = { SIGCHLD, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT };
	size_t n = EX_ARRAY_SIZE(taken);
	sigset_t set;

	/* From a terminal the last two go to the command as well, whose matter they are. */
	if (!p->cfg.child->own_session) {
		n -= 2;
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGQUIT, SIG_IGN);
	}
	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, taken[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signal_fd < 0)
		return -errno;
	return ex_watch_start(p->loop, &p->signals, p->signal_fd, EPOLLIN);
}

/* ---- life ---- */

int ex_parent_new(const struct ex_parent_config *config, struct ex_parent **ret)
{
	struct ex_parent *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->cfg = *config;
	p->signal_fd = -1;
	p->ipc.fn = on_ipc;
	p->resolvers.fn = on_resolvers;
	p->events.fn = on_events;
	p->signals.fn = on_signal;
	r = ex_loop_new(&p->loop);
	if (r == 0)
		r = ex_names_new(NAMES_MAX, &p->names);
	if (r == 0)
		r = ex_name_classes_new(config->rs, &p->classes);
	if (r == 0)
		r = watch_signals(p);
	if (r == 0)
		r = ex_watch_start(p->loop, &p->ipc, config->ipc, EPOLLIN);
	if (r == 0)
		r = ex_watch_start(p->loop, &p->resolvers, config->resolvers, EPOLLIN);
	if (r == 0)
		r = ex_watch_start(p->loop, &p->events, ex_gate_events_fd(config->gate), EPOLLIN);
	if (r < 0) {
		ex_parent_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void ex_parent_free(struct ex_parent *p)
{
	if (!p)
		return;
	ex_name_classes_free(p->classes);
	ex_names_free(p->names);
	ex_loop_free(p->loop);
	if (p->signal_fd >= 0)
		close(p->signal_fd);
	free(p);
}

int ex_parent_wait_ready(struct ex_parent *p)
{
	int r = p->ready || p->child_gone ? 0 : ex_loop_run(p->loop);

	if (r < 0)
		return r;
	return p->ready && !p->proxy_gone && !p->child_gone ? 0 : -EPIPE;
}

int ex_parent_run(struct ex_parent *p)
{
	int r = 0;

	while (!p->child_gone && r == 0)
		r = ex_loop_run(p->loop);
	if (r < 0)
		return r;
	/* What was judged before the command ended has been sent already. */
	if (!p->proxy_gone)
		on_ipc(&p->ipc, 0);
	on_events(&p->events, 0);
	ex_parent_record_left_out(p);
	return ex_child_exit_status(p->cfg.child);
}
