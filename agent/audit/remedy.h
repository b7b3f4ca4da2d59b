/* SPDX-License-Identifier: Apache-2.0 */
/* What a person can do about a denial: the policy line to add, as text of one line. */
#ifndef EXEAT_AGENT_AUDIT_REMEDY_H
#define EXEAT_AGENT_AUDIT_REMEDY_H

#include "policy/ruleset.h"

struct ex_remedy {
	enum ex_reason reason;
	const char *where;               /* of the nearest rule, "" when there is none */
	struct ex_span method, path;     /* path may have its query; empty when not HTTP */
	struct ex_span destination;      /* of COPY and MOVE, which has to be allowed as well */
	const struct ex_header *headers; /* those that a rule has to name are looked for */
	size_t n_headers;
	struct ex_span name; /* host, SNI or DNS name; empty when unknown */
	const char *address; /* text of the destination; "" when unknown */
	uint16_t port;
	const char *proto; /* "TCP", "UDP"; "" otherwise */
	bool explained;    /* was told what is wrong: a request that no rule allows */
};

#define EX_REMEDY_MAX 1024

/* Always terminated; "" when there is nothing to suggest. ASCII only. */
void ex_remedy_write(const struct ex_remedy *d, char out[static EX_REMEDY_MAX]);

#endif
