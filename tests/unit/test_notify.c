/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told, at either kind of socket it may name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "agent/core/sockaddr.h"
#include "agent/node/notify.h"

static void check_told(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a;
	socklen_t len = ex_sockaddr_unix(path, &a);
	char text[32];

	assert_true(fd >= 0 && len > 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	ex_notify("READY=1");
	assert_int_equal(recv(fd, text, sizeof(text), 0), 7);
	assert_memory_equal(text, "READY=1", 7);
	close(fd);
}

static void test_a_file_and_a_name_are_told(void **state)
{
	char dir[] = "/tmp/exeat-notify-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	check_told(path);
	unlink(path);
	snprintf(path, sizeof(path), "@%s", dir + 1);
	check_told(path);
	rmdir(dir);
}

static void test_nobody_who_cannot_be_there_is_told(void **state)
{
	char path[256];

	(void)state;
	memset(path, 'x', 255);
	path[0] = '/';
	path[255] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	ex_notify("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	ex_notify("READY=1");
	unsetenv("NOTIFY_SOCKET");
	ex_notify("READY=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_and_a_name_are_told),
		cmocka_unit_test(test_nobody_who_cannot_be_there_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
