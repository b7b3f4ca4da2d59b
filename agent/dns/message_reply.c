// SPDX-License-Identifier: Apache-2.0
/* Replies to the workload, built from nothing but the parsed question and the parsed answer. */
#include "agent/dns/wire.h"

enum { EDE_TEXT_MAX = 200, OPT_FIXED = 11 };

struct writer {
	uint8_t *buf;
	size_t len, cap;
	bool full; /* something did not fit; nothing after it is written */
};

static void put_bytes(struct writer *w, const void *p, size_t n)
{
	if (w->full || w->cap - w->len < n) {
		w->full = true;
		return;
	}
	memcpy(w->buf + w->len, p, n);
	w->len += n;
}

static void put16(struct writer *w, unsigned v)
{
	put_bytes(w, (uint8_t[2]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void put32(struct writer *w, uint32_t v)
{
	put16(w, v >> 16);
	put16(w, v & 0xffff);
}

static void put_name(struct writer *w, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		if (n == 0 || n > EX_DNS_LABEL_MAX) {
			w->full = true; /* not a name the parsers hand out */
			return;
		}
		put_bytes(w, &(uint8_t){ (uint8_t)n }, 1);
		put_bytes(w, name, n);
		name += n + (name[n] == '.');
	}
	put_bytes(w, "", 1);
}

/* The fixed part of a record; the owner is a pointer to a name written before. */
static void put_rr(struct writer *w, size_t owner, uint16_t type, uint32_t ttl)
{
	if (owner > 0x3fff) {
		w->full = true;
		return;
	}
	put16(w, 0xc000 | (unsigned)owner);
	put16(w, type);
	put16(w, EX_DNS_CLASS_IN);
	put32(w, ttl);
}

/* Records of the other types, as many as fit. */
static unsigned put_other(struct writer *w, size_t owner, const struct ex_dns_question *q,
			  const struct ex_dns_answer *a)
{
	size_t at = 0;

	for (size_t i = 0; i < a->n_records; i++) {
		size_t start = w->len;

		put_rr(w, owner, q->type, a->ttl);
		put16(w, a->record_len[i]);
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

		put_rr(w, owner, EX_DNS_CNAME, a->ttl);
		put16(w, 0);
		data = w->len;
		put_name(w, a->chain[i]);
		if (w->full) {
			w->len = start;
			return n;
		}
		w->buf[data - 2] = (uint8_t)((w->len - data) >> 8);
		w->buf[data - 1] = (uint8_t)(w->len - data);
		owner = data;
		n++;
	}
	for (size_t i = 0; i < a->n_addrs; i++) {
		size_t start = w->len, size = q->type == EX_DNS_A ? 4 : 16;

		put_rr(w, owner, q->type, a->ttl);
		put16(w, (unsigned)size);
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
	put_bytes(w, "", 1);
	put16(w, EX_DNS_OPT);
	put16(w, EX_DNS_UDP_MAX);
	put32(w, (uint32_t)(rcode >> 4) << 24);
	put16(w, text ? (unsigned)(6 + n) : 0);
	if (!text)
		return;
	put16(w, EX_DNS_OPTION_EDE);
	put16(w, (unsigned)(2 + n));
	put16(w, ede_code);
	put_bytes(w, text, n);
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

	if (cap < EX_DNS_HEADER)
		return 0;
	put16(&w, q->id);
	put16(&w, flags);
	put16(&w, q->type ? 1 : 0);
	put16(&w, 0);
	put16(&w, 0);
	put16(&w, q->edns ? 1 : 0);
	if (q->type) { /* 0: the question could not be read, so there is none to echo */
		put_name(&w, q->name_sent);
		put16(&w, q->type);
		put16(&w, EX_DNS_CLASS_IN);
	}
	if (w.full)
		return 0;
	if (q->edns) {
		if (ede_text && w.cap - w.len < OPT_FIXED + 6 + text_len)
			ede_text = NULL;
		opt = OPT_FIXED + (ede_text ? 6 + text_len : 0);
		if (w.cap - w.len < opt)
			return 0;
	}
	w.cap -= opt;
	if (q->type)
		n = put_records(&w, q, a);
	if (w.full)
		w.buf[2] |= EX_DNS_TC >> 8;
	w.buf[6] = (uint8_t)(n >> 8);
	w.buf[7] = (uint8_t)n;
	w.full = false;
	w.cap += opt;
	if (q->edns)
		put_opt(&w, a->rcode, ede_code, ede_text, text_len);
	return w.full ? 0 : w.len;
}
