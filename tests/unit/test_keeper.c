/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper and a proxy that was taken over. This program is its own proxy: the keeper executes it
 * again, and what its "unread" names say is what it does then.
 */
#include "keeper_proxy.h"

#include <bpf/bpf.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "agent/gate/gate_internal.h"
#include "agent/keeper/keeper_priv.h"
#include "agent/tls/ca.h"

#define IFINDEX 1

static const char before[] =
	HEAD "  egress:\n"
	     "  - toFQDNs: [{matchName: api.example}, {matchName: old.example}]\n"
	     "    toPorts:\n"
	     "    - ports: [{port: '443', protocol: TCP}]\n"
	     "      rules: {http: [{method: GET}]}\n";
static const char after[] = HEAD "  egress:\n"
				 "  - toFQDNs: [{matchName: api.example}]\n"
				 "    toPorts:\n"
				 "    - ports: [{port: '443', protocol: TCP}]\n"
				 "      rules: {http: [{method: GET}]}\n";

/* ---- the kernel, which may have no memory ---- */

static int watches_left; /* until one cannot be had; 0 = there is enough */

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && watches_left && --watches_left == 0) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

/* ---- the keeper ---- */

static struct ex_loop *loop;
static struct ex_gate *gate;
static struct ex_ca *ca;
static struct ex_keeper *keeper;
static struct ex_timer deadline;
static int n_ready, n_lost, n_swapped, swap_err;
static char why_lost[64];
static uint64_t lost_at[4]; /* of the first of them, in milliseconds of the loop */

static struct ex_ruleset *by[2]; /* before, after: of records that are expected */
static uint32_t n_records, n_packets, n_looks;
static uint64_t n_left_out;

static void on_ready(void *arg)
{
	(void)arg;
	n_ready++;
	ex_loop_quit(loop);
}

static void on_lost(void *arg, const char *why)
{
	(void)arg;
	if (n_lost < (int)EX_ARRAY_SIZE(lost_at))
		lost_at[n_lost] = ex_loop_now(loop);
	n_lost++;
	snprintf(why_lost, sizeof(why_lost), "%s", why);
	ex_loop_quit(loop);
}

static void on_record(void *arg, const struct ex_ruleset *rs, const struct ex_audit_record *rec)
{
	(void)arg;
	if (rec->reason == EX_R_LIMIT) {
		n_left_out += rec->count;
		return;
	}
	if (rec->gate == EX_AUDIT_KERNEL) {
		n_packets++;
		return;
	}
	/* Each one, in order, none twice, and with the rules it was judged by. */
	assert_int_equal(rec->ttl, n_records);
	assert_ptr_equal(rs, by[n_records >= MANY]);
	n_records++;
}

static void on_records(void *arg, bool begin)
{
	(void)arg;
	n_looks += begin;
}

static void on_swapped(void *arg, int err)
{
	(void)arg;
	n_swapped++;
	swap_err = err;
	ex_loop_quit(loop);
}

static void on_deadline(struct ex_timer *t)
{
	(void)t;
	ex_loop_quit(loop);
}

static const struct ex_keeper_ops ops = { .ready = on_ready,
					  .lost = on_lost,
					  .record = on_record,
					  .records = on_records,
					  .swapped = on_swapped };

static void run_for(uint64_t ms)
{
	assert_int_equal(ex_timer_start(loop, &deadline, ms), 0);
	assert_int_equal(ex_loop_run(loop), 0);
	ex_timer_stop(loop, &deadline);
}

/* A node with one endpoint besides ours, at this address; NULL: none. */
static struct ex_known *know(const char *ip)
{
	struct ex_diags diags = { 0 };
	struct ex_known *known;
	char text[128];
	struct ex_text one = { "peers", { text, 0 } };

	one.text.len =
		(size_t)snprintf(text, sizeof(text), "endpoints: [%s%s%s]\n",
				 ip ? "{name: e, namespace: ns, labels: {}, addresses: ['" : "",
				 ip ? ip : "", ip ? "']}" : "");
	assert_int_equal(ex_known_read(&one, 1, &known, &diags), 0);
	ex_diags_done(&diags);
	return known;
}

static int compile(const char *text, struct ex_ruleset **ret)
{
	const struct ex_text one = { "policy.yaml", { text, strlen(text) } };
	struct ex_ip dns = test_ip("192.0.0.1");
	const struct ex_compile_input in = {
		.texts = &one, .n_texts = 1, .dns_ips = &dns, .n_dns_ips = 1, .deny_metadata = true
	};
	struct ex_known *nobody = know(NULL);
	struct ex_compile_input alone = in;
	struct ex_diags diags = { 0 };
	int fd;

	alone.known = nobody;
	alone.repeers = true;
	assert_int_equal(ex_compile(&alone, ret, &diags), 0);
	ex_diags_done(&diags);
	fd = ex_bundle_new(&in, *ret);
	assert_true(fd >= 0);
	ex_known_unref(nobody);
	return fd;
}

static const struct ex_resolvers nobody_asked;

static struct ex_keeper_config configure(const char *how, unsigned workers, bool restart)
{
	int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	return (struct ex_keeper_config){
		.loop = loop,
		.gw = { .outer = ns, .netns = ns, .ip4 = test_ip("192.0.0.2") },
		.ca = ca,
		.dial = ex_dial_from_outer,
		.resolvers = &nobody_asked,
		.roots = ns, /* it does not look */
		.unread = ex_span_str(how),
		.uid = 65534,
		.workers = workers,
		.restart = restart,
		.ops = &ops,
	};
}

static void begin(const char *how, unsigned workers, bool restart)
{
	struct ex_endpoint ep = { .flags = EX_EP_CARRY, .ip4 = test_ip("192.0.0.2") };
	struct ex_keeper_config cfg = configure(how, workers, restart);
	struct ex_ruleset *rs = NULL;
	int bundle = compile(before, &rs);

	n_ready = n_lost = n_swapped = swap_err = 0;
	n_records = n_packets = n_looks = 0;
	n_left_out = 0;
	why_lost[0] = '\0';
	by[0] = rs;
	assert_int_equal(ex_keeper_new(&cfg, rs, bundle, &keeper), 0);
	assert_int_equal(ex_keeper_publish(keeper, gate, IFINDEX, &ep), 0);
	ex_ruleset_unref(rs);
	close(bundle);
	run_for(30000);
}

static int swap(void)
{
	struct ex_ruleset *rs = NULL;
	int bundle = compile(after, &rs), r = ex_keeper_swap(keeper, rs, bundle);

	by[1] = rs;
	assert_ptr_equal(ex_keeper_ruleset(keeper), rs);
	ex_ruleset_unref(rs);
	close(bundle);
	return r;
}

static int end(void **state)
{
	(void)state;
	ex_keeper_free(keeper);
	keeper = NULL;
	ex_gate_forget(gate, IFINDEX);
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static void lost_by(const char *how, const char *why)
{
	begin(how, 1, false);
	if (n_lost == 0)
		run_for(30000);
	assert_int_equal(n_lost, 1);
	assert_string_equal(why_lost, why);
	assert_false(ex_keeper_is_ready(keeper));
	assert_int_equal(end(NULL), 0);
}

static void test_what_breaks_the_protocol_is_ended(void **state)
{
	static const char *const ways[] = { "early",   "short", "unknown", "fd",         "answer",
					    "ruleset", "known", "swapped", "ready-twice" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++)
		lost_by(ways[i], "sent what it must not and was ended");
}

static void test_what_is_no_record_ends_who_wrote_it(void **state)
{
	static const char *const ways[] = { "records-head",  "records-zero",    "records-rule",
					    "records-gate",  "records-source",  "records-long",
					    "records-short", "records-verdict", "records-policy" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++) {
		lost_by(ways[i], "sent what it must not and was ended");
		assert_int_equal(n_records, 0);
	}
}

static void test_what_ends_is_lost(void **state)
{
	(void)state;
	lost_by("die", "ended");
}

static void test_nothing_is_given_that_the_policy_does_not(void **state)
{
	(void)state;
	begin("ask", 1, false);
	if (n_lost == 0)
		run_for(30000);
	assert_string_equal(why_lost, "ended");
}

static void test_each_worker_knows_what_one_has_learned(void **state)
{
	(void)state;
	begin("learn", 2, false);
	assert_int_equal(n_ready, 1);
	for (int i = 0; i < 3 && n_lost < 2; i++)
		run_for(30000);
	assert_int_equal(n_lost, 2);
	assert_string_equal(why_lost, "ended"); /* of its own accord: it was told */
}

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

/* As the program after this one gets it. */
static void hand_over(const char *how, unsigned workers)
{
	struct ex_keeper_config cfg = configure(how, workers, false);
	struct ex_pack p = { 0 };
	struct ex_unpack u = { 0 };
	char *bytes = NULL;
	size_t len;
	int fd;

	ex_keeper_hand_over(keeper, &p);
	for (unsigned i = 0; i < workers; i++)
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
	assert_int_equal(ex_keeper_adopt(&cfg, &u, &keeper), 0);
	assert_int_equal(ex_unpack_done(&u), 0);
	free(bytes);
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
	hand_over(told_how, 2);
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

/* ---- another policy ---- */

static void test_swap_is_followed(void **state)
{
	(void)state;
	begin("follow", 3, false);
	assert_int_equal(n_ready, 1);
	assert_int_equal(swap(), 0);
	assert_false(ex_keeper_is_settled(keeper));
	run_for(30000);
	assert_int_equal(n_swapped, 1);
	assert_int_equal(swap_err, 0);
	assert_int_equal(n_lost, 0);
	assert_true(ex_keeper_is_settled(keeper));
}

static void test_swaps_on_top_of_each_other_are_followed_to_the_last(void **state)
{
	(void)state;
	begin("follow", 2, false);
	for (int i = 0; i < 5; i++)
		assert_int_equal(swap(), 0);
	run_for(30000);
	assert_true(ex_keeper_is_settled(keeper));
	assert_int_equal(n_swapped, 1);
	assert_int_equal(n_lost, 0);
}

static void test_who_cannot_follow_is_replaced(void **state)
{
	(void)state;
	begin("follow-error", 1, false);
	assert_int_equal(swap(), 0);
	for (int i = 0; i < 3 && n_swapped == 0; i++)
		run_for(30000);
	assert_int_equal(swap_err, -ENOMEM);
	assert_int_equal(n_lost, 1);
	run_for(30000);
	assert_int_equal(n_ready, 2); /* under the new one, from the start */
	assert_true(ex_keeper_is_settled(keeper));
}

static void test_who_lies_about_following_is_ended(void **state)
{
	static const char *const ways[] = { "follow-another", "follow-more" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++) {
		begin(ways[i], 1, false);
		assert_int_equal(swap(), 0);
		for (int k = 0; k < 3 && n_lost == 0; k++)
			run_for(30000);
		assert_string_equal(why_lost, "sent what it must not and was ended");
		assert_int_equal(end(NULL), 0);
	}
}

static void test_who_is_silent_is_replaced_in_time(void **state)
{
	(void)state;
	begin("silent", 1, false);
	assert_int_equal(swap(), 0);
	run_for(4000);
	assert_int_equal(n_lost, 0);
	for (int i = 0; i < 3 && n_lost == 0; i++)
		run_for(30000);
	assert_string_equal(why_lost, "did not follow another policy in time and was ended");
	assert_int_equal(swap_err, -ETIMEDOUT);
}

static void test_pauses_between_restarts_grow(void **state)
{
	(void)state;
	begin("die", 1, true);
	for (int i = 0; i < 20 && n_lost < (int)EX_ARRAY_SIZE(lost_at); i++)
		run_for(30000);
	assert_true(n_lost >= (int)EX_ARRAY_SIZE(lost_at));
	for (size_t i = 1; i < EX_ARRAY_SIZE(lost_at); i++)
		assert_true(lost_at[i] - lost_at[i - 1] >= (uint64_t)EX_KEEPER_PAUSE_MS << (i - 1));
}

static void test_who_cannot_be_watched_is_started_again(void **state)
{
	(void)state;
	for (int watch = 1; watch <= 3; watch++) { /* its end, its requests, its resolvers */
		begin("die", 1, true);
		watches_left = watch;
		for (int i = 0; i < 20 && n_lost < 3; i++)
			run_for(1000);
		assert_int_equal(watches_left, 0);
		assert_int_equal(n_lost, 3);
		assert_int_equal(end(NULL), 0);
	}
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
	hand_over("follow-slow", 1);
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

/* ---- records ---- */

static void test_records_are_taken_while_it_lives(void **state)
{
	(void)state;
	begin("recording", 1, false);
	for (int i = 0; i < 3000 && n_records < MANY; i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_int_equal(n_lost, 0);
}

/* A few of them at any time: they are not looked for each time there are some. */
static void test_records_of_a_steady_stream_are_taken_by_the_handful(void **state)
{
	uint64_t from;

	(void)state;
	begin("recording-steady", 1, false);
	from = ex_clock_ms();
	for (int i = 0; i < 3000 && n_records < MANY; i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_int_equal(n_lost, 0);
	/* every 40 ms, and sooner at the start */
	assert_in_range(n_looks, 2, (ex_clock_ms() - from) / 16);
}

static void test_records_outlive_who_wrote_them(void **state)
{
	(void)state;
	begin("recording-death", 1, false);
	for (int i = 0; i < 3000 && (n_lost == 0 || n_records < MANY); i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_string_equal(why_lost, "ended");
}

static void test_records_are_taken_before_the_end(void **state)
{
	(void)state;
	begin("recording", 1, false);
	usleep(100000); /* it writes all there is room for, nobody reads meanwhile */
	ex_keeper_stop(keeper);
	assert_true(n_records > 0);
	assert_int_equal(n_lost, 0);
}

static void test_nothing_is_recorded_once_it_is_freed(void **state)
{
	(void)state;
	begin("recording", 1, false);
	n_records = 0;
	usleep(100000);
	assert_int_equal(end(NULL), 0);
	assert_int_equal(n_records, 0);
	keeper = NULL;
}

static void test_records_bear_the_rules_they_were_judged_by(void **state)
{
	(void)state;
	begin("recording-swap", 1, false);
	for (int i = 0; i < 3000 && n_records < MANY; i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_int_equal(swap(), 0);
	for (int i = 0; i < 3000 && n_records < 3 * MANY; i++)
		run_for(10);
	assert_int_equal(n_records, 3 * MANY);
	assert_int_equal(n_swapped, 1);
	assert_int_equal(n_lost, 0);
}

static void test_who_follows_in_silence_is_still_listened_to(void **state)
{
	(void)state;
	begin("recording-later", 1, false);
	run_for(50);
	assert_int_equal(swap(), 0);
	by[0] = by[1];
	for (int i = 0; i < 3000 && n_records == 0; i++)
		run_for(10);
	assert_int_equal(n_swapped, 1);
	assert_int_equal(n_records, 1);
	assert_int_equal(n_lost, 0);
}

/* ---- too much ---- */

static uint64_t ms_until_lost(uint64_t max)
{
	uint64_t from = ex_clock_ms();

	while (n_lost == 0 && ex_clock_ms() - from < max)
		run_for(10);
	return ex_clock_ms() - from;
}

static void test_who_asks_for_too_much_is_not_heard_for_a_while(void **state)
{
	/* One and a half seconds more than all at once: 200 leaves, 10000 addresses, 2000 sockets.
	 */
	static const char *const ways[] = { "flood-mint-1300", "flood-learn-860",
					    "flood-udp-11000" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++) {
		begin(ways[i], 1, false);
		assert_true(ms_until_lost(1000) >= 1000);
		assert_int_equal(n_lost, 0);
		assert_true(ex_keeper_is_ready(keeper));
		(void)ms_until_lost(20000);
		assert_string_equal(why_lost, "ended"); /* it got all its answers */
		assert_int_equal(end(NULL), 0);
	}
}

static void test_who_asks_for_much_is_heard(void **state)
{
	static const char *const ways[] = { "flood-mint-900", "flood-learn-600", "flood-udp-5000",
					    "flood-dial-10000" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(ways); i++) {
		begin(ways[i], 1, false);
		(void)ms_until_lost(20000);
		assert_string_equal(why_lost, "ended");
		assert_int_equal(end(NULL), 0);
	}
}

static void test_packets_that_are_denied_do_not_fill_the_log(void **state)
{
	const struct ex_event ev = { .type = EX_EV_DENY,
				     .verdict = EX_V_DENY,
				     .reason = EX_R_DEFAULT_DENY,
				     .proto = IPPROTO_TCP,
				     .suppressed = 2 };

	(void)state;
	begin("silent", 1, false);
	for (int i = 0; i < 10000; i++)
		ex_keeper_take_event(keeper, &ev);
	assert_in_range(n_packets, 2000, 2100);
	/* What was left out is told of a little later, also when nothing more comes. */
	for (int i = 0; i < 3000 && n_left_out == 0; i++)
		run_for(10);
	assert_int_equal(n_packets + n_left_out, 30000);
}

static int set_up(void **state)
{
	(void)state;
	deadline.fn = on_deadline;
	if (unshare(CLONE_NEWNET) < 0 || ex_loop_new(&loop) < 0 || ex_ca_new(1, &ca) < 0)
		return -1;
	return ex_gate_load(NULL, &gate);
}

static int tear_down(void **state)
{
	(void)state;
	ex_gate_free(gate);
	ex_ca_free(ca);
	ex_loop_free(loop);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_breaks_the_protocol_is_ended),
		cmocka_unit_test(test_what_is_no_record_ends_who_wrote_it),
		cmocka_unit_test(test_what_ends_is_lost),
		cmocka_unit_test_teardown(test_nothing_is_given_that_the_policy_does_not, end),
		cmocka_unit_test_teardown(test_each_worker_knows_what_one_has_learned, end),
		cmocka_unit_test_teardown(test_the_secret_is_the_endpoints_and_stays, end),
		cmocka_unit_test_teardown(test_swap_is_followed, end),
		cmocka_unit_test_teardown(test_swaps_on_top_of_each_other_are_followed_to_the_last,
					  end),
		cmocka_unit_test_teardown(test_who_cannot_follow_is_replaced, end),
		cmocka_unit_test(test_who_lies_about_following_is_ended),
		cmocka_unit_test_teardown(test_who_is_silent_is_replaced_in_time, end),
		cmocka_unit_test_teardown(test_pauses_between_restarts_grow, end),
		cmocka_unit_test(test_who_cannot_be_watched_is_started_again),
		cmocka_unit_test_teardown(test_a_name_of_what_embeds_an_endpoint_is_forgotten, end),
		cmocka_unit_test_teardown(test_who_was_busy_hears_of_endpoints_afterwards, end),
		cmocka_unit_test_teardown(test_who_is_told_of_endpoints_comes_along, end),
		cmocka_unit_test_teardown(test_who_is_behind_another_policy_leaves_no_record_behind,
					  end),
		cmocka_unit_test_teardown(test_records_are_taken_while_it_lives, end),
		cmocka_unit_test_teardown(test_records_of_a_steady_stream_are_taken_by_the_handful,
					  end),
		cmocka_unit_test_teardown(test_records_outlive_who_wrote_them, end),
		cmocka_unit_test_teardown(test_records_are_taken_before_the_end, end),
		cmocka_unit_test(test_nothing_is_recorded_once_it_is_freed),
		cmocka_unit_test_teardown(test_records_bear_the_rules_they_were_judged_by, end),
		cmocka_unit_test_teardown(test_who_follows_in_silence_is_still_listened_to, end),
		cmocka_unit_test(test_who_asks_for_too_much_is_not_heard_for_a_while),
		cmocka_unit_test(test_who_asks_for_much_is_heard),
		cmocka_unit_test_teardown(test_packets_that_are_denied_do_not_fill_the_log, end),
	};

	if (argc == 2 && strcmp(argv[1], "proxy") == 0)
		return proxy_main();
	if (geteuid() != 0) {
		puts("1..0 # SKIP needs root (network namespaces, BPF)");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
