/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#include "tests/datapath/model.h"

/* ---- judging ---- */

static bool prefix_has(const struct model_prefix *p, const struct ex_ip *ip)
{
	unsigned bit;

	for (bit = 0; bit < p->len; bit++)
		if ((p->ip.b[bit / 8] ^ ip->b[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static bool peer_has(const struct model_rule *r, const struct ex_ip *dst)
{
	if (r->peer != MODEL_CIDR)
		return true;
	/* 0.0.0.0/0 is about IPv4 and ::/0 about IPv6 */
	if (ex_ip_is4(&r->cidr.ip) != ex_ip_is4(dst))
		return false;
	return prefix_has(&r->cidr, dst) && !(r->has_except && prefix_has(&r->except, dst));
}

static bool ports_have(const struct model_rule *r, const struct model_packet *pkt)
{
	bool has_ports = pkt->proto == IPPROTO_TCP || pkt->proto == IPPROTO_UDP ||
			 pkt->proto == IPPROTO_SCTP;

	if (r->icmp)
		return pkt->proto == r->proto && pkt->port >> 8 == r->lo;
	if (!r->has_ports)
		return true;
	if (!has_ports || (r->proto && r->proto != pkt->proto))
		return false;
	return pkt->port >= r->lo && pkt->port <= r->hi;
}

/* The IPv4 address that a translator or a relay would make of it. */
static bool hidden4(const struct ex_ip *ip, struct ex_ip *four)
{
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };

	if (memcmp(ip->b, nat64, 12) == 0) {
		*four = ex_ip_from4(ip->b + 12);
		return true;
	}
	if (ip->b[0] == 0x20 && ip->b[1] == 0x02) {
		*four = ex_ip_from4(ip->b + 2);
		return true;
	}
	return false;
}

struct model_verdict model_judge(const struct model_policy *p, const struct model_packet *pkt)
{
	bool allow = false, steer = false, deny = false;
	struct ex_ip dst = pkt->dst;
	bool hides = hidden4(&pkt->dst, &dst);
	int i;

	for (i = 0; i < p->n; i++) {
		const struct model_rule *r = &p->rules[i];

		if (!ports_have(r, pkt))
			continue;
		if (r->deny && hides && peer_has(r, &pkt->dst))
			deny = true;
		if (!peer_has(r, &dst))
			continue;
		deny |= r->deny;
		steer |= !r->deny && r->http;
		allow |= !r->deny && !r->http;
	}
	if (deny)
		return (struct model_verdict){ EX_V_DENY, EX_R_POLICY_DENY };
	if (allow)
		return (struct model_verdict){ EX_V_ALLOW, EX_R_ALLOWED };
	if (steer)
		return (struct model_verdict){ EX_V_STEER, EX_R_NO_PROXY };
	return (struct model_verdict){ EX_V_DENY, EX_R_DEFAULT_DENY };
}

/* ---- writing ---- */

struct text {
	char *at;
	size_t left;
};

static EX_PRINTF(2, 3) void put(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->at, t->left, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= t->left)
		abort();
	t->at += n;
	t->left -= (size_t)n;
}

static void put_prefix(struct text *t, const struct model_prefix *p)
{
	char buf[EX_IP_TEXT];

	put(t, "\"%s/%d\"", ex_ip_text(&p->ip, buf), ex_ip_is4(&p->ip) ? p->len - 96 : p->len);
}

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP    ? "TCP"
	       : proto == IPPROTO_UDP  ? "UDP"
	       : proto == IPPROTO_SCTP ? "SCTP"
				       : "ANY";
}

static void put_rule(struct text *t, const struct model_rule *r)
{
	const char *lead = "  - ";

	if (r->peer == MODEL_CIDR) {
		put(t, "%stoCIDRSet: [{cidr: ", lead);
		put_prefix(t, &r->cidr);
		if (r->has_except) {
			put(t, ", except: [");
			put_prefix(t, &r->except);
			put(t, "]");
		}
		put(t, "}]\n");
		lead = "    ";
	} else if (r->peer != MODEL_ANY) {
		put(t, "%stoEntities: [%s]\n", lead, r->peer == MODEL_WORLD ? "world" : "all");
		lead = "    ";
	}
	if (r->icmp)
		put(t, "%sicmps: [{fields: [{type: %u, family: %s}]}]\n", lead, r->lo,
		    r->proto == IPPROTO_ICMP ? "IPv4" : "IPv6");
	if (!r->has_ports)
		return;
	put(t, "%stoPorts:\n    - ports: [{port: \"%u\"", lead,
	    r->hi == 65535 && !r->lo ? 0 : r->lo);
	if (r->hi != r->lo && r->lo)
		put(t, ", endPort: %u", r->hi);
	put(t, ", protocol: %s}]\n", proto_name(r->proto));
	if (r->http)
		put(t, "      rules: {http: [{method: GET}]}\n");
}

static void put_list(struct text *t, const struct model_policy *p, bool deny)
{
	bool head = false;
	int i;

	for (i = 0; i < p->n; i++) {
		if (p->rules[i].deny != deny)
			continue;
		if (!head)
			put(t, "  %s:\n", deny ? "egressDeny" : "egress");
		head = true;
		put_rule(t, &p->rules[i]);
	}
}

void model_write(const struct model_policy *p, char *text, size_t cap)
{
	struct text t = { text, cap };

	put(&t, "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n"
		"metadata: {name: random}\nspec:\n  endpointSelector: {}\n");
	put_list(&t, p, false);
	put_list(&t, p, true);
}

/* ---- inventing ---- */

uint32_t model_random(uint64_t *seed, uint32_t n)
{
	*seed ^= *seed << 13; /* xorshift64 */
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 32) % n;
}

#define PICK(seed, array) ((array)[model_random(seed, EX_ARRAY_SIZE(array))])

/* Few values that sit at the edges of the prefixes, so that rules and packets meet. */
static struct ex_ip random_four(uint64_t *seed)
{
	static const uint8_t edges[] = { 0, 1, 127, 128, 254, 255 };
	const uint8_t four[4] = { 198, (uint8_t)(18 + model_random(seed, 2)), PICK(seed, edges),
				  PICK(seed, edges) };

	return ex_ip_from4(four);
}

static struct ex_ip random_ip(uint64_t *seed)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct ex_ip four = random_four(seed), ip = { 0 };

	switch (model_random(seed, 8)) {
	case 0:
		memcpy(ip.b, "\0\x64\xff\x9b", 4);
		memcpy(ip.b + 12, four.b + 12, 4);
		return ip;
	case 1:
		memcpy(ip.b, "\x20\x02", 2);
		memcpy(ip.b + 2, four.b + 12, 4);
		ip.b[15] = (uint8_t)model_random(seed, 2);
		return ip;
	case 2:
	case 3:
	case 4:
		memcpy(ip.b, "\x20\x01\x0d\xb8", 4);
		ip.b[4] = PICK(seed, edges);
		ip.b[8] = PICK(seed, edges);
		ip.b[15] = PICK(seed, edges);
		return ip;
	}
	return four;
}

static struct model_prefix random_prefix(uint64_t *seed, struct ex_ip ip, uint8_t at_least)
{
	static const uint8_t four[] = {
		96, 96 + 8, 96 + 15, 96 + 16, 96 + 17, 96 + 24, 96 + 31, 128
	};
	static const uint8_t six[] = { 0, 3, 16, 32, 33, 40, 41, 48, 64, 65, 96, 120, 127, 128 };
	struct model_prefix p = { .ip = ip };
	unsigned bit;

	do
		p.len = ex_ip_is4(&ip) ? PICK(seed, four) : PICK(seed, six);
	while (p.len < at_least);
	for (bit = p.len; bit < 128; bit++)
		p.ip.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	if (ex_ip_is4(&ip)) /* /0 has cleared no more than the address itself */
		p.ip.b[10] = p.ip.b[11] = 0xff;
	return p;
}

static uint16_t random_port(uint64_t *seed)
{
	static const uint16_t ports[] = { 1,    53,   79,    80,    81,    443,  1023,
					  1024, 1025, 32767, 32768, 65534, 65535 };

	return PICK(seed, ports);
}

static void random_ports(struct model_rule *r, uint64_t *seed)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 0 };

	r->has_ports = true;
	r->proto = PICK(seed, protos);
	r->lo = random_port(seed);
	r->hi = r->lo;
	switch (model_random(seed, 5)) {
	case 0: /* port "0": any */
		r->lo = 0;
		r->hi = 65535;
		break;
	case 1:
		r->hi = random_port(seed);
		if (r->hi < r->lo) {
			uint16_t t = r->hi;

			r->hi = r->lo;
			r->lo = t;
		}
		break;
	case 2:
	case 3:
		r->http = !r->deny && r->proto == IPPROTO_TCP;
		break;
	}
}

static void random_rule(struct model_rule *r, uint64_t *seed)
{
	*r = (struct model_rule){ .deny = model_random(seed, 4) == 0 };
	r->peer = model_random(seed, 4) ? MODEL_CIDR : (enum model_peer)model_random(seed, 4);
	if (r->peer == MODEL_CIDR) {
		r->cidr = random_prefix(seed, random_ip(seed), 0);
		if (model_random(seed, 2) && r->cidr.len < 128) {
			struct ex_ip in = random_ip(seed);

			r->except = random_prefix(seed, in, r->cidr.len);
			r->has_except = ex_ip_is4(&in) == ex_ip_is4(&r->cidr.ip) &&
					prefix_has(&r->cidr, &r->except.ip);
		}
	}
	switch (model_random(seed, 8)) {
	case 0:
		if (r->peer != MODEL_ANY) /* else the rule would be empty */
			return;
		break;
	case 1:
		r->icmp = true;
		r->proto = model_random(seed, 2) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		r->lo = r->proto == IPPROTO_ICMP ? 8 : 128;
		return;
	}
	random_ports(r, seed);
}

void model_random_policy(struct model_policy *p, uint64_t *seed)
{
	int i;

	p->n = 1 + (int)model_random(seed, MODEL_RULES);
	for (i = 0; i < p->n; i++)
		random_rule(&p->rules[i], seed);
}

void model_random_packet(const struct model_policy *p, struct model_packet *pkt, uint64_t *seed)
{
	static const uint8_t protos[] = { IPPROTO_TCP,  IPPROTO_TCP, IPPROTO_TCP,
					  IPPROTO_UDP,  IPPROTO_UDP, IPPROTO_SCTP,
					  IPPROTO_ICMP, IPPROTO_GRE, IPPROTO_ESP };
	const struct model_rule *r = &p->rules[model_random(seed, (uint32_t)p->n)];

	pkt->dst = random_ip(seed);
	if (r->peer == MODEL_CIDR && model_random(seed, 4) == 0 && r->cidr.len > 112)
		pkt->dst = r->cidr.ip;
	pkt->proto = PICK(seed, protos);
	pkt->port = random_port(seed);
	if (r->has_ports && r->lo && model_random(seed, 2))
		pkt->port = model_random(seed, 2) ? r->lo : r->hi;
	if (pkt->proto == IPPROTO_ICMP) {
		if (!ex_ip_is4(&pkt->dst))
			pkt->proto = IPPROTO_ICMPV6;
		pkt->port = (uint16_t)((pkt->proto == IPPROTO_ICMP ? 8 : 128) << 8 |
				       model_random(seed, 2));
	} else if (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_UDP &&
		   pkt->proto != IPPROTO_SCTP) {
		pkt->port = 0;
	}
}
