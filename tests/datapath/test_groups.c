/* SPDX-License-Identifier: Apache-2.0 */
/* Multicast: what every stack says of its groups is denied and counted, and is no event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/gate/gate_internal.h"
#include "tests/datapath/bench.h"

#define GROUP4_MAC "01:00:5e:00:00:16"
#define GROUP6_MAC "33:33:00:00:00:16"
#define OWN_LL     "fe80::2"

static unsigned events;

static void note(void *arg, const struct ex_event *ev)
{
	(void)arg;
	(void)ev;
	events++;
}

static unsigned drain(void)
{
	events = 0;
	assert_int_equal(ex_gate_events_drain(bench_gate, note, NULL), 0);
	return events;
}

/* IGMP as stacks send it, with the router alert option. */
static enum ex_reason igmp(const char *dst, const char *mac, uint8_t type)
{
	static const uint8_t alert[4] = { 0x94, 4, 0, 0 };
	struct pkt_frame f;

	pkt_build(&f,
		  &(struct pkt_spec){
			  .dst = dst, .dst_mac = mac, .proto = IPPROTO_IGMP, .payload_len = 12 });
	memcpy(f.b + PKT_L3 + 20, alert, sizeof(alert));
	f.b[PKT_L3] = 0x46;
	f.b[PKT_L3 + 24] = type;
	pkt_checksums(&f);
	return bench_send(&f).reason;
}

static enum ex_reason mld(const char *dst, const char *mac, uint8_t type)
{
	static const uint8_t alert[8] = { IPPROTO_ICMPV6, 0, 5, 2 };

	return bench_out(&(struct pkt_spec){ .src = OWN_LL,
					     .dst = dst,
					     .dst_mac = mac,
					     .proto = IPPROTO_ICMPV6,
					     .dport = (uint16_t)(type << 8),
					     .ext = alert,
					     .ext_len = sizeof(alert),
					     .ext_type = IPPROTO_HOPOPTS,
					     .payload_len = 20 });
}

static void test_reports_of_groups_are_denied_and_no_event(void **state)
{
	static const uint8_t of_igmp[] = { 0x12, 0x16, 0x17, 0x22 }, of_mld[] = { 131, 132, 143 };
	size_t i;

	(void)state;
	(void)drain();
	for (i = 0; i < sizeof(of_igmp); i++)
		assert_int_equal(igmp("224.0.0.22", GROUP4_MAC, of_igmp[i]), EX_R_GROUP_REPORT);
	for (i = 0; i < sizeof(of_mld); i++)
		assert_int_equal(mld("ff02::16", GROUP6_MAC, of_mld[i]), EX_R_GROUP_REPORT);
	assert_int_equal(drain(), 0);
}

static void test_query_that_only_routers_send_is_an_event(void **state)
{
	(void)state;
	(void)drain();
	assert_int_equal(igmp("224.0.0.1", GROUP4_MAC, 0x11), EX_R_IP_OPTIONS);
	assert_int_equal(mld("ff02::1", GROUP6_MAC, 130), EX_R_SOURCE_ADDRESS);
	assert_int_equal(drain(), 2);
}

static void test_report_to_no_group_or_a_wider_one_is_an_event(void **state)
{
	(void)state;
	(void)drain();
	assert_int_equal(igmp("224.0.0.22", NET_GW_MAC, 0x22), EX_R_IP_OPTIONS);
	assert_int_equal(igmp("224.0.1.22", GROUP4_MAC, 0x22), EX_R_IP_OPTIONS);
	assert_int_equal(igmp("198.51.100.7", GROUP4_MAC, 0x22), EX_R_IP_OPTIONS);
	assert_int_equal(mld("ff02::16", NET_GW_MAC, 143), EX_R_SOURCE_ADDRESS);
	assert_int_equal(mld("ff05::16", GROUP6_MAC, 143), EX_R_SOURCE_ADDRESS);
	assert_int_equal(mld("2001:db8::7", GROUP6_MAC, 143), EX_R_SOURCE_ADDRESS);
	assert_int_equal(drain(), 6);
}

static int setup(void **state)
{
	const struct ex_rule_entry rule = {
		1, 0, 0, 0, { EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, 1 }
	};

	(void)state;
	bench_open(NULL);
	bench_publish_rules(&rule, 1, EX_EP_SILENT);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reports_of_groups_are_denied_and_no_event),
		cmocka_unit_test(test_query_that_only_routers_send_is_an_event),
		cmocka_unit_test(test_report_to_no_group_or_a_wider_one_is_an_event),
	};

	return cmocka_run_group_tests(tests, setup, bench_teardown);
}
