/* SPDX-License-Identifier: Apache-2.0 */
/* Steered datagrams: received with the address they were sent to, answered from that address. */
#ifndef EXEAT_AGENT_PROXY_DATAGRAM_H
#define EXEAT_AGENT_PROXY_DATAGRAM_H

#include "agent/core/sockaddr.h"

struct ex_datagram {
	struct sockaddr_storage from;
	socklen_t from_len;
	struct ex_ip src, dst;
	uint16_t sport, dport; /* host order */
};

/*
 * Bytes received, or negative errno; -EBADMSG when the kernel did not say where it was sent to,
 * -EMSGSIZE when there is no room for all of it: whose it was is known then.
 */
ssize_t ex_datagram_receive(int fd, void *buf, size_t cap, struct ex_datagram *ret);

/* Several at once, of EX_DATAGRAM_BYTES at most: how many, or negative errno. */
#define EX_DATAGRAMS      8
#define EX_DATAGRAM_BYTES 4096

union ex_datagram_control {
	char buf[128];
	struct cmsghdr align;
};

struct ex_datagrams { /* zeroed before it is used first */
	struct ex_datagram at[EX_DATAGRAMS];
	ssize_t len[EX_DATAGRAMS]; /* negative: as ex_datagram_receive() says it of one */
	char bytes[EX_DATAGRAMS][EX_DATAGRAM_BYTES];
	/* What the kernel fills in. Mostly it is one: the others stay ready, the last so many. */
	size_t ready;
	struct mmsghdr v[EX_DATAGRAMS];
	struct iovec iov[EX_DATAGRAMS];
	union ex_datagram_control control[EX_DATAGRAMS];
};
int ex_datagram_receive_many(int fd, struct ex_datagrams *ret);

/* Answers from the address d was sent to (the port is the socket's). Losing it is not an error. */
void ex_datagram_reply(int fd, const struct ex_datagram *d, const void *buf, size_t len);

#endif
