/* SPDX-License-Identifier: Apache-2.0 */
/* Request headers: those that never reach the server, and what rules do to the others. */
#ifndef EXEAT_POLICY_HEADER_H
#define EXEAT_POLICY_HEADER_H

#include <sys/types.h>

#include "policy/ruleset.h"

/* Does the proxy take this header out of requests? Spelled in any way a server may take for it. */
bool ex_header_is_removed(struct ex_span name);

/* Does it write this header anew, by what it has judged? */
bool ex_header_is_rewritten(struct ex_span name);

/*
 * Does what the rules ask for. fields has room for cap; secret is NULL or has a flag for each,
 * which is set for what is written here. Returns the new number of fields, or -ENOSPC.
 */
ssize_t ex_headers_edit(const struct ex_header_edits *edits, struct ex_header *fields, bool *secret,
			size_t n, size_t cap);

/*
 * "REPLACE authorization, ADD x-team": what was done, for the record; cut at size - 1. In front of
 * it what the server is shown: "certificate NS/NAME", or by what it is believed: "trust NS/NAME".
 */
void ex_headers_describe(const struct ex_header_edits *edits, char *out, size_t size);

#endif
