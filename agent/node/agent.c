/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exeat agent`, from start to end. What was in force before it came stays in force until it has
 * something better: maps are adopted, endpoints recovered, and only then is anybody answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "agent/core/log.h"
#include "agent/core/rtnl.h"
#include "agent/node/agent.h"
#include "agent/node/authority.h"
#include "agent/node/gates.h"
#include "agent/node/netns.h"
#include "agent/node/notify.h"
#include "agent/node/ops.h"
#include "agent/node/round.h"
#include "agent/node/wiring.h"
#include "agent/run/trust.h"

#define OBSERVED 2048 /* events that somebody who comes later can still see; 3 KiB each */

static int fail(const char *what, int r)
{
	ex_error("%s: %s", what, strerror(-r));
	return r;
}

/* ---- events of the kernel gate ---- */

static void take_event(void *arg, const struct ex_event *ev)
{
	struct ex_node *node = arg;
	struct ex_node_endpoint *e = ex_registry_by_ifindex(&node->registry, ev->ifindex);

	if (e)
		ex_gates_take_event(e, ev);
}

static void on_events(struct ex_watch *w, uint32_t events)
{
	struct ex_node *node = ex_container_of(w, struct ex_node, events);

	(void)events;
	if (ex_gate_events_drain(node->gate, take_event, node) < 0)
		ex_debug("cannot read the events of the kernel gate");
}

/* ---- links that go ---- */

static void collect_vanished(struct ex_node *node)
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

static void on_links(struct ex_watch *w, uint32_t events)
{
	struct ex_node *node = ex_container_of(w, struct ex_node, links);
	uint32_t ifindex;
	int r;

	(void)events;
	while ((r = ex_rtnl_next_gone(node->links_fd, &ifindex)) == 1) {
		struct ex_node_endpoint *e = ex_registry_by_ifindex(&node->registry, ifindex);

		if (!e)
			continue;
		ex_round_drop(node, e, false, "its interface went away");
		ex_round_want(node, false);
	}
	if (r == -ENOBUFS)
		collect_vanished(node);
	else if (r < 0)
		ex_debug("cannot read about links: %s", strerror(-r));
}

/* ---- signals ---- */

static void on_signal(struct ex_watch *w, uint32_t events)
{
	struct ex_node *node = ex_container_of(w, struct ex_node, signals);
	struct signalfd_siginfo si;

	(void)events;
	while (read(node->signals_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGHUP) {
			node->recompile = true;
			ex_round_want(node, true);
		} else if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT) {
			node->stopping = true;
			ex_loop_quit(node->loop);
		}
	}
}

static int watch_signals(struct ex_node *node)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < EX_ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	node->signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (node->signals_fd < 0)
		return -errno;
	return ex_watch_start(node->loop, &node->signals, node->signals_fd, EPOLLIN);
}

/* ---- the start, in order ---- */

static int harden(void)
{
	struct rlimit files;

	if (geteuid() != 0) {
		ex_error("needs root to load the kernel gate and make namespaces");
		return -EPERM;
	}
	umask(0077);
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* A gateway namespace, a proxy and its sockets cost about two dozen an endpoint. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

/* Root's own, or nobody can rely on what is in it. */
static int take_state_dir(struct ex_node *node)
{
	char path[PATH_MAX];
	struct stat st;
	int r = ex_registry_open(&node->registry, node->config.state_dir,
				 node->config.max_endpoints);

	if (r < 0)
		return fail(node->config.state_dir, r);
	if (stat(node->config.state_dir, &st) < 0 || st.st_uid != 0 || (st.st_mode & 022)) {
		ex_error("%s must belong to root and be writable by nobody else",
			 node->config.state_dir);
		return -EPERM;
	}
	snprintf(path, sizeof(path), "%s/lock", node->config.state_dir);
	node->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (node->lock < 0)
		return fail(path, -errno);
	if (flock(node->lock, LOCK_EX | LOCK_NB) < 0) {
		ex_error("another agent is running with %s", node->config.state_dir);
		return -EBUSY;
	}
	return 0;
}

static int mount_bpffs(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC)
		return 0;
	(void)mkdir(path, 0700);
	if (mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0) {
		int r = -errno;

		ex_error("%s is no BPF file system, and mounting one there failed: %s", path,
			 strerror(-r));
		return r;
	}
	return 0;
}

static int load_gate(struct ex_node *node)
{
	const struct ex_node_config *c = &node->config;
	char pin[PATH_MAX];
	const struct ex_gate_limits limits = { .dests = c->max_dests,
					       .rules = c->max_rules,
					       .names = c->max_names,
					       .flows = c->max_flows,
					       .pin = pin };
	int r = mount_bpffs(c->bpffs);

	if (r < 0)
		return r;
	snprintf(pin, sizeof(pin), "%s/exeat", c->bpffs);
	r = ex_gate_load(&limits, &node->gate);
	if (r == -EPROTO) {
		ex_warning("what is pinned has other limits: it is replaced, flows begin anew");
		r = ex_gate_unpin(pin);
		if (r == 0)
			r = ex_gate_load(&limits, &node->gate);
	}
	return r;
}

static int find_resolvers(struct ex_node *node)
{
	struct ex_node_config *c = &node->config;
	bool all = false;

	for (size_t i = 0; i < c->n_dns; i++)
		all |= !c->dns[i].suffix[0];
	if (!all)
		c->n_dns += ex_resolver_servers_read("/etc/resolv.conf", c->dns + c->n_dns,
						     EX_NODE_SERVERS_MAX - c->n_dns);
	if (!c->n_dns) {
		ex_warning("no resolver: name one with dns, or names cannot be looked up");
		c->n_dns = ex_resolver_server_parse("127.0.0.1", &c->dns[0]);
	}
	return 0;
}

static int open_records(struct ex_node *node)
{
	const struct ex_audit_file_options o = { .path = node->config.audit_file,
						 .key_file = node->config.audit_key };
	char name[HOST_NAME_MAX + 1] = "";
	int r = 0;

	if (o.path)
		r = ex_audit_file_open(&o, &node->audit);
	if (r < 0)
		return r;
	if (node->audit)
		ex_audit_file_watch(node->audit, node->loop);
	(void)gethostname(name, sizeof(name) - 1);
	return ex_observe_new(node->loop, name, OBSERVED, &node->observe);
}

struct unknown {
	const struct ex_registry *registry;
	EX_VEC(uint32_t) v;
};

static void note_unknown(void *arg, uint32_t ifindex, const struct ex_endpoint *ep)
{
	struct unknown *to = arg;
	uint32_t *at;

	(void)ep;
	if (ex_registry_by_ifindex(to->registry, ifindex))
		return;
	at = EX_VEC_ADD(&to->v);
	if (at)
		*at = ifindex;
}

/* Endpoints in the kernel that no state file tells of are let go: nothing of theirs passes. */
static void forget_unknown(struct ex_node *node)
{
	struct unknown to = { .registry = &node->registry };

	ex_gate_each(node->gate, note_unknown, &to);
	for (size_t i = 0; i < to.v.n; i++)
		ex_gate_forget(node->gate, to.v.v[i]);
	free(to.v.v);
}

static int recover(struct ex_node *node)
{
	int r = ex_registry_recover(&node->registry);

	if (r < 0)
		return fail("cannot read the state of endpoints", r);
	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		e->recovered = true;
	collect_vanished(node);
	forget_unknown(node);
	/* Invalid policies do not keep the agent down: it says so, and lets nobody in. */
	if (ex_round_first(node) < 0)
		ex_error("no endpoint can be added until the policies are valid");
	return 0;
}

static gid_t socket_group(const struct ex_node *node)
{
	const char *name = node->config.socket_group;
	struct group *gr = getgrnam(name ? name : "exeat");

	if (!gr && name)
		ex_warning("socketGroup %s: no such group; root only", name);
	return gr ? gr->gr_gid : 0;
}

static void on_policy_change(void *arg)
{
	ex_round_want(arg, true);
}

static int listen_control(struct ex_node *node)
{
	const struct ex_control_config c = { .path = node->config.socket,
					     .group = socket_group(node) };
	int r = ex_control_new(node->loop, &c, &node->control);

	if (r < 0)
		return fail(node->config.socket, r);
	r = ex_observe_serve(node->observe, node->control);
	return r < 0 ? r : ex_ops_add(node);
}

static int start_watching(struct ex_node *node)
{
	const struct ex_node_config *c = &node->config;
	int r = watch_signals(node);

	if (r == 0)
		r = ex_watch_start(node->loop, &node->events, ex_gate_events_fd(node->gate),
				   EPOLLIN);
	if (r == 0)
		r = ex_watch_start(node->loop, &node->links, node->links_fd, EPOLLIN);
	if (r == 0)
		r = ex_policy_watch_new(node->loop, c->policy_dirs, c->n_policy_dirs,
					c->debounce_ms, on_policy_change, node, &node->watch);
	return r < 0 ? fail("cannot watch for events", r) : 0;
}

static int prepare(struct ex_node *node)
{
	int r = harden();

	if (r == 0)
		r = take_state_dir(node);
	if (r == 0)
		r = find_resolvers(node);
	if (r == 0)
		r = ex_trust_roots(node->config.upstream_ca, &node->roots, &node->roots_len);
	if (r < 0)
		return r;
	r = ex_authority_open(node->config.ca_dir, &node->ca);
	if (r < 0)
		return r;
	node->own_net = ex_netns_own();
	/* Before anybody is looked at: no link goes unnoticed in between. */
	node->links_fd = ex_rtnl_watch_links();
	r = node->own_net < 0 ? node->own_net : node->links_fd < 0 ? node->links_fd : 0;
	return r < 0 ? fail("cannot watch the network", r) : 0;
}

static int start(struct ex_node *node)
{
	int r = prepare(node);

	if (r == 0)
		r = ex_loop_new(&node->loop);
	if (r == 0)
		r = open_records(node);
	if (r == 0)
		r = load_gate(node);
	if (r == 0)
		r = start_watching(node);
	if (r == 0)
		r = recover(node);
	return r < 0 ? r : listen_control(node);
}

/* ---- the end ---- */

/* The kernel gate goes on without us. */
static void stop(struct ex_node *node)
{
	struct ex_node_endpoint *e;

	node->stopping = true;
	if (node->loop)
		ex_round_done(node);
	if (node->control)
		ex_control_free(node->control);
	ex_policy_watch_free(node->watch);
	for (e = node->registry.first; e; e = e->next)
		ex_gates_close(node, e, false);
	ex_registry_done(&node->registry);
	ex_observe_free(node->observe);
	ex_gate_free(node->gate);
	ex_ca_free(node->ca);
	if (node->audit)
		ex_audit_file_close(node->audit);
	ex_policy_files_free(node->files);
	if (node->loop)
		ex_loop_free(node->loop);
	ex_closep(&node->signals_fd);
	ex_closep(&node->links_fd);
	ex_closep(&node->own_net);
	ex_closep(&node->lock);
	free(node->roots);
	ex_node_config_done(&node->config);
}

/*
 * Nothing of exeat stays on this node: what was confined is let go. Programs first, so that no
 * endpoint is there without its maps.
 */
static int uninstall(struct ex_node *node)
{
	char pin[PATH_MAX];
	struct ex_node_endpoint *e;
	int r = harden();

	if (r == 0)
		r = take_state_dir(node);
	if (r == 0)
		r = ex_registry_recover(&node->registry);
	while (r == 0 && (e = node->registry.first)) {
		if (ex_wiring_is_there(&e->link) && ex_gate_detach(e->link.ifindex) < 0)
			ex_error("endpoint %u: cannot detach the kernel gate", e->id);
		ex_registry_remove(&node->registry, e);
		ex_node_endpoint_free(e);
	}
	snprintf(pin, sizeof(pin), "%s/exeat", node->config.bpffs);
	return r < 0 ? r : ex_gate_unpin(pin);
}

static void node_init(struct ex_node *node, char **argv)
{
	*node = (struct ex_node){ .argv = argv,
				  .lock = -1,
				  .own_net = -1,
				  .links_fd = -1,
				  .signals_fd = -1,
				  .registry = { .dir = -1 },
				  .links = { .fd = -1, .fn = on_links },
				  .signals = { .fd = -1, .fn = on_signal },
				  .events = { .fd = -1, .fn = on_events } };
	ex_round_init(node);
}

int ex_cmd_agent(int argc, char **argv)
{
	struct ex_node node;
	int r;

	node_init(&node, argv);
	r = ex_node_config_load(&node.config, argc, argv);
	if (r != 0)
		return r > 0 ? 0 : 125;
	ex_log_set_level(node.config.log_level);
	if (node.config.uninstall) {
		r = uninstall(&node);
		stop(&node);
		return r < 0 ? 125 : 0;
	}
	r = start(&node);
	if (r == 0) {
		ex_info("agent %s: %zu endpoints, policies at revision %llu", EX_VERSION,
			node.registry.n, (unsigned long long)node.revision);
		ex_notify("READY=1");
		r = ex_loop_run(node.loop);
		ex_notify("STOPPING=1");
	}
	stop(&node);
	return r < 0 ? 125 : 0;
}
