/* SPDX-License-Identifier: Apache-2.0 */
/* icmps: types of ICMP and ICMPv6, by number or name; every code of a type. */
#include "policy/cnp.h"

#include <netinet/in.h>

struct icmp_type {
	const char *name;
	uint8_t type;
};

/* The names that upstream knows, and their IANA numbers. */
static const struct icmp_type types4[] = {
	{ "EchoReply", 0 },
	{ "DestinationUnreachable", 3 },
	{ "Redirect", 5 },
	{ "Echo", 8 },
	{ "EchoRequest", 8 },
	{ "RouterAdvertisement", 9 },
	{ "RouterSelection", 10 },
	{ "TimeExceeded", 11 },
	{ "ParameterProblem", 12 },
	{ "Timestamp", 13 },
	{ "TimestampReply", 14 },
	{ "Photuris", 40 },
	{ "ExtendedEchoRequest", 42 },
	{ "ExtendedEchoReply", 43 },
};

static const struct icmp_type types6[] = {
	{ "DestinationUnreachable", 1 },
	{ "PacketTooBig", 2 },
	{ "TimeExceeded", 3 },
	{ "ParameterProblem", 4 },
	{ "EchoRequest", 128 },
	{ "EchoReply", 129 },
	{ "MulticastListenerQuery", 130 },
	{ "MulticastListenerReport", 131 },
	{ "MulticastListenerDone", 132 },
	{ "RouterSolicitation", 133 },
	{ "RouterAdvertisement", 134 },
	{ "NeighborSolicitation", 135 },
	{ "NeighborAdvertisement", 136 },
	{ "RedirectMessage", 137 },
	{ "RouterRenumbering", 138 },
	{ "ICMPNodeInformationQuery", 139 },
	{ "ICMPNodeInformationResponse", 140 },
	{ "InverseNeighborDiscoverySolicitation", 141 },
	{ "InverseNeighborDiscoveryAdvertisement", 142 },
	{ "HomeAgentAddressDiscoveryRequest", 144 },
	{ "HomeAgentAddressDiscoveryReply", 145 },
	{ "MobilePrefixSolicitation", 146 },
	{ "MobilePrefixAdvertisement", 147 },
	{ "DuplicateAddressRequestCodeSuffix", 157 },
	{ "DuplicateAddressConfirmationCodeSuffix", 158 },
	{ "ExtendedEchoRequest", 160 },
	{ "ExtendedEchoReply", 161 },
};

struct icmp_reader {
	const struct ex_node *type;
	bool six;
};

static void read_type(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	if (n->kind == EX_NODE_SCALAR && n->len)
		((struct icmp_reader *)out)->type = n;
	else
		ex_decode_error(d, n, "write a number or a name", "must be an ICMP type");
}

static void read_family(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	const char *word = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	if (!word)
		return;
	((struct icmp_reader *)out)->six = strcmp(word, "IPv6") == 0;
	if (strcmp(word, "IPv6") != 0 && strcmp(word, "IPv4") != 0)
		ex_decode_error(d, n, "write IPv4 or IPv6", "unknown family %s",
				ex_quote(word, n->len, quoted));
}

static bool find_type(const struct icmp_reader *ir, uint8_t *ret)
{
	const struct icmp_type *v = ir->six ? types6 : types4;
	size_t n = ir->six ? EX_ARRAY_SIZE(types6) : EX_ARRAY_SIZE(types4);
	const char *s = ir->type->text;

	if (strspn(s, "0123456789") == ir->type->len) {
		unsigned long type = ir->type->len <= 3 ? strtoul(s, NULL, 10) : 256;

		*ret = (uint8_t)type;
		return type <= 255 && (s[0] != '0' || ir->type->len == 1);
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].name, s) == 0) {
			*ret = v[i].type;
			return true;
		}
	}
	return false;
}

static void read_field(struct ex_decoder *d, const struct ex_node *n, struct ex_ports *p)
{
	static const struct ex_field fields[] = {
		{ "type", read_type, NULL, NULL },
		{ "family", read_family, NULL, NULL },
	};
	struct icmp_reader ir = { 0 };
	char quoted[EX_QUOTE_TEXT];
	size_t before = d->n_errors;
	uint8_t type;

	if (!ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &ir) || d->n_errors > before)
		return;
	if (!ir.type) {
		ex_decode_error(d, n, "write type: 8", "needs the field type");
		return;
	}
	if (!find_type(&ir, &type)) {
		ex_decode_error(d, ir.type,
				"write a number from 0 to 255, or a name such as "
				"EchoRequest",
				"unknown %s type %s", ir.six ? "ICMPv6" : "ICMP",
				ex_quote(ir.type->text, ir.type->len, quoted));
		return;
	}
	p->v[p->n++] = (struct ex_portset){ .proto = ir.six ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
					    .lo = (uint16_t)(type << 8),
					    .hi = (uint16_t)(type << 8 | 255) };
}

static void read_fields(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_ports *p = out;

	if (!ex_decode_list(d, n, EX_PORTS_MAX, false))
		return;
	p->v = ex_arena_alloc(d->arena, n->n, sizeof(*p->v));
	if (!p->v)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		read_field(d, it.c, p);
}

void ex_read_icmps(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = { { "fields", read_fields, NULL, NULL } };
	struct ex_rule_reader *rr = out;
	struct ex_egress *e = rr->egress;

	if (!ex_rule_take_ports(d, n, rr))
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it)) {
		struct ex_ports *p = &e->ports[e->n_ports++];
		size_t before = d->n_errors;

		p->pos = it.c->pos;
		p->where = ex_arena_printf(d->arena, "icmps[%zu]", it.i);
		if (ex_decode_map(d, it.c, fields, EX_ARRAY_SIZE(fields), p) && p->n == 0 &&
		    d->n_errors == before)
			ex_decode_error(d, it.c, "write fields: [{type: 8}]",
					"needs the field fields");
	}
}
