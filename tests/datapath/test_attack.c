/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile root in the workload against the gate on a real veth, with a sniffer in the world
 * behind the gateway. Whatever arrives there is read by a parser of its own, and must be what the
 * policy allows: TCP 443 or UDP 123 to one address of each family.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "agent/gate/gate.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define SCRIPT "tests/datapath/attack.py"
#define PYTHON "/usr/bin/python3" /* Debian's own, which has scapy */

static struct netns ns;
static struct ex_gate *gate;
static struct ex_ip ok4, ok6, own4, own6;

struct harvest {
	int frames, tcp4, tcp6, udp4, udp6;
};

static int setup(void **state)
{
	struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
		{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
	};
	struct ex_dest_entry dests[2] = { { .prefix = 128, .klass = 1 },
					  { .prefix = 128, .klass = 1 } };
	struct ex_tables t = { dests, 2, rules, 2, 1 };
	struct ex_endpoint ep;

	(void)state;
	assert_true(ex_ip_parse("198.51.100.7", &ok4));
	assert_true(ex_ip_parse("2001:db8::7", &ok6));
	assert_true(ex_ip_parse(NET_OWN4, &own4));
	assert_true(ex_ip_parse(NET_OWN6, &own6));
	dests[0].ip = ok4;
	dests[1].ip = ok6;
	netns_open(&ns);
	netns_add_world(&ns);
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	netns_endpoint(&ep, 0);
	assert_int_equal(ex_gate_publish(gate, ns.ifindex, &ep, &t), 0);
	assert_int_equal(ex_gate_attach(gate, ns.ifindex), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ex_gate_free(gate);
	netns_close(&ns);
	return 0;
}

static int sniffer_open(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd, room = 64 << 20;

	netns_enter(ns.world);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(fd >= 0);
	at.sll_ifindex = (int)if_nametoindex("exv");
	assert_return_code(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	netns_enter(ns.gw);
	return fd;
}

static void frame_print(const uint8_t *b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		print_error("%02x", b[i]);
	print_error("\n");
}

/* The transport header of an allowed packet's address pair, or NULL. */
static const uint8_t *judge_addresses(const uint8_t *b, size_t len, uint8_t *proto)
{
	const uint8_t *ip = b + 14;

	if (pkt_get16(b + 12) == 0x0800 && len >= 14 + 28) {
		*proto = ip[9];
		if (ip[0] != 0x45 || memcmp(ip + 12, own4.b + 12, 4) ||
		    memcmp(ip + 16, ok4.b + 12, 4))
			return NULL;
		/* later fragments of a datagram whose first one was seen have no header to look at
		 */
		return ip + 20;
	}
	if (pkt_get16(b + 12) == 0x86dd && len >= 14 + 48) {
		*proto = ip[6];
		if (ip[0] >> 4 != 6 || memcmp(ip + 8, own6.b, 16) || memcmp(ip + 24, ok6.b, 16))
			return NULL;
		ip += 40;
		while ((*proto == 0 || *proto == 60) && ip + 16 <= b + len) {
			*proto = ip[0];
			ip += (ip[1] + 1) * 8;
		}
		if (*proto == IPPROTO_FRAGMENT && ip + 16 <= b + len && !(pkt_get16(ip + 2) & ~7)) {
			*proto = ip[0]; /* the first one */
			ip += 8;
		}
		return ip;
	}
	return NULL;
}

/* What the gateway says by itself on its own link: neighbour discovery, MLD. */
static bool is_gateways_own(const uint8_t *b, size_t len)
{
	static const uint8_t none[16];

	if (pkt_get16(b + 12) == 0x0806)
		return true;
	return pkt_get16(b + 12) == 0x86dd && len >= 14 + 40 &&
	       ((b[22] == 0xfe && (b[23] & 0xc0) == 0x80) || memcmp(b + 22, none, 16) == 0 ||
		(b[22] == 0x20 && b[37] == 1 && pkt_get16(b + 26) == 0xffff));
}

static void judge_frame(const uint8_t *b, size_t len, struct harvest *h)
{
	const uint8_t *l4;
	uint8_t proto = 0;
	bool is4 = pkt_get16(b + 12) == 0x0800;

	if (is_gateways_own(b, len))
		return;
	h->frames++;
	if (memmem(b, len, PKT_SECRET, strlen(PKT_SECRET))) {
		frame_print(b, len);
		fail_msg("the secret got out");
	}
	l4 = judge_addresses(b, len, &proto);
	if (l4 && is4 && proto == IPPROTO_UDP && (pkt_get16(b + 20) & 0x1fff))
		return; /* a later fragment; its first one was judged */
	if (l4 && l4 + 8 <= b + len && proto == IPPROTO_TCP && pkt_get16(l4 + 2) == 443 &&
	    ((l4[13] & 0x17) == PKT_SYN || (l4[13] & 0x17) == PKT_RST)) { /* nobody answers */
		*(is4 ? &h->tcp4 : &h->tcp6) += 1;
		return;
	}
	if (l4 && l4 + 8 <= b + len && proto == IPPROTO_UDP && pkt_get16(l4 + 2) == 123) {
		*(is4 ? &h->udp4 : &h->udp6) += 1;
		return;
	}
	frame_print(b, len);
	fail_msg("this frame got out");
}

static void harvest(int sniffer, struct harvest *h)
{
	uint8_t b[PKT_MAX];
	ssize_t n;

	while ((n = recv(sniffer, b, sizeof(b), 0)) > 0)
		judge_frame(b, (size_t)n, h);
}

static pid_t attacker_start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		netns_enter(ns.workload);
		execl(PYTHON, PYTHON, SCRIPT, "exw", "20000", NULL);
		_exit(127);
	}
	return pid;
}

static bool scapy_is_there(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, 2);
		execl(PYTHON, PYTHON, "-c", "import scapy.all", NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_nothing_gets_out_but_what_is_allowed(void **state)
{
	struct harvest h = { 0 };
	int sniffer, status = 0;
	pid_t pid;

	(void)state;
	if (!scapy_is_there() || access(SCRIPT, R_OK)) {
		print_message("needs %s and python3-scapy\n", SCRIPT);
		skip();
	}
	sniffer = sniffer_open();
	pid = attacker_start();
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd wait = { sniffer, POLLIN, 0 };

		(void)poll(&wait, 1, 20);
		harvest(sniffer, &h);
	}
	assert_int_equal(status, 0);
	harvest(sniffer, &h);
	close(sniffer);
	/* the sound packets before and after the attack: the wire was there all the time */
	assert_true(h.tcp4 >= 2 && h.tcp6 >= 2 && h.udp4 >= 2 && h.udp6 >= 2);
	print_message("%d frames got out, all allowed\n", h.frames);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_gets_out_but_what_is_allowed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
