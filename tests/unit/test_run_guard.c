/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a file is that a run goes by. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "agent/run/guard.h"

#define COMMAND 65534u

static char dir[] = "/tmp/exeat-guard-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[2][96];
	static int i;

	i = !i;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static int guard(const char *name)
{
	return ex_guard_file(in_dir(name), COMMAND);
}

static void folder(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(in_dir(name), 0700), 0);
	assert_int_equal(chmod(in_dir(name), mode), 0);
}

static void file(const char *name, uid_t uid, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(fchown(fd, uid, 0), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -1;
	folder("ours", 0755);
	folder("all", 0777);
	folder("sticky", 01777);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "ours/file", "ours/written", "ours/owned", "all/file",
					     "sticky/file" };
	static const char *const links[] = { "to-missing", "to-ours", "to-sticky" };
	static const char *const folders[] = { "ours", "all", "sticky" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		unlink(in_dir(names[i]));
	for (size_t i = 0; i < EX_ARRAY_SIZE(links); i++)
		unlink(in_dir(links[i]));
	for (size_t i = 0; i < EX_ARRAY_SIZE(folders); i++)
		rmdir(in_dir(folders[i]));
	return rmdir(dir);
}

static void test_deny_what_the_command_can_write(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	file("ours/file", 0, 0644);
	file("ours/written", 0, 0646);
	file("ours/owned", COMMAND, 0444);
	file("all/file", 0, 0644);
	file("sticky/file", 0, 0644);
	assert_int_equal(guard("ours/file"), 0);
	assert_int_equal(guard("ours/written"), -EACCES);
	assert_int_equal(guard("ours/owned"), -EACCES);
	assert_int_equal(guard("all/file"), -EACCES);
	assert_int_equal(guard("sticky/file"), 0);
}

static void test_deny_what_is_not_there_and_the_command_can_make(void **state)
{
	(void)state;
	assert_int_equal(guard("ours/missing"), -ENOENT);
	assert_int_equal(guard("sticky/missing"), -EACCES);
	assert_int_equal(guard("sticky/missing/file"), -EACCES);
}

static void test_deny_by_way_of_a_link(void **state)
{
	(void)state;
	assert_int_equal(symlink("ours/missing", in_dir("to-missing")), 0);
	assert_int_equal(symlink("ours", in_dir("to-ours")), 0);
	assert_int_equal(symlink("sticky/missing", in_dir("to-sticky")), 0);
	assert_int_equal(guard("to-missing"), -ENOENT);
	assert_int_equal(guard("to-ours"), 0);
	assert_int_equal(guard("to-sticky"), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deny_what_the_command_can_write),
		cmocka_unit_test(test_deny_what_is_not_there_and_the_command_can_make),
		cmocka_unit_test(test_deny_by_way_of_a_link),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
