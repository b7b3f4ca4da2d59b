/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "agent/audit/line.h"
#include "agent/core/json_read.h"
#include "agent/learn/model.h"

/* The keys of a record that matter here; "" when absent. */
struct record {
	const char *time, *verdict, *reason, *app, *proto, *src, *dst, *name, *sni, *host, *method,
		*path;
	const struct ex_jv *answers;
	int64_t sport, dport, count;
};

/* ---- small things ---- */

#define SET(field, text) snprintf((field), sizeof(field), "%s", (text))

/* By form a DNS name in canonical form: it can stand in a policy. */
static bool is_name(const char *s)
{
	return s[0] && s[0] != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-._") == strlen(s) &&
	       strlen(s) <= 253;
}

static bool is_address(const char *s)
{
	struct ex_ip ip;

	return ex_ip_parse(s, &ip);
}

static bool has_ports(const char *proto)
{
	return strcmp(proto, "tcp") == 0 || strcmp(proto, "udp") == 0;
}

/* ---- names ---- */

static struct ex_learn_name *name_find(struct ex_learn *l, const char *name)
{
	for (size_t i = 0; i < l->n_names; i++)
		if (strcmp(l->names[i].name, name) == 0)
			return &l->names[i];
	return NULL;
}

static struct ex_learn_name *name_new(struct ex_learn *l, const struct record *r)
{
	struct ex_learn_name *n = &l->names[l->n_names++];

	SET(n->name, r->name);
	SET(n->first, r->time);
	return n;
}

/* Beyond the bound a flow without a name of its own is one to the address. */
static void answer_add(struct ex_learn *l, const char *ip, size_t name)
{
	size_t at = 0;

	while (at < l->n_answers && strcmp(l->answers[at].address, ip) != 0)
		at++;
	if (at == EX_LEARN_ANSWERS_MAX)
		return;
	if (at == l->n_answers) {
		SET(l->answers[at].address, ip);
		l->n_answers++;
	}
	l->answers[at].name = name;
}

static void answers_add(struct ex_learn *l, const struct ex_jv *answers, size_t name)
{
	for (size_t i = 0; i < ex_jv_count(answers); i++) {
		const char *ip = ex_jv_text(ex_jv_at(answers, i));

		if (ip && is_address(ip))
			answer_add(l, ip, name);
	}
}

static void take_question(struct ex_learn *l, const struct record *r)
{
	struct ex_learn_name *n = name_find(l, r->name);

	if (!n && is_name(r->name) && l->n_names < EX_LEARN_NAMES_MAX)
		n = name_new(l, r);
	if (!n) {
		l->odd++;
		return;
	}
	n->count++;
	answers_add(l, r->answers, (size_t)(n - l->names));
}

/* The name an address was learned under, when the record does not say. */
static const char *name_of(const struct ex_learn *l, const char *address)
{
	for (size_t i = 0; i < l->n_answers; i++)
		if (strcmp(l->answers[i].address, address) == 0)
			return l->names[l->answers[i].name].name;
	return "";
}

/* ---- programs ---- */

static void take_program(struct ex_learn *l, const struct ex_jv *v)
{
	struct ex_learn_flow *f = &l->flows[l->n_flows % EX_LEARN_FLOWS_MAX];
	int64_t sport;

	if (!ex_jv_integer(v, "sport", 1, UINT16_MAX, &sport))
		return;
	f->sport = (uint16_t)sport;
	SET(f->src, ex_jv_word(v, "src"));
	SET(f->proto, ex_jv_word(v, "proto"));
	SET(f->program, ex_jv_word(v, "program"));
	l->n_flows++;
}

/* The last flow of this port: a port may be taken again. "": nobody said. */
static const char *program_of(const struct ex_learn *l, const struct record *r)
{
	size_t oldest = l->n_flows < EX_LEARN_FLOWS_MAX ? 0 : l->n_flows - EX_LEARN_FLOWS_MAX;

	for (size_t i = l->n_flows; i > oldest; i--) {
		const struct ex_learn_flow *f = &l->flows[(i - 1) % EX_LEARN_FLOWS_MAX];

		if (f->sport == r->sport && strcmp(f->proto, r->proto) == 0 &&
		    strcmp(f->src, r->src) == 0)
			return f->program;
	}
	return "";
}

/* Those beyond the bound are left out: it is a note, no rule. */
static void add_program(struct ex_learn_use *u, const char *name, uint64_t count)
{
	struct ex_learn_program *p = NULL;

	for (size_t i = 0; i < u->n_programs && !p; i++)
		if (strcmp(u->programs[i].name, name) == 0)
			p = &u->programs[i];
	if (!name[0] || (!p && u->n_programs == EX_LEARN_PROGRAMS_MAX))
		return;
	if (!p) {
		p = &u->programs[u->n_programs++];
		SET(p->name, name);
	}
	p->count += count;
}

/* ---- uses ---- */

static bool is_use(const struct ex_learn_use *u, enum ex_learn_kind kind, const char *name,
		   const struct record *r)
{
	if (u->kind != kind || u->port != r->dport || strcmp(u->proto, r->proto) != 0)
		return false;
	return strcmp(u->name, name) == 0 && (name[0] || strcmp(u->address, r->dst) == 0);
}

static struct ex_learn_use *use_new(struct ex_learn *l, enum ex_learn_kind kind, const char *name,
				    const struct record *r)
{
	struct ex_learn_use *u = &l->uses[l->n_uses++];

	u->kind = kind;
	u->port = (uint16_t)r->dport;
	SET(u->name, name);
	SET(u->proto, r->proto);
	SET(u->first, r->time);
	return u;
}

static bool is_read(const struct ex_learn_use *u)
{
	return u->kind == EX_LEARN_HTTPS || u->kind == EX_LEARN_HTTP;
}

static int add_path(struct ex_learn *l, struct ex_learn_use *u, const struct record *r)
{
	size_t before = u->paths.n;
	int err;

	u->paths.closed = l->n_paths == EX_LEARN_PATHS_MAX;
	err = ex_learn_paths_add(&u->paths, r->method, r->path, r->time);
	l->n_paths += u->paths.n - before;
	l->odd += err == -EINVAL;
	return err == -EINVAL ? 0 : err;
}

static int take_use(struct ex_learn *l, enum ex_learn_kind kind, const char *name,
		    const struct record *r)
{
	struct ex_learn_use *u = NULL;

	if ((name[0] && !is_name(name)) || !is_address(r->dst) || r->dport < 1 ||
	    r->dport > UINT16_MAX || !has_ports(r->proto)) {
		l->odd++;
		return 0;
	}
	for (size_t i = 0; i < l->n_uses && !u; i++)
		if (is_use(&l->uses[i], kind, name, r))
			u = &l->uses[i];
	if (!u && l->n_uses < EX_LEARN_USES_MAX)
		u = use_new(l, kind, name, r);
	if (!u) {
		l->odd++;
		return 0;
	}
	SET(u->address, r->dst);
	SET(u->last, r->time);
	u->count += (uint64_t)r->count;
	add_program(u, program_of(l, r), (uint64_t)r->count);
	return is_read(u) ? add_path(l, u, r) : 0;
}

static int take_flow(struct ex_learn *l, const struct record *r)
{
	return take_use(l, EX_LEARN_FLOW, r->name[0] ? r->name : name_of(l, r->dst), r);
}

/* A name that DNS did not give for anything binds nothing: then it is the address that counts. */
static const char *bound(struct ex_learn *l, const char *name)
{
	return name_find(l, name) ? name : "";
}

static int take_allowed(struct ex_learn *l, const struct record *r)
{
	if (strcmp(r->app, "dns") == 0) {
		take_question(l, r);
		return 0;
	}
	if (strcmp(r->app, "http") == 0 && r->sni[0])
		return take_use(l, EX_LEARN_HTTPS, bound(l, r->sni), r);
	if (strcmp(r->app, "http") == 0)
		return take_use(l, EX_LEARN_HTTP, bound(l, r->host), r);
	if (strcmp(r->app, "tls") == 0 && r->sni[0])
		return take_use(l, EX_LEARN_TLS, bound(l, r->sni), r);
	if (strcmp(r->app, "tls") == 0) /* without a name: by address */
		return take_use(l, EX_LEARN_FLOW, "", r);
	return take_flow(l, r);
}

/* ---- denials ---- */

/* Beyond the bound it is left out: it is a note, no rule. */
static void take_denied(struct ex_learn *l, const struct record *r)
{
	char raw[1024], text[sizeof(l->denials[0].text)];
	struct ex_learn_denial *d = NULL;

	snprintf(raw, sizeof(raw), "%s: %s %s%s%s%s%s%s:%d", r->reason,
		 r->app[0] == 'l' ? r->proto : r->app, r->method, r->method[0] ? " " : "",
		 r->sni[0] ? r->sni : r->name, r->path, r->sni[0] || r->name[0] ? " " : "", r->dst,
		 (int)r->dport);
	ex_audit_escape(ex_span_str(raw), text, sizeof(text));
	for (size_t i = 0; i < l->n_denials && !d; i++)
		if (strcmp(l->denials[i].text, text) == 0)
			d = &l->denials[i];
	if (!d && l->n_denials == EX_LEARN_DENIALS_MAX)
		return;
	if (!d) {
		d = &l->denials[l->n_denials++];
		SET(d->text, text);
	}
	d->count += (uint64_t)r->count;
}

/* ---- lines ---- */

static int take_verdict(struct ex_learn *l, const struct ex_jv *v)
{
	struct record r = { .time = ex_jv_word(v, "time"),
			    .verdict = ex_jv_word(v, "verdict"),
			    .reason = ex_jv_word(v, "reason"),
			    .app = ex_jv_word(v, "app"),
			    .proto = ex_jv_word(v, "proto"),
			    .src = ex_jv_word(v, "src"),
			    .dst = ex_jv_word(v, "dst"),
			    .name = ex_jv_word(v, "name"),
			    .sni = ex_jv_word(v, "sni"),
			    .host = ex_jv_word(v, "host"),
			    .method = ex_jv_word(v, "method"),
			    .path = ex_jv_word(v, "path"),
			    .answers = ex_jv_get(v, "answers"),
			    .count = 1 };

	(void)ex_jv_integer(v, "dport", 0, UINT16_MAX, &r.dport);
	(void)ex_jv_integer(v, "sport", 0, UINT16_MAX, &r.sport);
	(void)ex_jv_integer(v, "count", 1, UINT32_MAX, &r.count);
	l->records++;
	if (!l->first[0])
		SET(l->first, r.time);
	SET(l->last, r.time);
	if (strcmp(r.verdict, "allow") == 0 || strcmp(r.verdict, "audit") == 0)
		return take_allowed(l, &r);
	take_denied(l, &r);
	return 0;
}

int ex_learn_line(struct ex_learn *l, struct ex_span line)
{
	char err[EX_JV_ERROR_MAX];
	const char *type;
	struct ex_jv *v;
	int64_t lost = 0;
	int r = ex_jv_read(line, &v, err);

	if (r < 0)
		return r;
	type = ex_jv_word(v, "type");
	if (strcmp(type, "verdict") == 0)
		r = take_verdict(l, v);
	else if (strcmp(type, "program") == 0)
		take_program(l, v);
	else if (ex_jv_integer(v, "lost", 1, INT64_MAX, &lost))
		l->lost += (uint64_t)lost;
	ex_jv_free(v);
	return r;
}

static int by_kind_and_time(const void *a, const void *b)
{
	const struct ex_learn_use *x = a, *y = b;
	int r = (x->name[0] == '\0') - (y->name[0] == '\0');

	if (r == 0)
		r = strcmp(x->name, y->name);
	if (r == 0)
		r = (int)x->kind - (int)y->kind;
	return r ? r : strcmp(x->first, y->first);
}

/* A rule without a list of requests would allow all of them. */
static void drop_without_rule(struct ex_learn *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n_uses; i++) {
		struct ex_learn_use *u = &l->uses[i];

		if (!is_read(u) || u->paths.n)
			l->uses[kept++] = *u;
		else if (u->paths.full)
			l->odd += u->count;
	}
	l->n_uses = kept;
}

static void mark_used_names(struct ex_learn *l)
{
	for (size_t i = 0; i < l->n_uses; i++) {
		struct ex_learn_name *n = name_find(l, l->uses[i].name);

		if (n)
			n->used = true;
	}
}

int ex_learn_finish(struct ex_learn *l)
{
	int r = 0;

	drop_without_rule(l);
	mark_used_names(l);

	for (size_t i = 0; i < l->n_uses && r == 0; i++)
		r = ex_learn_paths_merge(&l->uses[i].paths);
	if (l->n_uses)
		qsort(l->uses, l->n_uses, sizeof(*l->uses), by_kind_and_time);
	return r;
}

void ex_learn_done(struct ex_learn *l)
{
	for (size_t i = 0; i < l->n_uses; i++)
		ex_learn_paths_done(&l->uses[i].paths);
	memset(l, 0, sizeof(*l));
}
