/* SPDX-License-Identifier: Apache-2.0 */
/* Policy directories: read whole, ConfigMaps and their swaps, and whom the policies are for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/core/dir_watch.h"
#include "agent/node/selection.h"
#include "tests/unit/scratch.h"

static char dir[] = "/tmp/exeat-policies-XXXXXX";
static const char *const dirs[] = { dir };

#define POLICY(name, app)                                                                          \
	"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: " name              \
	", namespace: default}\nspec:\n  endpointSelector: {matchLabels: {app: " app "}}\n"        \
	"  egress: [{toCIDR: [192.0.2.0/24]}]\n"

static int set_up(void **state)
{
	(void)state;
	return scratch_new(dir);
}

static int tear_down(void **state)
{
	(void)state;
	return scratch_remove(dir);
}

static const char *in_dir(const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct ex_policy_files *get(const struct ex_policy_files *before)
{
	struct ex_policy_files *f;
	char err[EX_POLICY_FILES_ERR];

	assert_int_equal(ex_policy_files_read(dirs, 1, before, &f, err), 0);
	return f;
}

static void test_only_policies_in_the_order_of_their_names(void **state)
{
	struct ex_policy_files *f;

	(void)state;
	put("b.yaml", "b");
	put("a.yml", "a");
	put(".hidden.yaml", "x");
	put("a.yaml.swp", "x");
	put("README", "x");
	put("json", "x");
	put("c.jsonl", "x");
	put("c.json", "c");
	f = get(NULL);
	assert_int_equal(f->files.n, 3);
	assert_string_equal(f->files.v[0]->text.name, in_dir("a.yml"));
	assert_true(ex_span_eq(f->files.v[1]->text.text, EX_SPAN("b")));
	assert_true(ex_span_eq(f->files.v[2]->text.text, EX_SPAN("c")));
	ex_policy_files_free(f);
}

static void test_refuse_a_file_that_is_being_written(void **state)
{
	struct ex_policy_files *f;
	char err[EX_POLICY_FILES_ERR];
	FILE *half;

	(void)state;
	put("a.yaml", "a");
	half = fopen(in_dir("b.yaml"), "we");
	assert_non_null(half);
	assert_true(fputs("half", half) >= 0 && fflush(half) == 0);
	assert_int_equal(ex_policy_files_read(dirs, 1, NULL, &f, err), -EBUSY);
	assert_non_null(strstr(err, "b.yaml: it is being written"));
	assert_int_equal(fclose(half), 0);
	f = get(NULL);
	assert_int_equal(f->files.n, 2);
	ex_policy_files_free(f);
	put("b.yaml", "whole"); /* who writes waits for nobody afterwards */
}

static void test_refuse_a_directory_that_is_not_there(void **state)
{
	static const char *const both[] = { dir, "/nonexistent/policies" };
	struct ex_policy_files *f;
	char err[EX_POLICY_FILES_ERR];

	(void)state;
	put("a.yaml", "a");
	assert_int_equal(ex_policy_files_read(both, 2, NULL, &f, err), -ENOENT);
	assert_non_null(strstr(err, "/nonexistent/policies is not there: create it"));
}

static void test_an_empty_directory_is_a_set(void **state)
{
	struct ex_policy_files *f;

	(void)state;
	f = get(NULL);
	assert_int_equal(f->files.n, 0);
	ex_policy_files_free(f);
}

static void test_refuse_what_is_not_a_file(void **state)
{
	struct ex_policy_files *f;
	char err[EX_POLICY_FILES_ERR];

	(void)state;
	assert_int_equal(mkfifo(in_dir("pipe.yaml"), 0600), 0);
	assert_true(ex_policy_files_read(dirs, 1, NULL, &f, err) < 0);
	assert_non_null(strstr(err, "pipe.yaml"));
	unlink(in_dir("pipe.yaml"));
	assert_int_equal(mkdir(in_dir("folder.yaml"), 0700), 0);
	assert_int_equal(ex_policy_files_read(dirs, 1, NULL, &f, err), -EISDIR); /* it stays one */
	rmdir(in_dir("folder.yaml"));
}

static void test_refuse_what_anybody_may_write(void **state)
{
	struct ex_policy_files *f;
	char err[EX_POLICY_FILES_ERR];

	(void)state;
	put("a.yaml", "a");
	assert_int_equal(chmod(in_dir("a.yaml"), 0666), 0);
	assert_int_equal(ex_policy_files_read(dirs, 1, NULL, &f, err), -EPERM);
	assert_non_null(strstr(err, "a.yaml: anybody may write"));
	assert_int_equal(chmod(in_dir("a.yaml"), 0664), 0); /* a group's is a choice */
	ex_policy_files_free(get(NULL));
	assert_int_equal(chmod(dir, 01777), 0);
	assert_int_equal(ex_policy_files_read(dirs, 1, NULL, &f, err), -EPERM);
	assert_non_null(strstr(err, dir));
	assert_int_equal(chmod(dir, 0775), 0);
	ex_policy_files_free(get(NULL));
}

static void test_a_config_map_is_read_through_its_links(void **state)
{
	struct ex_policy_files *first, *second;

	(void)state;
	assert_int_equal(mkdir(in_dir("..one"), 0700), 0);
	assert_int_equal(mkdir(in_dir("..two"), 0700), 0);
	put("..one/p.yaml", "one");
	put("..two/p.yaml", "two");
	assert_int_equal(symlink("..one", in_dir("..data")), 0);
	assert_int_equal(symlink("..data/p.yaml", in_dir("p.yaml")), 0);
	first = get(NULL);
	assert_int_equal(symlink("..two", in_dir("..tmp")), 0);
	assert_int_equal(rename(in_dir("..tmp"), in_dir("..data")), 0);
	second = get(first);
	assert_true(ex_span_eq(first->files.v[0]->text.text, EX_SPAN("one")));
	assert_true(ex_span_eq(second->files.v[0]->text.text, EX_SPAN("two")));
	assert_false(ex_policy_files_equal(first, second));
	ex_policy_files_free(first);
	ex_policy_files_free(second);
}

static void test_a_file_that_did_not_change_keeps_its_identity(void **state)
{
	struct ex_policy_files *first, *second;

	(void)state;
	put("a.yaml", "a");
	put("b.yaml", "b");
	put("c.yaml", "c");
	first = get(NULL);
	put("b.yaml", "other");
	assert_int_equal(unlink(in_dir("a.yaml")), 0);
	second = get(first);
	assert_int_equal(second->files.n, 2);
	assert_ptr_not_equal(second->files.v[0], first->files.v[1]);
	assert_ptr_equal(second->files.v[1], first->files.v[2]);
	ex_policy_files_free(first);
	assert_true(ex_span_eq(second->files.v[1]->text.text, EX_SPAN("c")));
	ex_policy_files_free(second);
}

/* ---- whom they are for ---- */

static struct ex_selection select_for(const struct ex_policy_files *f, const char *app)
{
	const struct ex_node_config config = { 0 };
	struct ex_label labels[] = { { "app", app }, { EX_LABEL_NAMESPACE, "default" } };
	const struct ex_node_endpoint e = { .labels = labels, .n_labels = 2 };
	struct ex_selection s;

	assert_int_equal(ex_selection_make(f, &config, &e, &s), 0);
	return s;
}

static void test_endpoints_of_the_same_policies_are_equal(void **state)
{
	struct ex_policy_files *f;
	struct ex_diags diags = { 0 };
	struct ex_selection a, again, b, none;

	(void)state;
	put("a.yaml", POLICY("a", "a"));
	put("ab.yaml", POLICY("x", "b") "---\n" POLICY("y", "a"));
	f = get(NULL);
	assert_int_equal(ex_policy_files_parse(f, &diags), 0);
	a = select_for(f, "a");
	again = select_for(f, "a");
	b = select_for(f, "b");
	none = select_for(f, "c");
	assert_int_equal(a.v.n, 2);
	assert_int_equal(b.v.n, 1);
	assert_int_equal(none.v.n, 0);
	assert_true(ex_selection_equal(&a, &again));
	assert_false(ex_selection_equal(&a, &b));
	assert_false(ex_selection_equal(&b, &none));
	ex_selection_done(&a);
	ex_selection_done(&again);
	ex_selection_done(&b);
	ex_selection_done(&none);
	ex_policy_files_free(f);
}

static void test_groups_are_for_everybody(void **state)
{
	struct ex_policy_files *f;
	struct ex_diags diags = { 0 };
	struct ex_selection s;
	struct ex_text *texts;
	size_t n;

	(void)state;
	put("g.yaml", "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: g}\n"
		      "spec: {externalCIDRs: [192.0.2.0/24]}\n---\n" POLICY("a", "a"));
	f = get(NULL);
	assert_int_equal(ex_policy_files_parse(f, &diags), 0);
	s = select_for(f, "a");
	texts = ex_selection_texts(&s, &n);
	assert_non_null(texts);
	assert_int_equal(n, 1); /* the file once, although two of its parts are meant */
	free(texts);
	ex_selection_done(&s);
	s = select_for(f, "b");
	assert_int_equal(s.v.n, 1);
	ex_selection_done(&s);
	ex_policy_files_free(f);
}

static void test_refuse_a_file_that_is_no_policy(void **state)
{
	struct ex_policy_files *f;
	struct ex_diags diags = { 0 };

	(void)state;
	put("a.yaml", POLICY("a", "a"));
	put("b.yaml", "kind: Nonsense\n");
	put("c.yaml", "# nothing\n");
	f = get(NULL);
	assert_int_equal(ex_policy_files_parse(f, &diags), -EINVAL);
	assert_true(diags.n >= 2);
	ex_diags_done(&diags);
	ex_policy_files_free(f);
}

/* ---- the watch ---- */

struct watching {
	struct ex_loop *loop;
	struct ex_timer limit;
	int changes;
};

static void on_change(void *arg)
{
	struct watching *w = arg;

	w->changes++;
	ex_loop_quit(w->loop);
}

static void on_limit(struct ex_timer *t)
{
	ex_loop_quit(ex_container_of(t, struct watching, limit)->loop);
}

static int changes_within(struct watching *w, uint64_t ms)
{
	w->changes = 0;
	assert_int_equal(ex_timer_start(w->loop, &w->limit, ms), 0);
	assert_int_equal(ex_loop_run(w->loop), 0);
	return w->changes;
}

static void test_changes_are_told_once_a_burst(void **state)
{
	static char later[64];
	static const char *const both[] = { dir, later };
	struct watching w = { .limit.fn = on_limit };
	struct ex_dir_watch *watch;

	(void)state;
	snprintf(later, sizeof(later), "%s/later", dir);
	assert_int_equal(ex_loop_new(&w.loop), 0);
	assert_int_equal(ex_dir_watch_new(w.loop, both, 2, 5, on_change, &w, &watch), 0);
	assert_int_equal(changes_within(&w, 30), 0);
	put("a.yaml", "1");
	put("b.yaml", "1");
	assert_int_equal(changes_within(&w, 10000), 1);
	assert_int_equal(changes_within(&w, 30), 0);
	assert_int_equal(unlink(in_dir("a.yaml")), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	/* a directory that comes to be is seen, and watched */
	assert_int_equal(mkdir(later, 0700), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	put("later/c.yaml", "1");
	assert_int_equal(changes_within(&w, 10000), 1);
	ex_dir_watch_free(watch);
	ex_loop_free(w.loop);
}

/* As git-sync and others put a new version in place. */
static void test_a_link_on_the_way_that_leads_elsewhere_is_seen(void **state)
{
	static char way[64];
	static const char *const through[] = { way };
	struct watching w = { .limit.fn = on_limit };
	struct ex_dir_watch *watch;

	(void)state;
	snprintf(way, sizeof(way), "%s/current/policies", dir);
	assert_int_equal(mkdir(in_dir("one"), 0700), 0);
	assert_int_equal(mkdir(in_dir("two"), 0700), 0);
	assert_int_equal(mkdir(in_dir("one/policies"), 0700), 0);
	assert_int_equal(mkdir(in_dir("two/policies"), 0700), 0);
	assert_int_equal(symlink("one", in_dir("current")), 0);
	assert_int_equal(ex_loop_new(&w.loop), 0);
	assert_int_equal(ex_dir_watch_new(w.loop, through, 1, 5, on_change, &w, &watch), 0);
	assert_int_equal(symlink("two", in_dir("tmp")), 0);
	assert_int_equal(rename(in_dir("tmp"), in_dir("current")), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	put("two/policies/a.yaml", "1"); /* and watched from then on */
	assert_int_equal(changes_within(&w, 10000), 1);
	ex_dir_watch_free(watch);
	ex_loop_free(w.loop);
}

/* A file may be a link, to another version each time, or to one that is written in its place. */
static void test_a_file_elsewhere_that_is_linked_to_is_seen(void **state)
{
	static char way[64];
	static const char *const through[] = { way };
	struct watching w = { .limit.fn = on_limit };
	struct ex_dir_watch *watch;

	(void)state;
	snprintf(way, sizeof(way), "%s/policies", dir);
	assert_int_equal(mkdir(way, 0700), 0);
	put("a.yaml", "1");
	assert_int_equal(symlink("../current", in_dir("policies/a.yaml")), 0);
	assert_int_equal(symlink("a.yaml", in_dir("current")), 0);
	assert_int_equal(ex_loop_new(&w.loop), 0);
	assert_int_equal(ex_dir_watch_new(w.loop, through, 1, 5, on_change, &w, &watch), 0);
	assert_int_equal(changes_within(&w, 1500), 0);
	put("a.yaml", "22");
	assert_int_equal(changes_within(&w, 10000), 1);
	put("b.yaml", "22");
	assert_int_equal(changes_within(&w, 1500), 0);
	assert_int_equal(symlink("b.yaml", in_dir("tmp")), 0);
	assert_int_equal(rename(in_dir("tmp"), in_dir("current")), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	assert_int_equal(unlink(in_dir("current")), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	assert_int_equal(changes_within(&w, 1500), 0);
	ex_dir_watch_free(watch);
	ex_loop_free(w.loop);
}

static void own_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0) {
		print_message("mounting needs root\n");
		skip();
	}
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* As docker run -v FILE:FILE has it; what the file was mounted from may be replaced, too. */
static void test_a_file_that_is_mounted_alone_is_seen(void **state)
{
	static char way[64];
	static const char *const through[] = { way };
	struct watching w = { .limit.fn = on_limit };
	struct ex_dir_watch *watch;
	struct ex_policy_files *f;
	char err[EX_POLICY_FILES_ERR], at[80];

	(void)state;
	own_mounts();
	snprintf(way, sizeof(way), "%s/policies", dir);
	snprintf(at, sizeof(at), "%s/a.yaml", way);
	assert_int_equal(mkdir(way, 0700), 0);
	put("there.yaml", "1");
	put("policies/a.yaml", "");
	assert_int_equal(ex_loop_new(&w.loop), 0);
	assert_int_equal(ex_dir_watch_new(w.loop, through, 1, 5, on_change, &w, &watch), 0);
	assert_int_equal(mount(in_dir("there.yaml"), at, NULL, MS_BIND, NULL), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	put("there.yaml", "22");
	assert_int_equal(changes_within(&w, 10000), 1);
	assert_int_equal(ex_policy_files_read(through, 1, NULL, &f, err), 0);
	assert_string_equal(f->files.v[0]->text.text.ptr, "22");
	ex_policy_files_free(f);
	put("tmp", "333");
	assert_int_equal(rename(in_dir("tmp"), in_dir("there.yaml")), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	assert_int_equal(ex_policy_files_read(through, 1, NULL, &f, err), -ESTALE);
	assert_non_null(strstr(err, "mount its directory"));
	assert_int_equal(umount(at), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	ex_dir_watch_free(watch);
	ex_loop_free(w.loop);
}

/* A ConfigMap may come late: until then there is an empty directory in its place. */
static void test_what_is_mounted_on_a_directory_is_seen(void **state)
{
	struct watching w = { .limit.fn = on_limit };
	struct ex_dir_watch *watch;
	struct ex_policy_files *f;

	(void)state;
	own_mounts();
	assert_int_equal(ex_loop_new(&w.loop), 0);
	assert_int_equal(ex_dir_watch_new(w.loop, dirs, 1, 5, on_change, &w, &watch), 0);
	assert_int_equal(mount("test", "/mnt", "tmpfs", 0, NULL), 0);
	assert_int_equal(changes_within(&w, 30), 0); /* of others it is not told */
	assert_int_equal(mount("test", dir, "tmpfs", 0, "mode=0755"), 0);
	put("a.yaml", POLICY("a", "web"));
	assert_int_equal(changes_within(&w, 10000), 1);
	f = get(NULL);
	assert_int_equal(f->files.n, 1);
	ex_policy_files_free(f);
	put("b.yaml", "1"); /* and it is watched */
	assert_int_equal(changes_within(&w, 10000), 1);
	assert_int_equal(umount(dir), 0);
	assert_int_equal(changes_within(&w, 10000), 1);
	put("c.yaml", "1");
	assert_int_equal(changes_within(&w, 10000), 1);
	assert_int_equal(umount("/mnt"), 0);
	ex_dir_watch_free(watch);
	ex_loop_free(w.loop);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_only_policies_in_the_order_of_their_names),
		T(test_refuse_a_file_that_is_being_written),
		T(test_refuse_a_directory_that_is_not_there),
		T(test_an_empty_directory_is_a_set),
		T(test_refuse_what_is_not_a_file),
		T(test_refuse_what_anybody_may_write),
		T(test_a_config_map_is_read_through_its_links),
		T(test_a_file_that_did_not_change_keeps_its_identity),
		T(test_endpoints_of_the_same_policies_are_equal),
		T(test_groups_are_for_everybody),
		T(test_refuse_a_file_that_is_no_policy),
		T(test_changes_are_told_once_a_burst),
		T(test_a_link_on_the_way_that_leads_elsewhere_is_seen),
		T(test_a_file_elsewhere_that_is_linked_to_is_seen),
		T(test_a_file_that_is_mounted_alone_is_seen),
		T(test_what_is_mounted_on_a_directory_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
