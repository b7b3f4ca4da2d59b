/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dns/wire.h"

#include "exeat/text.h"

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

static uint32_t read32(struct ex_dns_cursor *c)
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

/* In lower case. */
static bool read_label(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!host_char[p[i]])
			return false;
		out[i] = ex_lower((char)p[i]);
	}
	return true;
}

enum { POINTERS_MAX = 127 }; /* as many as labels: no more are of any use */

bool ex_dns_read_name(struct ex_dns_cursor *c, bool compression, bool *odd,
		      char ret[static EX_DNS_NAME_MAX + 1])
{
	size_t pos = c->at, limit = pos, end = 0, wire = 1, out = 0, pointers = 0;
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
			/* strictly backwards each time: no loop */
			if (target < EX_DNS_HEADER || target >= limit || ++pointers > POINTERS_MAX)
				goto bad;
			limit = pos = target;
			continue;
		}
		wire += b + 1u;
		/* so that the text, two bytes shorter, has room in any case */
		if (c->len - pos < b + 1u || wire > EX_DNS_WIRE_NAME_MAX)
			goto bad;
		if (out > 0)
			ret[out++] = '.';
		clean = clean && read_label(c->msg + pos + 1, b, ret + out);
		out += b;
		pos += b + 1u;
	}
	if (!clean && !odd)
		goto bad;
	if (odd)
		*odd = !clean;
	c->at = end ? end : pos + 1;
	ret[clean ? out : 0] = '\0';
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
	ret->ttl = read32(c);
	ret->rdlen = ex_dns_read16(c);
	if (!c->ok || c->len - c->at < ret->rdlen) {
		c->ok = false;
		return false;
	}
	ret->rdata = c->at;
	c->at += ret->rdlen;
	return true;
}

size_t ex_dns_write_name(const char *name, uint8_t ret[static EX_DNS_WIRE_NAME_MAX])
{
	size_t len = 1, label = 0; /* where the length of the current label goes */

	if (*name == '\0') {
		ret[0] = 0;
		return 1;
	}
	for (;; name++) {
		if (len == EX_DNS_WIRE_NAME_MAX)
			return 0;
		if (*name != '\0' && *name != '.') {
			ret[len++] = (uint8_t)*name;
			continue;
		}
		if (len - label == 1 || len - label - 1 > EX_DNS_LABEL_MAX)
			return 0;
		ret[label] = (uint8_t)(len - label - 1);
		label = len;
		ret[len++] = 0; /* the root, unless it is the length of another label */
		if (*name == '\0')
			return len;
	}
}
