/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "agent/core/lazy.h"
#include "agent/core/log.h"
#include "agent/core/netns.h"
#include "agent/core/settle.h"
#include "agent/gate/gate.h"
#include "agent/learn/owner.h"
#include "agent/run/parent.h"
#include "agent/run/seen.h"

#define EVENTS_MS 10   /* how long they may lie in the kernel */
#define FINISH_MS 2000 /* for the last records of the proxy */

struct ex_parent {
	struct ex_loop *loop;
	struct ex_keeper *keeper;
	struct ex_gate *gate;
	struct ex_audit *audit;
	struct ex_seen *seen;
	struct ex_owners *owners; /* NULL: nobody asks */
	const struct ex_child *child;
	struct ex_lazy events;
	struct ex_watch signals;
	int signal_fd;
	bool proxy_gone;
	bool child_gone;
	bool waiting; /* for the proxy to be ready */
};

/* ---- what the keeper says ---- */

static void on_ready(void *arg)
{
	struct ex_parent *p = arg;

	if (p->waiting)
		ex_loop_quit(p->loop);
}

static void on_lost(void *arg, const char *why)
{
	struct ex_parent *p = arg;

	p->proxy_gone = true;
	ex_error("a proxy process %s: its connections have ended, a new one will be started", why);
	if (p->waiting)
		ex_loop_quit(p->loop);
}

static void on_record(void *arg, const struct ex_ruleset *rs, const struct ex_audit_record *rec)
{
	struct ex_parent *p = arg;

	if (p->audit) {
		/*
		 * Just after a swap there are two. It is only counted, and the count is not const.
		 */
		ex_audit_use(p->audit, (struct ex_ruleset *)(uintptr_t)rs);
		ex_audit_write(p->audit, rec);
	}
	ex_seen_record(p->seen, rs, rec);
}

static void on_records(void *arg, bool begin)
{
	struct ex_parent *p = arg;

	if (p->audit && begin)
		ex_audit_hold(p->audit);
	else if (p->audit)
		ex_audit_release(p->audit);
}

static void on_swapped(void *arg, int err)
{
	(void)arg;
	if (err < 0)
		ex_warning("another policy is in force, though not every proxy process could "
			   "follow: %s",
			   strerror(-err));
	else
		ex_warning("another policy is in force");
}

static const struct ex_keeper_ops keeper_ops = {
	.ready = on_ready,
	.lost = on_lost,
	.record = on_record,
	.records = on_records,
	.swapped = on_swapped,
};

/* ---- events of the kernel gate ---- */

static void take_event(void *arg, const struct ex_event *ev)
{
	struct ex_parent *p = arg;
	char line[EX_OWNER_LINE_MAX];
	size_t n = p->owners && p->audit ? ex_owners_line(p->owners, ev, line) : 0;

	if (n)
		ex_audit_note(p->audit, (struct ex_span){ line, n });
	ex_keeper_take_event(p->keeper, ev);
	ex_seen_event(p->seen, ex_keeper_ruleset(p->keeper), ev);
}

static bool on_events(struct ex_lazy *l)
{
	struct ex_parent *p = ex_container_of(l, struct ex_parent, events);
	int r = ex_gate_events_drain(p->gate, take_event, p);

	if (r < 0)
		ex_debug("cannot read the events of the kernel gate");
	return r <= 0;
}

/* ---- signals ---- */

static void look_for_end(struct ex_parent *p)
{
	if (p->child_gone || waitpid(p->child->pid, NULL, WNOHANG) != p->child->pid)
		return;
	p->child_gone = true;
	ex_loop_quit(p->loop);
}

static void on_signal(struct ex_watch *w, uint32_t events)
{
	struct ex_parent *p = ex_container_of(w, struct ex_parent, signals);
	struct signalfd_siginfo si;

	(void)events;
	while (read(p->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			look_for_end(p);
		else
			kill(p->child->pid, (int)si.ssi_signo); /* its init passes it on */
	}
}

static int watch_signals(struct ex_parent *p)
{
	static const int taken[] = { SIGCHLD, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT };
	size_t n = EX_ARRAY_SIZE(taken);
	sigset_t set;

	/* From a terminal the last two go to the command as well, whose matter they are. */
	if (!p->child->own_session) {
		n -= 2;
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGQUIT, SIG_IGN);
		/* It can make the terminal its own and stop whoever else writes there. */
		(void)signal(SIGTTOU, SIG_IGN);
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

int ex_parent_new(struct ex_parent **ret)
{
	struct ex_parent *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->signal_fd = -1;
	p->events = (struct ex_lazy){ .ms = EVENTS_MS, .fn = on_events };
	p->signals = (struct ex_watch){ .fd = -1, .fn = on_signal };
	r = ex_loop_new(&p->loop);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void ex_parent_free(struct ex_parent *p)
{
	if (!p)
		return;
	ex_keeper_free(p->keeper);
	ex_seen_free(p->seen);
	ex_owners_free(p->owners);
	ex_loop_free(p->loop);
	if (p->signal_fd >= 0)
		close(p->signal_fd);
	free(p);
}

int ex_parent_keep(struct ex_parent *p, struct ex_keeper_config *config,
		   const struct ex_run_policy *policy)
{
	config->loop = p->loop;
	config->ops = &keeper_ops;
	config->arg = p;
	return ex_keeper_new(config, policy->rs, policy->bundle, &p->keeper);
}

int ex_parent_swap(struct ex_parent *p, const struct ex_run_policy *policy)
{
	ex_lazy_run(&p->events); /* they bear the rules of the policy before */
	return ex_keeper_swap(p->keeper, policy->rs, policy->bundle);
}

struct ex_keeper *ex_parent_keeper(struct ex_parent *p)
{
	return p->keeper;
}

struct ex_loop *ex_parent_loop(struct ex_parent *p)
{
	return p->loop;
}

void ex_parent_show(struct ex_parent *p, const struct ex_label *labels, size_t n_labels)
{
	int r = ex_seen_new(p->loop, labels, n_labels, &p->seen);

	if (r < 0)
		ex_warning("exeat observe cannot look at this run: %s", strerror(-r));
}

void ex_parent_name_programs(struct ex_parent *p)
{
	EX_AUTO_CLOSE int netns = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)p->child->pid);
	netns = ex_netns_at(path);
	r = netns < 0 ? netns : ex_owners_new(netns, &p->owners);
	if (r < 0)
		ex_info("programs have no names: %s", strerror(-r));
	else
		p->events.ms = 0; /* they are named while they wait */
}

int ex_parent_watch(struct ex_parent *p, struct ex_gate *gate, struct ex_audit *audit,
		    const struct ex_child *child)
{
	int r;

	p->gate = gate;
	p->audit = audit;
	p->child = child;
	r = watch_signals(p);
	if (r == 0)
		r = ex_lazy_start(p->loop, &p->events, ex_gate_events_fd(gate));
	return r;
}

int ex_parent_wait_ready(struct ex_parent *p)
{
	int r = 0;

	p->waiting = true;
	if (!p->proxy_gone && !p->child_gone && !ex_keeper_is_ready(p->keeper))
		r = ex_loop_run(p->loop);
	p->waiting = false;
	if (r < 0)
		return r;
	return ex_keeper_is_ready(p->keeper) && !p->child_gone ? 0 : -EPIPE;
}

int ex_parent_run(struct ex_parent *p)
{
	int r = 0;

	ex_settle_on(p->loop);
	while (!p->child_gone && r == 0)
		r = ex_loop_run(p->loop);
	if (r < 0)
		return r;
	ex_lazy_run(&p->events);
	ex_keeper_finish(p->keeper, FINISH_MS);
	return ex_child_exit_status(p->child);
}
