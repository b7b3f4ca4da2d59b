/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/pack.h"

/* The fields before the addresses are copied as they are: both sides are the same program. */
#define FIXED offsetof(struct ex_audit_record, ips)

struct text {
	size_t at, size;
};

#define TEXT(field)                                                                                \
	{                                                                                          \
		offsetof(struct ex_audit_record, field),                                           \
			sizeof(((struct ex_audit_record *)0)->field)                               \
	}

static const struct text texts[] = { TEXT(name),   TEXT(sni),  TEXT(host),
				     TEXT(method), TEXT(path), TEXT(detail) };

_Static_assert(FIXED + sizeof(((struct ex_audit_record *)0)->ips) + 254 * 3 + 24 + 1024 + 96 <=
		       sizeof(struct ex_audit_record),
	       "every text is in the list");

size_t ex_audit_pack(const struct ex_audit_record *rec, uint8_t *out)
{
	size_t n = FIXED, ips = rec->n_ips < EX_AUDIT_IPS_MAX ? rec->n_ips : EX_AUDIT_IPS_MAX;

	memcpy(out, rec, FIXED);
	out[offsetof(struct ex_audit_record, n_ips)] = (uint8_t)ips;
	memcpy(out + n, rec->ips, ips * sizeof(rec->ips[0]));
	n += ips * sizeof(rec->ips[0]);
	for (size_t i = 0; i < EX_ARRAY_SIZE(texts); i++) {
		const char *text = (const char *)rec + texts[i].at;
		uint16_t len = (uint16_t)strnlen(text, texts[i].size - 1);

		memcpy(out + n, &len, sizeof(len));
		memcpy(out + n + sizeof(len), text, len);
		n += sizeof(len) + len;
	}
	return n;
}

static bool take(struct ex_span *in, void *out, size_t n)
{
	if (in->len < n)
		return false;
	memcpy(out, in->ptr, n);
	in->ptr += n;
	in->len -= n;
	return true;
}

bool ex_audit_unpack(struct ex_span *in, struct ex_audit_record *ret)
{
	if (!take(in, ret, FIXED) || ret->n_ips > EX_AUDIT_IPS_MAX ||
	    !take(in, ret->ips, ret->n_ips * sizeof(ret->ips[0])))
		return false;
	memset(ret->ips + ret->n_ips, 0, (EX_AUDIT_IPS_MAX - ret->n_ips) * sizeof(ret->ips[0]));
	for (size_t i = 0; i < EX_ARRAY_SIZE(texts); i++) {
		char *text = (char *)ret + texts[i].at;
		uint16_t len;

		if (!take(in, &len, sizeof(len)) || len >= texts[i].size || !take(in, text, len))
			return false;
		text[len] = '\0';
	}
	return true;
}
