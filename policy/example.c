/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/example.h"
#include "policy/place.h"

#include <netinet/in.h>
#include <stdio.h>

#define ALTERNATIVES_MAX 16 /* of one rule */

struct maker {
	const struct ex_ruleset *rs, *other;
	struct ex_ip world; /* where names lead */
	bool ingress;
	void (*fn)(void *arg, const struct ex_probe *p);
	void *arg;
};

static void make_plain(struct maker *m, struct ex_probe *p)
{
	p->http = false;
	p->tls = p->name[0] && p->proto == IPPROTO_TCP && (p->port == 443 || p->port == 8443);
	m->fn(m->arg, p);
}

static void set_name(struct ex_probe *p, const char *name, size_t len)
{
	char *const to[] = { p->name, p->sni, p->host, p->authority };

	for (size_t i = 0; i < EX_ARRAY_SIZE(to); i++)
		(void)snprintf(to[i], EX_PROBE_TEXT, "%.*s", (int)len, name);
}

static void add_headers(struct ex_probe *p, const struct ex_header_match *v, size_t n)
{
	for (size_t i = 0; i < n && p->n_headers < EX_PROBE_HEADERS; i++) {
		struct ex_header *to = &p->headers[p->n_headers++];

		to->name = ex_span_str(v[i].name);
		to->value = (struct ex_span){ v[i].value, v[i].value_len };
	}
}

/* open: the peer has no address and no name, the host of the rule is what is dialled. */
static void make_variant(struct maker *m, const struct ex_probe *p, const struct ex_http_match *h,
			 bool open, struct ex_variant want, struct ex_variant *most)
{
	struct ex_probe q = *p;
	char host[256];

	q.http = true;
	if (!ex_example_of_regex(h ? h->written_method : NULL, "GET", want, q.method,
				 sizeof(q.method), most) ||
	    !ex_example_of_regex(h ? h->written_path : NULL, "/", want, q.path, sizeof(q.path),
				 most) ||
	    !ex_example_of_regex(h ? h->written_host : NULL, q.host, want, host, sizeof(host),
				 most))
		return;
	if (open && h && h->written_host)
		set_name(&q, host, strcspn(host, ":"));
	q.tls = q.name[0] && (q.port == 443 || q.port == 8443);
	(void)snprintf(q.authority, sizeof(q.authority), "%s", host);
	if (h) {
		add_headers(&q, h->headers, h->n_headers);
		add_headers(&q, h->matches, h->n_matches);
	}
	m->fn(m->arg, &q);
}

static void make_http(struct maker *m, const struct ex_probe *p, const struct ex_http_match *h,
		      bool open)
{
	struct ex_variant want = { 0 }, most = { 0 };

	for (; want.pick <= most.pick && want.pick < ALTERNATIVES_MAX; want.pick++) {
		want.more = false;
		make_variant(m, p, h, open, want, &most);
		want.more = true;
		if (most.more)
			make_variant(m, p, h, open, want, &most);
	}
}

/* A name that the pattern matches: stars filled with "x". */
static size_t write_name(const struct ex_name_pattern *pattern, char *buf, size_t size)
{
	bool any = pattern->kind == EX_NAME_ANY;
	size_t n = (size_t)snprintf(buf, size, "%s%s", pattern->kind == EX_NAME_TAIL ? "x." : "",
				    any ? "any.example" : pattern->text);

	for (size_t i = 0; i < n; i++)
		if (buf[i] == '*')
			buf[i] = 'x';
	return n;
}

static void make_server_names(struct maker *m, const struct ex_probe *p, const struct ex_term *t)
{
	for (size_t i = 0; i < t->ports->n_names; i++) {
		struct ex_probe q = *p;
		size_t n = write_name(&t->ports->names[i], q.sni, sizeof(q.sni));

		q.tls = true;
		q.http = false;
		m->fn(m->arg, &q);
		set_name(&q, q.sni, n);
		if (t->open)
			m->fn(m->arg, &q);
	}
}

static void make_port(struct maker *m, struct ex_probe *p, const struct ex_term *t, uint8_t proto,
		      uint16_t port)
{
	const struct ex_ports *ports = t->ports;

	p->proto = proto;
	p->port = port;
	make_plain(m, p);
	if (m->ingress || proto != IPPROTO_TCP)
		return;
	if (ports && ports->l7 == EX_L7_SNI && !p->name[0])
		make_server_names(m, p, t);
	make_http(m, p, NULL, false);
	for (size_t i = 0; ports && i < ports->n_http; i++)
		make_http(m, p, &ports->http[i], t->open);
}

static void make_term(struct maker *m, struct ex_probe *p, const struct ex_term *t)
{
	if (!t->ports) {
		make_port(m, p, t, IPPROTO_TCP, 443);
		make_port(m, p, t, IPPROTO_UDP, 53);
		return;
	}
	for (size_t i = 0; i < t->ports->n; i++) {
		const struct ex_portset *s = &t->ports->v[i];

		if (s->any_proto) { /* every port there is */
			make_port(m, p, t, IPPROTO_TCP, 80);
			make_port(m, p, t, IPPROTO_UDP, 53);
			continue;
		}
		make_port(m, p, t, s->proto, s->lo);
		if (s->hi != s->lo)
			make_port(m, p, t, s->proto, s->hi);
	}
}

static void make_name(struct maker *m, const struct ex_rpeer *peer,
		      const struct ex_name_pattern *pattern)
{
	struct ex_probe p = { .dst = m->world, .dst_assumed = true };
	char name[EX_PROBE_TEXT];
	size_t n = write_name(pattern, name, sizeof(name));

	set_name(&p, name, n);
	for (size_t i = 0; i < peer->n_terms; i++)
		make_term(m, &p, &peer->terms[i]);
}

/* ---- places ---- */

/* What no rule speaks of, unless one speaks of everything. */
static void make_silence(struct maker *m, struct ex_probe *p)
{
	bool four = ex_ip_is4(&p->dst);
	const struct {
		uint8_t proto;
		uint16_t port;
	} silent[] = {
		{ IPPROTO_TCP, 443 },
		{ IPPROTO_TCP, 9 },
		{ IPPROTO_UDP, 9 },
		{ four ? IPPROTO_ICMP : IPPROTO_ICMPV6, (uint16_t)((four ? 8 : 128) << 8) },
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(silent); i++) {
		p->proto = silent[i].proto;
		p->port = silent[i].port;
		make_plain(m, p);
	}
}

/* Then no rule has a say there, whatever the other policy is. */
static bool is_reserved(const struct maker *m, const struct ex_class *c)
{
	for (size_t i = 0; i < c->n_peers; i++) {
		const struct ex_rpeer *peer = &m->rs->peers[c->peers[i]];

		if (peer->n_terms && peer->terms[0].reserved)
			return true;
	}
	return false;
}

static void make_place(struct maker *m, const struct ex_place *place)
{
	struct ex_probe p = { .ingress = m->ingress, .dst = place->ip };
	bool six = !ex_ip_is4(&p.dst), reserved = is_reserved(m, place->c);
	char ip[EX_IP_TEXT];

	(void)snprintf(p.host, sizeof(p.host), "%s%s%s", six ? "[" : "", ex_ip_text(&p.dst, ip),
		       six ? "]" : "");
	memcpy(p.authority, p.host, EX_IP_TEXT + 2);
	for (size_t i = 0; !reserved && i < place->c->n_peers; i++) {
		const struct ex_rpeer *peer = &m->rs->peers[place->c->peers[i]];

		if (!peer->n_terms || (!peer->terms[0].rule && !m->ingress))
			continue; /* no rule of the policy's own */
		for (size_t k = 0; k < peer->n_terms; k++)
			make_term(m, &p, &peer->terms[k]);
	}
	make_silence(m, &p);
}

static void make_places(struct maker *m)
{
	struct ex_place *v;
	size_t n;

	if (ex_places(m->rs, m->other, &v, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		make_place(m, &v[i]);
	free(v);
}

/* ---- questions of names ---- */

static const struct {
	const char *word;
	uint16_t type;
	uint8_t bit;
} types[] = {
	{ "A", 1, 0 },           { "TXT", 16, EX_ASK_TXT }, { "SRV", 33, EX_ASK_SRV },
	{ "MX", 15, EX_ASK_MX }, { "PTR", 12, EX_ASK_PTR },
};

static void make_questions(struct maker *m, const struct ex_name_pattern *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ex_probe p = { .dst = m->world, .dst_assumed = true };

		(void)write_name(&v[i], p.name, sizeof(p.name));
		for (size_t k = 0; k < EX_ARRAY_SIZE(types); k++) {
			p.question = types[k].type;
			if (!types[k].bit || v[i].types & types[k].bit)
				m->fn(m->arg, &p);
		}
	}
}

static void make_all_questions(struct maker *m)
{
	static const struct ex_name_pattern any = { .kind = EX_NAME_ANY };

	for (size_t i = 0; i < m->rs->n_peers; i++) {
		const struct ex_rpeer *peer = &m->rs->peers[i];

		make_questions(m, peer->names, peer->n_names);
		for (size_t k = 0; k < peer->n_terms; k++)
			if (peer->terms[k].ports)
				make_questions(m, peer->terms[k].ports->names,
					       peer->terms[k].ports->n_names);
	}
	make_questions(m, &any, 1);
}

/* ---- all ---- */

static void make_all(struct maker *m)
{
	for (size_t k = 0; k < m->rs->n_name_peers; k++) {
		const struct ex_rpeer *peer = &m->rs->peers[m->rs->name_peers[k]];

		for (size_t i = 0; i < peer->n_names; i++)
			make_name(m, peer, &peer->names[i]);
	}
	make_places(m);
}

void ex_examples(const struct ex_ruleset *rs, const struct ex_ruleset *other,
		 void (*fn)(void *arg, const struct ex_probe *p), void *arg)
{
	struct maker out = { rs, other, ex_place_of_world(rs, other, true), false, fn, arg };
	struct maker in = { rs->ingress, other->ingress, out.world, true, fn, arg };

	make_all(&out);
	if (in.rs && in.other)
		make_all(&in);
	make_all_questions(&out);
}

static void write_ingress(const struct ex_probe *p, const char *from, char *buf, size_t size)
{
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		(void)snprintf(buf, size, "ingress from %s to icmp/%d", from, p->port >> 8);
	else
		(void)snprintf(buf, size, "ingress from %s to %u/%s", from, p->port,
			       ex_proto_word(p->proto));
}

static const char *type_word(uint16_t type)
{
	size_t i = EX_ARRAY_SIZE(types) - 1;

	while (i && types[i].type != type)
		i--;
	return types[i].word;
}

const char *ex_example_text(const struct ex_probe *p, char *buf, size_t size)
{
	char ip[EX_IP_TEXT];
	const char *host = p->name[0] ? p->name : ex_ip_text(&p->dst, ip);
	bool six = !p->name[0] && !ex_ip_is4(&p->dst);
	const char *open = six ? "[" : "", *close = six ? "]" : "";

	if (p->ingress)
		write_ingress(p, host, buf, size);
	else if (p->question)
		(void)snprintf(buf, size, "DNS %s %s", p->name, type_word(p->question));
	else if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		(void)snprintf(buf, size, "icmp:%s/%d", host, p->port >> 8);
	else if (p->http)
		(void)snprintf(buf, size, "%s %s://%s%s%s:%u%s", p->method,
			       p->tls ? "https" : "http", open, host, close, p->port, p->path);
	else
		(void)snprintf(buf, size, "%s%s%s:%u/%s%s%s", open, host, close, p->port,
			       ex_proto_word(p->proto), p->tls ? " TLS " : "",
			       p->tls ? p->sni : "");
	return buf;
}
