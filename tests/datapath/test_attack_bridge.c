/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile root in a pod on a bridge, with sniffers in another pod, which has no gate, and in the
 * world behind the host. What arrives is read here anew: to the world TCP 443 and UDP 123 of one
 * address of each family, and on the bridge what a neighbour has to say about itself. TCP 80 and
 * UDP 53 are steered, with nobody there.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/gate/gate.h"
#include "tests/datapath/attacker.h"
#include "tests/datapath/bridge.h"
#include "tests/datapath/pkt.h"

#define A_MAC      "02:65:78:00:02:02"
#define B_MAC      "02:65:78:00:02:03"
#define A_GATE_MAC "02:65:78:00:03:02"
#define HOST_MAC   "02:65:78:00:01:01"
#define A_LL       "fe80::65:78ff:fe00:202"

static struct bridge net;
static struct ex_gate *gate;
static struct ex_ip a4, a6, a_ll, world4, world6;

static int setup(void **state)
{
	struct ex_rule_entry rules[] = {
		{ 1, 32, IPPROTO_TCP, 443, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 } },
		{ 1, 32, IPPROTO_UDP, 123, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 2 } },
		{ 1, 32, IPPROTO_TCP, 80, { EX_V_STEER, EX_KIND_TCP, EX_R_ALLOWED, 3 } },
		{ 1, 32, IPPROTO_UDP, 53, { EX_V_STEER, EX_KIND_DNS, EX_R_ALLOWED, 4 } },
	};
	struct ex_dest_entry dests[2] = { { .prefix = 128, .klass = 1 },
					  { .prefix = 128, .klass = 1 } };
	const struct ex_tables t = { dests, 2, rules, EX_ARRAY_SIZE(rules), 1 };
	struct bridge_pod *a = &net.pods[0];

	(void)state;
	assert_true(ex_ip_parse(WORLD4, &world4) && ex_ip_parse(WORLD6, &world6));
	assert_true(ex_ip_parse(POD_A4, &a4) && ex_ip_parse(POD_A6, &a6));
	assert_true(ex_ip_parse(A_LL, &a_ll));
	dests[0].ip = world4;
	dests[1].ip = world6;
	bridge_open(&net);
	assert_int_equal(ex_gate_load(NULL, &gate), 0);
	assert_int_equal(ex_gate_publish(gate, a->ifindex, &a->ep, &t), 0);
	assert_int_equal(ex_gate_attach_gateway(gate, a->ifindex, a->gate_ifindex, a->gateway), 0);
	assert_int_equal(ex_gate_attach(gate, a->ifindex), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ex_gate_free(gate);
	bridge_close(&net);
	return 0;
}

/* Of the pod, to the allowed address and port? */
static bool is_allowed(const uint8_t *b, size_t len)
{
	const uint8_t *ip = b + 14, *l4 = NULL;
	uint8_t proto = 0;

	if (pkt_get16(b + 12) == 0x0800 && len >= 14 + 28) {
		proto = ip[9];
		if (ip[0] != 0x45 || memcmp(ip + 12, a4.b + 12, 4) ||
		    memcmp(ip + 16, world4.b + 12, 4))
			return false;
		if (proto == IPPROTO_UDP && (pkt_get16(ip + 6) & 0x1fff))
			return true; /* a later fragment; its first one was judged */
		l4 = ip + 20;
	} else if (pkt_get16(b + 12) == 0x86dd && len >= 14 + 48) {
		proto = ip[6];
		if (memcmp(ip + 8, a6.b, 16) || memcmp(ip + 24, world6.b, 16))
			return false;
		for (l4 = ip + 40; (proto == 0 || proto == 60) && l4 + 16 <= b + len;) {
			proto = l4[0];
			l4 += (l4[1] + 1) * 8;
		}
		if (proto == IPPROTO_FRAGMENT && l4 + 16 <= b + len && !(pkt_get16(l4 + 2) & ~7)) {
			proto = l4[0]; /* the first one */
			l4 += 8;
		}
	}
	return l4 && l4 + 8 <= b + len &&
	       ((proto == IPPROTO_TCP && pkt_get16(l4 + 2) == 443) ||
		(proto == IPPROTO_UDP && pkt_get16(l4 + 2) == 123));
}

/* ARP and ND of the pod about itself. */
static bool is_about_itself(const uint8_t *b, size_t len)
{
	static const uint8_t mac[6] = { 2, 0x65, 0x78, 0, 2, 2 }, none[16];
	const uint8_t *ip = b + 14, *nd = b + 54;
	bool probe, own;

	if (memcmp(b + 6, mac, 6))
		return false;
	if (pkt_get16(b + 12) == 0x0806) {
		probe = pkt_get16(b + 20) == 1 && !memcmp(b + 28, none, 4) &&
			!memcmp(b + 38, a4.b + 12, 4);
		return !memcmp(b + 22, mac, 6) && (probe || !memcmp(b + 28, a4.b + 12, 4));
	}
	if (pkt_get16(b + 12) != 0x86dd || ip[6] != IPPROTO_ICMPV6 || len < 14 + 64)
		return false;
	own = !memcmp(nd + 8, &a6, 16) || !memcmp(nd + 8, &a_ll, 16);
	if (!memcmp(ip + 8, none, 16))
		return nd[0] == 135 && own;
	if (memcmp(ip + 8, &a6, 16) && memcmp(ip + 8, &a_ll, 16))
		return false;
	return nd[0] == 135 ? nd[8] == 0xfd || nd[8] == 0xfe : nd[0] == 136 && own;
}

/* What the host says by itself: everything it sends from addresses of its own. */
static bool is_hosts(const uint8_t *b)
{
	static const uint8_t bridge[6] = { 2, 0x65, 0x78, 0, 1, 1 }, none[16];
	bool link_local = b[22] == 0xfe && (b[23] & 0xc0) == 0x80;

	if (pkt_get16(b + 12) == 0x0800) /* the groups it is in */
		return memcmp(b + 6, bridge, 6) == 0 && b[23] == IPPROTO_IGMP && b[26] == 10 &&
		       b[29] == 1;
	if (pkt_get16(b + 12) == 0x0806)
		return memcmp(b + 6, bridge, 6) == 0 ? b[28] == 10 && b[31] == 1 : b[28] == 203;
	return pkt_get16(b + 12) == 0x86dd &&
	       memcmp(b + 6, (uint8_t[]){ 2, 0x65, 0x78, 0, 2 }, 5) &&
	       (link_local || !memcmp(b + 22, none, 16) || b[37] == 1);
}

static struct attacker attacker = { .device = "eth0" };
static int allowed[2]; /* by sniffer: in the world, in the pod beside */

static void judge_frame(int sniffer, const uint8_t *b, size_t len)
{
	bool on_bridge = sniffer == attacker.sniffers[1];

	if (!memmem(b, len, ATTACKER_SECRET, strlen(ATTACKER_SECRET)) && is_allowed(b, len))
		allowed[on_bridge]++;
	else if (!is_hosts(b) && !(on_bridge && is_about_itself(b, len)))
		attacker_got_out(b, len, on_bridge ? "bridge" : "world");
}

static void test_pod_speaks_for_itself_and_to_whom_it_may(void **state)
{
	(void)state;
	if (!attacker_is_there())
		skip();
	setenv("OWN", POD_A4 " " POD_A6, 1);
	setenv("GW", BRIDGE_HOST4 " " BRIDGE_HOST6, 1);
	setenv("OK", WORLD4 " " WORLD6, 1);
	setenv("MACS", A_MAC " " HOST_MAC, 1);
	setenv("NEAR", POD_B4 " " POD_B6 " " B_MAC, 1);
	setenv("GATE", A_GATE_MAC, 1);
	attacker.ns = net.pods[0].ns;
	attacker.heard = judge_frame;
	attacker.sniffers[0] = attacker_sniff(net.world, "eth0", net.host);
	attacker.sniffers[1] = attacker_sniff(net.pods[1].ns, "eth0", net.host);
	attacker_run(&attacker);
	close(attacker.sniffers[0]);
	close(attacker.sniffers[1]);
	assert_true(allowed[0] >= 8); /* the sound packets before and after the attack */
	print_message("%d frames got to the world, %d to the pod beside, all allowed\n", allowed[0],
		      allowed[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pod_speaks_for_itself_and_to_whom_it_may),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
