/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "agent/audit/line.h"
#include "agent/observe/text.h"

#define RED    "\x1b[31m"
#define GREEN  "\x1b[32m"
#define YELLOW "\x1b[33m"
#define CYAN   "\x1b[36m"
#define RESET  "\x1b[0m"

#define LINE "%-12s  %-24s  %s%-10s%s  %-5s  %s"

static const char *colour_of(const char *verdict)
{
	switch (verdict[0]) {
	case 'D':
		return RED;
	case 'A':
		return YELLOW;
	case 'R':
		return CYAN;
	}
	return GREEN;
}

/* "2026-11-22T17:00:00.123456789Z" -> "17:00:00.123" */
static void time_of(const char *time, char out[static 13])
{
	const char *t = time ? strchr(time, 'T') : NULL;

	snprintf(out, 13, "%.12s", t ? t + 1 : "");
}

bool ex_observe_is_ingress(const struct ex_jv *flow)
{
	return strcmp(ex_jv_word(flow, "traffic_direction"), "INGRESS") == 0;
}

size_t ex_observe_pod(const struct ex_jv *flow, char *out, size_t cap)
{
	const char *end = ex_observe_is_ingress(flow) ? "destination" : "source";
	const struct ex_jv *pod = ex_jv_get(flow, end);
	const char *ns = ex_jv_word(pod, "namespace");
	char name[320];

	snprintf(name, sizeof(name), "%s%s%s", ns, ns[0] ? "/" : "", ex_jv_word(pod, "pod_name"));
	return ex_audit_escape(ex_span_str(name), out, cap);
}

/* What was asked for, and for a flow's end how much went through it. */
static void what_of(const struct ex_jv *flow, char *out, size_t cap)
{
	const struct ex_jv *own = ex_jv_get(flow, "exeat");
	int64_t packets = 0, bytes = 0;
	size_t n = ex_audit_escape(ex_span_str(ex_jv_word(flow, "Summary")), out, cap);

	if (strcmp(ex_jv_word(own, "event"), "end") != 0)
		return;
	(void)ex_jv_integer(own, "packets", 0, INT64_MAX, &packets);
	(void)ex_jv_integer(own, "bytes", 0, INT64_MAX, &bytes);
	snprintf(out + n, cap - n, ": %" PRId64 " packets, %" PRId64 " bytes", packets, bytes);
}

/* Why: only where there is something to say beside "allowed". */
static void why_of(const struct ex_jv *flow, char *out, size_t cap)
{
	const struct ex_jv *own = ex_jv_get(flow, "exeat");
	const char *reason = ex_jv_word(own, "reason");
	const char *rule = ex_jv_word(own, "rule");
	const char *policy = ex_jv_word(own, "policy");
	const char *detail = ex_jv_word(own, "detail");
	int64_t count = 0;
	char text[1024];
	int n;

	out[0] = '\0';
	if (strcmp(reason, "allowed") == 0)
		return;
	n = snprintf(text, sizeof(text), "  %s", reason);
	if (detail[0])
		n += snprintf(text + n, sizeof(text) - (size_t)n, " (%s)", detail);
	if (rule[0] && (size_t)n < sizeof(text))
		n += snprintf(text + n, sizeof(text) - (size_t)n, " [%s %s]", policy, rule);
	if (ex_jv_integer(own, "count", 2, INT64_MAX, &count) && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, " x%" PRId64, count);
	ex_audit_escape(ex_span_str(text), out, cap);
}

static void lost_text(const struct ex_jv *lost, bool colour, char *out, size_t cap)
{
	char n[32];

	ex_audit_escape(ex_span_str(ex_jv_word(lost, "num_events_lost")), n, sizeof(n));
	snprintf(out, cap, "%s-- %s events lost: not read in time --%s\n", colour ? YELLOW : "", n,
		 colour ? RESET : "");
}

void ex_observe_text(const struct ex_jv *flow, bool colour, char *out, size_t cap)
{
	char time[13], endpoint[320], verdict[24], protocol[16], what[2048], why[1200];
	int n;

	if (ex_jv_get(flow, "lost_events")) {
		lost_text(ex_jv_get(flow, "lost_events"), colour, out, cap);
		return;
	}
	time_of(ex_jv_string(flow, "time"), time);
	(void)ex_observe_pod(flow, endpoint, sizeof(endpoint));
	ex_audit_escape(ex_span_str(ex_jv_word(flow, "verdict")), verdict, sizeof(verdict));
	ex_audit_escape(ex_span_str(ex_jv_word(ex_jv_get(flow, "exeat"), "protocol")), protocol,
			sizeof(protocol));
	what_of(flow, what, sizeof(what));
	why_of(flow, why, sizeof(why));
	n = snprintf(out, cap, LINE "%s\n", time, endpoint, colour ? colour_of(verdict) : "",
		     verdict, colour ? RESET : "", protocol, what, why);
	if (n < 0 || (size_t)n >= cap)
		snprintf(out + cap - 5, 5, "...\n");
}

void ex_observe_text_header(char *out, size_t cap)
{
	snprintf(out, cap, LINE "\n", "TIME", "ENDPOINT", "", "VERDICT", "", "PROTO", "WHAT");
}
