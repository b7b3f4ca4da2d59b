/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>

#include "agent/core/log.h"
#include "agent/core/loop.h"

#define TELL_MS 60000

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* A pipe or terminal is when it takes PIPE_BUF without blocking. */
static bool is_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/* Up to the last line break within max, or else, being longer, up to the first. */
static size_t whole_lines(struct ex_span lines, size_t max)
{
	const char *end;

	if (lines.len <= max)
		return lines.len;
	end = memrchr(lines.ptr, '\n', max);
	if (!end)
		end = memchr(lines.ptr, '\n', lines.len);
	return end ? (size_t)(end + 1 - lines.ptr) : lines.len;
}

static void tell_loss(struct ex_audit_sink *s)
{
	uint64_t now = ex_clock_ms();

	if (!s->log || (s->told_at && now - s->told_at < TELL_MS))
		return;
	s->told_at = now;
	ex_error("records are lost, the audit log cannot be written: %s",
		 s->err == EAGAIN ? "it is not read in time" : strerror(s->err));
}

/* How many bytes went out. A file takes all in one go, whatever else is appended to it. */
static size_t write_all(struct ex_audit_sink *s, struct ex_span lines)
{
	bool file = is_file(s->fd);
	size_t done = 0, until = 0;

	while (done < lines.len) {
		ssize_t n;

		s->err = EAGAIN;
		if (!file && !is_ready(s->fd))
			break;
		if (done == until)
			until += whole_lines((struct ex_span){ lines.ptr + done, lines.len - done },
					     file ? lines.len : PIPE_BUF);
		n = write(s->fd, lines.ptr + done,
			  file || until - done < PIPE_BUF ? until - done : PIPE_BUF);
		if (n < 0 && errno == EINTR)
			continue;
		s->err = n < 0 ? errno : EIO;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done < lines.len)
		tell_loss(s);
	return done;
}

struct ex_span ex_audit_line_take(struct ex_span *lines)
{
	const char *end = memchr(lines->ptr, '\n', lines->len);
	size_t len = end ? (size_t)(end + 1 - lines->ptr) : lines->len;
	struct ex_span line = { lines->ptr, len };

	*lines = (struct ex_span){ lines->ptr + len, lines->len - len };
	return line;
}

size_t ex_audit_lines_count(struct ex_span lines)
{
	size_t n = 0;

	for (; lines.len; n++)
		(void)ex_audit_line_take(&lines);
	return n;
}

size_t ex_audit_sink_lines(struct ex_audit_sink *s, struct ex_span lines)
{
	size_t done, n;

	if (s->fd < 0)
		return ex_audit_lines_count(lines);
	if (s->torn && write_all(s, EX_SPAN("\n")) == 0)
		return 0;
	done = write_all(s, lines);
	s->torn = done > 0 && lines.ptr[done - 1] != '\n';
	n = ex_audit_lines_count((struct ex_span){ lines.ptr, done });
	/* One that lacks no more than its line break is there. */
	return n - (s->torn && done < lines.len && lines.ptr[done] != '\n');
}
