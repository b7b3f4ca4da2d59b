/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of agent/observe/ share. Nobody else includes this. */
#ifndef EXEAT_AGENT_OBSERVE_OBSERVE_PRIV_H
#define EXEAT_AGENT_OBSERVE_OBSERVE_PRIV_H

#include "agent/core/json.h"
#include "agent/core/json_read.h"
#include "agent/observe/observe.h"

struct ex_observe_who {
	unsigned refs;
	char *name, *ns;
	char **labels; /* "key=value" */
	size_t n_labels;
	uint32_t id;
};

enum ex_observed_kind {
	EX_OBSERVED_VERDICT, /* a record: a verdict with all that is known about it */
	EX_OBSERVED_NEW,     /* the kernel gate let a flow begin */
	EX_OBSERVED_END,     /* ... and it ended */
};

struct ex_observed {
	uint64_t seq;  /* 1, 2, … */
	uint64_t time; /* CLOCK_REALTIME, ns */
	struct ex_observe_who *who;
	enum ex_observed_kind kind;
	bool steered; /* NEW, END: to the proxy */
	uint64_t packets, bytes;
	uint32_t suppressed;
	int line; /* of the rule */
	struct ex_audit_record rec;
	/* The rule; copied, because rulesets come and go. */
	char policy[254], ns[64], where[128], file[256], log[64];
};

/* ---- kept.c: of an event, what is before rec; of its record and its rule, what is used ---- */

#define EX_OBSERVED_PACKED_MAX (sizeof(struct ex_observed) + 64)

/* Bytes written to out, which has room for EX_OBSERVED_PACKED_MAX. rule: NULL = none. */
size_t ex_observed_pack(const struct ex_observed *e, const struct ex_audit_record *rec,
			const struct ex_rule_info *rule, uint8_t *out);

/* What ex_observed_pack() wrote. */
void ex_observed_unpack(const uint8_t *bytes, size_t len, struct ex_observed *ret);

/* ---- flow.c: the event as a JSON object, without a newline ---- */

void ex_observed_json(const struct ex_observed *e, const char *node, struct ex_json *j);

const char *ex_observed_verdict(const struct ex_observed *e);
const char *ex_observed_protocol(const struct ex_observed *e); /* "http", "dns", "tls", "tcp" … */

/* RFC 3339 with nanoseconds. */
#define EX_OBSERVED_TIME 31
void ex_observed_time(uint64_t ns, char out[static EX_OBSERVED_TIME]);

/* ---- filter.c ---- */

struct ex_observe_filter;

/* Reads the filters of a request. 0, -ENOMEM, or -EINVAL with the cause in err. */
EX_MUST_CHECK int ex_observe_filter_new(const struct ex_jv *request, struct ex_observe_filter **ret,
					char *err, size_t cap);
void ex_observe_filter_free(struct ex_observe_filter *f);
bool ex_observe_filter_matches(const struct ex_observe_filter *f, const struct ex_observed *e);

#endif
