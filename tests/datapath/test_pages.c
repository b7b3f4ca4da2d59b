/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet socket with a ring (PACKET_TX_RING) sends pages that its process has mapped: behind the
 * Ethernet header a packet is what the process writes there, also while it is judged and after. A
 * veth copies such pages before the gate of its other end sees them; at the egress hook of an
 * interface of the host (EX_EP_SHARED) they are as they are.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "agent/gate/gate.h"
#include "tests/datapath/attacker.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define OWN4    "203.0.113.5"
#define OWN6    "2001:db8:ffff::5"
#define OWN_MAC "02:65:78:00:04:05"
#define FAR_MAC "02:65:78:00:04:02"
#define OK4     "198.51.100.7"
#define OK6     "2001:db8::7"

#define ROUNDS 8000
#define PAGE   4096

static int host, workload, far, world;
static uint32_t ifindex;
static struct ex_gate *gate;
static char payload[] = "race 0"; /* another one each time: some come late */

/* The workload has a macvlan of up0, which is gated; the far end is behind that. */
static void links_open(void)
{
	far = netns_new();
	workload = netns_new();
	host = netns_new();
	netns_ip("link add up0 type veth peer name eth0 address " FAR_MAC " netns /proc/%d/fd/%d",
		 getpid(), far);
	netns_ip("link set up0 up");
	netns_ip("link add link up0 name eth0 address " OWN_MAC
		 " netns /proc/%d/fd/%d type macvlan mode bridge",
		 getpid(), workload);
	ifindex = if_nametoindex("up0");
	netns_enter(workload);
	netns_ip("link set eth0 up");
	netns_enter(far);
	netns_ip("link set eth0 up");
	netns_enter(host);
}

static void publish(void)
{
	struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
	};
	struct ex_dest_entry dests[2] = { { .prefix = 128, .klass = 1 },
					  { .prefix = 128, .klass = 1 } };
	const struct ex_tables t = { dests, 2, rules, EX_ARRAY_SIZE(rules), 1 };
	struct ex_endpoint ep = { .flags = EX_EP_SHARED | EX_EP_BRIDGED | EX_EP_SILENT,
				  .mac = { 2, 0x65, 0x78, 0, 4, 5 },
				  .gw_mac = { 2, 0x65, 0x78, 0, 4, 2 } };

	assert_true(ex_ip_parse(OWN4, &ep.ip4) && ex_ip_parse(OWN6, &ep.ip6));
	assert_true(ex_ip_parse(OK4, &dests[0].ip) && ex_ip_parse(OK6, &dests[1].ip));
	assert_int_equal(ex_gate_publish(gate, ifindex, &ep, &t), 0);
	assert_int_equal(ex_gate_attach(gate, ifindex), 0);
}

static int setup(void **state)
{
	(void)state;
	links_open();
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	publish();
	world = attacker_sniff(far, "eth0", host);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(world);
	ex_gate_free(gate);
	close(host);
	close(workload);
	close(far);
	return 0;
}

/* ---- the ring, of one frame ---- */

struct ring {
	int fd;
	struct tpacket2_hdr *slot;
	uint8_t *frame;
};

static void ring_open(struct ring *r)
{
	struct tpacket_req req = { PAGE, 1, PAGE, 1 };
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	int v2 = TPACKET_V2, on = 1;

	netns_enter(workload);
	at.sll_ifindex = (int)if_nametoindex("eth0");
	r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	netns_enter(host);
	assert_return_code(r->fd, errno);
	assert_return_code(setsockopt(r->fd, SOL_PACKET, PACKET_VERSION, &v2, sizeof(v2)), errno);
	assert_return_code(setsockopt(r->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), errno);
	assert_return_code(setsockopt(r->fd, SOL_PACKET, PACKET_TX_RING, &req, sizeof(req)), errno);
	assert_return_code(bind(r->fd, (struct sockaddr *)&at, sizeof(at)), errno);
	r->slot = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	assert_ptr_not_equal(r->slot, MAP_FAILED);
	r->frame = (uint8_t *)r->slot + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll) +
		   sizeof(struct virtio_net_hdr);
}

static void ring_close(struct ring *r)
{
	munmap(r->slot, PAGE);
	close(r->fd);
}

/* Only the first `linear` bytes are copied. What is denied is an error here. */
static void ring_send(struct ring *r, const struct pkt_frame *f, size_t linear)
{
	struct virtio_net_hdr h = { .hdr_len = (uint16_t)linear };

	memcpy(r->frame - sizeof(h), &h, sizeof(h));
	memcpy(r->frame, f->b, f->len);
	r->slot->tp_len = (uint32_t)(sizeof(h) + f->len);
	__atomic_store_n(&r->slot->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	(void)!send(r->fd, NULL, 0, 0);
}

/* ---- what is written meanwhile ---- */

struct writer {
	volatile uint8_t *at;
	uint8_t allowed[2], denied[2];
	atomic_bool stop;
};

static void write_there(volatile uint8_t *at, const uint8_t b[static 2])
{
	at[0] = b[0];
	at[1] = b[1];
}

static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!w->stop) {
		write_there(w->at, w->denied);
		for (volatile int i = 0; i < 40; i++)
			;
		write_there(w->at, w->allowed);
		for (volatile int i = 0; i < 40; i++)
			;
	}
	return NULL;
}

struct heard {
	unsigned allowed, others;
};

static void hear(struct heard *h, const struct pkt_frame *f)
{
	struct pollfd wait = { .fd = world, .events = POLLIN };
	uint8_t b[PKT_MAX];
	ssize_t len;

	while (poll(&wait, 1, 0) == 1) {
		len = recv(world, b, sizeof(b), 0);
		if (len < (ssize_t)f->len || !memmem(b, (size_t)len, payload, strlen(payload)))
			continue;
		if (memcmp(b + PKT_L3, f->b + PKT_L3, f->l4 + 4 - PKT_L3) == 0)
			h->allowed++;
		else
			h->others++;
	}
}

/* at: two bytes of the frame, which is allowed as it is. */
static void race(const struct pkt_frame *f, size_t linear, size_t at, uint16_t denied)
{
	struct writer w = { .allowed = { f->b[at], f->b[at + 1] } };
	struct heard heard = { 0 };
	struct ring r;
	pthread_t t;

	ring_open(&r);
	w.at = r.frame + at;
	pkt_put16(w.denied, denied);
	assert_int_equal(pthread_create(&t, NULL, write_on, &w), 0);
	for (int i = 0; i < ROUNDS; i++) {
		ring_send(&r, f, linear);
		hear(&heard, f);
	}
	w.stop = true;
	pthread_join(t, NULL);
	ring_send(&r, f, linear); /* with nobody else writing */
	for (int i = 0; i < 1000 && !heard.allowed; i++) {
		poll(NULL, 0, 10);
		hear(&heard, f);
	}
	ring_close(&r);
	assert_int_not_equal(heard.allowed, 0);
	assert_int_equal(heard.others, 0);
}

static void build(struct pkt_frame *f, const char *dst, const uint8_t *ext, size_t ext_len)
{
	payload[strlen(payload) - 1]++;
	pkt_build(f, &(struct pkt_spec){ .src = strchr(dst, ':') ? OWN6 : OWN4,
					 .src_mac = OWN_MAC,
					 .dst = dst,
					 .dst_mac = FAR_MAC,
					 .proto = IPPROTO_UDP,
					 .sport = 4000,
					 .dport = 123,
					 .ext = ext,
					 .ext_len = ext_len,
					 .ext_type = IPPROTO_DSTOPTS,
					 .payload = payload,
					 .payload_len = strlen(payload) });
}

static void test_the_address_is_what_was_judged(void **state)
{
	struct pkt_frame f;

	(void)state;
	build(&f, OK4, NULL, 0);
	race(&f, PKT_L3, PKT_L3 + 18, 0x6409);
	build(&f, OK6, NULL, 0);
	race(&f, PKT_L3, PKT_L3 + 38, 9);
}

static void test_so_is_the_port(void **state)
{
	struct pkt_frame f;

	(void)state;
	build(&f, OK4, NULL, 0);
	race(&f, f.l4, f.l4 + 2, 53);
	build(&f, OK6, NULL, 0);
	race(&f, f.l4, f.l4 + 2, 53);
}

static void test_also_behind_an_extension_header(void **state)
{
	static const uint8_t options[8] = { IPPROTO_UDP, 0, 1, 4 };
	struct pkt_frame f;

	(void)state;
	build(&f, OK6, options, sizeof(options));
	race(&f, f.l4 - sizeof(options), f.l4 + 2, 53);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_address_is_what_was_judged),
		cmocka_unit_test(test_so_is_the_port),
		cmocka_unit_test(test_also_behind_an_extension_header),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
