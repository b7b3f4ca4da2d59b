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
 * Seals and writes lines, each of which ends in "}\n" and has at most EX_AUDIT_LINE_MAX bytes.
 * Does not wait. How many of them are in the file: the rest is not in the chain either.
 */
EX_MUST_CHECK size_t ex_audit_file_append(struct ex_audit_file *f, struct ex_span lines);

struct ex_audit_file_stats {
	uint64_t written, failed; /* records, since it was opened */
};
void ex_audit_file_stats(const struct ex_audit_file *f, struct ex_audit_file_stats *ret);

/* The head is that of the last record: for who may end without closing it. */
void ex_audit_file_sync(struct ex_audit_file *f);

/* Keeps the head at most a second behind, on a loop that outlives the file. */
void ex_audit_file_watch(struct ex_audit_file *f, struct ex_loop *loop);

/* Reads the key file again: later records are signed with its last key. Keeps the old on error. */
EX_MUST_CHECK int ex_audit_file_reload_keys(struct ex_audit_file *f);

#endif
