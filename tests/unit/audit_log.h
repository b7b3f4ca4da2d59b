/* SPDX-License-Identifier: Apache-2.0 */
/* A chained log in a folder of its own, and what verify says of it. */
#ifndef EXEAT_TESTS_AUDIT_LOG_H
#define EXEAT_TESTS_AUDIT_LOG_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <cmocka.h>

#include "agent/audit/audit.h"
#include "agent/audit/chain.h"
#include "agent/audit/file.h"
#include "agent/audit/verify.h"
#include "tests/unit/full_disk.h"
#include "tests/unit/scratch.h"

static char dir[64], log_path[96], key_path[96], head_path[96], old_path[96];

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

static inline char *slurp(const char *path, size_t *ret_len)
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

static inline void spill(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline struct ex_audit_file *log_open(const char *key)
{
	struct ex_audit_file_options o = { .path = log_path, .key_file = key };
	struct ex_audit_file *f;

	assert_int_equal(ex_audit_file_open(&o, &f), 0);
	return f;
}

static inline void write_records(struct ex_audit_file *file, int n)
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
static inline void make_log(const char *key, int n)
{
	struct ex_audit_file *f = log_open(key);

	write_records(f, n);
	ex_audit_file_close(f);
}

static char findings[8192];

/* The number of problems; what was said is in findings. */
static inline unsigned verify_files(const char *const *files, size_t n, const char *head,
				    const char *key)
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

static inline unsigned verify(void)
{
	const char *files[] = { log_path };

	return verify_files(files, 1, head_path, key_path);
}

static inline void assert_found(const char *what)
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

static inline void lines_read(struct lines *l)
{
	size_t len;

	memset(l, 0, sizeof(*l));
	l->text = slurp(log_path, &len);
	for (char *s = l->text, *nl; (nl = strchr(s, '\n')) && l->n < 32; s = nl + 1) {
		*nl = '\0';
		l->at[l->n++] = s;
	}
}

static inline void lines_write(struct lines *l)
{
	FILE *f = fopen(log_path, "we");

	assert_non_null(f);
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i])
			fprintf(f, "%s\n", l->at[i]);
	assert_int_equal(fclose(f), 0);
	free(l->text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
