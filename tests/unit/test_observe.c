/* SPDX-License-Identifier: Apache-2.0 */
/* Flow events: their JSON, their filters, and the ring that clients read at their own pace. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/audit/line.h"
#include "agent/control/client.h"
#include "agent/control/control.h"
#include "agent/observe/observe.h"
#include "agent/observe/observe_priv.h"
#include "agent/observe/text.h"

static struct ex_observed request(const char *method, const char *host, const char *path)
{
	struct ex_observed e = { .seq = 1,
				 .time = 1763827200123456789ull,
				 .rec = { .app = EX_AUDIT_HTTP,
					  .gate = EX_AUDIT_PROXY,
					  .verdict = EX_V_ALLOW,
					  .reason = EX_R_ALLOWED,
					  .proto = IPPROTO_TCP,
					  .http = 20,
					  .sport = 40000,
					  .dport = 443 } };

	assert_true(ex_ip_parse("192.0.0.2", &e.rec.src));
	assert_true(ex_ip_parse("203.0.113.7", &e.rec.dst));
	ex_audit_set(e.rec.method, sizeof(e.rec.method), ex_span_str(method));
	ex_audit_set(e.rec.host, sizeof(e.rec.host), ex_span_str(host));
	ex_audit_set(e.rec.sni, sizeof(e.rec.sni), ex_span_str(host));
	ex_audit_set(e.rec.name, sizeof(e.rec.name), ex_span_str(host));
	ex_audit_set(e.rec.path, sizeof(e.rec.path), ex_span_str(path));
	return e;
}

static struct ex_jv *as_json(const struct ex_observed *e)
{
	char out[65536], err[EX_JV_ERROR_MAX];
	struct ex_json j;
	struct ex_jv *v;

	ex_json_init(&j, out, sizeof(out));
	ex_observed_json(e, "node", &j);
	assert_true(ex_json_done(&j) > 0);
	for (size_t i = 0; i < j.len; i++)
		assert_true(out[i] >= 0x20 && out[i] < 0x7f);
	assert_int_equal(ex_jv_read((struct ex_span){ out, j.len }, &v, err), 0);
	return v;
}

static const char *at(const struct ex_jv *v, const char *a, const char *b, const char *c)
{
	return ex_jv_string(ex_jv_get(ex_jv_get(v, a), b), c);
}

static void test_a_request_has_hubbles_names(void **state)
{
	struct ex_observed e = request("POST", "api.example", "/v1/chat");
	struct ex_jv *v = as_json(&e);

	(void)state;
	assert_string_equal(ex_jv_string(v, "time"), "2025-11-22T16:00:00.123456789Z");
	assert_string_equal(ex_jv_string(v, "verdict"), "FORWARDED");
	assert_string_equal(ex_jv_string(v, "Type"), "L7");
	assert_string_equal(ex_jv_string(ex_jv_get(v, "IP"), "ipVersion"), "IPv4");
	assert_string_equal(at(v, "l7", "http", "url"), "https://api.example/v1/chat");
	assert_string_equal(at(v, "l7", "http", "protocol"), "HTTP/2");
	assert_string_equal(ex_jv_string(v, "Summary"), "HTTP/2 POST https://api.example/v1/chat");
	assert_null(ex_jv_get(v, "drop_reason_desc"));
	ex_jv_free(v);
}

static void test_what_audit_mode_let_through_is_audit(void **state)
{
	struct ex_observed e = request("POST", "api.example", "/");
	struct ex_jv *v;

	(void)state;
	e.rec.reason = EX_R_HTTP_DENIED;
	v = as_json(&e);
	assert_string_equal(ex_jv_string(v, "verdict"), "AUDIT");
	assert_string_equal(ex_jv_string(ex_jv_get(v, "exeat"), "reason"), "http-denied");
	ex_jv_free(v);
	e.rec.verdict = 0; /* anything but allow */
	v = as_json(&e);
	assert_string_equal(ex_jv_string(v, "verdict"), "DROPPED");
	ex_jv_free(v);
}

static void test_attack_98_the_largest_event_fits_and_is_escaped(void **state)
{
	struct ex_observed e = request("GET", "a", "/");
	struct ex_jv *v;
	char text[8192];

	(void)state;
	memset(e.rec.path, 0x1b, sizeof(e.rec.path) - 1);
	memset(e.rec.host, 0xff, sizeof(e.rec.host) - 1);
	memset(e.rec.sni, '\n', sizeof(e.rec.sni) - 1);
	memset(e.rec.name, '"', sizeof(e.rec.name) - 1);
	memset(e.rec.method, 7, sizeof(e.rec.method) - 1);
	memset(e.rec.detail, 1, sizeof(e.rec.detail) - 1);
	memset(e.policy, 0x7f, sizeof(e.policy) - 1);
	memset(e.file, 0x7f, sizeof(e.file) - 1);
	e.rec.n_ips = 255;
	v = as_json(&e);
	ex_observe_text(v, false, text, sizeof(text));
	for (char *p = text; *p; p++)
		assert_true((*p >= 0x20 && *p < 0x7f) || (*p == '\n' && !p[1]));
	ex_jv_free(v);
}

static void test_attack_99_query_values_are_taken_out_here_too(void **state)
{
	struct ex_observed e = request("GET", "a", "/x?key=secret");
	struct ex_jv *v = as_json(&e);

	(void)state;
	assert_string_equal(at(v, "l7", "http", "url"), "https://a/x?key=*");
	ex_jv_free(v);
}

static bool matches(const char *filter, const struct ex_observed *e)
{
	struct ex_observe_filter *f;
	char err[EX_JV_ERROR_MAX];
	struct ex_jv *v;
	bool yes;

	assert_int_equal(ex_jv_read(ex_span_str(filter), &v, err), 0);
	assert_int_equal(ex_observe_filter_new(v, &f, err, sizeof(err)), 0);
	yes = ex_observe_filter_matches(f, e);
	ex_observe_filter_free(f);
	ex_jv_free(v);
	return yes;
}

static void test_filters_match_and_their_twins_do_not(void **state)
{
	static const struct {
		const char *yes, *no;
	} cases[] = {
		{ "{\"verdict\":\"forwarded\"}", "{\"verdict\":\"dropped\"}" },
		{ "{\"verdict\":[\"DROPPED\",\"FORWARDED\"]}", "{\"verdict\":[\"AUDIT\"]}" },
		{ "{\"reason\":\"allowed\"}", "{\"reason\":\"default-deny\"}" },
		{ "{\"name\":\"api.example\"}", "{\"name\":\"pi.example\"}" },
		{ "{\"name\":\"*.example\"}", "{\"name\":\"*.exampl\"}" },
		{ "{\"name\":\"a*e*\"}", "{\"name\":\"a*x*z\"}" },
		{ "{\"method\":\"POST\"}", "{\"method\":\"post\"}" },
		{ "{\"path\":\"/v1/*\"}", "{\"path\":\"/v1\"}" },
		{ "{\"protocol\":\"HTTP\"}", "{\"protocol\":\"tcp\"}" },
		{ "{\"port\":[\"1\",\"443\"]}", "{\"port\":\"44\"}" },
		{ "{\"type\":\"l7\"}", "{\"type\":\"l3_l4\"}" },
		{ "{\"type\":\"verdict\"}", "{\"type\":\"end\"}" },
		{ "{\"endpoint\":\"web-*\"}", "{\"endpoint\":\"web\"}" },
		{ "{\"endpoint\":\"default/web-1\"}", "{\"endpoint\":\"other/web-1\"}" },
		{ "{\"endpoint\":\"default/\"}", "{\"endpoint\":\"defaul/\"}" },
		{ "{\"method\":\"POST\",\"port\":\"443\"}",
		  "{\"method\":\"POST\",\"port\":\"80\"}" },
	};
	static char name[] = "web-1", ns[] = "default";
	struct ex_observe_who who = { .name = name, .ns = ns };
	struct ex_observed e = request("POST", "api.example", "/v1/chat");

	(void)state;
	e.who = &who;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		assert_true(matches(cases[i].yes, &e));
		assert_false(matches(cases[i].no, &e));
	}
}

static void test_filters_that_can_match_nothing_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"verdict\":\"DENIED\"}", "{\"reason\":\"http\"}",
		"{\"port\":\"x\"}",         "{\"port\":80}",
		"{\"names\":\"a\"}",        "{\"name\":[]}",
		"{\"name\":[1]}",           "{\"protocol\":\"ftp\"}",
		"{\"type\":\"L8\"}",        "{\"method\":\"\"}",
		"{\"port\":\"99999\"}",     "{\"port\":\"0443\"}",
		"{\"type\":\"L7,\"}",       "{\"verdict\":\", AUDIT\"}",
	};
	struct ex_observe_filter *f;
	char err[EX_JV_ERROR_MAX];
	struct ex_jv *v;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		assert_int_equal(ex_jv_read(ex_span_str(bad[i]), &v, err), 0);
		assert_int_equal(ex_observe_filter_new(v, &f, err, sizeof(err)), -EINVAL);
		ex_jv_free(v);
	}
}

static void test_a_refused_filter_says_what_there_is(void **state)
{
	static const struct {
		const char *filter, *says;
	} cases[] = {
		{ "{\"verdict\":\"DENIED\"}", "DENIED is not one; there is FORWARDED, DROPPED, " },
		{ "{\"protocol\":\"ftp\"}", "; there is http, dns, " },
		{ "{\"reason\":\"http\"}", "there is http-malformed, http-too-large, http-denied" },
		{ "{\"reason\":\"policy-denied\"}", "; there is policy-deny" },
		{ "{\"reason\":\"\"}", "reason: nothing is not one; there is " },
		{ "{\"nmae\":\"a\"}", "no such filter: nmae; there are endpoint, verdict, " },
		{ "{\"name\":[1]}", "name: a string is wanted" },
	};
	struct ex_observe_filter *f;
	char err[320];
	struct ex_jv *v;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		assert_int_equal(ex_jv_read(ex_span_str(cases[i].filter), &v, err), 0);
		assert_int_equal(ex_observe_filter_new(v, &f, err, sizeof(err)), -EINVAL);
		if (!strstr(err, cases[i].says))
			fail_msg("%s", err);
		ex_jv_free(v);
	}
}

/* ---- as it is kept ---- */

static void test_kept_event_is_the_same_and_small(void **state)
{
	const struct ex_rule_info rule = { .policy = "llm",
					   .ns = "apps",
					   .where = "egress[0]",
					   .file = "llm.yaml",
					   .line = 7,
					   .log = "seen" };
	struct ex_observed e = request("POST", "api.example", "/v1/chat"), back;
	uint8_t bytes[EX_OBSERVED_PACKED_MAX];
	size_t n;

	(void)state;
	e.line = rule.line;
	e.suppressed = 3;
	n = ex_observed_pack(&e, &e.rec, &rule, bytes);
	assert_true(n < 400);
	ex_observed_unpack(bytes, n, &back);
	assert_memory_equal(&back, &e, offsetof(struct ex_observed, policy));
	assert_string_equal(back.policy, "llm");
	assert_string_equal(back.ns, "apps");
	assert_string_equal(back.where, "egress[0]");
	assert_string_equal(back.file, "llm.yaml");
	assert_string_equal(back.log, "seen");
	n = ex_observed_pack(&e, &e.rec, NULL, bytes);
	ex_observed_unpack(bytes, n, &back);
	assert_string_equal(back.policy, "");
}

static void test_kept_texts_are_cut_at_their_bounds(void **state)
{
	static char text[2000];
	const struct ex_rule_info rule = { text, text, text, text, .log = text };
	struct ex_observed e = request("POST", "api.example", "/v1/chat"), back;
	uint8_t bytes[EX_OBSERVED_PACKED_MAX];
	size_t n;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	memset(e.rec.name, 'y', sizeof(e.rec) - offsetof(struct ex_audit_record, name));
	n = ex_observed_pack(&e, &e.rec, &rule, bytes);
	assert_true(n <= sizeof(bytes));
	ex_observed_unpack(bytes, n, &back);
	assert_int_equal(strlen(back.policy), sizeof(back.policy) - 1);
	assert_int_equal(strlen(back.log), sizeof(back.log) - 1);
	assert_int_equal(strlen(back.rec.path), sizeof(back.rec.path) - 1);
	assert_int_equal(strlen(back.rec.detail), sizeof(back.rec.detail) - 1);
}

/* ---- the ring, served by a child ---- */

#define KEEP  64
#define TOTAL 3000

struct server {
	struct ex_loop *loop;
	struct ex_observe *o;
	struct ex_observe_who *who;
	struct ex_timer timer;
	unsigned written;
};

static void write_some(struct server *s, unsigned n)
{
	struct ex_observed e = request("GET", "a.example", "/");

	for (; n; n--) {
		e.rec.sport = (uint16_t)++s->written;
		ex_observe_record(s->o, s->who, NULL, &e.rec);
	}
}

/* A few at a time, as long as there is anybody: the reader keeps up with this. */
static void on_timer(struct ex_timer *t)
{
	struct server *s = ex_container_of(t, struct server, timer);

	if (s->written < TOTAL)
		write_some(s, 10);
	assert_int_equal(ex_timer_start(s->loop, &s->timer, 1), 0);
}

/* Far more than the ring holds, in one go. */
static void op_flood(void *arg, struct ex_call *call)
{
	write_some(arg, 10 * KEEP);
	ex_call_ok(call);
}

static void op_start(void *arg, struct ex_call *call)
{
	struct server *s = arg;

	assert_int_equal(ex_timer_start(s->loop, &s->timer, 1), 0);
	ex_call_ok(call);
}

static char path[64];
static pid_t pid;

static int start_server(void **state)
{
	struct ex_control_config cfg = { .path = path };
	struct ex_control *c;
	int ready[2];
	char byte;

	(void)state;
	snprintf(path, sizeof(path), "@exeat-test-observe/%d", (int)getpid());
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct server s = { .timer.fn = on_timer };
		struct ex_observe_endpoint ep = { .name = "web" };

		assert_int_equal(ex_loop_new(&s.loop), 0);
		assert_int_equal(ex_observe_who_new(&ep, &s.who), 0);
		assert_int_equal(ex_observe_new(s.loop, "node", KEEP, &s.o), 0);
		assert_int_equal(ex_control_new(s.loop, &cfg, &c), 0);
		assert_int_equal(ex_observe_serve(s.o, c), 0);
		assert_int_equal(ex_control_add(c, "flood", op_flood, &s), 0);
		assert_int_equal(ex_control_add(c, "start", op_start, &s), 0);
		assert_int_equal(write(ready[1], "x", 1), 1);
		_exit(ex_loop_run(s.loop));
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

static void ask(const char *request)
{
	struct ex_control_error err;
	struct ex_jv *a;

	assert_int_equal(ex_control_call(path, ex_span_str(request), 5000, &a, &err), 0);
	ex_jv_free(a);
}

/* The next event's number; events lost before it are added to *lost. 0 at the end. */
static int64_t next(struct ex_control_stream *s, int64_t *lost)
{
	struct ex_control_error err;
	char text[EX_JV_ERROR_MAX];
	struct ex_span line;
	struct ex_jv *v;
	int64_t seq = 0;

	for (;;) {
		const char *n;

		if (ex_control_stream_next(s, 5000, &line, &err) <= 0)
			return 0;
		assert_int_equal(ex_jv_read(line, &v, text), 0);
		n = ex_jv_string(ex_jv_get(v, "lost_events"), "num_events_lost");
		if (n)
			*lost += strtoll(n, NULL, 10);
		else
			assert_true(
				ex_jv_integer(ex_jv_get(v, "exeat"), "seq", 1, INT64_MAX, &seq));
		ex_jv_free(v);
		if (!n)
			return seq;
	}
}

static struct ex_control_stream *open_stream(const char *request)
{
	struct ex_control_error err;
	struct ex_control_stream *s;

	assert_int_equal(ex_control_stream_open(path, ex_span_str(request), &s, &err), 0);
	return s;
}

static void test_the_last_ones_are_kept(void **state)
{
	struct ex_control_stream *s;
	int64_t lost = 0;

	(void)state;
	ask("{\"op\":\"flood\"}"); /* 1 to 640 */
	s = open_stream("{\"op\":\"observe\",\"last\":5}");
	for (int64_t want = 10 * KEEP - 4; want <= 10 * KEEP; want++)
		assert_int_equal(next(s, &lost), want);
	assert_int_equal(next(s, &lost), 0);
	ex_control_stream_close(s);
	s = open_stream("{\"op\":\"observe\",\"last\":100000}");
	assert_int_equal(next(s, &lost), 9 * KEEP + 1);
	assert_int_equal(lost, 0);
	ex_control_stream_close(s);
}

static void test_what_a_follower_lost_is_told(void **state)
{
	struct ex_control_stream *s = open_stream("{\"op\":\"observe\",\"follow\":true}");
	int64_t lost = 0, first;

	(void)state;
	usleep(50000);
	ask("{\"op\":\"flood\"}");
	first = next(s, &lost);
	assert_int_equal(lost, 9 * KEEP);
	for (int i = 1; i < KEEP; i++)
		assert_int_equal(next(s, &lost), first + i);
	ex_control_stream_close(s);
}

static void test_a_follower_that_reads_loses_nothing(void **state)
{
	struct ex_control_stream *s = open_stream("{\"op\":\"observe\",\"follow\":true}");
	int64_t lost = 0, first;

	(void)state;
	usleep(50000);
	ask("{\"op\":\"start\"}");
	first = next(s, &lost);
	for (int i = 1; i < 1000; i++)
		assert_int_equal(next(s, &lost), first + i);
	assert_int_equal(lost, 0);
	ex_control_stream_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_event_is_the_same_and_small),
		cmocka_unit_test(test_kept_texts_are_cut_at_their_bounds),
		cmocka_unit_test(test_a_request_has_hubbles_names),
		cmocka_unit_test(test_what_audit_mode_let_through_is_audit),
		cmocka_unit_test(test_attack_98_the_largest_event_fits_and_is_escaped),
		cmocka_unit_test(test_attack_99_query_values_are_taken_out_here_too),
		cmocka_unit_test(test_filters_match_and_their_twins_do_not),
		cmocka_unit_test(test_filters_that_can_match_nothing_are_refused),
		cmocka_unit_test(test_a_refused_filter_says_what_there_is),
		cmocka_unit_test(test_the_last_ones_are_kept),
		cmocka_unit_test(test_what_a_follower_lost_is_told),
		cmocka_unit_test(test_a_follower_that_reads_loses_nothing),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
