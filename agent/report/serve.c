/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, one request at a time: each asks the agent and waits a bounded time. What the agent
 * says comes in a sealed file, so that the length is known before a byte is read.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "agent/core/ipc.h"
#include "agent/report/library.h"
#include "agent/report/serve.h"
#include "agent/report/wire.h"

#define ANSWER_MS   2000
#define TEXT_MAX    (64u << 20)
#define CONNECTIONS 32
#define IDLE_S      10u
#define MEMORY      ((size_t)16384) /* a connection: request head and answer's head */

/* What is used of libmicrohttpd; see library.h. */
static struct {
	__typeof__(MHD_add_response_header) *add_response_header;
	__typeof__(MHD_create_response_from_buffer) *create_response_from_buffer;
	__typeof__(MHD_destroy_response) *destroy_response;
	__typeof__(MHD_queue_response) *queue_response;
	__typeof__(MHD_start_daemon) *start_daemon;
	__typeof__(MHD_stop_daemon) *stop_daemon;
} mhd;

#define SYMBOL(fn)                                                                                 \
	{                                                                                          \
		"MHD_" #fn, offsetof(__typeof__(mhd), fn)                                          \
	}

static const struct ex_symbol symbols[] = {
	SYMBOL(add_response_header), SYMBOL(create_response_from_buffer),
	SYMBOL(destroy_response),    SYMBOL(queue_response),
	SYMBOL(start_daemon),        SYMBOL(stop_daemon),
};

struct ex_serve_http {
	struct MHD_Daemon *daemon;
	int questions;
	uint32_t id;
};

/* ---- asking the agent ---- */

/*
 * The answer to question id: its text, freed by the caller, or NULL. Older answers came too late.
 */
static char *wait_answer(int fd, uint32_t id, struct ex_report_answer *a)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *text = NULL;

	for (int tries = 0; tries < 16 && !text && poll(&p, 1, ANSWER_MS) == 1; tries++) {
		int got = -1;

		if (ex_ipc_take(fd, a, sizeof(*a), &got) != (ssize_t)sizeof(*a)) {
			ex_closep(&got);
			return NULL;
		}
		if (a->id == id && got >= 0 && a->len <= TEXT_MAX) {
			text = malloc((size_t)a->len + 1);
			if (text && pread(got, text, (size_t)a->len, 0) != (ssize_t)a->len) {
				free(text);
				text = NULL;
			}
		}
		if (got >= 0)
			close(got);
		if (a->id == id)
			break;
	}
	return text;
}

static enum MHD_Result answer(struct MHD_Connection *conn, unsigned status, const char *type,
			      char *text, size_t len, bool taken)
{
	struct MHD_Response *res = mhd.create_response_from_buffer(
		len, text, taken ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	enum MHD_Result r = MHD_NO;

	if (!res) {
		if (taken)
			free(text);
		return MHD_NO;
	}
	if (mhd.add_response_header(res, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	    mhd.add_response_header(res, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES)
		r = mhd.queue_response(conn, status, res);
	mhd.destroy_response(res);
	return r;
}

static enum MHD_Result answer_text(struct MHD_Connection *conn, unsigned status, const char *text)
{
	return answer(conn, status, "text/plain; charset=utf-8", (char *)(uintptr_t)text,
		      strlen(text), false);
}

static enum MHD_Result answer_asked(struct ex_serve_http *s, struct MHD_Connection *conn,
				    enum ex_report_what what)
{
	struct ex_report_question q = { .what = what, .id = ++s->id };
	struct ex_report_answer a = { 0 };
	char *text = NULL;

	if (send(s->questions, &q, sizeof(q), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(q))
		text = wait_answer(s->questions, q.id, &a);
	if (!text)
		return answer_text(conn, MHD_HTTP_SERVICE_UNAVAILABLE,
				   "the agent did not answer in time\n");
	return answer(conn, (unsigned)a.status,
		      what == EX_REPORT_METRICS ? "text/plain; version=0.0.4; charset=utf-8"
						: "application/json",
		      text, (size_t)a.len, true);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	static char seen;

	(void)version;
	(void)upload;
	if (!*state) { /* the head only: a body, which nobody needs, is read and left alone */
		*state = &seen;
		return MHD_YES;
	}
	*upload_len = 0;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer_text(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (strcmp(url, "/metrics") == 0)
		return answer_asked(arg, conn, EX_REPORT_METRICS);
	if (strcmp(url, "/healthz") == 0)
		return answer_asked(arg, conn, EX_REPORT_HEALTH);
	return answer_text(conn, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
}

int ex_serve_load(void)
{
	return ex_library_load("libmicrohttpd.so.12", symbols, EX_ARRAY_SIZE(symbols), &mhd);
}

int ex_serve_start(int listener, int questions, struct ex_serve_http **ret)
{
	struct ex_serve_http *s = calloc(1, sizeof(*s));

	if (!s) {
		close(listener);
		return -ENOMEM;
	}
	s->questions = questions;
	s->daemon =
		mhd.start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, s,
				 MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
				 CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY, MHD_OPTION_END);
	if (!s->daemon) {
		close(listener);
		free(s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

void ex_serve_stop(struct ex_serve_http *s)
{
	if (!s)
		return;
	mhd.stop_daemon(s->daemon);
	free(s);
}
