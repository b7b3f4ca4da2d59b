/* SPDX-License-Identifier: Apache-2.0 */
/* One side of a connection: a socket, TLS over it or not, and what was read and is to be written.
 */
#ifndef EXEAT_AGENT_PROXY_SIDE_H
#define EXEAT_AGENT_PROXY_SIDE_H

#include <sys/epoll.h>

#include "agent/core/buf.h"
#include "agent/core/loop.h"

#define EX_SIDE_BUF_MAX (64 * 1024) /* per buffer; reading stops there */

struct ex_bridge;
struct ex_pipe;
struct ex_tls_session;

enum ex_side_state {
	EX_SIDE_CLOSED,
	EX_SIDE_DIALLING,    /* the parent was asked for the socket; see dial.h */
	EX_SIDE_CONNECTING,  /* TCP connect under way */
	EX_SIDE_HANDSHAKING, /* TLS handshake under way */
	EX_SIDE_READY,
};

struct ex_side {
	struct ex_watch watch;
	enum ex_side_state state;
	int fd; /* -1 = there is none yet */
	struct ex_tls_session *tls;
	uint32_t tls_want;        /* what the session waits for beyond plain reading and writing */
	uint32_t read_wants;      /* what TLS waits for to go on reading, when not EPOLLIN */
	struct ex_buf in;         /* read, not yet dealt with */
	struct ex_buf out;        /* to be written */
	struct ex_pipe *pipe;     /* what is read goes there instead of to in; see pipe.h */
	struct ex_bridge *bridge; /* in and out are translated; see bridge.h */
	struct ex_pipe *feed;     /* what is written next, behind out, comes from there */
	bool signing;             /* handshaking, and the parent was asked for a signature */
	bool readable; /* there may be something to read: epoll said so, or TLS may hold it */
	bool edge;     /* epoll need not say again what it has said: see interest() */
	bool ending;   /* its end is in the socket, or urgent data: reading stops before either */
	bool eof;      /* the peer will send no more */
	bool hup;      /* all that will come is in the socket already; epoll has nothing to add */
	bool broken;   /* it ended by an error, not orderly */
	bool told;     /* H2: the relay knows that it ended */
	bool last;     /* behind what is to be written comes the end */
	bool wrote;    /* of what is to be written something may have left */
	bool finished; /* we told the peer that we will send no more */
	bool telling;  /* the word of that waits for room in the socket; see ex_side_flush() */
	bool abrupt;   /* see ex_side_set_abrupt() */
};

/* A fresh side without a socket. */
void ex_side_init(struct ex_side *s, void (*fn)(struct ex_watch *w, uint32_t events));

/* Takes fd, which is non-blocking and may be connecting. 0 or negative errno (fd is closed). */
EX_MUST_CHECK int ex_side_open(struct ex_side *s, struct ex_loop *loop, int fd, bool connecting);

/* The result of connecting, when the socket says it is over: 0 or negative errno. */
int ex_side_connected(struct ex_side *s);
void ex_side_close(struct ex_side *s, struct ex_loop *loop);

/*
 * Socket and TLS of from, which becomes a fresh side, are to's. What was read or is to be written
 * is lost.
 */
void ex_side_move(struct ex_loop *loop, struct ex_side *from, struct ex_side *to);

/* Reads what there is, up to the bound. 1 = something happened, 0 = nothing, negative errno. */
int ex_side_fill(struct ex_side *s);

/* Writes what is waiting. As above. */
int ex_side_flush(struct ex_side *s);

/* Goes on with the TLS handshake. 1 = done, 0 = waiting, negative errno. */
int ex_side_handshake(struct ex_side *s);

/* Tells the peer that no more will come, once. */
void ex_side_finish(struct ex_side *s);

/*
 * Abrupt: whatever ends it, be it the death of this process, looks like a break to the peer, also
 * without TLS.
 */
void ex_side_set_abrupt(struct ex_side *s, bool abrupt);

/* Sets epoll interest from the state of the side. */
void ex_side_update(struct ex_side *s, struct ex_loop *loop);

/* Nothing of the peer's waits here: not read, not in TLS; what the socket has is unknown. */
bool ex_side_is_idle(const struct ex_side *s);

/* What epoll has to say. Reading that has to wait for writing goes on when there is room. */
static inline void ex_side_note(struct ex_side *s, uint32_t events)
{
	s->hup |= (events & (EPOLLHUP | EPOLLERR)) != 0;
	s->broken |= (events & EPOLLERR) != 0; /* reading may show it as an end */
	s->readable |= (events & (EPOLLIN | EPOLLPRI | s->read_wants)) != 0;
	s->ending |= (events & (EPOLLRDHUP | EPOLLPRI)) != 0;
}

/* Its peer broke off: it has ended; what it sent before is still dealt with. */
static inline void ex_side_broke(struct ex_side *s)
{
	s->eof = s->hup = s->broken = true;
}

static inline bool ex_side_ready(const struct ex_side *s)
{
	return s->state == EX_SIDE_READY;
}

#endif
