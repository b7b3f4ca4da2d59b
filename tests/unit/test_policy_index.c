/* SPDX-License-Identifier: Apache-2.0 */
/* Large policies: what the indexes find is what looking at every rule finds. */
#include "policy_helper.h"

#include <stdio.h>

#include "policy/model.h"

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

#define PICK(list) ((list)[rnd(EX_ARRAY_SIZE(list))])

static const char *const labels[] = { "a", "b", "ab", "x-1", "www", "api" };
static const char *const zones[] = { "example", "example.com", "b.example", "test" };
static const uint16_t ports[] = { 53, 80, 443, 8000, 8080 };
static const char *const methods[] = { "GET", "PUT", "POST" };

static void put_pattern(FILE *f)
{
	switch (rnd(7)) {
	case 0:
		fprintf(f, "{matchPattern: '*.%s'}", PICK(zones));
		return;
	case 1:
		fprintf(f, "{matchPattern: '**.%s.%s'}", PICK(labels), PICK(zones));
		return;
	case 2:
		fprintf(f, "{matchPattern: '%s*.%s'}", PICK(labels), PICK(zones));
		return;
	case 3:
		fprintf(f, "{matchPattern: '%s.*.%s'}", PICK(labels), PICK(zones));
		return;
	case 4:
		fprintf(f, "{matchPattern: '%s.*'}", PICK(labels));
		return;
	default:
		fprintf(f, "{matchName: %s.%s}", PICK(labels), PICK(zones));
		return;
	}
}

static void put_path(FILE *f)
{
	switch (rnd(6)) {
	case 0:
		fprintf(f, "path: '/%s/%s'", PICK(labels), PICK(labels));
		return;
	case 1:
		fprintf(f, "path: '/%s/.*'", PICK(labels));
		return;
	case 2:
		fprintf(f, "path: '/%s/%s.*'", PICK(labels), PICK(labels));
		return;
	case 3:
		fprintf(f, "path: '/[a-b]+/%s'", PICK(labels));
		return;
	case 4:
		fprintf(f, "path: '/%s/a%%2F%s'", PICK(labels), PICK(labels));
		return;
	default:
		fprintf(f, "path: '/%s'", PICK(labels));
		return;
	}
}

static void put_peer(FILE *f, bool deny)
{
	switch (rnd(deny ? 3 : 4)) {
	case 0:
		fputs("  - toEntities: [world]\n", f);
		return;
	case 1:
		fprintf(f, "  - toCIDR: ['10.%u.0.0/16', '2001:db8::/32']\n", rnd(3));
		return;
	case 2:
		fputs("  - toFQDNs: [", f);
		for (uint32_t i = 1 + rnd(20); i; i--) {
			put_pattern(f);
			fputs(i > 1 ? ", " : "]\n", f);
		}
		return;
	default:
		fputs("  - toCIDR: [10.0.0.0/8]\n", f);
		return;
	}
}

static void put_ports(FILE *f, bool deny)
{
	uint16_t port = PICK(ports);

	switch (rnd(deny ? 3 : 7)) {
	case 0:
		return;
	case 1:
		fprintf(f, "    toPorts: [{ports: [{port: '%u', endPort: %u, protocol: TCP}]}]\n",
			port, port + rnd(40));
		return;
	case 2:
		fprintf(f, "    toPorts: [{ports: [{port: '%u', protocol: ANY}]}]\n", port);
		return;
	case 3:
		fprintf(f,
			"    toPorts: [{ports: [{port: '%u', protocol: UDP}],"
			" rules: {dns: [",
			port);
		put_pattern(f);
		fputs("]}}]\n", f);
		return;
	case 4:
		fprintf(f,
			"    toPorts: [{ports: [{port: '%u', protocol: TCP}],"
			" serverNames: ['*.%s', '%s.%s']}]\n",
			port, PICK(zones), PICK(labels), PICK(zones));
		return;
	default:
		fprintf(f,
			"    toPorts:\n    - ports: [{port: '%u', protocol: TCP}]\n"
			"      rules:\n        http:\n",
			port);
		for (uint32_t i = 1 + rnd(60); i; i--) {
			fprintf(f, "        - {method: %s, ", PICK(methods));
			put_path(f);
			fputs("}\n", f);
		}
		return;
	}
}

static struct ex_ruleset *random_ruleset(char **ret_text)
{
	struct ex_ruleset *rs;
	size_t len;
	FILE *f = open_memstream(ret_text, &len);

	assert_non_null(f);
	fputs("apiVersion: exeat.dev/v1alpha1\nkind: EgressPolicy\n"
	      "metadata: {name: p, namespace: ns}\nspec:\n  egress:\n",
	      f);
	for (uint32_t i = 20 + rnd(40); i; i--) {
		put_peer(f, false);
		put_ports(f, false);
	}
	if (rnd(2)) {
		fputs("  egressDeny:\n", f);
		for (uint32_t i = 1 + rnd(3); i; i--) {
			put_peer(f, true);
			fprintf(f, "    toPorts: [{ports: [{port: '%u', protocol: TCP}]}]\n",
				PICK(ports));
		}
	}
	fclose(f);
	rs = test_compile(*ret_text);
	return rs;
}

/* ---- the same without indexes ---- */

static void forget_indexes(struct ex_ruleset *rs)
{
	for (size_t i = 0; i < rs->n_classes; i++)
		rs->classes[i].index = NULL;
	for (size_t i = 0; i < rs->n_peers; i++) {
		for (size_t k = 0; k < rs->peers[i].n_terms; k++) {
			const struct ex_ports *p = rs->peers[i].terms[k].ports;

			if (p && p->index)
				((struct ex_ports *)(uintptr_t)p)->index = NULL;
		}
	}
}

static size_t count_indexes(const struct ex_ruleset *rs)
{
	size_t n = 0;

	for (size_t i = 0; i < rs->n_classes; i++)
		n += rs->classes[i].index != NULL;
	for (size_t i = 0; i < rs->n_peers; i++) {
		for (size_t k = 0; k < rs->peers[i].n_terms; k++)
			n += rs->peers[i].terms[k].ports && rs->peers[i].terms[k].ports->index;
	}
	return n;
}

static void same(struct ex_decision a, struct ex_decision b, const char *what, const char *policy)
{
	if (a.verdict != b.verdict || a.reason != b.reason || a.rule != b.rule)
		fail_msg("%s: index %d/%s/%u, every rule %d/%s/%u\n%s", what, a.verdict,
			 ex_reason_word(a.reason), a.rule, b.verdict, ex_reason_word(b.reason),
			 b.rule, policy);
}

static void check_probe(const struct ex_ruleset *fast, const struct ex_ruleset *slow,
			const char *policy, size_t *allowed)
{
	static const char *const addrs[] = { "10.0.1.1",   "10.1.2.3",     "10.2.0.1",
					     "10.9.9.9",   "198.51.100.7", "2001:db8::5",
					     "192.168.7.7" };
	struct ex_flow flow = test_flow(PICK(addrs), rnd(4) ? IPPROTO_TCP : IPPROTO_UDP,
					(uint16_t)(PICK(ports) + (rnd(5) ? 0 : rnd(50))));
	char name[64], other[64], path[64];
	struct ex_span known;
	struct ex_http_request req = { .tls = rnd(2) };

	snprintf(name, sizeof(name), "%s.%s", PICK(labels), PICK(zones));
	snprintf(other, sizeof(other), "%s.%s.%s", PICK(labels), PICK(labels), PICK(zones));
	snprintf(path, sizeof(path),
		 rnd(3)   ? "/%s/%s"
		 : rnd(2) ? "/%s"
			  : "/%s/a%%2F%s",
		 PICK(labels), PICK(labels));
	known = ex_span_str(rnd(2) ? name : other);
	flow.names = &known;
	flow.n_names = rnd(2);
	req.sni = req.host = req.authority = known;
	req.method = ex_span_str(PICK(methods));
	req.path = ex_span_str(path);
	same(ex_judge_l4(fast, &flow), ex_judge_l4(slow, &flow), "l4", policy);
	same(ex_judge_app(fast, &flow, EX_APP_TLS, known),
	     ex_judge_app(slow, &flow, EX_APP_TLS, known), "tls", policy);
	same(ex_judge_app(fast, &flow, EX_APP_OTHER, known),
	     ex_judge_app(slow, &flow, EX_APP_OTHER, known), "other", policy);
	same(ex_judge_http(fast, &flow, &req), ex_judge_http(slow, &flow, &req), path, policy);
	*allowed += ex_judge_http(fast, &flow, &req).verdict == EX_V_ALLOW;
}

static void test_judgements_do_not_depend_on_the_index(void **state)
{
	size_t allowed = 0, indexes = 0;

	(void)state;
	for (int i = 0; i < 60; i++) {
		char *text;
		struct ex_ruleset *fast = random_ruleset(&text), *slow = test_compile(text);

		indexes += count_indexes(fast);
		forget_indexes(slow);
		assert_int_equal(count_indexes(slow), 0);
		for (int k = 0; k < 400; k++)
			check_probe(fast, slow, text, &allowed);
		ex_ruleset_unref(fast);
		ex_ruleset_unref(slow);
		free(text);
	}
	assert_true(indexes > 300 && allowed > 1000);
}

/* Every pattern of every peer, one by one. */
static bool names_naively(const struct ex_rpeer *peer, struct ex_span name)
{
	for (size_t i = 0; i < peer->n_names; i++) {
		if (ex_name_match(&peer->names[i], name))
			return true;
	}
	return false;
}

static void check_name(const struct ex_ruleset *rs, struct ex_span name, size_t *found)
{
	bool seen[128] = { false };
	const struct ex_name_slot *slot;
	struct ex_name_iter it;

	assert_true(rs->n_peers <= EX_ARRAY_SIZE(seen));
	ex_name_find(&rs->name_index, name, &it);
	while ((slot = ex_name_next(&it))) {
		assert_true(ex_name_match(slot->pattern, name));
		seen[slot->peer] = true;
	}
	for (size_t i = 0; i < rs->n_peers; i++) {
		assert_int_equal(seen[i], names_naively(&rs->peers[i], name));
		assert_int_equal(ex_peer_names(rs, &rs->peers[i], name), seen[i]);
		*found += seen[i];
	}
}

static void test_names_are_found_under_their_tails(void **state)
{
	static const char *const odd[] = { "",
					   "example",
					   ".example",
					   "a..example",
					   "example.",
					   "a.b.c.d.e.f.example.com",
					   "xexample.com",
					   "*.example" };
	size_t found = 0;

	(void)state;
	for (int i = 0; i < 60; i++) {
		char *text, name[64];
		struct ex_ruleset *rs = random_ruleset(&text);

		for (size_t k = 0; k < EX_ARRAY_SIZE(odd); k++)
			check_name(rs, ex_span_str(odd[k]), &found);
		for (int k = 0; k < 200; k++) {
			snprintf(name, sizeof(name), rnd(2) ? "%s.%s" : "%s.x.%s", PICK(labels),
				 PICK(zones));
			check_name(rs, ex_span_str(name), &found);
		}
		ex_ruleset_unref(rs);
		free(text);
	}
	assert_true(found > 10000);
}

/* The DNS gate asks the same patterns through two more indexes. */
static void test_dns_and_server_names(void **state)
{
	struct ex_ruleset *rs = test_compile(
		HEAD "  egress:\n"
		     "  - toPorts: [{ports: [{port: '53', protocol: UDP}],"
		     " rules: {dns: [{matchPattern: '*.dns.example'}]}}]\n"
		     "  - toPorts: [{ports: [{port: '443', protocol: TCP}],"
		     " serverNames: ['**.sni.example', 'a.**.deep.example', '*', '**']}]\n");

	(void)state;
	assert_int_equal(ex_judge_dns(rs, EX_SPAN("a.dns.example")).verdict, EX_V_ALLOW);
	assert_int_equal(ex_judge_dns(rs, EX_SPAN("a.b.dns.example")).verdict, EX_V_DENY);
	assert_int_equal(ex_judge_dns(rs, EX_SPAN("a.b.sni.example")).verdict, EX_V_ALLOW);
	assert_int_equal(ex_judge_dns(rs, EX_SPAN("sni.example")).verdict, EX_V_DENY);
	assert_int_equal(ex_judge_dns(rs, EX_SPAN("a.x.y.deep.example")).verdict, EX_V_ALLOW);
	assert_int_equal(ex_judge_dns(rs, EX_SPAN("b.x.deep.example")).verdict, EX_V_DENY);
	assert_int_equal(ex_judge_dns(rs, EX_SPAN("other.example")).verdict, EX_V_DENY);
	ex_ruleset_unref(rs);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judgements_do_not_depend_on_the_index),
		cmocka_unit_test(test_names_are_found_under_their_tails),
		cmocka_unit_test(test_dns_and_server_names),
	};

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10);
	printf("# seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
