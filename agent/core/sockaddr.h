/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as the system calls of sockets have them. Ports are in host order. */
#ifndef EXEAT_AGENT_CORE_SOCKADDR_H
#define EXEAT_AGENT_CORE_SOCKADDR_H

#include <sys/socket.h>
#include <sys/un.h>

#include "exeat/util.h"

/* The address and port of a socket address; false for other families. */
bool ex_sockaddr_read(const struct sockaddr_storage *ss, struct ex_ip *ip, uint16_t *port);

/* Our end of a socket; of a steered one it is where the workload dialled. */
bool ex_socket_own(int fd, struct ex_ip *ip, uint16_t *port);

/* Both ends of a connected socket. */
bool ex_socket_ends(int fd, struct ex_ip *own, uint16_t *own_port, struct ex_ip *peer,
		    uint16_t *peer_port);

/* Fills ss; returns its length. */
socklen_t ex_sockaddr_write(const struct ex_ip *ip, uint16_t port, struct sockaddr_storage *ss);

/* The same of a unix socket: a path, or "@name", which is abstract. 0: too long, or too short. */
socklen_t ex_sockaddr_unix(const char *path, struct sockaddr_un *ret);

#endif
