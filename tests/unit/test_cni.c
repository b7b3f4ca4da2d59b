/* SPDX-License-Identifier: Apache-2.0 */
/* exeat-cni as a runtime calls it, with an agent that only says yes or no. */
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "agent/cni/install.h"
#include "tests/unit/cni_stub.h"

#define PREV                                                                                       \
	"\"prevResult\":{\"cniVersion\":\"1.0.0\",\"interfaces\":["                                \
	"{\"name\":\"br0\",\"mac\":\"02:00:00:00:00:09\"},{\"name\":\"host0\"},"                   \
	"{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:02\",\"sandbox\":\"/x\"}],"                   \
	"\"ips\":[{\"address\":\"10.1.0.2/24\",\"gateway\":\"10.1.0.1\",\"interface\":2},"         \
	"{\"address\":\"fd00:1::2/64\",\"interface\":2},{\"address\":\"10.9.9.9/24\","             \
	"\"interface\":0}],\"routes\":[{\"dst\":\"0.0.0.0/0\"}],"                                  \
	"\"dns\":{\"nameservers\":[\"10.1.0.53\"]}}"

static struct ex_cni_env add_env(void)
{
	return (struct ex_cni_env){
		.command = "ADD",
		.container = "c0ffee",
		.netns = stub_pod,
		.ifname = "eth0",
		.args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_UID=7",
	};
}

/* A configuration with these members besides what every one has. */
static const char *conf(const char *members)
{
	static char text[8192];

	snprintf(text, sizeof(text),
		 "{\"cniVersion\":\"1.0.0\",\"name\":\"pods\",\"type\":\"exeat-cni\","
		 "\"socket\":\"%s\",\"stateDir\":\"%s\"%s%s}",
		 stub_socket, stub_dir, *members ? "," : "", members);
	return text;
}

static void assert_code(int code)
{
	char text[32];

	snprintf(text, sizeof(text), "\"code\":%d,", code);
	if (!strstr(cni_out, text))
		fail_msg("no %s in %s", text, cni_out);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no %s in %s", part, text);
}

static bool host_is_up(void)
{
	struct ifreq ifr = { .ifr_name = "host0" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	close(fd);
	return ifr.ifr_flags & IFF_UP;
}

/* ---- ADD ---- */

static void test_add_asks_the_agent_and_passes_the_result_on(void **state)
{
	struct ex_cni_env env = add_env();
	const char *asked;

	(void)state;
	assert_int_equal(cni_call(&env, conf(PREV)), 0);
	asked = stub_asked();
	assert_has(asked, "\"op\":\"endpoint.add\"");
	assert_has(asked, "\"name\":\"web-1\"");
	assert_has(asked, "\"namespace\":\"shop\"");
	assert_has(asked, "\"container_id\":\"c0ffee\"");
	assert_has(asked, "\"interface\":\"eth0\"");
	assert_has(asked, "\"ips\":[\"10.1.0.2\",\"fd00:1::2\"]");
	assert_has(asked, "\"mac\":\"02:00:00:00:00:02\"");
	assert_has(asked, "\"dns\":[\"10.1.0.53\"]");
	assert_has(asked, stub_pod);
	assert_has(cni_out, "\"routes\":[{\"dst\":\"0.0.0.0/0\"}]");
	assert_has(cni_out, "10.9.9.9/24"); /* all of it, what is not ours too */
}

static void test_add_fails_when_the_agent_refuses(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	env.args = "K8S_POD_NAME=no";
	assert_int_equal(cni_call(&env, conf(PREV)), 1);
	assert_code(EX_CNI_REFUSED);
	assert_has(cni_out, "the gate cannot be loaded");
	assert_int_equal(cni_call(&env, conf("\"onAgentDown\":\"closed\"," PREV)), 1);
	assert_code(EX_CNI_REFUSED);
	stub_asked();
}

static void test_add_fails_when_there_is_no_agent(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	stub_stop(&stub_agent_pid);
	assert_int_equal(cni_call(&env, conf(PREV)), 1);
	assert_code(EX_CNI_NO_AGENT);
	assert_int_equal(cni_call(&env, conf("\"onAgentDown\":\"fail\"," PREV)), 1);
	assert_code(EX_CNI_NO_AGENT);
	assert_string_equal(stub_asked(), "");
	stub_agent_start();
}

static void test_an_agent_that_hangs_is_one_that_is_away(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	kill(stub_agent_pid, SIGSTOP);
	assert_int_equal(cni_call(&env, conf("\"timeoutSeconds\":1," PREV)), 1);
	assert_code(EX_CNI_NO_AGENT);
	kill(stub_agent_pid, SIGCONT);
	env.command = "DEL"; /* as runtimes do then: in the order of asking */
	assert_int_equal(cni_call(&env, conf("")), 0);
	stub_asked();
}

static void test_add_closes_the_link_until_the_agent_has_it(void **state)
{
	struct ex_cni_env env = add_env();
	const char *asked;

	(void)state;
	stub_stop(&stub_agent_pid);
	assert_int_equal(cni_call(&env, conf("\"onAgentDown\":\"closed\"," PREV)), 0);
	assert_has(cni_out, "10.1.0.2/24");
	assert_false(host_is_up());
	assert_int_equal(ex_cni_adopt(stub_socket, stub_dir), 1); /* still nobody there */
	assert_false(host_is_up());

	stub_agent_start();
	assert_int_equal(ex_cni_adopt(stub_socket, stub_dir), 0);
	assert_true(host_is_up());
	asked = stub_asked();
	assert_has(asked, "endpoint.add");
	assert_has(asked, "\"name\":\"web-1\"");
	assert_int_equal(ex_cni_adopt(stub_socket, stub_dir), 0);
	assert_string_equal(stub_asked(), ""); /* once */
}

/* The process is another pod's by now, or the namespace has another's number. */
static void test_a_closed_pod_is_no_other_that_is_found_at_its_path(void **state)
{
	struct ex_cni_env env = add_env();
	int rtnl = ex_rtnl_open();

	(void)state;
	stub_stop(&stub_agent_pid);
	assert_int_equal(cni_call(&env, conf("\"onAgentDown\":\"closed\"," PREV)), 0);
	assert_int_equal(ex_rtnl_link_del(rtnl, if_nametoindex("host0")), 0);
	stub_link();
	assert_int_equal(ex_cni_link_switch(if_nametoindex("host0"), false), 0);
	stub_agent_start();
	assert_int_equal(ex_cni_adopt(stub_socket, stub_dir), 0);
	assert_string_equal(stub_asked(), "");
	assert_false(host_is_up());
	assert_int_equal(ex_cni_adopt(stub_socket, stub_dir), 0); /* gone for good */
	assert_int_equal(ex_cni_link_switch(if_nametoindex("host0"), true), 0);
	close(rtnl);
}

static void test_the_agent_is_told_which_namespace_it_is(void **state)
{
	struct ex_cni_env env = add_env();
	char text[128];
	struct stat st;

	(void)state;
	assert_int_equal(cni_call(&env, conf(PREV)), 0);
	assert_int_equal(stat(stub_pod, &st), 0);
	snprintf(text, sizeof(text), "\"netns_id\":{\"dev\":%llu,\"ino\":%llu,\"host_ifindex\":%u}",
		 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		 if_nametoindex("host0"));
	assert_has(stub_asked(), text);
}

/* In the pod, by whoever is in it. */
static void take_link_local(const char *text)
{
	int own = ex_netns_own(), ns = open(stub_pod, O_RDONLY | O_CLOEXEC), rtnl;
	struct ex_ip ip;

	assert_true(own >= 0 && ns >= 0 && ex_ip_parse(text, &ip));
	assert_int_equal(ex_netns_go(ns), 0);
	rtnl = ex_rtnl_open();
	assert_int_equal(ex_rtnl_addr_add(rtnl, if_nametoindex("eth0"), &ip), 0);
	ex_netns_back(own);
	close(rtnl);
	close(ns);
	close(own);
}

/* What it chooses itself while it waits is not its own: the addresses are those it was started
 * with. */
static void test_a_closed_pod_has_the_addresses_that_it_was_closed_with(void **state)
{
	static const char anonymous[] = "\"onAgentDown\":\"closed\",\"prevResult\":{"
					"\"ips\":[{\"address\":\"10.1.0.2/24\"}]}";
	struct ex_cni_env env = add_env();
	const char *asked;

	(void)state;
	take_link_local("fe80::2");
	stub_stop(&stub_agent_pid);
	assert_int_equal(cni_call(&env, conf(anonymous)), 0);
	take_link_local("fe80::bad");
	stub_agent_start();
	assert_int_equal(ex_cni_adopt(stub_socket, stub_dir), 0);
	asked = stub_asked();
	assert_has(asked, "\"ips\":[\"10.1.0.2\",\"fe80::2\"]");
	assert_has(asked, "\"mac\":\"02:00:00:00:00:02\"");
}

static void test_del_forgets_a_closed_pod(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	stub_stop(&stub_agent_pid);
	assert_int_equal(cni_call(&env, conf("\"onAgentDown\":\"closed\"," PREV)), 0);
	env.command = "DEL";
	assert_int_equal(cni_call(&env, conf("")), 0);
	stub_agent_start();
	assert_int_equal(ex_cni_adopt(stub_socket, stub_dir), 0);
	assert_string_equal(stub_asked(), "");
	assert_false(host_is_up());
	assert_int_equal(ex_cni_link_switch(if_nametoindex("host0"), true), 0);
}

static void test_add_needs_a_host_end(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	env.netns = "/proc/self/ns/net";
	assert_int_equal(cni_call(&env, conf(PREV)), 1);
	assert_code(EX_CNI_NO_HOST_END);
	assert_has(cni_out, "host's network namespace");
	env = add_env();
	env.netns = "/dev/null";
	assert_int_equal(cni_call(&env, conf(PREV)), 1);
	assert_code(EX_CNI_NO_HOST_END);
	assert_has(cni_out, "CNI_NETNS is neither");
	env = add_env();
	env.ifname = "lo";
	assert_int_equal(
		cni_call(&env, conf("\"prevResult\":{\"ips\":[{\"address\":\"10.1.0.2/24\"}]}")),
		1);
	assert_code(EX_CNI_NO_HOST_END);
	assert_string_equal(stub_asked(), "");
}

static void test_add_needs_a_result_before_it(void **state)
{
	static const char *const members[] = {
		"",
		"\"prevResult\":null",
		"\"prevResult\":{}",
		"\"prevResult\":[]",
		"\"prevResult\":{\"ips\":[{\"address\":\"10.1.0\"}]}",
		"\"prevResult\":{\"ips\":[{\"address\":\"10.1.0.2/24\",\"interface\":1}]}",
		"\"prevResult\":{\"ips\":[{\"address\":\"10.1.0.2/24\",\"interface\":-1}]}",
		"\"prevResult\":{\"interfaces\":[{\"name\":\"eth0\"}],\"ips\":[{\"address\":\"10.1.0.2/24\","
		"\"interface\":0}]}",
	};
	struct ex_cni_env env = add_env();

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(members); i++) {
		assert_int_equal(cni_call(&env, conf(members[i])), 1);
		assert_code(EX_CNI_BAD_CONFIG);
	}
	assert_string_equal(stub_asked(), "");
}

/* ---- who it is ---- */

static void test_labels_come_from_all_sources_and_the_first_wins(void **state)
{
	struct ex_cni_env env = add_env();
	const char *asked;

	(void)state;
	assert_int_equal(
		cni_call(
			&env,
			conf("\"labels\":{\"a\":\"net\"},\"runtimeConfig\":{\"labels\":{\"a\":\"cap\","
			     "\"b\":\"cap\"},\"io.kubernetes.cri.pod-annotations\":{\"x\":\"y\","
			     "\"exeat.dev/labels\":\" a=note, b=note,\\nc = note ,\"}},"
			     "\"args\":{\"cni\":{\"labels\":[{\"key\":\"c\",\"value\":\"args\"},"
			     "{\"key\":\"d\",\"value\":\"args\"}]}}," PREV)),
		0);
	asked = stub_asked();
	assert_has(asked, "\"labels\":{\"a\":\"net\",\"b\":\"cap\",\"c\":\"note\",\"d\":\"args\"}");
}

#define OWN_DNS(key)                                                                               \
	"\"capabilities\":{\"dns\":true},\"runtimeConfig\":{\"dns\":{\"" key                       \
	"\":[\"10.96.0.10\",\"fe80::1%eth0\",\"fd00::a\"]}}," PREV

static void test_the_pods_nameservers_are_those_of_its_resolv_conf(void **state)
{
	static const char *const confs[] = { OWN_DNS("servers"), OWN_DNS("Servers") };
	struct ex_cni_env env = add_env();

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(confs); i++) {
		assert_int_equal(cni_call(&env, conf(confs[i])), 0);
		assert_has(stub_asked(), "\"dns\":[\"10.96.0.10\",\"fd00::a\"]");
	}
	assert_int_equal(cni_call(&env, conf("\"runtimeConfig\":{\"dns\":{}}," PREV)), 0);
	assert_has(stub_asked(), "\"dns\":[\"10.1.0.53\"]");
}

static void test_a_second_interface_is_an_endpoint_of_its_own(void **state)
{
	struct ex_cni_env env = add_env();
	const char *asked;

	(void)state;
	env.command = "DEL";
	env.ifname = "net1";
	assert_int_equal(cni_call(&env, conf("")), 0);
	asked = stub_asked();
	assert_has(asked, "\"op\":\"endpoint.remove\"");
	assert_has(asked, "\"interface\":\"net1\"");
}

static void test_a_pod_without_a_name_has_that_of_its_container(void **state)
{
	struct ex_cni_env env = add_env();
	const char *asked;

	(void)state;
	env.container = "0123456789abcdef";
	env.args = "IgnoreUnknown=1;K8S_POD_NAME=";
	assert_int_equal(cni_call(&env, conf("\"namespace\":\"lab\"," PREV)), 0);
	asked = stub_asked();
	assert_has(asked, "\"name\":\"0123456789ab\"");
	assert_has(asked, "\"namespace\":\"lab\"");
}

/* ---- configurations and variables ---- */

static void test_bad_settings_are_refused_by_name(void **state)
{
	static const char *const members[] = {
		"\"onAgentDown\":\"open\"",
		"\"onAgentDown\":true",
		"\"onAgentDwon\":\"closed\"",
		"\"labelsFrom\":\"docker\"",
		"\"labelsFrom\":[]",
		"\"timeoutSeconds\":0",
		"\"timeoutSeconds\":\"5\"",
		"\"labels\":{\"a\":1}",
		"\"labels\":\"a=b\"", /* lost labels may be what a denial selects */
		"\"runtimeConfig\":{\"labels\":7}",
		"\"args\":{\"cni\":{\"labels\":\"a=b\"}}",
		"\"runtimeConfig\":{\"io.kubernetes.cri.pod-annotations\":{\"exeat.dev/labels\":{}}}",
		"\"serve\":\"80\"",
		"\"namespace\":7",
		"\"runtimeConfig\":{\"io.kubernetes.cri.pod-annotations\":{\"exeat.dev/labels\":\"a\"}}",
		"\"args\":{\"cni\":{\"labels\":[{\"key\":\"a\"}]}}",
		"\"labelsFrom\":\"podman\",\"podman\":\"podman\"",
		"\"labelsFrom\":\"podman\",\"podman\":[]",
	};
	struct ex_cni_env env = add_env();
	char text[4096];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(members); i++) {
		snprintf(text, sizeof(text), "%s,%s", members[i], PREV);
		if (cni_call(&env, conf(text)) != 1)
			fail_msg("taken: %s", members[i]);
		assert_code(EX_CNI_BAD_CONFIG);
	}
	assert_string_equal(stub_asked(), "");
}

static void test_keys_of_the_runtime_are_no_settings(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	assert_int_equal(cni_call(&env, conf("\"capabilities\":{\"labels\":true},\"ipMasq\":true,"
					     "\"cni.dev/attachments\":[]," PREV)),
			 0);
	stub_asked();
}

static void test_bad_variables_are_refused(void **state)
{
	struct ex_cni_env good = add_env(), bad[12];
	size_t n = 0;

	(void)state;
	for (n = 0; n < EX_ARRAY_SIZE(bad); n++)
		bad[n] = good;
	bad[0].container = NULL;
	bad[1].container = "";
	bad[2].container = "../../etc";
	bad[3].container = "a b";
	bad[4].container = "-a";
	bad[5].ifname = NULL;
	bad[6].ifname = "a/b";
	bad[7].ifname = "0123456789abcdef";
	bad[8].netns = NULL;
	bad[9].netns = "relative";
	bad[10].command = NULL;
	bad[11].command = "add";
	for (size_t i = 0; i < n; i++) {
		if (cni_call(&bad[i], conf(PREV)) != 1)
			fail_msg("taken: %zu", i);
		assert_code(EX_CNI_BAD_ENV);
	}
	assert_string_equal(stub_asked(), "");
}

static void test_what_is_not_json_is_told_so(void **state)
{
	static const char *const texts[] = { " ", "{", "[]", "{} {}", "{\"a\":1,\"a\":2}", "nul" };
	struct ex_cni_env env = add_env();

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(texts); i++) {
		assert_int_equal(cni_call(&env, texts[i]), 1);
		assert_code(EX_CNI_BAD_JSON);
	}
}

static void test_other_versions_are_refused(void **state)
{
	static const char *const texts[] = { "{}", "{\"cniVersion\":\"0.2.0\",\"name\":\"a\"}",
					     "{\"cniVersion\":\"2.0.0\",\"name\":\"a\"}",
					     "{\"cniVersion\":1,\"name\":\"a\"}" };
	struct ex_cni_env env = add_env();

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(texts); i++) {
		assert_int_equal(cni_call(&env, texts[i]), 1);
		assert_code(EX_CNI_BAD_VERSION);
	}
	env.command = "GC"; /* of 1.1 */
	assert_int_equal(cni_call(&env, conf("\"cni.dev/valid-attachments\":[]")), 1);
	assert_code(EX_CNI_BAD_ENV);
}

static void test_a_version_of_any_length_is_answered(void **state)
{
	static char text[65536];
	struct ex_cni_env env = add_env();
	size_t n = (size_t)snprintf(text, sizeof(text), "{\"name\":\"a\",\"cniVersion\":\"");

	(void)state;
	memset(text + n, 'x', 60000);
	memcpy(text + n + 60000, "\"}", 3);
	assert_int_equal(cni_call(&env, text), 1);
	assert_code(EX_CNI_BAD_VERSION);
	env.command = "VERSION";
	assert_int_equal(cni_call(&env, text), 0);
	assert_has(cni_out, "{\"cniVersion\":\"1.0.0\",");
}

static void test_an_error_holds_no_byte_of_an_attacker(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	env.command = "\x1b[2J\n\xff";
	assert_int_equal(cni_call(&env, conf("")), 1);
	for (const char *p = cni_out; *p && strcmp(p, "\n") != 0; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
}

/* ---- the other commands ---- */

static void test_versions_are_told(void **state)
{
	struct ex_cni_env env = { .command = "VERSION" };

	(void)state;
	assert_int_equal(cni_call(&env, "{\"cniVersion\":\"1.0.0\"}"), 0);
	assert_string_equal(cni_out, "{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.3.0\","
				     "\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
}

static void test_del_always_succeeds(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	env.command = "DEL";
	assert_int_equal(cni_call(&env, conf(PREV)), 0);
	assert_has(stub_asked(), "endpoint.remove");
	env.netns = NULL; /* gone already */
	assert_int_equal(cni_call(&env, conf("")), 0);
	env.container = "nobody";
	assert_int_equal(cni_call(&env, conf("")), 0);
	stub_stop(&stub_agent_pid);
	assert_int_equal(cni_call(&env, conf("")), 0);
	assert_string_equal(cni_out, "");
	stub_agent_start();
	stub_asked();
}

static void test_check_looks_at_the_endpoint(void **state)
{
	struct ex_cni_env env = add_env();

	(void)state;
	env.command = "CHECK";
	assert_int_equal(cni_call(&env, conf(PREV)), 0);
	env.container = "nobody";
	assert_int_equal(cni_call(&env, conf(PREV)), 1);
	assert_code(EX_CNI_REFUSED);
	env.container = "c0ffee";
	assert_int_equal(
		cni_call(&env, conf("\"prevResult\":{\"ips\":[{\"address\":\"10.1.0.3/24\"}]}")),
		1);
	assert_code(EX_CNI_NOT_GATED);
}

static const char *conf11(const char *members)
{
	static char text[4096];

	snprintf(text, sizeof(text),
		 "{\"cniVersion\":\"1.1.0\",\"name\":\"pods\",\"type\":\"exeat-cni\","
		 "\"socket\":\"%s\",\"stateDir\":\"%s\"%s%s}",
		 stub_socket, stub_dir, *members ? "," : "", members);
	return text;
}

static void test_gc_removes_what_is_gone_and_nothing_else(void **state)
{
	struct ex_cni_env env = { .command = "GC" };
	const char *asked;

	(void)state;
	assert_int_equal(cni_call(&env, conf11("\"cni.dev/valid-attachments\":[{\"containerID\":"
					       "\"kept\",\"ifname\":\"eth0\"}]")),
			 0);
	asked = stub_asked();
	assert_has(asked, "\"container_id\":\"lost\"");
	assert_null(strstr(asked, "\"container_id\":\"kept\""));
	assert_null(strstr(asked, "\"container_id\":\"standing\""));
	assert_int_equal(cni_call(&env, conf11("")), 1);
	assert_code(EX_CNI_BAD_CONFIG);
}

/* Two descriptors are enough to ask the agent, and not to look at a pod. */
static void test_gc_removes_nobody_that_it_cannot_look_at(void **state)
{
	struct ex_cni_env env = { .command = "GC" };
	struct rlimit was, few;
	int next = dup(STDERR_FILENO);

	(void)state;
	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = (struct rlimit){ (rlim_t)next + 2, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(cni_call(&env, conf11("\"cni.dev/valid-attachments\":[]")), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_null(strstr(stub_asked(), "\"container_id\":\"standing\""));
}

static void test_status_says_whether_the_agent_is_there(void **state)
{
	struct ex_cni_env env = { .command = "STATUS" };

	(void)state;
	assert_int_equal(cni_call(&env, conf11("")), 0);
	assert_string_equal(cni_out, "");
	stub_stop(&stub_agent_pid);
	assert_int_equal(cni_call(&env, conf11("")), 1);
	assert_code(EX_CNI_LIMITED);
	stub_agent_start();
	stub_asked();
}

/* ---- a configuration that others write ---- */

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* Another program writes it; ms until the plugin is in it again, or so many. */
static int rewrite(const char *conf, int ms)
{
	char text[256] = "";
	int waited = 0;

	write_text(conf, "{\"plugins\":[{\"type\":\"ptp\"}]}");
	for (; waited < ms && !strstr(text, "exeat-cni"); waited += 10) {
		FILE *f = fopen(conf, "r");

		text[f ? fread(text, 1, sizeof(text) - 1, f) : 0] = '\0';
		if (f)
			fclose(f);
		usleep(10000);
	}
	return waited;
}

static void test_who_rewrites_the_chain_does_not_take_the_plugin_out(void **state)
{
	char conf_dir[64], conf[80], plugin[64];
	const struct ex_cni_install in = { .bin_dir = stub_dir,
					   .conf_dir = conf_dir,
					   .plugin = plugin,
					   .socket = stub_socket,
					   .state_dir = stub_dir };
	pid_t pid;

	(void)state;
	snprintf(conf_dir, sizeof(conf_dir), "%s/net.d", stub_dir);
	snprintf(conf, sizeof(conf), "%s/10-net.conflist", conf_dir);
	snprintf(plugin, sizeof(plugin), "%s/plugin", stub_dir);
	assert_int_equal(mkdir(conf_dir, 0700), 0);
	write_text(plugin, "{\"type\":\"exeat-cni\"}");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ex_cni_install_watch(&in);
	}
	assert_in_range(rewrite(conf, 60000), 0, 59999);
	for (int i = 0; i < 3; i++)
		assert_in_range(rewrite(conf, 60000), 0, 3000);
	stub_stop(&stub_agent_pid); /* nor while the agent is away */
	for (int i = 0; i < 3; i++)
		assert_in_range(rewrite(conf, 60000), 0, 3000);
	stub_stop(&pid);
	unlink(conf);
	rmdir(conf_dir);
	unlink(plugin);
	snprintf(plugin, sizeof(plugin), "%s/exeat-cni", stub_dir);
	unlink(plugin);
	stub_agent_start();
	(void)stub_asked();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_rewrites_the_chain_does_not_take_the_plugin_out),
		cmocka_unit_test(test_add_asks_the_agent_and_passes_the_result_on),
		cmocka_unit_test(test_add_fails_when_the_agent_refuses),
		cmocka_unit_test(test_add_fails_when_there_is_no_agent),
		cmocka_unit_test(test_an_agent_that_hangs_is_one_that_is_away),
		cmocka_unit_test(test_add_closes_the_link_until_the_agent_has_it),
		cmocka_unit_test(test_a_closed_pod_is_no_other_that_is_found_at_its_path),
		cmocka_unit_test(test_the_agent_is_told_which_namespace_it_is),
		cmocka_unit_test(test_a_closed_pod_has_the_addresses_that_it_was_closed_with),
		cmocka_unit_test(test_del_forgets_a_closed_pod),
		cmocka_unit_test(test_add_needs_a_host_end),
		cmocka_unit_test(test_add_needs_a_result_before_it),
		cmocka_unit_test(test_labels_come_from_all_sources_and_the_first_wins),
		cmocka_unit_test(test_the_pods_nameservers_are_those_of_its_resolv_conf),
		cmocka_unit_test(test_a_second_interface_is_an_endpoint_of_its_own),
		cmocka_unit_test(test_a_pod_without_a_name_has_that_of_its_container),
		cmocka_unit_test(test_bad_settings_are_refused_by_name),
		cmocka_unit_test(test_keys_of_the_runtime_are_no_settings),
		cmocka_unit_test(test_bad_variables_are_refused),
		cmocka_unit_test(test_what_is_not_json_is_told_so),
		cmocka_unit_test(test_other_versions_are_refused),
		cmocka_unit_test(test_a_version_of_any_length_is_answered),
		cmocka_unit_test(test_an_error_holds_no_byte_of_an_attacker),
		cmocka_unit_test(test_versions_are_told),
		cmocka_unit_test(test_del_always_succeeds),
		cmocka_unit_test(test_check_looks_at_the_endpoint),
		cmocka_unit_test(test_gc_removes_what_is_gone_and_nothing_else),
		cmocka_unit_test(test_gc_removes_nobody_that_it_cannot_look_at),
		cmocka_unit_test(test_status_says_whether_the_agent_is_there),
	};

	return cmocka_run_group_tests(tests, stub_up, stub_down);
}
