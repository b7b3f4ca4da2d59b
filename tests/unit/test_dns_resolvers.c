/* SPDX-License-Identifier: Apache-2.0 */
/* Which resolvers are asked, as a resolv.conf changes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "agent/core/dir_watch.h"
#include "agent/core/log.h"
#include "agent/dns/resolvers.h"

static char dir[] = "/tmp/exeat-resolvers-XXXXXX";
static char conf[64];
static struct ex_resolvers r;

static const char *in_dir(const char *name)
{
	static char path[2][96];
	static int i;

	i = !i;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(in_dir(name), "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void name(const char *text)
{
	assert_null(ex_resolver_server_add(text, r.v, EX_RESOLVERS_MAX, &r.n));
}

static void asks(const char *const *texts)
{
	char buf[EX_RESOLVER_TEXT];
	size_t n = 0;

	for (; texts[n]; n++)
		if (n < r.n)
			assert_string_equal(ex_resolver_server_text(&r.v[n], buf), texts[n]);
	assert_int_equal(r.n, n);
}

#define ASKS(...) asks((const char *const[]){ __VA_ARGS__, NULL })

static bool finds(const char *text, uint64_t now)
{
	struct ex_ip ip;

	assert_true(ex_ip_parse(text, &ip));
	return ex_resolvers_find(&r, &ip, 53, now) != NULL;
}

static int setup(void **state)
{
	(void)state;
	r = (struct ex_resolvers){ 0 };
	put("resolv.conf", "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(conf);
	unlink(in_dir("other"));
	return 0;
}

static void test_what_was_named_for_all_names_leaves_nothing_to_the_file(void **state)
{
	(void)state;
	name("corp=192.0.2.9");
	name("192.0.2.8");
	ex_resolvers_follow(&r, conf);
	assert_null(r.file);
	assert_false(ex_resolvers_look(&r, 0));
	ASKS("corp=192.0.2.9", "192.0.2.8");
	assert_null(r.trouble);
}

static void test_the_file_is_followed(void **state)
{
	const struct ex_resolver_server *general;

	(void)state;
	name("corp=192.0.2.9");
	ex_resolvers_follow(&r, conf);
	assert_true(ex_resolvers_look(&r, 1000));
	ASKS("corp=192.0.2.9", "192.0.2.1", "192.0.2.2");
	assert_false(ex_resolvers_look(&r, 1001));
	put("resolv.conf", "# nothing that counts\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n");
	assert_false(ex_resolvers_look(&r, 1002));
	put("resolv.conf", "nameserver 192.0.2.3\n");
	assert_true(ex_resolvers_look(&r, 2000));
	ASKS("corp=192.0.2.9", "192.0.2.3");
	assert_int_equal(ex_resolvers_general(&r, &general), 1);
	assert_ptr_equal(general, &r.v[1]);
	/* who has not heard of it yet is not refused, for a while */
	assert_true(finds("192.0.2.3", 2001) && finds("192.0.2.1", 2001));
	assert_true(finds("192.0.2.9", 2001));
	assert_false(finds("192.0.2.4", 2001));
	assert_true(finds("192.0.2.3", 7000) && finds("192.0.2.9", 7000));
	assert_false(finds("192.0.2.1", 7000));
}

static void test_a_file_that_says_nothing_changes_nothing(void **state)
{
	static const char *const bad[] = { "",
					   "\n",
					   "search lan\n",
					   "nameserver\n",
					   "nameserver 192.0.2",
					   "nameserver fe80::1%gone\n" };
	int fd;

	(void)state;
	ex_resolvers_follow(&r, conf);
	assert_true(ex_resolvers_look(&r, 0));
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		put("resolv.conf", bad[i]);
		assert_false(ex_resolvers_look(&r, 0));
		assert_string_equal(r.trouble, "it has no nameserver that can be asked");
		ASKS("192.0.2.1", "192.0.2.2");
	}
	assert_int_equal(unlink(conf), 0);
	assert_false(ex_resolvers_look(&r, 0));
	assert_string_equal(r.trouble, "No such file or directory");
	assert_int_equal(mkfifo(conf, 0600), 0);
	assert_false(ex_resolvers_look(&r, 0)); /* and nobody waits for it */
	assert_non_null(r.trouble);
	assert_int_equal(unlink(conf), 0);
	assert_int_equal(symlink("/dev/zero", conf), 0);
	assert_false(ex_resolvers_look(&r, 0));
	assert_non_null(r.trouble);
	assert_int_equal(unlink(conf), 0);
	put("resolv.conf", "nameserver 192.0.2.7\n");
	fd = open(conf, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_false(ex_resolvers_look(&r, 0));
	assert_string_equal(r.trouble, "it is being written");
	ASKS("192.0.2.1", "192.0.2.2");
	close(fd);
	assert_true(ex_resolvers_look(&r, 0));
	assert_null(r.trouble);
	ASKS("192.0.2.7");
}

static void test_a_file_that_comes_late(void **state)
{
	(void)state;
	assert_int_equal(unlink(conf), 0);
	ex_resolvers_follow(&r, conf);
	assert_false(ex_resolvers_look(&r, 0));
	assert_int_equal(r.n, 0);
	assert_false(finds("0.0.0.0", 0));
	put("resolv.conf", "nameserver 192.0.2.1\n");
	assert_true(ex_resolvers_look(&r, 0));
	ASKS("192.0.2.1");
}

/* ---- noticing ---- */

static struct ex_loop *loop;

static void on_change(void *arg)
{
	(void)arg;
	if (ex_resolvers_look(&r, 0))
		ex_loop_quit(loop);
}

static void on_limit(struct ex_timer *t)
{
	(void)t;
	ex_loop_quit(loop);
}

static void follows(const char *text)
{
	struct ex_timer limit = { .fn = on_limit };

	assert_int_equal(ex_timer_start(loop, &limit, 10000), 0);
	assert_int_equal(ex_loop_run(loop), 0);
	ex_timer_stop(loop, &limit);
	ASKS(text);
}

/* As editors, DHCP clients, NetworkManager and systemd-resolved write it. */
static void test_every_way_to_change_it_is_seen(void **state)
{
	const char *const watched[] = { conf };
	struct ex_dir_watch *watch;

	(void)state;
	ex_resolvers_follow(&r, conf);
	assert_true(ex_resolvers_look(&r, 0));
	assert_int_equal(ex_loop_new(&loop), 0);
	assert_int_equal(ex_dir_watch_new(loop, watched, 1, 5, on_change, NULL, &watch), 0);
	put("resolv.conf", "nameserver 192.0.2.3\n"); /* in place */
	follows("192.0.2.3");
	put("tmp", "nameserver 192.0.2.4\n"); /* renamed over it */
	assert_int_equal(rename(in_dir("tmp"), conf), 0);
	follows("192.0.2.4");
	put("other", "nameserver 192.0.2.5\n"); /* a link in its place */
	assert_int_equal(symlink("other", in_dir("tmp")), 0);
	assert_int_equal(rename(in_dir("tmp"), conf), 0);
	follows("192.0.2.5");
	put("other", "nameserver 192.0.2.6\n"); /* behind the link */
	follows("192.0.2.6");
	assert_int_equal(unlink(conf), 0); /* gone, and there again */
	on_change(NULL);
	assert_non_null(r.trouble);
	put("resolv.conf", "nameserver 192.0.2.7\n");
	follows("192.0.2.7");
	ex_dir_watch_free(watch);
	ex_loop_free(loop);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_was_named_for_all_names_leaves_nothing_to_the_file),
		T(test_the_file_is_followed),
		T(test_a_file_that_says_nothing_changes_nothing),
		T(test_a_file_that_comes_late),
		T(test_every_way_to_change_it_is_seen),
	};
	int failed;

	ex_log_set_level(EX_LOG_ERROR);
	if (!mkdtemp(dir))
		return 1;
	snprintf(conf, sizeof(conf), "%s/resolv.conf", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
