/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request that is remembered: while it waits until it is known how its server can be spoken to,
 * and as long as it is under way, since it may be judged again. Inside the relay only.
 */
#ifndef EXEAT_AGENT_HTTP_HTTP2_KEPT_H
#define EXEAT_AGENT_HTTP_HTTP2_KEPT_H

#include "agent/http/http2.h"

struct ex_h2_kept {
	struct ex_h2_head head; /* a copy: points into this object */
	struct ex_buf body;     /* what came since; bounded by the stream's window */
	bool ended;             /* nothing more will come */
};

/* Bytes of text that head points to: a copy takes somewhat more. */
size_t ex_h2_head_size(const struct ex_h2_head *head);

/* Copies everything head points to. 0 or -ENOMEM. */
EX_MUST_CHECK int ex_h2_kept_new(const struct ex_h2_head *head, struct ex_h2_kept **ret);
void ex_h2_kept_free(struct ex_h2_kept *k); /* accepts NULL */

#endif
