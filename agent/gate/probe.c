/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each probe does the thing itself, in a child process with namespaces of its own, instead of
 * guessing from version numbers: kernels are configured, patched and confined in too many ways.
 */
#include "agent/gate/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"

#define NOFILE_WANTED 4096
#define LOOPBACK      1

struct probe {
	const char *name;
	bool required;
	int (*fn)(void);     /* 0 or negative errno; runs in a child */
	const char *without; /* what does not work when it is missing */
	const char *remedy;
};

static int probe_kernel(void)
{
	struct utsname u;
	unsigned long major, minor;
	char *end;

	if (uname(&u))
		return -errno;
	major = strtoul(u.release, &end, 10);
	if (*end != '.')
		return -EINVAL;
	minor = strtoul(end + 1, NULL, 10);
	return major > 5 || (major == 5 && minor >= 15) ? 0 : -ENOSYS;
}

static int probe_root(void)
{
	return geteuid() == 0 ? 0 : -EPERM;
}

static int probe_netns(void)
{
	return unshare(CLONE_NEWNET) ? -errno : 0;
}

static int probe_mountns(void)
{
	if (unshare(CLONE_NEWNS))
		return -errno;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ? -errno : 0;
}

/* As the processes of a run, which cannot be looked into: ours are asked for their namespaces. */
static int probe_reach(void)
{
	int status = 0;
	char path[64];
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)getpid());
	if (prctl(PR_SET_DUMPABLE, 0))
		return -errno;
	pid = fork();
	if (pid == 0)
		_exit(open(path, O_RDONLY | O_CLOEXEC) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EFAULT;
}

static int probe_types(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int r = btf ? 0 : -errno;

	btf__free(btf);
	return r;
}

static int gate_load(struct ex_gate **gate)
{
	const struct ex_gate_limits small = { .dests = 16, .rules = 16, .names = 16, .flows = 16 };
	int r = probe_netns();

	return r ? r : ex_gate_load(&small, gate);
}

static int probe_programs(void)
{
	struct ex_gate *gate = NULL;

	return gate_load(&gate);
}

static int probe_attach(void)
{
	const struct ex_tables none = { 0 };
	const struct ex_endpoint ep = { 0 };
	struct ex_gate *gate = NULL;
	int r = gate_load(&gate);

	if (!r)
		r = ex_gate_publish(gate, LOOPBACK, &ep, &none);
	return r ? r : ex_gate_attach(gate, LOOPBACK);
}

static int transparent_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, family == AF_INET ? SOL_IP : SOL_IPV6,
		       family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one, sizeof(one)) ||
	    listen(fd, 1))
		return -errno;
	return fd;
}

static int probe_links(void)
{
	int r;

	if (gate_links_guard(NULL) == 0)
		return 0;
	r = probe_netns();
	return r ? r : gate_stamp_probe();
}

static int probe_steering(void)
{
	struct ex_gate *gate = NULL;
	int r = gate_load(&gate), fd;

	if (r)
		return r;
	fd = transparent_socket(AF_INET);
	return fd < 0 ? fd : ex_gate_set_socket(gate, LOOPBACK, EX_SOCK_TCP4, 0, fd);
}

static int probe_ipv6(void)
{
	int r = probe_netns(), fd;

	if (r)
		return r;
	fd = transparent_socket(AF_INET6);
	return fd < 0 ? fd : 0;
}

static int probe_seccomp(void)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) ? -errno : 0;
}

static int probe_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	return limit.rlim_max >= NOFILE_WANTED ? 0 : -EMFILE;
}

static int probe_xdp(void)
{
	return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, NULL) == 1 ? 0 : -EPERM;
}

static int probe_dispatcher(void)
{
	return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) == 1 ? 0 : -EPERM;
}

static int probe_bpffs(void)
{
	struct statfs fs;

	if (statfs("/sys/fs/bpf", &fs))
		return -errno;
	return fs.f_type == BPF_FS_MAGIC ? 0 : -ENODEV;
}

static const struct probe probes[] = {
	{ "Linux 5.15 or later", true, probe_kernel, "everything",
	  "boot a newer kernel; every supported distribution has one" },
	{ "root", true, probe_root, "everything", "run exeat by sudo" },
	{ "network namespaces", true, probe_netns, "run, agent",
	  "needs CAP_SYS_ADMIN and CONFIG_NET_NS: in a container, start it --privileged" },
	{ "mount namespaces", true, probe_mountns, "run (the workload's trust store, resolv.conf)",
	  "needs CAP_SYS_ADMIN: in a container, start it --privileged" },
	{ "namespaces of processes of its own", true, probe_reach, "run, learn",
	  "needs CAP_SYS_PTRACE and /proc: in a container, start it --privileged" },
	{ "the kernel's types (BTF)", true, probe_types, "run, agent",
	  "needs CONFIG_DEBUG_INFO_BTF (/sys/kernel/btf/vmlinux); in a container, its /sys" },
	{ "the kernel gate's programs load", true, probe_programs, "run, agent",
	  "needs CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN), CONFIG_BPF_SYSCALL and\n"
	  "CONFIG_BPF_JIT, and no kernel lockdown in confidentiality mode" },
	{ "they attach to an interface", true, probe_attach, "run, agent",
	  "needs CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF and CONFIG_NET_CLS_ACT\n"
	  "(modprobe sch_ingress cls_bpf)" },
	{ "flows can be steered to the proxy", true, probe_steering, "rules with http, dns, names",
	  "needs CONFIG_NET_SOCK_MSG (sockmap), CONFIG_INET and CAP_NET_ADMIN" },
	{ "seccomp filters", true, probe_seccomp, "run, agent (the proxy confines itself by them)",
	  "needs CONFIG_SECCOMP_FILTER; an outer container must allow the seccomp system call" },
	{ "workloads are kept from ifb devices", false, probe_links,
	  "agent: no endpoint is let in, as a workload with CAP_NET_ADMIN could pass its gate by",
	  "needs BPF trampolines (function tracing with direct calls) and CONFIG_SECURITY; or\n"
	  "nftables: CONFIG_NF_TABLES, with _INET, _ARP and _BRIDGE (modprobe nf_tables)" },
	{ "IPv6", false, probe_ipv6, "IPv6 destinations; IPv4 is gated all the same",
	  "boot without ipv6.disable=1" },
	{ "room for open files", false, probe_files, "many connections at a time",
	  "raise the hard limit: ulimit -Hn 65536, or LimitNOFILE= of the unit" },
	{ "XDP", false, probe_xdp, "prefilter", "needs CONFIG_XDP_SOCKETS or a newer kernel" },
	{ "several XDP programs on one device", false, probe_dispatcher,
	  "prefilter beside other XDP programs; it runs alone",
	  "needs CAP_SYS_ADMIN and BPF trampolines (CONFIG_DEBUG_INFO_BTF, function tracing)" },
	{ "a bpf file system", false, probe_bpffs, "prefilter beside other XDP programs",
	  "mount -t bpf bpf /sys/fs/bpf" },
};

/* Reads to the end, so that the writer is never stopped; keeps what fits. */
static void said_read(int fd, char *said, size_t cap)
{
	size_t len = 0;
	char rest[512];
	ssize_t n;

	do {
		n = len < cap - 1 ? read(fd, said + len, cap - 1 - len)
				  : read(fd, rest, sizeof(rest));
		if (n > 0 && len < cap - 1)
			len += (size_t)n;
	} while (n > 0);
	said[len] = '\0';
}

/* In a child: what a probe makes, enters or leaks ends with it. What it says is kept in said. */
static int probe_run(const struct probe *p, char *said, size_t cap)
{
	int pipefd[2], status = 0;
	pid_t pid;

	*said = '\0';
	if (pipe2(pipefd, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid == 0) {
		dup2(pipefd[1], STDERR_FILENO);
		_exit(-p->fn() & 0x7f);
	}
	close(pipefd[1]);
	if (pid > 0)
		said_read(pipefd[0], said, cap);
	close(pipefd[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EFAULT;
}

static void print_indented(const char *lead, const char *text)
{
	size_t len;

	for (; *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		printf("           %s%.*s\n", lead, (int)len, text);
		lead = "";
	}
}

static bool probe_print(const struct probe *p, bool verbose)
{
	char said[4096];
	int r = probe_run(p, said, sizeof(said));

	if (!r) {
		printf("  ok       %s\n", p->name);
		return true;
	}
	printf("  %s  %s: %s\n", p->required ? "MISSING" : "absent ", p->name, strerror(-r));
	print_indented("missing then: ", p->without);
	print_indented("remedy: ", p->remedy);
	if (verbose)
		print_indented("", said);
	return !p->required;
}

int ex_cmd_doctor(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0, well = true;
	struct utsname u;
	size_t i;

	if (argc > 1 && !verbose) {
		bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;

		fputs("Usage: exeat doctor [-v]\n       exeat doctor --node [OPTION of exeat "
		      "agent...]\n\nTries what exeat needs of this machine, and what its node agent "
		      "needs, and names\nthe remedy for what is missing.\n",
		      help ? stdout : stderr);
		return help ? 0 : 125;
	}
	if (uname(&u) == 0)
		printf("%s %s %s\n", u.sysname, u.release, u.machine);
	fflush(stdout); /* not once more in every child */
	for (i = 0; i < EX_ARRAY_SIZE(probes); i++) {
		well &= probe_print(&probes[i], verbose);
		fflush(stdout);
	}
	puts(well ? "exeat can run here." : "exeat cannot run here yet.");
	return well ? 0 : 1;
}
