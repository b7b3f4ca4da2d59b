/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "agent/ca/authority.h"
#include "agent/core/log.h"
#include "agent/core/rtnl.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/handover.h"
#include "agent/node/learn.h"
#include "agent/node/report.h"
#include "agent/node/round.h"
#include "agent/node/wiring.h"

#define EVENTS_MS 10 /* how long they may lie in the kernel */

/* ---- events of the kernel gate ---- */

static void take_event(void *arg, const struct ex_event *ev)
{
	struct ex_node *node = arg;
	struct ex_node_endpoint *e = ex_registry_by_ifindex(&node->registry, ev->ifindex);

	if (!e)
		return;
	ex_node_learn_event(node, e, ev);
	ex_gates_take_event(node, e, ev);
}

static bool on_events(struct ex_lazy *l)
{
	struct ex_node *node = ex_container_of(l, struct ex_node, events);
	int r = ex_gate_events_drain(node->gate, take_event, node);

	if (r < 0)
		ex_debug("cannot read the events of the kernel gate");
	return r <= 0;
}

/* Before the first round there are no gates here to take them: they wait. */
void ex_events_drain(struct ex_node *node)
{
	if (node->work.rounds)
		ex_lazy_run(&node->events);
}

void ex_events_hurry(struct ex_node *node, bool hurry)
{
	node->events.ms = hurry ? 0 : EVENTS_MS;
}

/* ---- links that go ---- */

void ex_events_collect(struct ex_node *node)
{
	struct ex_node_endpoint *e, *next;
	bool any = false;

	for (e = node->registry.first; e; e = next) {
		next = e->next;
		if (ex_wiring_is_there(&e->link))
			continue;
		ex_round_drop(node, e, false, "its interface is not there any more");
		any = true;
	}
	if (any)
		ex_round_want(node, false);
}

static void take_gone(struct ex_node *node, uint32_t ifindex)
{
	struct ex_node_endpoint *e = ex_registry_by_ifindex(&node->registry, ifindex);

	if (e) {
		ex_round_drop(node, e, false, "its interface went away");
		ex_round_want(node, false);
	}
	ex_gate_gone(node->gate, ifindex);
}

static void on_links(struct ex_watch *w, uint32_t events)
{
	struct ex_node *node = ex_container_of(w, struct ex_node, links);
	uint32_t ifindex = 0;
	int r;

	(void)events;
	while ((r = ex_rtnl_next(node->links_fd, &ifindex)) > 0) {
		if (r == EX_RTNL_LINK_GONE)
			take_gone(node, ifindex);
		else if (r == EX_RTNL_ADDR_CHANGED || node->config.allow_metadata)
			ex_round_want(node, false); /* the node's addresses are nobody's world */
	}
	if (r == -ENOBUFS) {
		ex_events_collect(node);
		ex_round_want(node, false);
	} else if (r < 0) {
		ex_debug("cannot read about links: %s", strerror(-r));
	}
}

/* ---- signals ---- */

/* After a rotation another one signs; leaves of the former are trusted until they end. */
static void reload_authority(struct ex_node *node)
{
	struct ex_ca *fresh;

	if (ex_authority_open(node->config.ca_dir, &fresh) < 0)
		return; /* it has said why; the one there is goes on */
	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		ex_gates_set_ca(e, fresh);
	ex_ca_free(node->ca);
	node->ca = fresh;
}

static void on_signal(struct ex_watch *w, uint32_t events)
{
	struct ex_node *node = ex_container_of(w, struct ex_node, signals);
	struct signalfd_siginfo si;

	(void)events;
	while (read(node->signals_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGHUP) {
			ex_node_report_reload(node);
			reload_authority(node);
			node->recompile = true;
			ex_round_want(node, true);
		} else if (si.ssi_signo == SIGUSR2) {
			ex_handover_want(node);
		} else if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT) {
			node->stopping = true;
			ex_loop_quit(node->loop);
		}
	}
}

/* Those that ask for something, and those that end us. */
static sigset_t signals_taken(bool ends)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	if (ends) {
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGINT);
	}
	return set;
}

void ex_events_hold_signals(void)
{
	sigset_t set = signals_taken(false);

	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int watch_signals(struct ex_node *node)
{
	sigset_t set = signals_taken(true);

	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	node->signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (node->signals_fd < 0)
		return -errno;
	return ex_watch_start(node->loop, &node->signals, node->signals_fd, EPOLLIN);
}

/* ---- all of them ---- */

void ex_events_init(struct ex_node *node)
{
	node->signals_fd = node->links_fd = -1;
	node->links = (struct ex_watch){ .fd = -1, .fn = on_links };
	node->signals = (struct ex_watch){ .fd = -1, .fn = on_signal };
	node->events = (struct ex_lazy){ .ms = EVENTS_MS, .fn = on_events };
}

int ex_events_watch(struct ex_node *node)
{
	int r = watch_signals(node);

	if (r == 0)
		r = ex_lazy_start(node->loop, &node->events, ex_gate_events_fd(node->gate));
	if (r == 0)
		r = ex_watch_start(node->loop, &node->links, node->links_fd, EPOLLIN);
	return r;
}
