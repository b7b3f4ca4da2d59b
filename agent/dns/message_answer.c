/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers from the resolver. Their content is chosen by whoever serves the zone, so they are as
 * hostile as questions. The whole message has to be sound, but only three things are taken from it:
 * the RCODE, the CNAME chain from the name asked, and the addresses at the end of that chain.
 */
#include <errno.h>

#include "agent/dns/wire.h"

enum { RECORDS_MAX = 512 }; /* of all sections; an honest answer has a few dozen */

struct link { /* a CNAME record: owner -> target */
	uint32_t ttl;
	bool used;
	char owner[EX_DNS_NAME_MAX + 1];
	char target[EX_DNS_NAME_MAX + 1];
};

struct scan {
	struct ex_dns_cursor c;
	uint16_t type;
	size_t n_links;
	struct link links[EX_DNS_CHAIN_MAX];
	bool has_addrs;
	char owner[EX_DNS_NAME_MAX + 1]; /* of all addresses: an answer has one owner */
	uint32_t ttl;                    /* the lowest */
	struct ex_dns_answer *ret;
};

/* RFC 2181, 8: a TTL with the top bit set is zero. */
static uint32_t sane_ttl(uint32_t ttl)
{
	return ttl & 0x80000000u ? 0 : ttl;
}

static bool scan_cname(struct scan *s, const struct ex_dns_rr *rr)
{
	struct ex_dns_cursor in = { s->c.msg, rr->rdata + rr->rdlen, rr->rdata, true };
	struct link *l;

	if (rr->odd || s->n_links == EX_DNS_CHAIN_MAX)
		return false;
	l = &s->links[s->n_links++];
	if (!ex_dns_read_name(&in, true, NULL, l->target) || in.at != in.len ||
	    l->target[0] == '\0')
		return false;
	l->used = false;
	l->ttl = sane_ttl(rr->ttl);
	memcpy(l->owner, rr->name, sizeof(l->owner));
	return true;
}

static bool note_owner(struct scan *s, const struct ex_dns_rr *rr)
{
	if (rr->odd || (s->has_addrs && strcmp(rr->name, s->owner) != 0))
		return false;
	if (!s->has_addrs || sane_ttl(rr->ttl) < s->ttl)
		s->ttl = sane_ttl(rr->ttl);
	if (!s->has_addrs)
		memcpy(s->owner, rr->name, sizeof(s->owner));
	s->has_addrs = true;
	return true;
}

static bool scan_address(struct scan *s, const struct ex_dns_rr *rr)
{
	struct ex_dns_answer *a = s->ret;
	const uint8_t *data = s->c.msg + rr->rdata;
	struct ex_ip ip;

	if (rr->rdlen != (s->type == EX_DNS_A ? 4 : 16) || !note_owner(s, rr))
		return false;
	if (s->type == EX_DNS_A)
		ip = ex_ip_from4(data);
	else
		memcpy(ip.b, data, sizeof(ip.b));
	for (size_t i = 0; i < a->n_addrs; i++)
		if (ex_ip_eq(&a->addrs[i], &ip))
			return true;
	if (a->n_addrs < EX_DNS_ADDRS_MAX) /* the surplus is not given to anybody */
		a->addrs[a->n_addrs++] = ip;
	return true;
}

/* Strings of up to 255 bytes, to the end. */
static bool is_text(const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len)
		at += 1 + (size_t)data[at];
	return len > 0 && at == len;
}

/* Bytes in front of the name; TXT has none. */
static size_t fixed_len(uint16_t type)
{
	return type == EX_DNS_SRV ? 6 : type == EX_DNS_MX ? 2 : 0;
}

/*
 * The data anew; 0 when it is not what its type says. The name is written without compression, so
 * that it does not depend on what is around it, and canonical: it may repeat the question, whose
 * letters were given a case by chance.
 */
static size_t record_rewrite(const struct scan *s, const struct ex_dns_rr *rr,
			     uint8_t out[static 6 + EX_DNS_WIRE_NAME_MAX])
{
	size_t fixed = fixed_len(s->type);
	struct ex_dns_cursor in = { s->c.msg, rr->rdata + rr->rdlen, rr->rdata + fixed, true };
	char name[EX_DNS_NAME_MAX + 1];
	size_t len;

	if (rr->rdlen <= fixed || !ex_dns_read_name(&in, true, NULL, name) || in.at != in.len)
		return 0;
	if (fixed)
		memcpy(out, s->c.msg + rr->rdata, fixed);
	len = ex_dns_write_name(name, out + fixed);
	return len ? fixed + len : 0;
}

static bool scan_record(struct scan *s, const struct ex_dns_rr *rr)
{
	uint8_t rewritten[6 + EX_DNS_WIRE_NAME_MAX];
	struct ex_dns_answer *a = s->ret;
	const uint8_t *data = rewritten;
	size_t len, used = 0;

	if (s->type == EX_DNS_TXT) {
		data = s->c.msg + rr->rdata;
		len = is_text(data, rr->rdlen) ? rr->rdlen : 0;
	} else {
		len = record_rewrite(s, rr, rewritten);
	}
	if (len == 0 || !note_owner(s, rr))
		return false;
	for (size_t i = 0; i < a->n_records; i++)
		used += a->record_len[i];
	/* the surplus is not given to anybody */
	if (a->n_records == EX_DNS_RECORDS_MAX || used + len > sizeof(a->records))
		return true;
	memcpy(a->records + used, data, len);
	a->record_len[a->n_records++] = (uint16_t)len;
	return true;
}

static bool is_address_type(uint16_t type)
{
	return type == EX_DNS_A || type == EX_DNS_AAAA;
}

static bool is_read(uint16_t type)
{
	return is_address_type(type) || type == EX_DNS_PTR || type == EX_DNS_MX ||
	       type == EX_DNS_TXT || type == EX_DNS_SRV;
}

/* Records of other types and classes say nothing about (name, type): DNAME, RRSIG, ... */
static bool scan_answers(struct scan *s, size_t n)
{
	while (n-- > 0) {
		struct ex_dns_rr rr;

		if (!ex_dns_read_rr(&s->c, &rr))
			return false;
		if (rr.type == EX_DNS_OPT)
			return false;
		if (rr.klass != EX_DNS_CLASS_IN)
			continue;
		if (rr.type == EX_DNS_CNAME && !scan_cname(s, &rr))
			return false;
		if (rr.type == s->type &&
		    !(is_address_type(rr.type) ? scan_address(s, &rr) : scan_record(s, &rr)))
			return false;
	}
	return true;
}

/* Authority and additional: only their form counts, and an extended RCODE is an error. */
static bool scan_rest(struct scan *s, size_t n)
{
	while (n-- > 0) {
		struct ex_dns_rr rr;

		if (!ex_dns_read_rr(&s->c, &rr))
			return false;
		if (rr.type == EX_DNS_OPT && rr.ttl >> 24 != 0)
			return false;
	}
	return s->c.at == s->c.len;
}

static struct link *find_link(struct scan *s, const char *owner)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (!s->links[i].used && strcmp(s->links[i].owner, owner) == 0)
			return &s->links[i];
	return NULL;
}

/*
 * Walks from name. Every CNAME must be used exactly once: a second target for one owner, a record
 * beside the chain and a loop all leave one over or come back to a name whose link is used.
 */
static bool follow_chain(struct scan *s, const char *name)
{
	struct ex_dns_answer *a = s->ret;
	struct link *l;

	if (!s->has_addrs)
		s->ttl = UINT32_MAX;
	while ((l = find_link(s, name)) != NULL) {
		l->used = true;
		if (l->ttl < s->ttl)
			s->ttl = l->ttl;
		memcpy(a->chain[a->n_chain++], l->target, sizeof(l->target));
		name = l->target;
	}
	if (a->n_chain != s->n_links)
		return false;
	for (size_t i = 0; i < s->n_links; i++)
		if (strcmp(s->links[i].owner, name) == 0)
			return false; /* the end is an alias itself */
	a->ttl = s->ttl == UINT32_MAX ? 0 : s->ttl;
	return !s->has_addrs || strcmp(s->owner, name) == 0;
}

static bool parse_question(struct ex_dns_cursor *c, const char *name, uint16_t type)
{
	char asked[EX_DNS_NAME_MAX + 1];

	if (!ex_dns_read_name(c, false, NULL, asked))
		return false;
	return ex_dns_read16(c) == type && ex_dns_read16(c) == EX_DNS_CLASS_IN && c->ok &&
	       strcmp(asked, name) == 0;
}

static bool parse_answer(struct scan *s, const char *name)
{
	struct ex_dns_answer *a = s->ret;
	struct ex_dns_header h;

	if (!ex_dns_read_header(&s->c, &h) || !(h.flags & EX_DNS_QR) ||
	    h.flags & (EX_DNS_OPCODE | EX_DNS_TC) || h.qd != 1 ||
	    (size_t)h.an + h.ns + h.ar > RECORDS_MAX)
		return false;
	a->rcode = h.flags & EX_DNS_RCODE;
	if (!parse_question(&s->c, name, s->type))
		return false;
	if (!scan_answers(s, h.an) || !scan_rest(s, (size_t)h.ns + h.ar))
		return false;
	if (a->rcode != EX_DNS_NOERROR && s->has_addrs)
		return false;
	return follow_chain(s, name);
}

void ex_dns_answer_init(struct ex_dns_answer *a, uint8_t rcode)
{
	a->rcode = rcode;
	a->ttl = 0;
	a->n_chain = a->n_addrs = a->n_records = 0;
}

int ex_dns_parse_answer(const void *msg, size_t len, struct ex_span name, uint16_t type,
			struct ex_dns_answer *ret)
{
	char text[EX_DNS_NAME_MAX + 1];
	struct scan s EX_UNSET; /* most of it is room that nobody needs */

	s.c = (struct ex_dns_cursor){ .msg = msg, .len = len, .ok = true };
	s.type = type;
	s.n_links = 0;
	s.has_addrs = false;
	s.ttl = 0;
	s.ret = ret;
	ex_dns_answer_init(ret, EX_DNS_NOERROR);
	if (is_read(type) && name.len <= EX_DNS_NAME_MAX && !memchr(name.ptr, 0, name.len)) {
		memcpy(text, name.ptr, name.len);
		text[name.len] = '\0';
		if (parse_answer(&s, text))
			return 0;
	}
	/* whoever ignores the error answers with an error */
	ex_dns_answer_init(ret, EX_DNS_SERVFAIL);
	return -EBADMSG;
}
