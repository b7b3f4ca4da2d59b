/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/datapath/attacker.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define SCRIPT "tests/datapath/attack.py"
#define PYTHON "/usr/bin/python3" /* Debian's own, which has scapy */
#define ROUNDS "20000"

bool attacker_is_there(void)
{
	bool there = access(SCRIPT, R_OK) == 0 &&
		     access("/usr/lib/python3/dist-packages/scapy", R_OK) == 0;

	if (!there)
		print_message("needs " SCRIPT " and python3-scapy\n");
	return there;
}

int attacker_sniff(int ns, const char *device, int back_to)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd, room = 64 << 20;

	netns_enter(ns);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(fd >= 0);
	at.sll_ifindex = (int)if_nametoindex(device);
	assert_return_code(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	netns_enter(back_to);
	return fd;
}

size_t attacker_hear(int sniffer, const char *payload, uint8_t *b, size_t size, int wait_ms)
{
	struct pollfd wait = { .fd = sniffer, .events = POLLIN };
	struct sockaddr_ll from;
	socklen_t len;
	ssize_t n;

	while (poll(&wait, 1, wait_ms) == 1) {
		len = sizeof(from);
		n = recvfrom(sniffer, b, size, 0, (struct sockaddr *)&from, &len);
		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING &&
		    memmem(b, (size_t)n, payload, strlen(payload)))
			return (size_t)n;
	}
	return 0;
}

static void listen_to(const struct attacker *a, int sniffer)
{
	struct sockaddr_ll from = { 0 };
	socklen_t size = sizeof(from);
	uint8_t b[PKT_MAX];
	ssize_t n;

	if (sniffer < 0)
		return;
	while ((n = recvfrom(sniffer, b, sizeof(b), 0, (struct sockaddr *)&from, &size)) > 0) {
		if (from.sll_pkttype != PACKET_OUTGOING)
			a->heard(sniffer, b, (size_t)n);
		size = sizeof(from);
	}
}

static pid_t start(const struct attacker *a)
{
	pid_t pid = fork();

	if (pid == 0) {
		netns_enter(a->ns);
		execl(PYTHON, PYTHON, SCRIPT, a->device, ROUNDS, NULL);
		_exit(127);
	}
	return pid;
}

void attacker_run(const struct attacker *a)
{
	int status = 0;
	pid_t pid = start(a);

	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd wait[2] = { { a->sniffers[0], POLLIN, 0 },
					  { a->sniffers[1], POLLIN, 0 } };

		(void)poll(wait, 2, 20);
		listen_to(a, a->sniffers[0]);
		listen_to(a, a->sniffers[1]);
	}
	assert_int_equal(status, 0);
	listen_to(a, a->sniffers[0]);
	listen_to(a, a->sniffers[1]);
}

void attacker_got_out(const uint8_t *frame, size_t len, const char *where)
{
	for (size_t i = 0; i < len; i++)
		print_error("%02x", frame[i]);
	fail_msg("this frame got out to the %s", where);
}
