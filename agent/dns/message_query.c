/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions from the workload. Only the forms that stub resolvers send are accepted; what is read
 * here (name, type, a few bits) is all that can ever reach the resolver.
 */
#include <errno.h>

#include "agent/dns/wire.h"

/* EDNS options are checked for form and forgotten: cookies and padding carry nothing onwards. */
static bool options_are_sound(const struct ex_dns_cursor *c, const struct ex_dns_rr *opt)
{
	struct ex_dns_cursor o = { c->msg, opt->rdata + opt->rdlen, opt->rdata, true };

	while (o.at < o.len) {
		size_t n;

		ex_dns_read16(&o);
		n = ex_dns_read16(&o);
		if (!o.ok || o.len - o.at < n)
			return false;
		o.at += n;
	}
	return true;
}

static int parse_opt(struct ex_dns_cursor *c, struct ex_dns_question *q)
{
	struct ex_dns_rr opt;

	if (!ex_dns_read_rr(c, &opt) || opt.odd || opt.name[0] != '\0' || opt.type != EX_DNS_OPT ||
	    !options_are_sound(c, &opt))
		return EX_DNS_FORMERR;
	q->edns = true;
	/* a size below 512 means 512 (RFC 6891, 6.2.3) */
	q->udp_size = opt.klass < EX_DNS_UDP_MIN ? EX_DNS_UDP_MIN : opt.klass;
	if ((opt.ttl >> 16 & 0xff) != 0)
		return EX_DNS_BADVERS;
	return opt.ttl >> 24 != 0 ? EX_DNS_FORMERR : 0;
}

/* The letters as they were sent. The text has its dots where the message has lengths of labels. */
static void note_sent(struct ex_dns_question *q, const uint8_t *labels)
{
	for (size_t i = 0; i < q->name_len; i++)
		q->name_sent[i] = q->name[i] == '.' ? '.' : (char)labels[i];
	q->name_sent[q->name_len] = '\0';
}

static int parse_sections(struct ex_dns_cursor *c, const struct ex_dns_header *h,
			  struct ex_dns_question *q)
{
	char name[EX_DNS_NAME_MAX + 1];
	size_t start = c->at;
	uint16_t type, klass;

	if (h->qd != 1 || h->an != 0 || h->ns != 0 || h->ar > 1)
		return EX_DNS_FORMERR;
	if (!ex_dns_read_name(c, false, NULL, name))
		return EX_DNS_FORMERR;
	type = ex_dns_read16(c);
	klass = ex_dns_read16(c);
	if (!c->ok || type == 0)
		return EX_DNS_FORMERR;
	if (klass == EX_DNS_CLASS_IN) { /* the reply can only echo a question of this class */
		q->type = type;
		q->name_len = strlen(name);
		memcpy(q->name, name, q->name_len);
		note_sent(q, c->msg + start + 1);
	}
	if (h->ar == 1) {
		int r = parse_opt(c, q);

		if (r != 0)
			return r;
	}
	if (c->at != c->len)
		return EX_DNS_FORMERR;
	return klass == EX_DNS_CLASS_IN ? 0 : EX_DNS_REFUSED;
}

int ex_dns_parse_query(const void *msg, size_t len, struct ex_dns_question *ret)
{
	struct ex_dns_cursor c = { .msg = msg, .len = len, .ok = true };
	struct ex_dns_header h;

	memset(ret, 0, sizeof(*ret));
	ret->udp_size = EX_DNS_UDP_MIN;
	if (!ex_dns_read_header(&c, &h) || h.flags & EX_DNS_QR)
		return -EBADMSG;
	ret->id = h.id;
	ret->rd = h.flags & EX_DNS_RD;
	ret->opcode = (h.flags & EX_DNS_OPCODE) >> EX_DNS_OPCODE_SHIFT;
	if (ret->opcode != 0)
		return EX_DNS_NOTIMP;
	/* bits that only a response has; AD and CD are a client's right and are not forwarded */
	if (h.flags & (EX_DNS_AA | EX_DNS_TC | EX_DNS_RA | EX_DNS_Z | EX_DNS_RCODE))
		return EX_DNS_FORMERR;
	return parse_sections(&c, &h, ret);
}
