/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>

#include "agent/audit/head.h"
#include "agent/audit/line.h"
#include "agent/core/log.h"

struct walk {
	const struct ex_audit_verify *v;
	struct ex_audit_verified *result;
	const char *file;
	unsigned long line;
	struct ex_chain last; /* the record before, as it calls itself */
	bool any, signed_by_others;
	/* a line that is no record: torn, if it can be and exeat itself went on behind it */
	const char *odd_file;
	unsigned long odd_line;
	bool odd_begins;
	/* of the head, when there is one */
	bool has_head, head_met;
	struct ex_chain head;
};

static void EX_PRINTF(2, 3) problem(struct walk *w, const char *fmt, ...)
{
	va_list ap;

	w->result->problems++;
	fprintf(w->v->out, "%s:%lu: ", w->file, w->line);
	va_start(ap, fmt);
	vfprintf(w->v->out, fmt, ap);
	va_end(ap);
	fputc('\n', w->v->out);
}

/*
 * The beginning of a record and no more: nothing a reader of the log, however lenient, takes for a
 * record. All that exeat writes is printable ASCII, and there is no object in an object.
 */
static bool begins_record(struct ex_span line)
{
	static const char begin[] = "{\"time\":\"";
	size_t n = line.len < sizeof(begin) - 1 ? line.len : sizeof(begin) - 1;
	bool quoted = false, escaped = false;

	if (memcmp(line.ptr, begin, n) != 0)
		return false;
	for (size_t i = 0; i < line.len; i++) {
		char c = line.ptr[i];

		if (c < ' ' || c > '~' || (c == '}' && !quoted))
			return false;
		if (c == '"' && !escaped)
			quoted = !quoted;
		escaped = c == '\\' && !escaped;
	}
	return true;
}

static void flush_odd(struct walk *w, bool accounted)
{
	bool torn = accounted && w->odd_begins;

	if (!w->odd_file)
		return;
	if (!torn)
		w->result->problems++;
	fprintf(w->v->out, "%s:%lu: %s\n", w->odd_file, w->odd_line,
		torn ? "note: a torn line, which a later record accounts for"
		     : "not a record: put in, or spoiled");
	w->odd_file = NULL;
}

static bool is_zero(const uint8_t mac[static EX_MAC_LEN])
{
	static const uint8_t zero[EX_MAC_LEN];

	return ex_mac_eq(mac, zero);
}

static void check_place(struct walk *w, const struct ex_chain_link *link)
{
	if (!w->any) {
		w->result->first = link->n;
		if (link->n != 1 || !is_zero(link->prev))
			fprintf(w->v->out, "%s:%lu: note: begins with record %" PRIu64 "\n",
				w->file, w->line, link->n);
		return;
	}
	if (ex_mac_eq(link->prev, w->last.mac)) {
		if (link->n != w->last.n + 1)
			problem(w, "record %" PRIu64 " is numbered wrongly", link->n);
		return;
	}
	if (link->n == 1 && is_zero(link->prev))
		problem(w, "a new chain begins; what was before it cannot be vouched for");
	else if (link->n > w->last.n + 1)
		problem(w, "missing before it: records %" PRIu64 " to %" PRIu64, w->last.n + 1,
			link->n - 1);
	else if (link->n == w->last.n + 1)
		problem(w, "record %" PRIu64 " before it is not the one that was written",
			w->last.n);
	else
		problem(w, "record %" PRIu64 " is out of order or repeated", link->n);
}

/* As it stands in the line, which anyone may have written. */
static void problem_key(struct walk *w, const struct ex_chain_link *link)
{
	char kid[2 * EX_AUDIT_KEY_ID_MAX];

	w->signed_by_others = true;
	(void)ex_audit_escape(link->kid, kid, sizeof(kid));
	problem(w, "record %" PRIu64 " is signed with key %s, which is not known", link->n, kid);
}

static void check_record(struct walk *w, const struct ex_chain_link *link)
{
	bool goes_on = w->any && ex_mac_eq(link->prev, w->last.mac) &&
		       (ex_span_eq(link->type, EX_SPAN("lost")) ||
			ex_span_eq(link->type, EX_SPAN("start")));
	bool authentic = ex_chain_authentic(link, w->v->keys);

	flush_odd(w, goes_on && authentic);
	w->result->records++;
	if (ex_span_eq(link->type, EX_SPAN("head")))
		problem(w, "a head is no record");
	else if (link->kid.len && !ex_audit_keys_find(w->v->keys, link->kid))
		problem_key(w, link);
	else if (!link->kid.len && w->v->keys->n)
		problem(w, "record %" PRIu64 " is not signed", link->n);
	else if (!authentic)
		problem(w, "record %" PRIu64 " was changed", link->n);
	check_place(w, link);
	w->last.n = link->n;
	memcpy(w->last.mac, link->mac, sizeof(w->last.mac));
	w->any = true;
	/* Of the chain that is the last one: others had records of this number, too. */
	if (w->has_head && link->n == w->head.n)
		w->head_met = ex_mac_eq(link->mac, w->head.mac);
}

static void check_line(struct walk *w, struct ex_span line)
{
	struct ex_chain_link link;

	if (ex_chain_parse(line, &link)) {
		check_record(w, &link);
		return;
	}
	flush_odd(w, false);
	w->odd_file = w->file;
	w->odd_line = w->line;
	w->odd_begins = begins_record(line);
}

static int check_file(struct walk *w, const char *path)
{
	EX_AUTO_FREE char *line = NULL;
	FILE *f = fopen(path, "re");
	size_t cap = 0;
	ssize_t n;
	int r = 0;

	if (!f) {
		r = -errno;
		ex_error("%s: %s", path, strerror(-r));
		return r;
	}
	w->file = path;
	w->line = 0;
	while ((n = getline(&line, &cap, f)) > 0) {
		w->line++;
		if (line[n - 1] == '\n')
			n--;
		check_line(w, (struct ex_span){ line, (size_t)n });
	}
	if (ferror(f))
		r = -EIO;
	fclose(f);
	return r;
}

static int read_head(struct walk *w, const char *path)
{
	int r = ex_audit_head_read(AT_FDCWD, path, w->v->keys, &w->head);

	if (r == -EBADMSG) {
		w->file = path;
		w->line = 1;
		problem(w, "not a head that was signed with a known key");
		return 0;
	}
	if (r < 0)
		ex_error("%s: %s%s", path, strerror(-r),
			 r == -ENOENT ? "; elsewhere: --head FILE; if there is none: --no-head"
				      : "");
	w->has_head = r == 0;
	return r;
}

static void check_end(struct walk *w)
{
	flush_odd(w, false);
	if (!w->any)
		fprintf(w->v->out, "note: no record of a chained log (--log-key of a run, "
				   "--audit-file of the agent)\n");
	if (w->signed_by_others && !w->v->keys->n)
		fprintf(w->v->out, "note: it is signed: --key FILE has its keys\n");
	w->result->last = w->last.n;
	if (!w->has_head) {
		if (!w->v->head)
			fprintf(w->v->out, "note: no head given: records cut off the end cannot "
					   "be missed\n");
		return;
	}
	if (w->last.n < w->head.n)
		problem(w, "missing at the end: records %" PRIu64 " to %" PRIu64, w->last.n + 1,
			w->head.n);
	else if (!w->head_met)
		problem(w, "record %" PRIu64 " is not the one that the head names", w->head.n);
	else if (w->last.n > w->head.n)
		fprintf(w->v->out, "note: %" PRIu64 " records are younger than the head\n",
			w->last.n - w->head.n);
}

int ex_audit_verify(const struct ex_audit_verify *v, struct ex_audit_verified *ret)
{
	struct walk w = { .v = v, .result = ret, .file = "" };
	int r = 0;

	*ret = (struct ex_audit_verified){ 0 };
	if (v->head)
		r = read_head(&w, v->head);
	for (size_t i = 0; i < v->n_files && r == 0; i++)
		r = check_file(&w, v->files[i]);
	if (r < 0)
		return r;
	check_end(&w);
	return 0;
}
