/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings about the requests that a rule names. */
#include "policy/lint.h"

#include <ctype.h>
#include <stdio.h>

#include "policy/reading.h"

static bool is_literal_path(const char *written, size_t len)
{
	return len > 0 && strcspn(written, "\\+*?()|[]{}^$") >= len;
}

/* True when there is something to say about the escape. */
static bool lint_escape(struct ex_lowering *l, const struct ex_http_match *m, bool deny,
			const char *at, const char *where)
{
	char c = (char)strtoul((const char[]){ at[1], at[2], '\0' }, NULL, 16);

	if (at[1] > 'F' || at[2] > 'F')
		ex_lint_warn(l, m->pos, "write it in upper case",
			     "%s: \"%.3s\" is in no path: escapes come in upper case", where, at);
	else if (isalnum((unsigned char)c) || (c && strchr("-._~", c)))
		ex_lint_warn(l, m->pos, "write the character itself",
			     "%s: \"%.3s\" is in no path: it comes as \"%c\"", where, at, c);
	else if (deny && c != '?' && (ex_path_ways((struct ex_span){ at, 3 }) & EX_WAY_PLAIN))
		ex_lint_warn(l, m->pos, "write the character itself, which its escape meets too",
			     "%s: \"%.3s\" does not deny \"%c\", which is the same to most servers",
			     where, at, c);
	else
		return false;
	return true;
}

/* Paths come in normal form, and a deny is met by the byte as by its escape. Said once a path. */
static void lint_escapes(struct ex_lowering *l, const struct ex_http_match *m, bool deny,
			 const char *where)
{
	for (const char *at = m->written_path; (at = strchr(at, '%')); at++)
		if (isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2]) &&
		    lint_escape(l, m, deny, at, where))
			return;
}

/* A deny is met by the byte as well. */
static bool is_in_no_path(const char *path)
{
	for (; *path; path++)
		if (*path == ' ' || (unsigned char)*path > '~')
			return true;
	return false;
}

/* A path begins with a slash; a star repeats what stands before it. */
static void lint_path(struct ex_lowering *l, const struct ex_http_match *m, bool deny,
		      const char *where)
{
	const char *path = m->written_path;
	size_t len = strlen(path);

	if (((path[0] | 0x20) >= 'a' && (path[0] | 0x20) <= 'z' && !strpbrk(path, "|?*{")) ||
	    strstr(path, "://")) {
		ex_lint_warn(l, m->pos, "begin the path with /; hosts go into toFQDNs",
			     "%s: no path looks like \"%s\": the rule never applies", where, path);
		return;
	}
	if (len >= 2 && strcmp(path + len - 2, "/*") == 0)
		ex_lint_warn(l, m->pos, "write /.* for whatever follows",
			     "%s: the path is a regular expression: \"/*\" means slashes only",
			     where);
	lint_escapes(l, m, deny, where);
	if (!deny && is_literal_path(path, len) && is_in_no_path(path))
		ex_lint_warn(
			l, m->pos, "write escapes, as %20 or %C3%A9",
			"%s: no path looks like \"%s\": blanks and letters beyond ASCII come escaped",
			where, path);
	else if (!deny && is_literal_path(path, len)) /* a deny is about every query */
		ex_lint_warn(l, m->pos, "append (\\?.*)? to the path if queries are meant",
			     "%s: the path is matched with its query: \"%s?x=1\" is not allowed",
			     where, path);
}

static void lint_method(struct ex_lowering *l, const struct ex_http_match *m, const char *where)
{
	const char *method = m->written_method;

	if (method[strspn(method, "abcdefghijklmnopqrstuvwxyz")] == '\0')
		ex_lint_warn(l, m->pos, "write it in upper case",
			     "%s: methods are in upper case: \"%s\" never matches", where, method);
	else if (strchr(method, ',') && !strchr(method, '{'))
		ex_lint_warn(l, m->pos, "write GET|POST",
			     "%s: the method is a regular expression: \"%s\" is no list", where,
			     method);
}

static void lint_host(struct ex_lowering *l, const struct ex_http_match *m, const char *where)
{
	const char *host = m->written_host;

	if (strchr(host, '/') && !strpbrk(host, "|?*{"))
		ex_lint_warn(l, m->pos, "write the name alone",
			     "%s: no host looks like \"%s\": the rule never applies", where, host);
}

static void lint_header(struct ex_lowering *l, struct ex_pos pos, const char *where, size_t i,
			const struct ex_header_match *h)
{
	if (h->op == EX_HEADER_ADD)
		ex_lint_warn(
			l, pos, "use REPLACE, if the server is to see one value",
			"%s.rules.http[%zu]: ADD leaves a %s of the workload's own beside the new one",
			where, i, h->name);
	if (h->op == EX_HEADER_DELETE && !h->value)
		ex_lint_warn(
			l, pos, "write the value that may pass, or leave mismatch out",
			"%s.rules.http[%zu]: DELETE without a value deletes nothing: any %s passes",
			where, i, h->name);
}

static void lint_headers(struct ex_lowering *l, const struct ex_egress *e, const struct ex_ports *p)
{
	char where[200];

	(void)snprintf(where, sizeof(where), "%s.%s", e->where, p->where);
	for (size_t i = 0; i < p->n_http; i++) {
		if (p->http[i].writes_secret && ex_egress_is_open(e) && !p->http[i].host)
			ex_lint_warn(
				l, p->http[i].pos, "name the server: toFQDNs, or host",
				"%s.rules.http[%zu]: the secret is written into requests to any server",
				where, i);
		if (p->origin && p->origin->chain.ptr && ex_egress_is_open(e) && !p->http[i].host)
			ex_lint_warn(l, p->http[i].pos, "name the server: toFQDNs, or host",
				     "%s.rules.http[%zu]: the certificate is shown to any server",
				     where, i);
		for (size_t k = 0; k < p->http[i].n_matches; k++)
			lint_header(l, p->http[i].pos, where, i, &p->http[i].matches[k]);
	}
}

static void lint_rules(struct ex_lowering *l, const struct ex_egress *e, const struct ex_ports *p)
{
	char where[200];

	for (size_t i = 0; i < p->n_http; i++) {
		const struct ex_http_match *m = &p->http[i];

		(void)snprintf(where, sizeof(where), "%s.%s.rules.http[%zu]", e->where, p->where,
			       i);
		if (m->written_path)
			lint_path(l, m, e->deny, where);
		if (m->written_method)
			lint_method(l, m, where);
		if (m->written_host)
			lint_host(l, m, where);
		if (!m->implied && !m->method && !m->path && !m->host && !m->n_headers &&
		    !m->n_matches)
			ex_lint_warn(l, m->pos, "name method and path",
				     "%s: an empty rule allows every request", where);
	}
}

void ex_lint_http(struct ex_lowering *l, const struct ex_egress *e, const struct ex_ports *p)
{
	lint_rules(l, e, p);
	lint_headers(l, e, p);
}
