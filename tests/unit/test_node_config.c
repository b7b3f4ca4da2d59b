/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's configuration: strict in the file, the flags beat it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/node/config.h"

static char file[] = "/tmp/exeat-config-XXXXXX";

static int set_up(void **state)
{
	int fd;

	(void)state;
	ex_log_set_level(EX_LOG_ERROR);
	memcpy(file + sizeof(file) - 7, "XXXXXX", 6);
	fd = mkstemp(file);
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(file);
}

static void write_file(const char *text)
{
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Loads file and flags (a NULL-terminated list). */
static int load_file(struct ex_node_config *c, const char *path, const char *const *flags)
{
	const char *args[16] = { "agent", "--config", path };
	char *argv[16];
	int argc = 3;

	while (flags && *flags)
		args[argc++] = *flags++;
	memcpy(argv, args, sizeof(argv)); /* getopt(3) moves them, and writes to none */
	return ex_node_config_load(c, argc, argv);
}

static int load(struct ex_node_config *c, const char *const *flags)
{
	return load_file(c, file, flags);
}

static void refused(const char *text)
{
	struct ex_node_config c;

	write_file(text);
	assert_int_equal(load(&c, NULL), -EINVAL);
}

static void test_an_empty_file_is_the_defaults(void **state)
{
	struct ex_node_config c;

	(void)state;
	write_file("");
	assert_int_equal(load(&c, NULL), 0);
	assert_string_equal(c.state_dir, "/run/exeat");
	assert_string_equal(c.socket, "/run/exeat/agent.sock");
	assert_false(c.unselected_allow);
	assert_false(c.allow_metadata);
	assert_int_equal(c.n_serve, 1);
	ex_node_config_done(&c);
}

static void test_every_kind_of_value(void **state)
{
	struct ex_node_config c;

	(void)state;
	write_file("policyDirs: [/a, /b]\nunselected: allow\nmetadata: allow\n"
		   "dns: [192.0.2.1, 'example.com=[2001:db8::1]:5353']\nserve: ['8080', 53/udp]\n"
		   "workers: 4\nstateDir: /s\nlogLevel: debug\nrefusal: silent\n");
	assert_int_equal(load(&c, NULL), 0);
	assert_int_equal(c.n_policy_dirs, 2);
	assert_string_equal(c.policy_dirs[1], "/b");
	assert_true(c.unselected_allow && c.allow_metadata && c.silent);
	assert_int_equal(c.n_dns, 2);
	assert_string_equal(c.dns[1].suffix, "example.com");
	assert_int_equal(c.dns[1].port, 5353);
	assert_int_equal(c.n_serve, 2);
	assert_int_equal(c.serve[1].proto, 17);
	assert_int_equal(c.workers, 4);
	assert_string_equal(c.socket, "/s/agent.sock");
	assert_int_equal(c.log_level, EX_LOG_DEBUG);
	ex_node_config_done(&c);
}

static void test_flags_beat_the_file(void **state)
{
	const char *const flags[] = { "--policy-dir", "/c",      "--workers=2", "--unselected",
				      "deny",         "--serve", "none",        NULL };
	struct ex_node_config c;

	(void)state;
	write_file("policyDirs: [/a, /b]\nworkers: 4\nunselected: allow\n");
	assert_int_equal(load(&c, flags), 0);
	assert_int_equal(c.n_policy_dirs, 1);
	assert_string_equal(c.policy_dirs[0], "/c");
	assert_int_equal(c.workers, 2);
	assert_false(c.unselected_allow);
	assert_int_equal(c.n_serve, 0);
	ex_node_config_done(&c);
}

static void test_refuse_what_is_not_a_key_or_a_value(void **state)
{
	(void)state;
	refused("unselectd: deny\n");
	refused("unselected: maybe\n");
	refused("unselected: [deny]\n");
	refused("workers: 0\n");
	refused("workers: 17\n");
	refused("workers: two\n");
	refused("workers: 2\nworkers: 3\n");
	refused("policyDirs: /a\n");
	refused("policyDirs: [relative]\n");
	refused("dns: [nowhere]\n");
	refused("serve: ['0']\n");
	refused("serve: ['80/icmp']\n");
	refused("serve: ['65536']\n");
	refused("logLevel: loud\n");
	refused("metrics: nowhere\n");
	refused("metrics: '127.0.0.1:http'\n");
	refused("auditKey: /k\n");
	refused("- a list\n");
	refused("---\nworkers: 1\n---\nworkers: 1\n");
}

static void test_refuse_wrong_flags(void **state)
{
	const char *const unknown[] = { "--no-such", NULL };
	const char *const bad[] = { "--workers", "many", NULL };
	const char *const extra[] = { "something", NULL };
	struct ex_node_config c;

	(void)state;
	assert_int_equal(load(&c, unknown), -EINVAL);
	assert_int_equal(load(&c, bad), -EINVAL);
	assert_int_equal(load(&c, extra), -EINVAL);
}

static void test_refuse_a_file_that_is_not_there(void **state)
{
	struct ex_node_config c;

	(void)state;
	assert_int_equal(load_file(&c, "/nonexistent/agent.yaml", NULL), -EINVAL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_an_empty_file_is_the_defaults),
		T(test_every_kind_of_value),
		T(test_flags_beat_the_file),
		T(test_refuse_what_is_not_a_key_or_a_value),
		T(test_refuse_wrong_flags),
		T(test_refuse_a_file_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
