/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames for BPF_PROG_TEST_RUN. pkt_build() makes a correct one from a description whose zero
 * values mean "as the workload would send it"; a test then spoils one field.
 */
#ifndef EXEAT_TESTS_PKT_H
#define EXEAT_TESTS_PKT_H

#include <netinet/in.h>

#include "exeat/util.h"

#define PKT_MAX 2048
#define PKT_L3  14

enum { PKT_FIN = 1, PKT_SYN = 2, PKT_RST = 4, PKT_PSH = 8, PKT_ACK = 16, PKT_URG = 32 };

struct pkt_spec {
	const char *src, *dst; /* dst decides the family; src NULL: the workload's own */
	const char *src_mac, *dst_mac;
	uint8_t proto;
	uint16_t sport, dport; /* ICMP: identifier, type << 8 | code */
	uint8_t flags;         /* TCP; 0 = SYN */
	uint32_t seq, ack;
	const void *payload; /* NULL: payload_len bytes 'x' */
	size_t payload_len;
	uint16_t frag; /* IPv4: fragment field; IPv6: offset and M of a fragment header */
	uint32_t frag_id;
	bool v6_frag;       /* put a fragment header in */
	const uint8_t *ext; /* IPv6: extension headers, "next header" bytes chained here */
	size_t ext_len;
	uint8_t ext_type; /* next header value of the first of them */
};

struct pkt_frame {
	uint8_t b[PKT_MAX];
	size_t len;
	size_t l4; /* offset of the transport header */
};

void pkt_build(struct pkt_frame *f, const struct pkt_spec *spec);

/* Makes the checksums right again after a change. */
void pkt_checksums(struct pkt_frame *f);

/* True when IP and transport checksums are right and every length agrees with the frame. */
bool pkt_is_sound(const uint8_t *b, size_t len);

static inline uint16_t pkt_get16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline void pkt_put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline uint32_t pkt_get32(const uint8_t *b)
{
	return (uint32_t)pkt_get16(b) << 16 | pkt_get16(b + 2);
}

static inline void pkt_put32(uint8_t *b, uint32_t v)
{
	pkt_put16(b, (uint16_t)(v >> 16));
	pkt_put16(b + 2, (uint16_t)v);
}

#endif
