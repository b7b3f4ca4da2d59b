/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "agent/core/log.h"
#include "agent/dns/gate.h"
#include "agent/dns/names.h"
#include "agent/proxy/ask.h"
#include "agent/proxy/conn.h"
#include "agent/proxy/dns_io.h"
#include "agent/proxy/pipe.h"
#include "agent/proxy/pool.h"
#include "agent/proxy/sandbox.h"
#include "agent/proxy/udp.h"
#include "agent/tls/session.h"

#define NAMES_MAX       16384 /* addresses one workload may have learned */
#define ACCEPT_BATCH    32
#define ACCEPT_PAUSE_MS 100 /* after descriptors ran out */
#define KEEP_ABOVE      64  /* more than the descriptors that are kept */
#define TRIM_THRESHOLD  (16 * 1024 * 1024)
#define IPC_BUFFER      (1024 * 1024)

/* The reports of a sanitizer have to reach the terminal. */
#if defined(__SANITIZE_ADDRESS__)
#define LAST_STANDARD_FD STDOUT_FILENO
#else
#define LAST_STANDARD_FD STDERR_FILENO
#endif

/* ---- accepting ---- */

/*
 * Out of descriptors: take one connection with the spare one and end it, so that it does not wait
 * for ever, and leave the others in the backlog for a moment.
 */
static void refuse_one(struct ex_proxy *px, struct ex_watch *listener)
{
	int fd;

	if (px->spare_fd >= 0)
		close(px->spare_fd);
	fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	px->spare_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (ex_timer_start(px->loop, &px->pause, ACCEPT_PAUSE_MS) == 0)
		ex_watch_set(px->loop, listener, 0);
}

static void on_pause_over(struct ex_timer *t)
{
	struct ex_proxy *px = ex_container_of(t, struct ex_proxy, pause);

	for (size_t i = 0; i < EX_ARRAY_SIZE(px->tcp); i++)
		ex_watch_set(px->loop, &px->tcp[i], EPOLLIN);
}

static void on_accept(struct ex_proxy *px, struct ex_watch *listener)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				refuse_one(px, listener);
			return;
		}
		if (px->n_conns >= px->max_conns)
			close(fd);
		else
			ex_conn_accept(px, fd);
	}
}

static void on_accept4(struct ex_watch *w, uint32_t events)
{
	(void)events;
	on_accept(ex_container_of(w, struct ex_proxy, tcp[0]), w);
}

static void on_accept6(struct ex_watch *w, uint32_t events)
{
	(void)events;
	on_accept(ex_container_of(w, struct ex_proxy, tcp[1]), w);
}

static int listen_tcp(struct ex_proxy *px, const struct ex_proxy_config *config)
{
	int r = 0;

	px->tcp[0].fn = on_accept4;
	px->tcp[1].fn = on_accept6;
	px->pause.fn = on_pause_over;
	px->spare_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (px->spare_fd < 0)
		return -errno;
	if (config->sockets[EX_SOCK_TCP4] >= 0)
		r = ex_watch_start(px->loop, &px->tcp[0], config->sockets[EX_SOCK_TCP4], EPOLLIN);
	if (r == 0 && config->sockets[EX_SOCK_TCP6] >= 0)
		r = ex_watch_start(px->loop, &px->tcp[1], config->sockets[EX_SOCK_TCP6], EPOLLIN);
	return r;
}

/* ---- the process ---- */

static int build_dns(struct ex_proxy *px, const struct ex_proxy_config *config)
{
	struct ex_dns_gate_ops ops = ex_dns_io_ops;
	int r = ex_names_new(NAMES_MAX, &px->names);

	ops.arg = px;
	px->resolver_dial.fd = config->resolvers;
	ex_resolver_set_dial(ex_resolver_dial, &px->resolver_dial);
	if (r == 0)
		r = ex_resolver_new(px->loop, config->servers, config->n_servers, &px->resolver);
	if (r == 0)
		r = ex_dns_gate_new(px->loop, px->rs, px->resolver, px->names, &ops, &px->dns);
	return r;
}

/* Everything that needs a file or privilege comes before the sandbox; nothing is accepted yet. */
static int build(struct ex_proxy *px, const struct ex_proxy_config *config)
{
	int r;

	px->rs = config->rs;
	r = ex_loop_new(&px->loop);
	if (r == 0)
		r = ex_ask_new(px->loop, config->parent, &px->ask);
	if (r == 0)
		r = ex_tls_new(config->roots.ptr, config->roots.len, &px->tls);
	if (r == 0)
		r = ex_pool_new(px->loop, &px->pool);
	if (r == 0)
		r = ex_pipes_new(&px->pipes);
	if (r == 0)
		r = build_dns(px, config);
	return r;
}

static int serve(struct ex_proxy *px, const struct ex_proxy_config *config)
{
	int r = listen_tcp(px, config);

	if (r == 0)
		r = ex_dns_io_new(px, config->sockets, &px->dns_io);
	if (r == 0)
		r = ex_udp_new(px, config->sockets, &px->udp);
	if (r == 0)
		r = ex_ask_ready(px->ask, ex_tls_leaf_spki(px->tls));
	return r < 0 ? r : ex_loop_run(px->loop);
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
	fit = lim.rlim_cur < 4 * EX_CONNS_MAX + KEEP_ABOVE ? (size_t)(lim.rlim_cur - KEEP_ABOVE) / 4
							   : EX_CONNS_MAX;
	return lim.rlim_cur > KEEP_ABOVE && fit ? fit : 1;
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

static _Noreturn void proxy_main(const struct ex_proxy_config *config)
{
	struct ex_proxy px = { 0 };
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "exeat-proxy");
	/* The terminal's signals are for the command; the proxy ends with its parent. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	(void)signal(SIGTSTP, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	px.max_conns = fit_fd_limit();
	/* Buffers come and go with every wake-up: do not give their memory back each time. */
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
	(void)mallopt(M_MMAP_THRESHOLD, TRIM_THRESHOLD);
	r = build(&px, config);
	if (r == 0)
		r = leave_terminal();
	if (r == 0)
		r = ex_sandbox_enter(config->uid, config->last_fd);
	if (r == 0)
		r = serve(&px, config);
	if (r < 0)
		ex_error("proxy: %s", strerror(-r));
	_exit(r < 0 ? 1 : 0);
}

/*
 * Closes every descriptor but the standard ones and those of the configuration, which become 3 and
 * the following: the sandbox tells them by number. Sets config->last_fd.
 */
static int keep_only(struct ex_proxy_config *config)
{
	int *keep[EX_SOCK_MAX + 2], n = 0, next = STDERR_FILENO + 1;

	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		if (config->sockets[i] >= 0)
			keep[n++] = &config->sockets[i];
	keep[n++] = &config->parent;
	keep[n++] = &config->resolvers;
	/* Out of the way first, so that no one is overwritten. */
	for (int i = 0; i < n; i++) {
		*keep[i] = fcntl(*keep[i], F_DUPFD_CLOEXEC, KEEP_ABOVE);
		if (*keep[i] < 0)
			return -errno;
	}
	for (int i = 0; i < n; i++, next++) {
		if (dup3(*keep[i], next, O_CLOEXEC) < 0)
			return -errno;
		*keep[i] = next;
	}
	config->last_fd = next - 1;
	return syscall(SYS_close_range, next, ~0U, 0) < 0 ? -errno : 0;
}

static int make_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &(int){ IPC_BUFFER },
				 sizeof(int));
		(void)setsockopt(pair[i], SOL_SOCKET, SO_RCVBUFFORCE, &(int){ IPC_BUFFER },
				 sizeof(int));
	}
	return 0;
}

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

pid_t ex_proxy_start(struct ex_proxy_config *config, int ret_ipc[static 2])
{
	int requests[2], resolvers[2], r = make_pair(requests);
	pid_t pid;

	if (r < 0)
		return r;
	r = make_pair(resolvers);
	if (r < 0) {
		close_pair(requests);
		return r;
	}
	pid = fork();
	if (pid == 0) {
		config->parent = requests[1];
		config->resolvers = resolvers[1];
		if (keep_only(config) < 0)
			_exit(1);
		proxy_main(config);
	}
	if (pid < 0) {
		r = -errno;
		close_pair(requests);
		close_pair(resolvers);
		return r;
	}
	close(requests[1]);
	close(resolvers[1]);
	ret_ipc[0] = requests[0];
	ret_ipc[1] = resolvers[0];
	return pid;
}
