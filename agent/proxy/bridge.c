/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/http/http2_bridge.h"
#include "agent/proxy/bridge.h"

int ex_bridge_begin(struct ex_side *s)
{
	struct ex_bridge *b = calloc(1, sizeof(*b));
	int r = b ? ex_h2_bridge_new(&b->h2) : -ENOMEM;

	if (r < 0)
		free(b);
	else
		s->bridge = b;
	return r;
}

void ex_bridge_free(struct ex_bridge *b)
{
	if (!b)
		return;
	ex_h2_bridge_free(b->h2);
	ex_buf_done(&b->in);
	ex_buf_done(&b->out);
	free(b);
}

int ex_bridge_fill(struct ex_side *s)
{
	struct ex_bridge *b = s->bridge;
	size_t len = ex_buf_len(&b->in);
	ssize_t fed = 0, taken;

	if (len)
		fed = ex_h2_bridge_feed(b->h2, ex_buf_ptr(&b->in), len, ex_clock_ms());
	ex_buf_consume(&b->in, fed < 0 ? len : (size_t)fed);
	taken = ex_h2_bridge_take(b->h2, &s->in, EX_SIDE_BUF_MAX - ex_buf_len(&s->in));
	if (taken < 0)
		return (int)taken;
	if (taken == 0 && !ex_buf_len(&b->in)) {
		s->broken |= ex_h2_bridge_state(b->h2) == EX_BRIDGE_BROKEN;
		s->eof = b->eof || ex_h2_bridge_state(b->h2) != EX_BRIDGE_OPEN;
	}
	return fed > 0 || taken > 0 || s->eof;
}

static int pull(struct ex_bridge *b)
{
	int moved = 0;

	while (ex_buf_len(&b->out) < EX_SIDE_BUF_MAX) {
		char *room = ex_buf_reserve(&b->out, EX_SIDE_BUF_MAX);
		ssize_t n = room ? ex_h2_bridge_pull(b->h2, room, EX_SIDE_BUF_MAX) : -ENOMEM;

		if (n <= 0)
			return n < 0 ? (int)n : moved;
		ex_buf_commit(&b->out, (size_t)n);
		moved = 1;
	}
	return moved;
}

int ex_bridge_speak(struct ex_side *s)
{
	struct ex_bridge *b = s->bridge;
	size_t len = ex_buf_len(&s->out);
	ssize_t n = len ? ex_h2_bridge_put(b->h2, ex_buf_ptr(&s->out), len) : 0;
	int r;

	if (n < 0)
		return (int)n;
	ex_buf_consume(&s->out, (size_t)n);
	s->wrote |= n > 0;
	r = pull(b);
	return r < 0 ? r : r || n > 0;
}
