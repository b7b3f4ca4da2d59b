/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>

#include "agent/proxy/datagram.h"

static bool find_destination(struct msghdr *mh, struct ex_datagram *d)
{
	struct sockaddr_storage ss;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR;
		bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR;

		if (!v4 && !v6)
			continue;
		memset(&ss, 0, sizeof(ss));
		memcpy(&ss, CMSG_DATA(c),
		       v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		return ex_sockaddr_read(&ss, &d->dst, &d->dport);
	}
	return false;
}

static struct msghdr message_for(struct ex_datagram *d, struct iovec *iov,
				 union ex_datagram_control *control)
{
	return (struct msghdr){ .msg_name = &d->from,
				.msg_namelen = sizeof(d->from),
				.msg_iov = iov,
				.msg_iovlen = 1,
				.msg_control = control->buf,
				.msg_controllen = sizeof(control->buf) };
}

static bool read_ends(struct msghdr *mh, struct ex_datagram *d)
{
	d->from_len = mh->msg_namelen;
	return ex_sockaddr_read(&d->from, &d->src, &d->sport) && find_destination(mh, d);
}

static ssize_t length_of(struct msghdr *mh, struct ex_datagram *d, size_t len)
{
	if (!read_ends(mh, d))
		return -EBADMSG;
	return mh->msg_flags & MSG_TRUNC ? -EMSGSIZE : (ssize_t)len;
}

ssize_t ex_datagram_receive(int fd, void *buf, size_t cap, struct ex_datagram *ret)
{
	struct iovec iov = { .iov_base = buf, .iov_len = cap };
	union ex_datagram_control control;
	struct msghdr mh = message_for(ret, &iov, &control);
	ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT);

	return n < 0 ? -errno : length_of(&mh, ret, (size_t)n);
}

int ex_datagram_receive_many(int fd, struct ex_datagrams *ret)
{
	int n;

	for (size_t i = 0; i < EX_DATAGRAMS - ret->ready; i++) {
		ret->iov[i] = (struct iovec){ ret->bytes[i], EX_DATAGRAM_BYTES };
		ret->v[i].msg_hdr = message_for(&ret->at[i], &ret->iov[i], &ret->control[i]);
	}
	ret->ready = EX_DATAGRAMS;
	n = recvmmsg(fd, ret->v, EX_DATAGRAMS, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	ret->ready -= (size_t)n;
	for (int i = 0; i < n; i++)
		ret->len[i] = length_of(&ret->v[i].msg_hdr, &ret->at[i], ret->v[i].msg_len);
	return n;
}

void ex_datagram_reply(int fd, const struct ex_datagram *d, const void *buf, size_t len)
{
	struct sockaddr_storage to = d->from;
	struct iovec iov = { .iov_len = len };
	union ex_datagram_control control = { 0 };
	struct msghdr mh = { .msg_name = &to,
			     .msg_namelen = d->from_len,
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf };
	struct in_pktinfo p4 = { 0 };
	struct in6_pktinfo p6 = { 0 };
	bool v4 = ex_ip_is4(&d->dst);
	size_t size = v4 ? sizeof(p4) : sizeof(p6);
	struct cmsghdr *c;

	memcpy(&iov.iov_base, &buf, sizeof(buf)); /* sendmsg() does not write through it */
	memcpy(&p4.ipi_spec_dst, d->dst.b + 12, 4);
	memcpy(&p6.ipi6_addr, d->dst.b, 16);
	mh.msg_controllen = CMSG_SPACE(size);
	c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(size);
	if (v4)
		memcpy(CMSG_DATA(c), &p4, size);
	else
		memcpy(CMSG_DATA(c), &p6, size);
	(void)sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}
