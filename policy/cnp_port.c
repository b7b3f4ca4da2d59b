/* SPDX-License-Identifier: Apache-2.0 */
/* toPorts: ports, ranges and protocols. */
#include "exeat/text.h"
#include "policy/cnp.h"

#include <netinet/in.h>

struct port_reader {
	const char *port;
	const struct ex_node *port_node, *end_node;
	long end;
	const char *proto;
};

/* A number is text here too: the API takes int-or-string. */
static void read_port(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct port_reader *pr = out;

	if (n->kind != EX_NODE_SCALAR || ex_node_is_null(n))
		ex_decode_error(d, n, "write port: \"443\"", "must be a port, but is %s",
				ex_node_kind_name(n));
	else
		pr->port = n->text;
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
		ex_decode_error(d, n, "write a number up to 65535", "is larger than 65535");
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

/* An IANA service name: at most 15 of a-z 0-9 -, at least one letter. 0x50 is a name, too. */
static bool is_port_name(const char *s, size_t len)
{
	bool letter = false;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (ex_is_letter(c))
			letter = true;
		else if (!ex_is_digit(c) && !(c == '-' && i > 0 && i + 1 < len))
			return false;
	}
	return letter && len <= 15;
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
		ex_decode_error(
			d, pr->port_node,
			"write a number (\"0\" is any; a range has endPort), or a port name",
			"port %s is neither a number nor a service name", ex_quote(s, len, quoted));
		return false;
	}
	if (s[0] == '0' && len > 1) {
		ex_decode_error(d, pr->port_node, "write the number without leading zeros",
				"port %s would be read as octal", ex_quote(s, len, quoted));
		return false;
	}
	v = strtol(s, NULL, 10);
	if (v > 65535) {
		ex_decode_error(d, pr->port_node, "write a number up to 65535",
				"port %s is larger than 65535", ex_quote(s, len, quoted));
		return false;
	}
	*ret = (uint16_t)v;
	return true;
}

static uint32_t proto_bits(const char *proto)
{
	if (strcmp(proto, "TCP") == 0)
		return EX_PROTO_TCP;
	if (strcmp(proto, "UDP") == 0)
		return EX_PROTO_UDP;
	if (strcmp(proto, "SCTP") == 0)
		return EX_PROTO_SCTP;
	return EX_PROTO_TCP | EX_PROTO_UDP | EX_PROTO_SCTP;
}

static void add_ports(struct ex_ports *p, uint32_t protos, uint16_t lo, uint16_t hi)
{
	static const uint8_t numbers[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };

	for (size_t i = 0; i < EX_ARRAY_SIZE(numbers); i++) {
		if (protos & (1u << i))
			p->v[p->n++] =
				(struct ex_portset){ .proto = numbers[i], .lo = lo, .hi = hi };
	}
}

/* Upstream lowers the name, and ignores endPort beside it. */
static void take_named_port(struct ex_decoder *d, const struct port_reader *pr, uint32_t protos,
			    struct ex_ports *p)
{
	char *name = ex_arena_strndup(d->arena, pr->port, strlen(pr->port));

	if (!name)
		return;
	for (char *c = name; *c; c++)
		*c = ex_lower(*c);
	if (pr->end_node)
		ex_decode_warning(d, pr->end_node, "remove endPort",
				  "endPort means nothing beside a port name");
	p->named[p->n_named++] = (struct ex_named_port){ name, protos };
}

static void take_port(struct ex_decoder *d, const struct ex_node *n, const struct port_reader *pr,
		      const char *default_proto, struct ex_ports_reader *out)
{
	const char *proto = pr->proto ? pr->proto : default_proto;
	uint32_t protos = proto_bits(proto);
	uint16_t lo = 0, hi;

	out->protos |= 1u << protos;
	if (!pr->port) {
		ex_decode_error(d, n, "write port: \"443\"", "needs the field port");
		return;
	}
	if (is_port_name(pr->port, strlen(pr->port))) {
		take_named_port(d, pr, protos, out->ports);
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
	add_ports(out->ports, protos, lo, hi);
}

void ex_read_port(struct ex_decoder *d, const struct ex_node *n, const char *default_proto,
		  struct ex_ports_reader *out)
{
	static const struct ex_field fields[] = {
		{ "port", read_port, NULL, NULL },
		{ "endPort", read_end_port, NULL, NULL },
		{ "protocol", read_protocol, NULL, NULL },
	};
	size_t before = d->n_errors;
	struct port_reader pr = { 0 };

	if (ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &pr) && d->n_errors == before)
		take_port(d, n, &pr, default_proto, out);
}

void ex_read_all_ports(struct ex_decoder *d, const struct ex_node *n, const char *default_proto,
		       struct ex_ports_reader *out)
{
	static const struct ex_field fields[] = { { "protocol", read_protocol, NULL, NULL } };
	size_t before = d->n_errors;
	struct port_reader pr = { 0 };

	if (ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &pr) && d->n_errors == before)
		add_ports(out->ports, proto_bits(pr.proto ? pr.proto : default_proto), 0, 65535);
}

bool ex_ports_alloc(struct ex_decoder *d, size_t n_items, struct ex_ports *p)
{
	p->v = ex_arena_alloc(d->arena, n_items * 3, sizeof(*p->v));
	p->named = ex_arena_alloc(d->arena, n_items, sizeof(*p->named));
	return p->v && p->named;
}

static void read_ports(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_ports_reader *r = out;

	if (!ex_decode_list(d, n, EX_PORTS_MAX, false) || !ex_ports_alloc(d, n->n, r->ports))
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		ex_read_port(d, it.c, "ANY", r);
}

/* In which these rules can be seen. */
static uint32_t seen_protocols(enum ex_l7_kind l7)
{
	return l7 == EX_L7_DNS ? EX_PROTO_TCP | EX_PROTO_UDP : EX_PROTO_TCP;
}

static void refuse_protocol(struct ex_decoder *d, const struct ex_node *n, enum ex_l7_kind l7)
{
	if (l7 == EX_L7_HTTP)
		ex_decode_error(d, n, "write protocol: TCP",
				"rules.http needs protocol TCP spelled out");
	else if (l7 == EX_L7_DNS)
		ex_decode_error(d, n, "write protocol: UDP, TCP or ANY",
				"rules.dns does not go with SCTP");
	else
		ex_decode_error(d, n, "write protocol: TCP", "serverNames needs protocol TCP");
}

static bool goes_with(enum ex_l7_kind l7, uint32_t protos)
{
	return l7 == EX_L7_HTTP ? protos == EX_PROTO_TCP : protos & seen_protocols(l7);
}

static bool has_its_protocols(const struct ex_ports_reader *r)
{
	const unsigned all = EX_PROTO_TCP | EX_PROTO_UDP | EX_PROTO_SCTP;

	for (unsigned protos = 0; protos <= all; protos++)
		if (r->protos >> protos & 1 && !goes_with(r->ports->l7, protos))
			return false;
	return true;
}

/* L7 rules and server names narrow what the ports said; what cannot be narrowed is refused. */
static void check_l7(struct ex_decoder *d, const struct ex_node *n, const struct ex_ports_reader *r)
{
	struct ex_ports *p = r->ports;

	if (p->l7 == EX_L7_NONE)
		return;
	if (p->n + p->n_named == 0 && p->l7 != EX_L7_SNI) {
		ex_decode_error(d, n, "list the ports", "rules need ports");
		return;
	}
	if (r->wild_port && p->l7 != EX_L7_SNI)
		ex_decode_error(d, n, "list the ports", "port 0 (any) cannot have rules");
	if (r->range && p->l7 == EX_L7_DNS)
		ex_decode_error(d, n, "list the ports one by one",
				"rules.dns does not go with endPort");
	if (!has_its_protocols(r))
		refuse_protocol(d, n, p->l7);
}

/* Of a port of any protocol only those remain in which the L7 rules can be seen. */
static void narrow_protocols(struct ex_decoder *d, struct ex_ports *p)
{
	size_t n = 0;

	for (size_t i = 0; p->l7 != EX_L7_NONE && i < p->n_named; i++)
		p->named[i].protos &= seen_protocols(p->l7);
	if (p->l7 == EX_L7_SNI && p->n + p->n_named == 0) {
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

static void read_rules_node(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct ex_ports_reader *)out)->rules = n;
}

static void read_server_names_node(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct ex_ports_reader *)out)->server_names = n;
}

static const struct ex_field allow_fields[] = {
	{ "ports", read_ports, NULL, NULL },
	{ "rules", read_rules_node, NULL, NULL },
	{ "serverNames", read_server_names_node, NULL, NULL },
	{ "terminatingTLS", ex_read_terminating, NULL, NULL },
	{ "originatingTLS", ex_read_originating, NULL, NULL },
	{ "listener", NULL, "there is no custom Envoy listener here",
	  "remove it, or use rules.http or serverNames" },
};

static const struct ex_field deny_fields[] = {
	{ "ports", read_ports, NULL, NULL },
	{ "rules", NULL, "a deny rule has no L7 rules", "remove rules, or allow less instead" },
	{ "serverNames", NULL, "a deny rule has no server names",
	  "remove serverNames, or allow less instead" },
	{ "terminatingTLS", NULL, "a deny rule reads no TLS", "remove it" },
	{ "originatingTLS", NULL, "a deny rule reads no TLS", "remove it" },
	{ "listener", NULL, "a deny rule has no listener", "remove it" },
};

/* What comes in goes past the proxy. */
#define BY_PORT "what comes in is judged by address and port only"

static const struct ex_field ingress_fields[] = {
	{ "ports", read_ports, NULL, NULL },
	{ "rules", NULL, BY_PORT, "remove rules, and let the workload judge its requests" },
	{ "serverNames", NULL, BY_PORT, "remove serverNames" },
	{ "terminatingTLS", NULL, BY_PORT, "remove it" },
	{ "originatingTLS", NULL, BY_PORT, "remove it" },
	{ "listener", NULL, BY_PORT, "remove it" },
};

/* An EgressPolicy may deny requests, too. */
static const struct ex_field own_deny_fields[] = {
	{ "ports", read_ports, NULL, NULL },
	{ "rules", read_rules_node, NULL, NULL },
};

static void read_l7(struct ex_decoder *d, const struct ex_node *n, struct ex_ports_reader *r)
{
	size_t mark;

	if (r->rules) {
		mark = ex_decode_push(d, "rules");
		ex_read_l7_rules(d, r->rules, r);
		ex_decode_pop(d, mark);
	}
	if (r->server_names) {
		mark = ex_decode_push(d, "serverNames");
		ex_read_server_names(d, r->server_names, r);
		ex_decode_pop(d, mark);
	}
	/* terminating TLS without rules only looks into it, which allows no less and no more */
	if (r->terminating && r->ports->l7 == EX_L7_NONE)
		ex_decode_warning(d, n, "add rules.http",
				  "TLS is not opened where no rule needs it");
	if (r->originating) {
		mark = ex_decode_push(d, "originatingTLS");
		ex_finish_originating(d, r);
		ex_decode_pop(d, mark);
	}
}

bool ex_rule_take_ports(struct ex_decoder *d, const struct ex_node *n, struct ex_rule_reader *rr)
{
	struct ex_egress *e = rr->egress;

	if (rr->ports) {
		ex_decode_key_error(d, n, "write one rule for each of them",
				    "combining %s and %s in one rule is not supported",
				    rr->ports->key, n->key);
		return false;
	}
	rr->ports = n;
	if (!ex_decode_list(d, n, EX_LIST_MAX, false))
		return false;
	e->limits_ports = true;
	e->ports = ex_arena_alloc(d->arena, n->n, sizeof(*e->ports));
	return e->ports != NULL;
}

void ex_read_to_ports(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	struct ex_egress *e = rr->egress;
	const struct ex_field *fields = allow_fields;
	size_t n_fields = EX_ARRAY_SIZE(allow_fields);

	if (rr->ingress) {
		fields = ingress_fields;
		n_fields = EX_ARRAY_SIZE(ingress_fields);
	} else if (e->deny && rr->own) {
		fields = own_deny_fields;
		n_fields = EX_ARRAY_SIZE(own_deny_fields);
	} else if (e->deny) {
		fields = deny_fields;
		n_fields = EX_ARRAY_SIZE(deny_fields);
	}
	if (!ex_rule_take_ports(d, n, rr))
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it)) {
		struct ex_ports *p = &e->ports[e->n_ports++];
		struct ex_ports_reader r = { .rule = rr, .ports = p };
		size_t before = d->n_errors;

		p->pos = it.c->pos;
		p->where = ex_arena_printf(d->arena, "toPorts[%zu]", it.i);
		if (ex_decode_map(d, it.c, fields, n_fields, &r))
			read_l7(d, it.c, &r);
		if (d->n_errors > before)
			continue;
		if (p->n + p->n_named == 0 && p->l7 != EX_L7_SNI)
			ex_decode_error(d, it.c, "list the ports", "needs the field ports");
		check_l7(d, it.c, &r);
		narrow_protocols(d, p);
	}
}
