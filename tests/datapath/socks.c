/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/datapath/socks.h"

struct sockaddr_storage socks_address(const char *text, uint16_t port, socklen_t *len)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*len = sizeof(*in);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		*len = sizeof(*in6);
	}
	return ss;
}

int socks_transparent(int type, const char *text, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage ss = socks_address(text, port, &len);
	int fd = socket(ss.ss_family, type | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	if (ss.ss_family == AF_INET) {
		assert_return_code(setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof(one)), 0);
		assert_return_code(setsockopt(fd, SOL_IP, IP_RECVORIGDSTADDR, &one, sizeof(one)),
				   0);
	} else {
		assert_return_code(setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &one, sizeof(one)),
				   0);
		assert_return_code(setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &one, sizeof(one)), 0);
		assert_return_code(
			setsockopt(fd, SOL_IPV6, IPV6_RECVORIGDSTADDR, &one, sizeof(one)), 0);
	}
	if (type == SOCK_STREAM) /* a test before may have left a connection in TIME_WAIT */
		assert_return_code(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_return_code(bind(fd, (struct sockaddr *)&ss, len), 0);
	if (type == SOCK_STREAM)
		assert_return_code(listen(fd, 16), 0);
	return fd;
}

static int wait_connected(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(int);
	int error = 0;

	if (poll(&wait, 1, SOCKS_WAIT_MS) == 0)
		return ETIMEDOUT;
	assert_return_code(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	return error;
}

static int finish(int fd, const char *text, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage ss = socks_address(text, port, &len);
	int error = 0;

	if (connect(fd, (struct sockaddr *)&ss, len) < 0)
		error = errno == EINPROGRESS ? wait_connected(fd) : errno;
	if (!error)
		return fd;
	close(fd);
	return -error;
}

int socks_connect(int type, const char *text, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage ss = socks_address(text, port, &len);
	int fd = socket(ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	return finish(fd, text, port);
}

int socks_connect_from(int type, const char *from, uint16_t from_port, const char *text,
		       uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage ss = socks_address(from, from_port, &len);
	int fd = socket(ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	assert_true(fd >= 0);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	if (ss.ss_family == AF_INET)
		assert_return_code(setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof(one)), 0);
	else
		assert_return_code(setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &one, sizeof(one)),
				   0);
	assert_return_code(bind(fd, (struct sockaddr *)&ss, len), 0);
	return finish(fd, text, port);
}

int socks_accept(int listener)
{
	int fd;

	socks_assert_readable(listener);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

void socks_assert_readable(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&wait, 1, SOCKS_WAIT_MS), 1);
}

void socks_assert_says(int fd, const char *expected)
{
	char buf[64];
	ssize_t n;

	socks_assert_readable(fd);
	n = recv(fd, buf, sizeof(buf), 0);
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(buf, expected, (size_t)n);
}

void socks_say(int fd, const char *words)
{
	assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
}

void socks_assert_talk(int one, int other)
{
	socks_say(one, "ping");
	socks_assert_says(other, "ping");
	socks_say(other, "pong");
	socks_assert_says(one, "pong");
}

void socks_assert_peer(int fd, const char *text)
{
	struct sockaddr_storage ss = { 0 };
	char got[INET6_ADDRSTRLEN];
	socklen_t len = sizeof(ss);

	assert_return_code(getpeername(fd, (struct sockaddr *)&ss, &len), 0);
	if (ss.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&ss)->sin_addr, got, sizeof(got));
	else
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&ss)->sin6_addr, got, sizeof(got));
	assert_string_equal(got, text);
}
