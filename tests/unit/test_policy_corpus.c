/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole policy files, of tests/unit/corpus or of the folder that EXEAT_CORPUS names: every file is
 * accepted, except those below, which are refused for the reason given.
 */
#include "policy_helper.h"
#include "policy/secret.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

static const struct {
	const char *file, *message;
} refused[] = {
	{ "cilium-conn-client-egress-to-fqdns-and-ccec-listener.yaml",
	  "kind \"CiliumClusterwideEnvoyConfig\" is not supported" },
	{ "cilium-conn-host-firewall-egress.yaml", "nodeSelector: not supported" },
	{ "cilium-l3-egress-default-deny-null.yaml", "is empty" },
	{ "cilium-l7-http-uppercase-key.yaml", "unknown field \"HTTP\"" },
	{ "cilium-l7-kafka-legacy.yaml", "kafka: not supported" },
	{ "kubearmor-cnp-egress-deny-panchan.yaml", "nodeSelector: not supported" },
};

static const char *expected_message(const char *file)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(refused); i++) {
		if (strcmp(refused[i].file, file) == 0)
			return refused[i].message;
	}
	return NULL;
}

static bool has_message(const struct ex_diags *diags, const char *part)
{
	for (size_t i = 0; i < diags->n; i++) {
		if (!diags->items[i].warning && strstr(diags->items[i].message, part))
			return true;
	}
	return false;
}

/* Policies of others come without their secrets. */
static bool wants_secrets(const struct ex_diags *diags)
{
	for (size_t i = 0; i < diags->n; i++) {
		const char *text = diags->items[i].message;

		if (!diags->items[i].warning && !strstr(text, "there is no secret ") &&
		    !(strstr(text, "there is no item ") && strstr(text, " in the secret ")))
			return false;
	}
	return true;
}

static const char *check_nothing(const struct ex_origin *o)
{
	(void)o;
	return NULL;
}

static bool check_file(const char *dir, const char *name)
{
	const char *want = expected_message(name);
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	char path[4096];
	const char *files[] = { path };
	struct ex_compile_input in = { .files = files,
				       .n_files = 1,
				       .secrets_dir = "tests/unit/secrets",
				       .deny_metadata = true };
	bool ok;
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = ex_compile(&in, &rs, &diags);
	ok = want     ? r == -EINVAL && has_message(&diags, want)
	     : r == 0 ? true
		      : getenv("EXEAT_CORPUS") && wants_secrets(&diags);
	if (!ok) {
		print_error("%s: %s\n", name, r == 0 ? "accepted" : "refused");
		ex_diags_print(&diags, stderr);
	}
	ex_diags_done(&diags);
	ex_ruleset_unref(rs);
	return ok;
}

static void test_corpus(void **state)
{
	const char *dir = getenv("EXEAT_CORPUS");
	struct dirent **list;
	bool ok = true;
	int n;

	(void)state;
	if (!dir)
		dir = "tests/unit/corpus";
	n = scandir(dir, &list, NULL, alphasort);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		const char *dot = strrchr(list[i]->d_name, '.');

		if (dot && strcmp(dot, ".yaml") == 0 && !strstr(list[i]->d_name, ".test."))
			ok &= check_file(dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	assert_true(ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_corpus) };

	ex_origin_use_checker(check_nothing);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
