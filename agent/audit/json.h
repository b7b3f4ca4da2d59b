/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON into a fixed buffer. Pure ASCII comes out: whatever else a string holds is escaped,
 * so that no attacker byte acts on a terminal, a log viewer or a line-based parser. An overflow
 * makes the whole text invalid (ex_json_done), never cut off in the middle.
 */
#ifndef EXEAT_AGENT_AUDIT_JSON_H
#define EXEAT_AGENT_AUDIT_JSON_H

#include <sys/types.h>

#include "exeat/util.h"

struct ex_json {
	char *out;
	size_t len, cap;
	bool full, comma;
};

void ex_json_init(struct ex_json *j, char *out, size_t cap);

/* key NULL: no key (the outermost value, or inside an array). */
void ex_json_open(struct ex_json *j, const char *key, char bracket);
void ex_json_close(struct ex_json *j, char bracket);
void ex_json_string(struct ex_json *j, const char *key, struct ex_span value);
void ex_json_number(struct ex_json *j, const char *key, uint64_t value);

/* Bytes written or -ENOSPC. No terminator. */
ssize_t ex_json_done(const struct ex_json *j);

/*
 * Decodes one UTF-8 sequence: returns its length and the code point, or 0 when the bytes are not
 * valid UTF-8 (overlong, surrogate, cut off). n must not be 0.
 */
size_t ex_utf8_decode(const char *bytes, size_t n, uint32_t *ret);

#endif
