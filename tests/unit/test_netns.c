/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces that somebody names by a path, and which of their interfaces are gated. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/core/netns.h"
#include "agent/core/rtnl.h"
#include "agent/node/wiring.h"

static char dir[] = "/tmp/exeat-netns-XXXXXX", pod_path[64];
static int host = -1, pod = -1;

/* The host's namespace and the pod's, and room for mounts. */
static int up(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("1..0 # SKIP needs root (network namespaces)\n");
		exit(77);
	}
	assert_non_null(mkdtemp(dir));
	snprintf(pod_path, sizeof(pod_path), "%s/pod", dir);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("none", dir, "tmpfs", 0, NULL), 0);
	close(open(pod_path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(mount("/proc/self/ns/net", pod_path, NULL, MS_BIND, NULL), 0);
	pod = ex_netns_own();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	host = ex_netns_own();
	return pod < 0 || host < 0;
}

static int down(void **state)
{
	(void)state;
	close(pod);
	close(host);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return 0;
}

static void test_a_mounted_namespace_and_that_of_a_process_are_opened(void **state)
{
	struct ex_netns_id a, b;
	char path[64];
	int fd = ex_netns_at(pod_path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ex_netns_identify(fd, &a), 0);
	assert_int_equal(ex_netns_identify(pod, &b), 0);
	assert_true(ex_netns_same(a, b));
	close(fd);
	assert_int_equal(ex_netns_at("/proc/self/ns/net"), -EADDRINUSE);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/net", getpid(), getpid());
	assert_int_equal(ex_netns_at(path), -EADDRINUSE);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", getppid());
	fd = ex_netns_at(path);
	assert_true(fd >= 0);
	close(fd);
}

static void test_nothing_else_is_opened(void **state)
{
	static const char *const paths[] = { "",
					     "/",
					     "/proc/1/ns/mnt",
					     "/proc/1/root/proc/1/ns/net",
					     "/proc/1/../1/ns/net",
					     "/proc/x/ns/net",
					     "/proc//ns/net",
					     "/proc/1/task//ns/net",
					     "/proc/1/ns/net/",
					     "/etc/passwd",
					     "proc/1/ns/net" };
	char path[96];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(paths); i++)
		assert_int_equal(ex_netns_at(paths[i]), -EINVAL);
	/* by any other way than it is mounted at */
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink(pod_path, path), 0);
	assert_int_equal(ex_netns_at(path), -EINVAL);
	snprintf(path, sizeof(path), "%s/./pod", dir);
	assert_int_equal(ex_netns_at(path), -EINVAL);
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ex_netns_at(path), -EINVAL);
}

/* A FUSE daemon that answers nothing: whoever looks a name up in there waits for ever. */
static void test_a_file_system_that_hangs_is_not_looked_into(void **state)
{
	char path[96], opts[96];
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	(void)state;
	if (fuse < 0)
		skip();
	snprintf(path, sizeof(path), "%s/hangs", dir);
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(mount("hangs", path, "fuse", 0, opts), 0);
	snprintf(path, sizeof(path), "%s/hangs/netns", dir);
	alarm(5);
	assert_int_equal(ex_netns_at(path), -EINVAL);
	alarm(0);
	close(fuse);
}

/* ---- which interface ---- */

static void add_veth(const char *name, const char *peer, int peer_ns)
{
	struct ex_veth veth = { .peer_ns = peer_ns,
				.name = name,
				.peer = peer,
				.mac = { 2, 0, 0, 0, 0, 1 },
				.peer_mac = { 2, 0, 0, 0, 0, 2 } };
	int rtnl = ex_rtnl_open();

	assert_true(rtnl >= 0);
	assert_int_equal(ex_rtnl_veth_add(rtnl, &veth), 0);
	close(rtnl);
}

static void test_an_interface_that_is_not_named_has_to_be_the_only_one(void **state)
{
	struct ex_where any = { .netns = pod }, named = { .netns = pod, .interface = "eth0" };
	struct ex_node_link link;
	char err[EX_NODE_ERR];

	(void)state;
	add_veth("host0", "eth0", pod);
	assert_int_equal(ex_wiring_find(&any, &link, err), 0);
	assert_int_equal(link.ifindex, if_nametoindex("host0"));
	/* one that leads nowhere else is none */
	assert_int_equal(ex_netns_go(pod), 0);
	add_veth("a", "b", pod);
	ex_netns_back(host);
	assert_int_equal(ex_wiring_find(&any, &link, err), 0);
	add_veth("host1", "net1", pod);
	assert_int_equal(ex_wiring_find(&any, &link, err), -EINVAL);
	assert_non_null(strstr(err, "net1"));
	assert_int_equal(ex_wiring_find(&named, &link, err), 0);
	assert_int_equal(link.ifindex, if_nametoindex("host0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mounted_namespace_and_that_of_a_process_are_opened),
		cmocka_unit_test(test_nothing_else_is_opened),
		cmocka_unit_test(test_a_file_system_that_hangs_is_not_looked_into),
		cmocka_unit_test(test_an_interface_that_is_not_named_has_to_be_the_only_one),
	};

	return cmocka_run_group_tests(tests, up, down);
}
