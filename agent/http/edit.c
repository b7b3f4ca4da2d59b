/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/edit.h"

#include "policy/header.h"

bool ex_edits_fit(const struct ex_header_edits *edits, size_t n_headers)
{
	return edits->n == 0 || n_headers + edits->n <= EX_H1_HEADERS_MAX;
}

static bool has_edits(const struct ex_header_edits *edits, size_t n_headers)
{
	return edits->n && ex_edits_fit(edits, n_headers);
}

/* Fills all of room. */
static void edit(const struct ex_h1_head *head, const bool *secret,
		 const struct ex_header_edits *edits, struct ex_edited_head *room)
{
	size_t n = head->n_headers;
	ssize_t left;

	room->head.h = *head;
	for (size_t i = 0; i < n; i++) {
		room->fields[i] = head->headers[i];
		room->secret[i] = secret && secret[i];
	}
	left = ex_headers_edit(edits, room->fields, room->secret, n, EX_H1_HEADERS_MAX);
	room->head.h.headers = room->fields;
	room->head.h.n_headers = left < 0 ? 0 : (size_t)left;
	room->head.secret = room->secret;
}

const struct ex_h2_head *ex_h2_head_edit(const struct ex_h2_head *head,
					 const struct ex_header_edits *edits,
					 struct ex_edited_head *room)
{
	if (!has_edits(edits, head->h.n_headers))
		return head;
	room->head = *head;
	edit(&head->h, head->secret, edits, room);
	return &room->head;
}

const struct ex_h1_head *ex_h1_head_edit(const struct ex_h1_head *head,
					 const struct ex_header_edits *edits,
					 struct ex_edited_head *room)
{
	if (!has_edits(edits, head->n_headers))
		return head;
	edit(head, NULL, edits, room);
	return &room->head.h;
}
