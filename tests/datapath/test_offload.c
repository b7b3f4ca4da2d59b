/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may write to a packet socket may leave the checksum of a packet to the device, and say where
 * it goes: that is where the host's NIC, or the kernel for it, writes two bytes when the packet has
 * been judged long since.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "agent/gate/gate.h"
#include "tests/datapath/attacker.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define OK4 "198.51.100.7"
#define OK6 "2001:db8::7"

#define PAYLOAD "bytes of its own"
#define SOON_MS 10000

static struct netns ns;
static struct ex_gate *gate;
static int out, world;
static const char *const targets[] = { OK4, OK6 };
static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

/* Whatever the device could do itself the kernel does for it now. */
static void compute_here(const char *device)
{
	struct ethtool_value off = { .cmd = ETHTOOL_STXCSUM };
	struct ifreq ifr = { .ifr_data = (char *)&off };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(ifr.ifr_name, device, IFNAMSIZ - 1);
	assert_return_code(ioctl(fd, SIOCETHTOOL, &ifr), errno);
	close(fd);
}

static void publish(void)
{
	struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
		{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
	};
	struct ex_dest_entry dests[2] = { { .prefix = 128, .klass = 1 },
					  { .prefix = 128, .klass = 1 } };
	const struct ex_tables t = { dests, 2, rules, EX_ARRAY_SIZE(rules), 1 };
	struct ex_endpoint ep;

	assert_true(ex_ip_parse(OK4, &dests[0].ip) && ex_ip_parse(OK6, &dests[1].ip));
	netns_endpoint(&ep, EX_EP_SILENT);
	assert_int_equal(ex_gate_publish(gate, ns.ifindex, &ep, &t), 0);
	assert_int_equal(ex_gate_attach(gate, ns.ifindex), 0);
}

/* In the namespace of the caller. What is sent says where its checksum goes. */
static int open_partial(const char *device)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(device) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	assert_return_code(fd, errno);
	assert_return_code(bind(fd, (struct sockaddr *)&at, sizeof(at)), errno);
	assert_return_code(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), errno);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	netns_open(&ns);
	netns_add_world(&ns);
	compute_here("exo");
	compute_here("exg");
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	publish();
	world = attacker_sniff(ns.world, "exv", ns.workload);
	out = open_partial("exw");
	netns_enter(ns.gw);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(out);
	close(world);
	ex_gate_free(gate);
	netns_close(&ns);
	return 0;
}

/* The checksum from `start` on is written to `at`. False: the workload's kernel takes no such. */
static bool send_partial(int fd, const struct pkt_frame *f, size_t start, size_t at)
{
	struct {
		struct virtio_net_hdr h;
		uint8_t b[PKT_MAX];
	} __attribute__((packed)) m = {
		.h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		       .csum_start = (uint16_t)start,
		       .csum_offset = (uint16_t)(at - start) },
	};

	memcpy(m.b, f->b, f->len);
	return send(fd, &m, sizeof(m.h) + f->len, 0) == (ssize_t)(sizeof(m.h) + f->len);
}

/* What the kernel says by itself, be it about these, is passed over. 0: nothing came. */
static size_t arrived(int fd, uint8_t b[static PKT_MAX], int wait_ms)
{
	size_t n;

	do
		n = attacker_hear(fd, PAYLOAD, b, PKT_MAX, wait_ms);
	while (n && n <= 60);
	return n;
}

/* It has the header that was judged, whichever of those that were sent it is. */
static void assert_allowed(const uint8_t *b, bool inbound)
{
	bool is6 = pkt_get16(b + 12) == ETHERTYPE_IPV6;
	const uint8_t *l4 = b + PKT_L3 + (is6 ? 40 : 20), *ip = b + PKT_L3;
	struct ex_ip ends[2], own, ok;

	assert_true(is6 || pkt_get16(b + 12) == ETHERTYPE_IP);
	if (is6) {
		memcpy(ends[0].b, ip + 8, 16);
		memcpy(ends[1].b, ip + 24, 16);
	} else {
		ends[0] = ex_ip_from4(ip + 12);
		ends[1] = ex_ip_from4(ip + 16);
	}
	assert_true(ex_ip_parse(is6 ? NET_OWN6 : NET_OWN4, &own));
	assert_true(ex_ip_parse(is6 ? OK6 : OK4, &ok));
	assert_memory_equal(&ends[inbound], &own, sizeof(own));
	assert_memory_equal(&ends[!inbound], &ok, sizeof(ok));
	assert_int_equal(pkt_get16(l4 + 2 * inbound), 4000);
	assert_int_equal(pkt_get16(l4 + 2 * !inbound), ip[is6 ? 6 : 9] == IPPROTO_UDP ? 123 : 443);
}

static void build(struct pkt_frame *f, const char *dst, uint8_t proto)
{
	pkt_build(f, &(struct pkt_spec){ .dst = dst,
					 .proto = proto,
					 .sport = 4000,
					 .dport = proto == IPPROTO_UDP ? 123 : 443,
					 .payload = "...." PAYLOAD,
					 .payload_len = 4 + strlen(PAYLOAD) });
}

/* As the stack of the workload does it. */
static void test_a_checksum_may_be_left_to_the_device(void **state)
{
	struct pkt_frame f;
	uint8_t b[PKT_MAX];

	(void)state;
	for (int i = 0; i < 4; i++) {
		build(&f, targets[i / 2], protos[i % 2]);
		assert_true(send_partial(out, &f, f.l4,
					 f.l4 + (protos[i % 2] == IPPROTO_UDP ? 6 : 16)));
		assert_int_equal(arrived(world, b, SOON_MS), f.len);
		assert_allowed(b, false);
	}
}

/* Wherever it is to be written. */
static void test_a_checksum_is_not_written_over_what_was_judged(void **state)
{
	struct pkt_frame f;
	uint8_t b[PKT_MAX];

	(void)state;
	for (int i = 0; i < 4; i++) {
		build(&f, targets[i / 2], protos[i % 2]);
		for (size_t at = 0; at < f.l4 + 24; at++)
			if (send_partial(out, &f, at < f.l4 ? at : f.l4, at) &&
			    arrived(world, b, 5))
				assert_allowed(b, false);
	}
	while (arrived(world, b, 200))
		assert_allowed(b, false);
}

/* Nor by a far end on the same host, on a flow that the workload opened. */
static void test_nor_on_the_way_to_the_workload(void **state)
{
	EX_AUTO_CLOSE int heard = attacker_sniff(ns.workload, "exw", ns.world);
	EX_AUTO_CLOSE int far = open_partial("exv");
	struct pkt_frame f;
	uint8_t b[PKT_MAX];

	(void)state;
	netns_enter(ns.gw);
	for (int i = 0; i < 2; i++) {
		pkt_build(&f, &(struct pkt_spec){ .src = targets[i],
						  .dst = i ? NET_OWN6 : NET_OWN4,
						  .dst_mac = NET_UP_MAC,
						  .proto = IPPROTO_UDP,
						  .sport = 123,
						  .dport = 4000,
						  .payload = "...." PAYLOAD,
						  .payload_len = 4 + strlen(PAYLOAD) });
		assert_true(send_partial(far, &f, f.l4, f.l4 + 6));
		assert_int_equal(arrived(heard, b, SOON_MS), f.len);
		for (size_t at = 0; at < f.l4 + 24; at++)
			if (send_partial(far, &f, at < f.l4 ? at : f.l4, at) &&
			    arrived(heard, b, 5))
				assert_allowed(b, true);
	}
	while (arrived(heard, b, 200))
		assert_allowed(b, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_checksum_may_be_left_to_the_device),
		cmocka_unit_test(test_a_checksum_is_not_written_over_what_was_judged),
		cmocka_unit_test(test_nor_on_the_way_to_the_workload),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
