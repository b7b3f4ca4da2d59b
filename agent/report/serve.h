/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics and /healthz over HTTP, on a thread of its own; the only user of libmicrohttpd. */
#ifndef EXEAT_AGENT_REPORT_SERVE_H
#define EXEAT_AGENT_REPORT_SERVE_H

#include "exeat/util.h"

struct ex_serve_http;

/* The library, which ex_serve_start() does not look for any more. */
EX_MUST_CHECK int ex_serve_load(void);

/* Serves on listener (taken), asking at questions (borrowed) for what it answers with. */
EX_MUST_CHECK int ex_serve_start(int listener, int questions, struct ex_serve_http **ret);

/* Waits for the request that is being answered. Accepts NULL. */
void ex_serve_stop(struct ex_serve_http *s);

#endif
