/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One steered TCP connection: the client side is the workload's, the server side is opened by us,
 * after a verdict, to the address the workload dialled.
 *
 *   SNIFF --> STREAM             carried unread: an L4 rule, or a TLS name that is allowed
 *     |  \--> MINT -> HANDSHAKE  TLS to be read: a leaf for the name, a turn, TLS with the client
 *     |                   |
 *     |-------------------+--> HTTP    requests judged one by one
 *     |-------------------\--> H2      streams judged one by one
 *     \--> LINGER                      the last bytes are sent, what still comes is thrown away
 *   any --> CLOSED
 *
 * step() advances as far as the bytes at hand allow, then interest is recomputed from state and
 * buffers; nothing else touches epoll. Memory is bounded: BUF_MAX per buffer, plus the parsers.
 */
#ifndef EXEAT_AGENT_PROXY_CONN_H
#define EXEAT_AGENT_PROXY_CONN_H

#include "agent/audit/audit.h"
#include "agent/core/buf.h"
#include "agent/dns/names.h"
#include "agent/http/http1.h"
#include "agent/http/http2_relay.h"
#include "agent/proxy/proxy.h"
#include "agent/proxy/side.h"
#include "agent/tls/hello.h"

enum ex_conn_state {
	EX_CONN_SNIFF = 0,
	EX_CONN_MINT,
	EX_CONN_HANDSHAKE,
	EX_CONN_HTTP,
	EX_CONN_H2,
	EX_CONN_STREAM,
	EX_CONN_LINGER,
	EX_CONN_CLOSED,
};

/* One request and its response. */
struct ex_exchange {
	struct ex_h1 *req, *res;
	bool active;   /* a request was allowed and is under way */
	bool req_done; /* all of it was passed on */
	bool res_head; /* the final response head was passed on */
	bool interim;  /* a 1xx response is being passed on */
	bool res_done;
	bool close;        /* the client's connection ends after this exchange */
	bool last;         /* the client has said that it will ask no more */
	bool server_close; /* the server's connection ends after this exchange */
	bool used;         /* the server side has carried an exchange */
	bool bound;        /* to the client: it has authenticated the connection, not a request */
	bool reused;       /* the server side was idle before this exchange */
	bool answered;     /* the server has said something */
	bool upgrade;      /* the request asked for WebSocket, and may */
	bool http10;       /* the client speaks HTTP/1.0 */
	bool req_chunked, res_chunked;
	uint64_t idle_since; /* when the exchange before this one was over */
};

/*
 * TLS that is passed through by name: a server may ask for a second ClientHello and go by the name
 * in that one, so the client's bytes behind the first are held until the server's answer is known.
 */
enum ex_hold {
	EX_HOLD_NOTHING = 0, /* free both ways */
	EX_HOLD_FIRST,       /* the first hello is to be passed on */
	EX_HOLD_ANSWER,      /* the server's answer is awaited */
	EX_HOLD_SECOND,      /* it asked for a second hello, which is to be judged */
	EX_HOLD_ALL,         /* it did not answer in TLS: what the client still says ends it */
};

struct ex_pool_key;

struct ex_conn {
	struct ex_proxy *px;
	struct ex_link link;  /* in px->conns */
	struct ex_link spare; /* in px->spares or px->waiters, or in none; see reuse.h */
	struct ex_link turn;  /* while it waits for its turn */
	enum ex_conn_state state;
	enum ex_app app; /* what its first bytes were */
	enum ex_hold hold;
	uint32_t identity; /* as whom the server side is spoken with, or is to be; see identity.h */
	uint16_t sport;
	bool sniffed;   /* app is known: it was judged by its first bytes */
	bool tls;       /* the client speaks TLS and we read inside it */
	bool probed;    /* SNIFF: the silence at the start was dealt with */
	bool origin_h1; /* H2: the server speaks HTTP/1.1 */
	bool origin_h2; /* it speaks HTTP/2 only, to requests one by one too */
	struct ex_side client, server;
	struct ex_timer timer;
	struct ex_timer again; /* more can be done at once, but others come first */
	struct ex_defer free_later;
	struct ex_flow flow;
	struct ex_ip src;
	struct ex_span *names;       /* flow.names, and their text */
	struct ex_span few_names[5]; /* room for that, mostly enough */
	struct ex_hello *hello;      /* from the first bytes of TLS until its name is all we need */
	struct ex_span sni; /* of the ClientHello, mostly one of names; ptr NULL: there is none */
	char *own_sni;      /* its text, when it is none of them */
	struct ex_exchange x;
	struct ex_h2_relay *h2;
	struct ex_link *legs; /* H2: see leg.h */
	size_t n_legs;
};

#define EX_CONN_HEAD_MS    120000        /* idle time and the whole of a request head */
#define EX_CONN_REQUEST_MS (3600 * 1000) /* a request under way without a byte */

void ex_conn_drop_hello(struct ex_conn *c);

/* Begins TLS with the client: there is a leaf, and it is its turn (turns.h). */
void ex_conn_intercept(struct ex_conn *c);

struct sockaddr_storage;

/* A connection was accepted; takes fd. full: there is no room for it, so it is denied. */
void ex_conn_accept(struct ex_proxy *px, int fd, const struct sockaddr_storage *from, bool full);

void ex_conn_close(struct ex_conn *c);

/* Closes so that the client sees a reset, not an orderly end. */
void ex_conn_reset(struct ex_conn *c);

void ex_conn_set_state(struct ex_conn *c, enum ex_conn_state state);

/* (Re)starts the one timer of the connection: what it means depends on the state. */
void ex_conn_set_timeout(struct ex_conn *c, uint64_t ms);

/* ---- between the files of the connection ---- */

/* Do what can be done now in the state; false when nothing moved. The connection may be CLOSED. */
bool ex_conn_sniff(struct ex_conn *c);
bool ex_conn_http(struct ex_conn *c);
bool ex_conn_stream(struct ex_conn *c);
bool ex_conn_h2(struct ex_conn *c);

/* Gives back the pipe that bulk goes through, when there is one. */
void ex_conn_stop_pipe(struct ex_conn *c, struct ex_side *from, struct ex_side *to);

/* STREAM while something is held; as above. */
bool ex_conn_pass_hello(struct ex_conn *c);

/* Enters HTTP: 0 or -ENOMEM. */
EX_MUST_CHECK int ex_conn_http_begin(struct ex_conn *c);
void ex_conn_http_done(struct ex_conn *c);

/* Enters H2, both sides having agreed on it: 0 or -ENOMEM. */
EX_MUST_CHECK int ex_conn_h2_begin(struct ex_conn *c);

/* H2: the server side is ready, so it is known what it speaks. */
void ex_conn_origin_known(struct ex_conn *c);

/* Writes the head as it goes to the server; what is read next from there answers it. */
EX_MUST_CHECK int ex_conn_send_head(struct ex_conn *c, const struct ex_h1_head *head,
				    const struct ex_header_edits *edits);

/* The verdict of one request, of either version of HTTP; never anything but ALLOW and DENY. */
struct ex_decision ex_conn_judge(struct ex_conn *c, const struct ex_h1_head *head,
				 struct ex_header_edits *ret);
/* More than the reason of d says, when it has denied this request; else NULL. */
const char *ex_conn_why_denied(const struct ex_decision *d, const struct ex_h1_head *head);

/* The record of a request that is allowed, with what is done to its header fields. */
void ex_conn_audit_allowed(struct ex_conn *c, const struct ex_decision *d,
			   const struct ex_h1_head *head, const struct ex_header_edits *edits);

/* A request cannot be answered by the server: sends the denial (once no response head was sent). */
void ex_conn_refuse(struct ex_conn *c, const struct ex_decision *d, const char *detail);

/* Asks for the server side, to the address the workload dialled. 0 or negative errno. */
EX_MUST_CHECK int ex_conn_dial(struct ex_conn *c);

/* Gives up the server side, however far it is. */
void ex_conn_hang_up(struct ex_conn *c);

/* The server side could not be had: err is negative errno. */
void ex_conn_dial_failed(struct ex_conn *c, int err);

/*
 * Why s (NULL: a socket for datagrams) could not be had, and in more words: a copy, for they may
 * live in what ends now.
 */
#define EX_DIAL_WHY 96
enum ex_reason ex_dial_reason(const struct ex_side *s, int err, char why[static EX_DIAL_WHY]);

/* Which idle server connections would do for this one. */
struct ex_pool_key ex_conn_pool_key(const struct ex_conn *c);

/* The timer of a SNIFF connection fired. */
void ex_conn_sniff_timeout(struct ex_conn *c);

/* Flushes what is written, then waits a little for the client to end. */
void ex_conn_linger(struct ex_conn *c);

/* Runs the connection: for whoever changed it outside its own events (an answer came). */
void ex_conn_run(struct ex_conn *c);

/*
 * judge_again.c: the verdict of a request that is under way as identity, when the policy has
 * changed. As another one it is denied: it cannot be taken back what the server was shown.
 */
struct ex_decision ex_conn_judge_again(struct ex_conn *c, const struct ex_h1_head *head,
				       uint32_t identity);

/* Ends every connection that the ruleset in force does not allow. */
void ex_conns_judge_again(struct ex_proxy *px);

/* Writes the audit record of a verdict about this connection. */
void ex_conn_audit(struct ex_conn *c, enum ex_audit_app app, const struct ex_decision *d,
		   const struct ex_h1_head *head, uint16_t status, const char *detail);

#endif
