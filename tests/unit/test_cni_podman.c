/* SPDX-License-Identifier: Apache-2.0 */
/* Labels out of podman's own words: a script stands for podman, its answers are those of 4.3. */
#include "tests/unit/cni_stub.h"

#define POD "0000000000000000000000000000000000000000000000000000000000000001"
#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

static char script[64];

static void write_script(const char *body)
{
	FILE *f = fopen(script, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n[ \"$1\" = --root ] || exit 9\nshift 2\n%s", body);
	fclose(f);
	assert_int_equal(chmod(script, 0700), 0);
}

static int up(void **state)
{
	int r = stub_up(state);

	snprintf(script, sizeof(script), "%s/podman", stub_dir);
	return r;
}

static int down(void **state)
{
	unlink(script);
	return stub_down(state);
}

/* ADD for a container; the labels the agent was told, or the error's code as text. */
static const char *labels_of(const char *container)
{
	const struct ex_cni_env env = {
		.command = "ADD", .container = container, .netns = stub_pod, .ifname = "eth0"
	};
	static char text[4096];
	char *begin, *end;

	snprintf(text, sizeof(text),
		 "{\"cniVersion\":\"1.0.0\",\"name\":\"pods\",\"socket\":\"%s\","
		 "\"stateDir\":\"%s\",\"labels\":{\"net\":\"fixed\"},\"labelsFrom\":\"podman\","
		 "\"podman\":[\"%s\",\"--root\",\"/srv\"],"
		 "\"prevResult\":{\"ips\":[{\"address\":\"10.1.0.2/24\"}]}}",
		 stub_socket, stub_dir, script);
	if (cni_call(&env, text) != 0) {
		assert_string_equal(stub_asked(), "");
		begin = strstr(cni_out, "\"code\":");
		end = begin ? strchr(begin, ',') : NULL;
	} else {
		snprintf(text, sizeof(text), "%s", stub_asked());
		begin = strstr(text, "\"labels\":");
		end = begin ? strchr(begin, '}') : NULL;
	}
	assert_true(begin && end);
	memmove(text, begin, (size_t)(end - begin));
	text[end - begin] = '\0';
	return text;
}

static void test_a_containers_labels_without_its_images(void **state)
{
	(void)state;
	write_script("case \"$1 $2 $3\" in\n"
		     "'generate spec alone') echo '{\"image\":\"" ONE
		     "\",\"labels\":{\"app\":\"web\",\"vendor\":\"x\",\"tier\":\"mine\","
		     "\"net\":\"other\"}}' ;;\n"
		     "'image inspect --format') [ $5 = " ONE " ] && "
		     "echo '{\"id\":\"" ONE
		     "\",\"labels\":{\"vendor\":\"x\",\"tier\":\"its\"}}' ;;\n"
		     "*) exit 1 ;;\nesac\n");
	assert_string_equal(labels_of("alone"),
			    "\"labels\":{\"net\":\"fixed\",\"app\":\"web\",\"tier\":\"mine\"");
}

static void test_an_image_that_is_not_told_by_its_id_is_an_error(void **state)
{
	(void)state;
	/* "box" is whatever was tagged last, with whatever labels */
	write_script(
		"case \"$1 $2\" in\n"
		"'generate spec') echo '{\"image\":\"localhost/box\",\"labels\":{\"app\":\"web\"}}' ;;\n"
		"*) echo '{\"id\":\"localhost/box\",\"labels\":null}' ;;\nesac\n");
	assert_string_equal(labels_of("any"), "\"code\":103");
	write_script("case \"$1 $2\" in\n"
		     "'generate spec') echo '{\"image\":\"" ONE
		     "\",\"labels\":{\"app\":\"web\"}}' ;;\n"
		     "*) echo '{\"id\":\"" TWO "\",\"labels\":null}' ;;\nesac\n");
	assert_string_equal(labels_of("any"), "\"code\":103");
}

static void test_pod_create_labels_its_infra_container(void **state)
{
	(void)state;
	write_script("case \"$1 $2\" in\n"
		     "'generate spec') echo '{\"pod\":\"" POD "\",\"labels\":{\"app\":\"web\"},"
		     "\"containerCreateCommand\":[\"podman\",\"pod\",\"create\"]}' ;;\n"
		     "*) exit 1 ;;\nesac\n");
	assert_string_equal(labels_of("infra"), "\"labels\":{\"net\":\"fixed\",\"app\":\"web\"");
}

static void test_play_kube_labels_what_its_containers_agree_on(void **state)
{
	(void)state;
	write_script("case \"$1 $2 $3\" in\n"
		     "'generate spec infra') echo '{\"pod\":\"" POD
		     "\",\"labels\":{\"pause\":\"image\"},\"containerCreateCommand\":"
		     "[\"podman\",\"play\",\"kube\"]}' ;;\n"
		     "'ps --all --no-trunc') echo " ONE "; echo " TWO " ;;\n"
		     "'generate spec " ONE "') echo '{\"labels\":{\"app\":\"bot\",\"own\":\"1\","
		     "\"tier\":\"a\"}}' ;;\n"
		     "'generate spec " TWO
		     "') echo '{\"labels\":{\"app\":\"bot\",\"tier\":\"b\"}}' ;;\n"
		     "*) exit 1 ;;\nesac\n");
	assert_string_equal(labels_of("infra"), "\"labels\":{\"net\":\"fixed\",\"app\":\"bot\"");
}

static void test_no_labels_no_pod(void **state)
{
	static const char *const bodies[] = {
		"exit 1\n",
		"echo no json\n",
		"echo '{}' '{}'\n",
		"kill -9 $$\n",
		/* the image cannot be looked at: whose labels are they? */
		"[ $1 = generate ] && echo '{\"image\":\"x\",\"labels\":{\"a\":\"b\"}}'\n",
		/* a pod whose containers cannot be listed */
		"[ $1 = generate ] && echo '{\"pod\":\"" POD "\"}'\n",
		"[ $1 = ps ] && echo --rm || echo '{\"pod\":\"" POD "\"}'\n",
		"echo '{\"pod\":\"--all\"}'\n",
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bodies); i++) {
		write_script(bodies[i]);
		assert_string_equal(labels_of("any"), "\"code\":103");
	}
	unlink(script);
	assert_string_equal(labels_of("any"), "\"code\":103");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_containers_labels_without_its_images),
		cmocka_unit_test(test_an_image_that_is_not_told_by_its_id_is_an_error),
		cmocka_unit_test(test_pod_create_labels_its_infra_container),
		cmocka_unit_test(test_play_kube_labels_what_its_containers_agree_on),
		cmocka_unit_test(test_no_labels_no_pod),
	};

	return cmocka_run_group_tests(tests, up, down);
}
