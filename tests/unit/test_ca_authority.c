/* SPDX-License-Identifier: Apache-2.0 */
/* The node's certificate authority: made once, the same from then on, nobody else's key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/ca/authority.h"
#include "agent/core/log.h"
#include "agent/core/state_file.h"

static char dir[] = "/tmp/exeat-authority-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	ex_log_set_level(EX_LOG_ERROR);
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/trust.pem", dir);
	unlink(path);
	rmdir(dir);
	return 0;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void put(const char *name, struct ex_span text)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ex_state_file_write(fd, name, 0600, text), 0);
	close(fd);
}

static void test_same_authority_after_a_restart(void **state)
{
	struct ex_ca *first, *second;
	struct stat st;
	char path[64];

	(void)state;
	need_root();
	assert_int_equal(ex_authority_open(dir, &first), 0);
	assert_int_equal(ex_authority_open(dir, &second), 0);
	assert_true(ex_span_eq(ex_ca_pem(first), ex_ca_pem(second)));
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	ex_ca_free(first);
	ex_ca_free(second);
}

static void test_refuse_key_of_another(void **state)
{
	struct ex_ca *ca, *other;
	char key[EX_CA_KEY_MAX];
	int n;

	(void)state;
	need_root();
	assert_int_equal(ex_authority_open(dir, &ca), 0);
	assert_int_equal(ex_ca_new(1, &other), 0);
	n = ex_ca_key_pem(other, key);
	assert_true(n > 0);
	put("ca.key", (struct ex_span){ key, (size_t)n });
	ex_ca_free(ca);
	ex_ca_free(other);
	assert_int_equal(ex_authority_open(dir, &ca), -EINVAL);
}

static void test_refuse_garbage_and_half_a_pair(void **state)
{
	struct ex_ca *ca;
	char path[64];

	(void)state;
	need_root();
	assert_int_equal(ex_authority_open(dir, &ca), 0);
	ex_ca_free(ca);
	put("ca.pem", EX_SPAN("-----BEGIN CERTIFICATE-----\nno\n"));
	assert_int_equal(ex_authority_open(dir, &ca), -EINVAL);
	/* A certificate that workloads trust already is not replaced by one they do not know. */
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	unlink(path);
	assert_int_equal(ex_authority_open(dir, &ca), -ENOENT);
}

static void test_refuse_directory_others_may_write(void **state)
{
	static const mode_t modes[] = { 0777, 0775, 0757 };
	struct ex_ca *ca;

	(void)state;
	need_root();
	for (size_t i = 0; i < EX_ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(dir, modes[i]), 0);
		assert_int_equal(ex_authority_open(dir, &ca), -EPERM);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		T(test_same_authority_after_a_restart),
		T(test_refuse_key_of_another),
		T(test_refuse_garbage_and_half_a_pair),
		T(test_refuse_directory_others_may_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
