/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that gathers what it receives as a list of whole packets (rx-gro-list), and a change of
 * the first one: what the gate gets is one packet, what a device behind it makes of that are
 * several, each with headers of its own.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "agent/gate/gate.h"
#include "tests/datapath/attacker.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define OK4 "198.51.100.7"
#define OK6 "2001:db8::7"
#define NO4 "100.7.198.51" /* the same words in another order: the header's checksum fits both */
#define NO6 "2001:db9::99"

#define PAYLOAD      "bytes of its own"
#define PAYLOAD_SIZE 600 /* the gate has no reason to copy headers together */
#define MEMBERS      3
#define FRAME_MAX    4096
#define TRIES        20
#define SOON_MS      10000

/* Where packets are gathered: what is sent to it leaves by `via`. */
struct crowd {
	int ns, out, program;
	const char *via;
};

static struct netns ns;
static struct ex_gate *gate;
static int world, heard;
static struct crowd inside, outside;

/* ---- features of devices ---- */

static void ethtool(const char *device, void *request)
{
	struct ifreq ifr = { .ifr_data = request };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(ifr.ifr_name, device, IFNAMSIZ - 1);
	assert_return_code(ioctl(fd, SIOCETHTOOL, &ifr), errno);
	close(fd);
}

static void feature(const char *device, const char *name, bool on)
{
	struct {
		struct ethtool_sset_info h;
		uint32_t n;
	} all = { .h = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };
	struct {
		struct ethtool_gstrings h;
		char names[256][ETH_GSTRING_LEN];
	} s = { .h = { .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES } };
	struct {
		struct ethtool_sfeatures h;
		struct ethtool_set_features_block blocks[8];
	} set = { .h = { .cmd = ETHTOOL_SFEATURES } };
	uint32_t i = 0;

	ethtool(device, &all);
	assert_in_range(all.n, 1, EX_ARRAY_SIZE(s.names));
	s.h.len = all.n;
	ethtool(device, &s);
	while (i < all.n && strncmp(s.names[i], name, ETH_GSTRING_LEN) != 0)
		i++;
	assert_true(i < all.n);
	set.h.size = (all.n + 31) / 32;
	set.blocks[i / 32].valid = 1u << (i % 32);
	set.blocks[i / 32].requested = on ? 1u << (i % 32) : 0;
	ethtool(device, &set);
}

/* ---- setting up ---- */

static void publish(void)
{
	struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
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

static void wait_for_more(const char *file, const char *value)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/a1/%s", file);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(value, f) >= 0 && fclose(f) == 0);
}

static void crowd_open(struct crowd *c, int in, const char *via)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET };

	*c = (struct crowd){ .ns = in, .program = -1, .via = via };
	netns_enter(in);
	netns_ip("link add a0 type veth peer name a1");
	netns_ip("link set a0 up");
	netns_ip("link set a1 up");
	assert_return_code(mount("sysfs", "/sys", "sysfs", 0, NULL), errno);
	wait_for_more("gro_flush_timeout", "20000000"); /* ns */
	wait_for_more("napi_defer_hard_irqs", "1");
	feature("a1", "rx-gro", true);
	c->out = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	at.sll_ifindex = (int)if_nametoindex("a0");
	assert_return_code(bind(c->out, (struct sockaddr *)&at, sizeof(at)), errno);
}

static int setup(void **state)
{
	(void)state;
	netns_open(&ns);
	netns_add_world(&ns);
	feature("exo", "tx-gso-list", false);
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	publish();
	assert_return_code(unshare(CLONE_NEWNS), errno);
	assert_return_code(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), errno);
	crowd_open(&inside, ns.workload, "exw");
	crowd_open(&outside, ns.world, "exv");
	world = attacker_sniff(ns.world, "exv", ns.gw);
	heard = attacker_sniff(ns.workload, "exw", ns.gw);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(inside.out);
	close(outside.out);
	close(inside.program);
	close(outside.program);
	close(world);
	close(heard);
	ex_gate_free(gate);
	netns_close(&ns);
	return 0;
}

/* ---- what is done to them, and what arrives ---- */

struct change {
	int16_t at;
	uint16_t len;
	union {
		uint8_t b[16];
		int32_t w[4];
	};
};

/* What is several packets has these bytes in the first one. Everything leaves by c->via. */
static void change_first(struct crowd *c, const struct change *to)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1, .flags = BPF_TC_F_REPLACE);

	netns_enter(c->ns);
	const struct bpf_insn program[] = {
		{ BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0 },
		{ BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(struct __sk_buff, gso_size), 0 },
		{ BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 10, 0 },
		{ BPF_ST | BPF_MEM | BPF_W, 10, 0, -16, to->w[0] },
		{ BPF_ST | BPF_MEM | BPF_W, 10, 0, -12, to->w[1] },
		{ BPF_ST | BPF_MEM | BPF_W, 10, 0, -8, to->w[2] },
		{ BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, to->w[3] },
		{ BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, to->at },
		{ BPF_ALU64 | BPF_MOV | BPF_X, 3, 10, 0, 0 },
		{ BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -16 },
		{ BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, to->len },
		{ BPF_ALU64 | BPF_MOV | BPF_K, 5, 0, 0, 0 },
		{ BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_store_bytes },
		{ BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, (int)if_nametoindex(c->via) },
		{ BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 0 },
		{ BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};
	ex_closep(&c->program);
	c->program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "first", "GPL", program,
				   EX_ARRAY_SIZE(program), NULL);
	assert_return_code(c->program, errno);
	opts.prog_fd = c->program;
	hook.ifindex = (int)if_nametoindex("a1");
	(void)bpf_tc_hook_create(&hook);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	netns_enter(ns.gw);
}

static void burst(const struct crowd *c, const struct pkt_spec *as)
{
	char payload[PAYLOAD_SIZE] = PAYLOAD;
	struct pkt_spec spec = *as;
	struct pkt_frame f;

	spec.proto = IPPROTO_UDP;
	spec.payload = payload;
	spec.payload_len = sizeof(payload);
	for (; spec.frag_id < MEMBERS; spec.frag_id++) {
		pkt_build(&f, &spec);
		assert_int_equal(send(c->out, f.b, f.len, 0), f.len);
	}
}

static size_t arrived(int fd, uint8_t b[static FRAME_MAX], int wait_ms)
{
	return attacker_hear(fd, PAYLOAD, b, FRAME_MAX, wait_ms);
}

static uint64_t malformed(void)
{
	struct ex_counter c;

	assert_int_equal(ex_gate_count_reason(gate, EX_R_MALFORMED, &c), 0);
	return c.packets;
}

/* Until they were gathered, which is a matter of time, and the gate has refused what that made. */
static void assert_refused(const struct crowd *c, const struct pkt_spec *as, int fd)
{
	uint64_t before = malformed();
	uint8_t b[FRAME_MAX];
	int tries = 0;

	netns_enter(c->ns);
	feature("a1", "rx-gro-list", true);
	netns_enter(ns.gw);
	while (malformed() == before && tries++ < TRIES) {
		burst(c, as);
		if (arrived(fd, b, 200))
			attacker_got_out(b, 96, "other end");
	}
	assert_true(malformed() > before);
}

/* The same, as one packet that has one header. */
static void assert_passed(const struct crowd *c, const struct pkt_spec *as, int fd)
{
	uint64_t before = malformed();
	uint8_t b[FRAME_MAX];

	netns_enter(c->ns);
	feature("a1", "rx-gro-list", false);
	feature("a1", "rx-udp-gro-forwarding", true);
	netns_enter(ns.gw);
	burst(c, as);
	assert_true(arrived(fd, b, SOON_MS) > PAYLOAD_SIZE);
	while (arrived(fd, b, 200))
		;
	assert_int_equal(malformed(), before);
}

static struct change destination(const char *dst)
{
	struct change to = { .at = PKT_L3 + 24, .len = 16 };
	struct ex_ip ip;

	assert_true(ex_ip_parse(dst, &ip));
	if (ex_ip_is4(&ip))
		to = (struct change){ .at = PKT_L3 + 16, .len = 4 };
	memcpy(to.b, ip.b + 16 - to.len, to.len);
	return to;
}

/* Some kernels let the others go where they were going. */
static void test_others_may_go_elsewhere(void **state)
{
	const char *const ok[] = { OK4, OK6 }, *const no[] = { NO4, NO6 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct change to = destination(ok[i]);

		change_first(&inside, &to);
		assert_refused(&inside,
			       &(struct pkt_spec){ .dst = no[i], .sport = 4000, .dport = 123 },
			       world);
		assert_passed(&inside,
			      &(struct pkt_spec){ .dst = ok[i], .sport = 4000, .dport = 123 },
			      world);
	}
}

/* All kernels leave them what is behind the IPv6 header: here a route to somewhere else. */
static void test_others_may_have_a_routing_header(void **state)
{
	const struct change to = { .at = PKT_L3 + 6, .len = 1, .b = { IPPROTO_DSTOPTS } };
	uint8_t route[24] = { IPPROTO_UDP, 2, 4, 1 };
	struct ex_ip no;

	(void)state;
	assert_true(ex_ip_parse(NO6, &no));
	memcpy(route + 8, &no, sizeof(no));
	change_first(&inside, &to);
	assert_refused(&inside,
		       &(struct pkt_spec){ .dst = OK6,
					   .sport = 4000,
					   .dport = 123,
					   .ext = route,
					   .ext_len = sizeof(route),
					   .ext_type = IPPROTO_ROUTING },
		       world);
}

/* By a far end on the same host, on a flow of the workload. */
static void test_nor_on_the_way_to_the_workload(void **state)
{
	const struct pkt_spec in = {
		.src = OK6, .dst = NET_OWN6, .dst_mac = NET_UP_MAC, .sport = 123, .dport = 4000
	};
	struct change to = destination(OK6);
	struct pkt_spec other = in;

	(void)state;
	change_first(&inside, &to);
	assert_passed(&inside, &(struct pkt_spec){ .dst = OK6, .sport = 4000, .dport = 123 },
		      world);
	to = destination(NET_OWN6);
	other.dst = NO6;
	change_first(&outside, &to);
	assert_refused(&outside, &other, heard);
	assert_passed(&outside, &in, heard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others_may_go_elsewhere),
		cmocka_unit_test(test_others_may_have_a_routing_header),
		cmocka_unit_test(test_nor_on_the_way_to_the_workload),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
