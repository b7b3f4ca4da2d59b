/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

static void mac_put(uint8_t *b, const char *text)
{
	unsigned m[6];
	int i;

	assert_int_equal(
		sscanf(text, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]), 6);
	for (i = 0; i < 6; i++)
		b[i] = (uint8_t)m[i];
}

static uint32_t sum_bytes(const uint8_t *b, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += pkt_get16(b + i);
	return len & 1 ? sum + (uint32_t)(b[len - 1] << 8) : sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Offset of the transport checksum from the transport header; -1 = the protocol has none here. */
static int sum_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	}
	return -1;
}

/* Walks to the transport header over the extension headers that a builder may have put in. */
static uint8_t transport(const uint8_t *b, size_t len, size_t *l4)
{
	uint8_t next = b[PKT_L3 + 6];

	if (b[PKT_L3] >> 4 == 4) {
		*l4 = PKT_L3 + (size_t)(b[PKT_L3] & 15) * 4;
		return b[PKT_L3 + 9];
	}
	*l4 = PKT_L3 + 40;
	while ((next == 0 || next == 43 || next == 60 || next == 44) && *l4 + 8 <= len) {
		size_t size = next == 44 ? 8 : ((size_t)b[*l4 + 1] + 1) * 8;

		next = b[*l4];
		*l4 += size;
	}
	return next;
}

static uint16_t transport_sum(const uint8_t *b, size_t len, size_t l4, uint8_t proto)
{
	uint32_t sum = (uint32_t)(len - l4) + proto;

	if (proto == IPPROTO_ICMP)
		sum = 0;
	else if (b[PKT_L3] >> 4 == 4)
		sum = sum_bytes(b + PKT_L3 + 12, 8, sum);
	else
		sum = sum_bytes(b + PKT_L3 + 8, 32, sum);
	return sum_fold(sum_bytes(b + l4, len - l4, sum));
}

void pkt_checksums(struct pkt_frame *f)
{
	size_t l4;
	uint8_t proto = transport(f->b, f->len, &l4);
	int at = sum_offset(proto);

	if (f->b[PKT_L3] >> 4 == 4) {
		pkt_put16(f->b + PKT_L3 + 10, 0);
		pkt_put16(f->b + PKT_L3 + 10, sum_fold(sum_bytes(f->b + PKT_L3, l4 - PKT_L3, 0)));
	}
	if (at < 0 || l4 + (size_t)at + 2 > f->len)
		return;
	pkt_put16(f->b + l4 + at, 0);
	pkt_put16(f->b + l4 + at, transport_sum(f->b, f->len, l4, proto));
}

bool pkt_is_sound(const uint8_t *b, size_t len)
{
	size_t l4;
	uint8_t proto;

	if (len < PKT_L3 + 40)
		return false;
	proto = transport(b, len, &l4);
	if (b[PKT_L3] >> 4 == 4) {
		if (sum_fold(sum_bytes(b + PKT_L3, l4 - PKT_L3, 0)) ||
		    pkt_get16(b + PKT_L3 + 2) != len - PKT_L3)
			return false;
	} else if (pkt_get16(b + PKT_L3 + 4) != len - PKT_L3 - 40) {
		return false;
	}
	return sum_offset(proto) < 0 || transport_sum(b, len, l4, proto) == 0;
}

static size_t put_transport(uint8_t *b, const struct pkt_spec *s)
{
	pkt_put16(b, s->sport);
	pkt_put16(b + 2, s->dport);
	switch (s->proto) {
	case IPPROTO_TCP:
		pkt_put32(b + 4, s->seq);
		pkt_put32(b + 8, s->ack);
		b[12] = 5 << 4;
		b[13] = s->flags ? s->flags : PKT_SYN;
		pkt_put16(b + 14, 65535);
		return 20;
	case IPPROTO_UDP:
		pkt_put16(b + 4, (uint16_t)(8 + s->payload_len));
		return 8;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		pkt_put16(b, s->dport);
		pkt_put16(b + 4, s->sport);
		pkt_put16(b + 6, 1);
		return 8;
	case IPPROTO_SCTP:
		b[12] = 1; /* INIT */
		pkt_put16(b + 14, 20);
		return 32;
	}
	memset(b, 0, 4);
	return 4;
}

static uint8_t *put_ip4(uint8_t *b, const struct pkt_spec *s, const struct ex_ip *src,
			const struct ex_ip *dst)
{
	b[0] = 0x45;
	pkt_put16(b + 4, (uint16_t)s->frag_id);
	pkt_put16(b + 6, s->frag);
	b[8] = 64;
	b[9] = s->proto;
	memcpy(b + 12, src->b + 12, 4);
	memcpy(b + 16, dst->b + 12, 4);
	return b + 20;
}

static uint8_t *put_ip6(uint8_t *b, const struct pkt_spec *s, const struct ex_ip *src,
			const struct ex_ip *dst)
{
	uint8_t *next = b + 6;

	b[0] = 0x60;
	b[7] = s->proto == IPPROTO_ICMPV6 && s->dport >> 8 >= 133 ? 255 : 64;
	memcpy(b + 8, src, 16);
	memcpy(b + 24, dst, 16);
	*next = s->proto;
	b += 40;
	if (s->ext) {
		memcpy(b, s->ext, s->ext_len);
		*next = s->ext_type;
		b += s->ext_len;
	}
	if (s->v6_frag) {
		if (!s->ext)
			*next = IPPROTO_FRAGMENT;
		b[0] = s->proto;
		pkt_put16(b + 2, s->frag);
		pkt_put32(b + 4, s->frag_id);
		b += 8;
	}
	return b;
}

void pkt_build(struct pkt_frame *f, const struct pkt_spec *spec)
{
	struct ex_ip src, dst;
	uint8_t *b = f->b + PKT_L3;
	bool is4;

	memset(f, 0, sizeof(*f));
	assert_true(ex_ip_parse(spec->dst, &dst));
	is4 = !strchr(spec->dst, ':');
	assert_true(ex_ip_parse(spec->src ? spec->src : is4 ? NET_OWN4 : NET_OWN6, &src));
	mac_put(f->b, spec->dst_mac ? spec->dst_mac : NET_GW_MAC);
	mac_put(f->b + 6, spec->src_mac ? spec->src_mac : NET_OWN_MAC);
	pkt_put16(f->b + 12, is4 ? 0x0800 : 0x86dd);
	b = is4 ? put_ip4(b, spec, &src, &dst) : put_ip6(b, spec, &src, &dst);
	f->l4 = (size_t)(b - f->b);
	if (spec->v6_frag ? !(spec->frag & 0xfff8) : !(spec->frag & 0x1fff))
		b += put_transport(b, spec);
	if (spec->payload)
		memcpy(b, spec->payload, spec->payload_len);
	else
		memset(b, 'x', spec->payload_len);
	f->len = (size_t)(b - f->b) + spec->payload_len;
	if (is4)
		pkt_put16(f->b + PKT_L3 + 2, (uint16_t)(f->len - PKT_L3));
	else
		pkt_put16(f->b + PKT_L3 + 4, (uint16_t)(f->len - PKT_L3 - 40));
	pkt_checksums(f);
}
