/* SPDX-License-Identifier: Apache-2.0 */
/* On a bridge: an endpoint may find its neighbours, and speaks for nobody but itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"
#include "tests/datapath/served.h"

#define NEIGHBOUR4    "192.0.0.77"
#define SECOND4       "192.0.0.9"
#define FOREIGN4      "192.0.0.10"
#define NEIGHBOUR6    "fd7e:a7c3:1b5d::77"
#define SECOND6       "fd7e:a7c3:1b5d:1::9"
#define FOREIGN6      "fd7e:a7c3:1b5d::10"
#define OFF_LINK6     "2001:db8::77"
#define OWN_LL        "fe80::65:78ff:fe00:2" /* of NET_OWN_MAC */
#define FOREIGN_LL    "fe80::65:78ff:fe00:3"
#define ALL_NODES     "ff02::1"
#define SN_77         "ff02::1:ff00:77"
#define SN_OWN        "ff02::1:ff00:2"
#define SN_SECOND     "ff02::1:ff00:9"
#define SN_FOREIGN    "ff02::1:ff00:10"
#define NEIGHBOUR_MAC "02:65:78:00:00:77"

static int publish(void **state)
{
	const struct ex_gate_ruleset all = { .egress = &tables_all };
	struct ex_endpoint ep;

	(void)state;
	ex_gate_forget(bench_gate, BENCH_IF);
	netns_endpoint(&ep, EX_EP_BRIDGED);
	assert_true(ex_ip_parse(SECOND4, &ep.more[0]));
	assert_true(ex_ip_parse(SECOND6, &ep.more[2]));
	assert_int_equal(ex_gate_publish_both(bench_gate, BENCH_IF, &ep, &all), 0);
	return 0;
}

static enum ex_reason sent(struct pkt_frame f)
{
	return bench_send(&f).reason;
}

/* ---- ARP ---- */

static struct pkt_frame arp(uint16_t op, const char *spa, const char *tpa)
{
	struct pkt_frame f;
	struct ex_ip ip;

	pkt_build(&f, &(struct pkt_spec){ .dst = "198.51.100.7", .dst_mac = "ff:ff:ff:ff:ff:ff" });
	memset(f.b + 14, 0, 46);
	memcpy(f.b + 12, "\x08\x06\x00\x01\x08\x00\x06\x04", 8);
	pkt_put16(f.b + 20, op);
	memcpy(f.b + 22, f.b + 6, 6);
	assert_true(ex_ip_parse(spa, &ip));
	memcpy(f.b + 28, ip.b + 12, 4);
	assert_true(ex_ip_parse(tpa, &ip));
	memcpy(f.b + 38, ip.b + 12, 4);
	f.len = 42;
	return f;
}

static void test_arp_asks_for_any_neighbour(void **state)
{
	struct pkt_frame f = arp(1, NET_OWN4, NEIGHBOUR4);

	(void)state;
	assert_int_equal(sent(f), EX_R_ALLOWED);
	assert_int_equal(sent(arp(1, SECOND4, NEIGHBOUR4)), EX_R_ALLOWED);
	assert_int_equal(sent(arp(1, FOREIGN4, NEIGHBOUR4)), EX_R_NEIGHBOUR);
	f.b[27] ^= 1; /* sender's MAC in the payload */
	assert_int_equal(sent(f), EX_R_NEIGHBOUR);
	f.b[27] ^= 1;
	f.b[11] ^= 1; /* of the frame */
	assert_int_equal(sent(f), EX_R_SOURCE_MAC);
	f.b[11] ^= 1;
	f.b[37] = 1; /* a question has no room for the answer */
	assert_int_equal(sent(f), EX_R_NEIGHBOUR);
}

static void test_arp_looks_whether_its_own_address_is_free(void **state)
{
	(void)state;
	assert_int_equal(sent(arp(1, "0.0.0.0", NET_OWN4)), EX_R_ALLOWED);
	assert_int_equal(sent(arp(1, "0.0.0.0", SECOND4)), EX_R_ALLOWED);
	assert_int_equal(sent(arp(1, "0.0.0.0", FOREIGN4)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(arp(2, "0.0.0.0", NET_OWN4)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(arp(1, NET_OWN4, NET_OWN4)), EX_R_ALLOWED); /* gratuitous */
	assert_int_equal(sent(arp(1, FOREIGN4, FOREIGN4)), EX_R_NEIGHBOUR);
}

static void test_arp_claims_its_own_addresses_only(void **state)
{
	struct pkt_frame f = arp(2, NET_OWN4, NEIGHBOUR4);

	(void)state;
	memcpy(f.b + 32, "\x02\x65\x78\x00\x00\x77", 6);
	assert_int_equal(sent(f), EX_R_ALLOWED);
	assert_int_equal(sent(arp(2, SECOND4, NEIGHBOUR4)), EX_R_ALLOWED);
	assert_int_equal(sent(arp(2, NET_GW4, NEIGHBOUR4)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(arp(2, FOREIGN4, NEIGHBOUR4)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(arp(3, NET_OWN4, NEIGHBOUR4)), EX_R_NEIGHBOUR);
	f.b[27] ^= 1;
	assert_int_equal(sent(f), EX_R_NEIGHBOUR);
}

/* ---- neighbour discovery ---- */

enum { NONE, LINK, NONCE };

static struct pkt_frame nd(uint8_t type, const char *src, const char *dst, const char *target,
			   int option)
{
	uint8_t body[24] = { 0 };
	struct pkt_frame f;
	struct ex_ip ip;

	assert_true(ex_ip_parse(target, &ip));
	memcpy(body, &ip, 16);
	body[16] = option == NONCE ? 14 : type == 135 ? 1 : 2;
	body[17] = 1;
	memcpy(body + 18, "\x02\x65\x78\x00\x00\x02", 6);
	pkt_build(&f, &(struct pkt_spec){ .src = src,
					  .dst = dst,
					  .proto = IPPROTO_ICMPV6,
					  .dport = (uint16_t)(type << 8),
					  .payload = body,
					  .payload_len = option == NONE ? 16 : sizeof(body) });
	pkt_put32(f.b + f.l4 + 4, 0);
	pkt_checksums(&f);
	return f;
}

static void test_solicitation_asks_for_neighbours_on_the_link(void **state)
{
	(void)state;
	assert_int_equal(sent(nd(135, NULL, SN_77, NEIGHBOUR6, LINK)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(135, SECOND6, SN_77, NEIGHBOUR6, LINK)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(135, OWN_LL, SN_77, NEIGHBOUR6, LINK)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(135, NULL, NEIGHBOUR6, NEIGHBOUR6, NONE)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(135, FOREIGN_LL, SN_77, NEIGHBOUR6, LINK)), EX_R_SOURCE_ADDRESS);
	assert_int_equal(sent(nd(135, FOREIGN6, SN_77, NEIGHBOUR6, LINK)), EX_R_SOURCE_ADDRESS);
	assert_int_equal(sent(nd(135, NULL, SN_OWN, NEIGHBOUR6, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(135, NULL, ALL_NODES, NEIGHBOUR6, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(135, NULL, SN_77, NEIGHBOUR6, NONCE)), EX_R_NEIGHBOUR);
	/* a router would carry it off */
	assert_int_equal(sent(nd(135, NULL, OFF_LINK6, OFF_LINK6, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(135, NULL, SN_77, OFF_LINK6, LINK)), EX_R_NEIGHBOUR);
}

static void test_solicitation_has_its_own_mac(void **state)
{
	struct pkt_frame f = nd(135, NULL, SN_77, NEIGHBOUR6, LINK);

	(void)state;
	f.b[PKT_L3 + 40 + 31] ^= 1;
	pkt_checksums(&f);
	assert_int_equal(sent(f), EX_R_NEIGHBOUR);
	f = nd(135, NULL, SN_77, NEIGHBOUR6, LINK);
	f.b[PKT_L3 + 7] = 254;
	assert_int_equal(sent(f), EX_R_NEIGHBOUR);
}

static void test_detection_of_duplicates_is_about_its_own_addresses(void **state)
{
	(void)state;
	assert_int_equal(sent(nd(135, "::", SN_OWN, NET_OWN6, NONE)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(135, "::", SN_OWN, NET_OWN6, NONCE)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(135, "::", SN_OWN, OWN_LL, NONE)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(135, "::", SN_SECOND, SECOND6, NONE)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(135, "::", SN_FOREIGN, FOREIGN6, NONE)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(135, "::", SN_OWN, NET_OWN6, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(135, "::", NET_OWN6, NET_OWN6, NONE)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(136, "::", ALL_NODES, NET_OWN6, LINK)), EX_R_SOURCE_ADDRESS);
}

static void test_advertisement_claims_its_own_addresses_only(void **state)
{
	struct pkt_frame f = nd(136, NULL, NEIGHBOUR6, NET_OWN6, LINK);

	(void)state;
	assert_int_equal(sent(f), EX_R_ALLOWED);
	assert_int_equal(sent(nd(136, OWN_LL, ALL_NODES, OWN_LL, LINK)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(136, NULL, FOREIGN_LL, SECOND6, LINK)), EX_R_ALLOWED);
	assert_int_equal(sent(nd(136, NULL, NEIGHBOUR6, NET_GW6, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(136, NULL, NEIGHBOUR6, FOREIGN6, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(136, NULL, ALL_NODES, FOREIGN_LL, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(136, FOREIGN6, NEIGHBOUR6, NET_OWN6, LINK)), EX_R_SOURCE_ADDRESS);
	assert_int_equal(sent(nd(136, NULL, OFF_LINK6, NET_OWN6, LINK)), EX_R_NEIGHBOUR);
	f.b[PKT_L3 + 40 + 31] ^= 1;
	pkt_checksums(&f);
	assert_int_equal(sent(f), EX_R_NEIGHBOUR);
}

static void test_routers_are_not_played(void **state)
{
	(void)state;
	assert_int_equal(sent(nd(133, OWN_LL, "ff02::2", NET_GW6, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(134, OWN_LL, ALL_NODES, NET_GW6, LINK)), EX_R_NEIGHBOUR);
	assert_int_equal(sent(nd(137, OWN_LL, NEIGHBOUR6, NEIGHBOUR6, LINK)), EX_R_NEIGHBOUR);
}

static void test_neighbours_may_ask_and_answer(void **state)
{
	struct pkt_frame f = arp(1, NEIGHBOUR4, NET_OWN4);

	(void)state;
	f.b[11] = f.b[27] = 0x77;
	assert_int_equal(bench_receive(&f).reason, EX_R_ALLOWED);
	pkt_put16(f.b + 20, 2);
	memcpy(f.b + 32, "\x02\x65\x78\x00\x00\x02", 6);
	assert_int_equal(bench_receive(&f).reason, EX_R_ALLOWED);
	pkt_put16(f.b + 20, 3);
	assert_int_equal(bench_receive(&f).reason, EX_R_NEIGHBOUR);
	f = nd(135, NEIGHBOUR6, SN_OWN, NET_OWN6, LINK);
	memcpy(f.b, "\x33\x33\xff\x00\x00\x02", 6);
	assert_int_equal(bench_receive(&f).reason, EX_R_ALLOWED);
	f = nd(134, FOREIGN_LL, ALL_NODES, NET_GW6, LINK); /* a router */
	assert_int_equal(bench_receive(&f).reason, EX_R_NEIGHBOUR);
}

/* From here on as another workload of the bridge would have them heard. */
static enum ex_reason heard(struct pkt_frame f)
{
	pkt_checksums(&f);
	f.b[11] = f.b[12] == 8 && f.b[13] == 6 ? (f.b[27] = 0x77) : 0x77;
	return bench_receive(&f).reason;
}

static void test_questions_to_others_are_not_heard(void **state)
{
	struct pkt_frame f = arp(1, NEIGHBOUR4, NET_OWN4);

	(void)state;
	assert_int_equal(heard(f), EX_R_ALLOWED);
	assert_int_equal(heard(arp(1, NEIGHBOUR4, SECOND4)), EX_R_ALLOWED);
	assert_int_equal(heard(arp(1, NEIGHBOUR4, NEIGHBOUR4)), EX_R_ALLOWED); /* gratuitous */
	assert_int_equal(heard(arp(1, NEIGHBOUR4, FOREIGN4)), EX_R_NEIGHBOUR);
	memcpy(f.b, "\x02\x65\x78\x00\x00\x02", 6);
	assert_int_equal(heard(f), EX_R_ALLOWED);
	f.b[5] ^= 1; /* flooded */
	assert_int_equal(heard(f), EX_R_NEIGHBOUR);
	memcpy(f.b, "secret", 6);
	f.b[0] |= 1;
	assert_int_equal(heard(f), EX_R_NEIGHBOUR);
	assert_int_equal(heard(nd(135, NEIGHBOUR6, SN_OWN, NET_OWN6, NONE)), EX_R_NEIGHBOUR);
}

static struct pkt_frame to_mac(struct pkt_frame f, const char mac[static 6])
{
	memcpy(f.b, mac, 6);
	return f;
}

static void test_answers_to_others_are_not_heard(void **state)
{
	struct pkt_frame f = arp(2, NEIGHBOUR4, NET_OWN4);

	(void)state;
	memcpy(f.b, "\x02\x65\x78\x00\x00\x02", 6);
	memcpy(f.b + 32, f.b, 6);
	assert_int_equal(heard(f), EX_R_ALLOWED);
	f.b[32] ^= 4;
	assert_int_equal(heard(f), EX_R_NEIGHBOUR);
	f = nd(136, NEIGHBOUR6, NET_OWN6, NEIGHBOUR6, LINK);
	memcpy(f.b, "\x02\x65\x78\x00\x00\x02", 6);
	assert_int_equal(heard(f), EX_R_ALLOWED);
	f.b[PKT_L3 + 39] ^= 1;
	assert_int_equal(heard(f), EX_R_NEIGHBOUR);
}

static void test_solicitations_of_others_are_not_heard(void **state)
{
	const char *sn_own = "\x33\x33\xff\x00\x00\x02", *sn_77 = "\x33\x33\xff\x00\x00\x77";
	const char *own = "\x02\x65\x78\x00\x00\x02";

	(void)state;
	assert_int_equal(heard(to_mac(nd(135, NEIGHBOUR6, SN_OWN, NET_OWN6, NONE), sn_own)),
			 EX_R_ALLOWED);
	assert_int_equal(heard(to_mac(nd(135, NEIGHBOUR6, SN_OWN, OWN_LL, NONE), sn_own)),
			 EX_R_ALLOWED);
	assert_int_equal(heard(to_mac(nd(135, NEIGHBOUR6, NET_OWN6, NET_OWN6, NONE), own)),
			 EX_R_ALLOWED);
	assert_int_equal(heard(to_mac(nd(135, NEIGHBOUR6, SN_OWN, NET_OWN6, NONE), sn_77)),
			 EX_R_NEIGHBOUR);
	assert_int_equal(heard(to_mac(nd(135, NEIGHBOUR6, FOREIGN6, FOREIGN6, NONE), own)),
			 EX_R_NEIGHBOUR);
	assert_int_equal(heard(to_mac(nd(135, "::", SN_FOREIGN, FOREIGN6, NONCE), own)),
			 EX_R_NEIGHBOUR);
}

/* What a message has no use for. */
static void test_there_is_no_room_beside_the_message(void **state)
{
	struct pkt_frame f = arp(2, NET_OWN4, NET_OWN4), in = arp(1, NEIGHBOUR4, NET_OWN4);

	(void)state;
	assert_int_equal(sent(f), EX_R_ALLOWED);
	f.b[32] = 's';
	assert_int_equal(sent(f), EX_R_NEIGHBOUR);
	in.len = 60;
	memcpy(in.b + 42, "eighteen of secret", 18);
	assert_int_equal(bench_receive(&in).reason, EX_R_ALLOWED);
	assert_int_equal(bench_receive(&in).len, 42);
	in = arp(1, NET_OWN4, NEIGHBOUR4);
	in.len = 60;
	assert_int_equal(bench_send(&in).len, 42);
	for (size_t at = PKT_L3; at < PKT_L3 + 4; at++) {
		f = nd(135, NULL, SN_77, NEIGHBOUR6, LINK);
		f.b[at] ^= 1;
		assert_int_not_equal(sent(f), EX_R_ALLOWED);
	}
	for (size_t at = 4; at < 8; at++) {
		f = nd(135, NULL, SN_77, NEIGHBOUR6, LINK);
		f.b[f.l4 + at] = 0x80;
		pkt_checksums(&f);
		assert_int_equal(sent(f), EX_R_NEIGHBOUR);
		f = nd(136, NULL, NEIGHBOUR6, NET_OWN6, LINK);
		f.b[f.l4 + at] = at == 4 ? 0x10 : 0x80;
		pkt_checksums(&f);
		assert_int_equal(sent(f), EX_R_NEIGHBOUR);
	}
	f = nd(136, NULL, NEIGHBOUR6, NET_OWN6, LINK);
	f.b[f.l4 + 4] = 0xe0;
	pkt_checksums(&f);
	assert_int_equal(sent(f), EX_R_ALLOWED);
}

/* ---- packets ---- */

static enum ex_reason tcp(const char *src, const char *dst, const char *dst_mac)
{
	return bench_out(&(struct pkt_spec){ .src = src,
					     .dst = dst,
					     .dst_mac = dst_mac,
					     .proto = IPPROTO_TCP,
					     .sport = 40000,
					     .dport = 443 });
}

static void test_every_own_address_is_a_source(void **state)
{
	(void)state;
	assert_int_equal(tcp(NULL, NEIGHBOUR4, NULL), EX_R_ALLOWED);
	assert_int_equal(tcp(SECOND4, NEIGHBOUR4, NULL), EX_R_ALLOWED);
	assert_int_equal(tcp(FOREIGN4, NEIGHBOUR4, NULL), EX_R_SOURCE_ADDRESS);
	assert_int_equal(tcp("0.0.0.0", NEIGHBOUR4, NULL), EX_R_SOURCE_ADDRESS);
	assert_int_equal(tcp(NULL, NEIGHBOUR6, NULL), EX_R_ALLOWED);
	assert_int_equal(tcp(SECOND6, NEIGHBOUR6, NULL), EX_R_ALLOWED);
	assert_int_equal(tcp(FOREIGN6, NEIGHBOUR6, NULL), EX_R_SOURCE_ADDRESS);
}

/* Link-local is for finding neighbours; and nothing else means "no address". */
static void test_other_forms_of_an_address_are_no_source(void **state)
{
	(void)state;
	assert_int_equal(tcp(OWN_LL, NEIGHBOUR6, NULL), EX_R_SOURCE_ADDRESS);
	assert_int_equal(tcp("::", NEIGHBOUR6, NULL), EX_R_SOURCE_ADDRESS);
	assert_int_equal(tcp("::192.0.0.9", NEIGHBOUR6, NULL), EX_R_SOURCE_ADDRESS);
}

/* The flows of two own addresses are two flows. */
static void test_addresses_do_not_share_flows(void **state)
{
	struct pkt_spec s = { .src = NEIGHBOUR4,
			      .dst = SECOND4,
			      .proto = IPPROTO_TCP,
			      .sport = 443,
			      .dport = 40000,
			      .flags = PKT_SYN | PKT_ACK };

	(void)state;
	assert_int_equal(tcp(NULL, NEIGHBOUR4, NULL), EX_R_ALLOWED);
	assert_int_equal(bench_in(&s), EX_R_NO_FLOW);
	s.dst = NET_OWN4;
	assert_int_equal(bench_in(&s), EX_R_ALLOWED);
}

static void test_frames_go_to_any_one_machine(void **state)
{
	(void)state;
	assert_int_equal(tcp(NULL, NEIGHBOUR4, NEIGHBOUR_MAC), EX_R_ALLOWED);
	assert_int_equal(tcp(NULL, NEIGHBOUR4, "ff:ff:ff:ff:ff:ff"), EX_R_MARTIAN);
	assert_int_equal(tcp(NULL, NEIGHBOUR4, "01:00:5e:00:00:01"), EX_R_MARTIAN);
	assert_int_equal(tcp(NULL, "224.0.0.251", "01:00:5e:00:00:fb"), EX_R_MARTIAN);
}

#define bridged_test(f) cmocka_unit_test_setup(f, publish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bridged_test(test_arp_asks_for_any_neighbour),
		bridged_test(test_arp_looks_whether_its_own_address_is_free),
		bridged_test(test_arp_claims_its_own_addresses_only),
		bridged_test(test_solicitation_asks_for_neighbours_on_the_link),
		bridged_test(test_solicitation_has_its_own_mac),
		bridged_test(test_detection_of_duplicates_is_about_its_own_addresses),
		bridged_test(test_advertisement_claims_its_own_addresses_only),
		bridged_test(test_routers_are_not_played),
		bridged_test(test_neighbours_may_ask_and_answer),
		bridged_test(test_questions_to_others_are_not_heard),
		bridged_test(test_answers_to_others_are_not_heard),
		bridged_test(test_solicitations_of_others_are_not_heard),
		bridged_test(test_there_is_no_room_beside_the_message),
		bridged_test(test_every_own_address_is_a_source),
		bridged_test(test_other_forms_of_an_address_are_no_source),
		bridged_test(test_addresses_do_not_share_flows),
		bridged_test(test_frames_go_to_any_one_machine),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
