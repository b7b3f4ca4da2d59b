/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a chained log: a text file, one "ID HEX" a line, "#" comments. The last line signs;
 * all verify. Rotation is a line more.
 */
#ifndef EXEAT_AGENT_AUDIT_KEY_H
#define EXEAT_AGENT_AUDIT_KEY_H

#include "exeat/util.h"

#define EX_AUDIT_KEYS_MAX   64
#define EX_AUDIT_KEY_MAX    64 /* bytes of a key; 32 at least */
#define EX_AUDIT_KEY_ID_MAX 32

struct ex_audit_key {
	char id[EX_AUDIT_KEY_ID_MAX + 1];
	uint8_t bytes[EX_AUDIT_KEY_MAX];
	size_t len;
};

struct ex_audit_keys {
	struct ex_audit_key list[EX_AUDIT_KEYS_MAX];
	size_t n;
};

/*
 * 0; negative errno with the cause logged: unreadable, open to others than its owner (-EPERM), no
 * key in it, or malformed (-EINVAL).
 */
EX_MUST_CHECK int ex_audit_keys_load(const char *path, struct ex_audit_keys *ret);
void ex_audit_keys_wipe(struct ex_audit_keys *keys);

/* The key that signs; NULL when there is none. */
const struct ex_audit_key *ex_audit_keys_current(const struct ex_audit_keys *keys);
const struct ex_audit_key *ex_audit_keys_find(const struct ex_audit_keys *keys, struct ex_span id);

/* Appends a new random key, making the file (mode 0600) when it is not there. */
EX_MUST_CHECK int ex_audit_keys_append(const char *path);

#endif
