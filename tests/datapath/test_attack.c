/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile root in the workload against the gate on a real veth, with a sniffer in the world
 * behind the gateway. Whatever arrives there is read by a parser of its own, and must be what the
 * policy allows: TCP 443 or UDP 123 to one address of each family.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/gate/gate.h"
#include "tests/datapath/attacker.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

static struct netns ns;
static struct ex_gate *gate;
static struct ex_ip ok4, ok6, own4, own6;

static struct harvest {
	int frames, tcp4, tcp6, udp4, udp6;
} harvest;

static int setup(void **state)
{
	struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
		{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
	};
	struct ex_dest_entry dests[2] = { { .prefix = 128, .klass = 1 },
					  { .prefix = 128, .klass = 1 } };
	struct ex_tables t = { dests, 2, rules, 2, 1 };
	struct ex_endpoint ep;

	(void)state;
	assert_true(ex_ip_parse("198.51.100.7", &ok4));
	assert_true(ex_ip_parse("2001:db8::7", &ok6));
	assert_true(ex_ip_parse(NET_OWN4, &own4));
	assert_true(ex_ip_parse(NET_OWN6, &own6));
	dests[0].ip = ok4;
	dests[1].ip = ok6;
	netns_open(&ns);
	netns_add_world(&ns);
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	netns_endpoint(&ep, 0);
	assert_int_equal(ex_gate_publish(gate, ns.ifindex, &ep, &t), 0);
	assert_int_equal(ex_gate_attach(gate, ns.ifindex), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ex_gate_free(gate);
	netns_close(&ns);
	return 0;
}

/* The transport header of an allowed packet's address pair, or NULL. */
static const uint8_t *judge_addresses(const uint8_t *b, size_t len, uint8_t *proto)
{
	const uint8_t *ip = b + 14;

	if (pkt_get16(b + 12) == 0x0800 && len >= 14 + 28) {
		*proto = ip[9];
		if (ip[0] != 0x45 || memcmp(ip + 12, own4.b + 12, 4) ||
		    memcmp(ip + 16, ok4.b + 12, 4))
			return NULL;
		/* later fragments of a datagram whose first one was seen have no header to look at
		 */
		return ip + 20;
	}
	if (pkt_get16(b + 12) == 0x86dd && len >= 14 + 48) {
		*proto = ip[6];
		if (ip[0] >> 4 != 6 || memcmp(ip + 8, own6.b, 16) || memcmp(ip + 24, ok6.b, 16))
			return NULL;
		ip += 40;
		while ((*proto == 0 || *proto == 60) && ip + 16 <= b + len) {
			*proto = ip[0];
			ip += (ip[1] + 1) * 8;
		}
		if (*proto == IPPROTO_FRAGMENT && ip + 16 <= b + len && !(pkt_get16(ip + 2) & ~7)) {
			*proto = ip[0]; /* the first one */
			ip += 8;
		}
		return ip;
	}
	return NULL;
}

/* What the gateway says by itself on its own link: neighbour discovery, MLD. */
static bool is_gateways_own(const uint8_t *b, size_t len)
{
	static const uint8_t none[16];

	if (pkt_get16(b + 12) == 0x0806)
		return true;
	return pkt_get16(b + 12) == 0x86dd && len >= 14 + 40 &&
	       ((b[22] == 0xfe && (b[23] & 0xc0) == 0x80) || memcmp(b + 22, none, 16) == 0 ||
		(b[22] == 0x20 && b[37] == 1 && pkt_get16(b + 26) == 0xffff));
}

static void judge_frame(int sniffer, const uint8_t *b, size_t len)
{
	struct harvest *h = &harvest;
	const uint8_t *l4;
	uint8_t proto = 0;
	bool is4 = pkt_get16(b + 12) == 0x0800;

	(void)sniffer;
	if (is_gateways_own(b, len))
		return;
	h->frames++;
	if (memmem(b, len, ATTACKER_SECRET, strlen(ATTACKER_SECRET)))
		attacker_got_out(b, len, "world, with the secret");
	l4 = judge_addresses(b, len, &proto);
	if (l4 && is4 && proto == IPPROTO_UDP && (pkt_get16(b + 20) & 0x1fff))
		return; /* a later fragment; its first one was judged */
	if (l4 && l4 + 8 <= b + len && proto == IPPROTO_TCP && pkt_get16(l4 + 2) == 443 &&
	    ((l4[13] & 0x17) == PKT_SYN || (l4[13] & 0x17) == PKT_RST)) { /* nobody answers */
		*(is4 ? &h->tcp4 : &h->tcp6) += 1;
		return;
	}
	if (l4 && l4 + 8 <= b + len && proto == IPPROTO_UDP && pkt_get16(l4 + 2) == 123) {
		*(is4 ? &h->udp4 : &h->udp6) += 1;
		return;
	}
	attacker_got_out(b, len, "world");
}

static void test_nothing_gets_out_but_what_is_allowed(void **state)
{
	struct attacker a = { ns.workload, "exw", { -1, -1 }, judge_frame };
	const struct harvest *h = &harvest;

	(void)state;
	if (!attacker_is_there())
		skip();
	a.sniffers[0] = attacker_sniff(ns.world, "exv", ns.gw);
	attacker_run(&a);
	close(a.sniffers[0]);
	/* the sound packets before and after the attack: the wire was there all the time */
	assert_true(h->tcp4 >= 2 && h->tcp6 >= 2 && h->udp4 >= 2 && h->udp6 >= 2);
	print_message("%d frames got out, all allowed\n", h->frames);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_gets_out_but_what_is_allowed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
