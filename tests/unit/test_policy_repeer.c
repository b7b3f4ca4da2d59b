/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints come and go under a ruleset: led over from one set of them to the next it has to be
 * what a fresh compilation gives, for every address; and the delta, laid over the tables in force,
 * what a fresh publication gives.
 */
#include "policy_helper.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "policy/model.h"

#define ENDPOINTS 24
#define ROUNDS    400

static uint64_t seed = 7;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static const char policy[] =
	HEAD "  egress:\n"
	     "  - toEndpoints: [{matchLabels: {app: a1}}]\n"
	     "    toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{}]}}]\n"
	     "  - toEndpoints: [{matchLabels: {app: a2}}, {matchLabels: {app: a3}}]\n"
	     "    toPorts: [{ports: [{port: '81', protocol: TCP}]}]\n"
	     "  - toEndpoints: [{matchExpressions: [{key: app, operator: NotIn, values: [a1]}]}]\n"
	     "    toPorts: [{ports: [{port: '82', protocol: UDP}]}]\n"
	     "  - toCIDR: [10.1.0.0/16]\n"
	     "    toPorts: [{ports: [{port: '83', protocol: TCP}]}]\n"
	     "  - toEntities: [cluster]\n"
	     "    toPorts: [{ports: [{port: '84', protocol: TCP}]}]\n"
	     "  - toFQDNs: [{matchName: a.example}]\n"
	     "  egressDeny:\n"
	     "  - toEndpoints: [{matchLabels: {app: a4}}]\n"
	     "    toPorts: [{ports: [{port: '81', protocol: TCP}]}]\n"
	     "  ingress:\n"
	     "  - fromEndpoints: [{matchLabels: {app: a1}}]\n"
	     "    toPorts: [{ports: [{port: '90', protocol: TCP}]}]\n";

static const char no_selectors[] = HEAD "  egress:\n"
					"  - toCIDR: [10.1.0.0/16]\n"
					"    toPorts: [{ports: [{port: '83', protocol: TCP}]}]\n";

/* The app of each endpoint; 0 = it is not there. */
static unsigned apps[ENDPOINTS];

static struct ex_known *known_now(void)
{
	struct ex_diags diags = { 0 };
	struct ex_known *k = NULL;
	char text[8192];
	size_t n = (size_t)snprintf(text, sizeof(text), "endpoints:\n");
	struct ex_text t = { "peers", { text, 0 } };
	bool any = false;

	for (unsigned i = 0; i < ENDPOINTS; i++) {
		if (!apps[i])
			continue;
		any = true;
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "- {name: e%u, namespace: %s, labels: {app: a%u}, "
				      "addresses: [10.1.0.%u, 'fd09::%x']}\n",
				      i, i % 5 ? "ns" : "other", apps[i], i + 1, i + 1);
	}
	if (!any)
		n = (size_t)snprintf(text, sizeof(text), "endpoints: []\n");
	t.text.len = n;
	assert_int_equal(ex_known_read(&t, 1, &k, &diags), 0);
	ex_diags_done(&diags);
	return k;
}

static struct ex_ruleset *compile_for(const char *text, const struct ex_known *known,
				      const struct ex_reached_list *reached)
{
	static const struct ex_inward inward;
	struct ex_ip dns = test_ip("192.0.0.1");
	struct ex_text t = { "policy.yaml", { text, strlen(text) } };
	struct ex_compile_input in = { .texts = &t,
				       .n_texts = 1,
				       .known = known,
				       .reached = reached,
				       .dns_ips = &dns,
				       .n_dns_ips = 1,
				       .repeers = !reached,
				       .inward = reached ? NULL : &inward };
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs = NULL;

	assert_int_equal(ex_compile(&in, &rs, &diags), 0);
	ex_diags_done(&diags);
	return rs;
}

/* ---- two rulesets say the same ---- */

static void assert_same_word(const struct ex_ruleset *a, const struct ex_ruleset *b,
			     const struct ex_ip *ip, uint8_t proto, uint16_t port)
{
	struct ex_flow f = { .dst = *ip, .proto = proto, .port = port };
	struct ex_decision x = ex_judge_l4(a, &f), y = ex_judge_l4(b, &f);

	assert_int_equal(x.verdict, y.verdict);
	assert_int_equal(x.reason, y.reason);
	assert_int_equal(x.rule, y.rule);
	assert_int_equal(ex_name_selects(a, ip), ex_name_selects(b, ip));
}

static void assert_same(const struct ex_ruleset *a, const struct ex_ruleset *b)
{
	static const char *const more[] = { "10.1.9.9",   "10.2.0.1",    "8.8.8.8",
					    "fd09::ffff", "2001:db8::1", "192.0.0.1" };

	for (uint16_t port = 79; port < 92; port++) {
		for (unsigned i = 0; i < ENDPOINTS; i++) {
			char text[32];
			struct ex_ip ip;

			(void)snprintf(text, sizeof(text), "10.1.0.%u", i + 1);
			ip = test_ip(text);
			assert_same_word(a, b, &ip, IPPROTO_TCP, port);
			(void)snprintf(text, sizeof(text), "fd09::%x", i + 1);
			ip = test_ip(text);
			assert_same_word(a, b, &ip, IPPROTO_TCP, port);
			assert_same_word(a, b, &ip, IPPROTO_UDP, port);
		}
		for (size_t i = 0; i < EX_ARRAY_SIZE(more); i++) {
			struct ex_ip ip = test_ip(more[i]);

			assert_same_word(a, b, &ip, IPPROTO_TCP, port);
		}
	}
}

/* ---- tables as a kernel would have them ---- */

struct image {
	struct ex_dest_entry dests[512];
	size_t n;
	struct ex_rule_entry rules[4096];
	size_t n_rules;
};

static size_t find_dest(const struct image *im, const struct ex_dest_entry *e)
{
	size_t i = 0;

	while (i < im->n &&
	       (im->dests[i].prefix != e->prefix || !ex_ip_eq(&im->dests[i].ip, &e->ip)))
		i++;
	return i;
}

static void lay_over(struct image *im, const struct ex_delta *d)
{
	for (size_t i = 0; i < d->put.n_rules; i++)
		im->rules[im->n_rules++] = d->put.rules[i];
	for (size_t i = 0; i < d->put.n_dests; i++) {
		size_t at = find_dest(im, &d->put.dests[i]);

		im->n += at == im->n;
		im->dests[at] = d->put.dests[i];
	}
	for (size_t i = 0; i < d->n_gone; i++) {
		size_t at = find_dest(im, &d->gone[i]);

		assert_true(at < im->n); /* what goes was there */
		im->dests[at] = im->dests[--im->n];
	}
}

static void assert_image(const struct image *im, const struct ex_ruleset *rs)
{
	struct ex_tables t = { 0 };

	assert_int_equal(ex_emit(rs, &t), 0);
	assert_int_equal(im->n, t.n_dests);
	for (size_t i = 0; i < t.n_dests; i++) {
		size_t at = find_dest(im, &t.dests[i]);

		assert_true(at < im->n);
		assert_int_equal(im->dests[at].klass, t.dests[i].klass);
	}
	assert_int_equal(im->n_rules, t.n_rules);
	for (size_t i = 0; i < t.n_rules; i++)
		assert_int_equal(im->rules[i].klass, t.rules[i].klass);
	ex_tables_done(&t);
}

static void take_image(struct image *im, const struct ex_ruleset *rs)
{
	struct ex_tables t = { 0 };

	assert_int_equal(ex_emit(rs, &t), 0);
	assert_true(t.n_dests <= 512 && t.n_rules <= 4096);
	memcpy(im->dests, t.dests, t.n_dests * sizeof(*t.dests));
	if (t.n_rules)
		memcpy(im->rules, t.rules, t.n_rules * sizeof(*t.rules));
	im->n = t.n_dests;
	im->n_rules = t.n_rules;
	ex_tables_done(&t);
}

/* ---- tests ---- */

static void change(void)
{
	unsigned i = rnd(ENDPOINTS);

	apps[i] = apps[i] && rnd(2) ? 0 : 1 + rnd(5);
}

static void test_led_over_is_as_compiled(void **state)
{
	struct ex_known *known = known_now();
	struct ex_ruleset *rs = compile_for(policy, known, NULL);
	static struct image out, in;
	unsigned anew = 0;

	(void)state;
	ex_known_unref(known);
	take_image(&out, rs);
	take_image(&in, ex_ruleset_ingress(rs));
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct ex_ruleset *fresh, *next = NULL;
		struct ex_delta d = { 0 };
		int r;

		change();
		known = known_now();
		fresh = compile_for(policy, known, NULL);
		r = ex_repeer(rs, known, &next);
		ex_known_unref(known);
		if (r == -ESTALE) { /* numbers are used up */
			ex_ruleset_unref(rs);
			rs = fresh;
			take_image(&out, rs);
			take_image(&in, ex_ruleset_ingress(rs));
			anew++;
			continue;
		}
		assert_int_equal(r, 0);
		assert_same(next, fresh);
		assert_same(ex_ruleset_ingress(next), ex_ruleset_ingress(fresh));
		assert_int_equal(ex_ruleset_n_rules(next), ex_ruleset_n_rules(fresh));
		assert_int_equal(test_delta(rs, next, &d), 0);
		assert_true(d.put.n_dests + d.n_gone <= 2);
		lay_over(&out, &d);
		assert_image(&out, next);
		ex_delta_done(&d);
		assert_int_equal(test_delta(ex_ruleset_ingress(rs), ex_ruleset_ingress(next), &d),
				 0);
		lay_over(&in, &d);
		assert_image(&in, ex_ruleset_ingress(next));
		ex_delta_done(&d);
		ex_ruleset_unref(rs);
		ex_ruleset_unref(fresh);
		rs = next;
	}
	assert_true(anew < ROUNDS / 50);
	ex_ruleset_unref(rs);
}

/* Without an endpoint's name or label a proxy judges as its parent does. */
static void test_reached_addresses_stand_for_endpoints(void **state)
{
	struct ex_reached_list reached;
	struct ex_ruleset *rs, *there;
	struct ex_known *known;

	(void)state;
	for (unsigned i = 0; i < ENDPOINTS; i++)
		apps[i] = 1 + i % 5;
	known = known_now();
	rs = compile_for(policy, known, NULL);
	reached = ex_ruleset_reached(rs);
	there = compile_for(policy, NULL, &reached);
	assert_same(rs, there);
	assert_int_equal(ex_judge_l4(there, &(struct ex_flow){ .dst = test_ip("10.1.0.2"),
							       .proto = IPPROTO_TCP,
							       .port = 81 })
				 .verdict,
			 EX_V_ALLOW);
	ex_ruleset_unref(there);
	ex_ruleset_unref(rs);
	ex_known_unref(known);
}

static void test_a_rule_that_is_not_there_reaches_nothing(void **state)
{
	const struct ex_reached v[] = { { test_ip("10.1.0.1"), EX_REACHED_NONE },
					{ test_ip("10.1.0.1"), 4000000000u } };
	const struct ex_reached_list reached = { v, 2 };
	struct ex_ruleset *rs = compile_for(policy, NULL, &reached);

	(void)state;
	assert_int_equal(test_l4(rs, "10.1.0.1", IPPROTO_TCP, 80).verdict, EX_V_DENY);
	assert_int_equal(test_l4(rs, "10.1.0.1", IPPROTO_TCP, 83).verdict, EX_V_DENY);
	assert_int_equal(test_l4(rs, "10.1.0.2", IPPROTO_TCP, 83).verdict, EX_V_ALLOW);
	ex_ruleset_unref(rs);
}

/* An address that a CIDR rule has is not the world's once an endpoint has it. */
static void test_without_selectors_an_endpoint_still_leaves_the_world(void **state)
{
	struct ex_known *known;
	struct ex_ruleset *rs, *next = NULL;
	struct ex_delta d = { 0 };

	(void)state;
	memset(apps, 0, sizeof(apps));
	known = known_now();
	rs = compile_for(no_selectors, known, NULL);
	ex_known_unref(known);
	apps[3] = 1;
	known = known_now();
	assert_int_equal(test_l4(rs, "10.1.0.4", IPPROTO_TCP, 83).verdict, EX_V_ALLOW);
	assert_int_equal(ex_repeer(rs, known, &next), 0);
	assert_int_equal(test_l4(next, "10.1.0.4", IPPROTO_TCP, 83).verdict, EX_V_DENY);
	assert_int_equal(test_l4(next, "10.1.0.5", IPPROTO_TCP, 83).verdict, EX_V_ALLOW);
	assert_int_equal(test_delta(rs, next, &d), 0);
	assert_int_equal(d.put.n_dests, 2);
	assert_false(d.steers);
	ex_delta_done(&d);
	ex_known_unref(known);
	ex_ruleset_unref(rs); /* next lives on its rules */
	assert_int_equal(test_l4(next, "10.1.0.5", IPPROTO_TCP, 83).verdict, EX_V_ALLOW);
	ex_ruleset_unref(next);
}

static void test_an_address_that_the_proxy_has_is_told_of(void **state)
{
	struct ex_known *known;
	struct ex_ruleset *rs, *next = NULL, *last = NULL;
	struct ex_delta d = { 0 };

	(void)state;
	memset(apps, 0, sizeof(apps));
	known = known_now();
	rs = compile_for(policy, known, NULL);
	ex_known_unref(known);
	apps[3] = 1; /* its port 80 is the proxy's */
	known = known_now();
	assert_int_equal(ex_repeer(rs, known, &next), 0);
	ex_known_unref(known);
	assert_int_equal(test_delta(rs, next, &d), 0);
	assert_true(d.steers);
	ex_delta_done(&d);
	apps[3] = 0; /* and was */
	known = known_now();
	assert_int_equal(ex_repeer(next, known, &last), 0);
	ex_known_unref(known);
	assert_int_equal(test_delta(next, last, &d), 0);
	assert_int_equal(d.n_gone, 2);
	assert_true(d.steers);
	ex_delta_done(&d);
	ex_ruleset_unref(rs);
	ex_ruleset_unref(next);
	ex_ruleset_unref(last);
}

static void test_other_rules_are_no_delta(void **state)
{
	struct ex_known *known;
	struct ex_ruleset *a, *b, *c;
	struct ex_delta d = { 0 };

	(void)state;
	memset(apps, 0, sizeof(apps));
	known = known_now();
	a = compile_for(policy, known, NULL);
	b = compile_for(no_selectors, known, NULL);
	c = test_compile(no_selectors); /* made without in->repeers */
	assert_int_equal(test_delta(a, b, &d), -ESTALE);
	assert_int_equal(ex_repeer(c, known, &b), -ESTALE);
	ex_known_unref(known);
	ex_ruleset_unref(a);
	ex_ruleset_unref(b);
	ex_ruleset_unref(c);
}

#define MANY 20000

/* The whole of IPv4, and every other address from `first` on. */
static struct ex_tables many_of(struct ex_rule_entry *rules, uint8_t first)
{
	struct ex_tables t = { .rules = rules, .n_rules = 1, .n_classes = 2 };

	t.dests = calloc(MANY + 1, sizeof(*t.dests));
	assert_non_null(t.dests);
	t.dests[t.n_dests++] = (struct ex_dest_entry){ test_ip("0.0.0.0"), 96, 1 };
	for (uint32_t i = 0; i < MANY; i++) {
		const uint8_t four[] = { 10, (uint8_t)(i >> 15), (uint8_t)(i >> 7),
					 (uint8_t)((i & 127) << 1 | first) };

		t.dests[t.n_dests++] = (struct ex_dest_entry){ ex_ip_from4(four), 128, 2 };
	}
	return t;
}

/* A node that was away finds all of them others; what is around each is not searched for. */
static void test_all_others_at_once_stay_cheap(void **state)
{
	struct ex_rule_entry steer = { .klass = 1, .value.verdict = EX_V_STEER };
	struct ex_tables a = many_of(&steer, 0), b = many_of(&steer, 1);
	clock_t start = clock();
	struct ex_delta d;

	(void)state;
	assert_int_equal(ex_tables_delta(&a, &b, &d), 0);
	assert_true(clock() - start < CLOCKS_PER_SEC);
	assert_int_equal(d.n_gone, MANY);
	assert_int_equal(d.put.n_dests, MANY);
	assert_true(d.steers); /* as they were of 0.0.0.0/0, or are now */
	ex_delta_done(&d);
	free(a.dests);
	free(b.dests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_led_over_is_as_compiled),
		cmocka_unit_test(test_reached_addresses_stand_for_endpoints),
		cmocka_unit_test(test_a_rule_that_is_not_there_reaches_nothing),
		cmocka_unit_test(test_without_selectors_an_endpoint_still_leaves_the_world),
		cmocka_unit_test(test_an_address_that_the_proxy_has_is_told_of),
		cmocka_unit_test(test_other_rules_are_no_delta),
		cmocka_unit_test(test_all_others_at_once_stay_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
