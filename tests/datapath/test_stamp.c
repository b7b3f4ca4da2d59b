/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ifb device sends on passes the next ingress hook by, and the gate with it. Where the
 * kernel cannot be asked to keep workloads from such a device, it is dropped behind the gate. Each
 * time the hole is seen, too: without the tables the same packet arrives.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/core/rtnl.h"
#include "agent/gate/gate_internal.h"
#include "tests/datapath/bridge.h"
#include "tests/datapath/served.h"
#include "tests/datapath/socks.h"

#define OPEN         8000 /* the port that the policy allows */
#define SHUT         9000
#define NETNS_AROUND 1 /* the mark that leads over the ifb device */
#define NEVER        300

static char root[] = "/tmp/exeat-stamp-XXXXXX", pin[64];
static char no_guard[80]; /* a folder where the guard of links.c would be pinned: so it cannot be */
static struct ex_gate *gate;

/* One that is routed, and one that is a port of a bridge. */
static struct node {
	struct netns routed;
	struct bridge bridge;
} net;

static struct place {
	int host, workload, world; /* namespaces */
	uint32_t ifindex;
	struct ex_endpoint ep;
	const char *far4, *far6;
} places[2];

static struct ex_rule_entry rules[] = {
	{ 1, 32, IPPROTO_UDP, OPEN, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
};
static struct ex_dest_entry everywhere[] = { { .prefix = 0, .klass = 1 } };

static bool succeeds(const char *command)
{
	FILE *of = popen(command, "r");
	char b[512];

	assert_non_null(of);
	while (fread(b, 1, sizeof(b), of) > 0)
		;
	return pclose(of) == 0;
}

/* ---- the node ---- */

static void routed_open(struct place *p)
{
	netns_open(&net.routed);
	netns_add_world(&net.routed);
	*p = (struct place){ .host = net.routed.gw,
			     .workload = net.routed.workload,
			     .world = net.routed.world,
			     .ifindex = net.routed.ifindex,
			     .far4 = "203.0.113.2",
			     .far6 = "2001:db8:ffff::2" };
	netns_endpoint(&p->ep, 0);
	netns_enter(p->world);
	netns_ip("link set lo up");
	netns_ip("addr add %s/30 dev exv", p->far4);
	netns_ip("-6 addr add %s/64 dev exv nodad", p->far6);
	netns_ip("route add default via 203.0.113.1");
	netns_ip("-6 route add default via 2001:db8:ffff::1");
	netns_enter(p->workload);
	netns_way_around("exw");
}

static void bridged_open(struct place *p)
{
	bridge_open(&net.bridge);
	*p = (struct place){ .host = net.bridge.host,
			     .workload = net.bridge.pods[0].ns,
			     .world = net.bridge.pods[1].ns,
			     .ifindex = net.bridge.pods[0].ifindex,
			     .ep = net.bridge.pods[0].ep,
			     .far4 = POD_B4,
			     .far6 = POD_B6 };
	p->ep.flags = EX_EP_BRIDGED;
	netns_enter(p->workload);
	netns_way_around("eth0");
}

static void start(const struct place *p)
{
	const struct ex_gate_limits limits = { .pin = pin };

	(void)mkdir(pin, 0700);
	(void)mkdir(no_guard, 0700);
	netns_enter(p->host);
	assert_int_equal(ex_gate_load(&limits, &gate), 0);
	assert_true(gate->stamps);
}

static int attach(const struct place *p)
{
	const struct ex_tables t = { everywhere, 1, rules, EX_ARRAY_SIZE(rules), 1 };

	assert_int_equal(ex_gate_publish(gate, p->ifindex, &p->ep, &t), 0);
	return ex_gate_attach(gate, p->ifindex);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	netns_bpffs(root);
	snprintf(pin, sizeof(pin), "%s/exeat", root);
	snprintf(no_guard, sizeof(no_guard), "%s/links", pin);
	routed_open(&places[0]);
	bridged_open(&places[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	umount2(root, MNT_DETACH);
	rmdir(root);
	netns_close(&net.routed);
	bridge_close(&net.bridge);
	return 0;
}

/* ---- packets ---- */

static int open_in(int ns, int family, uint16_t port)
{
	int fd;

	netns_enter(ns);
	fd = socks_transparent(SOCK_DGRAM, family == AF_INET ? "0.0.0.0" : "::", port);
	return fd;
}

static void say_from(int ns, const char *text, uint16_t port, int mark)
{
	socklen_t len;
	struct sockaddr_storage to = socks_address(text, port, &len);
	int fd = (netns_enter(ns), socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	assert_return_code(fd, errno);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), errno);
	assert_int_equal(sendto(fd, "out", 3, 0, (void *)&to, len), 3);
	close(fd);
}

static bool heard(int fd)
{
	struct pollfd pfd = { fd, POLLIN, 0 };
	char b[64];

	return poll(&pfd, 1, NEVER) == 1 && recv(fd, b, sizeof(b), 0) > 0;
}

/* Does a datagram to that port arrive? */
static bool arrives(const struct place *p, int family, uint16_t port, int mark)
{
	int fd = open_in(p->world, family, port);
	bool there;

	say_from(p->workload, family == AF_INET ? p->far4 : p->far6, port, mark);
	there = heard(fd);
	close(fd);
	netns_enter(p->host);
	return there;
}

static void assert_closed(const struct place *p)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < EX_ARRAY_SIZE(families); i++) {
		assert_true(arrives(p, families[i], OPEN, 0));
		assert_false(arrives(p, families[i], SHUT, 0));
		assert_false(arrives(p, families[i], SHUT, NETNS_AROUND));
		assert_false(arrives(p, families[i], OPEN, NETNS_AROUND));
	}
}

/* Where nobody looks for stamps, what has one passes, and so does what has none. */
static void assert_open(const struct place *p)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < EX_ARRAY_SIZE(families); i++) {
		assert_true(arrives(p, families[i], OPEN, 0));
		assert_false(arrives(p, families[i], SHUT, 0));
		assert_true(arrives(p, families[i], SHUT, NETNS_AROUND));
	}
}

static uint32_t group_of(uint32_t ifindex)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	struct ex_iface link;

	assert_int_equal(ex_rtnl_link_get(rtnl, ifindex, NULL, &link), 0);
	return link.group;
}

/* ---- the tests, of each place ---- */

static int begin(void **state)
{
	const struct place *p = *state;

	start(p);
	return attach(p);
}

static int end(void **state)
{
	const struct place *p = *state;

	netns_enter(p->host);
	ex_gate_free(gate);
	assert_int_equal(ex_gate_detach(gate, p->ifindex), 0);
	assert_return_code(rmdir(no_guard), errno);
	assert_int_equal(ex_gate_unpin(pin), 0);
	return 0;
}

static void test_what_went_around_is_dropped(void **state)
{
	const struct place *p = *state;

	assert_closed(p);
	netns_nft("flush ruleset\n");
	assert_open(p);
}

static void test_a_fragment_needs_its_own_stamp(void **state)
{
	const struct place *p = *state;
	char large[4000];
	socklen_t len;
	struct sockaddr_storage to = socks_address(p->far4, OPEN, &len);
	int mark = NETNS_AROUND, fd, far;

	far = open_in(p->world, AF_INET, OPEN);
	netns_enter(p->workload);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memset(large, 'x', sizeof(large));
	assert_int_equal(sendto(fd, large, sizeof(large), 0, (void *)&to, len), sizeof(large));
	assert_true(heard(far));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	assert_int_equal(sendto(fd, large, sizeof(large), 0, (void *)&to, len), sizeof(large));
	assert_false(heard(far));
	close(fd);
	close(far);
	netns_enter(p->host);
}

static void test_tables_are_put_back(void **state)
{
	const struct place *p = *state;
	struct pollfd pfd;

	pfd = (struct pollfd){ ex_gate_stamp_fd(gate), POLLIN, 0 };
	assert_int_equal(poll(&pfd, 1, 0), 0); /* of what is our own doing nothing is heard */
	netns_nft("table ip others\n");
	assert_int_equal(ex_gate_stamp_again(gate), 0);
	netns_nft("flush ruleset\n");
	assert_true(arrives(p, AF_INET, SHUT, NETNS_AROUND));
	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(ex_gate_stamp_again(gate), 0);
	assert_closed(p);
	netns_nft("flush table bridge exeat\nflush table inet exeat\n");
	assert_true(arrives(p, AF_INET, SHUT, NETNS_AROUND));
	assert_int_equal(ex_gate_stamp_again(gate), 0);
	assert_closed(p);
}

static void test_they_outlast_the_process(void **state)
{
	const struct place *p = *state;

	ex_gate_free(gate);
	assert_closed(p);
	netns_nft("flush ruleset\n");
	assert_open(p);
	start(p);
	assert_closed(p);
}

static void test_a_gate_that_goes_leaves_nothing(void **state)
{
	const struct place *p = *state;

	assert_int_equal(group_of(p->ifindex), GATE_STAMP_GROUP);
	assert_int_equal(ex_gate_detach(gate, p->ifindex), 0);
	assert_int_equal(group_of(p->ifindex), 0);
	assert_true(arrives(p, AF_INET, SHUT, 0));
}

/* Of which nobody else can put anything in its place. */
static FILE *take_table(void)
{
	FILE *owner = popen("nft -i >/dev/null", "w"); /* it is there as long as this is */

	assert_non_null(owner);
	fputs("add table inet exeat { flags owner; }\n", owner);
	fflush(owner);
	for (int i = 0; i < 100 && !succeeds("nft list table inet exeat 2>&1"); i++)
		poll(NULL, 0, 20);
	return owner;
}

static void leave_table(FILE *owner)
{
	fputs("quit\n", owner);
	pclose(owner);
}

static void test_without_tables_nobody_is_let_in(void **state)
{
	const struct place *p = *state;
	FILE *owner;

	assert_int_equal(end(state), 0);
	owner = take_table();
	start(p);
	assert_int_equal(attach(p), -EXDEV);
	assert_int_equal(group_of(p->ifindex), 0);
	leave_table(owner);
	assert_int_equal(attach(p), 0);
	assert_closed(p);
}

/* Programs with maps that nobody has any more: what they let pass could not be revoked. */
static void test_without_tables_what_was_attached_is_replaced(void **state)
{
	const struct place *p = *state;
	FILE *owner;

	ex_gate_free(gate);
	assert_int_equal(ex_gate_unpin_maps(pin), 0);
	assert_true(arrives(p, AF_INET, OPEN, 0));
	netns_nft("flush ruleset\n");
	owner = take_table();
	start(p);
	assert_int_equal(ex_gate_guard_again(gate, p->ifindex), -EXDEV);
	assert_false(arrives(p, AF_INET, OPEN, 0));
	leave_table(owner);
	assert_int_equal(attach(p), 0);
	assert_closed(p);
}

/* Nothing says that it was taken: that was lost, behind news of its being there. */
static void test_tables_are_put_back_when_news_are_lost(void **state)
{
	const struct place *p = *state;
	int fd = ex_gate_stamp_fd(gate), few = 1, usual = 1 << 18;

	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few)), errno);
	for (int i = 0; i < 8; i++)
		netns_nft("add rule inet exeat unasked counter\n");
	netns_nft("flush ruleset\n");
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &usual, sizeof(usual)), errno);
	assert_true(arrives(p, AF_INET, SHUT, NETNS_AROUND));
	assert_int_equal(ex_gate_stamp_again(gate), 0);
	assert_closed(p);
}

static void test_somebody_elses_group_is_left_alone(void **state)
{
	const struct place *p = *state;

	assert_int_equal(ex_gate_detach(gate, p->ifindex), 0);
	netns_ip("link set dev %s group 7", p == places ? "exg" : "veth0");
	assert_int_equal(attach(p), -EUSERS);
	netns_ip("link set dev %s group default", p == places ? "exg" : "veth0");
	assert_int_equal(attach(p), 0);
	assert_closed(p);
}

/* ---- what is not IP ---- */

static void send_frame(const struct place *p, const char *interface, const void *to, uint16_t proto,
		       const void *body, size_t len)
{
	const int mark = NETNS_AROUND;
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(proto),
				  .sll_ifindex = (int)(netns_enter(p->workload),
						       if_nametoindex(interface)),
				  .sll_halen = 6 };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(at.sll_addr, to, 6);
	assert_return_code(fd, errno);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), errno);
	assert_int_equal(sendto(fd, body, len, 0, (void *)&at, sizeof(at)), len);
	close(fd);
	netns_enter(p->host);
}

/* The host learns who asks it. */
static bool host_learns(void)
{
	static const uint8_t request[] = { 0,  1, 8, 0, 6, 4, 0, 1, 2, 0x65, 0x78, 0, 0, 2,
					   10, 1, 2, 3, 0, 0, 0, 0, 0, 0,    192,  0, 0, 1 };

	send_frame(&places[0], "exw", "\xff\xff\xff\xff\xff\xff", ETH_P_ARP, request,
		   sizeof(request));
	poll(NULL, 0, NEVER);
	return succeeds("ip neigh show 10.1.2.3 | grep -q .");
}

static void test_arp_is_dropped_where_it_ends(void **state)
{
	(void)state;
	assert_false(host_learns());
	netns_nft("flush ruleset\n");
	assert_true(host_learns());
}

#define test_of(f, place)                                                                          \
	{                                                                                          \
#f " (" #place ")", f, begin, end, &places[place]                                  \
	}
#define test_of_both(f) test_of(f, 0), test_of(f, 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of_both(test_what_went_around_is_dropped),
		test_of_both(test_a_fragment_needs_its_own_stamp),
		test_of_both(test_tables_are_put_back),
		test_of_both(test_they_outlast_the_process),
		test_of_both(test_a_gate_that_goes_leaves_nothing),
		test_of_both(test_tables_are_put_back_when_news_are_lost),
		test_of_both(test_without_tables_nobody_is_let_in),
		test_of_both(test_without_tables_what_was_attached_is_replaced),
		test_of_both(test_somebody_elses_group_is_left_alone),
		test_of(test_arp_is_dropped_where_it_ends, 0),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
