/* SPDX-License-Identifier: Apache-2.0 */
/* Whole lines to a file, pipe or terminal, without ever waiting for it. */
#ifndef EXEAT_AGENT_AUDIT_SINK_H
#define EXEAT_AGENT_AUDIT_SINK_H

#include "exeat/util.h"

struct ex_audit_sink {
	int fd;    /* -1: every line is dropped and nothing is lost; not owned */
	bool torn; /* the last line was cut off: close it before the next one */
};

/*
 * One write per line. 0; -EAGAIN when the reader does not keep up; or the error of write(). On an
 * error nothing or a torn line is in the file, and the next line begins on a line of its own.
 */
EX_MUST_CHECK int ex_audit_sink_line(struct ex_audit_sink *s, const char *line, size_t len);

#endif
