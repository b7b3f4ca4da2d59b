/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/core/caps.h"
#include "agent/core/log.h"
#include "agent/run/child.h"
#include "agent/run/environ.h"
#include "agent/run/mounts.h"

/* ---- the control stream: lengths and bytes, both ends are ours ---- */

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *data, size_t len)
{
	ssize_t n = ex_read_full(fd, data, len);

	return n < 0 ? (int)n : (size_t)n < len ? -EPIPE : 0;
}

static int send_blob(int fd, struct ex_span s)
{
	int r = write_all(fd, &s.len, sizeof(s.len));

	return r < 0 ? r : write_all(fd, s.ptr, s.len);
}

static int receive_blob(int fd, struct ex_span *ret)
{
	size_t len;
	char *data;
	int r = read_all(fd, &len, sizeof(len));

	if (r < 0)
		return r;
	data = malloc(len + 1);
	if (!data)
		return -ENOMEM;
	r = read_all(fd, data, len);
	if (r < 0) {
		free(data);
		return r;
	}
	*ret = (struct ex_span){ data, len };
	return 0;
}

/* ---- the command ---- */

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < _NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *why_not(const char *command, int err)
{
	if (err == EACCES && !strchr(command, '/'))
		return "no such command that its user may execute, in the folders of PATH";
	if (err == EPERM)
		return "its file has capabilities that a run does not give (see getcap)";
	if (err != ENOENT)
		return strerror(err);
	if (access(command, F_OK) == 0)
		return "what its first line names is not there";
	if (getenv("SUDO_UID") && !strchr(command, '/'))
		return "no such command in sudo's PATH (yours: env PATH=\"$PATH\" COMMAND)";
	return "no such command";
}

static _Noreturn void exec_command(const struct ex_child_spec *spec)
{
	int r;

	reset_signals();
	/* kill(0) reaches the whole process group, also what is outside the PID namespace. */
	if (!ex_caps_share_terminal())
		(void)setsid();
	r = ex_environ_prepare(spec->id);
	if (r == 0)
		r = ex_confine_self(spec->id);
	if (r < 0) {
		ex_error("cannot confine the command: %s", strerror(-r));
		_exit(125);
	}
	execvp(spec->command[0], spec->command);
	r = errno;
	ex_error("%s: %s", spec->command[0], why_not(spec->command[0], r));
	_exit(r == ENOENT || r == ENOTDIR ? 127 : 126);
}

/* ---- the init ---- */

static pid_t command_pid; /* for the signal handler; set before handlers are installed */

static void pass_on(int sig)
{
	int saved = errno;

	kill(command_pid, sig);
	errno = saved;
}

static const int passed[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT };

/* Until there is a command: process 1 is not sent what it has no handler for, unless it waits. */
static void hold_signals(void)
{
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < EX_ARRAY_SIZE(passed); i++)
		sigaddset(&held, passed[i]);
	(void)sigprocmask(SIG_SETMASK, &held, NULL);
}

static void install_handlers(void)
{
	struct sigaction act = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
	sigset_t none;

	/* On a terminal the last two reach the command without us. */
	for (size_t i = 0; i < EX_ARRAY_SIZE(passed) - (ex_caps_share_terminal() ? 2 : 0); i++)
		(void)sigaction(passed[i], &act, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Reaps whatever ends; returns the wait status of the command. */
static int reap_until_done(void)
{
	int status;
	pid_t pid;

	for (;;) {
		pid = wait(&status);
		if (pid == command_pid)
			return status;
		if (pid < 0 && errno != EINTR)
			return 125 << 8;
	}
}

/* Dies when exeat dies, and cannot be looked into. Both are lost with a change of credentials. */
static void bind_fate(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
}

/*
 * None for the command, in whatever user namespace it makes: with a mount of its own of one folder
 * it could look beneath our mounts, by moving a folder that has a covered socket in it there. sys:
 * /proc/sys as it was before it became read-only.
 */
static int forbid_mount_namespaces(int sys)
{
	EX_AUTO_CLOSE int fd = openat(sys, "user/max_mnt_namespaces", O_WRONLY | O_CLOEXEC);
	int r = fd < 0 || write(fd, "0", 1) < 0 ? -errno : 0;

	if (r < 0)
		ex_error("cannot forbid mount namespaces: %s", strerror(-r));
	return r;
}

/*
 * The network namespace belongs to a user namespace of its own, in which every id means itself.
 * Root in the command is root on its own network and on files as before, but holds no capability
 * towards any other namespace, whatever descriptor it gets hold of (SIOCGSKNS on an inherited
 * socket, say).
 */
static int init_prepare(const struct ex_child_spec *spec, int control)
{
	struct ex_mounts m = { .uid = spec->id->uid, .gid = spec->id->gid };
	EX_AUTO_CLOSE int sys = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = receive_blob(control, &m.ca);

	if (r == 0)
		r = receive_blob(control, &m.bundle);
	if (r == 0)
		r = receive_blob(control, &m.resolv);
	if (r == 0)
		r = ex_mounts_apply(&m, spec->sockets, spec->hidden);
	if (r == 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		r = -errno;
		ex_error("cannot make a user and network namespace: %s%s", strerror(-r),
			 r == -ENOSPC ? " (see sysctl user.max_user_namespaces)" : "");
	}
	if (r == 0)
		r = forbid_mount_namespaces(sys);
	bind_fate();
	return r;
}

/*
 * Never returns. On any failure before the command runs the stream closes without a status, which
 * the other side reads as 125.
 */
static _Noreturn void init_main(const struct ex_child_spec *spec, int control)
{
	char go;
	int r, status;

	r = init_prepare(spec, control);
	if (write_all(control, &r, sizeof(r)) < 0 || r < 0)
		_exit(125);
	/* End of file instead of the word: exeat is gone, or gave up. */
	if (read_all(control, &go, 1) < 0)
		_exit(125);
	command_pid = fork();
	if (command_pid == 0) {
		close(control);
		exec_command(spec);
	}
	install_handlers();
	/* CAP_KILL passes signals on to a command of another user */
	if (command_pid < 0 || ex_caps_bound(NULL, 0) < 0 ||
	    ex_caps_keep(&(cap_value_t){ CAP_KILL }, 1) < 0)
		_exit(125);
	status = reap_until_done();
	(void)write_all(control, &status, sizeof(status));
	_exit(0);
}

static _Noreturn void init_start(const struct ex_child_spec *spec, int control, int parent_end)
{
	bind_fate();
	hold_signals();
	prctl(PR_SET_NAME, "exeat-init");
	close(parent_end); /* that exeat is gone already shows as its end */
	/* 3 is the control stream; nothing else of exeat's comes along. */
	if (control != 3 && dup3(control, 3, O_CLOEXEC) < 0)
		_exit(125);
	if (syscall(SYS_close_range, 4, ~0U, 0) < 0)
		_exit(125);
	init_main(spec, 3);
}

int ex_child_start(const struct ex_child_spec *spec, struct ex_child *ret)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD, NULL,
			     NULL, NULL, NULL);
	if (pid == 0)
		init_start(spec, pair[1], pair[0]);
	close(pair[1]);
	if (pid < 0) {
		int r = -errno;

		close(pair[0]);
		return r;
	}
	*ret = (struct ex_child){ .pid = pid,
				  .control = pair[0],
				  .own_session = !ex_caps_share_terminal() };
	return 0;
}

int ex_child_equip(const struct ex_child *c, struct ex_span ca, struct ex_span bundle,
		   struct ex_span resolv)
{
	int r = send_blob(c->control, ca);

	if (r == 0)
		r = send_blob(c->control, bundle);
	if (r == 0)
		r = send_blob(c->control, resolv);
	return r;
}

/*
 * Every id we have ourselves, as itself: all of them outside containers, some inside. But for those
 * of our own processes, which root in the command could signal as one of them.
 */
static int format_map(const char *which, char *out, size_t cap)
{
	char path[64], line[128], *end;
	unsigned long inside, count;
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/%s", which);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	/* A line: first id inside, first id outside, how many. */
	while (len < cap && fgets(line, sizeof(line), f)) {
		inside = strtoul(line, &end, 10);
		(void)strtoul(end, &end, 10);
		count = strtoul(end, &end, 10);
		if (inside >= EX_OWN_IDS)
			continue;
		if (count > EX_OWN_IDS - inside)
			count = EX_OWN_IDS - inside;
		len += (size_t)snprintf(out + len, cap - len, "%lu %lu %lu\n", inside, inside,
					count);
	}
	fclose(f);
	return len && len < cap ? (int)len : -E2BIG;
}

static int write_map(const struct ex_child *c, const char *which)
{
	EX_AUTO_CLOSE int fd = -1;
	char path[64], map[4096];
	int len = format_map(which, map, sizeof(map));

	if (len < 0)
		return len;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)c->pid, which);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, map, (size_t)len) < 0 ? -errno : 0;
}

int ex_child_wait_ready(const struct ex_child *c)
{
	int answer = 0, r = read_all(c->control, &answer, sizeof(answer));

	if (r < 0 || answer < 0)
		return r < 0 ? r : answer;
	r = write_map(c, "uid_map");
	return r < 0 ? r : write_map(c, "gid_map");
}

int ex_child_go(const struct ex_child *c)
{
	return write_all(c->control, "", 1);
}

int ex_child_exit_status(const struct ex_child *c)
{
	int status;

	if (read_all(c->control, &status, sizeof(status)) < 0)
		return 125;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
