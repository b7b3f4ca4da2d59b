// SPDX-License-Identifier: Apache-2.0
#include "agent/audit/sink.h"

#include <errno.h>
#include <poll.h>

/* Regular files are always ready; a pipe or terminal is when it takes a line without blocking. */
static bool is_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/* Everything, or negative errno; *ret_done bytes went out either way. */
static int write_all(int fd, const char *bytes, size_t len, size_t *ret_done)
{
	*ret_done = 0;
	while (*ret_done < len) {
		ssize_t n;

		if (!is_ready(fd))
			return -EAGAIN;
		n = write(fd, bytes + *ret_done, len - *ret_done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*ret_done += (size_t)n;
	}
	return 0;
}

int ex_audit_sink_line(struct ex_audit_sink *s, const char *line, size_t len)
{
	size_t done = 0;
	int r;

	if (s->fd < 0)
		return 0;
	if (s->torn) {
		r = write_all(s->fd, "\n", 1, &done);
		if (r < 0)
			return r;
		s->torn = false;
	}
	r = write_all(s->fd, line, len, &done);
	if (r < 0 && done > 0)
		s->torn = true;
	return r < 0 && done == len - 1 ? 0 : r; /* only the line break is missing */
}
