/* SPDX-License-Identifier: Apache-2.0 */
/* Events as they lie in the ring: only what is used of each. */
#include "agent/audit/pack.h"
#include "agent/observe/observe_priv.h"

#define FIXED offsetof(struct ex_observed, rec) /* copied as it is */

#define TEXT(field)                                                                                \
	{                                                                                          \
		offsetof(struct ex_observed, field), sizeof(((struct ex_observed *)0)->field)      \
	}

static const struct {
	size_t at, size;
} texts[] = { TEXT(policy), TEXT(ns), TEXT(where), TEXT(file), TEXT(log) };

/* Cut as the field would be. */
static size_t put_text(uint8_t *out, struct ex_span text, size_t size)
{
	uint16_t len = (uint16_t)(text.len < size ? text.len : size - 1);

	memcpy(out, &len, sizeof(len));
	if (len)
		memcpy(out + sizeof(len), text.ptr, len);
	return sizeof(len) + len;
}

size_t ex_observed_pack(const struct ex_observed *e, const struct ex_audit_record *rec,
			const struct ex_rule_info *rule, uint8_t *out)
{
	const char *const of_rule[EX_ARRAY_SIZE(texts)] = {
		rule ? rule->policy : NULL, rule ? rule->ns : NULL,  rule ? rule->where : NULL,
		rule ? rule->file : NULL,   rule ? rule->log : NULL,
	};
	size_t n = FIXED;

	memcpy(out, e, FIXED);
	n += ex_audit_pack(rec, out + n);
	for (size_t i = 0; i < EX_ARRAY_SIZE(texts); i++)
		n += put_text(out + n, ex_span_str(of_rule[i]), texts[i].size);
	return n;
}

void ex_observed_unpack(const uint8_t *bytes, size_t len, struct ex_observed *ret)
{
	struct ex_span in = { (const char *)bytes + FIXED, len - FIXED };

	memset(ret, 0, sizeof(*ret));
	memcpy(ret, bytes, FIXED);
	if (!ex_audit_unpack(&in, &ret->rec))
		return; /* cannot be: it was packed here */
	for (size_t i = 0; i < EX_ARRAY_SIZE(texts); i++) {
		uint16_t text_len;

		memcpy(&text_len, in.ptr, sizeof(text_len));
		memcpy((char *)ret + texts[i].at, in.ptr + sizeof(text_len), text_len);
		in.ptr += sizeof(text_len) + text_len;
	}
}
