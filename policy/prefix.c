/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/prefix.h"

#include <endian.h>
#include <stdio.h>

static void mask_ip(struct ex_ip *ip, uint8_t len)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = len > i * 8 ? len - i * 8 : 0;

		if (bits < 8)
			ip->b[i] &= (uint8_t)(0xff00u >> bits);
	}
}

struct ex_prefix ex_prefix_make(const struct ex_ip *ip, uint8_t len)
{
	struct ex_prefix p = { .ip = *ip, .len = len > 128 ? 128 : len };

	mask_ip(&p.ip, p.len);
	return p;
}

/* One to three digits, no sign, no leading zero. -1 when it is not that. */
static int parse_len(const char *s, size_t n)
{
	int v = 0;

	if (n == 0 || n > 3 || (n > 1 && s[0] == '0'))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

const char *ex_prefix_parse(const char *text, size_t len, struct ex_prefix *ret, bool *host_bits)
{
	const char *slash = len ? memchr(text, '/', len) : NULL;
	char addr[EX_IP_TEXT];
	struct ex_ip ip;
	size_t n;
	int bits;

	if (!slash)
		return "has no /LENGTH";
	n = (size_t)(slash - text);
	if (n >= sizeof(addr))
		return "is not an address with a prefix length";
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (strlen(addr) != n || !ex_ip_parse(addr, &ip))
		return "does not begin with an IPv4 or IPv6 address";
	bits = parse_len(slash + 1, len - n - 1);
	if (ex_ip_is4(&ip) && strchr(addr, ':'))
		return "is an IPv4-mapped address; write the IPv4 address itself";
	if (bits < 0 || bits > (ex_ip_is4(&ip) ? 32 : 128))
		return "has a prefix length that is out of range";
	*ret = ex_prefix_make(&ip, (uint8_t)(ex_ip_is4(&ip) ? 96 + bits : bits));
	*host_bits = !ex_ip_eq(&ret->ip, &ip);
	return NULL;
}

/* The first len bits of 64, as be64toh() gives them. */
static uint64_t mask_of(unsigned len)
{
	return len == 0 ? 0 : len >= 64 ? UINT64_MAX : UINT64_MAX << (64 - len);
}

bool ex_prefix_has(const struct ex_prefix *p, const struct ex_ip *ip)
{
	uint64_t has[2], prefix[2];

	memcpy(has, ip->b, sizeof(has));
	memcpy(prefix, p->ip.b, sizeof(prefix));
	return (be64toh(has[0]) & mask_of(p->len)) == be64toh(prefix[0]) &&
	       (be64toh(has[1]) & mask_of(p->len > 64 ? p->len - 64u : 0)) == be64toh(prefix[1]);
}

bool ex_prefix_covers(const struct ex_prefix *outer, const struct ex_prefix *inner)
{
	return outer->len <= inner->len && ex_prefix_has(outer, &inner->ip);
}

bool ex_prefix_is4(const struct ex_prefix *p)
{
	return p->len >= 96 && ex_ip_is4(&p->ip);
}

int ex_prefix_cmp(const struct ex_prefix *a, const struct ex_prefix *b)
{
	int r = memcmp(a->ip.b, b->ip.b, sizeof(a->ip.b));

	return r ? r : (int)a->len - (int)b->len;
}

const char *ex_prefix_text(const struct ex_prefix *p, char buf[static EX_PREFIX_TEXT])
{
	bool four = ex_prefix_is4(p);
	char addr[EX_IP_TEXT];

	(void)snprintf(buf, EX_PREFIX_TEXT, "%s/%d", ex_ip_text(&p->ip, addr),
		       four ? p->len - 96 : p->len);
	return buf;
}

bool ex_ip_embedded(const struct ex_ip *ip, struct ex_ip *ret)
{
	static const struct ex_prefix embedding[] = {
		{ { { 0 } }, 96 },                      /* ::a.b.c.d, compatible */
		{ { { [8] = 0xff, 0xff } }, 96 },       /* ::ffff:0:a.b.c.d, translated */
		{ { { 0x00, 0x64, 0xff, 0x9b } }, 96 }, /* 64:ff9b::a.b.c.d, NAT64 */
		{ { { 0x20, 0x02 } }, 16 },             /* 2002:aabb:ccdd::/48, 6to4 */
	};

	if (ex_ip_is4(ip)) /* the usual case, which none of these is */
		return false;
	for (size_t i = 0; i < EX_ARRAY_SIZE(embedding); i++) {
		if (!ex_prefix_has(&embedding[i], ip))
			continue;
		/* :: and ::1 are addresses of their own */
		if (i == 0 && memcmp(ip->b + 12, "\0\0\0", 3) == 0 && ip->b[15] <= 1)
			return false;
		*ret = ex_ip_from4(ip->b + embedding[i].len / 8);
		return true;
	}
	return false;
}
