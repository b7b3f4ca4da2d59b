/* SPDX-License-Identifier: Apache-2.0 */
/* Replies to the workload, built from nothing but the parsed question and the parsed answer. */
#include "agent/dns/wire.h"

enum {
	EDE_TEXT_MAX = 200,
	OPT_FIXED = 11,   /* an OPT record without options */
	OPTION_FIXED = 6, /* an EDE option without its text */
};

struct writer {
	uint8_t *buf;
	size_t len, cap;
	bool full; /* something did not fit; nothing after it is written */
};

/* Where the next n bytes go; NULL when they do not fit. */
static uint8_t *take_room(struct writer *w, size_t n)
{
	uint8_t *p = w->buf + w->len;

	if (w->full || w->cap - w->len < n) {
		w->full = true;
		return NULL;
	}
	w->len += n;
	return p;
}

static void put_bytes(struct writer *w, const void *from, size_t n)
{
	uint8_t *p = take_room(w, n);

	if (p)
		memcpy(p, from, n);
}

static uint8_t *write16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *write32(uint8_t *p, uint32_t v)
{
	return write16(write16(p, v >> 16), v & 0xffff);
}

static void put_name(struct writer *w, const char *name)
{
	uint8_t wire[EX_DNS_WIRE_NAME_MAX] EX_UNSET;
	size_t len = ex_dns_write_name(name, wire);

	if (len)
		put_bytes(w, wire, len);
	else
		w->full = true; /* not a name the parsers hand out */
}

/* What comes before the data of a record; the owner is a pointer to a name written before. */
static void put_rr(struct writer *w, size_t owner, uint16_t type, uint32_t ttl, size_t data_len)
{
	uint8_t *p = owner > 0x3fff ? NULL : take_room(w, 12);

	if (!p) {
		w->full = true;
		return;
	}
	p = write16(p, 0xc000 | (unsigned)owner);
	p = write16(p, type);
	p = write16(p, EX_DNS_CLASS_IN);
	p = write32(p, ttl);
	write16(p, (unsigned)data_len);
}

/* Records of the other types, as many as fit. */
static unsigned put_other(struct writer *w, size_t owner, const struct ex_dns_question *q,
			  const struct ex_dns_answer *a)
{
	size_t at = 0;

	for (size_t i = 0; i < a->n_records; i++) {
		size_t start = w->len;

		put_rr(w, owner, q->type, a->ttl, a->record_len[i]);
		put_bytes(w, a->records + at, a->record_len[i]);
		if (w->full) {
			w->len = start;
			return (unsigned)i;
		}
		at += a->record_len[i];
	}
	return (unsigned)a->n_records;
}

/* Writes the chain and as many addresses or records as fit; returns how many. */
static unsigned put_records(struct writer *w, const struct ex_dns_question *q,
			    const struct ex_dns_answer *a)
{
	size_t owner = EX_DNS_HEADER;
	unsigned n = 0;

	for (size_t i = 0; i < a->n_chain; i++) {
		size_t start = w->len, data;

		put_rr(w, owner, EX_DNS_CNAME, a->ttl, 0);
		data = w->len;
		put_name(w, a->chain[i]);
		if (w->full) {
			w->len = start;
			return n;
		}
		write16(w->buf + data - 2, (unsigned)(w->len - data));
		owner = data;
		n++;
	}
	for (size_t i = 0; i < a->n_addrs; i++) {
		size_t start = w->len, size = q->type == EX_DNS_A ? 4 : 16;

		put_rr(w, owner, q->type, a->ttl, size);
		put_bytes(w, a->addrs[i].b + 16 - size, size);
		if (w->full) {
			w->len = start;
			return n;
		}
		n++;
	}
	return n + put_other(w, owner, q, a);
}

static void put_opt(struct writer *w, uint8_t rcode, uint16_t ede_code, const char *text, size_t n)
{
	uint8_t *p = take_room(w, OPT_FIXED + (text ? OPTION_FIXED + n : 0));

	if (!p)
		return;
	*p++ = 0; /* the root owns it */
	p = write16(p, EX_DNS_OPT);
	p = write16(p, EX_DNS_UDP_MAX);
	p = write32(p, (uint32_t)(rcode >> 4) << 24);
	p = write16(p, text ? (unsigned)(OPTION_FIXED + n) : 0);
	if (!text)
		return;
	p = write16(p, EX_DNS_OPTION_EDE);
	p = write16(p, (unsigned)(2 + n));
	p = write16(p, ede_code);
	memcpy(p, text, n);
}

static void put_question(struct writer *w, const struct ex_dns_question *q)
{
	uint8_t *p;

	put_name(w, q->name_sent);
	p = take_room(w, 4);
	if (p)
		write16(write16(p, q->type), EX_DNS_CLASS_IN);
}

/*
 * The OPT record comes last, but its room is kept from the start: a client that sent EDNS has to
 * see it even when the answer is cut short. The text is the first thing to go.
 */
size_t ex_dns_build_reply(const struct ex_dns_question *q, const struct ex_dns_answer *a,
			  uint16_t ede_code, const char *ede_text, void *buf, size_t cap)
{
	struct writer w = { .buf = buf, .cap = cap };
	size_t text_len = ede_text ? strnlen(ede_text, EDE_TEXT_MAX) : 0, opt = 0;
	unsigned flags = EX_DNS_QR | (unsigned)q->opcode << EX_DNS_OPCODE_SHIFT |
			 (q->rd ? EX_DNS_RD : 0) | EX_DNS_RA | (a->rcode & EX_DNS_RCODE);
	unsigned n = 0;
	uint8_t *p;

	p = take_room(&w, EX_DNS_HEADER);
	if (!p)
		return 0;
	p = write16(p, q->id);
	p = write16(p, flags);
	p = write16(p, q->type ? 1 : 0);
	p = write32(p, 0); /* counted below */
	write16(p, q->edns ? 1 : 0);
	if (q->type) /* 0: the question could not be read, so there is none to echo */
		put_question(&w, q);
	if (w.full)
		return 0;
	if (q->edns) {
		if (ede_text && w.cap - w.len < OPT_FIXED + OPTION_FIXED + text_len)
			ede_text = NULL;
		opt = OPT_FIXED + (ede_text ? OPTION_FIXED + text_len : 0);
		if (w.cap - w.len < opt)
			return 0;
	}
	w.cap -= opt;
	if (q->type)
		n = put_records(&w, q, a);
	if (w.full)
		w.buf[2] |= EX_DNS_TC >> 8;
	write16(w.buf + 6, n);
	w.full = false;
	w.cap += opt;
	if (q->edns)
		put_opt(&w, a->rcode, ede_code, ede_text, text_len);
	return w.full ? 0 : w.len;
}
