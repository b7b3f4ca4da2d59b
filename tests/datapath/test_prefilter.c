/* SPDX-License-Identifier: Apache-2.0 */
/* exeat prefilter on a real device: frames are sent into it, and seen behind it or not. */
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "agent/gate/prefilter.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

static struct netns ns;
static int sender, sniffer;

static int packet_socket(const char *dev)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	at.sll_ifindex = (int)if_nametoindex(dev);
	assert_return_code(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	netns_open(&ns);
	/* libxdp pins its dispatcher in a bpf file system: one of our own */
	netns_bpffs("/sys/fs/bpf");
	sniffer = packet_socket("exg");
	netns_enter(ns.workload);
	sender = packet_socket("exw");
	netns_enter(ns.gw);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(sender);
	close(sniffer);
	netns_close(&ns);
	return 0;
}

static int prefilter(const char *verb, const char *dev, const char *file)
{
	char *argv[] = { (char[]){ "prefilter" }, strdup(verb), dev ? strdup(dev) : NULL,
			 file ? strdup(file) : NULL, NULL };
	int argc = 2 + !!dev + !!file, r = ex_cmd_prefilter(argc, argv), i;

	for (i = 1; i < 4; i++)
		free(argv[i]);
	return r;
}

static int attach(const char *prefixes)
{
	char path[] = "/tmp/exeat-test-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, prefixes, strlen(prefixes)), strlen(prefixes));
	close(fd);
	r = prefilter("attach", "exg", path);
	unlink(path);
	return r;
}

static bool arrives_frame(const struct pkt_frame *f)
{
	struct pollfd wait = { sniffer, POLLIN, 0 };
	uint8_t b[PKT_MAX];
	ssize_t n;

	assert_int_equal(send(sender, f->b, f->len, 0), f->len);
	while (poll(&wait, 1, 50) == 1) {
		n = recv(sniffer, b, sizeof(b), 0);
		/* by its payload: the kernel's own frames have the same sender, a tag may be gone
		 */
		if (n >= 30 && memcmp(b + n - 30, f->b + f->len - 30, 30) == 0)
			return true;
	}
	return false;
}

static bool arrives(const char *src)
{
	const char *dst = strchr(src, ':') ? "2001:db8:1::1" : "192.0.2.1";
	struct pkt_frame f;
	static int serial;
	char payload[31];

	snprintf(payload, sizeof(payload), "%030d", serial++);
	pkt_build(&f, &(struct pkt_spec){ .src = src,
					  .dst = dst,
					  .proto = IPPROTO_UDP,
					  .sport = 1,
					  .dport = 2,
					  .payload = payload,
					  .payload_len = 30 });
	return arrives_frame(&f);
}

static void test_denied_prefixes_do_not_arrive(void **state)
{
	(void)state;
	assert_true(arrives("198.51.100.7"));
	assert_int_equal(attach("198.51.100.0/24 # a comment\n\n# another\n  2001:db9::/32\n"), 0);
	assert_false(arrives("198.51.100.7"));
	assert_false(arrives("198.51.100.255"));
	assert_true(arrives("198.51.101.0"));
	assert_false(arrives("2001:db9::1"));
	assert_true(arrives("2001:dba::1"));
	assert_false(arrives("64:ff9b::198.51.100.7"));
	assert_false(arrives("2002:c633:6407::1"));
	assert_true(arrives("64:ff9b::198.51.101.7"));
}

static void test_tags_hide_nothing(void **state)
{
	struct pkt_frame f, g;

	(void)state;
	pkt_build(&f, &(struct pkt_spec){ .src = "198.51.100.7",
					  .dst = "192.0.2.1",
					  .proto = IPPROTO_UDP,
					  .sport = 1,
					  .dport = 2,
					  .payload_len = 30 });
	g = f;
	memcpy(g.b + 16, f.b + 12, f.len - 12);
	memcpy(g.b + 12, "\x81\x00\x00\x01", 4);
	g.len += 4;
	assert_false(arrives_frame(&g));
	g.b[18 + 12 + 2] ^= 1; /* the source is 198.51.101.7 */
	assert_true(arrives_frame(&g));
}

static void test_attach_again_replaces_the_list(void **state)
{
	(void)state;
	assert_int_equal(attach("203.0.113.0/24\n"), 0);
	assert_true(arrives("198.51.100.7"));
	assert_false(arrives("203.0.113.9"));
	assert_int_equal(prefilter("list", NULL, NULL), 0);
	assert_int_equal(prefilter("list", "exg", NULL), 0);
}

static void test_bad_list_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(attach("198.51.100.0/24\n198.51.100.0/33\n"), 125);
	assert_int_equal(attach("198.51.100.0/24\nnonsense\n"), 125);
	assert_int_equal(prefilter("attach", "exg", "/nonexistent"), 125);
	assert_int_equal(prefilter("attach", "nodevice", "/dev/null"), 125);
	assert_int_equal(prefilter("attach", "exg", NULL), 125);
	assert_int_equal(prefilter("fly", NULL, NULL), 125);
	assert_true(arrives("198.51.100.7"));
	assert_false(arrives("203.0.113.9"));
}

static void test_detach_lets_everything_in(void **state)
{
	(void)state;
	assert_int_equal(prefilter("detach", "exg", NULL), 0);
	assert_true(arrives("203.0.113.9"));
	assert_int_equal(prefilter("detach", "exg", NULL), 125);
	assert_int_equal(prefilter("list", "exg", NULL), 125);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denied_prefixes_do_not_arrive),
		cmocka_unit_test(test_tags_hide_nothing),
		cmocka_unit_test(test_attach_again_replaces_the_list),
		cmocka_unit_test(test_bad_list_changes_nothing),
		cmocka_unit_test(test_detach_lets_everything_in),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
