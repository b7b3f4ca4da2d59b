/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "agent/audit/pack.h"
#include "agent/core/ring.h"
#include "agent/proxy/ask.h"

#define WAITING_MAX 1024 /* asked or queued; each is bounded by a connection or a DNS question */
#define ROOM_MS     1    /* between two looks whether the parent has made room for a record */

struct question {
	struct question *next;
	uint32_t id;
	ex_ask_fn fn; /* NULL when cancelled */
	void *arg;
	bool sent;
	size_t len;
	union ex_ipc_message msg[];
};

struct ex_ask {
	struct ex_loop *loop;
	struct ex_watch watch;
	int fd;
	uint32_t last_id;
	size_t n_waiting, n_sent;
	struct question *first, **last;
	struct ex_ring ring;  /* of records */
	struct ex_defer wake; /* the parent, when it has to be told of them */
	uint32_t policy; /* the number of the one in force: 0 at the start, then the parent's */
	ex_ask_fn news;
	void *news_arg;
};

static void tell_of_records(struct ex_ask *a)
{
	static const struct ex_ipc_head msg = { .type = EX_IPC_RECORDS };

	if (ex_ring_must_wake(&a->ring) && ex_ipc_send(a->fd, &msg, sizeof(msg), -1, true) < 0)
		ex_loop_quit(a->loop);
}

static void on_turn_over(struct ex_defer *d)
{
	tell_of_records(ex_container_of(d, struct ex_ask, wake));
}

/* No verdict goes unrecorded: everything here waits. False: the parent is gone. */
static bool wait_for_room(struct ex_ask *a)
{
	struct pollfd gone = { .fd = a->fd };

	tell_of_records(a);
	return poll(&gone, 1, ROOM_MS) <= 0;
}

/* Sends what the parent has room for. A send that fails means the parent is gone. */
static void send_queued(struct ex_ask *a)
{
	for (struct question *q = a->first; q && a->n_sent < EX_IPC_WAITING_MAX; q = q->next) {
		if (q->sent)
			continue;
		if (ex_ipc_send(a->fd, q->msg, q->len, -1, true) < 0) {
			ex_loop_quit(a->loop);
			return;
		}
		q->sent = true;
		a->n_sent++;
	}
}

static struct question *take_question(struct ex_ask *a, uint32_t id)
{
	for (struct question **p = &a->first; *p; p = &(*p)->next) {
		struct question *q = *p;

		if (q->id != id || !q->sent)
			continue;
		*p = q->next;
		if (a->last == &q->next)
			a->last = p;
		a->n_waiting--;
		a->n_sent--;
		return q;
	}
	return NULL;
}

/* False: there is none now. */
static bool take_message(struct ex_ask *a)
{
	union ex_ipc_message msg EX_UNSET;
	struct question *q;
	ssize_t n;
	EX_AUTO_CLOSE int fd = -1;

	n = ex_ipc_receive(a->fd, &msg, &fd);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		ex_loop_quit(a->loop);
		return false;
	}
	/* What is recorded from here on was judged by it, or it does not come into force. */
	if (msg.head.type == EX_IPC_RULESET)
		a->policy = msg.head.id;
	if (msg.head.type == EX_IPC_RULESET || msg.head.type == EX_IPC_KNOWN ||
	    msg.head.type == EX_IPC_EXTEND || msg.head.type == EX_IPC_FORGOTTEN ||
	    msg.head.type == EX_IPC_SERVERS) {
		a->news(a->news_arg, &msg, &fd);
		return true;
	}
	q = take_question(a, msg.head.id);
	if (q && q->fn)
		q->fn(q->arg, &msg, &fd);
	free(q);
	send_queued(a);
	return true;
}

static void on_answer(struct ex_watch *w, uint32_t events)
{
	(void)events;
	(void)take_message(ex_container_of(w, struct ex_ask, watch));
}

void ex_ask_drain(struct ex_ask *a)
{
	while (take_message(a))
		;
}

static void no_news(void *arg, const union ex_ipc_message *msg, int *fd)
{
	(void)arg;
	(void)msg;
	(void)fd;
}

void ex_ask_on_news(struct ex_ask *a, ex_ask_fn fn, void *arg)
{
	a->news = fn;
	a->news_arg = arg;
}

int ex_ask_new(struct ex_loop *loop, int fd, int ring, struct ex_ask **ret)
{
	struct ex_ask *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->loop = loop;
	a->fd = fd;
	a->last = &a->first;
	a->watch.fn = on_answer;
	a->wake.fn = on_turn_over;
	a->news = no_news;
	r = ex_ring_map(&a->ring, ring);
	if (r == 0)
		r = ex_watch_start(loop, &a->watch, fd, EPOLLIN);
	if (r < 0) {
		ex_ring_unmap(&a->ring);
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

int ex_ask_send(struct ex_ask *a, union ex_ipc_message *msg, ex_ask_fn fn, void *arg)
{
	size_t len = ex_ipc_size(&msg->head);
	struct question *q;

	if (a->n_waiting == WAITING_MAX)
		return -EBUSY;
	q = malloc(sizeof(*q) + len);
	if (!q)
		return -ENOMEM;
	*q = (struct question){ .id = ++a->last_id, .fn = fn, .arg = arg, .len = len };
	msg->head.id = q->id;
	memcpy(q->msg, msg, len);
	*a->last = q;
	a->last = &q->next;
	a->n_waiting++;
	send_queued(a);
	return 0;
}

void ex_ask_cancel(struct ex_ask *a, const void *arg)
{
	for (struct question *q = a->first; q; q = q->next)
		if (q->arg == arg)
			q->fn = NULL;
}

int ex_ask_ready(struct ex_ask *a, struct ex_span spki)
{
	struct ex_ipc_ready msg = { .head.type = EX_IPC_READY, .spki_len = (uint32_t)spki.len };

	if (spki.len > sizeof(msg.spki))
		return -EMSGSIZE;
	memcpy(msg.spki, spki.ptr, spki.len);
	return ex_ipc_send(a->fd, &msg, sizeof(msg), -1, true);
}

void ex_ask_swapped(struct ex_ask *a, uint32_t id, int err)
{
	struct ex_ipc_done msg = { .head = { EX_IPC_SWAPPED, id }, .err = err };

	if (ex_ipc_send(a->fd, &msg, sizeof(msg), -1, true) < 0)
		ex_loop_quit(a->loop);
}

void ex_ask_audit(struct ex_ask *a, const struct ex_audit_record *rec)
{
	uint8_t packed[EX_AUDIT_PACKED_MAX] EX_UNSET;
	size_t len = ex_audit_pack(rec, packed);

	while (!ex_ring_put(&a->ring, a->policy, packed, len)) {
		if (!wait_for_room(a)) {
			ex_loop_quit(a->loop);
			return;
		}
	}
	ex_defer(a->loop, &a->wake);
}
