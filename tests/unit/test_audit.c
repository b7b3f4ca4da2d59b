/* SPDX-License-Identifier: Apache-2.0 */
/* Audit: records become one safe line each, losses are told, secrets and attacker bytes stay out.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "agent/audit/line.h"
#include "agent/core/json.h"
#include "policy/compile.h"
#include "tests/unit/full_disk.h"

static int temp_file(void)
{
	char name[] = "/tmp/exeat-test-audit.XXXXXX";
	int fd = mkostemp(name, O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	return fd;
}

/* All that was written to fd; the caller frees. */
static char *slurp(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *s = calloc(1, (size_t)size + 1);

	assert_non_null(s);
	assert_int_equal(pread(fd, s, (size_t)size, 0), size);
	return s;
}

static struct ex_audit_record http_record(void)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_HTTP,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_DENY,
				       .proto = IPPROTO_TCP,
				       .reason = EX_R_HTTP_DENIED,
				       .status = 403,
				       .sport = 40000,
				       .dport = 443 };

	assert_true(ex_ip_parse("192.0.0.2", &rec.src));
	assert_true(ex_ip_parse("2001:db8::1", &rec.dst));
	ex_audit_set(rec.name, sizeof(rec.name), EX_SPAN("api.openai.com"));
	ex_audit_set(rec.sni, sizeof(rec.sni), EX_SPAN("api.openai.com"));
	ex_audit_set(rec.host, sizeof(rec.host), EX_SPAN("api.openai.com"));
	ex_audit_set(rec.method, sizeof(rec.method), EX_SPAN("POST"));
	ex_audit_set_path(rec.path, sizeof(rec.path), EX_SPAN("/v1/files?key=sk-secret&purpose=x"));
	return rec;
}

static void test_record_is_one_json_line_with_stable_keys(void **state)
{
	static const struct ex_rule_info rule = { .policy = "p",
						  .ns = "n",
						  .where = "egress[1].toPorts[0].rules.http[0]",
						  .file = "policy.yaml",
						  .line = 14,
						  .col = 7 };
	struct ex_audit_stamp stamp = {
		.time = "2026-11-22T17:00:00.123Z", .run = "r1", .seq = 7, .rule = &rule
	};
	struct ex_audit_record rec = http_record();
	char line[EX_AUDIT_LINE_MAX];
	ssize_t n;

	(void)state;
	rec.count = 3;
	n = ex_audit_line_json(&rec, &stamp, line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_string_equal(
		line,
		"{\"time\":\"2026-11-22T17:00:00.123Z\",\"type\":\"verdict\",\"run\":\"r1\",\"seq\":7,"
		"\"verdict\":\"deny\",\"reason\":\"http-denied\",\"gate\":\"proxy\",\"app\":\"http\","
		"\"proto\":\"tcp\",\"src\":\"192.0.0.2\",\"sport\":40000,\"dst\":\"2001:db8::1\","
		"\"dport\":443,\"name\":\"api.openai.com\",\"sni\":\"api.openai.com\","
		"\"method\":\"POST\",\"host\":\"api.openai.com\",\"path\":\"/v1/files?key=*&purpose=*\","
		"\"status\":403,\"policy\":\"p\",\"namespace\":\"n\","
		"\"rule\":\"egress[1].toPorts[0].rules.http[0]\",\"file\":\"policy.yaml\",\"line\":14,"
		"\"count\":3}\n");
	n = ex_audit_line_text(&rec, &stamp, line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_string_equal(line, "2026-11-22T17:00:00.123Z 7 deny http-denied "
				  "POST api.openai.com/v1/files?key=*&purpose=* by n/p "
				  "egress[1].toPorts[0].rules.http[0] (policy.yaml:14)\n");
}

static void test_dns_and_icmp_are_told_in_their_own_words(void **state)
{
	struct ex_audit_stamp stamp = { .time = "", .run = "" };
	struct ex_audit_record rec = { .app = EX_AUDIT_DNS,
				       .verdict = EX_V_DENY,
				       .proto = IPPROTO_UDP,
				       .status = 6,
				       .qtype = 28 };
	char line[EX_AUDIT_LINE_MAX + 1], subject[64];
	ssize_t n;

	(void)state;
	ex_audit_set(rec.name, sizeof(rec.name), EX_SPAN("a.b"));
	n = ex_audit_line_json(&rec, &stamp, line, EX_AUDIT_LINE_MAX);
	assert_true(n > 0);
	line[n] = '\0';
	assert_non_null(strstr(line, "\"name\":\"a.b\",\"qtype\":\"AAAA\",\"rcode\":5}"));
	ex_audit_subject(&rec, subject, sizeof(subject));
	assert_string_equal(subject, "DNS a.b");
	rec = (struct ex_audit_record){ .proto = IPPROTO_ICMP, .dport = 8 << 8 | 3 };
	assert_true(ex_ip_parse("192.0.2.1", &rec.dst));
	ex_audit_subject(&rec, subject, sizeof(subject));
	assert_string_equal(subject, "icmp 192.0.2.1 type 8 code 3");
}

static void test_verdict_that_is_not_allow_is_written_as_deny(void **state)
{
	static const uint8_t other[] = { EX_V_INVALID, EX_V_DENY, EX_V_STEER, 77 };
	struct ex_audit_stamp stamp = { .time = "", .run = "" };
	struct ex_audit_record rec = http_record();
	char line[EX_AUDIT_LINE_MAX + 1];
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(other); i++) {
		rec.verdict = other[i];
		n = ex_audit_line_json(&rec, &stamp, line, EX_AUDIT_LINE_MAX);
		assert_true(n > 0);
		line[n] = '\0';
		assert_non_null(strstr(line, "\"verdict\":\"deny\""));
	}
	rec.verdict = EX_V_ALLOW;
	rec.reason = EX_R_ALLOWED;
	n = ex_audit_line_json(&rec, &stamp, line, EX_AUDIT_LINE_MAX);
	line[n] = '\0';
	assert_non_null(strstr(line, "\"verdict\":\"allow\""));
}

static void assert_path(const char *in, const char *out)
{
	char once[1024], twice[1024];

	ex_audit_set_path(once, sizeof(once), ex_span_str(in));
	assert_string_equal(once, out);
	ex_audit_set_path(twice, sizeof(twice), ex_span_str(once));
	assert_string_equal(twice, out);
}

static void test_attack_99_query_values_are_never_written(void **state)
{
	char small[12];

	(void)state;
	assert_path("/v1?key=sk-secret", "/v1?key=*");
	assert_path("/v1?a=1&b=2;c=3", "/v1?a=*&b=*;c=*");
	assert_path("/v1?key=a=b?c", "/v1?key=*");
	assert_path("/v1?alt=sse&stream", "/v1?alt=*&stream");
	assert_path("/v1?eyJhbGciOiJIUzI1NiJ9", "/v1?*");
	assert_path("/v1?abcdefghijklmnopqrstuvwxyz", "/v1?*");
	assert_path("/v1?s3cret", "/v1?*");
	assert_path("/v1?sk%2Dx=1", "/v1?*=*");
	assert_path("/v1?=secret", "/v1?=*");
	assert_path("/v1?c2VjcmV0IHRva2Vu=&c2VjcmV0IHRva2Vu==", "/v1?*=*&*=*"); /* padding */
	assert_path("/v1?v1=a&stream=&=", "/v1?v1=*&stream=*&=*");
	assert_path("/v1?&&", "/v1?&&");
	assert_path("/v1?", "/v1?");
	assert_path("", "");
	ex_audit_set_path(small, sizeof(small), EX_SPAN("/v1?k=secretsecretsecret&abcdef=1"));
	assert_string_equal(small, "/v1?k=*&abc");
}

static void test_attack_99_a_forged_record_is_redacted_again(void **state)
{
	struct ex_audit_stamp stamp = { .time = "", .run = "" };
	struct ex_audit_record rec = http_record();
	char line[EX_AUDIT_LINE_MAX + 1];
	ssize_t n;

	(void)state;
	ex_audit_set(rec.path, sizeof(rec.path), EX_SPAN("/v1?key=sk-secret"));
	n = ex_audit_line_json(&rec, &stamp, line, EX_AUDIT_LINE_MAX);
	assert_true(n > 0);
	line[n] = '\0';
	assert_null(strstr(line, "sk-secret"));
	n = ex_audit_line_text(&rec, &stamp, line, EX_AUDIT_LINE_MAX);
	assert_true(n > 0);
	line[n] = '\0';
	assert_null(strstr(line, "sk-secret"));
}

static void assert_safe_line(const char *line, size_t n)
{
	assert_int_equal(line[n - 1], '\n');
	for (size_t i = 0; i + 1 < n; i++)
		assert_true(line[i] >= 0x20 && line[i] < 0x7f);
}

static void test_attack_98_hostile_bytes_are_escaped(void **state)
{
	static const struct ex_span hostile[] = {
		EX_SPAN("a\nb"),
		EX_SPAN("a\r\n{\"verdict\":\"allow\"}"),
		EX_SPAN("\x1b[2J\x1b[1;1H"),
		EX_SPAN("\"},{\"x\":\""),
		EX_SPAN("\\\""),
		EX_SPAN("\xe2\x80\xae"
			"moc.live"),
		EX_SPAN("\xc2\x9b"
			"31m"),
		EX_SPAN("\xff\xfe\xc0\xaf"),
		EX_SPAN("\x7f\b\b\t"),
		EX_SPAN("\xf0\x9f\x98\x80"),
		EX_SPAN("</script><b>"),
	};
	struct ex_audit_stamp stamp = { .time = "t", .run = "r" };
	char line[EX_AUDIT_LINE_MAX];

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(hostile); i++) {
		struct ex_audit_record rec = http_record();
		ssize_t n;

		ex_audit_set(rec.host, sizeof(rec.host), hostile[i]);
		ex_audit_set(rec.path, sizeof(rec.path), hostile[i]);
		ex_audit_set(rec.method, sizeof(rec.method), hostile[i]);
		ex_audit_set(rec.sni, sizeof(rec.sni), hostile[i]);
		ex_audit_set(rec.name, sizeof(rec.name), hostile[i]);
		ex_audit_set(rec.detail, sizeof(rec.detail), hostile[i]);
		for (uint8_t app = 0; app < 5; app++) {
			rec.app = app;
			n = ex_audit_line_json(&rec, &stamp, line, sizeof(line));
			assert_true(n > 0);
			assert_safe_line(line, (size_t)n);
			n = ex_audit_line_text(&rec, &stamp, line, sizeof(line));
			assert_true(n > 0);
			assert_safe_line(line, (size_t)n);
		}
	}
}

static void test_attack_98_fields_without_terminator_stay_inside(void **state)
{
	struct ex_audit_stamp stamp = { .time = "t", .run = "r" };
	struct ex_audit_record rec;
	char line[EX_AUDIT_LINE_MAX];
	ssize_t n;

	(void)state;
	memset(&rec, 0xff, sizeof(rec)); /* the worst a compromised proxy can send */
	n = ex_audit_line_json(&rec, &stamp, line, sizeof(line));
	assert_true(n > 0);
	assert_safe_line(line, (size_t)n);
	assert_non_null(memmem(line, (size_t)n, "\"verdict\":\"deny\"", 16));
	assert_non_null(memmem(line, (size_t)n, "\"reason\":\"unspecified\"", 22));
	n = ex_audit_line_text(&rec, &stamp, line, sizeof(line));
	assert_true(n > 0);
	assert_safe_line(line, (size_t)n);
	memset(&rec, 0x01, sizeof(rec));
	n = ex_audit_line_json(&rec, &stamp, line, sizeof(line));
	assert_true(n > 0);
	assert_safe_line(line, (size_t)n);
}

/* A label's key is written by whoever starts a pod. */
static void test_a_key_ends_where_it_was_to_end(void **state)
{
	char text[128];
	struct ex_json j;

	(void)state;
	ex_json_init(&j, text, sizeof(text) - 1);
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "a\":\"b\"},\"serve\":[\"any\"", "x");
	ex_json_text(&j, "\\u0061\n", "y");
	ex_json_close(&j, '}');
	text[ex_json_done(&j)] = '\0';
	assert_string_equal(text, "{\"a\\\":\\\"b\\\"},\\\"serve\\\":[\\\"any\\\"\":\"x\","
				  "\"\\\\u0061\\u000a\":\"y\"}");
}

static struct ex_audit *audit_new(int fd, int terminal, bool json)
{
	struct ex_audit_options o = { .fd = fd, .json = json, .terminal = terminal, .run = "r1" };
	struct ex_audit *a;

	assert_int_equal(ex_audit_new(&o, &a), 0);
	return a;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}

static void test_log_numbers_records_and_ends_with_a_summary(void **state)
{
	struct ex_audit_record rec = http_record();
	int fd = temp_file();
	struct ex_audit *a = audit_new(fd, -1, true);
	char *text;

	(void)state;
	ex_audit_write(a, &rec);
	rec.verdict = EX_V_ALLOW;
	rec.reason = EX_R_ALLOWED;
	ex_audit_write(a, &rec);
	ex_audit_summary(a);
	ex_audit_free(a);
	text = slurp(fd);
	assert_int_equal(count(text, "\n"), 3);
	assert_non_null(strstr(text, "\"seq\":1,\"verdict\":\"deny\""));
	assert_non_null(strstr(text, "\"seq\":2,\"verdict\":\"allow\",\"reason\":\"allowed\""));
	assert_non_null(strstr(text, "\"type\":\"summary\",\"run\":\"r1\",\"seq\":2,\"allowed\":1,"
				     "\"denied\":1,\"lost\":0}\n"));
	free(text);
	close(fd);
}

static void test_lost_records_are_told_when_writing_works_again(void **state)
{
	struct ex_audit_record rec = http_record();
	int fd = temp_file(), full = open("/dev/full", O_WRONLY | O_CLOEXEC), keep;
	struct ex_audit *a = audit_new(fd, -1, true);
	char *text;

	(void)state;
	assert_true(full >= 0);
	ex_audit_write(a, &rec);
	keep = dup(fd);
	assert_true(dup2(full, fd) >= 0);
	ex_audit_write(a, &rec);
	ex_audit_write(a, &rec);
	assert_true(dup2(keep, fd) >= 0);
	ex_audit_write(a, &rec);
	ex_audit_summary(a);
	ex_audit_free(a);
	text = slurp(fd);
	assert_int_equal(count(text, "\"type\":\"verdict\""), 2);
	assert_non_null(strstr(text, "\"type\":\"lost\",\"run\":\"r1\",\"seq\":4,\"allowed\":0,"
				     "\"denied\":4,\"lost\":2}\n"));
	assert_non_null(strstr(text, "\"seq\":4,\"verdict\""));
	assert_non_null(strstr(text, "\"type\":\"summary\""));
	free(text);
	close(fd);
	close(keep);
	close(full);
}

static void test_a_torn_line_is_closed_before_the_next(void **state)
{
	struct full_disk disk;
	struct ex_audit_record rec = http_record();
	int fd = temp_file();
	struct ex_audit *a = audit_new(fd, -1, true);
	char *text, *second;

	(void)state;
	disk = disk_fill(700); /* room for one line and a part of the second */
	ex_audit_write(a, &rec);
	ex_audit_write(a, &rec);
	disk_empty(&disk);
	ex_audit_write(a, &rec);
	ex_audit_free(a);
	text = slurp(fd);
	assert_int_equal(count(text, "\n"), 4);
	second = strchr(text, '\n') + 1;
	assert_null(memchr(second, '}', (size_t)(strchr(second, '\n') - second)));
	assert_non_null(strstr(text, "\n{\"time\":"));
	assert_int_equal(count(text, "\"type\":\"lost\""), 1);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	close(fd);
}

static void test_a_full_pipe_does_not_block(void **state)
{
	struct ex_audit_record rec = http_record();
	struct ex_audit *a;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	a = audit_new(fds[1], fds[1], true);
	for (int i = 0; i < 1000; i++)
		ex_audit_write(a, &rec);
	ex_audit_summary(a);
	ex_audit_free(a);
	close(fds[0]);
	close(fds[1]);
}

/* A line of more than a pipe takes at once, whose reader stands still: a part of it at most. */
static void test_a_long_line_does_not_wait_for_a_pipe(void **state)
{
	struct ex_audit_record rec = http_record();
	static char page[PIPE_BUF];
	struct ex_audit *a;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 2 * PIPE_BUF), 2 * PIPE_BUF);
	assert_int_equal(write(fds[1], page, sizeof(page)), sizeof(page));
	memset(rec.path, '<', sizeof(rec.path) - 1);
	a = audit_new(fds[1], -1, true);
	alarm(20);
	ex_audit_write(a, &rec);
	alarm(0);
	assert_int_equal(read(fds[0], page, sizeof(page)), sizeof(page));
	assert_int_equal(read(fds[0], page, sizeof(page)), sizeof(page));
	rec.path[0] = '\0';
	ex_audit_write(a, &rec);
	assert_in_range(read(fds[0], page, sizeof(page)), 200, sizeof(page) - 1);
	assert_int_equal(page[0], '\n');
	assert_non_null(strstr(page, "\"type\":\"lost\""));
	assert_non_null(strstr(page, "\"lost\":1}\n"));
	ex_audit_free(a);
	close(fds[0]);
	close(fds[1]);
}

/* So many verdicts, each with the number of its place. */
static void expect_lines(int fd, unsigned n)
{
	char *text = slurp(fd), *at = text, number[32];

	for (unsigned i = 1; i <= n; i++) {
		snprintf(number, sizeof(number), "\"seq\":%u,\"verdict\"", i);
		at = strstr(at, number);
		assert_non_null(at);
		at = strchr(at, '\n') + 1;
	}
	assert_int_equal(*at, '\0');
	free(text);
}

static off_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

static void write_many(struct ex_audit *a, int n)
{
	struct ex_audit_record rec = http_record();

	for (int i = 0; i < n; i++)
		ex_audit_write(a, &rec);
}

static void test_held_records_are_written_together(void **state)
{
	int fd = temp_file();
	struct ex_audit *a = audit_new(fd, -1, true);

	(void)state;
	ex_audit_hold(a);
	write_many(a, 3);
	assert_int_equal(size_of(fd), 0);
	ex_audit_release(a);
	assert_true(size_of(fd) > 0);
	ex_audit_hold(a);
	ex_audit_release(a);
	write_many(a, 1); /* nobody holds any more */
	expect_lines(fd, 4);
	ex_audit_free(a);
	close(fd);
}

static void test_more_than_can_be_held_keeps_its_order(void **state)
{
	int fd = temp_file();
	struct ex_audit *a = audit_new(fd, -1, true);

	(void)state;
	ex_audit_hold(a);
	write_many(a, 2000);
	ex_audit_free(a); /* what was held is not lost */
	expect_lines(fd, 2000);
	close(fd);
}

static void test_held_records_that_a_full_disk_cuts_off_are_counted(void **state)
{
	struct full_disk disk;
	int fd = temp_file();
	struct ex_audit *a = audit_new(fd, -1, true);
	char *text;

	(void)state;
	disk = disk_fill(700); /* room for one line and a part of the second */
	ex_audit_hold(a);
	write_many(a, 5);
	ex_audit_release(a);
	disk_empty(&disk);
	ex_audit_hold(a);
	write_many(a, 2);
	ex_audit_release(a);
	ex_audit_summary(a);
	ex_audit_free(a);
	text = slurp(fd);
	assert_int_equal(count(text, "\"type\":\"lost\""), 1);
	assert_non_null(strstr(text, "\"seq\":6,\"allowed\":0,\"denied\":6,\"lost\":4}\n"));
	assert_non_null(strstr(text, "\n{\"time\":"));
	assert_non_null(strstr(text, "\"seq\":7,\"allowed\":0,\"denied\":7,\"lost\":0}\n"));
	assert_int_equal(count(text, "\n"), 6); /* one, a torn one, lost, two, summary */
	free(text);
	close(fd);
}

static void test_held_records_neither_block_nor_tear_in_a_pipe(void **state)
{
	static char text[1 << 17];
	struct ex_audit *a;
	ssize_t n;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	a = audit_new(fds[1], -1, true);
	ex_audit_hold(a);
	write_many(a, 1000);
	ex_audit_release(a);
	n = read(fds[0], text, sizeof(text) - 1);
	assert_in_range(n, 32768, sizeof(text) - 1);
	assert_int_equal(text[n - 1], '\n');
	write_many(a, 1);
	n = read(fds[0], text, sizeof(text) - 1);
	text[n] = '\0';
	assert_int_equal(count(text, "\"type\":\"lost\""), 1);
	assert_int_equal(count(text, "\n"), 2);
	ex_audit_free(a);
	close(fds[0]);
	close(fds[1]);
}

static void test_terminal_gets_denials_only_and_not_too_many(void **state)
{
	struct ex_audit_record rec = http_record();
	struct ex_audit_record late = { .proto = IPPROTO_ICMPV6, .dport = 1 << 8 | 4 };
	int fd = temp_file();
	struct ex_audit *a = audit_new(-1, fd, true);
	char *text;

	(void)state;
	rec.verdict = EX_V_ALLOW;
	ex_audit_write(a, &rec);
	rec.verdict = EX_V_DENY;
	late.verdict = EX_V_DENY;
	ex_audit_write(a, &late);
	for (int i = 0; i < 500; i++) /* one subject */
		ex_audit_write(a, &rec);
	text = slurp(fd);
	assert_int_equal(count(text, "denied POST"), 1);
	free(text);
	for (int i = 0; i < 500; i++) { /* two in turn */
		rec.reason = i % 2 ? EX_R_HTTP_DENIED : EX_R_HOST_DENIED;
		ex_audit_write(a, &rec);
	}
	text = slurp(fd);
	assert_non_null(strstr(text, "exeat: denied POST api.openai.com/v1/files?key=*&purpose=*: "
				     "http-denied: no rule allows this method and path\n"));
	assert_in_range(count(text, "denied POST"), 2, 40);
	free(text);
	ex_audit_summary(a);
	ex_audit_free(a);
	text = slurp(fd);
	assert_non_null(strstr(text, "exeat: 1 allowed, 1001 denied\n"));
	assert_null(strstr(text, "icmpv6"));
	assert_non_null(strstr(text,
			       "750x http-denied POST api.openai.com/v1/files?key=*&purpose=*\n"
			       "          -> under rules.http add: - {method: \"POST\", "
			       "path: '/v1/files(\\?.*)?'}\n"));
	free(text);
	close(fd);
}

static void test_summary_keeps_the_most_frequent_denials(void **state)
{
	struct ex_audit_record rec = http_record();
	int fd = temp_file();
	struct ex_audit *a = audit_new(-1, fd, true);
	char *text;

	(void)state;
	rec.app = EX_AUDIT_DNS;
	rec.reason = EX_R_DNS_NAME_DENIED;
	for (int i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof(name), i % 3 ? "r%d.example" : "often.example", i);
		ex_audit_set(rec.name, sizeof(rec.name), ex_span_str(name));
		ex_audit_set(rec.host, sizeof(rec.host), EX_SPAN(""));
		ex_audit_write(a, &rec);
	}
	ex_audit_summary(a);
	ex_audit_free(a);
	text = slurp(fd);
	assert_non_null(strstr(text,
			       "x dns-name-denied DNS often.example\n          -> under egress "
			       "add: - toFQDNs: [{matchName: \"often.example\"}]\n"));
	free(text);
	close(fd);
}

static void test_rule_of_the_ruleset_is_named(void **state)
{
	static const char yaml[] =
		"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n"
		"metadata: {name: pol, namespace: ns1}\nspec:\n  endpointSelector: {}\n"
		"  egress:\n  - toCIDR: [\"192.0.2.0/24\"]\n    toPorts:\n"
		"    - ports: [{port: \"80\", protocol: TCP}]\n";
	char name[] = "/tmp/exeat-test-audit.XXXXXX";
	const char *files[] = { name };
	struct ex_compile_input in = { .files = files, .n_files = 1 };
	struct ex_diags diags = { 0 };
	struct ex_audit_record rec = http_record();
	struct ex_ruleset *rs;
	int fd = mkostemp(name, O_CLOEXEC), out = temp_file();
	struct ex_audit_options o = { .fd = out, .json = true, .terminal = -1, .run = "r" };
	struct ex_audit *a;
	char *text;

	(void)state;
	assert_int_equal(write(fd, yaml, sizeof(yaml) - 1), sizeof(yaml) - 1);
	assert_int_equal(ex_compile(&in, &rs, &diags), 0);
	ex_diags_done(&diags);
	assert_int_equal(unlink(name), 0);
	close(fd);
	o.rs = rs;
	assert_int_equal(ex_audit_new(&o, &a), 0);
	ex_ruleset_unref(rs);
	rec.rule = 1;
	ex_audit_write(a, &rec);
	rec.rule = 0xffffffff;
	ex_audit_write(a, &rec);
	ex_audit_free(a);
	text = slurp(out);
	assert_int_equal(
		count(text, "\"policy\":\"pol\",\"namespace\":\"ns1\",\"rule\":\"egress[0]"), 1);
	free(text);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_is_one_json_line_with_stable_keys),
		cmocka_unit_test(test_a_key_ends_where_it_was_to_end),
		cmocka_unit_test(test_dns_and_icmp_are_told_in_their_own_words),
		cmocka_unit_test(test_verdict_that_is_not_allow_is_written_as_deny),
		cmocka_unit_test(test_attack_99_query_values_are_never_written),
		cmocka_unit_test(test_attack_99_a_forged_record_is_redacted_again),
		cmocka_unit_test(test_attack_98_hostile_bytes_are_escaped),
		cmocka_unit_test(test_attack_98_fields_without_terminator_stay_inside),
		cmocka_unit_test(test_log_numbers_records_and_ends_with_a_summary),
		cmocka_unit_test(test_lost_records_are_told_when_writing_works_again),
		cmocka_unit_test(test_a_torn_line_is_closed_before_the_next),
		cmocka_unit_test(test_a_full_pipe_does_not_block),
		cmocka_unit_test(test_a_long_line_does_not_wait_for_a_pipe),
		cmocka_unit_test(test_held_records_are_written_together),
		cmocka_unit_test(test_more_than_can_be_held_keeps_its_order),
		cmocka_unit_test(test_held_records_that_a_full_disk_cuts_off_are_counted),
		cmocka_unit_test(test_held_records_neither_block_nor_tear_in_a_pipe),
		cmocka_unit_test(test_terminal_gets_denials_only_and_not_too_many),
		cmocka_unit_test(test_summary_keeps_the_most_frequent_denials),
		cmocka_unit_test(test_rule_of_the_ruleset_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
