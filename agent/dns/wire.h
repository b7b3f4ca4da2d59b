/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a DNS message: a bounds-checked cursor and names. Private to agent/dns. Every reader
 * returns false and leaves the cursor unusable (ok == false) on the first byte that is not there,
 * so that a caller may read a whole structure and check once.
 */
#ifndef EXEAT_AGENT_DNS_WIRE_H
#define EXEAT_AGENT_DNS_WIRE_H

#include "agent/dns/message.h"

enum {
	EX_DNS_OPT = 41,
	EX_DNS_SVCB = 64,
};

enum {
	EX_DNS_HEADER = 12,
	EX_DNS_CLASS_IN = 1,
	EX_DNS_LABEL_MAX = 63,
	EX_DNS_WIRE_NAME_MAX = 255,
	EX_DNS_UDP_MIN = 512,
	EX_DNS_BADVERS = 16,
	EX_DNS_OPTION_EDE = 15,
};

enum { /* header flag bits */
       EX_DNS_QR = 0x8000,
       EX_DNS_OPCODE = 0x7800,
       EX_DNS_OPCODE_SHIFT = 11,
       EX_DNS_AA = 0x0400,
       EX_DNS_TC = 0x0200,
       EX_DNS_RD = 0x0100,
       EX_DNS_RA = 0x0080,
       EX_DNS_Z = 0x0040,
       EX_DNS_RCODE = 0x000f,
};

struct ex_dns_cursor {
	const uint8_t *msg;
	size_t len, at;
	bool ok;
};

struct ex_dns_header {
	uint16_t id, flags, qd, an, ns, ar;
};

struct ex_dns_rr {
	bool odd; /* the owner is not a host name: nothing can refer to it, name is "" */
	char name[EX_DNS_NAME_MAX + 1]; /* canonical */
	uint16_t type, klass;
	uint32_t ttl;
	size_t rdata; /* offset in the message; rdlen bytes are there */
	uint16_t rdlen;
};

uint16_t ex_dns_read16(struct ex_dns_cursor *c);
bool ex_dns_read_header(struct ex_dns_cursor *c, struct ex_dns_header *ret);

/*
 * Reads a name; the text is canonical. Compression is followed when allowed: only backwards, each
 * pointer before the one that led to it, so that it ends. *odd tells that a label holds something
 * else than letters, digits, '-' and '_'; the text is then empty (odd == NULL: such a name is an
 * error).
 */
bool ex_dns_read_name(struct ex_dns_cursor *c, bool compression, bool *odd,
		      char ret[static EX_DNS_NAME_MAX + 1]);

/* Reads a resource record; the cursor ends behind its data. */
bool ex_dns_read_rr(struct ex_dns_cursor *c, struct ex_dns_rr *ret);

/* The name as messages have it, without compression: its length, or 0 when it is none. */
size_t ex_dns_write_name(const char *name, uint8_t ret[static EX_DNS_WIRE_NAME_MAX]);

#endif
