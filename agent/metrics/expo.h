/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes Prometheus' text format (0.0.4). A family, then its samples:
 *
 *   ex_expo_family(x, "exeat_verdicts_total", "counter", "Verdicts.");
 *   ex_expo_label(x, "reason", "allowed");
 *   ex_expo_value(x, 12);
 *
 * Running out of memory makes the whole text invalid (ex_expo_done), never cut off.
 */
#ifndef EXEAT_AGENT_METRICS_EXPO_H
#define EXEAT_AGENT_METRICS_EXPO_H

#include "agent/core/buf.h"

struct ex_expo {
	struct ex_buf out;
	const char *name; /* of the family; a literal */
	bool labels, full;
};

/* name, type and help are literals; every family once. */
void ex_expo_family(struct ex_expo *x, const char *name, const char *type, const char *help);

/* Before the value of a sample; any bytes may be in value. */
void ex_expo_label(struct ex_expo *x, const char *label, const char *value);
void ex_expo_value(struct ex_expo *x, uint64_t value);
void ex_expo_seconds(struct ex_expo *x, double seconds);

/* A family of one sample without labels. */
void ex_expo_single(struct ex_expo *x, const char *name, const char *type, const char *help,
		    uint64_t value);

/* The text, valid until ex_expo_wipe(); -ENOMEM. */
EX_MUST_CHECK int ex_expo_done(const struct ex_expo *x, struct ex_span *ret);
void ex_expo_wipe(struct ex_expo *x);

#endif
