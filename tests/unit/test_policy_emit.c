/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel tables against ex_judge_l4(): a naive longest-prefix reader of the one, random probes.
 */
#include "policy_helper.h"

#include <errno.h>
#include <stdio.h>

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static const char *const nets[] = {
	"10.0.0.0/8",     "10.1.0.0/16",   "10.1.2.0/24",   "10.1.2.3/32", "0.0.0.0/0",
	"192.168.0.0/16", "::/0",          "2001:db8::/32", "fd09::/16",   "2001:db8:1::/48",
	"64:ff9b::/96",   "2002:a01::/32", "169.254.0.0/16"
};
static const char *const addrs[] = { "10.0.0.1",     "10.1.0.1",        "10.1.2.9",
				     "10.1.2.3",     "8.8.8.8",         "192.168.1.1",
				     "192.168.7.7",  "10.9.0.1",        "10.9.0.2",
				     "fd09::1",      "fd09::2",         "2001:db8::1",
				     "2001:db8:1::", "2001:db8:77::7",  "169.254.1.1",
				     "192.0.0.1",    "2002:a01:203::1", "64:ff9b::a01:203",
				     "::1",          "2001:db9::1",     "fd7e:a7c3:1b5d::1",
				     "::a01:203" };
static const char *const names[] = { "a.example", "b.example", "c.test", "d.c.test" };
static const uint16_t ports[] = { 0, 1, 22, 53, 79, 80, 81, 90, 91, 443, 1024, 8080, 65535 };
static const uint8_t protos[] = { IPPROTO_TCP,    IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP,
				  IPPROTO_ICMPV6, 47,          255 };

static bool own; /* write an EgressPolicy, which may deny by name and request, and audit */

static void add_peer(FILE *f, bool deny)
{
	switch (rnd(deny && !own ? 4 : 6)) {
	case 0:
		fprintf(f, "  - toCIDRSet: [{cidr: '10.0.0.0/8', except: [10.1.2.0/24]}]\n");
		return;
	case 1:
		fprintf(f, "  - toCIDR: ['%s', '%s']\n", nets[rnd(EX_ARRAY_SIZE(nets))],
			nets[rnd(EX_ARRAY_SIZE(nets))]);
		return;
	case 2:
		fprintf(f, "  - toEndpoints: [%s]\n", rnd(2) ? "{}" : "{matchLabels: {app: gw}}");
		return;
	case 3:
		fprintf(f, "  - toEntities: [%s]\n",
			(const char *[]){ "world", "all", "host", "cluster", "none",
					  "world-ipv4" }[rnd(6)]);
		return;
	case 4:
		fprintf(f, "  - toFQDNs: [{matchName: '%s'}]\n", names[rnd(4)]);
		return;
	case 5:
		fprintf(f, "  - toFQDNs: [{matchPattern: '%s'}]\n", rnd(2) ? "*.example" : "*");
		return;
	}
}

static void add_ports(FILE *f, bool deny)
{
	uint16_t port = ports[rnd(EX_ARRAY_SIZE(ports))];

	if (rnd(4) == 0)
		return;
	fprintf(f, "    toPorts:\n    - ports: [{port: '%u', protocol: ", port);
	switch (rnd(deny ? own ? 4 : 3 : 5)) {
	case 0:
		fprintf(f, "TCP}]\n");
		break;
	case 1:
		fprintf(f, "ANY}]\n");
		break;
	case 2:
		fprintf(f, "UDP%s}]\n", port == 80 ? ", endPort: 90" : "");
		break;
	case 3:
		if (port)
			fprintf(f, "TCP}]\n      rules: {http: [{method: GET}]}\n");
		else
			fprintf(f, "TCP}]\n");
		break;
	case 4:
		if (port)
			fprintf(f, "ANY}]\n      rules: {dns: [{matchName: x.example}]}\n");
		else
			fprintf(f, "SCTP}]\n");
		break;
	}
}

static char *random_policy(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	own = rnd(2);
	fputs(own ? OWN : HEAD, f);
	if (own && rnd(6) == 0)
		fputs("  enforcement: audit\n", f);
	if (!own && rnd(8) == 0)
		fputs("  enableDefaultDeny: {egress: false}\n", f);
	fputs("  egress:\n  - {}\n", f);
	for (uint32_t i = rnd(6); i; i--) {
		add_peer(f, false);
		add_ports(f, false);
	}
	if (rnd(2)) {
		fputs("  egressDeny:\n", f);
		for (uint32_t i = 1 + rnd(2); i; i--) {
			add_peer(f, true);
			if (own && rnd(4) == 0)
				fputs("    enforcement: audit\n", f);
			add_ports(f, true);
		}
	}
	fclose(f);
	return text;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (((a[i / 8] ^ b[i / 8]) >> (7 - i % 8)) & 1)
			return false;
	}
	return true;
}

static uint32_t find_dest(const struct ex_tables *t, const struct ex_ip *ip)
{
	uint32_t klass = 0;
	int best = -1;

	for (size_t i = 0; i < t->n_dests; i++) {
		if (t->dests[i].prefix <= best ||
		    !same_bits(t->dests[i].ip.b, ip->b, t->dests[i].prefix))
			continue;
		best = t->dests[i].prefix;
		klass = t->dests[i].klass;
	}
	return klass;
}

static struct ex_rule find_rule(const struct ex_rule_entry *v, size_t n, uint32_t klass,
				uint8_t proto, uint16_t port)
{
	struct ex_rule value = { 0 };
	int best = -1;

	for (size_t i = 0; i < n; i++) {
		const struct ex_rule_entry *e = &v[i];
		uint8_t key[4] = { 0, e->proto, (uint8_t)(e->port >> 8), (uint8_t)e->port };
		uint8_t want[4] = { 0, proto, (uint8_t)(port >> 8), (uint8_t)port };

		assert_true(e->prefix <= 32);
		if (e->klass != klass || e->prefix <= best || !same_bits(key, want, e->prefix))
			continue;
		best = e->prefix;
		value = e->value;
	}
	return value;
}

/* deny, then allow, then steer, as abi.h says; an entry with DEFAULT_DENY is as good as none */
static int rank(const struct ex_rule *v)
{
	if (v->verdict == EX_V_DENY && v->reason == EX_R_DEFAULT_DENY)
		return 0;
	return v->verdict == EX_V_DENY ? 3 : v->verdict == EX_V_ALLOW ? 2 : v->verdict ? 1 : 0;
}

static struct ex_rule merge(struct ex_rule a, struct ex_rule b)
{
	if (rank(&a) == 1 && rank(&b) == 1 && b.kind == EX_KIND_DNS)
		return b;
	return rank(&b) > rank(&a) ? b : a;
}

static struct ex_rule look_up(const struct ex_tables *t, const struct ex_flow *f)
{
	struct ex_rule raw =
		find_rule(t->rules, t->n_rules, find_dest(t, &f->dst), f->proto, f->port);
	struct ex_rule inner;
	struct ex_ip hidden;

	if (!ex_ip_embedded(&f->dst, &hidden))
		return raw;
	inner = find_rule(t->rules, t->n_rules, find_dest(t, &hidden), f->proto, f->port);
	return raw.verdict == EX_V_DENY ? merge(raw, inner) : inner;
}

static void check_probe(const struct ex_ruleset *rs, const struct ex_tables *t,
			struct ex_name_classes *nc, const char *policy)
{
	const char *addr = addrs[rnd(EX_ARRAY_SIZE(addrs))];
	struct ex_span known = ex_span_str(names[rnd(4)]);
	struct ex_flow f =
		test_flow(addr, protos[rnd(EX_ARRAY_SIZE(protos))],
			  rnd(4) ? ports[rnd(EX_ARRAY_SIZE(ports))] : (uint16_t)rnd(65536));
	struct ex_rule got, named = { 0 };
	struct ex_decision want;
	struct ex_tables fresh;
	struct ex_ip hidden;
	uint32_t klass = 0;
	bool alone;

	if (rnd(2)) {
		f.names = &known;
		f.n_names = 1;
		assert_int_equal(ex_name_class(nc, &known, 1, &klass, &fresh), 0);
		if (!ex_name_selects(rs, &f.dst))
			klass = 0;
		if (klass && fresh.n_rules)
			named = find_rule(fresh.rules, fresh.n_rules, klass, f.proto, f.port);
		else if (klass)
			return; /* made before: its entries were checked then */
	}
	want = ex_judge_l4(rs, &f);
	got = merge(look_up(t, &f), named);
	if (got.verdict == EX_V_INVALID)
		got = (struct ex_rule){ .verdict = EX_V_DENY, .reason = EX_R_DEFAULT_DENY };
	/* where two entries meet, one knows nothing of what audit mode says to the other */
	alone = !f.n_names && !ex_ip_embedded(&f.dst, &hidden);
	if (got.verdict == EX_V_ALLOW && !got.reason)
		got.reason = EX_R_ALLOWED;
	if (got.verdict != want.verdict ||
	    (got.verdict == EX_V_DENY && got.reason != (unsigned)want.reason) ||
	    (got.verdict == EX_V_ALLOW && alone && got.reason != (unsigned)want.reason))
		fail_msg(
			"%s proto %u port %u name %.*s: tables say %u/%u, judge %u/%u (rule %u)\n%s",
			addr, f.proto, f.port, (int)f.n_names * 9, known.ptr, got.verdict,
			got.reason, want.verdict, want.reason, want.rule, policy);
}

static void test_tables_agree_with_judge(void **state)
{
	(void)state;
	for (int i = 0; i < 400; i++) {
		char *text = random_policy();
		struct ex_ruleset *rs = test_compile(text);
		struct ex_name_classes *nc;
		struct ex_tables t;

		assert_int_equal(ex_emit(rs, &t), 0);
		assert_int_equal(ex_name_classes_new(rs, &nc), 0);
		for (int k = 0; k < 300; k++)
			check_probe(rs, &t, nc, text);
		ex_name_classes_free(nc);
		ex_tables_done(&t);
		ex_ruleset_unref(rs);
		free(text);
	}
}

static void test_same_policy_same_tables(void **state)
{
	char *text = random_policy();
	struct ex_tables a, b;
	struct ex_ruleset *r1 = test_compile(text), *r2 = test_compile(text);

	(void)state;
	assert_int_equal(ex_emit(r1, &a), 0);
	assert_int_equal(ex_emit(r2, &b), 0);
	assert_int_equal(a.n_dests, b.n_dests);
	assert_int_equal(a.n_rules, b.n_rules);
	assert_memory_equal(a.dests, b.dests, a.n_dests * sizeof(*a.dests));
	ex_tables_done(&a);
	ex_tables_done(&b);
	ex_ruleset_unref(r1);
	ex_ruleset_unref(r2);
	free(text);
}

static void test_name_classes_are_bounded_and_stable(void **state)
{
	struct ex_ruleset *rs = test_compile(HEAD "  egress:\n"
						  "  - toFQDNs: [{matchName: a.example}]\n"
						  "  - toFQDNs: [{matchName: b.example}]\n");
	struct ex_span ab[] = { ex_span_str("b.example"), ex_span_str("a.example") };
	struct ex_span none = ex_span_str("c.example");
	struct ex_name_classes *nc;
	uint32_t one, two, again, zero;
	struct ex_tables fresh, all;

	(void)state;
	assert_int_equal(ex_emit(rs, &all), 0);
	assert_int_equal(ex_name_classes_new(rs, &nc), 0);
	assert_int_equal(ex_name_class(nc, ab, 1, &one, &fresh), 0);
	assert_true(fresh.n_rules > 0 && one > all.n_classes);
	assert_int_equal(ex_name_class(nc, ab, 2, &two, &fresh), 0);
	assert_true(fresh.n_rules > 0 && two == one + 1);
	ex_name_class_undo(nc); /* the kernel had no room for it */
	assert_int_equal(ex_name_class(nc, ab, 2, &again, &fresh), 0);
	assert_true(fresh.n_rules > 0 && again == two);
	assert_int_equal(ex_name_class(nc, ab, 1, &again, &fresh), 0);
	assert_true(again == one && fresh.n_rules == 0);
	ex_name_class_undo(nc); /* none was made */
	assert_int_equal(ex_name_class(nc, ab, 2, &again, &fresh), 0);
	assert_true(again == two && fresh.n_rules == 0);
	assert_int_equal(ex_name_class(nc, &none, 1, &zero, &fresh), 0);
	assert_int_equal(zero, 0);
	ex_tables_done(&all);
	ex_name_classes_free(nc);
	ex_ruleset_unref(rs);
}

/* n names, of which so many are in one rule. */
static struct ex_ruleset *spell(int n, int in_one)
{
	static char text[200000];
	size_t len = (size_t)snprintf(text, sizeof(text), HEAD "  egress:\n");

	for (int i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s{matchName: n%d.example}%s",
					i % in_one ? ", " : "  - toFQDNs: [", i,
					i % in_one == in_one - 1 ? "]\n" : "");
	assert_true(len < sizeof(text));
	return test_compile(text);
}

static int fits(struct ex_ruleset *rs, size_t max_rules, uint32_t *ret_rule)
{
	int r = ex_name_classes_fit(rs, max_rules, ret_rule);

	ex_ruleset_unref(rs);
	return r;
}

static void test_names_without_room_are_told_of_by_their_rule(void **state)
{
	uint32_t rule;

	(void)state;
	assert_int_equal(fits(spell(EX_NAME_CLASSES_MAX, 1), SIZE_MAX, &rule), 0);
	assert_int_equal(fits(spell(EX_NAME_CLASSES_MAX + 2, 1), SIZE_MAX, &rule), -ENOSPC);
	assert_int_equal(rule, EX_NAME_CLASSES_MAX + 1);
	assert_int_equal(fits(spell(2 * EX_NAME_CLASSES_MAX, 16), SIZE_MAX, &rule), 0);
	assert_int_equal(fits(spell(3, 1), 100, &rule), 0);
	assert_int_equal(fits(spell(3, 1), 1, &rule), -EDQUOT);
	assert_int_equal(rule, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_agree_with_judge),
		cmocka_unit_test(test_same_policy_same_tables),
		cmocka_unit_test(test_name_classes_are_bounded_and_stable),
		cmocka_unit_test(test_names_without_room_are_told_of_by_their_rule),
	};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10);
	printf("# seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
