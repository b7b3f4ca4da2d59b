/* SPDX-License-Identifier: Apache-2.0 */
/* toPorts: ports, ranges and protocols. */
#include "policy/cnp.h"

#include <errno.h>
#include <netinet/in.h>

struct port_reader {
	const char *port;
	const struct ex_node *port_node, *end_node;
	long end;
	const char *proto;
};

static void read_port(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct port_reader *pr = out;

	pr->port = ex_decode_text(d, n);
	pr->port_node = n;
}

static void read_end_port(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct port_reader *pr = out;
	char *end;

	pr->end_node = n;
	if (n->kind != EX_NODE_SCALAR || !n->plain || n->len == 0 || n->len > 5 ||
	    strspn(n->text, "0123456789") != n->len || (n->text[0] == '0' && n->len > 1)) {
		ex_decode_error(d, n, "write a number from 0 to 65535, without quotes",
				"must be a port number");
		return;
	}
	pr->end = strtol(n->text, &end, 10);
	if (pr->end > 65535)
		ex_decode_error(d, n, NULL, "is larger than 65535");
}

static void read_protocol(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const char *const known[] = { "TCP", "UDP", "SCTP", "ANY" };
	static const char *const other[] = { "VRRP", "IGMP", "GRE",  "IPIP",  "IPV6",
					     "ESP",  "AH",   "ICMP", "ICMPv6" };
	struct port_reader *pr = out;
	const char *word = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	if (!word)
		return;
	pr->proto = word;
	for (size_t i = 0; i < EX_ARRAY_SIZE(known); i++) {
		if (strcmp(word, known[i]) == 0)
			return;
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(other); i++) {
		if (strcmp(word, other[i]) != 0)
			continue;
		ex_decode_error(d, n, "use TCP, UDP, SCTP or ANY; for ICMP use icmps",
				"protocol %s is not supported here", word);
		return;
	}
	ex_decode_error(d, n, "write TCP, UDP, SCTP or ANY (upper case)", "unknown protocol %s",
			ex_quote(word, n->len, quoted));
}

/*
 * Numbers as upstream reads them: base 0, so that a leading zero means octal, which nobody means.
 * We refuse those by name instead of opening port 8 for "010".
 */
static bool parse_port(struct ex_decoder *d, const struct port_reader *pr, uint16_t *ret)
{
	const char *s = pr->port;
	size_t len = strlen(s);
	char quoted[EX_QUOTE_TEXT];
	long v;

	if (len == 0 || len > 15 || strspn(s, "0123456789") != len) {
		ex_decode_error(d, pr->port_node, "write the number of the port",
				"port %s is not a number%s", ex_quote(s, len, quoted),
				len && len <= 15 ? "; port names are not supported" : "");
		return false;
	}
	if (s[0] == '0' && len > 1) {
		ex_decode_error(d, pr->port_node, "write the number without leading zeros",
				"port %s would be read as octal", ex_quote(s, len, quoted));
		return false;
	}
	errno = 0;
	v = strtol(s, NULL, 10);
	if (errno || v > 65535) {
		ex_decode_error(d, pr->port_node, NULL, "port %s is larger than 65535",
				ex_quote(s, len, quoted));
		return false;
	}
	*ret = (uint16_t)v;
	return true;
}

static void add_port(struct ex_ports_reader *out, uint8_t proto, uint16_t lo, uint16_t hi)
{
	out->ports->v[out->ports->n++] = (struct ex_portset){ .proto = proto, .lo = lo, .hi = hi };
}

static void take_port(struct ex_decoder *d, const struct ex_node *n, const struct port_reader *pr,
		      struct ex_ports_reader *out)
{
	bool any = !pr->proto || strcmp(pr->proto, "ANY") == 0;
	uint16_t lo = 0, hi;

	if (!pr->port) {
		ex_decode_error(d, n, "write port: \"443\"", "needs the field port");
		return;
	}
	if (!parse_port(d, pr, &lo))
		return;
	hi = lo;
	if (pr->end_node && pr->end > 0) {
		if (pr->end < lo || lo == 0) {
			ex_decode_error(d, pr->end_node, "write endPort larger than port",
					"endPort is smaller than port, or port is 0");
			return;
		}
		hi = (uint16_t)pr->end;
		out->range |= hi != lo;
	}
	if (lo == 0) {
		out->wild_port = true;
		hi = 65535;
	}
	out->proto_missing |= !pr->proto;
	out->proto_any |= any;
	if (any || strcmp(pr->proto, "TCP") == 0)
		add_port(out, IPPROTO_TCP, lo, hi);
	if (any || strcmp(pr->proto, "UDP") == 0)
		add_port(out, IPPROTO_UDP, lo, hi);
	if (any || strcmp(pr->proto, "SCTP") == 0)
		add_port(out, IPPROTO_SCTP, lo, hi);
}

static void read_ports(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "port", read_port, NULL, NULL },
		{ "endPort", read_end_port, NULL, NULL },
		{ "protocol", read_protocol, NULL, NULL },
	};
	struct ex_ports_reader *r = out;
	size_t i = 0;

	if (!ex_decode_list(d, n, EX_PORTS_MAX, false))
		return;
	r->ports->v = ex_arena_alloc(d->arena, n->n * 3, sizeof(*r->ports->v));
	if (!r->ports->v)
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		size_t mark = ex_decode_push_index(d, i++), before = d->n_errors;
		struct port_reader pr = { 0 };

		if (ex_decode_map(d, c, fields, EX_ARRAY_SIZE(fields), &pr) &&
		    d->n_errors == before)
			take_port(d, c, &pr, r);
		ex_decode_pop(d, mark);
	}
}

/* L7 rules and server names narrow what the ports said; what cannot be narrowed is refused. */
static void check_l7(struct ex_decoder *d, const struct ex_node *n, const struct ex_ports_reader *r)
{
	struct ex_ports *p = r->ports;

	if (p->l7 == EX_L7_NONE)
		return;
	if (p->n == 0 && p->l7 != EX_L7_SNI) {
		ex_decode_error(d, n, "list the ports", "rules need ports");
		return;
	}
	if (r->wild_port && p->l7 != EX_L7_SNI)
		ex_decode_error(d, n, "list the ports", "port 0 (any) cannot have rules");
	if (r->range && p->l7 == EX_L7_DNS)
		ex_decode_error(d, n, "list the ports one by one",
				"rules.dns does not go with endPort");
	for (size_t i = 0; i < p->n; i++) {
		if (p->l7 == EX_L7_HTTP && (r->proto_any || p->v[i].proto != IPPROTO_TCP)) {
			ex_decode_error(d, n, "write protocol: TCP",
					"rules.http needs protocol TCP spelled out");
			return;
		}
		if (p->l7 == EX_L7_DNS && !r->proto_any && p->v[i].proto == IPPROTO_SCTP) {
			ex_decode_error(d, n, "write protocol: UDP, TCP or ANY",
					"rules.dns does not go with SCTP");
			return;
		}
		if (p->l7 == EX_L7_SNI && !r->proto_any && p->v[i].proto != IPPROTO_TCP) {
			ex_decode_error(d, n, "write protocol: TCP",
					"serverNames needs protocol TCP");
			return;
		}
	}
}

/* Of a port of any protocol only those remain in which the L7 rules can be seen. */
static void narrow_protocols(struct ex_decoder *d, struct ex_ports *p)
{
	size_t n = 0;

	if (p->l7 == EX_L7_SNI && p->n == 0) {
		p->v = ex_arena_alloc(d->arena, 1, sizeof(*p->v));
		if (!p->v)
			return;
		p->v[p->n++] = (struct ex_portset){ .proto = IPPROTO_TCP, .lo = 0, .hi = 65535 };
		return;
	}
	for (size_t i = 0; i < p->n; i++) {
		bool keep = p->v[i].proto == IPPROTO_TCP ||
			    (p->l7 == EX_L7_DNS && p->v[i].proto == IPPROTO_UDP);

		if (p->l7 == EX_L7_NONE || keep)
			p->v[n++] = p->v[i];
	}
	p->n = n;
}

static const struct ex_field allow_fields[] = {
	{ "ports", read_ports, NULL, NULL },
	{ "rules", ex_read_l7_rules, NULL, NULL },
	{ "serverNames", ex_read_server_names, NULL, NULL },
	{ "terminatingTLS", NULL, "exeat makes its own certificates, per name",
	  "remove it: a rule with http on TLS is intercepted by itself" },
	{ "originatingTLS", NULL, "exeat verifies the server against the host's trust store",
	  "remove it; use --upstream-ca for a private CA" },
	{ "listener", NULL, "there is no custom Envoy listener here",
	  "remove it, or use rules.http or serverNames" },
};

static const struct ex_field deny_fields[] = {
	{ "ports", read_ports, NULL, NULL },
	{ "rules", NULL, "a deny rule has no L7 rules", "remove rules, or allow less instead" },
	{ "serverNames", NULL, "a deny rule has no server names",
	  "remove serverNames, or allow less instead" },
};

void ex_read_to_ports(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	struct ex_egress *e = rr->egress;
	size_t i = 0;

	rr->has_ports = true;
	if (!ex_decode_list(d, n, EX_LIST_MAX, false))
		return;
	e->limits_ports = true;
	e->ports = ex_arena_alloc(d->arena, n->n, sizeof(*e->ports));
	if (!e->ports)
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		struct ex_ports *p = &e->ports[i];
		struct ex_ports_reader r = { .rule = rr, .ports = p };
		size_t mark = ex_decode_push_index(d, i), before = d->n_errors;

		p->pos = c->pos;
		p->where = ex_arena_printf(d->arena, "toPorts[%zu]", i++);
		if (ex_decode_map(d, c, e->deny ? deny_fields : allow_fields,
				  e->deny ? EX_ARRAY_SIZE(deny_fields)
					  : EX_ARRAY_SIZE(allow_fields),
				  &r) &&
		    d->n_errors == before) {
			if (p->n == 0 && p->l7 != EX_L7_SNI)
				ex_decode_error(d, c, "list the ports", "needs the field ports");
			check_l7(d, c, &r);
			narrow_protocols(d, p);
		}
		ex_decode_pop(d, mark);
	}
	e->n_ports = i;
}
