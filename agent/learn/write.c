/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "agent/audit/line.h"
#include "agent/learn/write.h"

/* A string of YAML in single quotes; what is written has passed ex_learn_paths_add(). */
static void put_quoted(const char *text, FILE *out)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

/* In quotes where YAML would take it for a number, a truth value or nothing. */
static void put_word(const char *word, FILE *out)
{
	static const char *const others[] = { "null", "true", "false", "yes", "no",
					      "on",   "off",  "y",     "n" };
	bool plain = !strchr("0123456789-.", word[0]);

	for (size_t i = 0; i < EX_ARRAY_SIZE(others); i++)
		plain &= strcasecmp(word, others[i]) != 0;
	if (plain)
		fputs(word, out);
	else
		put_quoted(word, out);
}

static void put_label(const struct ex_learn_label *label, const char *indent, FILE *out)
{
	fputs(indent, out);
	put_quoted(label->key, out);
	fputs(": ", out);
	put_quoted(label->value, out);
	fputc('\n', out);
}

/* What anybody may have chosen, behind a '#'. */
static void put_comment(const char *text, FILE *out)
{
	char line[200];

	ex_audit_escape(ex_span_str(text), line, sizeof(line));
	fputs(line, out);
}

/* "2026-11-22T17:00:00.123Z" -> "17:00:00" */
static const char *clock_of(const char *time, char buf[static 16])
{
	const char *t = time ? strchr(time, 'T') : NULL;
	char raw[9];

	snprintf(raw, sizeof(raw), "%s", t ? t + 1 : "?");
	ex_audit_escape(ex_span_str(raw), buf, 16);
	return buf;
}

static void put_upper(const char *text, FILE *out)
{
	for (; *text; text++)
		fputc(*text >= 'a' && *text <= 'z' ? *text - 32 : *text, out);
}

/* ---- peers and ports ---- */

static void put_peer(const struct ex_learn_use *u, FILE *out)
{
	if (u->name[0]) {
		fputs("  - toFQDNs:\n    - matchName: ", out);
		put_word(u->name, out);
		fputc('\n', out);
	} else {
		fprintf(out, "  - toCIDR:\n    - %s/%d\n", u->address,
			strchr(u->address, ':') ? 128 : 32);
	}
}

static void put_ports(const struct ex_learn_use *u, FILE *out)
{
	fprintf(out, "    toPorts:\n    - ports:\n      - port: \"%u\"\n        protocol: ",
		(unsigned)u->port);
	put_upper(u->proto, out);
	fputc('\n', out);
}

static void put_path(const struct ex_learn_path *p, FILE *out)
{
	char pattern[EX_LEARN_PATTERN_MAX], at[16];

	ex_learn_pattern(p, pattern);
	fprintf(out, "        # %" PRIu64 "x, first at %s%s\n", p->count, clock_of(p->first, at),
		p->cut ? "; the path was longer than a record holds" : "");
	fputs("        - method: ", out);
	put_quoted(p->method, out);
	fputs("\n          path: ", out);
	put_quoted(pattern, out);
	fputc('\n', out);
}

static void put_http(const struct ex_learn_use *u, FILE *out)
{
	fputs("      rules:\n        http:\n", out);
	if (u->paths.full)
		fputs("        # more different requests than were kept: some are missing here\n",
		      out);
	for (size_t i = 0; i < u->paths.n; i++)
		put_path(&u->paths.v[i], out);
}

static const char *kind_words(enum ex_learn_kind kind)
{
	switch (kind) {
	case EX_LEARN_HTTPS:
		return "requests over TLS";
	case EX_LEARN_HTTP:
		return "requests in plain text";
	case EX_LEARN_TLS:
		return "TLS connections that were not read: the client does not accept exeat's "
		       "certificates";
	case EX_LEARN_FLOW:
		return "connections or flows";
	}
	return "";
}

/* A name that is passed unread on this port makes a list of requests useless. */
static bool is_passed_unread(const struct ex_learn *l, const struct ex_learn_use *u)
{
	if (u->kind != EX_LEARN_HTTPS || !u->name[0])
		return false;
	for (size_t i = 0; i < l->n_uses; i++) {
		const struct ex_learn_use *o = &l->uses[i];

		if (o->kind == EX_LEARN_TLS && o->port == u->port && strcmp(o->name, u->name) == 0)
			return true;
	}
	return false;
}

/* As its file is called; "?" where nobody knows: others may have taken part. */
static void put_programs(const struct ex_learn_use *u, FILE *out)
{
	uint64_t known = 0;

	for (size_t i = 0; i < u->n_programs; i++) {
		fputs(i ? ", " : "  # seen: ", out);
		put_comment(u->programs[i].name, out);
		fprintf(out, " (%" PRIu64 "x)", u->programs[i].count);
		known += u->programs[i].count;
	}
	if (known && known < u->count)
		fprintf(out, ", ? (%" PRIu64 "x)", u->count - known);
	if (known)
		fputc('\n', out);
}

static void put_use(const struct ex_learn *l, const struct ex_learn_use *u, FILE *out)
{
	bool read = u->kind == EX_LEARN_HTTPS || u->kind == EX_LEARN_HTTP;
	char from[16], to[16];

	fprintf(out, "  # %" PRIu64 " %s, %s to %s\n", u->count, kind_words(u->kind),
		clock_of(u->first, from), clock_of(u->last, to));
	put_programs(u, out);
	if (is_passed_unread(l, u)) {
		fprintf(out, "  # (to %s; the rule below lets it pass unread)\n", u->name);
		return;
	}
	put_peer(u, out);
	put_ports(u, out);
	if (read)
		put_http(u, out);
}

/* ---- DNS ---- */

/* EgressPolicy: what a rule leads to may be asked for; Cilium wants every name listed. */
static void put_names(const struct ex_learn *l, enum ex_learn_format format, FILE *out)
{
	bool open = false;

	for (size_t i = 0; i < l->n_names; i++) {
		const struct ex_learn_name *n = &l->names[i];
		char at[16];

		if (n->used && format == EX_LEARN_EGRESS)
			continue;
		if (!open && format == EX_LEARN_CNP)
			fputs("  # names that were asked for\n"
			      "  - toEndpoints:\n"
			      "    - matchLabels:\n"
			      "        k8s:io.kubernetes.pod.namespace: kube-system\n"
			      "        k8s:k8s-app: kube-dns\n",
			      out);
		if (!open)
			fprintf(out,
				"%s    toPorts:\n    - ports:\n      - port: \"53\"\n"
				"        protocol: ANY\n      rules:\n        dns:\n",
				format == EX_LEARN_CNP ? ""
						       : "  # asked for, and not connected to\n"
							 "  - toEntities: [all]\n");
		open = true;
		fputs("        - matchName: ", out);
		put_word(n->name, out);
		fprintf(out, " # %" PRIu64 "x, first at %s\n", n->count, clock_of(n->first, at));
	}
}

/* ---- the policy ---- */

static void put_head(const struct ex_learn *l, const struct ex_learn_title *t, FILE *out)
{
	fputs("# Learned by exeat " EX_VERSION " from: ", out);
	put_comment(t->command, out);
	fprintf(out, "\n# %" PRIu64 " records", l->records);
	if (l->first[0]) {
		fputs(", ", out);
		put_comment(l->first, out);
		fputs(" to ", out);
		put_comment(l->last, out);
	}
	fputs(".\n# It allows what that run did and nothing else. Read it before you use it: what "
	      "the run\n# should not have done is in here as well.\n",
	      out);
	if (l->lost)
		fprintf(out, "# NOT COMPLETE: %" PRIu64 " records were lost; learn again.\n",
			l->lost);
	if (l->odd)
		fprintf(out, "# %" PRIu64 " records are left out: no rule can say what they did.\n",
			l->odd);
	for (size_t i = 0; i < l->n_denials; i++)
		fprintf(out, "# denied while learning, and not in here: %s (%" PRIu64 "x)\n",
			l->denials[i].text, l->denials[i].count);
}

void ex_learn_write_policy(const struct ex_learn *l, const struct ex_learn_title *t, FILE *out)
{
	bool own = t->format == EX_LEARN_EGRESS;

	put_head(l, t, out);
	fprintf(out, "apiVersion: %s\nkind: %s\nmetadata:\n  name: ",
		own ? "exeat.dev/v1alpha1" : "cilium.io/v2",
		own ? "EgressPolicy" : "CiliumNetworkPolicy");
	put_word(t->name, out);
	if (t->ns) {
		fputs("\n  namespace: ", out);
		put_word(t->ns, out);
	}
	fputs("\nspec:\n", out);
	if (t->n_labels)
		fputs("  endpointSelector:\n    matchLabels:\n", out);
	else if (!own)
		fputs("  endpointSelector: {}\n", out);
	for (size_t i = 0; i < t->n_labels; i++)
		put_label(&t->labels[i], "      ", out);
	if (!l->n_uses && !l->n_names) {
		fputs("  egress: [{}] # it did nothing: nothing is allowed\n", out);
		return;
	}
	fputs("  egress:\n", out);
	for (size_t i = 0; i < l->n_uses; i++)
		put_use(l, &l->uses[i], out);
	put_names(l, t->format, out);
}

/* ---- fixtures ---- */

static void put_url(const struct ex_learn_use *u, const char *path, FILE *out)
{
	bool tls = u->kind == EX_LEARN_HTTPS || u->kind == EX_LEARN_TLS;
	const char *host = u->name[0] ? u->name : u->address;
	const char *open = strchr(host, ':') ? "[" : "", *close = open[0] ? "]" : "";
	char url[4096], port[8] = "";

	if (u->kind == EX_LEARN_FLOW) {
		snprintf(url, sizeof(url), "%s%s%s:%u/%s", open, host, close, (unsigned)u->port,
			 u->proto);
	} else {
		if (u->port != (tls ? 443 : 80))
			snprintf(port, sizeof(port), ":%u", (unsigned)u->port);
		snprintf(url, sizeof(url), "%s://%s%s%s%s%s", tls ? "https" : "http", open, host,
			 close, port, path);
	}
	put_quoted(url, out);
}

static void put_test(const struct ex_learn_use *u, const char *method, const char *path,
		     const char *expect, FILE *out)
{
	fputs("- to: ", out);
	put_url(u, path, out);
	if (method) {
		fputs("\n  method: ", out);
		put_quoted(method, out);
	}
	fprintf(out, "\n  expect: %s\n", expect);
}

static void put_tests(const struct ex_learn *l, const struct ex_learn_use *u, FILE *out)
{
	bool read = (u->kind == EX_LEARN_HTTPS || u->kind == EX_LEARN_HTTP) && u->paths.n &&
		    !is_passed_unread(l, u);

	if (u->paths.full)
		return;
	if (!read && u->kind == EX_LEARN_FLOW)
		put_test(u, NULL, "", "allow", out);
	for (size_t i = 0; read && i < u->paths.n; i++)
		put_test(u, u->paths.v[i].method, u->paths.v[i].example, "allow", out);
	if (read)
		put_test(u, "DELETE", "/exeat/has/never/seen/this", "deny", out);
}

void ex_learn_write_fixtures(const struct ex_learn *l, const struct ex_learn_title *t,
			     const char *policy, FILE *out)
{
	fputs("# What was learned, as fixtures: exeat policy test THIS-FILE\npolicy: [", out);
	put_quoted(policy, out);
	fputs("]\n", out);
	if (t->n_labels)
		fputs("labels:\n", out);
	for (size_t i = 0; i < t->n_labels; i++)
		put_label(&t->labels[i], "  ", out);
	fputs("tests:\n", out);
	for (size_t i = 0; i < l->n_uses; i++)
		put_tests(l, &l->uses[i], out);
	fputs("- to: https://never-seen.invalid/\n  expect: deny\n"
	      "- to: http://169.254.169.254/\n  expect: deny\n",
	      out);
}
