/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts written down: every one to the log, denials also to the terminal. The log is complete or
 * says what it lacks: each verdict takes the next sequence number, whether or not its line could be
 * written, and losses are counted in a record of their own. The terminal is a courtesy,
 * rate-limited.
 */
#include "agent/audit/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <termios.h>

#include "agent/audit/chain.h"
#include "agent/audit/file.h"
#include "agent/audit/line.h"
#include "agent/audit/sink.h"
#include "agent/audit/tally.h"
#include "agent/core/bucket.h"
#include "agent/core/json.h"
#include "agent/core/loop.h"
#include "exeat/abi.h"

#define SUMMARY_DENIALS 10
#define HELD_BYTES      (2 * EX_AUDIT_LINE_MAX)
#define REPEAT_MS       2000

static const struct ex_rate terminal_rate = { .per_second = 4, .burst = 20 }; /* lines */

struct held {
	char *lines; /* NULL: none */
	size_t len;
	size_t records;
	uint64_t tells; /* the line before them tells of so many that were lost; 0: there is none */
};

struct ex_audit {
	struct ex_audit_sink log, terminal;
	struct ex_audit_file *file; /* instead of log */
	bool json, colour;
	char run[EX_AUDIT_RUN_MAX];
	struct ex_ruleset *rs;
	uint64_t seq, allowed, denied;
	uint64_t lost, lost_told; /* in all; of these already in a loss record */
	uint64_t hidden;          /* terminal lines left out since the last one */
	struct ex_bucket shown_lines;
	char shown[768]; /* subject of the last denial shown, and when */
	enum ex_reason shown_reason;
	uint64_t shown_at;
	struct held held; /* lines that are not written yet */
	bool holding;
	struct ex_tally *tally; /* NULL: nobody will see the summary */
};

int ex_audit_new(const struct ex_audit_options *options, struct ex_audit **ret)
{
	const char *no_colour = getenv("NO_COLOR");
	struct ex_audit *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->log = (struct ex_audit_sink){ .fd = options->file ? -1 : options->fd, .log = true };
	a->file = options->file;
	a->terminal.fd = options->terminal;
	a->json = options->json || options->file;
	a->colour =
		options->terminal >= 0 && isatty(options->terminal) && !(no_colour && no_colour[0]);
	ex_audit_set(a->run, sizeof(a->run), ex_span_str(options->run));
	a->tally = options->terminal >= 0 ? calloc(1, sizeof(*a->tally)) : NULL;
	if (options->terminal >= 0 && !a->tally) {
		free(a);
		return -ENOMEM;
	}
	a->rs = options->rs ? ex_ruleset_ref(options->rs) : NULL;
	*ret = a;
	return 0;
}

void ex_audit_use(struct ex_audit *a, struct ex_ruleset *rs)
{
	struct ex_ruleset *old = a->rs;

	a->rs = ex_ruleset_ref(rs);
	ex_ruleset_unref(old);
}

struct ex_audit_record ex_audit_of_event(const struct ex_event *ev)
{
	return (struct ex_audit_record){
		.app = EX_AUDIT_L4,
		.gate = EX_AUDIT_KERNEL,
		.verdict = ev->verdict == EX_V_STEER ? EX_V_ALLOW : ev->verdict,
		.proto = ev->proto,
		.reason = ev->reason,
		.rule = ev->rule,
		.count = 1,
		.src = ev->src,
		.dst = ev->dst,
		.sport = ntohs(ev->sport),
		.dport = ntohs(ev->dport),
		.ingress = ev->direction == EX_DIR_INGRESS,
	};
}

/* ---- the log ---- */

static bool has_log(const struct ex_audit *a)
{
	return a->file || a->log.fd >= 0;
}

/* A record about the log itself. */
static ssize_t note_line(const struct ex_audit *a, const char *type, char *out, size_t cap)
{
	uint64_t missing = a->lost - a->lost_told;
	char time[EX_AUDIT_TIME];
	struct ex_json j;

	ex_audit_now(time);
	if (!a->json) {
		int len = snprintf(
			out, cap, "%s %s allowed=%" PRIu64 " denied=%" PRIu64 " lost=%" PRIu64 "\n",
			time, type, a->allowed, a->denied, missing);
		return len < 0 || (size_t)len >= cap ? -ENOSPC : len;
	}
	ex_json_init(&j, out, cap - 1);
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "time", time);
	ex_json_text(&j, "type", type);
	if (a->run[0])
		ex_json_text(&j, "run", a->run);
	ex_json_number(&j, "seq", a->seq);
	ex_json_number(&j, "allowed", a->allowed);
	ex_json_number(&j, "denied", a->denied);
	ex_json_number(&j, "lost", missing);
	ex_json_close(&j, '}');
	return ex_json_line(&j);
}

static size_t put_lines(struct ex_audit *a, struct ex_span lines)
{
	return a->file ? ex_audit_file_append(a->file, lines) : ex_audit_sink_lines(&a->log, lines);
}

static void write_held(struct ex_audit *a)
{
	struct held *h = &a->held;
	size_t out;

	if (!h->lines)
		return;
	out = put_lines(a, (struct ex_span){ h->lines, h->len });
	if (h->tells && out) {
		a->lost_told += h->tells;
		out--;
	}
	a->lost += h->records - out;
	free(h->lines);
	*h = (struct held){ 0 };
}

/* Lines lost before are told of first, now that something may be written again. */
static bool open_held(struct ex_audit *a)
{
	struct held *h = &a->held;
	ssize_t n = 0;

	h->lines = malloc(HELD_BYTES);
	if (!h->lines)
		return false;
	if (a->lost != a->lost_told)
		n = note_line(a, "lost", h->lines, HELD_BYTES);
	if (n > 0) {
		h->tells = a->lost - a->lost_told;
		h->len = (size_t)n;
	}
	return true;
}

/* No line comes any more that it could go with. */
static void tell_lost(struct ex_audit *a)
{
	if (has_log(a) && a->lost != a->lost_told && open_held(a))
		write_held(a);
}

/* Room for one line of EX_AUDIT_LINE_MAX; NULL: it is lost. */
static char *line_begin(struct ex_audit *a)
{
	if (a->held.len > HELD_BYTES - EX_AUDIT_LINE_MAX)
		write_held(a);
	if (!a->held.lines && !open_held(a)) {
		a->lost++;
		return NULL;
	}
	return a->held.lines + a->held.len;
}

/* Negative: there is no line. */
static void line_end(struct ex_audit *a, ssize_t len)
{
	if (len < 0) {
		a->lost++;
	} else {
		a->held.len += (size_t)len;
		a->held.records++;
	}
	if (!a->holding)
		write_held(a);
}

void ex_audit_hold(struct ex_audit *a)
{
	a->holding = true;
}

void ex_audit_release(struct ex_audit *a)
{
	a->holding = false;
	write_held(a);
}

void ex_audit_free(struct ex_audit *a)
{
	if (!a)
		return;
	ex_audit_release(a);
	tell_lost(a);
	ex_ruleset_unref(a->rs);
	free(a->tally);
	free(a);
}

void ex_audit_note(struct ex_audit *a, struct ex_span json)
{
	char *line;

	if (!has_log(a) || !a->json || json.len + 1 > EX_AUDIT_LINE_MAX)
		return;
	line = line_begin(a);
	if (!line)
		return;
	memcpy(line, json.ptr, json.len);
	line[json.len] = '\n';
	line_end(a, (ssize_t)json.len + 1);
}

static void log_record(struct ex_audit *a, const struct ex_audit_record *rec,
		       const struct ex_rule_info *rule)
{
	struct ex_audit_stamp stamp = { .run = a->run, .seq = a->seq, .rule = rule };
	char time[EX_AUDIT_TIME], *line;

	if (!has_log(a))
		return;
	line = line_begin(a);
	if (!line)
		return;
	ex_audit_now(time);
	stamp.time = time;
	line_end(a, a->json ? ex_audit_line_json(rec, &stamp, line, EX_AUDIT_LINE_MAX)
			    : ex_audit_line_text(rec, &stamp, line, EX_AUDIT_LINE_MAX));
}

/* ---- the terminal ---- */

/* A line that cannot be shown is not worth more trouble: the log has it. */
static void show(struct ex_audit *a, const char *line, int len, size_t cap)
{
	if (len < 0)
		return;
	if ((size_t)len >= cap)
		len = (int)cap - 1;
	if (ex_audit_sink_lines(&a->terminal, (struct ex_span){ line, (size_t)len }) == 0)
		a->hidden++;
}

/* Who reads keys one by one (an editor, an agent) draws the screen as well: a line would spoil it.
 */
static bool is_drawn_on(int fd)
{
	struct termios mode;

	return tcgetattr(fd, &mode) == 0 && !(mode.c_lflag & ICANON);
}

/* Programs ask again at once (A and AAAA, retries): one line tells a person enough. */
static bool is_repeated(struct ex_audit *a, const char *subject, enum ex_reason reason)
{
	uint64_t now = ex_clock_ms();

	if (reason == a->shown_reason && now - a->shown_at < REPEAT_MS &&
	    strcmp(subject, a->shown) == 0)
		return true;
	snprintf(a->shown, sizeof(a->shown), "%s", subject);
	a->shown_reason = reason;
	a->shown_at = now;
	return false;
}

static void show_denial(struct ex_audit *a, const struct ex_audit_record *rec,
			const struct ex_rule_info *rule)
{
	char line[2048], subject[768], detail[4 * sizeof(rec->detail) + 1] = "", where[512] = "";
	int n;

	if (a->terminal.fd < 0)
		return;
	ex_audit_subject(rec, subject, sizeof(subject));
	if (is_repeated(a, subject, rec->reason))
		return;
	if (is_drawn_on(a->terminal.fd) ||
	    !ex_bucket_take(&a->shown_lines, &terminal_rate, ex_clock_ms())) {
		a->hidden++;
		return;
	}
	if (a->hidden) {
		n = snprintf(line, sizeof(line), "exeat: %" PRIu64 " more denials not shown\n",
			     a->hidden);
		a->hidden = 0;
		show(a, line, n, sizeof(line));
	}
	ex_audit_escape(EX_AUDIT_FIELD(rec->detail), detail, sizeof(detail));
	if (rule)
		ex_audit_escape(ex_span_str(rule->where), where, sizeof(where));
	n = snprintf(line, sizeof(line), "exeat: %sdenied%s %s: %s: %s%s%s%s%s%s%s\n",
		     a->colour ? "\x1b[31m" : "", a->colour ? "\x1b[0m" : "", subject,
		     ex_reason_word(rec->reason), ex_reason_text(rec->reason),
		     detail[0] ? " (" : "", detail, detail[0] ? ")" : "", where[0] ? " [" : "",
		     where, where[0] ? "]" : "");
	show(a, line, n, sizeof(line));
}

/* "Unreachable" is an answer of the workload's kernel, to a reply that came too late for its
 * program. */
static bool is_nobodys(const struct ex_audit_record *rec)
{
	unsigned type = rec->dport >> 8;

	return (rec->proto == IPPROTO_ICMP && type == 3) ||
	       (rec->proto == IPPROTO_ICMPV6 && type == 1);
}

void ex_audit_write(struct ex_audit *a, const struct ex_audit_record *rec)
{
	const struct ex_rule_info *rule = a->rs ? ex_ruleset_rule(a->rs, rec->rule) : NULL;
	uint64_t count = rec->count ? rec->count : 1;

	a->seq++;
	if (rec->verdict == EX_V_ALLOW)
		a->allowed += count;
	else
		a->denied += count;
	log_record(a, rec, rule);
	if (rec->verdict == EX_V_ALLOW)
		return;
	if (!a->tally || is_nobodys(rec))
		return;
	ex_tally_add(a->tally, rec, rule, count);
	show_denial(a, rec, rule);
}

void ex_audit_summary(struct ex_audit *a)
{
	char line[2048];
	ssize_t end;
	int n;

	write_held(a);
	tell_lost(a); /* first: a torn line has to be accounted for by what follows it */
	end = note_line(a, "summary", line, sizeof(line));
	if (has_log(a) && end > 0 && put_lines(a, (struct ex_span){ line, (size_t)end }) == 0)
		a->lost++;
	if (a->terminal.fd < 0 || a->seq == 0)
		return;
	n = snprintf(line, sizeof(line), "exeat: %" PRIu64 " allowed, %" PRIu64 " denied",
		     a->allowed, a->denied);
	if (a->lost)
		n += snprintf(line + n, sizeof(line) - (size_t)n,
			      "; %" PRIu64 " records could not be written", a->lost);
	line[n++] = '\n';
	show(a, line, n, sizeof(line));
	ex_tally_sort(a->tally);
	for (size_t i = 0; i < a->tally->n && i < SUMMARY_DENIALS; i++) {
		const struct ex_tally_slot *s = &a->tally->slots[i];

		n = snprintf(line, sizeof(line), "%8" PRIu64 "x %s %s%s%s%s%s%s\n", s->count,
			     ex_reason_word(s->reason), s->subject, s->where[0] ? " [" : "",
			     s->where, s->where[0] ? "]" : "",
			     s->remedy[0] ? "\n          -> " : "", s->remedy);
		show(a, line, n, sizeof(line));
	}
}
