/* SPDX-License-Identifier: Apache-2.0 */
/* A keeper that goes on in another program, or among other endpoints; and what it keeps. */
#include "keeper.h"

#include <bpf/bpf.h>

/* ---- what is its own ---- */

static char told_file[] = "/tmp/ex-keeper-XXXXXX";
static char told_how[sizeof(told_file) + 5];

static void expect_told(uint8_t (*ret)[EX_PROXY_SECRET_LEN], size_t n)
{
	int fd = open(told_file, O_RDONLY | O_CLOEXEC);

	assert_int_equal(read(fd, ret, (n + 1) * sizeof(*ret)), n * sizeof(*ret));
	close(fd);
}

/* What it has handed over is another's. */
static void let_go(struct ex_worker *w)
{
	ex_watch_stop(loop, &w->on_end);
	ex_watch_stop(loop, &w->on_ipc);
	ex_watch_stop(loop, &w->on_resolvers);
	w->ipc = w->resolvers = w->ring_fd = -1;
	w->pid = 0;
}

/* As the program after this one gets it, which has so many workers for each. */
static int hand_over(const char *how, unsigned workers)
{
	struct ex_keeper_config cfg = configure(how, workers, false);
	struct ex_pack p = { 0 };
	struct ex_unpack u = { 0 };
	char *bytes = NULL;
	size_t len;
	int fd, r;

	cfg.names_kept = gate;
	ex_keeper_hand_over(keeper, &p);
	for (unsigned i = 0; i < keeper->n_workers; i++)
		let_go(&keeper->workers[i]);
	fd = ex_pack_seal(&p, "test");
	assert_int_equal(ex_pack_read(fd, &bytes, &len), 0);
	close(fd);
	memcpy(&fd, bytes, sizeof(fd)); /* the bundle: both keepers live here */
	fd = dup(fd);
	memcpy(bytes, &fd, sizeof(fd));
	ex_keeper_free(keeper);
	keeper = NULL;
	u = (struct ex_unpack){ .at = bytes, .end = bytes + len };
	r = ex_keeper_adopt(&cfg, &u, &keeper);
	if (r == 0)
		assert_int_equal(ex_unpack_done(&u), 0);
	free(bytes);
	return r;
}

static void test_the_secret_is_the_endpoints_and_stays(void **state)
{
	uint8_t told[8][EX_PROXY_SECRET_LEN] = { 0 };
	static const uint8_t zero[EX_PROXY_SECRET_LEN];
	int fd = mkstemp(told_file);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(told_how, sizeof(told_how), "tell-%s", told_file);
	begin(told_how, 2, false);
	assert_int_equal(n_ready, 1);
	expect_told(told, 2);
	assert_memory_not_equal(told[0], zero, sizeof(zero));
	assert_memory_equal(told[0], told[1], sizeof(told[0]));
	ex_keeper_stop(keeper);
	assert_int_equal(hand_over(told_how, 2), 0);
	run_for(30000);
	assert_true(ex_keeper_is_ready(keeper));
	expect_told(told, 4);
	assert_memory_equal(told[0], told[2], sizeof(told[0]));
	assert_memory_equal(told[0], told[3], sizeof(told[0]));
	assert_int_equal(end(NULL), 0);
	begin(told_how, 1, false); /* another endpoint of the same policy */
	expect_told(told, 5);
	assert_memory_not_equal(told[0], told[4], sizeof(told[0]));
	unlink(told_file);
}

/* ---- other endpoints ---- */

static void move_to(const char *ip)
{
	static const struct ex_delta none;
	struct ex_ruleset *from = ex_keeper_ruleset(keeper), *to = NULL;
	struct ex_known *known = know(ip);
	struct ex_delta egress;

	assert_int_equal(ex_repeer(from, known, &to), 0);
	assert_int_equal(test_delta(from, to, &egress), 0);
	assert_false(ex_delta_is_empty(&egress));
	assert_int_equal(ex_keeper_move(keeper, to, keeper->bundle, &egress, &none), 0);
	ex_delta_done(&egress);
	ex_ruleset_unref(to);
	ex_known_unref(known);
}

static bool is_named(const struct ex_ip *ip)
{
	const struct ex_name_key key = { gate_port_find(gate, IFINDEX)->set->policy, *ip };
	struct ex_name name;

	return bpf_map_lookup_elem(gate_map_fd(gate, "ex_names"), &key, &name) == 0;
}

static void test_a_name_of_what_embeds_an_endpoint_is_forgotten(void **state)
{
	uint32_t policy;

	(void)state;
	begin("learn-translated", 1, false);
	for (int i = 0; i < 3000 && !is_named(&translated); i++)
		run_for(10);
	assert_true(is_named(&translated));
	policy = gate_port_find(gate, IFINDEX)->set->policy;
	move_to("203.0.113.8"); /* one bit away */
	assert_true(is_named(&translated));
	assert_int_equal(gate_port_find(gate, IFINDEX)->set->policy, policy);
	move_to("203.0.113.9");
	assert_false(is_named(&translated));
	move_to("203.0.113.8"); /* it is gone */
	assert_true(is_named(&translated));
}

/* The time to tell it comes while it is busy with what it was told before. */
static void test_who_was_busy_hears_of_endpoints_afterwards(void **state)
{
	const struct ex_worker *w;

	(void)state;
	begin("follow-slow", 1, false);
	w = &keeper->workers[0];
	move_to("203.0.113.8");
	ex_keeper_tell_all(keeper);
	move_to("203.0.113.9");
	ex_keeper_tell_all(keeper);
	for (int i = 0; i < 300 && w->turn < keeper->turn; i++)
		run_for(10);
	assert_int_equal(w->turn, keeper->turn);
	assert_int_equal(n_lost, 0);
}

/* ---- another program ---- */

/* A second policy follows, as it does whenever gates are adopted. */
static void test_who_is_told_of_endpoints_comes_along(void **state)
{
	struct ex_endpoint ep = { .flags = EX_EP_CARRY, .ip4 = test_ip("192.0.0.2") };
	pid_t pid;

	(void)state;
	begin("follow-slow", 1, false);
	pid = keeper->workers[0].pid;
	move_to("203.0.113.8");
	ex_keeper_tell_all(keeper);
	assert_int_equal(hand_over("follow-slow", 1), 0);
	assert_int_equal(keeper->workers[0].pid, pid);
	assert_true(ex_keeper_is_ready(keeper));
	assert_int_equal(ex_keeper_publish(keeper, gate, IFINDEX, &ep), 0);
	assert_int_equal(swap(), 0);
	run_for(30000);
	assert_int_equal(n_swapped, 1);
	assert_int_equal(swap_err, 0);
	assert_int_equal(n_lost, 0);
	assert_int_equal(keeper->workers[0].pid, pid);
}

/* All are ended then: end() looks for more. */
static void test_nobody_stays_where_there_are_to_be_others(void **state)
{
	static const unsigned then[] = { 1, 3 };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(then); i++) {
		begin("silent", 2, false);
		assert_int_equal(n_ready, 1);
		assert_int_equal(hand_over("silent", then[i]), -EBADMSG);
		assert_int_equal(end(NULL), 0);
	}
}

/* They are read although nobody goes on with who wrote them. */
static void test_what_was_written_is_read_where_none_can_be_gone_on_with(void **state)
{
	uint32_t before_it;

	(void)state;
	begin("recording-on", 1, false);
	for (int i = 0; i < 3000 && n_records < 10; i++)
		run_for(10);
	by[0] = by[1] = NULL; /* compiled anew */
	usleep(200000);       /* meanwhile nobody reads */
	before_it = n_records;
	assert_int_equal(hand_over("recording-on", 3), -EBADMSG);
	assert_true(n_records > before_it);
}

static void test_who_is_behind_another_policy_leaves_no_record_behind(void **state)
{
	struct ex_ring at_end = { 0 };
	struct ex_pack p = { 0 };
	uint32_t until;
	int fd;

	(void)state;
	begin("recording-on", 1, false);
	for (int i = 0; i < 3000 && n_records < 10; i++)
		run_for(10);
	by[1] = by[0];
	assert_int_equal(swap(), 0);
	by[1] = by[0];
	fd = dup(keeper->workers[0].ring_fd);
	ex_keeper_hand_over(keeper, &p);
	ex_pack_done(&p);
	usleep(50000);
	assert_int_equal(ex_ring_map(&at_end, fd), 0);
	at_end.at = keeper->workers[0].ring.at;
	assert_int_equal(ex_ring_look(&at_end, &until), 0);
	assert_int_equal(until, at_end.at);
	ex_ring_unmap(&at_end);
	close(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_the_secret_is_the_endpoints_and_stays, end),
		cmocka_unit_test_teardown(test_a_name_of_what_embeds_an_endpoint_is_forgotten, end),
		cmocka_unit_test_teardown(test_who_was_busy_hears_of_endpoints_afterwards, end),
		cmocka_unit_test_teardown(test_who_is_told_of_endpoints_comes_along, end),
		cmocka_unit_test(test_nobody_stays_where_there_are_to_be_others),
		cmocka_unit_test_teardown(
			test_what_was_written_is_read_where_none_can_be_gone_on_with, end),
		cmocka_unit_test_teardown(test_who_is_behind_another_policy_leaves_no_record_behind,
					  end),
	};
	int r = keeper_main(argc, argv);

	return r < 0 ? cmocka_run_group_tests(tests, set_up, tear_down) : r;
}
