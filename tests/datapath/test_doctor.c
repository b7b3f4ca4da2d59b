/* SPDX-License-Identifier: Apache-2.0 */
/* exeat doctor says yes where the other tests here run, and no without privileges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/gate/probe.h"

static int doctor(uid_t uid, char *option)
{
	char *argv[] = { (char[]){ "doctor" }, option, NULL };
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stdout) || (uid && setuid(uid)))
			_exit(99);
		_exit(ex_cmd_doctor(option ? 2 : 1, argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void test_root_can_run(void **state)
{
	(void)state;
	assert_int_equal(doctor(0, NULL), 0);
	assert_int_equal(doctor(0, (char[]){ "-v" }), 0);
}

static void test_nobody_can_not_run(void **state)
{
	(void)state;
	assert_int_equal(doctor(65534, NULL), 1);
}

static void test_unknown_option_is_refused(void **state)
{
	(void)state;
	assert_int_equal(doctor(0, (char[]){ "--cure" }), 125);
	assert_int_equal(doctor(0, (char[]){ "--help" }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_can_run),
		cmocka_unit_test(test_nobody_can_not_run),
		cmocka_unit_test(test_unknown_option_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
