/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log file of a node: JSON lines, chained (chain.h), rotated, with one writer at a time. FILE
 * is written; FILE.1 is the one before it, and so on; the chain runs through all of them and
 * through restarts. FILE.head is the signed last record, renewed once a second and at the end, so
 * that records cut off the end are missed.
 */
#ifndef EXEAT_AGENT_AUDIT_FILE_H
#define EXEAT_AGENT_AUDIT_FILE_H

#include <sys/types.h>

#include "agent/core/loop.h"

struct ex_audit_file;

struct ex_audit_file_options {
	const char *path;
	const char *key_file;  /* NULL: chained by a plain hash, which finds accidents only */
	uint64_t rotate_bytes; /* 0 = 64 MiB */
	unsigned keep;         /* rotated files kept; 0 = 8 */
};

/* 0 or negative errno, cause logged; -EBUSY when another process writes the file. */
EX_MUST_CHECK int ex_audit_file_open(const struct ex_audit_file_options *options,
				     struct ex_audit_file **ret);
void ex_audit_file_close(struct ex_audit_file *f);

/*
 * Seals and writes one line that ends in "}\n" and has EX_CHAIN_TAIL_MAX bytes of room behind it.
 * Does not wait. 0 or negative errno; then the record is not in the chain.
 */
EX_MUST_CHECK int ex_audit_file_append(struct ex_audit_file *f, char *line, size_t len);

struct ex_audit_file_stats {
	uint64_t written, failed; /* records, since it was opened */
};
void ex_audit_file_stats(const struct ex_audit_file *f, struct ex_audit_file_stats *ret);

/* Keeps the head at most a second behind, on a loop that outlives the file. */
void ex_audit_file_watch(struct ex_audit_file *f, struct ex_loop *loop);

/* Reads the key file again: later records are signed with its last key. Keeps the old on error. */
EX_MUST_CHECK int ex_audit_file_reload_keys(struct ex_audit_file *f);

#endif
