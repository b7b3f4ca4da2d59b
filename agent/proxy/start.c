/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "agent/proxy/settings.h"

#define IPC_BUFFER (1024 * 1024)

/* What the process is made of; every descriptor is close-on-exec until it is in its place. */
struct start {
	const struct ex_proxy_spec *spec;
	int exe, settings;
	int requests[2], resolvers[2]; /* ours, its */
};

/* ---- in the new process, before it becomes the other program ---- */

/* To its place, where it stays open: the sources are out of the way. */
static int place(int fd, int at)
{
	return dup2(fd, at) < 0 ? -errno : 0;
}

static int place_all(const int *from, const int *to, size_t n)
{
	int away[EX_SOCK_MAX + 6], r = 0;

	for (size_t i = 0; i < n; i++) {
		away[i] = fcntl(from[i], F_DUPFD_CLOEXEC, EX_PROXY_FD_END);
		if (away[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = place(away[i], to[i]);
	return r;
}

/* Whatever is not in a place of its own does not come along. */
static int keep_only(const struct start *s)
{
	int from[EX_SOCK_MAX + 6] = { s->requests[1],  s->resolvers[1], s->settings,
				      s->spec->bundle, s->spec->ring,   s->spec->roots };
	int to[EX_SOCK_MAX + 6] = { EX_PROXY_FD_REQUESTS, EX_PROXY_FD_RESOLVERS,
				    EX_PROXY_FD_SETTINGS, EX_PROXY_FD_BUNDLE,
				    EX_PROXY_FD_RING,     EX_PROXY_FD_ROOTS };
	int next = EX_PROXY_FD_SOCKETS, r;
	size_t n = 6;

	for (size_t i = 0; i < EX_SOCK_MAX; i++) {
		if (s->spec->sockets[i] < 0)
			continue;
		from[n] = s->spec->sockets[i];
		to[n++] = next++;
	}
	r = place_all(from, to, n);
	if (r < 0)
		return r;
	if (syscall(SYS_close_range, next, EX_PROXY_FD_SETTINGS - 1, CLOSE_RANGE_CLOEXEC) < 0 ||
	    syscall(SYS_close_range, EX_PROXY_FD_END, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/* The sanitizers' options are all it may take over. */
static char **environment(void)
{
	static char *kept[4];
#if EX_ASAN
	static const char *const names[] = { "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=" };
	size_t n = 0;

	for (char **e = environ; *e; e++)
		for (size_t i = 0; i < EX_ARRAY_SIZE(names) && n + 1 < EX_ARRAY_SIZE(kept); i++)
			if (strncmp(*e, names[i], strlen(names[i])) == 0)
				kept[n++] = *e;
#endif
	return kept;
}

static _Noreturn void become_proxy(const struct start *s)
{
	char *argv[] = { (char[]){ "exeat" }, (char[]){ "proxy" }, NULL };
	int exe = fcntl(s->exe, F_DUPFD_CLOEXEC, EX_PROXY_FD_END);
	sigset_t none;

	/* Whoever is gone by now is not there to be died with: the proxy looks again. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	if (exe >= 0 && keep_only(s) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		(void)syscall(SYS_execveat, exe, "", argv, environment(), AT_EMPTY_PATH);
	ex_error("cannot start the proxy: %s", strerror(errno));
	_exit(127);
}

/* ---- in the privileged one ---- */

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

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int prepare(struct start *s)
{
	int r = make_pair(s->requests);

	if (r == 0)
		r = make_pair(s->resolvers);
	if (r < 0)
		return r;
	s->settings = ex_proxy_settings_pack(s->spec);
	if (s->settings < 0)
		return s->settings;
	/* The file may be another one by now, or gone; this is what runs. */
	s->exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	return s->exe < 0 ? -errno : 0;
}

pid_t ex_proxy_start(const struct ex_proxy_spec *spec, int ret_ipc[static 2])
{
	struct start s = { .spec = spec,
			   .exe = -1,
			   .settings = -1,
			   .requests = { -1, -1 },
			   .resolvers = { -1, -1 } };
	pid_t pid = prepare(&s);

	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			become_proxy(&s);
		if (pid < 0)
			pid = -errno;
	}
	if (pid > 0) {
		ret_ipc[0] = EX_TAKE_FD(s.requests[0]);
		ret_ipc[1] = EX_TAKE_FD(s.resolvers[0]);
	}
	close_all(s.requests, 2);
	close_all(s.resolvers, 2);
	close_all((int[]){ s.settings, s.exe }, 2);
	return pid;
}
