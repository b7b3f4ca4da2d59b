/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the judgement of what a steered flow asks for: one term of it. */
#ifndef EXEAT_POLICY_JUDGE_TERM_H
#define EXEAT_POLICY_JUDGE_TERM_H

#include "policy/model.h"
#include "policy/regex.h"

/* What is asked, and what the terms have said so far. */
struct ex_asked {
	const struct ex_ruleset *rs;
	const struct ex_flow *flow;
	enum ex_app app;
	struct ex_span sni;                /* ptr NULL: none */
	const struct ex_http_request *req; /* NULL: not there yet */
	struct ex_header_edits *edits;     /* of the rules that were met; NULL: nobody asks */
	/* see reading.h */
	unsigned ways; /* to read its path */
	bool slash;    /* it hides one, which no rule has named so far */
	bool objects;  /* its fields name other objects, */
	bool unnamed;  /* ... which no rule has named so far */

	struct ex_decision best; /* so far */
	int nearness;            /* of a miss in best */
	bool seen;               /* some term has the address and the port */
	bool closed;             /* the address is known by what it is: no name says more */

	uint32_t allowed; /* the rule that allows it, before audit mode has its say; 0: none */

	/* audit mode: the nearest miss of an auditing L7 list, a deny that was only recorded */
	struct ex_decision audit_miss, would;
	bool enforced; /* an enforcing L7 list is for this tuple: no auditing one may open it */
	bool look;     /* a deny by content has to see the requests */
};

/*
 * A term whose ports match. Every condition of an allow is checked within it: its peer has the
 * address (by class, or by a name that is both resolved to it and allowed by this very peer), and
 * its own L7 part has the request. False: it denies, and that ends it.
 */
bool ex_judge_term(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t);

/* The same for a term that denies. An auditing one is noted and passes. */
bool ex_judge_deny(struct ex_asked *a, const struct ex_rpeer *peer, const struct ex_term *t);

#define EX_HOST_TEXT 253 /* of a canonical name */

/* NULL: anything meets it. */
static inline bool ex_regex_meets(const struct ex_regex *re, struct ex_span s)
{
	return !re || ex_regex_match(re, s.ptr ? s.ptr : "", s.len);
}

static inline bool ex_is_missing(struct ex_span s)
{
	return !s.ptr || s.len == 0;
}

#endif
