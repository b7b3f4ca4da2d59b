/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's configuration: strict in the file, the flags beat it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/node/config_keys.h"

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
	assert_int_equal(c.dns.n, 2);
	assert_string_equal(c.dns.v[1].suffix, "example.com");
	assert_int_equal(c.dns.v[1].port, 5353);
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

static void test_metrics_and_webhook_are_clear_at_start(void **state)
{
	const char *const places[] = {
		"nowhere",           "127.0.0.1",
		"127.0.0.1:http",    "127.0.0.1:99999",
		"127.0.0.1:0",       "localhost:9964",
		"127.1:9964",        ":9964",
		"::1:9964",          "'[127.0.0.1]:996'",
		"'127.0.0.1:9964 '", "metrics.sock",
		"'[::1:9964'",       "''",
	};
	const char *const urls[] = {
		"nonsense", "http://",         "ftp://a.example/", "http:a.example",
		"https://", "http://a b/",     "http://a:99999/",  "http://a:/",
		"''",       "http://u:p@a/",   "http://[::1/",     "http://a/\x80",
		"http:///", "'http://a/\n b'",
	};
	const char *const good[] = {
		"metrics: '[::1]:9964'\n",
		"metrics: 0.0.0.0:65535\n",
		"metrics: /run/exeat/metrics.sock\n",
		"metrics: off\n",
		"webhook: https://hooks.example:8443/a?b=c#d\n",
		"webhook: HTTP://[2001:db8::1]\nwebhookInterval: 20\nwebhookToken: /t\n",
	};
	struct ex_node_config c;
	char text[128];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(places); i++) {
		snprintf(text, sizeof(text), "metrics: %s\n", places[i]);
		refused(text);
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(urls); i++) {
		snprintf(text, sizeof(text), "webhook: %s\n", urls[i]);
		refused(text);
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(good); i++) {
		write_file(good[i]);
		assert_int_equal(load(&c, NULL), 0);
		ex_node_config_done(&c);
	}
}

/* What is taken and does nothing is a mistake that nobody sees. */
static void test_refuse_a_key_that_does_nothing(void **state)
{
	const char *const flags[] = { "--webhook", "http://hooks.example/", NULL };
	const char *const useless[] = { "--audit-key", "/k", NULL };
	struct ex_node_config c;

	(void)state;
	refused("auditKey: /k\n");
	refused("webhookCa: /c\n");
	refused("webhookToken: /t\n");
	refused("webhookSecret: /s\n");
	refused("webhookInterval: 1000\n");
	refused("policyDirs: []\n");
	refused("serve: []\n");
	refused("dns: []\n");
	refused("policyDirs: [/a, /b, /a]\n");
	refused("serve: [80, 80/tcp]\n");
	refused("serve: [none, 80]\n");
	refused("serve: [80, none]\n");
	refused("dns: [192.0.2.1, '192.0.2.1:53']\n");
	refused("dns: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4]\n"); /* never asked */
	write_file("dns: [192.0.2.1, 192.0.2.2, 192.0.2.3, x.example=192.0.2.4]\n");
	assert_int_equal(load(&c, useless), -EINVAL);
	assert_int_equal(load(&c, NULL), 0);
	assert_int_equal(c.dns.n, 4);
	ex_node_config_done(&c);
	write_file("webhookToken: /t\nserve: [none]\n");
	assert_int_equal(load(&c, flags), 0); /* the flag gives it a meaning */
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
	refused("workers: 9\n");
	refused("maxEndpoints: 1025\n");
	refused("workers: two\n");
	refused("workers: '+2'\n");
	refused("workers: ' 2'\n");
	refused("workers: 18446744073709551618\n");
	refused("workers: 00000000000000000002\n");
	refused("workers: 2\nworkers: 3\n");
	refused("policyDirs: /a\n");
	refused("policyDirs: [relative]\n");
	refused("dns: [nowhere]\n");
	refused("serve: ['0']\n");
	refused("serve: ['80/icmp']\n");
	refused("serve: ['65536']\n");
	refused("logLevel: loud\n");
	refused("stateDir: run\n");
	refused("auditFile: ''\n");
	refused("caDir: \n");
	refused("socket: agent.sock\n");
	refused("socket: '@'\n");
	refused("debounce: 20ms\n");
	refused("debounce: -1\n");
	refused("maxFlows: 1e6\n");
	refused("- a list\n");
	refused("---\nworkers: 1\n---\nworkers: 1\n");
}

/* examples/systemd/agent.yaml, with its keys as if they were wanted. */
static void test_the_example_has_every_key(void **state)
{
	FILE *in = fopen("examples/systemd/agent.yaml", "re");
	char line[256], text[8192] = "\n";
	struct ex_node_config c;
	size_t len = 1;

	(void)state;
	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
					line + (line[0] == '#' && line[1] != ' '));
	fclose(in);
	for (size_t i = 0; i < node_n_keys; i++) {
		snprintf(line, sizeof(line), "\n%s: ", node_keys[i].name);
		if (!strstr(text, line))
			fail_msg("no %s", node_keys[i].name);
	}
	write_file(text);
	assert_int_equal(load(&c, NULL), 0);
	ex_node_config_done(&c);
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
		T(test_metrics_and_webhook_are_clear_at_start),
		T(test_refuse_a_key_that_does_nothing),
		T(test_refuse_what_is_not_a_key_or_a_value),
		T(test_the_example_has_every_key),
		T(test_refuse_wrong_flags),
		T(test_refuse_a_file_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
