/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_PROXY_BULK_H
#define EXEAT_AGENT_PROXY_BULK_H

#include "agent/proxy/conn.h"

/* Sets up a pipe when it is worth it: from->pipe tells. */
void ex_conn_bulk_begin(struct ex_conn *c, struct ex_side *from, struct ex_side *to,
			const struct ex_h1 *reader);

/* With a pipe: moves what there is; ends the pipe when there is no more for it. Did it move? */
bool ex_conn_bulk_pass(struct ex_conn *c, struct ex_side *from, struct ex_side *to,
		       struct ex_h1 *reader);

#endif
