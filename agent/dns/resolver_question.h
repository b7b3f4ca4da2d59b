/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question to a resolver as it is sent, and what a reply says of it. Private to the resolver.
 *
 * Ids come from getrandom(), not from c-ares' generator, and so does the case of the name's letters
 * (draft-vixie-dnsext-dns0x20): a reply that does not repeat it may be forged.
 */
#ifndef EXEAT_AGENT_DNS_RESOLVER_QUESTION_H
#define EXEAT_AGENT_DNS_RESOLVER_QUESTION_H

#include "agent/dns/wire.h"

enum {
	EX_QUESTION_OPT = 11, /* bytes of an OPT record without options */
	EX_QUESTION_MAX = EX_DNS_HEADER + EX_DNS_WIRE_NAME_MAX + 4 + EX_QUESTION_OPT,
};

struct ex_question {
	size_t name_len, len;         /* of the name, and of all but the OPT record */
	uint8_t msg[EX_QUESTION_MAX]; /* as sent, with room for one */
};

struct ex_chance { /* random bytes, had many at once; starts as zeroes */
	size_t left;
	uint8_t bytes[512];
};

/* All but id, case and OPT record. False: name is none, or that of the root. */
EX_MUST_CHECK bool ex_question_write(struct ex_question *q, const char *name, uint16_t type);

/* Another id, and another case of the letters; plain: all lower. 0 or negative errno. */
EX_MUST_CHECK int ex_question_draw(struct ex_question *q, struct ex_chance *chance, bool plain);

/* With EDNS, which says nothing but a size (RFC 6891), or without: how many bytes to send. */
size_t ex_question_finish(struct ex_question *q, bool edns);

/* Does a reply have the name, letter by letter? */
bool ex_question_is_repeated(const struct ex_question *q, const uint8_t *reply, size_t len);

/*
 * A server that does not know EDNS says FORMERR, without an OPT record. c-ares repeats the query by
 * itself the first time on a channel and then leaves it to us.
 */
bool ex_reply_refuses_edns(const uint8_t *reply, size_t len);

/*
 * c-ares cuts what is longer than we said we take; once a server has refused EDNS on a channel, to
 * 512 bytes there, whatever later queries say.
 */
bool ex_reply_is_cut(const uint8_t *reply, size_t len);

#endif
