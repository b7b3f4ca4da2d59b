/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exeat top: the events of the last seconds, summed up by endpoint and by what was spoken to. Made
 * of the same stream as exeat observe, so it works for a run as for the agent.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/audit/line.h"
#include "agent/control/client.h"
#include "agent/core/log.h"
#include "agent/core/loop.h"
#include "agent/observe/command.h"
#include "agent/observe/text.h"

static const char usage[] =
	"Usage: exeat top [OPTION...]\n"
	"\n"
	"Shows which endpoints speak with whom, and what is denied them; again every interval.\n"
	"\n"
	"      --run PID        of the 'exeat run' with this process id\n"
	"      --socket PATH    of the agent at this socket (default: /run/exeat/agent.sock)\n"
	"  -i, --interval N     seconds between two tables (default: 2)\n"
	"  -n, --count N        ends after N tables\n"
	"  -h, --help           this text\n";

#define ROWS_MAX  2048
#define SHOWN_MAX 40
#define KEY_MAX   320

struct row {
	char endpoint[KEY_MAX], peer[KEY_MAX];
	uint64_t allowed, denied, audit, requests;
	char last_reason[48]; /* of a denial */
};

struct options {
	const char *socket;
	char run[32];             /* that of a run */
	uint64_t interval, count; /* count 0: on and on */
};

struct table {
	struct row rows[ROWS_MAX];
	size_t n;
	uint64_t lost, left_out; /* told by the stream; for want of a row */
};

/* ---- counting ---- */

/* The name where there is one, else the address. */
static void peer_of(const struct ex_jv *flow, char out[static KEY_MAX])
{
	const struct ex_jv *dns = ex_jv_get(ex_jv_get(flow, "l7"), "dns");
	const char *peer = ex_jv_text(ex_jv_at(ex_jv_get(flow, "destination_names"), 0));
	const char *far = ex_observe_is_ingress(flow) ? "source" : "destination";
	char raw[KEY_MAX];

	if (dns)
		snprintf(raw, sizeof(raw), "DNS %s", ex_jv_word(dns, "query"));
	else
		snprintf(raw, sizeof(raw), "%s",
			 peer ? peer : ex_jv_word(ex_jv_get(flow, "IP"), far));
	ex_audit_escape(ex_span_str(raw), out, KEY_MAX);
}

static struct row *row_of(struct table *t, const char *endpoint, const char *peer)
{
	struct row *r;

	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->rows[i].endpoint, endpoint) == 0 &&
		    strcmp(t->rows[i].peer, peer) == 0)
			return &t->rows[i];
	if (t->n == ROWS_MAX)
		return NULL;
	r = &t->rows[t->n++];
	*r = (struct row){ 0 };
	snprintf(r->endpoint, sizeof(r->endpoint), "%s", endpoint);
	snprintf(r->peer, sizeof(r->peer), "%s", peer);
	return r;
}

static void count_flow(struct table *t, const struct ex_jv *flow)
{
	const struct ex_jv *own = ex_jv_get(flow, "exeat");
	const char *verdict = ex_jv_word(flow, "verdict");
	char endpoint[KEY_MAX], peer[KEY_MAX];
	int64_t n = 1;
	struct row *r;

	/* Beginnings and ends of flows the proxy decides about are its own records, too. */
	if (strcmp(verdict, "REDIRECTED") == 0 || strcmp(ex_jv_word(own, "event"), "end") == 0)
		return;
	(void)ex_observe_pod(flow, endpoint, sizeof(endpoint));
	peer_of(flow, peer);
	r = row_of(t, endpoint, peer);
	if (!r) {
		t->left_out++;
		return;
	}
	(void)ex_jv_integer(own, "count", 1, INT64_MAX, &n);
	if (strcmp(verdict, "DROPPED") == 0) {
		r->denied += (uint64_t)n;
		ex_audit_escape(ex_span_str(ex_jv_word(own, "reason")), r->last_reason,
				sizeof(r->last_reason));
	} else if (strcmp(verdict, "AUDIT") == 0) {
		r->audit += (uint64_t)n;
	} else {
		r->allowed += (uint64_t)n;
	}
	r->requests += ex_jv_get(ex_jv_get(flow, "l7"), "http") != NULL;
}

static int count_line(struct table *t, struct ex_span line)
{
	char err[EX_JV_ERROR_MAX];
	const char *lost;
	struct ex_jv *v;
	int r = ex_jv_read(line, &v, err);

	if (r < 0)
		return r;
	lost = ex_jv_string(ex_jv_get(v, "lost_events"), "num_events_lost");
	if (lost)
		t->lost += strtoull(lost, NULL, 10);
	else
		count_flow(t, v);
	ex_jv_free(v);
	return 0;
}

/* ---- printing ---- */

static int by_weight(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t m = x->allowed + x->audit, n = y->allowed + y->audit;

	if (x->denied != y->denied)
		return x->denied < y->denied ? 1 : -1;
	return m != n ? m < n ? 1 : -1 : strcmp(x->peer, y->peer);
}

static void print_table(struct table *t, uint64_t seconds)
{
	bool tty = isatty(STDOUT_FILENO) == 1;
	double s = (double)seconds;

	if (tty)
		fputs("\x1b[H\x1b[2J", stdout);
	printf("%-28s %-40s %9s %9s %9s %9s  %s\n", "ENDPOINT", "TO", "ALLOW/s", "DENY/s",
	       "AUDIT/s", "HTTP/s", "LAST DENIAL");
	qsort(t->rows, t->n, sizeof(t->rows[0]), by_weight);
	for (size_t i = 0; i < t->n && i < SHOWN_MAX; i++) {
		const struct row *r = &t->rows[i];

		printf("%-28.28s %-40.40s %9.1f %9.1f %9.1f %9.1f  %s\n", r->endpoint, r->peer,
		       (double)r->allowed / s, (double)r->denied / s, (double)r->audit / s,
		       (double)r->requests / s, r->last_reason);
	}
	if (t->n > SHOWN_MAX)
		printf("and %zu more\n", t->n - SHOWN_MAX);
	if (t->lost || t->left_out)
		printf("%" PRIu64 " events lost: not read in time\n", t->lost + t->left_out);
	if (!tty)
		putchar('\n');
	fflush(stdout);
	t->n = 0;
	t->lost = t->left_out = 0;
}

/* 1: go on; 0: the stream ended; or negative errno. */
static int watch_window(struct ex_control_stream *s, struct table *t, uint64_t seconds,
			struct ex_control_error *err)
{
	int64_t until = (int64_t)ex_clock_ms() + (int64_t)seconds * 1000, left;
	struct ex_span line;

	while ((left = until - (int64_t)ex_clock_ms()) > 0) {
		int r = ex_control_stream_next(s, (int)left, &line, err);

		if (r == -ETIMEDOUT)
			break;
		if (r <= 0)
			return r;
		r = count_line(t, line);
		if (r < 0)
			return r;
	}
	return 1;
}

/* ---- options ---- */

static int number(const char *option, const char *text, unsigned max, uint64_t *ret)
{
	if (ex_number_parse(text, 1, max, ret))
		return 0;
	ex_error("%s %s: write a number from 1 to %u", option, text, max);
	return -EINVAL;
}

static int wrong_usage(void)
{
	fputs(usage, stderr);
	return -EINVAL;
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = { { "run", required_argument, NULL, 'r' },
					       { "socket", required_argument, NULL, 's' },
					       { "interval", required_argument, NULL, 'i' },
					       { "count", required_argument, NULL, 'n' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	uint64_t pid = 0;
	int c, r = 0;

	optind = 1;
	while (r == 0 && (c = getopt_long(argc, argv, "i:n:h", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			r = number("--run", optarg, INT32_MAX, &pid);
			snprintf(o->run, sizeof(o->run), "@exeat/run/%" PRIu64, pid);
			o->socket = o->run;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'i':
			r = number("--interval", optarg, 3600, &o->interval);
			break;
		case 'n':
			r = number("--count", optarg, 1000000, &o->count);
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			r = wrong_usage();
		}
	}
	return r == 0 && optind < argc ? wrong_usage() : r;
}

int ex_cmd_top(int argc, char **argv)
{
	static struct table table;
	struct options o = { .socket = EX_CONTROL_PATH, .interval = 2 };
	struct ex_control_error err = { 0 };
	struct ex_control_stream *s = NULL;
	int r = parse(argc, argv, &o);

	if (r != 0)
		return r > 0 ? 0 : 2;
	r = ex_control_stream_open(o.socket, EX_SPAN("{\"op\":\"observe\",\"follow\":true}"), &s,
				   &err);
	for (unsigned n = 0; r >= 0 && (!o.count || n < o.count); n++) {
		r = watch_window(s, &table, o.interval, &err);
		if (r <= 0)
			break;
		print_table(&table, o.interval);
	}
	if (r < 0)
		ex_observe_failed(o.socket, r, &err);
	ex_control_stream_close(s);
	return r < 0 ? 1 : 0;
}
