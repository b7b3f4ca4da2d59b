/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer may make us do for nothing, on one HTTP/2 connection. Frames that carry nothing
 * (PING, SETTINGS, WINDOW_UPDATE, PRIORITY, empty DATA, types nobody knows, ...), faults and fields
 * beyond measure are paid from a purse that fills with time and with what we send, since that is
 * what such frames may answer. Who can not pay is a flood.
 */
#ifndef EXEAT_AGENT_HTTP_HTTP2_PURSE_H
#define EXEAT_AGENT_HTTP_HTTP2_PURSE_H

#include "exeat/util.h"

#define EX_H2_FRAME_HEAD 9

struct ex_h2_purse {
	int64_t credit;
	uint64_t filled_ms;
	size_t decoded; /* bytes of fields not paid for yet */
	/* the walk from frame to frame */
	size_t skip; /* bytes until the next frame's head */
	uint8_t head[EX_H2_FRAME_HEAD];
	size_t head_len;
};

/* preface: bytes before the first frame. */
void ex_h2_purse_init(struct ex_h2_purse *p, size_t preface);

void ex_h2_purse_fill(struct ex_h2_purse *p, uint64_t now_ms);

/* A frame that carries something was sent. */
void ex_h2_purse_earn(struct ex_h2_purse *p);

/*
 * Pays for the frames that begin in these bytes, the next of the connection. Whoever reads frames
 * may pass over some without a word: of streams that are over, of types it does not know.
 */
void ex_h2_purse_pay_frames(struct ex_h2_purse *p, const uint8_t *bytes, size_t len);

/* For a field, as long as it is when it is decoded: in the table it may be one byte. */
void ex_h2_purse_pay_field(struct ex_h2_purse *p, size_t len);

/* For a malformed message, or whatever else has its stream reset: more work than a frame. */
void ex_h2_purse_pay_fault(struct ex_h2_purse *p);

static inline bool ex_h2_purse_is_empty(const struct ex_h2_purse *p)
{
	return p->credit < 0;
}

#endif
