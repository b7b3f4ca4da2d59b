/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper and a proxy that was taken over. This program is its own proxy: the keeper executes it
 * again, and what the roots say is what it does then.
 */
#include "policy_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/audit/pack.h"
#include "agent/core/ipc.h"
#include "agent/core/ring.h"
#include "agent/gate/gate.h"
#include "agent/keeper/keeper.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/settings.h"
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

/* ---- the proxy ---- */

static const struct ex_ip nowhere = { .b = { [10] = 0xff, [11] = 0xff, 203, 0, 113, 9 } };

static void send_message(union ex_ipc_message *msg, uint32_t type)
{
	msg->head.type = type;
	(void)!ex_ipc_send(EX_PROXY_FD_REQUESTS, msg, ex_ipc_size(&msg->head), -1, true);
}

static void say_ready(void)
{
	union ex_ipc_message msg = { .ready = { .spki_len = 1, .spki = { 1 } } };

	send_message(&msg, EX_IPC_READY);
}

/* Waits for a message; false: the keeper has closed the socket. */
static bool listen_for(union ex_ipc_message *msg, int *fd)
{
	ssize_t n;

	do {
		n = ex_ipc_receive(EX_PROXY_FD_REQUESTS, msg, fd);
		if (n == -EAGAIN)
			usleep(1000);
	} while (n == -EAGAIN);
	return n > 0;
}

static void answer_swap(const union ex_ipc_message *msg, int err)
{
	union ex_ipc_message done = { .done = { .head.id = msg->head.id, .err = err } };

	send_message(&done, EX_IPC_SWAPPED);
}

static void follow(const char *how)
{
	union ex_ipc_message msg;
	int fd = -1;

	while (listen_for(&msg, &fd)) {
		if (msg.head.type == EX_IPC_RULESET) {
			struct ex_ruleset *rs = NULL;
			struct ex_diags diags = { 0 };
			int r = ex_bundle_compile(fd, &rs, &diags);

			if (strcmp(how, "follow-another") == 0)
				msg.head.id++;
			if (strcmp(how, "follow-error") == 0)
				r = -ENOMEM;
			answer_swap(&msg, strcmp(how, "follow-more") == 0 ? 1 : r);
		}
		if (fd >= 0)
			close(fd);
	}
}

/* It was given something: that shows as the other way to be lost. */
static void given(void)
{
	union ex_ipc_message msg = { 0 };

	send_message(&msg, EX_IPC_KNOWN);
	pause();
}

static void ask_for_everything(void)
{
	union ex_ipc_message msg = { .learn = { .ttl = 60, .n_addrs = 1 } };
	union ex_ipc_message dial = { .dial = { .dst = nowhere, .port = 443, .proto = 6 } };
	union ex_ipc_message mint = { 0 };
	int fd = -1;

	/* A name that is not allowed, an address nobody may be given, a way without a name. */
	ex_ipc_name_set(&msg.learn.name, EX_SPAN("evil.example"));
	msg.learn.addrs[0] = nowhere;
	send_message(&msg, EX_IPC_LEARN);
	if (!listen_for(&msg, &fd) || msg.done.err == 0)
		given();
	memset(&msg, 0, sizeof(msg));
	msg.learn = (struct ex_ipc_learn){ .ttl = 60, .n_addrs = 1 };
	ex_ipc_name_set(&msg.learn.name, EX_SPAN("api.example"));
	msg.learn.addrs[0] =
		(struct ex_ip){ .b = { [10] = 0xff, [11] = 0xff, 169, 254, 169, 254 } };
	send_message(&msg, EX_IPC_LEARN);
	if (!listen_for(&msg, &fd) || msg.done.err == 0)
		given();
	send_message(&dial, EX_IPC_DIAL);
	if (!listen_for(&msg, &fd) || msg.done.err == 0 || fd >= 0)
		given();
	ex_ipc_name_set(&mint.mint.name, EX_SPAN("evil.example"));
	send_message(&mint, EX_IPC_MINT);
	if (!listen_for(&msg, &fd) || msg.minted.err == 0)
		given();
	_exit(0);
}

static void break_protocol(const char *how)
{
	union ex_ipc_message msg = { 0 };

	if (strcmp(how, "short") == 0) {
		msg.head.type = EX_IPC_DIAL;
		(void)!ex_ipc_send(EX_PROXY_FD_REQUESTS, &msg, sizeof(msg.head), -1, true);
	} else if (strcmp(how, "unknown") == 0) {
		msg.head.type = 77;
		(void)!ex_ipc_send(EX_PROXY_FD_REQUESTS, &msg, sizeof(msg.head), -1, true);
	} else if (strcmp(how, "fd") == 0) {
		msg.head.type = EX_IPC_DIAL;
		(void)!ex_ipc_send(EX_PROXY_FD_REQUESTS, &msg, sizeof(msg.dial), 0, true);
	} else if (strcmp(how, "answer") == 0) {
		send_message(&msg, EX_IPC_LEARNED);
	} else if (strcmp(how, "ruleset") == 0) {
		send_message(&msg, EX_IPC_RULESET);
	} else if (strcmp(how, "known") == 0) {
		send_message(&msg, EX_IPC_KNOWN);
	} else if (strcmp(how, "swapped") == 0) {
		send_message(&msg, EX_IPC_SWAPPED);
	} else if (strcmp(how, "ready-twice") == 0) {
		say_ready();
	}
	pause();
}

/* ---- its records ---- */

#define MANY 1000 /* records: more than fit into half of the ring */

static struct ex_ring ring;

/* Number n of the policy with this number; odd is what is wrong with it. */
static void put_record(uint32_t policy, uint32_t n, const char *odd)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_HTTP,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_ALLOW,
				       .reason = EX_R_ALLOWED,
				       .src = { .b = { [10] = 0xff, [11] = 0xff, 192, 0, 0, 2 } },
				       .ttl = n };
	uint8_t packed[EX_AUDIT_PACKED_MAX + 1] = { 0 };
	size_t len;

	memset(rec.path, 'x', 200);
	rec.rule = strcmp(odd, "records-rule") == 0 ? 1000 : 0;
	rec.gate = strcmp(odd, "records-gate") == 0 ? EX_AUDIT_KERNEL : EX_AUDIT_PROXY;
	rec.src.b[15] = strcmp(odd, "records-source") == 0 ? 3 : 2;
	rec.verdict = strcmp(odd, "records-verdict") == 0 ? EX_V_STEER : EX_V_ALLOW;
	len = ex_audit_pack(&rec, packed);
	len += strcmp(odd, "records-long") == 0;
	len -= strcmp(odd, "records-short") == 0;
	policy += strcmp(odd, "records-policy") == 0;
	while (!ex_ring_put(&ring, policy, packed, len))
		usleep(1000);
	if (ex_ring_must_wake(&ring))
		send_message(&(union ex_ipc_message){ 0 }, EX_IPC_RECORDS);
}

static void put_many(uint32_t policy, uint32_t from)
{
	for (uint32_t i = 0; i < MANY; i++)
		put_record(policy, from + i, "");
}

/* What stands in the memory is the proxy's to choose. */
static void spoil_ring(const char *how)
{
	_Atomic uint32_t *head = (_Atomic uint32_t *)(void *)ring.memory;

	if (strcmp(how, "records-head") == 0)
		atomic_store(head, 0x40000000);
	if (strcmp(how, "records-zero") == 0)
		atomic_store(head, 64);
	if (strcmp(how, "records-head") != 0 && strcmp(how, "records-zero") != 0)
		put_record(0, 0, how);
	send_message(&(union ex_ipc_message){ 0 }, EX_IPC_RECORDS);
	pause();
}

/* Nothing lies in the ring when it follows, and nobody looks by then. */
static void follow_and_record(void)
{
	union ex_ipc_message msg;
	int fd = -1;

	usleep(100000);
	while (listen_for(&msg, &fd)) {
		if (msg.head.type != EX_IPC_RULESET)
			continue;
		answer_swap(&msg, 0);
		close(fd);
		usleep(100000);
		put_record(msg.head.id, 0, "");
	}
}

static void record_and_follow(void)
{
	union ex_ipc_message msg;
	int fd = -1;

	put_many(0, 0);
	while (listen_for(&msg, &fd)) {
		if (msg.head.type != EX_IPC_RULESET)
			continue;
		put_many(msg.head.id, MANY);
		answer_swap(&msg, 0);
		put_many(msg.head.id, 2 * MANY);
		close(fd);
	}
}

static void record(const char *how)
{
	if (ex_ring_map(&ring, EX_PROXY_FD_RING) < 0)
		_exit(1);
	if (strcmp(how, "recording") == 0) {
		put_many(0, 0);
	} else if (strcmp(how, "recording-death") == 0) {
		put_many(0, 0);
		/* and a piece of one more: the entries begin behind two lines */
		memset((char *)ring.memory + 128 + ring.at % EX_RING_SIZE, 0xff, 64);
		kill(getpid(), SIGKILL);
	} else if (strcmp(how, "recording-swap") == 0) {
		record_and_follow();
	} else if (strcmp(how, "recording-later") == 0) {
		follow_and_record();
	} else {
		spoil_ring(how);
	}
	pause();
}

/* ---- more than it may ask for ---- */

/* "flood-mint-900": asks for that so many times what it will not be given, and ends. */
static void ask_for_much(const char *how)
{
	union ex_ipc_message ask = { 0 }, msg;
	unsigned sent = 0, answered = 0, count = (unsigned)strtoul(strrchr(how, '-') + 1, NULL, 10);
	uint32_t type = EX_IPC_UDP;
	int fd;

	if (strncmp(how, "flood-mint", 10) == 0) {
		type = EX_IPC_MINT;
		ex_ipc_name_set(&ask.mint.name, EX_SPAN("evil.example"));
	} else if (strncmp(how, "flood-learn", 11) == 0) {
		type = EX_IPC_LEARN;
		ask.learn.n_addrs = EX_IPC_ADDRS_MAX;
		ex_ipc_name_set(&ask.learn.name, EX_SPAN("evil.example"));
	} else if (strncmp(how, "flood-dial", 10) == 0) {
		type = EX_IPC_DIAL;
	}
	while (answered < count) {
		for (; sent < count && sent - answered < EX_IPC_WAITING_MAX; sent++)
			send_message(&ask, type);
		if (!listen_for(&msg, &fd))
			_exit(0);
		answered++;
	}
	_exit(0);
}

static void learn_and_listen(void)
{
	union ex_ipc_message msg = { .learn = { .ttl = 60, .n_addrs = 1, .addrs = { nowhere } } };
	int fd = -1;

	ex_ipc_name_set(&msg.learn.name, EX_SPAN("api.example"));
	send_message(&msg, EX_IPC_LEARN);
	while (listen_for(&msg, &fd)) {
		/* Each is told of what the other has learned. */
		if (msg.head.type == EX_IPC_KNOWN &&
		    ex_span_eq(ex_ipc_name_get(&msg.learn.name), EX_SPAN("api.example")) &&
		    msg.learn.n_addrs == 1 && ex_ip_eq(&msg.learn.addrs[0], &nowhere))
			_exit(0);
	}
}

static int proxy_main(void)
{
	struct ex_proxy_settings s;
	char how[32] = "";

	if (ex_proxy_settings_read(EX_PROXY_FD_SETTINGS, &s) < 0 || s.roots.len >= sizeof(how))
		return 1;
	memcpy(how, s.roots.ptr, s.roots.len);
	ex_proxy_settings_done(&s);
	if (strcmp(how, "early") == 0) {
		union ex_ipc_message msg = { 0 };

		send_message(&msg, EX_IPC_DIAL);
		pause();
	}
	if (strcmp(how, "die") == 0)
		return 1;
	say_ready();
	usleep(20000); /* until it is published */
	if (strcmp(how, "ask") == 0)
		ask_for_everything();
	if (strcmp(how, "learn") == 0)
		learn_and_listen();
	if (strncmp(how, "follow", 6) == 0)
		follow(how);
	if (strncmp(how, "record", 6) == 0)
		record(how);
	if (strncmp(how, "flood", 5) == 0)
		ask_for_much(how);
	if (strcmp(how, "silent") == 0)
		pause();
	break_protocol(how);
	return 0;
}

/* ---- the keeper ---- */

static struct ex_loop *loop;
static struct ex_gate *gate;
static struct ex_ca *ca;
static struct ex_keeper *keeper;
static struct ex_timer deadline;
static int n_ready, n_lost, n_swapped, swap_err;
static char why_lost[64];

static struct ex_ruleset *by[2]; /* before, after: of records that are expected */
static uint32_t n_records, n_packets;
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

static const struct ex_keeper_ops ops = {
	.ready = on_ready, .lost = on_lost, .record = on_record, .swapped = on_swapped
};

static void run_for(uint64_t ms)
{
	assert_int_equal(ex_timer_start(loop, &deadline, ms), 0);
	assert_int_equal(ex_loop_run(loop), 0);
	ex_timer_stop(loop, &deadline);
}

static int compile(const char *text, struct ex_ruleset **ret)
{
	const struct ex_text one = { "policy.yaml", { text, strlen(text) } };
	struct ex_ip dns = test_ip("192.0.0.1");
	const struct ex_compile_input in = {
		.texts = &one, .n_texts = 1, .dns_ips = &dns, .n_dns_ips = 1, .deny_metadata = true
	};
	struct ex_diags diags = { 0 };
	int fd;

	assert_int_equal(ex_compile(&in, ret, &diags), 0);
	ex_diags_done(&diags);
	fd = ex_bundle_new(&in, *ret);
	assert_true(fd >= 0);
	return fd;
}

static void begin(const char *how, unsigned workers, bool restart)
{
	int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct ex_endpoint ep = { .flags = EX_EP_CARRY, .ip4 = test_ip("192.0.0.2") };
	struct ex_keeper_config cfg = { .loop = loop,
					.gw = { .outer = ns, .netns = ns, .ip4 = ep.ip4 },
					.ca = ca,
					.dial = ex_dial_from_outer,
					.roots = ex_span_str(how),
					.uid = 65534,
					.workers = workers,
					.restart = restart,
					.ops = &ops };
	struct ex_ruleset *rs = NULL;
	int bundle = compile(before, &rs);

	n_ready = n_lost = n_swapped = swap_err = 0;
	n_records = n_packets = 0;
	n_left_out = 0;
	why_lost[0] = '\0';
	by[0] = rs;
	assert_int_equal(ex_keeper_new(&cfg, rs, bundle, &keeper), 0);
	assert_int_equal(ex_keeper_publish(keeper, gate, IFINDEX, &ep), 0);
	ex_ruleset_unref(rs);
	close(bundle);
	run_for(3000);
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
		run_for(3000);
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
		run_for(3000);
	assert_string_equal(why_lost, "ended");
}

static void test_each_worker_knows_what_one_has_learned(void **state)
{
	(void)state;
	begin("learn", 2, false);
	assert_int_equal(n_ready, 1);
	for (int i = 0; i < 3 && n_lost < 2; i++)
		run_for(3000);
	assert_int_equal(n_lost, 2);
	assert_string_equal(why_lost, "ended"); /* of its own accord: it was told */
}

/* ---- another policy ---- */

static void test_swap_is_followed(void **state)
{
	(void)state;
	begin("follow", 3, false);
	assert_int_equal(n_ready, 1);
	assert_int_equal(swap(), 0);
	assert_false(ex_keeper_is_settled(keeper));
	run_for(3000);
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
	run_for(3000);
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
		run_for(3000);
	assert_int_equal(swap_err, -ENOMEM);
	assert_int_equal(n_lost, 1);
	run_for(3000);
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
			run_for(3000);
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
		run_for(3000);
	assert_string_equal(why_lost, "did not follow another policy in time and was ended");
	assert_int_equal(swap_err, -ETIMEDOUT);
}

static void test_pauses_between_restarts_grow(void **state)
{
	int early;

	(void)state;
	begin("die", 1, true);
	for (int i = 0; i < 100; i++)
		run_for(10); /* 1 s: 250 + 500 ms have passed */
	early = n_lost;
	assert_in_range(early, 2, 3);
}

/* ---- records ---- */

static void test_records_are_taken_while_it_lives(void **state)
{
	(void)state;
	begin("recording", 1, false);
	for (int i = 0; i < 100 && n_records < MANY; i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_int_equal(n_lost, 0);
}

static void test_records_outlive_who_wrote_them(void **state)
{
	(void)state;
	begin("recording-death", 1, false);
	for (int i = 0; i < 100 && (n_lost == 0 || n_records < MANY); i++)
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
	for (int i = 0; i < 100 && n_records < MANY; i++)
		run_for(10);
	assert_int_equal(n_records, MANY);
	assert_int_equal(swap(), 0);
	for (int i = 0; i < 100 && n_records < 3 * MANY; i++)
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
	for (int i = 0; i < 100 && n_records == 0; i++)
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
	for (int i = 0; i < 150 && n_left_out == 0; i++)
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
		cmocka_unit_test_teardown(test_swap_is_followed, end),
		cmocka_unit_test_teardown(test_swaps_on_top_of_each_other_are_followed_to_the_last,
					  end),
		cmocka_unit_test_teardown(test_who_cannot_follow_is_replaced, end),
		cmocka_unit_test(test_who_lies_about_following_is_ended),
		cmocka_unit_test_teardown(test_who_is_silent_is_replaced_in_time, end),
		cmocka_unit_test_teardown(test_pauses_between_restarts_grow, end),
		cmocka_unit_test_teardown(test_records_are_taken_while_it_lives, end),
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
