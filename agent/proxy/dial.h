/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a side comes to its server: the privileged parent judges the address once more and makes the
 * socket, which is connecting. A side that waits for a signature hears of it as of an event.
 */
#ifndef EXEAT_AGENT_PROXY_DIAL_H
#define EXEAT_AGENT_PROXY_DIAL_H

#include "agent/proxy/ask.h"
#include "agent/proxy/side.h"
#include "agent/tls/session.h"
#include "policy/ruleset.h"

/*
 * fn gets a socket: see ex_ipc_passed(). speaks: there will be something to send as
 * soon as it is connected, so that the server need not be told before that it is.
 */
EX_MUST_CHECK int ex_dial_ask(struct ex_ask *ask, const struct ex_ip *dst, uint16_t port,
			      uint8_t proto, bool speaks, ex_ask_fn fn, void *arg);

/* To where the flow goes; fn gets s, and calls ex_side_dialled(). */
EX_MUST_CHECK int ex_side_dial(struct ex_side *s, struct ex_ask *ask, const struct ex_flow *flow,
			       bool speaks, ex_ask_fn fn);

/*
 * Takes the answer: 0, and s is connecting, or connected already; or negative errno. With tls TLS
 * comes first; without, what waits in s->out is sent at once when it can be.
 */
EX_MUST_CHECK int ex_side_dialled(struct ex_side *s, struct ex_loop *loop,
				  const union ex_ipc_message *answer, int *passed, bool tls);

/* It is connected: TLS begins. See ex_tls_connect(). */
EX_MUST_CHECK int ex_side_start_tls(struct ex_side *s, struct ex_tls *tls, struct ex_span name,
				    uint32_t identity, bool alpn_h2);

/* Goes on with TLS; the parent is asked for signatures. 1 = done, 0 = waiting, negative errno. */
int ex_side_shake_hands(struct ex_side *s, struct ex_ask *ask);

/* Closes it, however far it is: nothing that was asked for it comes any more. */
void ex_side_hang_up(struct ex_side *s, struct ex_loop *loop, struct ex_ask *ask);

#endif
