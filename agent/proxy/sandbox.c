/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "agent/core/caps.h"
#include "agent/core/log.h"
#include "agent/proxy/sandbox.h"

/*
 * What an event loop over sockets, OpenSSL and malloc use. Everything else kills the process. No
 * socket can be opened or connected: the parent hands over those that the policy allows.
 */
static const int allowed[] = {
	SCMP_SYS(read),         SCMP_SYS(readv),
	SCMP_SYS(pread64), /* another policy */
	SCMP_SYS(write),        SCMP_SYS(writev),
	SCMP_SYS(recvfrom),     SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),     SCMP_SYS(accept4),
	SCMP_SYS(shutdown),     SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),  SCMP_SYS(getsockopt),
	SCMP_SYS(splice),       SCMP_SYS(pipe2),
	SCMP_SYS(fcntl),        SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),  SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll),         SCMP_SYS(brk),
	SCMP_SYS(munmap),       SCMP_SYS(mremap),
	SCMP_SYS(madvise),      SCMP_SYS(futex),
	SCMP_SYS(getrandom),    SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday), SCMP_SYS(getpid),
	SCMP_SYS(gettid),       SCMP_SYS(tgkill),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),         SCMP_SYS(exit_group),
	SCMP_SYS(getuid),       SCMP_SYS(geteuid),
	SCMP_SYS(getgid),       SCMP_SYS(getegid),
	SCMP_SYS(sched_yield),
};

/*
 * A socket that can be sent to with an address, or with MSG_FASTOPEN, can be made to speak to
 * anyone; so can one that listens, once it is shut down. The few that need an address are the first
 * descriptors; those can neither be closed nor replaced, so that no other socket takes their place.
 */
static int allow_sending(scmp_filter_ctx ctx, int last_fd)
{
	unsigned last = (unsigned)last_fd;
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 2,
				 SCMP_A0_32(SCMP_CMP_LE, last),
				 SCMP_A2_32(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 2,
				     SCMP_A3_32(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0),
				     SCMP_A4_64(SCMP_CMP_EQ, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(close), 1,
				     SCMP_A0_32(SCMP_CMP_GT, last));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(dup3), 1,
				     SCMP_A1_32(SCMP_CMP_GT, last));
	return r;
}

/* Others name addresses: source routes and routing headers do. */
static int allow_options(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
				SCMP_A1_32(SCMP_CMP_EQ, SOL_SOCKET),
				SCMP_A2_32(SCMP_CMP_EQ, SO_LINGER));
}

/*
 * What the kernel allows whatever the arguments are it remembers (since 5.11); for the others the
 * filter is run, so they come first in it.
 */
static int put_first(scmp_filter_ctx ctx)
{
	static const int with_arguments[] = { SCMP_SYS(sendto), SCMP_SYS(close), SCMP_SYS(sendmsg),
					      SCMP_SYS(setsockopt) };
	int r = 0;

	for (size_t i = 0; i < EX_ARRAY_SIZE(with_arguments) && r == 0; i++)
		r = seccomp_syscall_priority(ctx, with_arguments[i], (uint8_t)(UINT8_MAX - i));
	return r;
}

/*
 * Filters compare 64 bits, where the kernel takes a descriptor from 32: with any above, one of the
 * first would pass for another. A filter of its own, for one compares an argument but once.
 */
static int refuse_wide(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return -ENOMEM;
	r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(close), 1,
			     SCMP_A0_64(SCMP_CMP_GT, UINT32_MAX));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(dup3), 1,
				     SCMP_A1_64(SCMP_CMP_GT, UINT32_MAX));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

static int load_filter(int last_fd)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = 0;

	if (!ctx)
		return -ENOMEM;
	for (size_t i = 0; i < EX_ARRAY_SIZE(allowed) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0)
		r = allow_sending(ctx, last_fd);
	if (r == 0)
		r = allow_options(ctx);
	if (r == 0)
		r = ex_caps_allow_memory(ctx);
	/* Opening a file is refused, not fatal: libraries try it where they can do without. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
	if (r == 0)
		r = put_first(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* An empty, read-only root: there is no path left to name a file by. */
static int leave_file_system(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=0") < 0)
		return -errno;
	if (chdir("/proc") < 0 || chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static int become(uid_t uid)
{
	if (setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
	    setresuid(uid, uid, uid) == 0)
		return 0;
	return -errno;
}

int ex_sandbox_enter(uid_t uid, int last_fd)
{
	struct rlimit none = { 0, 0 };
	int r = leave_file_system();

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = ex_caps_bound(NULL, 0);
	if (r == 0)
		r = become(uid);
	if (r == 0)
		r = ex_caps_keep(NULL, 0);
	if (r < 0)
		return r;
	/* Changing the uid cleared this: the proxy dies with its parent. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_NPROC, &none);
	if (EX_ASAN) {
		ex_debug("built with a sanitizer: no system call filter");
		return 0;
	}
	r = refuse_wide();
	return r < 0 ? r : load_filter(last_fd);
}
