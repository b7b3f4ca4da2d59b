/* SPDX-License-Identifier: Apache-2.0 */
/* exeat-cni as the last plugin of a network's configuration. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/cni/chain.h"

static void test_the_plugin_becomes_the_last_of_the_chain(void **state)
{
	static const char old[] =
		"{\"cniVersion\":\"0.4.0\",\"name\":\"k\",\"plugins\":[{\"type\":\"exeat-cni\"},"
		"{\"type\":\"ptp\",\"mtu\":1500,\"x\":[1,{\"y\":null}]},{\"type\":\"portmap\"}],\"z\":true}";
	static const char plugin[] = "{\"type\": \"exeat-cni\", \"onAgentDown\": \"fail\"}";
	char err[EX_CNI_CHAIN_ERR], *text = NULL, *again = NULL;

	(void)state;
	assert_int_equal(ex_cni_chain(EX_SPAN(old), EX_SPAN(plugin), &text, err), 1);
	assert_string_equal(
		text,
		"{\"cniVersion\":\"0.4.0\",\"name\":\"k\",\"plugins\":["
		"{\"type\":\"ptp\",\"mtu\":1500,\"x\":[1,{\"y\":null}]},{\"type\":\"portmap\"},"
		"{\"type\":\"exeat-cni\",\"onAgentDown\":\"fail\"}],\"z\":true}");
	assert_int_equal(ex_cni_chain(ex_span_str(text), EX_SPAN(plugin), &again, err), 0);
	assert_null(again);
	free(text);
}

static void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && fchmod(fd, mode) == 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_the_chain_stays_as_readable_as_it_was(void **state)
{
	static const mode_t modes[] = { 0644, 0600 };
	char dir[] = "/tmp/exeat-cni-XXXXXX", conf[64], plugin[64];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(conf, sizeof(conf), "%s/10-net.conflist", dir);
	snprintf(plugin, sizeof(plugin), "%s/plugin", dir);
	put_file(plugin, "{\"type\":\"exeat-cni\"}", 0600);
	for (size_t i = 0; i < EX_ARRAY_SIZE(modes); i++) {
		put_file(conf, "{\"plugins\":[{\"type\":\"ptp\"}]}", modes[i]);
		assert_int_equal(ex_cni_chain_file(conf, plugin), 1);
		assert_int_equal(stat(conf, &st), 0);
		assert_int_equal(st.st_mode & 0777, modes[i]);
	}
	unlink(conf);
	unlink(plugin);
	rmdir(dir);
}

/* As the kubelet writes a ConfigMap: plugin.json -> ..data/plugin.json, ..data -> ..one */
static void test_the_plugins_object_is_a_file_of_a_config_map(void **state)
{
	char dir[] = "/tmp/exeat-cni-XXXXXX", have[128];
	int fd, r;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("..one", 0700), 0);
	assert_int_equal(symlink("..one", "..data"), 0);
	assert_int_equal(symlink("..data/plugin.json", "plugin.json"), 0);
	put_file("..one/plugin.json", "{\"type\":\"exeat-cni\"}", 0644);
	put_file("net.conflist", "{\"plugins\":[{\"type\":\"ptp\"}]}", 0644);
	r = ex_cni_chain_file("net.conflist", "plugin.json");
	fd = open("net.conflist", O_RDONLY | O_CLOEXEC);
	assert_in_range(read(fd, memset(have, 0, sizeof(have)), sizeof(have) - 1), 1, sizeof(have));
	close(fd);
	unlink("net.conflist");
	unlink("plugin.json");
	unlink("..data");
	unlink("..one/plugin.json");
	rmdir("..one");
	assert_int_equal(chdir("/"), 0);
	rmdir(dir);
	assert_int_equal(r, 1);
	assert_string_equal(have, "{\"plugins\":[{\"type\":\"ptp\"},{\"type\":\"exeat-cni\"}]}");
}

static void test_only_a_chain_can_be_chained(void **state)
{
	static const char plugin[] = "{\"type\":\"exeat-cni\"}";
	static const char *const confs[] = { "", "{}", "{\"type\":\"bridge\"}", "{\"plugins\":[]}",
					     "{\"plugins\":{\"type\":\"bridge\"}}" };
	static const char *const plugins[] = { "", "{}", "{\"type\":\"bridge\"}", "[]" };
	char err[EX_CNI_CHAIN_ERR], *text = NULL;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(confs); i++)
		assert_int_equal(ex_cni_chain(ex_span_str(confs[i]), EX_SPAN(plugin), &text, err),
				 -EINVAL);
	for (size_t i = 0; i < EX_ARRAY_SIZE(plugins); i++)
		assert_int_equal(ex_cni_chain(EX_SPAN("{\"plugins\":[{\"type\":\"ptp\"}]}"),
					      ex_span_str(plugins[i]), &text, err),
				 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_plugin_becomes_the_last_of_the_chain),
		cmocka_unit_test(test_the_chain_stays_as_readable_as_it_was),
		cmocka_unit_test(test_the_plugins_object_is_a_file_of_a_config_map),
		cmocka_unit_test(test_only_a_chain_can_be_chained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
