/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON into a fixed buffer, or into one that grows up to a bound. Pure ASCII comes out:
 * whatever else a string holds is escaped, so that no attacker byte acts on a terminal, a log
 * viewer or a line-based parser. An overflow makes the whole text invalid (ex_json_done), never cut
 * off in the middle.
 */
#ifndef EXEAT_AGENT_CORE_JSON_H
#define EXEAT_AGENT_CORE_JSON_H

#include <sys/types.h>

#include "exeat/util.h"

struct ex_json {
	char *out;
	size_t len, cap;
	size_t max; /* 0 = a fixed buffer */
	bool full, comma;
};

void ex_json_init(struct ex_json *j, char *out, size_t cap);

/* Grows up to max bytes; ex_json_wipe() frees what it holds and makes it empty. */
void ex_json_init_growing(struct ex_json *j, size_t max);
void ex_json_wipe(struct ex_json *j);

/* key NULL: no key (the outermost value, or inside an array). */
void ex_json_open(struct ex_json *j, const char *key, char bracket);
void ex_json_close(struct ex_json *j, char bracket);
void ex_json_string(struct ex_json *j, const char *key, struct ex_span value);
void ex_json_text(struct ex_json *j, const char *key, const char *value); /* NULL = "" */
void ex_json_number(struct ex_json *j, const char *key, uint64_t value);
void ex_json_bool(struct ex_json *j, const char *key, bool value);

/* What somebody else wrote: one valid JSON value. */
void ex_json_raw(struct ex_json *j, const char *key, struct ex_span value);

/* Bytes written or -ENOSPC. No terminator. */
ssize_t ex_json_done(const struct ex_json *j);
/* The same with a line break, for which a fixed buffer has a byte more than it was said to have. */
ssize_t ex_json_line(struct ex_json *j);

/*
 * Decodes one UTF-8 sequence: returns its length and the code point, or 0 when the bytes are not
 * valid UTF-8 (overlong, surrogate, cut off). n must not be 0.
 */
size_t ex_utf8_decode(const char *bytes, size_t n, uint32_t *ret);

#endif
