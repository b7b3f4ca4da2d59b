/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits on what one workload can say through its questions (attacks: DNS tunnelling under a name
 * pattern). Only letters that the policy leaves free carry a message: in a name that a rule spells
 * out there are none, so such names are never limited. Private to agent/dns.
 */
#ifndef EXEAT_AGENT_DNS_BUDGET_H
#define EXEAT_AGENT_DNS_BUDGET_H

#include "agent/core/bucket.h"
#include "agent/dns/hash.h"
#include "agent/dns/message.h"
#include "policy/ruleset.h"

enum { EX_DNS_SEEN_SETS = 128, EX_DNS_SEEN_WAYS = 16 };

struct ex_dns_budget {
	struct ex_bucket questions;  /* of any kind */
	struct ex_bucket forwards;   /* that go to the resolver */
	struct ex_bucket letters;    /* free letters that are forwarded */
	struct ex_bucket judgements; /* of names beside the one that was asked */
	struct ex_dns_key key;
	/* keyed hashes of names already paid for, the last one first; two bits of each are ours */
	uint64_t seen[EX_DNS_SEEN_SETS][EX_DNS_SEEN_WAYS];
};

EX_MUST_CHECK int ex_dns_budget_init(struct ex_dns_budget *b);

/* Takes one question. False: too many in too short a time. */
bool ex_dns_budget_question(struct ex_dns_budget *b, uint64_t now_ms);

/* Takes one question to the resolver. */
bool ex_dns_budget_forward(struct ex_dns_budget *b, uint64_t now_ms);

/* Takes one more question to the policy. A small question must not cause a lot of work. */
bool ex_dns_budget_judge(struct ex_dns_budget *b, uint64_t now_ms);

/* After a change of policy other names may have free letters. What was paid for stays so. */
void ex_dns_budget_recount(struct ex_dns_budget *b);

/*
 * Takes what an allowed name (canonical) can carry. When it may not be forwarded: -EBUSY, not now;
 * -E2BIG, never.
 */
EX_MUST_CHECK int ex_dns_budget_name(struct ex_dns_budget *b, const struct ex_ruleset *rs,
				     struct ex_span name, uint64_t now_ms);

#endif
