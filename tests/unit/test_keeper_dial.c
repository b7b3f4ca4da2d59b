/* SPDX-License-Identifier: Apache-2.0 */
/* How a socket that leads out is made, towards a listener of this machine. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "agent/keeper/dial.h"

#define SOON_MS  50   /* longer than a handshake here takes */
#define LATER_MS 2000 /* longer than a kernel keeps an acknowledgement back */

static const struct ex_ip here = { .b = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };

static int listener_open(uint16_t *ret_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

/* Has the server heard that it is connected? */
static bool hears(int listener, int ms)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void test_server_hears_of_who_listens_at_once(void **state)
{
	uint16_t port;
	int listener = listener_open(&port), fd;

	(void)state;
	fd = ex_dial(&here, port, IPPROTO_TCP, 0, false);
	assert_true(fd >= 0);
	assert_true(hears(listener, LATER_MS));
	close(fd);
	close(listener);
}

static void test_server_hears_of_who_speaks_with_its_first_bytes(void **state)
{
	uint16_t port;
	int listener = listener_open(&port), fd, peer;
	char got[2];

	(void)state;
	fd = ex_dial(&here, port, IPPROTO_TCP, 0, true);
	assert_true(fd >= 0);
	assert_false(hears(listener, SOON_MS));
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	assert_true(hears(listener, LATER_MS));
	peer = accept(listener, NULL, NULL);
	assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), 1);
	close(peer);
	close(fd);
	close(listener);
}

/* It is put off, not left out. */
static void test_server_hears_of_who_meant_to_speak_and_does_not(void **state)
{
	uint16_t port;
	int listener = listener_open(&port), fd;

	(void)state;
	fd = ex_dial(&here, port, IPPROTO_TCP, 0, true);
	assert_true(fd >= 0);
	assert_true(hears(listener, LATER_MS));
	close(fd);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_hears_of_who_listens_at_once),
		cmocka_unit_test(test_server_hears_of_who_speaks_with_its_first_bytes),
		cmocka_unit_test(test_server_hears_of_who_meant_to_speak_and_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
