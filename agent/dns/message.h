/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS wire format (RFC 1035, 6891 EDNS, 8914 EDE). Strict: what is odd is refused. Questions come
 * from the workload, answers from the resolver; both are hostile input. Nothing is repaired and
 * nothing unparsed is ever forwarded: queries and replies are built anew from what was parsed.
 */
#ifndef EXEAT_AGENT_DNS_MESSAGE_H
#define EXEAT_AGENT_DNS_MESSAGE_H

#include "exeat/util.h"

#define EX_DNS_NAME_MAX  253 /* presentation form, no trailing dot */
#define EX_DNS_ADDRS_MAX 64  /* addresses kept of one answer */
#define EX_DNS_CHAIN_MAX 12  /* CNAMEs followed */
#define EX_DNS_UDP_MAX   1232

/* Records of other types kept of one answer, and bytes of their data. */
#define EX_DNS_RECORDS_MAX 32
#define EX_DNS_DATA_MAX    3584

enum {
	EX_DNS_A = 1,
	EX_DNS_CNAME = 5,
	EX_DNS_PTR = 12,
	EX_DNS_MX = 15,
	EX_DNS_TXT = 16,
	EX_DNS_AAAA = 28,
	EX_DNS_SRV = 33,
	EX_DNS_HTTPS = 65,
};

enum {
	EX_DNS_NOERROR = 0,
	EX_DNS_FORMERR = 1,
	EX_DNS_SERVFAIL = 2,
	EX_DNS_NXDOMAIN = 3,
	EX_DNS_NOTIMP = 4,
	EX_DNS_REFUSED = 5,
};

struct ex_dns_question {
	uint16_t id, type; /* type 0: could not be read, and has no name */
	uint8_t opcode;    /* 0 whenever the question was accepted; echoed in the reply */
	bool rd, edns;
	uint16_t udp_size; /* EDNS size, or 512 */
	size_t name_len;
	char name[EX_DNS_NAME_MAX + 1]; /* canonical: lower case, no trailing dot, LDH and '_' */
	char name_sent[EX_DNS_NAME_MAX + 1]; /* as sent (0x20 bits), echoed in the reply */
};

/*
 * 0, or the RCODE to answer with as a positive number (FORMERR, NOTIMP, ...), or -EBADMSG when the
 * packet must be dropped without an answer (a response, or too short for a header).
 */
int ex_dns_parse_query(const void *msg, size_t len, struct ex_dns_question *ret);

struct ex_dns_answer {
	uint8_t rcode;
	uint32_t ttl; /* minimum over the chain and the addresses, seconds */
	size_t n_chain;
	char chain[EX_DNS_CHAIN_MAX][EX_DNS_NAME_MAX + 1]; /* CNAME targets in order, canonical */
	size_t n_addrs;
	struct ex_ip addrs[EX_DNS_ADDRS_MAX];
	size_t n_records; /* of PTR, MX, TXT, SRV: their data, one behind the other, names in full
			   */
	uint16_t record_len[EX_DNS_RECORDS_MAX];
	uint8_t records[EX_DNS_DATA_MAX];
};

/* Nothing but the RCODE. Only what the counts tell of is set, here and by the parser. */
void ex_dns_answer_init(struct ex_dns_answer *a, uint8_t rcode);

/*
 * Reads the resolver's reply to (name, type), type A, AAAA, PTR, MX, TXT or SRV: the CNAME chain
 * must start at name and be consistent; addresses and records must belong to its end. Names in
 * records are names and nothing more: whoever wants their addresses asks for them. 0 or -EBADMSG.
 */
int ex_dns_parse_answer(const void *msg, size_t len, struct ex_span name, uint16_t type,
			struct ex_dns_answer *ret);

/*
 * Builds the reply to q into buf: question, chain, addresses; for a refusal ede_text (RFC 8914,
 * when the client sent EDNS; NULL = none). Truncates with TC=1 beyond cap. Returns the length.
 */
size_t ex_dns_build_reply(const struct ex_dns_question *q, const struct ex_dns_answer *a,
			  uint16_t ede_code, const char *ede_text, void *buf, size_t cap);

#endif
