/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that try to be read in two ways. Everything is allowed by policy here, so only the parser
 * stands between a hazard and the wire; each hazard is the allowed packet with one thing spoiled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/datapath/bench.h"

#define FAR4 "198.51.100.7"
#define FAR6 "2001:db8::7"

static const struct ex_rule_entry everything[] = {
	{ 1, 0, 0, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
};

static int publish(void **state)
{
	struct ex_dest_entry all = { .prefix = 0, .klass = 1 };
	struct ex_rule_entry rules[1];
	struct ex_tables t = { &all, 1, rules, 1, 1 };

	(void)state;
	memcpy(rules, everything, sizeof(rules));
	ex_gate_forget(bench_gate, BENCH_IF);
	bench_publish(&t, 0);
	return 0;
}

static struct pkt_frame tcp4(void)
{
	struct pkt_frame f;

	pkt_build(&f, &(struct pkt_spec){ .dst = FAR4,
					  .proto = IPPROTO_TCP,
					  .sport = 40000,
					  .dport = 443,
					  .payload_len = 40 });
	return f;
}

static struct pkt_frame tcp6(void)
{
	struct pkt_frame f;

	pkt_build(&f, &(struct pkt_spec){ .dst = FAR6,
					  .proto = IPPROTO_TCP,
					  .sport = 40000,
					  .dport = 443,
					  .payload_len = 40 });
	return f;
}

static struct pkt_frame udp4(void)
{
	struct pkt_frame f;

	pkt_build(&f, &(struct pkt_spec){ .dst = FAR4,
					  .proto = IPPROTO_UDP,
					  .sport = 40000,
					  .dport = 443,
					  .payload_len = 40 });
	return f;
}

static void assert_reason(struct pkt_frame f, enum ex_reason reason)
{
	pkt_checksums(&f);
	assert_int_equal(bench_send(&f).reason, reason);
}

#define SPOIL8(frame, at, value, reason)                                                           \
	do {                                                                                       \
		struct pkt_frame f_ = frame;                                                       \
		f_.b[at] = (uint8_t)(value);                                                       \
		assert_reason(f_, reason);                                                         \
	} while (0)

#define SPOIL16(frame, at, value, reason)                                                          \
	do {                                                                                       \
		struct pkt_frame f_ = frame;                                                       \
		pkt_put16(f_.b + (at), (uint16_t)(value));                                         \
		assert_reason(f_, reason);                                                         \
	} while (0)

static void test_sound_packets_are_allowed(void **state)
{
	(void)state;
	assert_reason(tcp4(), EX_R_ALLOWED);
	assert_reason(tcp6(), EX_R_ALLOWED);
	assert_reason(udp4(), EX_R_ALLOWED);
}

static void test_ip4_header_that_lies(void **state)
{
	struct pkt_frame f = tcp4();

	(void)state;
	SPOIL8(tcp4(), PKT_L3, 0x55, EX_R_MALFORMED);
	SPOIL8(tcp4(), PKT_L3, 0x65, EX_R_MALFORMED);
	SPOIL8(tcp4(), PKT_L3, 0x44, EX_R_MALFORMED);
	SPOIL8(tcp4(), PKT_L3, 0x46, EX_R_IP_OPTIONS);
	SPOIL8(tcp4(), PKT_L3, 0x4f, EX_R_IP_OPTIONS);
	SPOIL16(tcp4(), PKT_L3 + 2, f.len - PKT_L3 + 1, EX_R_MALFORMED);
	SPOIL16(tcp4(), PKT_L3 + 2, f.len - PKT_L3 - 1, EX_R_MALFORMED);
	SPOIL16(tcp4(), PKT_L3 + 2, 19, EX_R_MALFORMED);
	SPOIL16(tcp4(), PKT_L3 + 2, 0, EX_R_MALFORMED);
	SPOIL16(tcp4(), PKT_L3 + 6, 0x4000, EX_R_ALLOWED);
	SPOIL16(tcp4(), PKT_L3 + 6, 0x8000, EX_R_MALFORMED);
}

static void test_ip6_header_that_lies(void **state)
{
	struct pkt_frame f = tcp6();

	(void)state;
	SPOIL8(tcp6(), PKT_L3, 0x40, EX_R_MALFORMED);
	SPOIL8(tcp6(), PKT_L3, 0x6f, EX_R_ALLOWED); /* traffic class is anybody's */
	SPOIL16(tcp6(), PKT_L3 + 4, f.len - PKT_L3 - 40 + 1, EX_R_MALFORMED);
	SPOIL16(tcp6(), PKT_L3 + 4, f.len - PKT_L3 - 40 - 1, EX_R_MALFORMED);
	SPOIL16(tcp6(), PKT_L3 + 4, 0, EX_R_MALFORMED);
}

static void test_frame_cut_short_anywhere(void **state)
{
	struct pkt_frame whole[] = { tcp4(), tcp6(), udp4() }, f;
	size_t i, len;

	(void)state;
	for (i = 0; i < EX_ARRAY_SIZE(whole); i++) {
		for (len = whole[i].l4; len < whole[i].len;
		     len++) { /* TEST_RUN wants more than that */
			f = whole[i];
			f.len = len;
			assert_int_equal(bench_send(&f).reason, EX_R_MALFORMED);
		}
	}
}

/* Short packets arrive padded to the smallest frame; longer ones carry nothing behind their end. */
static void test_only_a_minimal_frame_may_be_padded(void **state)
{
	struct pkt_frame f;

	(void)state;
	pkt_build(&f, &(struct pkt_spec){
			      .dst = FAR4, .proto = IPPROTO_TCP, .sport = 40000, .dport = 443 });
	f.len = 60;
	assert_int_equal(bench_send(&f).reason, EX_R_ALLOWED);
	f.len = 61;
	assert_int_equal(bench_send(&f).reason, EX_R_MALFORMED);
}

static void test_tcp_header_that_lies(void **state)
{
	size_t l4 = tcp4().l4;

	(void)state;
	SPOIL8(tcp4(), l4 + 12, 0x40, EX_R_MALFORMED);
	SPOIL8(tcp4(), l4 + 12, 0xf0, EX_R_ALLOWED); /* 60 bytes: all of it is there */
	SPOIL16(tcp4(), l4, 0, EX_R_MALFORMED);
	SPOIL16(tcp4(), l4 + 2, 0, EX_R_MALFORMED);
	struct pkt_frame f = tcp4();
	f.len--;
	pkt_put16(f.b + PKT_L3 + 2, (uint16_t)(f.len - PKT_L3));
	f.b[l4 + 12] = 0xf0; /* 60 bytes, 59 are there */
	assert_reason(f, EX_R_MALFORMED);
}

static void test_tcp_flags(void **state)
{
	size_t flags = tcp4().l4 + 13;

	(void)state;
	SPOIL8(tcp4(), flags, 0, EX_R_TCP_FLAGS);
	SPOIL8(tcp4(), flags, PKT_FIN, EX_R_TCP_FLAGS);
	SPOIL8(tcp4(), flags, PKT_FIN | PKT_PSH | PKT_URG, EX_R_TCP_FLAGS); /* "Christmas tree" */
	SPOIL8(tcp4(), flags, PKT_SYN | PKT_FIN, EX_R_TCP_FLAGS);
	SPOIL8(tcp4(), flags, PKT_SYN | PKT_RST, EX_R_TCP_FLAGS);
	SPOIL8(tcp4(), flags, PKT_SYN | PKT_FIN | PKT_ACK, EX_R_TCP_FLAGS);
	SPOIL8(tcp4(), flags, PKT_FIN | PKT_RST | PKT_ACK, EX_R_TCP_FLAGS);
	SPOIL8(tcp4(), flags, PKT_PSH, EX_R_TCP_FLAGS);
	SPOIL8(tcp4(), flags, PKT_SYN | 0xc0, EX_R_ALLOWED); /* ECN set-up, RFC 3168 */
}

static void test_udp_length_that_lies(void **state)
{
	size_t l4 = udp4().l4;

	(void)state;
	SPOIL16(udp4(), l4 + 4, 48, EX_R_ALLOWED);
	SPOIL16(udp4(), l4 + 4, 47, EX_R_MALFORMED);
	SPOIL16(udp4(), l4 + 4, 49, EX_R_MALFORMED);
	SPOIL16(udp4(), l4 + 4, 0, EX_R_MALFORMED);
	SPOIL16(udp4(), l4, 0, EX_R_MALFORMED);
	SPOIL16(udp4(), l4 + 2, 0, EX_R_MALFORMED);
}

static void test_ethertype_and_vlan(void **state)
{
	(void)state;
	SPOIL16(tcp4(), 12, 0x8100, EX_R_VLAN);
	SPOIL16(tcp4(), 12, 0x88a8, EX_R_VLAN);
	SPOIL16(tcp4(), 12, 0x9100, EX_R_VLAN);
	SPOIL16(tcp4(), 12, 0x8847, EX_R_ETHERTYPE); /* MPLS */
	SPOIL16(tcp4(), 12, 0x88cc, EX_R_ETHERTYPE); /* LLDP */
	SPOIL16(tcp4(), 12, 0x8864, EX_R_ETHERTYPE); /* PPPoE */
	SPOIL16(tcp4(), 12, 0x0040, EX_R_ETHERTYPE); /* 802.3 length */
	SPOIL16(tcp4(), 12, 0x86dd, EX_R_MALFORMED);
	SPOIL16(tcp6(), 12, 0x0800, EX_R_MALFORMED);
}

static void test_double_vlan(void **state)
{
	struct pkt_frame f = tcp4(), g;

	(void)state;
	g = f;
	memcpy(g.b + 22, f.b + 14, f.len - 14);
	memcpy(g.b + 12, "\x88\xa8\x00\x01\x81\x00\x00\x02\x08\x00", 10);
	g.len += 8;
	assert_int_equal(bench_send(&g).reason, EX_R_VLAN);
}

static void test_forged_link_addresses(void **state)
{
	struct pkt_spec s = { .dst = FAR4, .proto = IPPROTO_TCP, .sport = 40000, .dport = 443 };

	(void)state;
	assert_int_equal(bench_out(&s), EX_R_ALLOWED);
	s.src_mac = "02:65:78:00:00:03";
	assert_int_equal(bench_out(&s), EX_R_SOURCE_MAC);
	s.src_mac = NULL;
	s.dst_mac = "02:65:78:00:00:09";
	assert_int_equal(bench_out(&s), EX_R_NEIGHBOUR);
	s.dst_mac = "ff:ff:ff:ff:ff:ff";
	assert_int_equal(bench_out(&s), EX_R_MARTIAN);
	s.dst_mac = "01:00:5e:00:00:01";
	assert_int_equal(bench_out(&s), EX_R_MARTIAN);
	s.dst = FAR6;
	s.dst_mac = "33:33:00:00:00:01";
	assert_int_equal(bench_out(&s), EX_R_MARTIAN);
}

static void test_forged_sources(void **state)
{
	static const char *const forged[][2] = {
		{ "192.0.0.3", FAR4 }, { "192.0.0.1", FAR4 },         { "0.0.0.0", FAR4 },
		{ "127.0.0.1", FAR4 }, { "255.255.255.255", FAR4 },   { "224.0.0.1", FAR4 },
		{ FAR4, FAR4 },        { "fd7e:a7c3:1b5d::3", FAR6 }, { "::", FAR6 },
		{ "::1", FAR6 },       { "fe80::2", FAR6 },           { "::ffff:192.0.0.2", FAR6 },
		{ "ff02::1", FAR6 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < EX_ARRAY_SIZE(forged); i++)
		assert_int_equal(bench_out(&(struct pkt_spec){ .src = forged[i][0],
							       .dst = forged[i][1],
							       .proto = IPPROTO_TCP,
							       .sport = 40000,
							       .dport = 443 }),
				 EX_R_SOURCE_ADDRESS);
}

static void test_martian_destinations(void **state)
{
	static const char *const martians[] = {
		"0.0.0.0",
		"0.1.2.3",
		"127.0.0.1",
		"127.255.255.255",
		"224.0.0.1",
		"239.1.2.3",
		"240.0.0.1",
		"255.255.255.255",
		NET_OWN4,
		"::",
		"::1",
		"::198.51.100.7",
		"::ffff:198.51.100.7",
		"::ffff:0:198.51.100.7",
		"::5efe:198.51.100.7",
		"ff02::1",
		"ff0e::1",
		"fe80::1",
		"febf::1",
		"64:ff9b::127.0.0.1",
		"64:ff9b::0.0.0.0",
		"64:ff9b::224.0.0.1",
		"2002:7f00:1::",
		"2002:e000:1::",
		NET_OWN6,
	};
	static const char *const fine[] = {
		"1.0.0.1", "126.0.0.1",  "128.0.0.1",        "223.255.255.255", "2001:db8::1",
		"fec0::1", "0:0:0:1::1", "64:ff9b::1.1.1.1", "2002:101:101::1", "fd00::1"
	};
	size_t i;

	(void)state;
	for (i = 0; i < EX_ARRAY_SIZE(martians); i++)
		assert_int_equal(bench_out(&(struct pkt_spec){ .dst = martians[i],
							       .proto = IPPROTO_UDP,
							       .sport = 40000,
							       .dport = 443 }),
				 EX_R_MARTIAN);
	for (i = 0; i < EX_ARRAY_SIZE(fine); i++)
		assert_int_equal(bench_out(&(struct pkt_spec){ .dst = fine[i],
							       .proto = IPPROTO_UDP,
							       .sport = 40000,
							       .dport = 443 }),
				 EX_R_ALLOWED);
}

static void test_icmp_of_the_other_family(void **state)
{
	(void)state;
	assert_int_equal(bench_out(&(struct pkt_spec){
				 .dst = FAR4, .proto = IPPROTO_ICMPV6, .dport = 128 << 8 }),
			 EX_R_MALFORMED);
	assert_int_equal(bench_out(&(struct pkt_spec){
				 .dst = FAR6, .proto = IPPROTO_ICMP, .dport = 8 << 8 }),
			 EX_R_MALFORMED);
}

/* ---- IPv6 extension headers ---- */

static enum ex_reason ext(uint8_t first, const uint8_t *bytes, size_t len)
{
	return bench_out(&(struct pkt_spec){ .dst = FAR6,
					     .proto = IPPROTO_TCP,
					     .sport = 40000,
					     .dport = 443,
					     .ext = bytes,
					     .ext_len = len,
					     .ext_type = first });
}

#define PADN 1, 4, 0, 0, 0, 0 /* six bytes of nothing */
#define TCP_ 6
#define HBH_ 0
#define DST_ 60
#define RTG_ 43

static void test_extension_headers(void **state)
{
	const uint8_t one[] = { TCP_, 0, PADN };
	const uint8_t hbh_dst[] = { DST_, 0, PADN, TCP_, 0, PADN };
	const uint8_t dst_hbh[] = { HBH_, 0, PADN, TCP_, 0, PADN };
	const uint8_t three[] = { DST_, 0, PADN, DST_, 0, PADN, TCP_, 0, PADN };
	const uint8_t five[] = { DST_, 0,    PADN, DST_, 0,    PADN, DST_, 0,
				 PADN, DST_, 0,    PADN, TCP_, 0,    PADN };
	const uint8_t to_routing[] = { RTG_, 0, PADN, TCP_, 0, 0, 0, 0, 0, 0, 0 };
	const uint8_t to_none[] = { 59, 0, PADN };
	uint8_t lies[] = { TCP_, 5, PADN };
	uint8_t large[72] = { TCP_, 8, 1, 68 };

	(void)state;
	assert_int_equal(ext(HBH_, one, sizeof(one)), EX_R_ALLOWED);
	assert_int_equal(ext(DST_, one, sizeof(one)), EX_R_ALLOWED);
	assert_int_equal(ext(RTG_, one, sizeof(one)), EX_R_EXT_HEADER);
	assert_int_equal(ext(135, one, sizeof(one)), EX_R_EXT_HEADER); /* mobility */
	assert_int_equal(ext(139, one, sizeof(one)), EX_R_EXT_HEADER); /* HIP */
	assert_int_equal(ext(140, one, sizeof(one)), EX_R_EXT_HEADER); /* Shim6 */
	assert_int_equal(ext(253, one, sizeof(one)), EX_R_EXT_HEADER); /* experiments */
	assert_int_equal(ext(HBH_, hbh_dst, sizeof(hbh_dst)), EX_R_ALLOWED);
	assert_int_equal(ext(DST_, dst_hbh, sizeof(dst_hbh)), EX_R_EXT_HEADER);
	assert_int_equal(ext(HBH_, dst_hbh, sizeof(dst_hbh)), EX_R_EXT_HEADER);
	assert_int_equal(ext(DST_, three, sizeof(three)), EX_R_ALLOWED);
	assert_int_equal(ext(DST_, five, sizeof(five)), EX_R_EXT_HEADER);
	assert_int_equal(ext(HBH_, to_routing, sizeof(to_routing)), EX_R_EXT_HEADER);
	assert_int_equal(ext(DST_, to_none, sizeof(to_none)), EX_R_EXT_HEADER);
	assert_int_equal(ext(59, NULL, 0), EX_R_ALLOWED); /* not put in: a plain packet */
	assert_int_equal(ext(DST_, lies, sizeof(lies)), EX_R_MALFORMED);
	assert_int_equal(ext(DST_, large, sizeof(large)), EX_R_EXT_HEADER);
}

/* The port that is judged is the one behind the extension header, not the bytes in its place. */
static void test_ports_are_read_behind_extension_headers(void **state)
{
	struct ex_rule_entry only443 = {
		1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, 0, EX_R_ALLOWED, 1 }
	};
	/* option data that reads as "source port any, destination port 443" at the plain offset */
	const uint8_t decoy[] = { TCP_, 0, 0x01, 0xbb, 0x01, 0xbb, 0x01, 0xbb };
	struct pkt_spec s = { .dst = FAR6,
			      .proto = IPPROTO_TCP,
			      .sport = 40000,
			      .dport = 22,
			      .ext = decoy,
			      .ext_len = sizeof(decoy),
			      .ext_type = DST_ };

	(void)state;
	bench_publish_rules(&only443, 1, 0);
	assert_int_equal(bench_out(&s), EX_R_DEFAULT_DENY);
	s.dport = 443;
	assert_int_equal(bench_out(&s), EX_R_ALLOWED);
}

/* ---- neighbours ---- */

static struct pkt_frame arp(uint16_t op, const char *sha, const char *spa, const char *tpa)
{
	struct pkt_frame f;
	struct ex_ip ip;

	pkt_build(&f, &(struct pkt_spec){ .dst = FAR4, .dst_mac = "ff:ff:ff:ff:ff:ff" });
	memset(f.b + 14, 0, 46);
	memcpy(f.b + 12, "\x08\x06\x00\x01\x08\x00\x06\x04", 8);
	pkt_put16(f.b + 20, op);
	memcpy(f.b + 22, f.b + 6, 6);
	if (sha)
		f.b[27] = 0x99;
	assert_true(ex_ip_parse(spa, &ip));
	memcpy(f.b + 28, ip.b + 12, 4);
	assert_true(ex_ip_parse(tpa, &ip));
	memcpy(f.b + 38, ip.b + 12, 4);
	f.len = 42;
	return f;
}

static void assert_arp(struct pkt_frame f, enum ex_reason reason)
{
	assert_int_equal(bench_send(&f).reason, reason);
}

static void test_arp_only_with_the_next_hop(void **state)
{
	struct pkt_frame f = arp(1, NULL, NET_OWN4, NET_GW4);

	(void)state;
	assert_arp(f, EX_R_ALLOWED);
	assert_arp(arp(2, NULL, NET_OWN4, NET_GW4), EX_R_ALLOWED);
	assert_arp(arp(1, NULL, NET_OWN4, "192.0.0.3"), EX_R_NEIGHBOUR);
	assert_arp(arp(1, NULL, NET_GW4, NET_GW4), EX_R_NEIGHBOUR);
	assert_arp(arp(1, NULL, "192.0.0.3", NET_GW4), EX_R_NEIGHBOUR);
	assert_arp(arp(1, "forged", NET_OWN4, NET_GW4), EX_R_NEIGHBOUR);
	assert_arp(arp(3, NULL, NET_OWN4, NET_GW4), EX_R_NEIGHBOUR);  /* RARP */
	assert_arp(arp(1, NULL, NET_OWN4, NET_OWN4), EX_R_NEIGHBOUR); /* gratuitous */
	f.len = 41;
	assert_arp(f, EX_R_MALFORMED);
	f.len = 60;
	assert_arp(f, EX_R_ALLOWED);
	f.len = 61;
	assert_arp(f, EX_R_MALFORMED);
	f.len = 42;
	f.b[18] = 8; /* hardware address length */
	assert_arp(f, EX_R_MALFORMED);
}

static struct pkt_frame nd(uint8_t type, const char *src, const char *dst, const char *target)
{
	struct pkt_frame f;
	uint8_t body[24] = { 0 };
	struct ex_ip ip;

	assert_true(ex_ip_parse(target, &ip));
	memcpy(body, &ip, 16);
	body[16] = type == 135 ? 1 : 2;
	body[17] = 1;
	memcpy(body + 18, "\x02\x65\x78\x00\x00\x02", 6);
	pkt_build(&f, &(struct pkt_spec){ .src = src,
					  .dst = dst,
					  .proto = IPPROTO_ICMPV6,
					  .dport = (uint16_t)(type << 8),
					  .payload = body,
					  .payload_len = sizeof(body) });
	pkt_put32(f.b + f.l4 + 4, 0);
	pkt_checksums(&f);
	return f;
}

static void test_neighbour_discovery_only_with_the_next_hop(void **state)
{
	const char *const sn = "ff02::1:ff00:1";

	(void)state;
	assert_reason(nd(135, NULL, sn, NET_GW6), EX_R_ALLOWED);
	assert_reason(nd(135, NULL, NET_GW6, NET_GW6), EX_R_ALLOWED);
	assert_reason(nd(135, "fe80::2", NET_GW6, NET_GW6), EX_R_ALLOWED);
	assert_reason(nd(135, "fd7e:a7c3:1b5d::3", sn, NET_GW6), EX_R_SOURCE_ADDRESS);
	assert_reason(nd(135, "::", sn, NET_OWN6), EX_R_SOURCE_ADDRESS);
	assert_reason(nd(135, NULL, sn, "fd7e:a7c3:1b5d::3"), EX_R_NEIGHBOUR);
	assert_reason(nd(135, NULL, "ff02::1", NET_GW6), EX_R_NEIGHBOUR);
	assert_reason(nd(135, NULL, "ff02::1:ff00:9", NET_GW6), EX_R_NEIGHBOUR);
	assert_reason(nd(136, NULL, NET_GW6, NET_OWN6), EX_R_ALLOWED);
	assert_reason(nd(136, NULL, NET_GW6, NET_GW6), EX_R_NEIGHBOUR);
	assert_reason(nd(136, NULL, "ff02::1", NET_OWN6), EX_R_NEIGHBOUR);
	assert_reason(nd(133, NULL, "ff02::2", NET_GW6), EX_R_NEIGHBOUR);
	assert_reason(nd(134, NULL, "ff02::1", NET_GW6), EX_R_NEIGHBOUR); /* rogue router */
	assert_reason(nd(137, NULL, NET_GW6, NET_GW6), EX_R_NEIGHBOUR);   /* redirect */
	SPOIL8(nd(135, NULL, sn, NET_GW6), PKT_L3 + 7, 254, EX_R_NEIGHBOUR);
	SPOIL8(nd(135, NULL, sn, NET_GW6), PKT_L3 + 40 + 1, 1, EX_R_NEIGHBOUR);
	SPOIL8(nd(135, NULL, sn, NET_GW6), PKT_L3 + 40 + 31, 9, EX_R_NEIGHBOUR); /* other's MAC */
	SPOIL8(nd(135, NULL, sn, NET_GW6), PKT_L3 + 40 + 24, 2, EX_R_NEIGHBOUR);
}

#define parse_test(f) cmocka_unit_test_setup(f, publish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		parse_test(test_sound_packets_are_allowed),
		parse_test(test_ip4_header_that_lies),
		parse_test(test_ip6_header_that_lies),
		parse_test(test_frame_cut_short_anywhere),
		parse_test(test_only_a_minimal_frame_may_be_padded),
		parse_test(test_tcp_header_that_lies),
		parse_test(test_tcp_flags),
		parse_test(test_udp_length_that_lies),
		parse_test(test_ethertype_and_vlan),
		parse_test(test_double_vlan),
		parse_test(test_forged_link_addresses),
		parse_test(test_forged_sources),
		parse_test(test_martian_destinations),
		parse_test(test_icmp_of_the_other_family),
		parse_test(test_extension_headers),
		parse_test(test_ports_are_read_behind_extension_headers),
		parse_test(test_arp_only_with_the_next_hop),
		parse_test(test_neighbour_discovery_only_with_the_next_hop),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
