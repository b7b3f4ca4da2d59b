/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of one endpoint on their way to the log: no more than it can bear. The workload makes
 * both gates speak, and must neither fill the disk by it nor hide what it was allowed behind what
 * it was denied, or what it asked for behind packets. What is left out is counted, and told of in a
 * record.
 */
#ifndef EXEAT_AGENT_AUDIT_LIMIT_H
#define EXEAT_AGENT_AUDIT_LIMIT_H

#include "agent/audit/audit.h"
#include "agent/core/bucket.h"
#include "agent/core/loop.h"

enum ex_audit_kind {
	EX_AUDIT_KIND_PACKET, /* of the kernel gate */
	EX_AUDIT_KIND_DENY,
	EX_AUDIT_KIND_ALLOW,   /* of flows and names */
	EX_AUDIT_KIND_REQUEST, /* of requests, which cost the workload a server's answer each */
	EX_AUDIT_KIND_MAX,
};

struct ex_audit_limit {
	struct ex_loop *loop;
	void (*tell)(struct ex_audit_limit *l, const struct ex_audit_record *rec);
	struct ex_bucket buckets[EX_AUDIT_KIND_MAX];
	uint32_t left_out; /* and not told of yet */
	struct ex_timer timer;
};

/* tell gets the record of what was left out, within a second. */
void ex_audit_limit_init(struct ex_audit_limit *l, struct ex_loop *loop,
			 void (*tell)(struct ex_audit_limit *l, const struct ex_audit_record *rec));

/* False: it is to be left out, and is counted as such. */
EX_MUST_CHECK bool ex_audit_limit_pass(struct ex_audit_limit *l, const struct ex_audit_record *rec);

/* So many were left out by somebody else before. */
void ex_audit_limit_missed(struct ex_audit_limit *l, uint32_t n);

/* Now, and not in a second. */
void ex_audit_limit_flush(struct ex_audit_limit *l);
void ex_audit_limit_stop(struct ex_audit_limit *l);

#endif
