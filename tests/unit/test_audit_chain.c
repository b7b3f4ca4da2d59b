/* SPDX-License-Identifier: Apache-2.0 */
/* Chained logs: whatever is done to one is found; what exeat itself does to one is not blamed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <cmocka.h>

#include "agent/audit/audit.h"
#include "agent/audit/chain.h"
#include "agent/audit/command.h"
#include "agent/audit/file.h"
#include "agent/audit/verify.h"
#include "tests/unit/full_disk.h"
#include "tests/unit/scratch.h"

static char dir[64], log_path[96], key_path[96], head_path[96], old_path[96];

static int setup(void **state)
{
	(void)state;
	memcpy(dir, "/tmp/exeat-test-chain.XXXXXX", 29);
	assert_int_equal(scratch_new(dir), 0);
	snprintf(log_path, sizeof(log_path), "%s/audit.jsonl", dir);
	snprintf(key_path, sizeof(key_path), "%s/key", dir);
	snprintf(head_path, sizeof(head_path), "%s/audit.jsonl.head", dir);
	snprintf(old_path, sizeof(old_path), "%s/audit.jsonl.1", dir);
	return ex_audit_keys_append(key_path);
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

static char *slurp(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	char *s;
	long n;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	s = calloc(1, (size_t)n + 1);
	assert_non_null(s);
	assert_int_equal(fread(s, 1, (size_t)n, f), n);
	fclose(f);
	*ret_len = (size_t)n;
	return s;
}

static void spill(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static struct ex_audit_file *log_open(const char *key)
{
	struct ex_audit_file_options o = { .path = log_path, .key_file = key };
	struct ex_audit_file *f;

	assert_int_equal(ex_audit_file_open(&o, &f), 0);
	return f;
}

static void write_records(struct ex_audit_file *file, int n)
{
	struct ex_audit_options o = { .fd = -1, .file = file, .terminal = -1, .run = "r" };
	struct ex_audit_record rec = { .verdict = EX_V_DENY, .reason = EX_R_DEFAULT_DENY };
	struct ex_audit *a;

	assert_int_equal(ex_audit_new(&o, &a), 0);
	for (int i = 0; i < n; i++) {
		snprintf(rec.name, sizeof(rec.name), "n%d\",\"mac\":\"x\"}", i);
		ex_audit_write(a, &rec);
	}
	ex_audit_free(a);
}

/* A log of a start record and n more. */
static void make_log(const char *key, int n)
{
	struct ex_audit_file *f = log_open(key);

	write_records(f, n);
	ex_audit_file_close(f);
}

static char findings[8192];

/* The number of problems; what was said is in findings. */
static unsigned verify_files(const char *const *files, size_t n, const char *head, const char *key)
{
	static struct ex_audit_keys keys;
	struct ex_audit_verify v = { .files = files, .n_files = n, .head = head, .keys = &keys };
	struct ex_audit_verified result;

	memset(&keys, 0, sizeof(keys));
	memset(findings, 0, sizeof(findings));
	v.out = fmemopen(findings, sizeof(findings) - 1, "w");
	assert_non_null(v.out);
	if (key)
		assert_int_equal(ex_audit_keys_load(key, &keys), 0);
	assert_int_equal(ex_audit_verify(&v, &result), 0);
	fclose(v.out);
	return result.problems;
}

static unsigned verify(void)
{
	const char *files[] = { log_path };

	return verify_files(files, 1, head_path, key_path);
}

static void assert_found(const char *what)
{
	assert_true(verify() > 0);
	if (!strstr(findings, what))
		fail_msg("\"%s\" is not in: %s", what, findings);
}

/* The log as lines; n of them. */
struct lines {
	char *text;
	const char *at[32];
	size_t n;
};

static void lines_read(struct lines *l)
{
	size_t len;

	memset(l, 0, sizeof(*l));
	l->text = slurp(log_path, &len);
	for (char *s = l->text, *nl; (nl = strchr(s, '\n')) && l->n < 32; s = nl + 1) {
		*nl = '\0';
		l->at[l->n++] = s;
	}
}

static void lines_write(struct lines *l)
{
	FILE *f = fopen(log_path, "we");

	assert_non_null(f);
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i])
			fprintf(f, "%s\n", l->at[i]);
	assert_int_equal(fclose(f), 0);
	free(l->text);
}

static void test_whole_log_verifies(void **state)
{
	(void)state;
	make_log(key_path, 5);
	assert_int_equal(verify(), 0);
	assert_string_equal(findings, "");
}

static void test_changed_record_is_found(void **state)
{
	struct lines l;

	(void)state;
	make_log(key_path, 5);
	lines_read(&l);
	memcpy(strstr(l.text + (l.at[2] - l.text), "\"deny\"") + 1, "nope", 4);
	lines_write(&l);
	assert_found("audit.jsonl:3: record 3 was changed");
	assert_int_equal(verify(), 1);
}

static void test_removed_records_are_found(void **state)
{
	struct lines l;

	(void)state;
	make_log(key_path, 6);
	lines_read(&l);
	l.at[2] = l.at[3] = NULL;
	lines_write(&l);
	assert_found("audit.jsonl:3: missing before it: records 3 to 4");
	assert_int_equal(verify(), 1);
}

static void test_reordered_and_repeated_records_are_found(void **state)
{
	struct lines l;
	const char *two;

	(void)state;
	make_log(key_path, 6);
	lines_read(&l);
	two = l.at[2];
	l.at[2] = l.at[3];
	l.at[3] = two;
	lines_write(&l);
	assert_found("record 3 is out of order or repeated");
	lines_read(&l);
	two = l.at[2];
	l.at[2] = l.at[3];
	l.at[3] = two;
	lines_write(&l);
	assert_int_equal(verify(), 0);
	lines_read(&l);
	l.at[l.n++] = l.at[1];
	lines_write(&l);
	assert_found("record 2 is out of order or repeated");
}

static void test_lines_that_were_put_in_are_found(void **state)
{
	struct lines l;

	(void)state;
	make_log(key_path, 3);
	lines_read(&l);
	l.at[1] =
		"{\"time\":\"2026-01-01T00:00:00.000Z\",\"type\":\"verdict\",\"verdict\":\"allow\"}";
	lines_write(&l);
	assert_found("audit.jsonl:2: not a record: put in, or spoiled");
	assert_found("missing before it: records 2 to 2");
}

/* What is said of a forged line goes to a terminal. */
static void test_what_a_line_says_is_shown_escaped(void **state)
{
	static const char zeros[] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	char forged[512];
	struct lines l;

	(void)state;
	make_log(key_path, 3);
	lines_read(&l);
	snprintf(
		forged, sizeof(forged),
		"{\"time\":\"t\",\"type\":\"v\",\"n\":2,\"kid\":\"\x1b[2J\",\"prev\":\"%s\",\"mac\":\"%s\"}",
		zeros, zeros);
	l.at[1] = forged;
	lines_write(&l);
	assert_found("signed with key \\x1b[2J, which");
}

/* What verify says of a line where a torn one may be: before the record of a start. */
static unsigned verify_before_start(const char *line)
{
	struct lines l;
	size_t at = 1;

	assert_int_equal(unlink(log_path), 0);
	assert_int_equal(unlink(head_path), 0);
	make_log(key_path, 2);
	make_log(key_path, 2);
	lines_read(&l);
	while (!strstr(l.at[at], "\"start\""))
		at++;
	memmove(&l.at[at + 1], &l.at[at], (l.n++ - at) * sizeof(l.at[0]));
	l.at[at] = line;
	lines_write(&l);
	return verify();
}

static void test_attack_130_what_is_put_in_does_not_pass_for_torn(void **state)
{
	static const char *const forged[] = {
		"{\"time\":\"2026-01-01T00:00:00.000Z\",\"type\":\"verdict\",\"verdict\":\"allow\"}",
		"{\"time\":\"2026\",\"time\":\"2027\"} ",
		"{\"time\":\"\r{\"type\":\"verdict\"}",
		"{\"time\":\"\\\r{\"type\":\"verdict\"}",
		"{\"time\":\"\\\\\"}",
		"[{\"time\":\"2026",
		"allowed: everything",
	};
	static const char *const torn[] = { "{\"time\":\"2026-\\\"}", "{\"time\":\"2", "{\"t", "" };

	(void)state;
	make_log(key_path, 2);
	for (size_t i = 0; i < EX_ARRAY_SIZE(forged); i++) {
		assert_int_equal(verify_before_start(forged[i]), 1);
		assert_non_null(strstr(findings, "not a record: put in, or spoiled"));
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(torn); i++)
		assert_int_equal(verify_before_start(torn[i]), 0);
}

static void test_attack_100_records_cut_off_the_end_are_found(void **state)
{
	struct lines l;
	const char *files[] = { log_path };

	(void)state;
	make_log(key_path, 5);
	lines_read(&l);
	l.n -= 2;
	lines_write(&l);
	assert_found("missing at the end: records 5 to 6");
	assert_int_equal(verify_files(files, 1, NULL, key_path), 0);
	assert_non_null(strstr(findings, "no head given"));
}

static void test_attack_100_a_cut_is_still_found_after_a_restart(void **state)
{
	struct lines l;

	(void)state;
	make_log(key_path, 5);
	lines_read(&l);
	l.n -= 2;
	lines_write(&l);
	make_log(key_path, 2);
	assert_found("missing before it: records 5 to 6");
	assert_int_equal(verify(), 1);
}

/* Without the head nobody knows where it ended: that does not pass for its end. */
static void test_attack_100_a_cut_is_still_found_when_the_head_went_along(void **state)
{
	static const char *const heads[] = { NULL, "", "rubbish\n" };
	struct lines l;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(heads); i++) {
		make_log(key_path, 5);
		lines_read(&l);
		l.n -= 2;
		lines_write(&l);
		assert_int_equal(unlink(head_path), 0);
		if (heads[i])
			spill(head_path, heads[i], strlen(heads[i]));
		make_log(key_path, 2);
		assert_found("a new chain begins; what was before it cannot be vouched for");
		assert_int_equal(verify(), 1);
		make_log(key_path, 2); /* and goes on */
		assert_int_equal(verify(), 1);
		assert_int_equal(unlink(log_path), 0);
		assert_int_equal(unlink(head_path), 0);
	}
}

static void test_attack_100_every_flipped_bit_is_found(void **state)
{
	size_t len, head_len;
	char *text, *head;

	(void)state;
	make_log(key_path, 3);
	text = slurp(log_path, &len);
	for (size_t i = 0; i < len; i++) {
		text[i] ^= 1 << (i % 7);
		spill(log_path, text, len);
		if (verify() == 0)
			fail_msg("byte %zu was changed and nobody saw it", i);
		text[i] ^= 1 << (i % 7);
	}
	for (size_t i = 0; i < len; i++) { /* every cut */
		spill(log_path, text, i);
		if (verify() == 0 && i != len - 1) /* only the last line break is gone */
			fail_msg("cut at %zu and nobody saw it", i);
	}
	spill(log_path, text, len);
	head = slurp(head_path, &head_len);
	for (size_t i = 0; i < head_len; i++) {
		head[i] ^= 1;
		spill(head_path, head, head_len);
		assert_true(verify() > 0);
		head[i] ^= 1;
	}
	free(head);
	free(text);
}

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

static void test_unkeyed_records_do_not_pass_for_keyed_ones(void **state)
{
	const char *files[] = { log_path };

	(void)state;
	make_log(NULL, 3);
	assert_int_equal(verify_files(files, 1, head_path, NULL), 0);
	assert_found("record 1 is not signed");
}

static void test_another_key_with_the_same_name_does_not_verify(void **state)
{
	size_t len;
	char *key;

	(void)state;
	make_log(key_path, 2);
	key = slurp(key_path, &len);
	key[len - 2] = key[len - 2] == '0' ? '1' : '0';
	spill(key_path, key, len);
	free(key);
	assert_found("record 1 was changed");
}

static void test_a_log_without_anything_to_chain_on_to_begins_anew(void **state)
{
	(void)state;
	spill(log_path, "rubbish\n", 8);
	make_log(key_path, 1);
	assert_found("audit.jsonl:1: not a record");
	assert_int_equal(verify(), 1);
}

static void test_a_full_disk_is_told_and_not_blamed(void **state)
{
	struct ex_audit_options o = { .fd = -1, .terminal = -1, .run = "r" };
	struct ex_audit_record rec = { .verdict = EX_V_DENY, .reason = EX_R_DEFAULT_DENY };
	struct full_disk disk;
	struct stat st;
	struct ex_audit *a;
	size_t len;
	char *text;

	(void)state;
	o.file = log_open(key_path);
	assert_int_equal(ex_audit_new(&o, &a), 0);
	ex_audit_write(a, &rec);
	assert_int_equal(stat(log_path, &st), 0);
	disk = disk_fill((rlim_t)st.st_size + 100);
	ex_audit_write(a, &rec);
	ex_audit_write(a, &rec);
	disk_empty(&disk);
	ex_audit_write(a, &rec);
	ex_audit_free(a);
	ex_audit_file_close(o.file);
	assert_int_equal(verify(), 0);
	assert_non_null(strstr(findings, "note: a torn line"));
	text = slurp(log_path, &len);
	assert_non_null(strstr(text, "\"lost\":2"));
	free(text);
}

/* In the middle of what is written together: the chain goes on from the last that went out. */
static void test_a_disk_that_is_full_within_a_batch_breaks_no_chain(void **state)
{
	struct ex_audit_options o = { .fd = -1, .terminal = -1, .run = "r" };
	struct ex_audit_record rec = { .verdict = EX_V_DENY, .reason = EX_R_DEFAULT_DENY };
	struct full_disk disk;
	struct ex_audit *a;
	size_t len;
	char *text;

	(void)state;
	o.file = log_open(key_path);
	assert_int_equal(ex_audit_new(&o, &a), 0);
	disk = disk_fill(100000);
	ex_audit_hold(a);
	for (int i = 0; i < 1000; i++)
		ex_audit_write(a, &rec);
	ex_audit_release(a);
	disk_empty(&disk);
	ex_audit_hold(a);
	for (int i = 0; i < 1000; i++)
		ex_audit_write(a, &rec);
	ex_audit_release(a);
	ex_audit_free(a);
	ex_audit_file_close(o.file);
	assert_int_equal(verify(), 0);
	assert_non_null(strstr(findings, "note: a torn line"));
	text = slurp(log_path, &len);
	assert_non_null(strstr(text, "\"type\":\"lost\""));
	free(text);
}

static void test_a_crash_within_a_line_is_not_blamed(void **state)
{
	FILE *f;

	(void)state;
	make_log(key_path, 2);
	f = fopen(log_path, "ae");
	assert_non_null(f);
	fputs("{\"time\":\"2026-", f);
	fclose(f);
	make_log(key_path, 2);
	assert_int_equal(verify(), 0);
	assert_non_null(strstr(findings, "note: a torn line"));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_whole_log_verifies),
		TEST(test_changed_record_is_found),
		TEST(test_removed_records_are_found),
		TEST(test_reordered_and_repeated_records_are_found),
		TEST(test_lines_that_were_put_in_are_found),
		TEST(test_what_a_line_says_is_shown_escaped),
		TEST(test_attack_130_what_is_put_in_does_not_pass_for_torn),
		TEST(test_attack_100_records_cut_off_the_end_are_found),
		TEST(test_attack_100_a_cut_is_still_found_after_a_restart),
		TEST(test_attack_100_a_cut_is_still_found_when_the_head_went_along),
		TEST(test_attack_100_every_flipped_bit_is_found),
		TEST(test_chain_goes_on_over_restarts),
		TEST(test_chain_goes_on_over_rotation),
		TEST(test_a_rotation_that_fails_moves_nothing),
		TEST(test_a_rotation_that_was_broken_off_loses_no_file),
		TEST(test_chain_goes_on_when_the_log_was_moved_away),
		TEST(test_keys_are_rotated),
		TEST(test_unkeyed_records_do_not_pass_for_keyed_ones),
		TEST(test_another_key_with_the_same_name_does_not_verify),
		TEST(test_a_log_without_anything_to_chain_on_to_begins_anew),
		TEST(test_a_full_disk_is_told_and_not_blamed),
		TEST(test_a_disk_that_is_full_within_a_batch_breaks_no_chain),
		TEST(test_a_crash_within_a_line_is_not_blamed),
		TEST(test_a_second_writer_is_refused),
		TEST(test_key_files_are_checked),
		TEST(test_a_key_that_was_not_written_is_told_and_no_key),
		TEST(test_attack_100_a_rotated_file_that_is_gone_is_missed),
		TEST(test_command_tells_by_its_exit_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
