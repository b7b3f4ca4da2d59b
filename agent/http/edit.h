/* SPDX-License-Identifier: Apache-2.0 */
/* A judged request with its header fields as the rules want them sent. */
#ifndef EXEAT_AGENT_HTTP_EDIT_H
#define EXEAT_AGENT_HTTP_EDIT_H

#include "agent/http/http2.h"

/* head points into it, and to what the original and the ruleset hold. */
struct ex_edited_head {
	struct ex_h2_head head;
	struct ex_header fields[EX_H1_HEADERS_MAX];
	bool secret[EX_H1_HEADERS_MAX];
};

/* Is there room for what the rules add? To be asked before the request is allowed. */
bool ex_edits_fit(const struct ex_header_edits *edits, size_t n_headers);

/* head, or *room with the edits done, when there are any. They have to fit. */
const struct ex_h2_head *ex_h2_head_edit(const struct ex_h2_head *head,
					 const struct ex_header_edits *edits,
					 struct ex_edited_head *room);
const struct ex_h1_head *ex_h1_head_edit(const struct ex_h1_head *head,
					 const struct ex_header_edits *edits,
					 struct ex_edited_head *room);

#endif
