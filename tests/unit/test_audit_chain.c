/* SPDX-License-Identifier: Apache-2.0 */
/* Chained logs: whatever is done to one is found; what exeat itself does to one is not blamed. */
#include "tests/unit/audit_log.h"

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
		TEST(test_unkeyed_records_do_not_pass_for_keyed_ones),
		TEST(test_another_key_with_the_same_name_does_not_verify),
		TEST(test_a_log_without_anything_to_chain_on_to_begins_anew),
		TEST(test_a_full_disk_is_told_and_not_blamed),
		TEST(test_a_disk_that_is_full_within_a_batch_breaks_no_chain),
		TEST(test_a_crash_within_a_line_is_not_blamed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
