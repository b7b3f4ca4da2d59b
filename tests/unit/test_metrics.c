/* SPDX-License-Identifier: Apache-2.0 */
/* The text of metrics: what is counted, and that no label breaks out of its quotes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/metrics/expo.h"
#include "agent/metrics/metrics.h"

static void test_hostile_label_values_stay_inside_their_quotes(void **state)
{
	struct ex_expo x = { 0 };
	struct ex_span text;

	(void)state;
	ex_expo_family(&x, "a_total", "counter", "Help.");
	ex_expo_label(&x, "l", "a\"b\\c\nd\xff\x1b");
	ex_expo_label(&x, "m", "");
	ex_expo_value(&x, UINT64_MAX);
	ex_expo_value(&x, 0);
	assert_int_equal(ex_expo_done(&x, &text), 0);
	assert_true(ex_span_eq(text,
			       EX_SPAN("# HELP a_total Help.\n# TYPE a_total counter\n"
				       "a_total{l=\"a\\\"b\\\\c\xef\xbf\xbd"
				       "d\xef\xbf\xbd\xef\xbf\xbd\",m=\"\"} 18446744073709551615\n"
				       "a_total 0\n")));
	ex_expo_wipe(&x);
}

static char *metrics_text(const struct ex_metrics *m)
{
	struct ex_expo x = { 0 };
	struct ex_span text;
	char *copy;

	ex_metrics_write(m, NULL, &x);
	assert_int_equal(ex_expo_done(&x, &text), 0);
	copy = strndup(text.ptr, text.len);
	ex_expo_wipe(&x);
	return copy;
}

static void test_verdicts_are_counted_by_endpoint_and_reason(void **state)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_HTTP,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_DENY,
				       .reason = EX_R_HTTP_DENIED,
				       .count = 3 };
	struct ex_metrics_endpoint *a, *b;
	struct ex_metrics *m;
	char *text;

	(void)state;
	assert_int_equal(ex_metrics_new(&m), 0);
	assert_int_equal(ex_metrics_endpoint_new(m, "ns", "a", &a), 0);
	assert_int_equal(ex_metrics_endpoint_new(m, "ns", "b", &b), 0);
	ex_metrics_record(a, &rec);
	rec.count = 0;
	ex_metrics_record(a, &rec);
	rec.verdict = EX_V_ALLOW; /* with a reason: audit mode */
	ex_metrics_record(b, &rec);
	rec = (struct ex_audit_record){ .app = 255, .gate = 255, .verdict = 255, .reason = 65535 };
	ex_metrics_record(b, &rec);
	text = metrics_text(m);
	assert_non_null(strstr(text, "exeat_verdicts_total{namespace=\"ns\",endpoint=\"a\","
				     "gate=\"proxy\",protocol=\"http\",verdict=\"deny\","
				     "reason=\"http-denied\"} 4\n"));
	assert_non_null(strstr(text, "endpoint=\"b\",gate=\"proxy\",protocol=\"http\","
				     "verdict=\"audit\",reason=\"http-denied\"} 1\n"));
	assert_non_null(strstr(text, "verdict=\"deny\",reason=\"unspecified\"} 1\n"));
	free(text);
	ex_metrics_endpoint_free(a);
	text = metrics_text(m);
	assert_null(strstr(text, "endpoint=\"a\""));
	free(text);
	ex_metrics_endpoint_free(b);
	ex_metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_label_values_stay_inside_their_quotes),
		cmocka_unit_test(test_verdicts_are_counted_by_endpoint_and_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
