/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values in a row, for another process of exeat on this machine: written into a sealed memory file,
 * which nobody can change any more once it is made. Whoever reads checks every length; after the
 * first that is wrong, all that follows reads as nothing, and ex_unpack_done() says so.
 */
#ifndef EXEAT_AGENT_CORE_PACK_H
#define EXEAT_AGENT_CORE_PACK_H

#include "agent/core/buf.h"

#define EX_PACK_MAX ((size_t)256 * 1024 * 1024)

struct ex_pack { /* zero = empty */
	struct ex_buf buf;
	int err; /* the first error; looked at once, by ex_pack_seal() */
};

void ex_pack_u32(struct ex_pack *p, uint32_t v);
void ex_pack_bytes(struct ex_pack *p, const void *bytes, size_t len); /* as many as both know */
void ex_pack_span(struct ex_pack *p, struct ex_span s);
void ex_pack_str(struct ex_pack *p, const char *s);

/* The sealed memory file, at its start; p is emptied. fd or negative errno. */
EX_MUST_CHECK int ex_pack_seal(struct ex_pack *p, const char *name);
/* When it is not sealed; wipes what was in it, as sealing does. */
void ex_pack_done(struct ex_pack *p);

struct ex_unpack {
	const char *at, *end;
	bool bad;
};

/*
 * All of a memory file into *ret (ex_pack_free() it), without moving its file position, which
 * others may share. -EPERM when it is not sealed, -EFBIG, -ENOMEM.
 */
EX_MUST_CHECK int ex_pack_read(int fd, char **ret, size_t *ret_len);
/* Wiped: keys may be among them. */
void ex_pack_free(char *bytes, size_t len);

/* What they return points into the bytes; 0, "" and NULL-length spans when these have ended. */
uint32_t ex_unpack_u32(struct ex_unpack *u);
void ex_unpack_bytes(struct ex_unpack *u, void *to, size_t len);
struct ex_span ex_unpack_span(struct ex_unpack *u);
const char *ex_unpack_str(struct ex_unpack *u);

/* How many elements follow, each at least min bytes long: never more than the bytes can hold. */
size_t ex_unpack_count(struct ex_unpack *u, size_t min);

/* Everything was read, and nothing of it was wrong: 0, else -EBADMSG. */
EX_MUST_CHECK int ex_unpack_done(const struct ex_unpack *u);

#endif
