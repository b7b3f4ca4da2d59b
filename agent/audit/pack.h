/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit records on their way from the proxy to its keeper: only what is used of each. What is read
 * comes from the unprivileged side.
 */
#ifndef EXEAT_AGENT_AUDIT_PACK_H
#define EXEAT_AGENT_AUDIT_PACK_H

#include "agent/audit/audit.h"

/* No record is longer when packed. */
#define EX_AUDIT_PACKED_MAX (sizeof(struct ex_audit_record) + 16)

/* Bytes written to out, which has room for EX_AUDIT_PACKED_MAX. */
size_t ex_audit_pack(const struct ex_audit_record *rec, uint8_t *out);

/* Takes one record from the front of *in: true; false when the bytes are not those of a record. */
bool ex_audit_unpack(struct ex_span *in, struct ex_audit_record *ret);

#endif
