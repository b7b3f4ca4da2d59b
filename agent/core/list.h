/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists that their members are linked into: whoever may be in one has a link in it for that list. A
 * link does not know its list, only where it hangs, so it comes off wherever it is. All zero is an
 * empty list, and a link that is in none.
 */
#ifndef EXEAT_AGENT_CORE_LIST_H
#define EXEAT_AGENT_CORE_LIST_H

#include <stddef.h>

struct ex_link {
	struct ex_link *next;
	struct ex_link **at; /* what points to this one; NULL: it is in no list */
};

/* Before *at: the first of the list, or what follows a link, or the end, where *at is NULL. */
static inline void ex_link_add(struct ex_link **at, struct ex_link *l)
{
	l->next = *at;
	l->at = at;
	if (l->next)
		l->next->at = &l->next;
	*at = l;
}

/* Nothing when it is in no list. */
static inline void ex_link_remove(struct ex_link *l)
{
	if (!l->at)
		return;
	*l->at = l->next;
	if (l->next)
		l->next->at = l->at;
	*l = (struct ex_link){ 0 };
}

#endif
