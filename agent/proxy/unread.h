/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While a policy is learned (`exeat learn`, whose policy denies nothing by content): servers whose
 * TLS is passed by its name, since the client did not accept our certificate for them. Enforcement
 * has none of this.
 */
#ifndef EXEAT_AGENT_PROXY_UNREAD_H
#define EXEAT_AGENT_PROXY_UNREAD_H

#include "exeat/util.h"

struct ex_unread;

/* names: those to begin with, separated by commas. */
EX_MUST_CHECK int ex_unread_new(struct ex_span names, struct ex_unread **ret);

/* Both accept NULL: nothing is learned. */
void ex_unread_add(struct ex_unread *u, struct ex_span name);
bool ex_unread_has(const struct ex_unread *u, struct ex_span name);

#endif
