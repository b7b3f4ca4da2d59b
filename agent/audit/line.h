/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit records as lines: JSON for machines, text for people. Pure; every hostile byte is escaped.
 */
#ifndef EXEAT_AGENT_AUDIT_LINE_H
#define EXEAT_AGENT_AUDIT_LINE_H

#include <sys/types.h>

#include "agent/audit/audit.h"

#define EX_AUDIT_LINE_MAX 24576 /* every byte of a record escaped, rule and keys */
#define EX_AUDIT_TIME     25    /* "2026-11-22T17:00:00.123Z" */

/* What the record itself does not know. */
struct ex_audit_stamp {
	const char *time;
	const char *run;
	uint64_t seq;
	const struct ex_rule_info *rule; /* may be NULL */
};

/* RFC 3339, UTC, milliseconds, of CLOCK_REALTIME. */
void ex_audit_now(char out[static EX_AUDIT_TIME]);

/* Both with the newline; bytes written, or -ENOSPC (cannot happen with EX_AUDIT_LINE_MAX). */
ssize_t ex_audit_line_json(const struct ex_audit_record *rec, const struct ex_audit_stamp *stamp,
			   char *out, size_t cap);
ssize_t ex_audit_line_text(const struct ex_audit_record *rec, const struct ex_audit_stamp *stamp,
			   char *out, size_t cap);

/*
 * What was asked for, on one line and at most cap - 1 bytes: "POST api.openai.com/v1/files",
 * "TLS example.com", "DNS example.com", "TCP 192.0.2.1:443".
 */
void ex_audit_subject(const struct ex_audit_record *rec, char *out, size_t cap);

/* Copies, with whatever is not printable ASCII as \xHH. Always terminates; returns the length. */
size_t ex_audit_escape(struct ex_span text, char *out, size_t cap);

/* "l4", "dns", "tls", "http". */
const char *ex_audit_app_word(uint8_t app);

/* "AAAA", or "TYPE64" (RFC 3597 5). */
const char *ex_audit_qtype_word(uint16_t qtype, char buf[static 16]);

/* The text of a fixed field that may lack its NUL. */
struct ex_span ex_audit_field(const char *field, size_t size);
#define EX_AUDIT_FIELD(f) ex_audit_field((f), sizeof(f)) /* f: the array itself */

#endif
