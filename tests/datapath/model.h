/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The naive model: a policy as a list of rules, judged by reading each rule against each packet, as
 * CiliumNetworkPolicy is documented and as slowly as it takes. No class, no trie, no merged range.
 */
#ifndef EXEAT_TESTS_MODEL_H
#define EXEAT_TESTS_MODEL_H

#include "exeat/util.h"

#define MODEL_RULES 12

enum model_peer { MODEL_ANY = 0, MODEL_CIDR, MODEL_WORLD, MODEL_ALL };

struct model_prefix {
	struct ex_ip ip;
	uint8_t len; /* over the mapped form */
};

struct model_rule {
	bool deny;
	enum model_peer peer;
	struct model_prefix cidr, except;
	bool has_except;
	bool has_ports;
	uint8_t proto; /* 0 = ANY */
	uint16_t lo, hi;
	bool http; /* an L7 list: the proxy decides */
	bool icmp; /* by type; then proto says the family, lo the type */
};

struct model_policy {
	struct model_rule rules[MODEL_RULES];
	int n;
};

struct model_packet {
	struct ex_ip dst;
	uint8_t proto;
	uint16_t port; /* ICMP: type << 8 | code */
};

struct model_verdict {
	enum ex_verdict verdict;
	enum ex_reason reason;
};

struct model_verdict model_judge(const struct model_policy *p, const struct model_packet *pkt);

/* The policy as a CiliumNetworkPolicy document. */
void model_write(const struct model_policy *p, char *text, size_t cap);

void model_random_policy(struct model_policy *p, uint64_t *seed);
void model_random_packet(const struct model_policy *p, struct model_packet *pkt, uint64_t *seed);

uint32_t model_random(uint64_t *seed, uint32_t n); /* 0 .. n-1 */

#endif
