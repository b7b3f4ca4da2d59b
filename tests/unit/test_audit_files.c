/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a chained log: rotated, gone on with after a restart, their keys; exeat audit. */
#include "agent/audit/command.h"
#include "tests/unit/audit_log.h"

static void test_chain_goes_on_over_restarts(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		make_log(key_path, i);
	assert_int_equal(verify(), 0);
	assert_string_equal(findings, "");
}

static void test_chain_goes_on_over_rotation(void **state)
{
	struct ex_audit_file_options o = {
		.path = log_path, .key_file = key_path, .rotate_bytes = 2000, .keep = 3
	};
	char names[4][112];
	const char *files[4];
	struct ex_audit_file *f;
	struct stat st;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		snprintf(names[i], sizeof(names[i]), i < 3 ? "%s.%zu" : "%s", log_path, 3 - i);
		files[i] = names[i];
	}
	assert_int_equal(ex_audit_file_open(&o, &f), 0);
	write_records(f, 40);
	ex_audit_file_close(f);
	assert_int_equal(verify_files(files, 4, head_path, key_path), 0);
	assert_non_null(strstr(findings, "note: begins with record"));
	snprintf(names[0], sizeof(names[0]), "%s.4", log_path);
	assert_int_equal(stat(names[0], &st), -1);
	/* a rotated file that is gone */
	snprintf(names[0], sizeof(names[0]), "%s.3", log_path);
	files[1] = files[0];
	assert_true(verify_files(files + 1, 3, head_path, key_path) > 0);
	assert_non_null(strstr(findings, "missing before it"));
}

/* No descriptor is left for the next file, each time it is tried. */
static void test_a_rotation_that_fails_moves_nothing(void **state)
{
	struct ex_audit_file_options o = {
		.path = log_path, .key_file = key_path, .rotate_bytes = 2000, .keep = 3
	};
	const char *files[] = { NULL, NULL, old_path, log_path };
	char oldest[112], older[112];
	struct ex_audit_file *f;
	struct rlimit all, none;

	(void)state;
	snprintf(older, sizeof(older), "%s.2", log_path);
	snprintf(oldest, sizeof(oldest), "%s.3", log_path);
	files[0] = oldest;
	files[1] = older;
	assert_int_equal(ex_audit_file_open(&o, &f), 0);
	while (access(oldest, F_OK) < 0)
		write_records(f, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = all.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	write_records(f, 40);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(access(old_path, F_OK), 0);
	assert_int_equal(verify_files(files, 4, NULL, key_path), 0);
	write_records(f, 40);
	ex_audit_file_close(f);
	assert_int_equal(verify_files(files, 4, head_path, key_path), 0);
}

/* Killed when the older files had moved on: the next rotation closes the gap. */
static void test_a_rotation_that_was_broken_off_loses_no_file(void **state)
{
	struct ex_audit_file_options o = {
		.path = log_path, .key_file = key_path, .rotate_bytes = 2000, .keep = 3
	};
	const char *files[] = { NULL, NULL, old_path, log_path };
	char oldest[112], older[112];
	struct ex_audit_file *f;

	(void)state;
	snprintf(older, sizeof(older), "%s.2", log_path);
	snprintf(oldest, sizeof(oldest), "%s.3", log_path);
	files[0] = oldest;
	files[1] = older;
	assert_int_equal(ex_audit_file_open(&o, &f), 0);
	while (access(older, F_OK) < 0)
		write_records(f, 1);
	ex_audit_file_close(f);
	assert_int_equal(rename(older, oldest), 0);
	assert_int_equal(rename(old_path, older), 0);
	assert_int_equal(ex_audit_file_open(&o, &f), 0);
	while (access(old_path, F_OK) < 0)
		write_records(f, 1);
	ex_audit_file_close(f);
	assert_int_equal(verify_files(files, 4, head_path, key_path), 0);
	assert_null(strstr(findings, "begins with"));
}

static void test_chain_goes_on_when_the_log_was_moved_away(void **state)
{
	const char *files[] = { old_path, log_path };

	(void)state;
	make_log(key_path, 3);
	assert_int_equal(rename(log_path, old_path), 0);
	make_log(key_path, 3);
	assert_int_equal(verify_files(files, 2, head_path, key_path), 0);
}

static void test_keys_are_rotated(void **state)
{
	struct ex_audit_file *f;
	size_t len;
	char *key;

	(void)state;
	f = log_open(key_path);
	write_records(f, 2);
	key = slurp(key_path, &len);
	assert_int_equal(ex_audit_keys_append(key_path), 0);
	assert_int_equal(ex_audit_file_reload_keys(f), 0);
	write_records(f, 2);
	ex_audit_file_close(f);
	assert_int_equal(verify(), 0);
	spill(key_path, key, len); /* the new key is not known */
	free(key);
	assert_found("is signed with key k");
}

/* Of an endpoint that goes before there is room again; the log goes on. */
static void test_what_was_lost_is_told_at_the_end(void **state)
{
	struct ex_audit_options o = { .fd = -1, .terminal = -1, .run = "r" };
	struct ex_audit_record rec = { .verdict = EX_V_DENY, .reason = EX_R_DEFAULT_DENY };
	struct full_disk disk;
	struct ex_audit *a;
	struct stat st;
	size_t len;
	char *text, *at;

	(void)state;
	o.file = log_open(key_path);
	for (int summary = 0; summary < 2; summary++) {
		assert_int_equal(ex_audit_new(&o, &a), 0);
		assert_int_equal(stat(log_path, &st), 0);
		disk = disk_fill((rlim_t)st.st_size + 100);
		ex_audit_write(a, &rec);
		ex_audit_write(a, &rec);
		disk_empty(&disk);
		if (summary)
			ex_audit_summary(a);
		ex_audit_free(a);
		text = slurp(log_path, &len);
		at = strstr(text + st.st_size, "\"type\":\"lost\",\"run\":\"r\",\"seq\":2,"
					       "\"allowed\":0,\"denied\":2,\"lost\":2");
		assert_non_null(at);
		assert_null(strstr(at + 1, "\"type\":\"lost\""));
		assert_int_equal(strstr(at, "\"type\":\"summary\"") != NULL, summary);
		free(text);
	}
	ex_audit_file_close(o.file);
	assert_int_equal(verify(), 0);
}

static void test_a_second_writer_is_refused(void **state)
{
	struct ex_audit_file_options o = { .path = log_path, .key_file = key_path };
	struct ex_audit_file *f = log_open(key_path), *second;

	(void)state;
	assert_int_equal(ex_audit_file_open(&o, &second), -EBUSY);
	ex_audit_file_close(f);
}

/* What is left of a key that could not be written spoils none of those that are there. */
static void test_a_key_that_was_not_written_is_told_and_no_key(void **state)
{
	static struct ex_audit_keys keys;
	struct full_disk disk;
	struct stat st;
	int r;

	(void)state;
	assert_int_equal(stat(key_path, &st), 0);
	disk = disk_fill((rlim_t)st.st_size + 40);
	r = ex_audit_keys_append(key_path);
	disk_empty(&disk);
	assert_true(r < 0);
	assert_int_equal(ex_audit_keys_load(key_path, &keys), 0);
	assert_int_equal(keys.n, 1);
}

static int command(const char *const *args, int n)
{
	char copy[8][112], *argv[9] = { 0 };

	for (int i = 0; i < n; i++) {
		snprintf(copy[i], sizeof(copy[i]), "%s", args[i]);
		argv[i] = copy[i];
	}
	return ex_cmd_audit(n, argv);
}

#define COMMAND(...) command((const char *const[]){ "audit", __VA_ARGS__ }, 1 + NARGS(__VA_ARGS__))
#define NARGS(...)   ((int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)))

static void test_attack_100_a_rotated_file_that_is_gone_is_missed(void **state)
{
	char older[112];

	(void)state;
	snprintf(older, sizeof(older), "%s.2", log_path);
	make_log(key_path, 3);
	assert_int_equal(rename(log_path, older), 0);
	make_log(key_path, 3);
	assert_int_equal(rename(log_path, old_path), 0);
	make_log(key_path, 3);
	assert_int_equal(COMMAND("verify", "--key", key_path, log_path), 0);
	assert_int_equal(unlink(old_path), 0);
	assert_int_equal(COMMAND("verify", "--key", key_path, log_path), 1);
}

static void test_command_tells_by_its_exit_status(void **state)
{
	struct lines l;

	(void)state;
	make_log(key_path, 3);
	assert_int_equal(rename(log_path, old_path), 0);
	make_log(key_path, 3);
	assert_int_equal(COMMAND("verify", "--key", key_path, log_path), 0);
	assert_int_equal(COMMAND("verify", "--key", key_path, old_path, log_path), 0);
	assert_int_equal(COMMAND("verify", "--key", key_path, "--no-head", log_path, old_path), 1);
	assert_int_equal(COMMAND("verify", log_path), 1); /* signed, and no key given */
	lines_read(&l);
	l.n--;
	lines_write(&l);
	assert_int_equal(COMMAND("verify", "--key", key_path, log_path), 1);
	assert_int_equal(COMMAND("verify", "--key", key_path, "--no-head", log_path), 0);
	assert_int_equal(unlink(head_path), 0);
	assert_int_equal(COMMAND("verify", "--key", key_path, log_path), 2);
	assert_int_equal(COMMAND("verify", "--key", dir, log_path), 2);
	assert_int_equal(COMMAND("verify"), 2);
	assert_int_equal(COMMAND("no-such"), 2);
	assert_int_equal(COMMAND("key", key_path), 0);
	assert_int_equal(COMMAND("--help"), 0);
}

static void test_a_comment_in_a_key_file_may_be_long(void **state)
{
	static const char key[] =
		" k%d 0000000000000000000000000000000000000000000000000000000000000000\n";
	static struct ex_audit_keys keys;
	char text[1024];
	int n;

	(void)state;
	for (int len = 200; len < 300; len++) {
		n = snprintf(text, sizeof(text), "#%0*d", len, 0);
		n += snprintf(text + n, sizeof(text) - (size_t)n, key, 1);
		n += snprintf(text + n, sizeof(text) - (size_t)n, key, 2);
		spill(key_path, text, (size_t)n);
		assert_int_equal(ex_audit_keys_load(key_path, &keys), 0);
		assert_int_equal(keys.n, 1);
		assert_string_equal(keys.list[0].id, "k2");
	}
}

static void test_key_files_are_checked(void **state)
{
	static const char *const bad[] = {
		"",
		"# none\n",
		"k1\n",
		"k1 00\n",
		"k1 zz\n",
		"k/1 "
		"0000000000000000000000000000000000000000000000000000000000000000\n",
		"k1 0000000000000000000000000000000000000000000000000000000000000000\n"
		"k1 0000000000000000000000000000000000000000000000000000000000000000\n",
		"k1 0000000000000000000000000000000000000000000000000000000000000000 x\n",
		"k1 00000000000000000000000000000000000000000000000000000000000000\n",
	};
	static struct ex_audit_keys keys;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		spill(key_path, bad[i], strlen(bad[i]));
		assert_int_equal(ex_audit_keys_load(key_path, &keys), -EINVAL);
		assert_int_equal(keys.n, 0);
	}
	/* behind a key that was written by hand, without a line break */
	spill(key_path, "k1 0000000000000000000000000000000000000000000000000000000000000000", 67);
	assert_int_equal(ex_audit_keys_append(key_path), 0);
	assert_int_equal(ex_audit_keys_load(key_path, &keys), 0);
	assert_int_equal(keys.n, 2);
	assert_int_equal(ex_audit_keys_append(key_path), 0);
	assert_int_equal(ex_audit_keys_load(key_path, &keys), 0);
	assert_int_equal(keys.n, 3);
	assert_int_equal(chmod(key_path, 0640), 0);
	assert_int_equal(ex_audit_keys_load(key_path, &keys), -EPERM);
	assert_int_equal(ex_audit_keys_append(key_path), -EPERM); /* a key that all may read */
	assert_int_equal(unlink(key_path), 0);
	assert_int_equal(ex_audit_keys_load(key_path, &keys), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chain_goes_on_over_restarts),
		TEST(test_chain_goes_on_over_rotation),
		TEST(test_a_rotation_that_fails_moves_nothing),
		TEST(test_a_rotation_that_was_broken_off_loses_no_file),
		TEST(test_chain_goes_on_when_the_log_was_moved_away),
		TEST(test_keys_are_rotated),
		TEST(test_what_was_lost_is_told_at_the_end),
		TEST(test_a_second_writer_is_refused),
		TEST(test_a_key_that_was_not_written_is_told_and_no_key),
		TEST(test_attack_100_a_rotated_file_that_is_gone_is_missed),
		TEST(test_command_tells_by_its_exit_status),
		TEST(test_a_comment_in_a_key_file_may_be_long),
		TEST(test_key_files_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
