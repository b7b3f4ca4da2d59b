/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "agent/core/log.h"
#include "agent/core/settle.h"
#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "agent/proxy/ask.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/conn.h"
#include "agent/proxy/dns_io.h"
#include "agent/proxy/pipe.h"
#include "agent/proxy/pool.h"
#include "agent/proxy/sandbox.h"
#include "agent/proxy/settings.h"
#include "agent/proxy/udp.h"
#include "agent/proxy/unread.h"
#include "agent/tls/session.h"

#define NAMES_MAX      16384 /* addresses one workload may have learned */
#define KEPT_FDS       64    /* for what is no connection */
#define LARGE          (64 * 1024)
#define TRIM_THRESHOLD (16 * 1024 * 1024)

/* The reports of a sanitizer have to reach the terminal. */
#if EX_ASAN
#define LAST_STANDARD_FD STDOUT_FILENO
#else
#define LAST_STANDARD_FD STDERR_FILENO
#endif

/* ---- accepting ---- */

/*
 * Out of descriptors: take one connection with the spare one and end it, so that it does not wait
 * for ever, and leave the others in the backlog for a moment.
 */
static void refuse_one(struct ex_proxy *px, int listener)
{
	struct sockaddr_storage from;
	int fd;

	if (px->spare_fd >= 0)
		close(px->spare_fd);
	fd = ex_listen_accept(listener, &from);
	if (fd >= 0)
		ex_conn_accept(px, fd, &from, true);
	px->spare_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	ex_listen_pause(&px->tcp);
}

/* One a turn: epoll says when there are more, and those that are open get theirs in between. */
static void on_accept(struct ex_listen *l, int listener)
{
	struct ex_proxy *px = ex_container_of(l, struct ex_proxy, tcp);
	struct sockaddr_storage from;
	int fd = ex_listen_accept(listener, &from);

	if (fd >= 0) {
		ex_proxy_catch_up(px);
		ex_conn_accept(px, fd, &from, px->n_conns >= px->max_conns);
	} else if (fd != -EAGAIN) {
		refuse_one(px, listener);
	}
}

static int listen_tcp(struct ex_proxy *px)
{
	px->spare_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (px->spare_fd < 0)
		return -errno;
	return ex_listen_start(&px->tcp, px->loop, px->sockets + EX_SOCK_TCP4, on_accept);
}

/* ---- the process ---- */

static int build_dns(struct ex_proxy *px, const struct ex_proxy_settings *set)
{
	struct ex_dns_gate_ops ops = ex_dns_io_ops;
	int r = ex_names_new(NAMES_MAX, &px->names);

	ops.arg = px;
	px->resolver_dial.fd = EX_PROXY_FD_RESOLVERS;
	if (r == 0)
		r = ex_proxy_settings_learn(set, px->names, ex_loop_now(px->loop));
	if (r == 0)
		r = ex_resolver_new(px->loop, set->servers, set->n_servers, ex_resolver_dial,
				    &px->resolver_dial, &px->resolver);
	if (r == 0)
		r = ex_dns_gate_new(px->loop, px->rs, px->resolver, px->names, &ops, &px->dns);
	return r;
}

static int compile(struct ex_proxy *px)
{
	struct ex_diags diags = { 0 };
	int r = ex_bundle_compile(EX_PROXY_FD_BUNDLE, &px->rs, &diags);

	/* The privileged side has compiled the same already, and said what there was to say. */
	if (r < 0)
		ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	return r;
}

/* Everything that needs a file or privilege comes before the sandbox; nothing is accepted yet. */
static int build(struct ex_proxy *px, const struct ex_proxy_settings *set)
{
	int r = compile(px);

	if (r == 0)
		r = ex_loop_new(&px->loop);
	if (r == 0)
		r = ex_ask_new(px->loop, EX_PROXY_FD_REQUESTS, EX_PROXY_FD_RING, &px->ask);
	if (r == 0)
		r = ex_tls_new(EX_PROXY_FD_ROOTS, &px->tls);
	if (r == 0)
		r = ex_proxy_take_tickets(px, EX_PROXY_FD_BUNDLE);
	if (r == 0)
		r = ex_identities_new(px->tls, px->rs, &px->identities);
	if (r == 0)
		r = ex_pool_new(px->loop, &px->pool);
	if (r == 0 && set->unread.ptr)
		r = ex_unread_new(set->unread, &px->unread);
	if (r == 0)
		r = ex_pipes_new(&px->pipes);
	if (r == 0)
		r = build_dns(px, set);
	return r;
}

static int serve(struct ex_proxy *px)
{
	int r = listen_tcp(px);

	ex_turns_init(&px->turns, px->loop);
	ex_ask_on_news(px->ask, ex_proxy_take_news, px);
	if (r == 0)
		r = ex_dns_io_new(px, px->sockets, &px->dns_io);
	if (r == 0)
		r = ex_udp_new(px, px->sockets, &px->udp);
	if (r == 0)
		r = ex_ask_ready(px->ask, ex_tls_leaf_spki(px->tls));
	/* Buffers come and go with every wake-up: do not give their memory back each time. */
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
	(void)mallopt(M_MMAP_THRESHOLD, TRIM_THRESHOLD);
	ex_settle_on(px->loop);
	if (r == 0)
		r = ex_loop_run(px->loop);
	ex_dns_gate_free(px->dns); /* what was asked and not answered is on record */
	return r;
}

/* Two descriptors a connection, and as many again for DNS, datagrams and what is being closed. */
static size_t fit_fd_limit(void)
{
	struct rlimit lim;
	size_t fit;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 1;
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
	fit = lim.rlim_cur < 4 * EX_CONNS_MAX + KEPT_FDS ? (size_t)(lim.rlim_cur - KEPT_FDS) / 4
							 : EX_CONNS_MAX;
	return lim.rlim_cur > KEPT_FDS && fit ? fit : 1;
}

/* The standard descriptors are the command's; the proxy has said by now what it had to say. */
static int leave_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	for (int i = 0; i <= LAST_STANDARD_FD && r == 0; i++)
		r = dup2(fd, i) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* The last descriptor that stays for good. */
static int find_sockets(struct ex_proxy *px, const struct ex_proxy_settings *set)
{
	int next = EX_PROXY_FD_SOCKETS;

	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		px->sockets[i] = set->sockets[i] ? next++ : -1;
	return next - 1;
}

static void prepare_process(void)
{
	prctl(PR_SET_NAME, "exeat-proxy");
	/* What a terminal or a supervisor tells the whole group is for the command. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	(void)signal(SIGTSTP, SIG_IGN);
	(void)signal(SIGTTIN, SIG_IGN);
	(void)signal(SIGTTOU, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	/* Of a table for many, made at the start, only what is used takes memory. */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
}

static int run(const struct ex_proxy_settings *set)
{
	struct ex_proxy px = { 0 };
	int last_fd = find_sockets(&px, set), r;

	memcpy(px.secret, set->secret, sizeof(px.secret));
	px.workers = set->workers;
	px.max_conns = ex_proxy_share(&px, fit_fd_limit());
	r = build(&px, set);
	close(EX_PROXY_FD_SETTINGS);
	close(EX_PROXY_FD_BUNDLE);
	close(EX_PROXY_FD_RING);
	close(EX_PROXY_FD_ROOTS);
	if (r == 0)
		r = leave_terminal();
	if (r == 0)
		r = ex_sandbox_enter(set->uid, last_fd);
	return r < 0 ? r : serve(&px);
}

int ex_cmd_proxy(int argc, char **argv)
{
	struct ex_proxy_settings set = { 0 };
	int r;

	(void)argv;
	r = argc == 1 ? ex_proxy_settings_read(EX_PROXY_FD_SETTINGS, &set) : -EINVAL;
	if (r < 0) {
		ex_error("this is a part of exeat that only exeat starts");
		return 125;
	}
	ex_log_set_level(set.log_level);
	prepare_process();
	/* The signal is on its way only if the parent ended after it was asked for. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != set.parent)
		return 1;
	r = run(&set);
	if (r < 0)
		ex_error("proxy: %s", strerror(-r));
	_exit(r < 0 ? 1 : 0);
}
