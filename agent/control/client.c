/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "agent/control/client.h"
#include "agent/control/control.h"
#include "agent/core/buf.h"
#include "agent/core/loop.h"
#include "agent/core/sockaddr.h"

#define LINE_MAX_LEN (EX_CONTROL_ANSWER_MAX + 1024)
#define SEND_S       5

struct ex_control_stream {
	int fd;
	struct ex_buf in;
	size_t consume; /* of the line given out last */
};

static int EX_PRINTF(4, 5)
	fail(struct ex_control_error *err, int r, const char *code, const char *fmt, ...)
{
	va_list ap;

	snprintf(err->code, sizeof(err->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return r;
}

/* Nobody but root or ourselves may answer: anybody can take an abstract name. */
static bool is_trusted(int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

/* Why nobody may be there. */
static const char *remedy(const char *path, int err)
{
	if (err == EACCES)
		return " (for root and the group of the agent's socket only)";
	if (err != ENOENT && err != ECONNREFUSED)
		return "";
	return path[0] == '@' ? " (no run has this PID)"
			      : " (is 'exeat agent' running? --socket PATH, if not there)";
}

static int dial(const char *path, struct ex_control_error *err)
{
	EX_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa;
	socklen_t len = ex_sockaddr_unix(path, &sa);
	int r;

	if (fd < 0)
		return fail(err, -errno, "unreachable", "socket: %s", strerror(errno));
	if (!len)
		return fail(err, -ENAMETOOLONG, "unreachable", "%s: not a socket's path", path);
	/* The queue of an agent that hangs may be full: neither connecting nor asking waits on. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = SEND_S },
		       sizeof(struct timeval)) < 0)
		return fail(err, -errno, "unreachable", "%s: %s", path, strerror(errno));
	if (connect(fd, (struct sockaddr *)&sa, len) < 0) {
		r = -errno;
		return fail(err, r, "unreachable", "%s: %s%s", path, strerror(-r),
			    remedy(path, -r));
	}
	if (!is_trusted(fd))
		return fail(err, -EPERM, "unreachable", "%s: somebody else answers there", path);
	return EX_TAKE_FD(fd);
}

static int send_request(int fd, struct ex_span request, struct ex_control_error *err)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)request.ptr, request.len },
				{ (char[]){ '\n' }, 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t left = request.len + 1;

	while (left) {
		ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);

		/* It may be refused before it was read: the reason waits to be read. */
		if (n < 0 && errno == EPIPE)
			return 0;
		if (n < 0 && errno != EINTR)
			return fail(err, -errno, "unreachable", "send: %s", strerror(errno));
		for (int i = 0; i < 2 && n > 0; i++) {
			size_t part = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;

			iov[i].iov_base = (char *)iov[i].iov_base + part;
			iov[i].iov_len -= part;
			left -= part;
			n -= (ssize_t)part;
		}
	}
	return 0;
}

int ex_control_stream_open(const char *path, struct ex_span request, struct ex_control_stream **ret,
			   struct ex_control_error *err)
{
	struct ex_control_stream *s;
	int fd = dial(path, err), r;

	if (fd < 0)
		return fd;
	r = send_request(fd, request, err);
	s = r < 0 ? NULL : calloc(1, sizeof(*s));
	if (!s) {
		close(fd);
		return r < 0 ? r : fail(err, -ENOMEM, "unreachable", "out of memory");
	}
	s->fd = fd;
	*ret = s;
	return 0;
}

void ex_control_stream_close(struct ex_control_stream *s)
{
	if (!s)
		return;
	close(s->fd);
	ex_buf_done(&s->in);
	free(s);
}

/* More bytes: their number, 0 = the other side closed, or negative errno. */
static int fill(struct ex_control_stream *s, int64_t until, struct ex_control_error *err)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	char *room = ex_buf_reserve(&s->in, 65536);
	int64_t left = until - (int64_t)ex_clock_ms();
	ssize_t n;
	int r;

	if (!room)
		return fail(err, -ENOMEM, "protocol", "out of memory");
	r = poll(&p, 1, until < 0 ? -1 : left > 0 ? (int)left : 0);
	if (r == 0)
		return fail(err, -ETIMEDOUT, "timeout", "no answer in time");
	n = r < 0 ? -1 : recv(s->fd, room, 65536, 0);
	if (n < 0)
		return errno == ECONNRESET ? 0
					   : fail(err, -errno, "protocol", "%s", strerror(errno));
	ex_buf_commit(&s->in, (size_t)n);
	return (int)n;
}

/* A line {"ok":false,...} is the end of a call, whatever it was to be. */
static int judge_line(struct ex_span line, struct ex_control_error *err)
{
	static const char refused[] = "{\"ok\":false";
	const struct ex_jv *e;
	struct ex_jv *tree;
	char text[EX_JV_ERROR_MAX];
	const char *code, *message;

	if (line.len < sizeof(refused) - 1 || memcmp(line.ptr, refused, sizeof(refused) - 1) != 0)
		return 1;
	if (ex_jv_read(line, &tree, text) < 0)
		return fail(err, -EREMOTEIO, "protocol", "the answer is not JSON");
	e = ex_jv_get(tree, "error");
	code = ex_jv_string(e, "code");
	message = ex_jv_string(e, "message");
	fail(err, 0, code ? code : "protocol", "%s", message ? message : "");
	ex_jv_free(tree);
	return -EREMOTEIO;
}

int ex_control_stream_next(struct ex_control_stream *s, int timeout_ms, struct ex_span *ret,
			   struct ex_control_error *err)
{
	int64_t until = timeout_ms < 0 ? -1 : (int64_t)ex_clock_ms() + timeout_ms;
	size_t scanned = 0;
	int r;

	ex_buf_consume(&s->in, s->consume);
	s->consume = 0;
	for (;;) {
		size_t len = ex_buf_len(&s->in);
		const char *bytes = ex_buf_ptr(&s->in);
		const char *newline =
			len > scanned ? memchr(bytes + scanned, '\n', len - scanned) : NULL;

		if (newline) {
			*ret = (struct ex_span){ bytes, (size_t)(newline - bytes) };
			s->consume = ret->len + 1;
			return judge_line(*ret, err);
		}
		if (len > LINE_MAX_LEN)
			return fail(err, -EMSGSIZE, "protocol", "the line is too long");
		scanned = len;
		r = fill(s, until, err);
		if (r <= 0)
			return r;
	}
}

int ex_control_call(const char *path, struct ex_span request, int timeout_ms, struct ex_jv **ret,
		    struct ex_control_error *err)
{
	struct ex_jv *answer = NULL;
	struct ex_control_stream *s;
	char text[EX_JV_ERROR_MAX];
	struct ex_span line;
	int r = ex_control_stream_open(path, request, &s, err);

	if (r < 0)
		return r;
	r = ex_control_stream_next(s, timeout_ms, &line, err);
	if (r == 0)
		r = fail(err, -EPIPE, "protocol", "the connection ended before the answer");
	else if (r > 0)
		r = ex_jv_read(line, &answer, text) < 0
			    ? fail(err, -EBADMSG, "protocol", "the answer is not JSON: %s", text)
			    : 0;
	ex_control_stream_close(s);
	if (ret && r == 0)
		*ret = EX_TAKE_PTR(answer);
	ex_jv_free(answer);
	return r;
}
