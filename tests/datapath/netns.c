/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "tests/datapath/netns.h"

void netns_enter(int fd)
{
	assert_return_code(setns(fd, CLONE_NEWNET), 0);
}

int netns_new(void)
{
	int fd;

	assert_return_code(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void netns_ip(const char *format, ...)
{
	char *argv[32] = { (char[]){ "ip" } };
	char command[256], words[256], *save = NULL, *word;
	int n = 1, status = 0;
	va_list args;
	pid_t pid;

	va_start(args, format);
	assert_in_range(vsnprintf(command, sizeof(command), format, args), 1, sizeof(command) - 1);
	va_end(args);
	memcpy(words, command, sizeof(words));
	for (word = strtok_r(words, " ", &save); word && n < 31; word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	pid = fork();
	if (pid == 0) {
		execvp("ip", argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("ip %s: status %d", command, status);
}

void netns_nft(const char *format, ...)
{
	FILE *to = popen("nft -f -", "w");
	va_list args;

	assert_non_null(to);
	va_start(args, format);
	vfprintf(to, format, args);
	va_end(args);
	assert_int_equal(pclose(to), 0);
}

void netns_way_around(const char *interface)
{
	netns_ip("link add ifb0 type ifb");
	netns_ip("link set ifb0 up");
	netns_nft("table netdev around {\n chain around {\n"
		  "  type filter hook egress device \"%s\" priority 0\n"
		  "  meta mark %d meta mark set 0 fwd to \"ifb0\"\n }\n}\n",
		  interface, NETNS_AROUND);
}

void netns_bpffs(const char *path)
{
	assert_return_code(unshare(CLONE_NEWNS), errno);
	assert_return_code(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), errno);
	assert_return_code(mount("bpf", path, "bpf", 0, "mode=0700"), errno);
}

void netns_sysctl(const char *path, const char *value)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "/proc/sys/net/%s", path);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, value, strlen(value)), strlen(value));
	close(fd);
}

static void gateway_setup(void)
{
	netns_sysctl("ipv4/conf/all/rp_filter", "0");
	netns_sysctl("ipv4/conf/default/rp_filter", "0");
	netns_sysctl("ipv4/tcp_syncookies", "0");
	netns_sysctl("ipv4/tcp_max_tw_buckets", "0");
	netns_ip("link set lo up");
	netns_ip("link add exg type veth peer name exw");
	netns_ip("link set exg address " NET_GW_MAC);
	netns_ip("addr add " NET_GW4 "/30 dev exg");
	netns_ip("-6 addr add " NET_GW6 "/64 dev exg nodad");
	netns_ip("link set exg up");
	netns_ip("neigh add " NET_OWN4 " lladdr " NET_OWN_MAC " dev exg nud permanent");
	netns_ip("-6 neigh add " NET_OWN6 " lladdr " NET_OWN_MAC " dev exg nud permanent");
	netns_ip("route add local default dev lo table main");
	netns_ip("-6 route add local default dev lo table main");
}

static void workload_setup(void)
{
	netns_ip("link set lo up");
	netns_ip("link set exw address " NET_OWN_MAC);
	netns_ip("addr add " NET_OWN4 "/30 dev exw");
	netns_ip("-6 addr add " NET_OWN6 "/64 dev exw nodad");
	netns_ip("link set exw up");
	netns_ip("neigh add " NET_GW4 " lladdr " NET_GW_MAC " dev exw nud permanent");
	netns_ip("-6 neigh add " NET_GW6 " lladdr " NET_GW_MAC " dev exw nud permanent");
	netns_ip("route add default via " NET_GW4);
	netns_ip("-6 route add default via " NET_GW6);
}

void netns_open(struct netns *ns)
{
	ns->world = -1;
	ns->workload = netns_new();
	ns->gw = netns_new();
	gateway_setup();
	netns_ip("link set exw netns /proc/%d/fd/%d", getpid(), ns->workload);
	netns_enter(ns->workload);
	workload_setup();
	netns_enter(ns->gw);
	ns->ifindex = if_nametoindex("exg");
	assert_true(ns->ifindex > 0);
}

void netns_add_world(struct netns *ns)
{
	ns->world = netns_new();
	netns_enter(ns->gw);
	netns_sysctl("ipv4/ip_forward", "1");
	netns_sysctl("ipv6/conf/all/forwarding", "1");
	netns_ip("route del local default dev lo table main");
	netns_ip("-6 route del local default dev lo table main");
	netns_ip("link add exo address " NET_UP_MAC
		 " type veth peer name exv address 02:65:78:00:00:04");
	netns_ip("link set exv netns /proc/%d/fd/%d", getpid(), ns->world);
	netns_ip("addr add 203.0.113.1/30 dev exo");
	netns_ip("-6 addr add 2001:db8:ffff::1/64 dev exo nodad");
	netns_ip("link set exo up");
	netns_ip("neigh add 203.0.113.2 lladdr 02:65:78:00:00:04 dev exo nud permanent");
	netns_ip("-6 neigh add 2001:db8:ffff::2 lladdr 02:65:78:00:00:04 dev exo nud permanent");
	netns_enter(ns->world);
	netns_ip("link set exv up");
	netns_enter(ns->gw);
	netns_ip("route add default via 203.0.113.2");
	netns_ip("-6 route add default via 2001:db8:ffff::2");
}

void netns_close(struct netns *ns)
{
	ex_closep(&ns->gw);
	ex_closep(&ns->workload);
	ex_closep(&ns->world);
}

void netns_endpoint(struct ex_endpoint *ep, uint32_t flags)
{
	*ep = (struct ex_endpoint){
		.flags = flags,
		.mac = { 2, 0x65, 0x78, 0, 0, 2 },
		.gw_mac = { 2, 0x65, 0x78, 0, 0, 1 },
	};
	assert_true(ex_ip_parse(NET_OWN4, &ep->ip4));
	assert_true(ex_ip_parse(NET_OWN6, &ep->ip6));
	assert_true(ex_ip_parse(NET_GW4, &ep->gw4));
	assert_true(ex_ip_parse(NET_GW6, &ep->gw6));
}
