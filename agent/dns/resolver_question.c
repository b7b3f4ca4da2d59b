/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/random.h>

#include "agent/dns/resolver_question.h"

static int take(struct ex_chance *chance, uint8_t *ret, size_t len)
{
	if (chance->left < len) {
		if (getrandom(chance->bytes, sizeof(chance->bytes), 0) != sizeof(chance->bytes))
			return -EIO;
		chance->left = sizeof(chance->bytes);
	}
	chance->left -= len;
	memcpy(ret, chance->bytes + chance->left, len);
	return 0;
}

bool ex_question_write(struct ex_question *q, const char *name, uint16_t type)
{
	static const uint8_t head[EX_DNS_HEADER] = { [2] = EX_DNS_RD >> 8, [5] = 1 };
	uint8_t *p;

	q->name_len = ex_dns_write_name(name, q->msg + EX_DNS_HEADER);
	if (q->name_len <= 1)
		return false;
	memcpy(q->msg, head, sizeof(head));
	p = q->msg + EX_DNS_HEADER + q->name_len;
	memcpy(p, (uint8_t[4]){ (uint8_t)(type >> 8), (uint8_t)type, 0, EX_DNS_CLASS_IN }, 4);
	q->len = (size_t)(p - q->msg) + 4;
	return true;
}

/* Lengths of labels are below any letter. */
int ex_question_draw(struct ex_question *q, struct ex_chance *chance, bool plain)
{
	uint8_t bits[2 + EX_DNS_WIRE_NAME_MAX / 8 + 1] EX_UNSET, *name = q->msg + EX_DNS_HEADER;
	int r = take(chance, bits, 2 + q->name_len / 8 + 1);

	if (r < 0)
		return r;
	memcpy(q->msg, bits, 2);
	for (size_t i = 0; i < q->name_len; i++) {
		uint8_t lower = name[i] | 0x20, up = bits[2 + i / 8] >> (i % 8) & !plain;

		if (lower >= 'a' && lower <= 'z')
			name[i] = lower ^ (uint8_t)(up << 5);
	}
	return 0;
}

size_t ex_question_finish(struct ex_question *q, bool edns)
{
	static const uint8_t opt[EX_QUESTION_OPT] = {
		[2] = EX_DNS_OPT, [3] = EX_DNS_UDP_MAX >> 8, [4] = EX_DNS_UDP_MAX & 0xff
	};

	q->msg[EX_DNS_HEADER - 1] = edns; /* one additional record */
	if (!edns)
		return q->len;
	memcpy(q->msg + q->len, opt, sizeof(opt));
	return q->len + sizeof(opt);
}

bool ex_question_is_repeated(const struct ex_question *q, const uint8_t *reply, size_t len)
{
	return len >= EX_DNS_HEADER + q->name_len &&
	       memcmp(reply + EX_DNS_HEADER, q->msg + EX_DNS_HEADER, q->name_len) == 0;
}

bool ex_reply_refuses_edns(const uint8_t *reply, size_t len)
{
	return len >= EX_DNS_HEADER && (reply[3] & EX_DNS_RCODE) == EX_DNS_FORMERR &&
	       reply[10] == 0 && reply[11] == 0;
}

bool ex_reply_is_cut(const uint8_t *reply, size_t len)
{
	return len >= EX_DNS_UDP_MAX || len == EX_DNS_UDP_MIN ||
	       (len >= EX_DNS_HEADER && reply[2] & EX_DNS_TC >> 8);
}
