/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client: a line in, a call, its lines out, the next line. While a call is answered nothing is
 * read, so a client that asks faster than it is answered waits in its own socket buffer. Memory of
 * a connection: one request, and one answer or the backlog of a stream.
 *
 * Everything that ends a connection or begins a call happens in its deferred work, never inside
 * a call's own functions: an op may end its call at once without being called back.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "agent/control/control_priv.h"

#define IDLE_MS     60000 /* without a whole request, or without room made for an answer */
#define BACKLOG_MAX (256 * 1024)
#define READ_SIZE   16384

/* ---- calls ---- */

static void call_free(struct ex_call *call)
{
	ex_jv_free(call->request);
	ex_json_wipe(&call->result);
	free(call);
}

/* The call is over: its connection may take the next request, or end. */
static void call_finish(struct ex_call *call)
{
	struct ex_control_conn *conn = call->conn;

	if (conn) {
		conn->call = NULL;
		ex_defer(conn->control->loop, &conn->work);
	}
	call_free(call);
}

const struct ex_jv *ex_call_request(const struct ex_call *call)
{
	return call->request;
}

const struct ucred *ex_call_peer(const struct ex_call *call)
{
	return &call->peer;
}

struct ex_json *ex_call_result(struct ex_call *call)
{
	return &call->result;
}

static void send_error(struct ex_control_conn *conn, const char *code, const char *message)
{
	char line[4096]; /* message (512) with every byte escaped */
	size_t n = ex_control_error_line(line, sizeof(line), code, message);

	if (!n || ex_buf_append(&conn->out, line, n) < 0)
		conn->dead = true;
	ex_defer(conn->control->loop, &conn->work);
}

void ex_call_ok(struct ex_call *call)
{
	struct ex_control_conn *conn = call->conn;
	struct ex_json *j = &call->result;
	static const char head[] = "{\"ok\":true,\"result\":{", tail[] = "}}\n";

	if (conn && ex_json_done(j) < 0)
		send_error(conn, "too-large", "the answer is too long");
	else if (conn && (ex_buf_append(&conn->out, head, sizeof(head) - 1) < 0 ||
			  ex_buf_append(&conn->out, j->out, j->len) < 0 ||
			  ex_buf_append(&conn->out, tail, sizeof(tail) - 1) < 0))
		conn->dead = true; /* no memory: half an answer must not be read as one */
	call_finish(call);
}

void ex_call_error(struct ex_call *call, const char *code, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (call->conn)
		send_error(call->conn, code, message);
	call_finish(call);
}

int ex_call_send(struct ex_call *call, struct ex_span line)
{
	struct ex_control_conn *conn = call->conn;
	char *room;

	if (!conn || conn->dead)
		return -EPIPE;
	if (ex_buf_len(&conn->out) + line.len + 1 > BACKLOG_MAX)
		return -ENOBUFS;
	room = ex_buf_reserve(&conn->out, line.len + 1);
	if (!room)
		return -ENOBUFS;
	memcpy(room, line.ptr, line.len);
	room[line.len] = '\n';
	ex_buf_commit(&conn->out, line.len + 1);
	ex_defer(conn->control->loop, &conn->work);
	return 0;
}

void ex_call_end(struct ex_call *call)
{
	if (call->conn)
		call->conn->ending = true;
	call_finish(call);
}

void ex_call_on_gone(struct ex_call *call, void (*fn)(void *arg, struct ex_call *call), void *arg)
{
	call->gone = fn;
	call->gone_arg = arg;
}

/* Told from the poll of the loop, not from deferred work: others come in between. */
void ex_call_on_room(struct ex_call *call, void (*fn)(void *arg, struct ex_call *call), void *arg)
{
	call->room = fn;
	call->room_arg = arg;
	if (call->conn)
		ex_defer(call->conn->control->loop, &call->conn->work);
}

static void tell_room(struct ex_control_conn *conn)
{
	struct ex_call *call = conn->call;
	void (*fn)(void *arg, struct ex_call *call);

	if (!call || !call->room || conn->dead || ex_buf_len(&conn->out))
		return;
	fn = call->room;
	call->room = NULL;
	fn(call->room_arg, call);
}

/* ---- requests ---- */

static const struct ex_control_op *op_find(const struct ex_control *c, const char *name)
{
	for (size_t i = 0; name && i < c->n_ops; i++)
		if (strcmp(c->ops[i].name, name) == 0)
			return &c->ops[i];
	return NULL;
}

static void begin_call(struct ex_control_conn *conn, struct ex_span line)
{
	const struct ex_control_op *op;
	struct ex_call *call = calloc(1, sizeof(*call));
	char err[EX_JV_ERROR_MAX];
	int r;

	if (!call) {
		conn->dead = true;
		return;
	}
	r = ex_jv_read(line, &call->request, err);
	if (r < 0) {
		send_error(conn, "invalid", r == -EBADMSG ? err : "out of memory");
		call_free(call);
		return;
	}
	op = op_find(conn->control, ex_jv_string(call->request, "op"));
	if (!op) {
		send_error(conn, "unknown-op", "no such op here");
		call_free(call);
		return;
	}
	call->conn = conn;
	call->peer = conn->peer;
	ex_json_init_growing(&call->result, EX_CONTROL_ANSWER_MAX);
	conn->call = call;
	op->fn(op->arg, call);
}

/* The next whole line, if there is one and its turn has come. */
static bool next_request(struct ex_control_conn *conn)
{
	const char *bytes = ex_buf_ptr(&conn->in), *newline;
	size_t len = ex_buf_len(&conn->in);

	if (conn->call || conn->ending || conn->dead || ex_buf_len(&conn->out) || !len)
		return false;
	newline = memchr(bytes + conn->scanned, '\n', len - conn->scanned);
	if (newline) {
		size_t n = (size_t)(newline - bytes);

		begin_call(conn, (struct ex_span){ bytes, n });
		ex_buf_consume(&conn->in, n + 1);
		conn->scanned = 0;
		return true;
	}
	conn->scanned = len;
	if (len > EX_CONTROL_LINE_MAX) {
		send_error(conn, "too-large", "the request is too long");
		conn->ending = true;
	}
	return false;
}

/* ---- bytes ---- */

static void read_some(struct ex_control_conn *conn)
{
	char *room = ex_buf_reserve(&conn->in, READ_SIZE);
	ssize_t n;

	if (!room) {
		conn->dead = true;
		return;
	}
	n = recv(conn->watch.fd, room, READ_SIZE, MSG_DONTWAIT);
	if (n > 0)
		ex_buf_commit(&conn->in, (size_t)n);
	else if (n == 0)
		conn->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		conn->dead = true;
}

/* True when something was written. */
static bool write_some(struct ex_control_conn *conn)
{
	bool progress = false;

	while (!conn->dead && ex_buf_len(&conn->out)) {
		ssize_t n = send(conn->watch.fd, ex_buf_ptr(&conn->out), ex_buf_len(&conn->out),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			ex_buf_consume(&conn->out, (size_t)n);
			progress = true;
		} else if (n < 0 && errno == EAGAIN) {
			break;
		} else if (n < 0 && errno != EINTR) {
			conn->dead = true;
		}
	}
	if (!ex_buf_len(&conn->out))
		ex_buf_done(&conn->out);
	return progress;
}

static bool is_over(const struct ex_control_conn *conn)
{
	if (conn->dead)
		return true;
	return !conn->call && !ex_buf_len(&conn->out) && (conn->ending || conn->eof);
}

/* Waiting for the other side to read, or to ask; not while an op works on the answer. */
static void set_interest(struct ex_control_conn *conn, bool progress)
{
	struct ex_loop *loop = conn->control->loop;
	bool writing = ex_buf_len(&conn->out) > 0 || (conn->call && conn->call->room);
	bool reading = !writing && !conn->call && !conn->ending && !conn->eof;

	ex_watch_set(loop, &conn->watch, (writing ? EPOLLOUT : 0u) | (reading ? EPOLLIN : 0u));
	if (!writing && !reading)
		ex_timer_stop(loop, &conn->timer);
	else if (progress || !conn->timer.at)
		conn->dead |= ex_timer_start(loop, &conn->timer, IDLE_MS) < 0;
}

static void work(struct ex_defer *d)
{
	struct ex_control_conn *conn = ex_container_of(d, struct ex_control_conn, work);
	bool progress = write_some(conn);

	/* One request a turn: others have theirs in between. */
	if (next_request(conn)) {
		progress = true;
		ex_defer(conn->control->loop, &conn->work);
	}
	set_interest(conn, progress);
	if (is_over(conn) && !conn->work.queued)
		ex_control_conn_free(conn);
}

static void on_ready(struct ex_watch *w, uint32_t events)
{
	struct ex_control_conn *conn = ex_container_of(w, struct ex_control_conn, watch);

	if (events & (EPOLLHUP | EPOLLERR))
		conn->dead = true;
	else if (events & EPOLLIN)
		read_some(conn);
	else if ((events & EPOLLOUT) && !ex_buf_len(&conn->out))
		tell_room(conn);
	ex_defer(conn->control->loop, &conn->work);
}

static void on_idle(struct ex_timer *t)
{
	struct ex_control_conn *conn = ex_container_of(t, struct ex_control_conn, timer);

	conn->dead = true;
	ex_defer(conn->control->loop, &conn->work);
}

/* ---- life ---- */

int ex_control_conn_new(struct ex_control *c, int fd, const struct ucred *peer)
{
	struct ex_control_conn *conn = calloc(1, sizeof(*conn));
	int r;

	if (!conn) {
		close(fd);
		return -ENOMEM;
	}
	*conn = (struct ex_control_conn){ .control = c,
					  .peer = *peer,
					  .watch.fn = on_ready,
					  .timer.fn = on_idle,
					  .work.fn = work };
	r = ex_watch_start(c->loop, &conn->watch, fd, EPOLLIN);
	if (r == 0)
		r = ex_timer_start(c->loop, &conn->timer, IDLE_MS);
	if (r < 0) {
		ex_watch_stop(c->loop, &conn->watch);
		close(fd);
		free(conn);
		return r;
	}
	conn->next = c->conns;
	conn->link = &c->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	c->conns = conn;
	c->n_conns++;
	return 0;
}

void ex_control_conn_free(struct ex_control_conn *conn)
{
	struct ex_control *c = conn->control;
	struct ex_call *call = conn->call;
	int fd = conn->watch.fd;

	if (call) {
		call->conn = NULL;
		if (call->gone)
			call->gone(call->gone_arg, call);
	}
	ex_timer_stop(c->loop, &conn->timer);
	ex_watch_stop(c->loop, &conn->watch);
	close(fd);
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	c->n_conns--;
	ex_buf_done(&conn->in);
	ex_buf_done(&conn->out);
	free(conn);
}
