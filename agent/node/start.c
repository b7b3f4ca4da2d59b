/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of the agent, in order. What was in force before it came stays in force until it has
 * something better: maps are adopted, endpoints recovered, and only then is anybody answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "agent/ca/authority.h"
#include "agent/ca/trust.h"
#include "agent/core/log.h"
#include "agent/core/netns.h"
#include "agent/core/rtnl.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/guard.h"
#include "agent/node/handover.h"
#include "agent/node/learn.h"
#include "agent/node/ops.h"
#include "agent/node/report.h"
#include "agent/node/resolvers.h"
#include "agent/node/round.h"
#include "agent/node/start.h"

#define OBSERVED      2048 /* events that somebody who comes later can still see */
#define LOCK_TRIES    40
#define LOCK_PAUSE_US 50000

/* What a killed agent was just starting holds its lock for a moment longer than it. */
static bool take_lock(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		(void)usleep(LOCK_PAUSE_US);
	}
	return false;
}

static int fail(const char *what, int r)
{
	ex_error("%s: %s", what, strerror(-r));
	return r;
}

int ex_agent_harden(void)
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
int ex_agent_take_state(struct ex_node *node)
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
	if (!take_lock(node->lock)) {
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
	struct ex_gate_limits limits = { .dests = c->max_dests,
					 .rules = c->max_rules,
					 .names = c->max_names,
					 .flows = c->max_flows,
					 .pin = pin,
					 .may_differ = true };
	int r = mount_bpffs(c->bpffs);

	if (r < 0)
		return r;
	snprintf(pin, sizeof(pin), "%s/exeat", c->bpffs);
	r = ex_gate_load(&limits, &node->gate);
	if (r == -EPROTO) {
		ex_warning("what is pinned has other limits: it is replaced, flows begin anew");
		limits.may_differ = false;
		r = ex_gate_unpin_maps(pin);
		if (r == 0)
			r = ex_gate_load(&limits, &node->gate);
	}
	if (r < 0)
		return r;
	/* A quarter stays free for the names of a policy that is about to be put in force. */
	return ex_names_pool_new(ex_gate_names_max(node->gate) * 3ul / 4, &node->names);
}

static void find_resolvers(struct ex_node *node)
{
	const struct ex_resolvers *dns = &node->config.dns;

	ex_node_resolvers_look(node);
	if (dns->n == 0)
		ex_warning("no resolver: %s: %s: name one there, or with dns", dns->file,
			   dns->trouble);
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
	r = ex_observe_new(node->loop, name, OBSERVED, &node->observe);
	return r < 0 ? r : ex_node_report_open(node);
}

struct unknown {
	const struct ex_registry *registry;
	EX_VEC(uint32_t) v;
	int err;
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
	else
		to->err = -ENOMEM;
}

/* Endpoints in the kernel that no state file tells of are let go: nothing of theirs passes. */
static int forget_unknown(struct ex_node *node)
{
	struct unknown to = { .registry = &node->registry };

	ex_gate_each(node->gate, note_unknown, &to);
	for (size_t i = 0; i < to.v.n; i++)
		ex_gate_forget(node->gate, to.v.v[i]);
	free(to.v.v);
	return to.err;
}

static int recover(struct ex_node *node)
{
	int r = ex_registry_recover(&node->registry);

	if (r < 0)
		return fail("cannot read the state of endpoints", r);
	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next) {
		e->recovered = true;
		e->state = EX_NODE_DEGRADED; /* what it had passes, and nobody looks after it yet */
		e->unsaved = ex_node_resolvers_give(node, e);
	}
	ex_events_collect(node);
	r = forget_unknown(node);
	if (r < 0)
		return fail("cannot let unknown endpoints go", r);
	/* Invalid policies do not keep the agent down: it says so, and lets nobody in. */
	if (ex_round_first(node) < 0)
		ex_error("no endpoint can be added until the policies are valid");
	return 0;
}

static int find_group(const struct ex_node *node, gid_t *ret)
{
	const char *name = node->config.socket_group;
	const struct group *gr = getgrnam(name ? name : "exeat");

	if (!gr && name) {
		ex_error("socketGroup %s: there is no such group", name);
		return -EINVAL;
	}
	*ret = gr ? gr->gr_gid : 0; /* root only */
	return 0;
}

/* Of one or the other. */
static void on_change(void *arg)
{
	ex_node_resolvers_look(arg);
	ex_round_want(arg, true);
}

static int listen_control(struct ex_node *node)
{
	const struct ex_control_config c = { .path = node->config.socket,
					     .group = node->socket_group,
					     .inherited = ex_handover_control(node) };
	int r = ex_control_new(node->loop, &c, &node->control);

	if (r < 0)
		return fail(node->config.socket, r);
	r = ex_observe_serve(node->observe, node->control);
	if (r == 0)
		r = ex_node_report_serve(node);
	if (r == 0)
		r = ex_node_learn_serve(node);
	return r < 0 ? r : ex_ops_add(node);
}

static int start_watching(struct ex_node *node)
{
	struct ex_node_config *c = &node->config;
	size_t n = c->n_policy_dirs;
	int r = ex_events_watch(node);

	if (r == 0)
		r = ex_guard_watch(node);
	ex_resolvers_follow(&c->dns, EX_RESOLV_CONF);
	memcpy(node->watched, c->policy_dirs, n * sizeof(*node->watched));
	if (c->dns.file)
		node->watched[n++] = c->dns.file;
	if (r == 0)
		r = ex_dir_watch_new(node->loop, node->watched, n, c->debounce_ms, on_change, node,
				     &node->watch);
	return r < 0 ? fail("cannot watch for events", r) : 0;
}

static int read_roots(struct ex_node *node)
{
	EX_AUTO_FREE char *pem = NULL;
	size_t len;
	int r = ex_trust_roots(node->config.upstream_ca, &pem, &len);

	if (r == 0)
		r = node->roots = ex_trust_share((struct ex_span){ pem, len });
	return r < 0 ? r : 0;
}

static int prepare(struct ex_node *node)
{
	int r = ex_agent_harden();

	if (r == 0)
		r = find_group(node, &node->socket_group);
	if (r == 0)
		r = ex_agent_take_state(node);
	if (r == 0)
		r = read_roots(node);
	if (r == 0)
		r = ex_authority_open(node->config.ca_dir, &node->ca);
	if (r < 0)
		return r;
	node->own_net = ex_netns_own();
	/* Before anybody is looked at: no link goes unnoticed in between. */
	node->links_fd = ex_rtnl_watch();
	r = node->own_net < 0 ? node->own_net : node->links_fd < 0 ? node->links_fd : 0;
	return r < 0 ? fail("cannot watch the network", r) : 0;
}

int ex_agent_start(struct ex_node *node)
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
	if (r == 0) {
		find_resolvers(node);
		r = recover(node);
	}
	if (r == 0)
		r = listen_control(node);
	ex_handover_done(node);
	return r;
}
