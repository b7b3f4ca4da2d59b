/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>

#include "agent/core/ipc.h"

union control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int ex_ipc_send(int fd, const void *msg, size_t len, int pass, bool wait)
{
	struct iovec iov = { .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { 0 };

	memcpy(&iov.iov_base, &msg, sizeof(msg)); /* sendmsg() does not write through it */
	if (pass >= 0) {
		struct cmsghdr *c;

		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(int));
	}
	for (;;) {
		ssize_t n = sendmsg(fd, &mh, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));

		if (n >= 0)
			return (size_t)n == len ? 0 : -EMSGSIZE;
		if (errno != EINTR)
			return -errno;
	}
}

/*
 * The one descriptor that came along, or -1. More than one is not in the protocol: all are closed,
 * and *ret_many says so.
 */
static int received_fd(struct msghdr *mh, bool *ret_many)
{
	int fd = -1, one;

	*ret_many = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			memcpy(&one, (char *)c + at, sizeof(int));
			if (fd >= 0) {
				close(one);
				*ret_many = true;
			} else {
				fd = one;
			}
		}
	}
	return fd;
}

ssize_t ex_ipc_take(int fd, void *buf, size_t size, int *ret_fd)
{
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	union control control = { 0 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };
	bool many;
	ssize_t n;
	int passed;

	do {
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	passed = received_fd(&mh, &many);
	if (many || (mh.msg_flags & MSG_TRUNC) || ((mh.msg_flags & MSG_CTRUNC) && !ret_fd) ||
	    (passed >= 0 && !ret_fd)) {
		if (passed >= 0)
			close(passed);
		return -EBADMSG;
	}
	if (ret_fd)
		*ret_fd = passed;
	return n;
}
