/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of tests. Every function fails the test when it cannot do its work. */
#ifndef EXEAT_TESTS_SOCKS_H
#define EXEAT_TESTS_SOCKS_H

#include <stdint.h>
#include <sys/socket.h>

#define SOCKS_WAIT_MS 2000

struct sockaddr_storage socks_address(const char *text, uint16_t port, socklen_t *len);

/* Bound; a TCP one listens; may take any address for its own; UDP tells the original destination.
 */
int socks_transparent(int type, const char *text, uint16_t port);

/* From any address of this namespace, or from `from` if it is not NULL; -errno when it is refused.
 */
int socks_connect(int type, const char *text, uint16_t port);
int socks_connect_from(int type, const char *from, uint16_t from_port, const char *text,
		       uint16_t port);

int socks_accept(int listener);
void socks_assert_readable(int fd);
void socks_assert_says(int fd, const char *expected);
void socks_say(int fd, const char *words);

/* Both ways. */
void socks_assert_talk(int one, int other);
void socks_assert_peer(int fd, const char *text); /* getpeername() has this address */

#endif
