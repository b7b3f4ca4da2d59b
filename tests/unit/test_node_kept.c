/* SPDX-License-Identifier: Apache-2.0 */
/* The last valid set of policies on disk: as it was, of the same directories, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/node/kept.h"
#include "tests/unit/scratch.h"

static char dir[] = "/tmp/exeat-kept-XXXXXX", state_dir[] = "/tmp/exeat-state-XXXXXX";
static const char *const dirs[] = { dir, state_dir };
static const struct ex_kept_from from_one = { dirs, 1 }, from_both = { dirs, 2 };
static struct ex_policy_files *files, *kept;

static int set_up(void **state)
{
	char path[64], err[EX_POLICY_FILES_ERR];
	FILE *f;

	(void)state;
	if (scratch_new(dir) < 0 || scratch_new(state_dir) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/a.yaml", dir);
	f = fopen(path, "we");
	if (!f || fputs("kind: A\n", f) < 0 || fclose(f) != 0)
		return -1;
	return ex_policy_files_read(dirs, 1, NULL, &files, err);
}

static int tear_down(void **state)
{
	(void)state;
	ex_policy_files_free(files);
	ex_policy_files_free(kept);
	files = kept = NULL;
	return scratch_remove(dir) | scratch_remove(state_dir);
}

static void test_what_is_read_is_what_was_written(void **state)
{
	(void)state;
	assert_int_equal(ex_kept_read(state_dir, from_one, &kept), -ENOENT);
	assert_int_equal(ex_kept_write(state_dir, from_one, files), 0);
	assert_int_equal(ex_kept_read(state_dir, from_one, &kept), 0);
	assert_true(ex_policy_files_equal(kept, files));
}

static void test_refuse_a_set_of_other_directories(void **state)
{
	static const char *const other[] = { "/elsewhere" };

	(void)state;
	assert_int_equal(ex_kept_write(state_dir, from_one, files), 0);
	assert_int_equal(ex_kept_read(state_dir, (struct ex_kept_from){ other, 1 }, &kept),
			 -ESTALE);
	assert_int_equal(ex_kept_read(state_dir, from_both, &kept), -ESTALE);
	assert_int_equal(ex_kept_write(state_dir, from_both, files), 0);
	assert_int_equal(ex_kept_read(state_dir, from_one, &kept), -ESTALE);
	assert_int_equal(ex_kept_read(state_dir, from_both, &kept), 0);
}

static void test_refuse_a_set_that_is_cut_anywhere(void **state)
{
	char path[64];
	struct stat st;

	(void)state;
	assert_int_equal(ex_kept_write(state_dir, from_one, files), 0);
	(void)snprintf(path, sizeof(path), "%s/policies", state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	for (off_t len = st.st_size - 1; len >= 0; len--) {
		assert_int_equal(truncate(path, len), 0);
		assert_true(ex_kept_read(state_dir, from_one, &kept) < 0);
	}
}

static void test_what_cannot_be_written_leaves_nothing_older(void **state)
{
	char tmp[64];

	(void)state;
	assert_int_equal(ex_kept_write(state_dir, from_one, files), 0);
	(void)snprintf(tmp, sizeof(tmp), "%s/policies.new", state_dir);
	assert_int_equal(mkdir(tmp, 0700), 0); /* in the way */
	assert_true(ex_kept_write(state_dir, from_one, files) < 0);
	assert_int_equal(ex_kept_read(state_dir, from_one, &kept), -ENOENT);
}

static void test_without_a_descriptor_nothing_older_is_left_either(void **state)
{
	struct rlimit was, none;
	int r;

	(void)state;
	assert_int_equal(ex_kept_write(state_dir, from_one, files), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 0, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = ex_kept_write(state_dir, from_one, files);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(ex_kept_read(state_dir, from_one, &kept), -ENOENT);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_what_is_read_is_what_was_written),
		T(test_refuse_a_set_of_other_directories),
		T(test_refuse_a_set_that_is_cut_anywhere),
		T(test_what_cannot_be_written_leaves_nothing_older),
		T(test_without_a_descriptor_nothing_older_is_left_either),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
