/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a chained log: a small file with one sealed line of type "head" whose place in the
 * chain is right behind the last record.
 */
#ifndef EXEAT_AGENT_AUDIT_HEAD_H
#define EXEAT_AGENT_AUDIT_HEAD_H

#include "agent/audit/chain.h"

/* A sealed line about the log itself, of this type; returns its length or negative errno. */
ssize_t ex_audit_note_seal(const struct ex_chain *chain, const struct ex_audit_key *key,
			   const char *type, char *line, size_t cap, struct ex_chain *next);

/* Replaces the file name in dir in one step. 0 or negative errno. */
EX_MUST_CHECK int ex_audit_head_write(int dir, const char *name, const struct ex_chain *last,
				      const struct ex_audit_key *key);

/*
 * The last record by the head, at path from dir as openat(2) has it: 0, -EBADMSG when no known key
 * made it, or negative errno.
 */
EX_MUST_CHECK int ex_audit_head_read(int dir, const char *path, const struct ex_audit_keys *keys,
				     struct ex_chain *ret);

#endif
