/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/core/caps.h"
#include "agent/core/log.h"
#include "agent/report/sandbox.h"

#define COPY_MAX    (1u << 20)
#define THREADS_MAX 64 /* libcurl looks each name up in a thread */

/* ---- files ---- */

/* What getaddrinfo(3) reads. One that is not there is not needed. */
static const char *const files[] = { "resolv.conf", "hosts",    "nsswitch.conf",
				     "host.conf",   "gai.conf", "services" };

static int copy_bytes(int from, int to)
{
	char buf[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0 && total < COPY_MAX) {
		if (write(to, buf, (size_t)n) != n)
			return -EIO;
		total += (size_t)n;
	}
	return n < 0 ? -errno : n > 0 ? -EFBIG : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name)
{
	EX_AUTO_CLOSE int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	EX_AUTO_CLOSE int to = -1;
	struct stat st;

	if (from < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (to < 0 || fchmod(to, 0444) < 0) /* whatever the umask is */
		return -errno;
	return copy_bytes(from, to);
}

static int fill_root(void)
{
	EX_AUTO_CLOSE int from = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EX_AUTO_CLOSE int to = -1;
	int r = 0;

	if (from < 0 || mkdir("/proc/etc", 0755) < 0 || chmod("/proc/etc", 0755) < 0)
		return -errno;
	to = open("/proc/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		return -errno;
	for (size_t i = 0; i < EX_ARRAY_SIZE(files) && r == 0; i++)
		r = copy_file(from, to, files[i]);
	return r;
}

static int leave_file_system(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (mount("none", "/proc", "tmpfs", flags, "size=8m,mode=755") < 0)
		return -errno;
	r = fill_root();
	if (r < 0)
		return r;
	if (mount(NULL, "/proc", NULL, MS_REMOUNT | MS_RDONLY | flags, "size=8m") < 0 ||
	    chdir("/proc") < 0 || chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

/* ---- identity ---- */

static int limit(void)
{
	const struct rlimit none = { 0, 0 }, threads = { THREADS_MAX, THREADS_MAX };

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NPROC, &threads) < 0)
		return -errno;
	return 0;
}

static int change_identity(uid_t uid)
{
	int r = leave_file_system();

	if (r == 0)
		r = ex_caps_bound(NULL, 0);
	if (r < 0)
		return r;
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	r = limit();
	return r < 0 ? r : ex_caps_keep(NULL, 0);
}

int ex_report_become(uid_t uid)
{
	int r = uid ? change_identity(uid) : 0;

	if (r < 0)
		return r;
	/* A change of identity clears the first two. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* ---- system calls ---- */

/* What sockets, threads, OpenSSL and malloc use. */
static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(sendfile),
	SCMP_SYS(socketpair),
	SCMP_SYS(pipe2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(stat),
	SCMP_SYS(statx),
	SCMP_SYS(lseek),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* What no library here tries by itself; the rest is refused, and they do without. */
static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(bpf),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(chroot),
	SCMP_SYS(pivot_root),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(memfd_create),
	SCMP_SYS(setuid),
	SCMP_SYS(setresuid),
};

/* Threads, but no processes. Where flags are in memory (clone3) they cannot be looked at. */
static int allow_threads(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(
		ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0_32(SCMP_CMP_EQ, PR_SET_NAME));
	/* abort(3) ends the process by it */
	return r < 0 ? r
		     : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
					SCMP_A0_32(SCMP_CMP_EQ, (unsigned)getpid()));
}

static int allow_sockets(scmp_filter_ctx ctx)
{
	static const unsigned families[] = { AF_INET, AF_INET6 };
	static const unsigned long controls[] = { FIONREAD, FIONBIO };
	/* netlink tells getaddrinfo(3) which families there are: it takes them for there */
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				 SCMP_A0_32(SCMP_CMP_EQ, AF_NETLINK));

	for (size_t i = 0; i < EX_ARRAY_SIZE(families) && r == 0; i++)
		for (unsigned type = SOCK_STREAM; type <= SOCK_DGRAM && r == 0; type++)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
					     SCMP_A0_32(SCMP_CMP_EQ, families[i]),
					     SCMP_A1_32(SCMP_CMP_MASKED_EQ, 0xf, type));
	for (size_t i = 0; i < EX_ARRAY_SIZE(controls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1_32(SCMP_CMP_EQ, (unsigned)controls[i]));
	return r;
}

static int allow_reading(scmp_filter_ctx ctx)
{
	const unsigned writes = O_ACCMODE | O_CREAT | O_TRUNC | O_PATH;
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				 SCMP_A2_32(SCMP_CMP_MASKED_EQ, writes, O_RDONLY));

	return r < 0 ? r
		     : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
					SCMP_A1_32(SCMP_CMP_MASKED_EQ, writes, O_RDONLY));
}

static int fill_filter(scmp_filter_ctx ctx)
{
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);

	for (size_t i = 0; i < EX_ARRAY_SIZE(allowed) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < EX_ARRAY_SIZE(deadly) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	if (r == 0)
		r = ex_caps_allow_memory(ctx);
	if (r == 0)
		r = allow_threads(ctx);
	if (r == 0)
		r = allow_sockets(ctx);
	return r < 0 ? r : allow_reading(ctx);
}

int ex_report_filter(void)
{
	scmp_filter_ctx ctx;
	int r;

	if (EX_ASAN) {
		ex_debug("built with a sanitizer: no system call filter");
		return 0;
	}
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	r = fill_filter(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
