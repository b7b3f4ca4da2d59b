/* SPDX-License-Identifier: Apache-2.0 */
/* What a round compiles, and for whom: no more than has to be, and nobody held up by another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "agent/core/pack.h"
#include "agent/node/plan.h"
#include "policy/ruleset.h"
#include "tests/unit/scratch.h"

#define HEAD(name, app)                                                                            \
	"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: " name              \
	", namespace: default}\nspec:\n  endpointSelector: {matchLabels: {" app "}}\n  egress:\n"

#define TO_WEB                                                                                     \
	HEAD("web", "app: web")                                                                    \
	"  - toEndpoints: [{matchLabels: {app: db}}]\n"                                            \
	"    toPorts: [{ports: [{port: '5432', protocol: TCP}]}]\n"
#define TO_DB HEAD("db", "app: db") "  - toCIDR: [192.0.2.0/24]\n"

#define WITH_SECRET                                                                                \
	HEAD("web", "app: web")                                                                    \
	"  - toFQDNs: [{matchName: api.test}]\n    toPorts:\n"                                     \
	"    - ports: [{port: '443', protocol: TCP}]\n"                                            \
	"      originatingTLS: {secret: {name: card}}\n      rules: {http: [{}]}\n"

#define WITH_VALUE(app, value)                                                                     \
	HEAD("p", "app: " app)                                                                     \
	"  - toFQDNs: [{matchName: api.test}]\n    toPorts:\n"                                     \
	"    - ports: [{port: '443', protocol: TCP}]\n"                                            \
	"      rules: {http: [{headerMatches: [{name: X-Key, value: " value "}]}]}\n"

#define WIDE 2500 /* rules about one prefix, times */
#define MANY 8000 /* addresses in it: too many members of too many classes */

static char dir[] = "/tmp/exeat-plan-XXXXXX";
static const char *const dirs[] = { dir };
static struct ex_node node;
static struct ex_plan plan;

static FILE *open_file(const char *name)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s.yaml", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	return f;
}

static void put(const char *name, const char *text)
{
	FILE *f = open_file(name);

	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct ex_node_endpoint *add(uint32_t id, const char *labels)
{
	struct ex_node_endpoint *e = ex_node_endpoint_new();
	char text[256], err[EX_NODE_ERR], ip[32];
	struct ex_jv *jv;
	int n = snprintf(text, sizeof(text), "{\"name\": \"e%u\", \"labels\": {%s}}", id, labels);

	assert_non_null(e);
	assert_int_equal(ex_jv_read((struct ex_span){ text, (size_t)n }, &jv, err), 0);
	assert_int_equal(ex_node_endpoint_read(e, jv, err), 0);
	ex_jv_free(jv);
	(void)snprintf(ip, sizeof(ip), "10.0.0.%u", id);
	assert_true(ex_ip_parse(ip, &e->link.ip4));
	e->id = id;
	e->link.ifindex = id;
	e->next = node.registry.first;
	node.registry.first = e;
	node.registry.n++;
	return e;
}

static struct ex_policy_files *get(void)
{
	struct ex_policy_files *f;
	char err[EX_POLICY_FILES_ERR];

	assert_int_equal(ex_policy_files_read(dirs, 1, node.files, &f, err), 0);
	return f;
}

/* As a round does, but for the gates. The plan is there to be looked at until the next one. */
static void take(struct ex_policy_files *files)
{
	struct ex_diags diags = { 0 };

	ex_plan_done(&plan);
	assert_int_equal(ex_plan_make(&node, files, &diags, &plan), 0);
	ex_diags_done(&diags);
	for (size_t i = 0; i < plan.n; i++)
		if (plan.v[i].compiled)
			assert_int_equal(ex_plan_remember(&plan.v[i]), 0);
	ex_compile_base_done(&node.base);
	node.base = plan.base;
	plan.base = (struct ex_compile_base){ 0 };
	if (files != node.files)
		ex_policy_files_free(node.files);
	node.files = files;
}

static const struct ex_prepared *of(const struct ex_node_endpoint *e)
{
	for (size_t i = 0; i < plan.n; i++)
		if (plan.v[i].e == e)
			return &plan.v[i];
	return NULL;
}

static enum ex_verdict judge(const struct ex_node_endpoint *e, const char *ip, uint16_t port)
{
	struct ex_flow f = { .port = port, .proto = IPPROTO_TCP };

	assert_true(ex_ip_parse(ip, &f.dst));
	assert_non_null(e->in_force);
	return ex_judge_l4(e->in_force->compiled->rs, &f).verdict;
}

static int set_up(void **state)
{
	(void)state;
	node = (struct ex_node){ .registry.dir = -1 };
	return scratch_new(dir);
}

static int tear_down(void **state)
{
	struct ex_node_endpoint *e;

	(void)state;
	ex_plan_done(&plan);
	while ((e = node.registry.first)) {
		node.registry.first = e->next;
		ex_plan_forget(e);
		ex_node_endpoint_free(e);
	}
	ex_compile_base_done(&node.base);
	ex_policy_files_free(node.files);
	return scratch_remove(dir);
}

/* ---- no more than has to be ---- */

static void test_nothing_changed_is_nothing_to_do(void **state)
{
	(void)state;
	put("web", TO_WEB);
	add(1, "\"app\": \"web\"");
	take(get());
	assert_int_equal(plan.n_compiled, 1);
	take(node.files);
	assert_int_equal(plan.n_compiled, 0);
	assert_int_equal(plan.n_moves, 0);
	assert_null(plan.v[0].compiled);
}

static void test_equals_share_what_is_compiled(void **state)
{
	struct ex_node_endpoint *a, *b, *c;

	(void)state;
	put("web", TO_WEB);
	a = add(1, "\"app\": \"web\"");
	b = add(2, "\"app\": \"web\", \"x\": \"y\"");
	take(get());
	assert_int_equal(plan.n_compiled, 1);
	assert_ptr_equal(a->in_force->compiled, b->in_force->compiled);
	c = add(3, "\"app\": \"web\""); /* later, and led over */
	take(node.files);
	assert_int_equal(plan.n_compiled, 0);
	assert_int_equal(plan.n_moves, 1);
	assert_ptr_equal(a->in_force->compiled, c->in_force->compiled);
	assert_ptr_equal(a->in_force->compiled, b->in_force->compiled);
}

static void test_another_endpoint_compiles_itself_alone(void **state)
{
	struct ex_node_endpoint *web, *db;

	(void)state;
	put("web", TO_WEB);
	put("db", TO_DB);
	web = add(1, "\"app\": \"web\"");
	take(get());
	assert_int_equal(judge(web, "10.0.0.2", 5432), EX_V_DENY);
	db = add(2, "\"app\": \"db\"");
	take(node.files);
	assert_int_equal(plan.n_compiled, 1);
	assert_non_null(of(web)->move);
	assert_null(of(db)->move);
	assert_int_equal(judge(web, "10.0.0.2", 5432), EX_V_ALLOW);
	assert_int_equal(judge(db, "10.0.0.1", 5432), EX_V_DENY);
}

static void test_another_policy_compiles_for_whom_it_selects(void **state)
{
	struct ex_node_endpoint *web, *db;

	(void)state;
	put("web", TO_WEB);
	put("db", TO_DB);
	web = add(1, "\"app\": \"web\"");
	db = add(2, "\"app\": \"db\"");
	take(get());
	put("db", TO_DB "  - toCIDR: [198.51.100.0/24]\n");
	take(get());
	assert_int_equal(plan.n_compiled, 1);
	assert_null(of(web)->compiled);
	assert_int_equal(judge(db, "198.51.100.1", 1), EX_V_ALLOW);
}

/* ---- what is not valid ---- */

/* A file that nobody could be given keeps all of the set out, as ever. */
static void test_a_file_that_does_not_compile_is_not_valid(void **state)
{
	struct ex_policy_files *f;
	struct ex_diags diags = { 0 };
	struct ex_plan none;

	(void)state;
	put("db", TO_DB);
	add(1, "\"app\": \"db\"");
	take(get());
	put("db", HEAD("db", "app: db") "  - toCIDRSet: [{cidrGroupRef: missing}]\n");
	f = get();
	assert_int_equal(ex_plan_make(&node, f, &diags, &none), -EINVAL);
	assert_true(diags.n > 0);
	ex_diags_done(&diags);
	ex_policy_files_free(f);
}

/* Also when what is wrong is that another file is gone. */
static void test_a_group_that_others_need_cannot_go(void **state)
{
	struct ex_policy_files *f;
	struct ex_diags diags = { 0 };
	struct ex_plan none;
	char path[128];

	(void)state;
	put("db", HEAD("db", "app: db") "  - toCIDRSet: [{cidrGroupRef: there}]\n");
	put("group", "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: there}\n"
		     "spec: {externalCIDRs: [192.0.2.0/24]}\n");
	add(1, "\"app\": \"db\"");
	take(get());
	(void)snprintf(path, sizeof(path), "%s/group.yaml", dir);
	assert_int_equal(remove(path), 0);
	f = get();
	assert_int_equal(ex_plan_make(&node, f, &diags, &none), -EINVAL);
	ex_diags_done(&diags);
	ex_policy_files_free(f);
}

/* A spec that selects nobody yet is in nobody's way, whatever else is in its file. */
static void test_a_spec_is_looked_at_when_it_selects_somebody(void **state)
{
	struct ex_policy_files *f;
	struct ex_diags diags = { 0 };
	struct ex_plan none;
	struct ex_node_endpoint *db, *web;

	(void)state;
	put("both", TO_DB "---\n" WITH_SECRET);
	db = add(1, "\"app\": \"db\"");
	take(get());
	assert_int_equal(judge(db, "192.0.2.1", 1), EX_V_ALLOW);
	web = add(2, "\"app\": \"web\"");
	take(node.files);
	assert_true(of(web)->failed);
	assert_non_null(strstr(of(web)->why, "there is no secret default/card"));
	assert_false(of(db)->failed);
	/* nor is it valid from now on, in another file */
	put("both", WITH_SECRET);
	f = get();
	assert_int_equal(ex_plan_make(&node, f, &diags, &none), -EINVAL);
	ex_diags_done(&diags);
	ex_policy_files_free(f);
}

/* Each is sound; together they cut the address space into more than there may be. */
static void put_too_much(void)
{
	FILE *f = open_file("wide");

	(void)fputs(HEAD("wide", "wide: 'yes'"), f);
	for (int i = 0; i < WIDE; i++)
		(void)fprintf(f,
			      "  - toCIDR: [10.0.0.0/8]\n"
			      "    toPorts: [{ports: [{port: '%d', protocol: TCP}]}]\n",
			      i + 1);
	assert_int_equal(fclose(f), 0);
	f = open_file("many");
	(void)fputs(HEAD("many", "many: 'yes'"), f);
	for (int i = 0; i < MANY; i++)
		(void)fprintf(f, "  - toCIDR: [10.1.%d.%d/32]\n", i / 250, i % 250);
	assert_int_equal(fclose(f), 0);
}

static void test_one_that_valid_files_do_not_compile_for_is_denied_alone(void **state)
{
	struct ex_node_endpoint *wide, *both;

	(void)state;
	put("old", HEAD("old", "app: db") "  - toCIDR: [192.0.2.0/24]\n");
	wide = add(1, "\"app\": \"db\", \"wide\": \"yes\"");
	both = add(2, "\"app\": \"db\", \"wide\": \"yes\", \"many\": \"yes\"");
	take(get());
	assert_int_equal(judge(both, "192.0.2.1", 1), EX_V_ALLOW);
	put_too_much();
	take(get());
	assert_true(of(both)->failed);
	assert_true(of(both)->why[0]);
	assert_false(of(wide)->failed);
	assert_int_equal(judge(wide, "10.1.0.1", 7), EX_V_ALLOW); /* the new set */
	assert_int_equal(judge(both, "192.0.2.1", 1), EX_V_DENY); /* not the old one */
	assert_int_equal(judge(both, "10.1.0.1", 7), EX_V_DENY);
	take(node.files); /* it is not tried again for nothing, and still amiss */
	assert_int_equal(plan.n_compiled, 0);
	assert_true(of(both)->failed);
	put("wide", HEAD("wide", "wide: 'yes'") "  - toCIDR: [203.0.113.0/24]\n");
	take(get());
	assert_false(of(both)->failed);
	assert_int_equal(judge(both, "10.1.0.1", 7), EX_V_ALLOW);
}

/* Others come and go: each time would cost as much as the first. */
static void test_what_does_not_compile_is_not_tried_for_each_endpoint_that_comes(void **state)
{
	struct ex_node_endpoint *both;

	(void)state;
	put_too_much();
	both = add(1, "\"wide\": \"yes\", \"many\": \"yes\"");
	take(get());
	assert_true(of(both)->failed);
	add(2, "\"app\": \"web\"");
	take(node.files);
	assert_int_equal(plan.n_compiled, 1); /* for the new one */
	assert_int_equal(plan.n_later, 1);
	assert_true(of(both)->failed);
	assert_null(of(both)->compiled);
	take(node.files); /* it is remembered */
	assert_int_equal(plan.n_compiled, 0);
	assert_int_equal(plan.n_later, 1);
	node.try_failed = true;
	take(node.files);
	assert_int_equal(plan.n_compiled, 1);
	assert_int_equal(plan.n_later, 0);
	take(node.files); /* nothing is new any more */
	assert_int_equal(plan.n_compiled, 0);
	assert_int_equal(judge(both, "10.1.0.1", 7), EX_V_DENY);
}

static void test_what_is_for_others_is_not_for_its_proxy(void **state)
{
	struct ex_node_endpoint *web = add(1, "\"app\": \"web\"");
	EX_AUTO_FREE char *bytes = NULL;
	size_t len;

	(void)state;
	(void)add(2, "\"app\": \"db\"");
	put("both", WITH_VALUE("db", "of-another") "---\n" WITH_VALUE("web", "its-own"));
	take(get());
	assert_int_equal(ex_pack_read(of(web)->compiled->bundle, &bytes, &len), 0);
	assert_non_null(memmem(bytes, len, "its-own", 7));
	assert_null(memmem(bytes, len, "of-another", 10));
	/* the rules are the same, and stand where they stood */
	assert_int_equal(ex_ruleset_rule(of(web)->compiled->rs, 1)->line, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_changed_is_nothing_to_do, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_equals_share_what_is_compiled, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_another_endpoint_compiles_itself_alone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_another_policy_compiles_for_whom_it_selects,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_that_does_not_compile_is_not_valid,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_group_that_others_need_cannot_go, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_spec_is_looked_at_when_it_selects_somebody,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_one_that_valid_files_do_not_compile_for_is_denied_alone, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_does_not_compile_is_not_tried_for_each_endpoint_that_comes,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_for_others_is_not_for_its_proxy,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
