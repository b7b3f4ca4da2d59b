/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which events a client wants. Each key of a request is a list of patterns, any of which may match;
 * all keys that are given must. Words compare without case; names and paths know "*".
 */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "agent/audit/line.h"
#include "agent/observe/observe_priv.h"
#include "policy/decode.h"

#define PATTERNS_MAX 64

/* Not the op's filters, but keys of its requests. */
static const char *const other_keys[] = { "op", "follow", "last" };

struct list {
	char *v[PATTERNS_MAX];
	size_t n;
};

enum key {
	KEY_ENDPOINT,
	KEY_VERDICT,
	KEY_REASON,
	KEY_NAME,
	KEY_METHOD,
	KEY_PATH,
	KEY_PROTOCOL,
	KEY_PORT,
	KEY_TYPE,
	KEYS,
};

static const char *const key_words[KEYS] = {
	[KEY_ENDPOINT] = "endpoint", [KEY_VERDICT] = "verdict", [KEY_REASON] = "reason",
	[KEY_NAME] = "name",         [KEY_METHOD] = "method",   [KEY_PATH] = "path",
	[KEY_PROTOCOL] = "protocol", [KEY_PORT] = "port",       [KEY_TYPE] = "type",
};

struct ex_observe_filter {
	struct list lists[KEYS];
};

/* ---- reading ---- */

static int key_find(const char *word)
{
	for (int k = 0; k < KEYS; k++)
		if (strcmp(word, key_words[k]) == 0)
			return k;
	return -1;
}

static bool is_other_key(const char *word)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(other_keys); i++)
		if (strcmp(word, other_keys[i]) == 0)
			return true;
	return false;
}

struct reading {
	struct ex_observe_filter *f;
	char *err;
	size_t cap;
};

/* What a word may be, where there are few; a name, a path or a method may be anything. */
static const char *const words[KEYS] = {
	[KEY_VERDICT] = "FORWARDED, DROPPED, REDIRECTED, AUDIT",
	[KEY_PROTOCOL] = "http, dns, tls, tcp, udp, icmp, sctp, other",
	[KEY_PORT] = "0 to 65535",
	[KEY_TYPE] = "L7, L3_L4, verdict, new, end",
};

static bool is_one_of(const char *text, const char *list)
{
	size_t len = strlen(text);

	for (const char *p = list; p; p = strchr(p, ',')) {
		p += strspn(p, ", ");
		if (len && strcspn(p, ",") == len && strncasecmp(p, text, len) == 0)
			return true;
	}
	return false;
}

/* No leading zeros: what is compared is the text. */
static bool is_port(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > 5 || strspn(text, "0123456789") != len || (text[0] == '0' && len > 1))
		return false;
	return len < 5 || strcmp(text, "65535") <= 0;
}

/* Reason r, or NULL where there is none of that number. */
static const char *reason_at(unsigned r)
{
	const char *word = ex_reason_word(r);

	return r && strcmp(word, ex_reason_word(0)) == 0 ? NULL : word;
}

static bool is_reason(const char *text)
{
	for (unsigned r = 0; r < EX_R_MAX; r++)
		if (reason_at(r) && strcasecmp(text, reason_at(r)) == 0)
			return true;
	return false;
}

/* There are too many for a message: those that have the text in them, else the most alike. */
static void suggest_reasons(const char *text, char *to, size_t cap)
{
	size_t least = SIZE_MAX, n = 0;
	const char *best = NULL;

	for (unsigned r = 0; r < EX_R_MAX; r++) {
		const char *word = reason_at(r);
		size_t far = word ? ex_edit_distance(word, text) : SIZE_MAX;

		if (far < least) {
			least = far;
			best = word;
		}
		if (word && strcasestr(word, text) && n + strlen(word) + 3 < cap)
			n += (size_t)snprintf(to + n, cap - n, n ? ", %s" : "%s", word);
	}
	if (!n)
		snprintf(to, cap, "%s", best ? best : "http-denied and others");
}

/* A misspelt word would match nothing, ever: it is refused instead. */
static bool is_known(int key, const char *text)
{
	if (key == KEY_PORT)
		return is_port(text);
	if (key == KEY_REASON)
		return is_reason(text);
	return words[key] ? is_one_of(text, words[key]) : text[0] != '\0';
}

static void explain(const struct reading *rd, int key, const char *text)
{
	const char *known = words[key];
	char some[160];

	if (!text) {
		snprintf(rd->err, rd->cap, "%s: a string is wanted", key_words[key]);
		return;
	}
	if (key == KEY_REASON) {
		suggest_reasons(text, some, sizeof(some));
		known = some;
	}
	snprintf(rd->err, rd->cap, "%s: %s is not one%s%s", key_words[key],
		 *text ? text : "nothing", known ? "; there is " : "", known ? known : "");
}

static int add(struct reading *rd, int key, const char *text)
{
	struct list *list = &rd->f->lists[key];

	if (!text || !is_known(key, text)) {
		explain(rd, key, text);
		return -EINVAL;
	}
	if (list->n == PATTERNS_MAX) {
		snprintf(rd->err, rd->cap, "%s: more than %d", key_words[key], PATTERNS_MAX);
		return -EINVAL;
	}
	list->v[list->n] = strdup(text);
	return list->v[list->n] && ++list->n ? 0 : -ENOMEM;
}

static int unknown_key(const struct reading *rd, const char *word)
{
	int n = snprintf(rd->err, rd->cap, "no such filter: %.100s; there are ", word);

	for (int k = 0; k < KEYS && n > 0 && (size_t)n < rd->cap; k++)
		n += snprintf(rd->err + n, rd->cap - (size_t)n, k ? ", %s" : "%s", key_words[k]);
	return -EINVAL;
}

static int take_key(void *arg, const char *word, const struct ex_jv *v)
{
	struct reading *rd = arg;
	int key = key_find(word), r = 0;

	if (key < 0 && is_other_key(word))
		return 0;
	if (key < 0)
		return unknown_key(rd, word);
	if (ex_jv_text(v))
		return add(rd, key, ex_jv_text(v));
	if (!ex_jv_count(v)) {
		snprintf(rd->err, rd->cap, "%s: a list of strings is wanted", word);
		return -EINVAL;
	}
	for (size_t i = 0; i < ex_jv_count(v) && r == 0; i++)
		r = add(rd, key, ex_jv_text(ex_jv_at(v, i)));
	return r;
}

int ex_observe_filter_new(const struct ex_jv *request, struct ex_observe_filter **ret, char *err,
			  size_t cap)
{
	struct reading rd = { .f = calloc(1, sizeof(*rd.f)), .err = err, .cap = cap };
	int r;

	snprintf(err, cap, "out of memory");
	if (!rd.f)
		return -ENOMEM;
	r = ex_jv_each(request, take_key, &rd);
	if (r < 0) {
		ex_observe_filter_free(rd.f);
		return r;
	}
	*ret = rd.f;
	return 0;
}

void ex_observe_filter_free(struct ex_observe_filter *f)
{
	if (!f)
		return;
	for (int k = 0; k < KEYS; k++)
		for (size_t i = 0; i < f->lists[k].n; i++)
			free(f->lists[k].v[i]);
	free(f);
}

/* ---- matching ---- */

/* "*" is any bytes. Goes back to the last star only, so it ends after |pattern| * |text| steps. */
static bool glob_matches(const char *pattern, struct ex_span text)
{
	const char *star = NULL;
	size_t i = 0, mark = 0;

	while (i < text.len) {
		if (*pattern == '*') {
			star = pattern++;
			mark = i;
		} else if (*pattern && *pattern == text.ptr[i]) {
			pattern++;
			i++;
		} else if (star) {
			pattern = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* "name", "namespace/name", "namespace/": with stars. */
static bool endpoint_matches(const char *pattern, const struct ex_observe_who *who)
{
	const char *slash = strchr(pattern, '/');
	char ns[254];

	if (!who)
		return false;
	if (!slash)
		return glob_matches(pattern, ex_span_str(who->name));
	snprintf(ns, sizeof(ns), "%.*s", (int)(slash - pattern), pattern);
	return glob_matches(ns, ex_span_str(who->ns)) &&
	       (!slash[1] || glob_matches(slash + 1, ex_span_str(who->name)));
}

static bool type_matches(const char *text, const struct ex_observed *e)
{
	bool l7 = e->rec.app == EX_AUDIT_HTTP || e->rec.app == EX_AUDIT_DNS;

	if (strcasecmp(text, "L7") == 0)
		return l7;
	if (strcasecmp(text, "L3_L4") == 0)
		return !l7;
	if (strcasecmp(text, "new") == 0)
		return e->kind == EX_OBSERVED_NEW;
	if (strcasecmp(text, "end") == 0)
		return e->kind == EX_OBSERVED_END;
	return e->kind == EX_OBSERVED_VERDICT;
}

static bool pattern_matches(int key, const char *p, const struct ex_observed *e)
{
	const struct ex_audit_record *rec = &e->rec;
	char port[8];

	switch (key) {
	case KEY_ENDPOINT:
		return endpoint_matches(p, e->who);
	case KEY_VERDICT:
		return strcasecmp(p, ex_observed_verdict(e)) == 0;
	case KEY_REASON:
		return strcasecmp(p, ex_reason_word(rec->reason)) == 0;
	case KEY_NAME:
		return glob_matches(p, EX_AUDIT_FIELD(rec->name)) ||
		       glob_matches(p, EX_AUDIT_FIELD(rec->sni)) ||
		       glob_matches(p, EX_AUDIT_FIELD(rec->host));
	case KEY_METHOD:
		return strcmp(p, rec->method) == 0;
	case KEY_PATH:
		return glob_matches(p, EX_AUDIT_FIELD(rec->path));
	case KEY_PROTOCOL:
		return strcasecmp(p, ex_observed_protocol(e)) == 0;
	case KEY_PORT:
		snprintf(port, sizeof(port), "%u", (unsigned)rec->dport);
		return strcmp(p, port) == 0;
	case KEY_TYPE:
		return type_matches(p, e);
	}
	return false;
}

bool ex_observe_filter_matches(const struct ex_observe_filter *f, const struct ex_observed *e)
{
	for (int key = 0; key < KEYS; key++) {
		const struct list *list = &f->lists[key];
		bool any = list->n == 0;

		for (size_t i = 0; i < list->n && !any; i++)
			any = pattern_matches(key, list->v[i], e);
		if (!any)
			return false;
	}
	return true;
}
