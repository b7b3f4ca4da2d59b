/* SPDX-License-Identifier: Apache-2.0 */
/* Whole lines to a file, pipe or terminal, without ever waiting for it. */
#ifndef EXEAT_AGENT_AUDIT_SINK_H
#define EXEAT_AGENT_AUDIT_SINK_H

#include "exeat/util.h"

struct ex_audit_sink {
	int fd;    /* -1: every line is dropped and nothing is lost; not owned */
	bool torn; /* the last line was cut off: close it before the next one */
	bool log;  /* what it loses is told on standard error, once in a while */
	int err;   /* positive errno: why the last line that was lost did not go out */
	uint64_t told_at;
};

/*
 * How many of the lines went out: all, or those before a full disk or a reader that does not keep
 * up. At most the one after them is torn, and the next begins on a line of its own.
 */
EX_MUST_CHECK size_t ex_audit_sink_lines(struct ex_audit_sink *s, struct ex_span lines);

/* Cuts the first line, with its line break, off lines that are not empty. The last may lack it. */
struct ex_span ex_audit_line_take(struct ex_span *lines);
size_t ex_audit_lines_count(struct ex_span lines);

#endif
