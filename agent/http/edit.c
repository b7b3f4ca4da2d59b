/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/edit.h"

#include "policy/header.h"

bool ex_edits_fit(const struct ex_header_edits *edits, size_t n_headers)
{
	return edits->n == 0 || n_headers + edits->n <= EX_H1_HEADERS_MAX;
}

const struct ex_h2_head *ex_h2_head_edit(const struct ex_h2_head *head,
					 const struct ex_header_edits *edits,
					 struct ex_edited_head *room)
{
	size_t n = head->h.n_headers;
	ssize_t left;

	if (!edits->n || !ex_edits_fit(edits, n))
		return head;
	room->head = *head;
	for (size_t i = 0; i < n; i++) {
		room->fields[i] = head->h.headers[i];
		room->secret[i] = head->secret && head->secret[i];
	}
	left = ex_headers_edit(edits, room->fields, room->secret, n, EX_H1_HEADERS_MAX);
	room->head.h.headers = room->fields;
	room->head.h.n_headers = left < 0 ? 0 : (size_t)left;
	room->head.secret = room->secret;
	return &room->head;
}

const struct ex_h1_head *ex_h1_head_edit(const struct ex_h1_head *head,
					 const struct ex_header_edits *edits,
					 struct ex_edited_head *room)
{
	const struct ex_h2_head whole = { .h = *head };

	if (!edits->n || !ex_edits_fit(edits, head->n_headers))
		return head;
	return &ex_h2_head_edit(&whole, edits, room)->h;
}
