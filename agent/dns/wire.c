// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/wire.h"

uint16_t ex_dns_read16(struct ex_dns_cursor *c)
{
	const uint8_t *p = c->msg + c->at;

	if (!c->ok || c->len - c->at < 2) {
		c->ok = false;
		return 0;
	}
	c->at += 2;
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t ex_dns_read32(struct ex_dns_cursor *c)
{
	uint32_t high = ex_dns_read16(c);

	return high << 16 | ex_dns_read16(c);
}

bool ex_dns_read_header(struct ex_dns_cursor *c, struct ex_dns_header *ret)
{
	ret->id = ex_dns_read16(c);
	ret->flags = ex_dns_read16(c);
	ret->qd = ex_dns_read16(c);
	ret->an = ex_dns_read16(c);
	ret->ns = ex_dns_read16(c);
	ret->ar = ex_dns_read16(c);
	return c->ok;
}

/* What a host name is made of; everything else makes a name odd. */
static const bool host_char[256] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,
	['-'] = true,         ['_'] = true,
};

/* Appends one label of n bytes at p. out is large enough: the caller bounds the wire length. */
static bool append_label(const uint8_t *p, size_t n, char *out, size_t *out_len)
{
	size_t at = *out_len;

	if (at > 0)
		out[at++] = '.';
	for (size_t i = 0; i < n; i++) {
		if (!host_char[p[i]])
			return false;
		out[at++] = (char)p[i];
	}
	*out_len = at;
	return true;
}

bool ex_dns_read_name(struct ex_dns_cursor *c, bool compression, bool *odd,
		      char ret[static EX_DNS_NAME_MAX + 1])
{
	char text[EX_DNS_WIRE_NAME_MAX + 1] EX_UNSET;
	size_t pos = c->at, limit = pos, end = 0, wire = 1, out = 0;
	bool clean = true;

	for (;;) {
		uint8_t b;

		if (!c->ok || pos >= c->len)
			goto bad;
		b = c->msg[pos];
		if (b == 0)
			break;
		if (b > EX_DNS_LABEL_MAX) {
			size_t target;

			if (!compression || b < 0xc0 || c->len - pos < 2)
				goto bad;
			target = (size_t)(b & 0x3f) << 8 | c->msg[pos + 1];
			if (end == 0)
				end = pos + 2;
			/* strictly backwards each time: at most len steps, no loop */
			if (target < EX_DNS_HEADER || target >= limit)
				goto bad;
			limit = pos = target;
			continue;
		}
		wire += b + 1u;
		if (c->len - pos < b + 1u || wire > EX_DNS_WIRE_NAME_MAX)
			goto bad;
		clean = clean && append_label(c->msg + pos + 1, b, text, &out);
		pos += b + 1u;
	}
	if (!clean && !odd)
		goto bad;
	if (odd)
		*odd = !clean;
	c->at = end ? end : pos + 1;
	out = clean ? out : 0;
	memcpy(ret, text, out);
	ret[out] = '\0';
	return true;
bad:
	c->ok = false;
	return false;
}

bool ex_dns_read_rr(struct ex_dns_cursor *c, struct ex_dns_rr *ret)
{
	if (!ex_dns_read_name(c, true, &ret->odd, ret->name))
		return false;
	ret->type = ex_dns_read16(c);
	ret->klass = ex_dns_read16(c);
	ret->ttl = ex_dns_read32(c);
	ret->rdlen = ex_dns_read16(c);
	if (!c->ok || c->len - c->at < ret->rdlen) {
		c->ok = false;
		return false;
	}
	ret->rdata = c->at;
	c->at += ret->rdlen;
	return true;
}

void ex_dns_fold(char *ret, const char *name)
{
	for (; *name; name++)
		*ret++ = (char)(*name >= 'A' && *name <= 'Z' ? *name + ('a' - 'A') : *name);
	*ret = '\0';
}
