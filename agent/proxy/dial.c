/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/tls/identity.h"

int ex_dial_ask(struct ex_ask *ask, const struct ex_ip *dst, uint16_t port, uint8_t proto,
		bool speaks, ex_ask_fn fn, void *arg)
{
	union ex_ipc_message msg = { .dial = { .head.type = EX_IPC_DIAL,
					       .dst = *dst,
					       .port = port,
					       .proto = proto,
					       .speaks = speaks } };

	return ex_ask_send(ask, &msg, fn, arg);
}

int ex_side_dial(struct ex_side *s, struct ex_ask *ask, const struct ex_flow *flow, bool speaks,
		 ex_ask_fn fn)
{
	int r = ex_dial_ask(ask, &flow->dst, flow->port, IPPROTO_TCP, speaks, fn, s);

	if (r == 0)
		s->state = EX_SIDE_DIALLING;
	return r;
}

/* A server that is near is connected by now: then this spares the wait for the event that says so.
 */
static int try_at_once(struct ex_side *s, int fd)
{
	size_t len = ex_buf_len(&s->out);
	ssize_t n = len ? send(fd, ex_buf_ptr(&s->out), len, MSG_NOSIGNAL) : 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	ex_buf_consume(&s->out, (size_t)n);
	s->wrote |= n > 0;
	return n > 0;
}

int ex_side_dialled(struct ex_side *s, struct ex_loop *loop, const union ex_ipc_message *answer,
		    int *passed, bool tls)
{
	int fd = ex_ipc_passed(answer, EX_IPC_DIALLED, passed), r = 0;

	s->state = EX_SIDE_CLOSED;
	if (fd < 0)
		return fd;
	if (!tls)
		r = try_at_once(s, fd);
	if (r >= 0)
		return ex_side_open(s, loop, fd, r == 0);
	close(fd);
	return r;
}

int ex_side_start_tls(struct ex_side *s, struct ex_tls *tls, struct ex_span name, uint32_t identity,
		      bool alpn_h2)
{
	int r = ex_tls_connect(tls, s->fd, name, identity, alpn_h2, &s->tls);

	if (r == 0)
		s->state = EX_SIDE_HANDSHAKING;
	return r;
}

/* ---- signatures ---- */

static void on_signed(void *arg, const union ex_ipc_message *answer, int *fd)
{
	const struct ex_ipc_signed *msg = &answer->signature;
	struct ex_side *s = arg;
	bool good = answer->head.type == EX_IPC_SIGNED && msg->err == 0 && msg->len &&
		    msg->len <= sizeof(msg->sig);

	(void)fd;
	s->signing = false;
	ex_tls_give_signature(s->tls, good ? msg->sig : NULL, good ? msg->len : 0);
	s->watch.fn(&s->watch, 0);
}

static int ask_for_signature(struct ex_side *s, struct ex_ask *ask)
{
	const struct ex_sign_request *req = ex_tls_wants_signature(s->tls);
	union ex_ipc_message msg = { .sign = { .head.type = EX_IPC_SIGN } };
	int r;

	if (!req || s->signing)
		return 0;
	msg.sign.req = *req;
	r = ex_ask_send(ask, &msg, on_signed, s);
	s->signing = r == 0;
	return r;
}

int ex_side_shake_hands(struct ex_side *s, struct ex_ask *ask)
{
	int r = ex_side_handshake(s);

	return r == 0 ? ask_for_signature(s, ask) : r;
}

void ex_side_hang_up(struct ex_side *s, struct ex_loop *loop, struct ex_ask *ask)
{
	if (s->state == EX_SIDE_DIALLING || s->signing)
		ex_ask_cancel(ask, s);
	ex_side_close(s, loop);
}
