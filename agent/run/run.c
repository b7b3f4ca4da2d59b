/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exeat run`, in order. What is made first is what must not see what comes later: the command's
 * init is forked before there is a secret of the policy, a CA key or a map; the command starts
 * last, when both gates stand and only then has a route.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/audit/file.h"
#include "agent/ca/authority.h"
#include "agent/ca/store.h"
#include "agent/ca/trust.h"
#include "agent/core/caps.h"
#include "agent/core/log.h"
#include "agent/core/netns.h"
#include "agent/core/output.h"
#include "agent/gate/gate.h"
#include "agent/run/mounts.h"
#include "agent/run/netns.h"
#include "agent/run/options.h"
#include "agent/run/parent.h"
#include "agent/run/policy.h"
#include "agent/run/reload.h"
#include "agent/run/resolv.h"
#include "agent/run/run.h"
#include "agent/tls/ca.h"

#define LARGE          (64 * 1024)              /* memory of this size has a mapping of its own */
#define CA_DAYS        3650                     /* no run takes longer; its key ends with it */
#define PROXY_UID_BASE (EX_OWN_IDS + 0x1000000) /* one per run, by its pid */

struct run {
	struct ex_run_options opt;
	struct ex_identity id;
	struct ex_netns ns;
	struct ex_run_policy policy;
	char *sockets;
	struct ex_child child;
	char *roots;
	size_t roots_len;
	int shared_roots; /* the same, for the proxy */
	struct ex_gate *gate;
	struct ex_ca *ca;
	struct ex_audit *audit;
	struct ex_parent *parent;
	struct ex_reload *reload;
	struct ex_resolv *resolv;
	int log_fd;
	struct ex_audit_file *log_file; /* instead, when it is signed */
};

static const char *remedy(int r)
{
	switch (r) {
	case -EPERM:
	case -EACCES:
		return " ('exeat doctor' says what is missing)";
	case -EMFILE:
		return " (raise the limit: ulimit -n)";
	}
	return "";
}

static int fail(const char *what, int r)
{
	ex_error("%s: %s%s", what, strerror(-r), remedy(r));
	return r;
}

/* ---- policy ---- */

static int watch_policy(struct run *run)
{
	int r = ex_reload_new(run->parent, &run->opt, run->id.uid, &run->ns, &run->policy,
			      &run->reload);

	return r < 0 ? fail("cannot watch the policy files", r) : 0;
}

static int compile(struct run *run)
{
	int r = ex_run_policy_read(&run->opt, &run->ns, &run->policy);

	if (r < 0)
		ex_error("the policy is not valid: nothing was run");
	return r;
}

static int find_resolvers(struct run *run)
{
	int r = ex_resolv_new(run->parent, &run->opt.dns, run->id.uid, &run->resolv);

	if (r < 0)
		return fail("cannot watch " EX_RESOLV_CONF, r);
	if (run->opt.dns.n || !ex_ruleset_uses_dns(run->policy.rs))
		return 0;
	ex_error("the policy names hosts, but %s cannot say whom to ask for them: %s; add --dns "
		 "ADDR",
		 run->opt.dns.file, run->opt.dns.trouble);
	return -EINVAL;
}

/* ---- the processes beside this one ---- */

static int start_proxy(struct run *run)
{
	struct ex_keeper_config cfg = { .gw = { .outer = run->ns.outer,
						.netns = run->ns.gateway,
						.v6 = run->ns.v6,
						.ip4 = run->ns.ip4,
						.ip6 = run->ns.ip6 },
					.dial = ex_dial_from_outer,
					.resolvers = &run->opt.dns,
					.roots = run->shared_roots,
					.workers = run->opt.learn ? 1 : run->opt.workers,
					.unread = ex_span_str(run->opt.learn),
					.restart = true,
					.uid = PROXY_UID_BASE + (uid_t)getpid() };
	int r = ex_parent_keep(run->parent, &cfg, &run->policy);

	return r < 0 ? fail("cannot start the proxy", r) : 0;
}

static int start_child(struct run *run)
{
	/*
	 * What these send no network namespace holds. RDMA devices anybody may open; as a virtual
	 * machine speaks with the host by vsock, whoever has any may (the group kvm).
	 */
	const char *hidden[] = { "/dev/infiniband", "/dev/vhost-vsock", NULL, NULL, NULL, NULL };
	struct ex_child_spec spec = { .command = run->opt.command,
				      .id = &run->id,
				      .hidden = hidden };
	size_t n = 2;
	int r = ex_mounts_find_sockets(&run->sockets);

	if (r < 0)
		return fail("cannot list unix sockets", r);
	spec.sockets = run->sockets;
	if (run->opt.ca)
		hidden[n++] = run->opt.ca;
	if (run->opt.secrets)
		hidden[n++] = run->opt.secrets;
	if (run->opt.log_key)
		hidden[n++] = run->opt.log_key;
	r = ex_child_start(&spec, &run->child);
	return r < 0 ? fail("cannot make the command's namespaces", r) : 0;
}

static int make_gateway(struct run *run)
{
	int r = ex_netns_init(&run->ns);

	return r < 0 ? fail("cannot make the gateway's network namespace", r) : 0;
}

/* ---- the gates ---- */

static int fill_gate(struct run *run)
{
	struct ex_endpoint ep = { .flags = EX_EP_CARRY,
				  .ip4 = run->ns.ip4,
				  .ip6 = run->ns.ip6,
				  .gw4 = run->ns.gw4,
				  .gw6 = run->ns.gw6 };

	memcpy(ep.mac, run->ns.mac, 6);
	memcpy(ep.gw_mac, run->ns.gw_mac, 6);
	return ex_keeper_publish(ex_parent_keeper(run->parent), run->gate, run->ns.ifindex, &ep);
}

static int attach_gate(struct run *run)
{
	int r = ex_netns_go(run->ns.gateway);

	if (r == 0)
		r = ex_gate_attach(run->gate, run->ns.ifindex);
	ex_netns_back(run->ns.outer);
	return r;
}

static int start_gate(struct run *run)
{
	int r = ex_gate_load(NULL, &run->gate);

	if (r == 0)
		r = fill_gate(run);
	if (r == 0)
		r = attach_gate(run);
	return r < 0 ? fail("cannot set up the kernel gate", r) : 0;
}

/* ---- what the command sees ---- */

static int open_lasting_ca(struct run *run, char **ret_trust, size_t *ret_len)
{
	EX_AUTO_CLOSE int dir = ex_ca_store_open(run->opt.ca, false);
	int r = dir < 0 ? dir : ex_ca_store_trust(dir, ret_trust, ret_len);

	if (r == -ENOENT)
		ex_error("--ca %s: there is none; 'exeat ca init --dir %s' makes one", run->opt.ca,
			 run->opt.ca);
	else if (r < 0)
		ex_error("--ca %s: %s", run->opt.ca,
			 r == -EINVAL ? "a certificate in it cannot be read: PEM is expected"
				      : strerror(-r));
	return r < 0 ? r : ex_authority_open(run->opt.ca, &run->ca);
}

/* The CA that signs, and all that the command is to trust for it. */
static int open_ca(struct run *run, char **ret_trust, size_t *ret_len)
{
	int r;

	(void)prctl(PR_SET_DUMPABLE, 0); /* its key is in no core file */
	if (run->opt.ca)
		return open_lasting_ca(run, ret_trust, ret_len);
	r = ex_ca_new(CA_DAYS, &run->ca);
	if (r < 0)
		return fail("cannot make a certificate authority", r);
	*ret_len = ex_ca_pem(run->ca).len;
	*ret_trust = strndup(ex_ca_pem(run->ca).ptr, *ret_len);
	return *ret_trust ? 0 : -ENOMEM;
}

static int equip_child(struct run *run)
{
	char resolv[160], v4[EX_IP_TEXT], v6[EX_IP_TEXT];
	EX_AUTO_FREE char *bundle = NULL;
	EX_AUTO_FREE char *trust = NULL;
	size_t bundle_len, trust_len;
	int n, r;

	r = open_ca(run, &trust, &trust_len);
	if (r < 0)
		return r;
	ex_keeper_set_ca(ex_parent_keeper(run->parent), run->ca);
	r = ex_trust_bundle((struct ex_span){ run->roots, run->roots_len },
			    (struct ex_span){ trust, trust_len }, &bundle, &bundle_len);
	free(EX_TAKE_PTR(run->roots)); /* the proxy has them in its own form */
	if (r < 0)
		return r;
	n = snprintf(resolv, sizeof(resolv), "# exeat run\nnameserver %s\n",
		     ex_ip_text(&run->ns.gw4, v4));
	if (run->ns.v6)
		n += snprintf(resolv + n, sizeof(resolv) - (size_t)n, "nameserver %s\n",
			      ex_ip_text(&run->ns.gw6, v6));
	r = ex_child_equip(&run->child, (struct ex_span){ trust, trust_len },
			   (struct ex_span){ bundle, bundle_len },
			   (struct ex_span){ resolv, (size_t)n });
	if (r == 0)
		r = ex_child_wait_ready(&run->child);
	if (r < 0)
		return fail("cannot prepare the command's files", r);
	r = ex_netns_wire(&run->ns, run->child.pid);
	return r < 0 ? fail("cannot connect the command's namespace", r) : 0;
}

/* ---- audit ---- */

static int open_log(struct run *run)
{
	if (!run->opt.log || run->opt.log_key)
		return 0;
	run->log_fd = ex_output_append(run->opt.log);
	if (run->log_fd >= 0)
		return 0;
	ex_error("--log %s: %s", run->opt.log, ex_output_error(run->log_fd));
	return run->log_fd;
}

/* Its key is read late, as all secrets: the command's init was forked from us before. */
static int open_signed_log(struct run *run)
{
	struct ex_audit_file_options o = { .path = run->opt.log, .key_file = run->opt.log_key };
	int r = ex_audit_file_open(&o, &run->log_file);

	if (r == 0)
		ex_audit_file_watch(run->log_file, ex_parent_loop(run->parent));
	return r;
}

static int start_audit(struct run *run)
{
	char name[32];
	struct ex_audit_options o = { .fd = run->log_fd,
				      .json = run->opt.log_json,
				      .terminal = run->opt.quiet ? -1 : STDERR_FILENO,
				      .run = name,
				      .rs = run->policy.rs };

	if (run->opt.log_key && open_signed_log(run) < 0)
		return -EIO; /* the cause was told */
	o.file = run->log_file;
	snprintf(name, sizeof(name), "run-%d", (int)getpid());
	return ex_audit_new(&o, &run->audit);
}

static int wait_for_proxy(struct run *run)
{
	int r;

	ex_parent_show(run->parent, run->opt.labels, run->opt.n_labels);
	r = ex_parent_watch(run->parent, run->gate, run->audit, &run->child);

	if (r == 0 && run->opt.learn)
		ex_parent_name_programs(run->parent);
	if (r == 0)
		r = ex_parent_wait_ready(run->parent);
	return r < 0 ? fail("the proxy did not start", r) : 0;
}

/* ---- in order ---- */

static int prepare(struct run *run)
{
	int r;

	if (geteuid() != 0) {
		ex_error(
			"needs root to make namespaces and load the kernel gate: sudo exeat run ...");
		return -EPERM;
	}
	r = ex_identity_find(run->opt.user, &run->id);
	if (r == 0)
		r = open_log(run);
	if (r == 0)
		r = start_child(run);
	if (r == 0)
		r = make_gateway(run);
	if (r == 0)
		r = ex_parent_new(&run->parent);
	/* Before they are read: what changes meanwhile is seen. */
	if (r == 0 && run->opt.watch)
		r = watch_policy(run);
	if (r < 0)
		return r;
	r = compile(run);
	if (r == 0)
		r = find_resolvers(run);
	if (r == 0)
		r = ex_trust_roots(run->opt.upstream_ca, &run->roots, &run->roots_len);
	if (r == 0)
		r = run->shared_roots =
			ex_trust_share((struct ex_span){ run->roots, run->roots_len });
	if (r >= 0 && run->id.uid == 0 && !run->opt.quiet)
		ex_warning(
			"the command runs as root: its network is confined, the host's files are not "
			"(see --user)");
	return r < 0 ? r : 0;
}

static int set_up(struct run *run)
{
	int r = prepare(run);

	if (r == 0)
		r = start_proxy(run);
	if (r == 0)
		r = equip_child(run);
	if (r == 0)
		r = start_gate(run);
	if (r == 0)
		r = start_audit(run);
	if (r == 0)
		r = wait_for_proxy(run);
	if (r < 0)
		return r;
	r = ex_netns_open(&run->ns, run->child.pid);
	if (r == 0 && run->id.uid == 0 && !run->child.own_session)
		r = ex_caps_be_nobodys();
	if (r == 0)
		r = ex_child_go(&run->child);
	return r < 0 ? fail("cannot start the command", r) : 0;
}

/* Everything in the system goes with descriptors and processes; this is for the memory checkers. */
static void tear_down(struct run *run)
{
	if (run->child.pid > 0)
		kill(run->child.pid, SIGKILL);
	ex_audit_free(run->audit);
	ex_audit_file_close(run->log_file); /* while its loop is there */
	ex_reload_free(run->reload);
	ex_resolv_free(run->resolv);
	ex_parent_free(run->parent);
	while (wait(NULL) > 0)
		;
	ex_gate_free(run->gate);
	ex_ca_free(run->ca);
	ex_netns_done(&run->ns);
	ex_run_policy_done(&run->policy);
	ex_identity_done(&run->id);
	free(run->roots);
	ex_closep(&run->shared_roots);
	free(run->sockets);
}

int ex_cmd_run(int argc, char **argv)
{
	struct run run = { .ns = { .outer = -1, .gateway = -1 },
			   .policy.bundle = -1,
			   .shared_roots = -1,
			   .log_fd = -1 };
	int r = ex_run_options_parse(argc, argv, &run.opt);
	int status = 125;

	if (r != 0)
		return r > 0 ? 0 : 125;
	/* Of a table for many only what is used takes memory. */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
	if (run.opt.verbose)
		ex_log_set_level(EX_LOG_INFO);
	r = set_up(&run);
	if (r == 0) {
		status = ex_parent_run(run.parent);
		if (status < 0)
			status = 125;
		ex_audit_summary(run.audit);
	}
	tear_down(&run);
	return status;
}
