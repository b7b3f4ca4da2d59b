/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are written for somebody, where somebody else may have put links. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/core/output.h"
#include "tests/unit/scratch.h"

#define NOBODY 65534

static char dir[] = "/tmp/exeat-output-XXXXXX";

static const char *at(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void link_of(uid_t owner, const char *to, const char *name)
{
	assert_int_equal(symlink(to, at(name)), 0);
	assert_int_equal(lchown(at(name), owner, owner), 0);
}

/* What it has written is in the file of that name. */
static void assert_opens(const char *path, const char *file)
{
	int fd = ex_output_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	struct stat st, there;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	assert_int_equal(stat(at(file), &there), 0);
	assert_int_equal(st.st_ino, there.st_ino);
}

static void assert_refused(const char *path, int err)
{
	assert_int_equal(ex_output_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600), err);
}

static int fill(void **state)
{
	(void)state;
	if (geteuid() != 0 || scratch_new(dir) < 0)
		return -1;
	return mkdir(at("theirs"), 0755) < 0 || chown(at("theirs"), NOBODY, NOBODY) < 0 ||
	       mkdir(at("root"), 0700) < 0;
}

static int empty(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

static void test_a_plain_path_is_made_and_opened(void **state)
{
	(void)state;
	assert_opens(at("theirs/log"), "theirs/log");
	assert_opens(at("theirs/log"), "theirs/log");
	assert_opens(at("theirs//./../theirs/log"), "theirs/log");
	assert_refused(at("nowhere/log"), -ENOENT);
	assert_refused(at("theirs/log/more"), -ENOTDIR);
	assert_refused(at("theirs/"), -EISDIR);
	assert_refused("", -ENOENT);
}

static void test_a_path_from_here(void **state)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(chdir(dir), 0);
	assert_opens("relative", "relative");
	assert_opens("./theirs/../relative", "relative");
	assert_int_equal(fchdir(here), 0);
	close(here);
}

static void test_links_of_root_are_followed(void **state)
{
	char whole[PATH_MAX];

	(void)state;
	link_of(0, "root", "to-root");
	link_of(0, "to-root/log", "to-log");
	snprintf(whole, sizeof(whole), "%s", at("root"));
	link_of(0, whole, "whole");
	assert_opens(at("to-root/log"), "root/log");
	assert_opens(at("to-log"), "root/log");
	assert_opens(at("whole/other"), "root/other");
	link_of(0, "new", "to-new");
	assert_opens(at("to-new"), "new");
}

static void test_links_of_others_are_refused(void **state)
{
	(void)state;
	link_of(NOBODY, "../root", "theirs/dir");
	link_of(NOBODY, "../root/planted", "theirs/file");
	assert_refused(at("theirs/dir/planted"), -ELOOP);
	assert_refused(at("theirs/file"), -ELOOP);
	link_of(0, "theirs/file", "by-way-of");
	assert_refused(at("by-way-of"), -ELOOP);
	assert_int_equal(access(at("root/planted"), F_OK), -1);
}

static void test_links_without_end_are_refused(void **state)
{
	(void)state;
	link_of(0, "round", "round");
	assert_refused(at("round"), -ELOOP);
}

static void test_a_second_name_is_refused_and_nothing_lost(void **state)
{
	char old[PATH_MAX];
	struct stat st;
	int fd;

	(void)state;
	snprintf(old, sizeof(old), "%s", at("root/passwd"));
	fd = open(old, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "kept", 4), 4);
	close(fd);
	assert_int_equal(link(old, at("theirs/name")), 0);
	assert_refused(at("theirs/name"), -EMLINK);
	assert_int_equal(ex_output_open(at("theirs/name"), O_WRONLY | O_TRUNC, 0600), -EMLINK);
	assert_int_equal(stat(old, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(unlink(at("theirs/name")), 0);
	fd = ex_output_open(old, O_WRONLY | O_TRUNC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(stat(old, &st), 0);
	assert_int_equal(st.st_size, 0);
}

static void test_what_is_open_is_named_by_proc(void **state)
{
	char path[64];
	int pipes[2], fd;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[1]);
	fd = ex_output_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(pipes[0], path, 1), 1);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_not_when_it_is_there_if_it_must_be_new(void **state)
{
	(void)state;
	assert_opens(at("there"), "there");
	assert_int_equal(ex_output_open(at("there"), O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
}

/* Both write to a file: the log by its name, and who has it as standard error. */
static void test_a_log_and_standard_error_do_not_write_over_each_other(void **state)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), file, log, fits;
	char text[32] = "";

	(void)state;
	file = open(at("both"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(saved >= 0 && file >= 0);
	assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
	log = ex_output_append("/dev/stderr");
	fits = log >= 0 && fcntl(log, F_GETFD) == FD_CLOEXEC && write(log, "one ", 4) == 4 &&
	       write(STDERR_FILENO, "two ", 4) == 4 && write(log, "three", 5) == 5;
	close(log);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
	assert_true(fits);
	assert_int_equal(pread(file, text, sizeof(text) - 1, 0), 13);
	assert_string_equal(text, "one two three");
	close(file);
}

static void test_a_log_is_appended_to(void **state)
{
	int log;

	(void)state;
	for (int i = 0; i < 2; i++) {
		log = ex_output_append(at("log"));
		assert_true(log >= 0);
		assert_int_equal(write(log, "line\n", 5), 5);
		assert_int_equal(lseek(log, 0, SEEK_END), 5 * (i + 1));
		close(log);
	}
}

static void test_a_folder_and_the_name_in_it(void **state)
{
	const char *name;
	char path[PATH_MAX];
	struct stat st, there;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s", at("root/log"));
	fd = ex_output_dir(path, &name);
	assert_true(fd >= 0);
	assert_string_equal(name, "log");
	assert_int_equal(fstat(fd, &st) | stat(at("root"), &there), 0);
	assert_int_equal(st.st_ino, there.st_ino);
	close(fd);
	fd = ex_output_dir("log", &name);
	assert_true(fd >= 0);
	assert_string_equal(name, "log");
	assert_int_equal(fstat(fd, &st) | stat(".", &there), 0);
	assert_int_equal(st.st_ino, there.st_ino);
	close(fd);
	snprintf(path, sizeof(path), "%s", at("theirs/dir/log"));
	assert_int_equal(ex_output_dir(path, &name), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_path_is_made_and_opened),
		cmocka_unit_test(test_a_path_from_here),
		cmocka_unit_test(test_links_of_root_are_followed),
		cmocka_unit_test(test_links_of_others_are_refused),
		cmocka_unit_test(test_links_without_end_are_refused),
		cmocka_unit_test(test_a_second_name_is_refused_and_nothing_lost),
		cmocka_unit_test(test_what_is_open_is_named_by_proc),
		cmocka_unit_test(test_not_when_it_is_there_if_it_must_be_new),
		cmocka_unit_test(test_a_log_and_standard_error_do_not_write_over_each_other),
		cmocka_unit_test(test_a_log_is_appended_to),
		cmocka_unit_test(test_a_folder_and_the_name_in_it),
	};

	return cmocka_run_group_tests(tests, fill, empty);
}
