/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/example.h"
#include "policy/model.h"

#include <netinet/in.h>
#include <stdio.h>

#define ADDRS_MAX 64 /* example addresses of one peer */

struct maker {
	const struct ex_ruleset *rs;
	bool ingress;
	void (*fn)(void *arg, const struct ex_probe *p);
	void *arg;
};

/* ---- regexes: guesses, checked by the matcher itself ---- */

static bool matches(const char *pattern, const char *text)
{
	struct ex_regex *re;
	char err[64];
	bool r;

	if (ex_regex_new(pattern, strlen(pattern), &re, err, sizeof(err)) < 0)
		return false;
	r = ex_regex_match(re, text, strlen(text));
	ex_regex_free(re);
	return r;
}

/* Inside of [ ]: an escape, a named class such as [:alpha:], or one character. */
static size_t class_item_len(const char *s)
{
	const char *end = s[0] == '[' && s[1] == ':' ? strstr(s + 2, ":]") : NULL;

	if (end)
		return (size_t)(end - s) + 2;
	return s[0] == '\\' && s[1] ? 2 : 1;
}

/* Length of the atom at s: an escape, a class, a group, or one character. */
static size_t atom_len(const char *s)
{
	size_t i = 1;
	int depth = 1;

	if (s[0] == '\\')
		return s[1] ? 2 : 1;
	if (s[0] == '[') {
		i += s[i] == '^';
		i += s[i] == ']';
		while (s[i] && s[i] != ']')
			i += class_item_len(s + i);
		return s[i] ? i + 1 : i;
	}
	if (s[0] != '(')
		return 1;
	for (; s[i] && depth; i++) {
		if (s[i] == '\\' && s[i + 1])
			i++;
		else if (s[i] == '(')
			depth++;
		else if (s[i] == ')')
			depth--;
	}
	return i;
}

static size_t emit_atom(const char *s, size_t len, char *buf, size_t room);

/* The first alternative, every atom as rarely as its repetition allows. */
static size_t emit_sequence(const char *s, size_t len, char *buf, size_t room)
{
	size_t o = 0;

	for (size_t i = 0; i < len && s[i] != '|';) {
		size_t n = atom_len(s + i), next = i + n;
		bool skip = next < len && (s[next] == '*' || s[next] == '?');

		if (n > len - i)
			break;
		if (!skip)
			o += emit_atom(s + i, n, buf + o, room - o);
		i = next;
		while (i < len && (s[i] == '*' || s[i] == '?' || s[i] == '+'))
			i++;
		if (i < len && s[i] == '{') {
			const char *end = memchr(s + i, '}', len - i);

			i = end ? (size_t)(end - s) + 1 : len;
		}
	}
	return o;
}

static size_t emit_atom(const char *s, size_t len, char *buf, size_t room)
{
	static const char candidates[] = "a0/-_.A1x";

	if (room < 2)
		return 0;
	if (s[0] == '(') {
		size_t skip = len > 2 && s[1] == '?' ? 3 : 1;

		return len > skip + 1 ? emit_sequence(s + skip, len - skip - 1, buf, room) : 0;
	}
	if (s[0] == '^' || s[0] == '$')
		return 0;
	if (s[0] == '[' || s[0] == '.' || s[0] == '\\') {
		char atom[128];

		if (len >= sizeof(atom))
			return 0;
		memcpy(atom, s, len);
		atom[len] = '\0';
		for (const char *c = candidates; *c; c++) {
			char one[2] = { *c, '\0' };

			if (matches(atom, one)) {
				buf[0] = *c;
				return 1;
			}
		}
		if (s[0] != '\\')
			return 0;
		s++;
	}
	buf[0] = s[0];
	return 1;
}

bool ex_example_of_regex(const char *pattern, const char *fallback, char *buf, size_t size)
{
	size_t n;

	if (!pattern) {
		(void)snprintf(buf, size, "%s", fallback);
		return true;
	}
	n = emit_sequence(pattern, strlen(pattern), buf, size - 1);
	buf[n] = '\0';
	return matches(pattern, buf);
}

/* ---- requests ---- */

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

/* open: the peer has no address and no name, the host of the rule is what is dialled. */
static void make_http(struct maker *m, struct ex_probe *p, const struct ex_http_match *h, bool open)
{
	struct ex_probe q = *p;
	char host[256];

	q.http = true;
	if (!ex_example_of_regex(h ? h->written_method : NULL, "GET", q.method, sizeof(q.method)) ||
	    !ex_example_of_regex(h ? h->written_path : NULL, "/", q.path, sizeof(q.path)) ||
	    !ex_example_of_regex(h ? h->written_host : NULL, q.host, host, sizeof(host)))
		return;
	if (open && h && h->written_host)
		set_name(&q, host, strcspn(host, ":"));
	q.tls = q.name[0] && (q.port == 443 || q.port == 8443);
	(void)snprintf(q.authority, sizeof(q.authority), "%s", host);
	for (size_t i = 0; h && i < h->n_headers && q.n_headers < EX_PROBE_HEADERS; i++) {
		struct ex_header *to = &q.headers[q.n_headers++];

		to->name = ex_span_str(h->headers[i].name);
		to->value = (struct ex_span){ h->headers[i].value, h->headers[i].value_len };
	}
	for (size_t i = 0; h && i < h->n_matches && q.n_headers < EX_PROBE_HEADERS; i++) {
		struct ex_header *to = &q.headers[q.n_headers++];

		to->name = ex_span_str(h->matches[i].name);
		to->value = (struct ex_span){ h->matches[i].value, h->matches[i].value_len };
	}
	m->fn(m->arg, &q);
}

static void make_port(struct maker *m, struct ex_probe *p, const struct ex_term *t, uint8_t proto,
		      uint16_t port)
{
	const struct ex_ports *ports = t->ports;

	p->proto = proto;
	p->port = port;
	make_plain(m, p);
	if (m->ingress)
		return;
	for (size_t i = 0; ports && ports->l7 == EX_L7_SNI && i < ports->n_names; i++) {
		if (p->name[0] || ports->names[i].kind != EX_NAME_EXACT)
			continue;
		(void)snprintf(p->sni, sizeof(p->sni), "%s", ports->names[i].text);
		p->tls = true;
		p->http = false;
		m->fn(m->arg, p);
		if (t->open) {
			struct ex_probe q = *p;

			set_name(&q, p->sni, strlen(p->sni));
			m->fn(m->arg, &q);
		}
		p->sni[0] = '\0';
	}
	if (proto != IPPROTO_TCP)
		return;
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

/* A name that the pattern matches: stars filled with "x". */
static void make_name(struct maker *m, const struct ex_rpeer *peer,
		      const struct ex_name_pattern *pattern)
{
	struct ex_probe p = { .dst_assumed = true };
	static const uint8_t assumed[4] = { 198, 18, 0, 1 };
	size_t o = 0;

	if (pattern->kind == EX_NAME_ANY)
		o += (size_t)snprintf(p.name, sizeof(p.name), "any.example");
	if (pattern->kind == EX_NAME_TAIL)
		o += (size_t)snprintf(p.name, sizeof(p.name), "x.");
	for (size_t i = 0; pattern->kind != EX_NAME_ANY && i < pattern->len; i++)
		p.name[o++] = pattern->text[i] == '*' ? 'x' : pattern->text[i];
	p.dst = ex_ip_from4(assumed);
	memcpy(p.sni, p.name, sizeof(p.sni));
	memcpy(p.host, p.name, sizeof(p.host));
	memcpy(p.authority, p.name, sizeof(p.authority));
	for (size_t i = 0; i < peer->n_terms; i++)
		make_term(m, &p, &peer->terms[i]);
}

/* An address of the prefix; of a whole family one that nobody names by accident. */
static struct ex_ip pick_address(const struct ex_prefix *p)
{
	static const struct ex_ip four = { { [10] = 0xff, [11] = 0xff, 198, 18, 0, 1 } };
	static const struct ex_ip six = { { 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 1 } };
	struct ex_ip ip = p->ip;

	if (p->len == 0)
		return six;
	if (p->len == 96 && ex_prefix_is4(p))
		return four;
	if (p->len < 128)
		ip.b[15] |= 1; /* the first address of a network is often special */
	return ip;
}

static void make_addrs(struct maker *m, uint32_t id, const struct ex_dest_tree *tree)
{
	const struct ex_rpeer *peer = &m->rs->peers[id];
	size_t made = 0;

	for (size_t i = 0; i < tree->n && made < ADDRS_MAX; i++) {
		const struct ex_class *c = &m->rs->classes[tree->v[i].klass];
		struct ex_probe p = { .ingress = m->ingress,
				      .dst = pick_address(&tree->v[i].prefix) };
		bool in = false;

		for (size_t k = 0; k < c->n_peers && !in; k++)
			in = c->peers[k] == id;
		if (!in)
			continue;
		made++;
		(void)ex_ip_text(&p.dst, p.host);
		memcpy(p.authority, p.host, EX_IP_TEXT);
		for (size_t k = 0; k < peer->n_terms; k++)
			make_term(m, &p, &peer->terms[k]);
	}
}

static void make_all(struct maker *m)
{
	for (uint32_t id = 0; id < m->rs->n_peers; id++) {
		const struct ex_rpeer *peer = &m->rs->peers[id];

		for (size_t i = 0; i < peer->n_names; i++)
			make_name(m, peer, &peer->names[i]);
		if (peer->names || !peer->n_terms || (!peer->terms[0].rule && !m->ingress))
			continue; /* done, or no rule of the policy's own */
		make_addrs(m, id, &m->rs->tree4);
		make_addrs(m, id, &m->rs->tree6);
	}
}

void ex_examples(const struct ex_ruleset *rs, void (*fn)(void *arg, const struct ex_probe *p),
		 void *arg)
{
	struct maker out = { rs, false, fn, arg }, in = { rs->ingress, true, fn, arg };

	make_all(&out);
	if (in.rs)
		make_all(&in);
}

static void write_ingress(const struct ex_probe *p, const char *from, char *buf, size_t size)
{
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		(void)snprintf(buf, size, "ingress from %s to icmp/%d", from, p->port >> 8);
	else
		(void)snprintf(buf, size, "ingress from %s to %u/%s", from, p->port,
			       ex_proto_word(p->proto));
}

const char *ex_example_text(const struct ex_probe *p, char *buf, size_t size)
{
	char ip[EX_IP_TEXT];
	const char *host = p->name[0] ? p->name : ex_ip_text(&p->dst, ip);
	bool six = !p->name[0] && !ex_ip_is4(&p->dst);
	const char *open = six ? "[" : "", *close = six ? "]" : "";

	if (p->ingress)
		write_ingress(p, host, buf, size);
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
