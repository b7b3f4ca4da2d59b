/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints: nobody is another, and what was written down is read back, or stays closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/core/log.h"
#include "agent/core/state_file.h"
#include "agent/node/registry.h"
#include "agent/node/resolvers.h"
#include "policy/label.h"
#include "tests/unit/scratch.h"

static char dir[] = "/tmp/exeat-registry-XXXXXX";
static struct ex_registry reg;

static int set_up(void **state)
{
	(void)state;
	ex_log_set_level(EX_LOG_ERROR);
	return scratch_new(dir) < 0 ? -1 : ex_registry_open(&reg, dir, 8);
}

static int tear_down(void **state)
{
	(void)state;
	ex_registry_done(&reg);
	return scratch_remove(dir);
}

/* An endpoint out of a request, at an interface of its own. */
static struct ex_node_endpoint *make(const char *request, uint32_t ifindex, const char *ip)
{
	struct ex_node_endpoint *e = ex_node_endpoint_new();
	char err[EX_NODE_ERR] = "";
	struct ex_jv *rq;

	assert_non_null(e);
	assert_int_equal(ex_jv_read(ex_span_str(request), &rq, err), 0);
	if (ex_node_endpoint_read(e, rq, err) < 0)
		fail_msg("%s", err);
	ex_jv_free(rq);
	e->link.ifindex = ifindex;
	e->link.mac[0] = 2;
	e->link.mac[5] = (uint8_t)ifindex;
	assert_true(ex_ip_parse(ip, &e->link.ip4));
	return e;
}

static void add(struct ex_node_endpoint *e)
{
	char err[EX_NODE_ERR];

	assert_int_equal(ex_registry_check(&reg, e, err), 0);
	assert_int_equal(ex_registry_number(&reg, e), 0);
	ex_registry_insert(&reg, e);
	assert_int_equal(ex_registry_save(&reg, e), 0);
}

static bool is_read(const char *request)
{
	struct ex_node_endpoint *e = ex_node_endpoint_new();
	char err[EX_NODE_ERR] = "";
	struct ex_jv *rq;
	int r;

	assert_int_equal(ex_jv_read(ex_span_str(request), &rq, err), 0);
	r = ex_node_endpoint_read(e, rq, err);
	assert_true(r == 0 || *err);
	ex_jv_free(rq);
	ex_node_endpoint_free(e);
	return r == 0;
}

/* With as many addresses as there may be. */
static char *peers_of(const char *request, size_t *ret_len)
{
	struct ex_node_endpoint *e = make(request, 5, "192.168.100.100");
	const struct ex_registry alone = { .first = e };
	char *text;

	memset(&e->link.ip6, 0xfd, sizeof(e->link.ip6));
	memset(e->link.more, 0xfd, sizeof(e->link.more));
	text = ex_registry_peers(&alone, ret_len);
	assert_non_null(text);
	ex_node_endpoint_free(e);
	return text;
}

static size_t peer_len(const char *request)
{
	size_t len;

	free(peers_of(request, &len));
	return len;
}

static bool is_peer(const char *request)
{
	struct ex_text text = { .name = "peers" };
	struct ex_known *known = NULL;
	struct ex_diags diags = { 0 };
	char *bytes = peers_of(request, &text.text.len);

	text.text.ptr = bytes;
	if (ex_known_read(&text, 1, &known, &diags) < 0)
		print_message("%s: %s\n", request, diags.n ? diags.items[0].message : "");
	ex_diags_done(&diags);
	ex_known_unref(known);
	free(bytes);
	return known;
}

static const char *label(const struct ex_node_endpoint *e, const char *key)
{
	const struct ex_label_set set = { e->labels, e->n_labels };

	return ex_label_get(&set, key);
}

/* ---- who one is ---- */

static void test_the_namespace_is_no_label_of_its_own_choice(void **state)
{
	struct ex_node_endpoint *e =
		make("{\"name\":\"a\",\"namespace\":\"mine\",\"labels\":{\"app\":\"x\","
		     "\"io.kubernetes.pod.namespace\":\"kube-system\","
		     "\"io.cilium.k8s.policy.serviceaccount\":\"admin\"}}",
		     5, "10.0.0.1");

	(void)state;
	assert_string_equal(label(e, "app"), "x");
	assert_string_equal(label(e, EX_LABEL_NAMESPACE), "mine");
	assert_null(label(e, "io.cilium.k8s.policy.serviceaccount"));
	ex_node_endpoint_free(e);
}

static void test_refuse_what_is_no_name_and_no_label(void **state)
{
	(void)state;
	assert_true(is_read("{\"name\":\"a.b-c_1\"}"));
	assert_false(is_read("{}"));
	assert_false(is_read("{\"name\":\"\"}"));
	assert_false(is_read("{\"name\":\"a b\"}"));
	assert_false(is_read("{\"name\":\"../a\"}"));
	assert_false(is_read("{\"name\":\"a\\n\"}"));
	assert_false(is_read("{\"name\":7}"));
	assert_false(is_read("{\"name\":\"a\",\"namespace\":\"x/y\"}"));
	assert_false(is_read("{\"name\":\"a\",\"labels\":{\"reserved:host\":\"\"}}"));
	assert_false(is_read("{\"name\":\"a\",\"labels\":{\"k8s:app\":\"x\"}}"));
	assert_false(is_read("{\"name\":\"a\",\"labels\":{\"app\":\"x\\ny\"}}"));
	/* which, read a second time, would be "app", or another member */
	assert_false(is_read("{\"name\":\"a\",\"labels\":{\"\\\\u0061pp\":\"x\"}}"));
	assert_false(is_read("{\"name\":\"a\",\"labels\":{\"a\\\"b\":\"x\"}}"));
	assert_false(is_read("{\"name\":\"a\",\"labels\":{\"app\":7}}"));
	assert_false(is_read("{\"name\":\"a\",\"labels\":\"app=x\"}"));
	assert_false(is_read("{\"name\":\"a\",\"labels\":[]}"));
	assert_false(is_read("{\"name\":\"a\",\"serve\":\"80\"}"));
	assert_false(is_read("{\"name\":\"a\",\"dns\":\"192.0.2.1\"}"));
	assert_false(is_read("{\"name\":\"a\",\"serve\":[\"all\"]}"));
	assert_false(is_read("{\"name\":\"a\",\"dns\":[\"nowhere\"]}"));
}

/* n labels, each with as long a value as there may be. */
static char *many_labels(size_t n, char fill, char *text, size_t cap)
{
	struct ex_json j;

	ex_json_init(&j, text, cap - 1);
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "name", "a");
	ex_json_open(&j, "labels", '{');
	for (size_t i = 0; i < n; i++) {
		char key[32], value[254] = "";

		snprintf(key, sizeof(key), "label-%zu", i);
		memset(value, fill, sizeof(value) - 1);
		ex_json_text(&j, key, value);
	}
	ex_json_close(&j, '}');
	ex_json_close(&j, '}');
	assert_true(ex_json_done(&j) > 0);
	text[j.len] = '\0';
	return text;
}

/* Who is taken is read by every round: one whose labels cannot be would keep all others from it. */
static void test_what_is_taken_is_read_as_a_peer(void **state)
{
	static const char *const odd[] = { "<<",
					   "=",
					   "a[0]",
					   "#x",
					   "&a",
					   "*a",
					   "!a",
					   "-",
					   "?",
					   "null",
					   "~",
					   "\\u0080",
					   "\\u2028",
					   "\\ufeff",
					   "\\uffff",
					   "\\u00e4",
					   "\\ud83d\\ude80",
					   "\\udbff\\udfff" };
	static char text[65536], longest[256];
	size_t n;

	(void)state;
	memset(longest, '<', 200);
	for (size_t i = 0; i <= EX_ARRAY_SIZE(odd); i++) {
		const char *word = i < EX_ARRAY_SIZE(odd) ? odd[i] : longest;

		snprintf(text, sizeof(text), "{\"name\":\"a\",\"labels\":{\"%s\":\"x\"}}", word);
		assert_true(!is_read(text) || is_peer(text));
		snprintf(text, sizeof(text), "{\"name\":\"a\",\"labels\":{\"x\":\"%s\"}}", word);
		assert_true(!is_read(text) || is_peer(text));
	}
	assert_true(is_read("{\"name\":\"a\",\"labels\":{\"tls[0].main\":\"<\\u00e4>\"}}"));
	/* as many endpoints as a node may have, each with all that it may have */
	for (n = 32; n && !is_read(many_labels(n, '<', text, sizeof(text))); n--)
		;
	assert_true(n > 8);
	assert_true(is_read(many_labels(48, 'x', text, sizeof(text))));
	assert_true(peer_len(many_labels(n, '<', text, sizeof(text))) <= EX_NODE_PEER_MAX);
}

static void refuse(struct ex_node_endpoint *e, int why)
{
	char err[EX_NODE_ERR] = "";

	assert_int_equal(ex_registry_check(&reg, e, err), why);
	assert_true(*err);
	ex_node_endpoint_free(e);
}

static struct ex_node_endpoint *make_with(const char *request, uint32_t ifindex, const char *ip4,
					  const char *ip6)
{
	struct ex_node_endpoint *e = make(request, ifindex, ip4);

	assert_true(ex_ip_parse(ip6, &e->link.ip6));
	return e;
}

static void test_nobody_is_another(void **state)
{
	struct ex_node_endpoint *e;

	(void)state;
	add(make("{\"name\":\"a\"}", 5, "10.0.0.1"));
	refuse(make("{\"name\":\"a\"}", 6, "10.0.0.2"), -EEXIST);
	refuse(make("{\"name\":\"b\"}", 5, "10.0.0.2"), -EEXIST);
	refuse(make("{\"name\":\"b\"}", 6, "10.0.0.1"), -EEXIST);
	e = make("{\"name\":\"b\"}", 6, "10.0.0.2");
	e->link.mac[5] = 5;
	refuse(e, -EEXIST);
	/* an address that the other has as a further one */
	ex_registry_by_id(&reg, 1)->link.more[0] = (struct ex_ip){ .b = { 0x20, 1, [15] = 9 } };
	e = make("{\"name\":\"b\"}", 6, "10.0.0.2");
	e->link.ip6 = (struct ex_ip){ .b = { 0x20, 1, [15] = 9 } };
	refuse(e, -EEXIST);
	add(make("{\"name\":\"a\",\"namespace\":\"other\"}", 6, "10.0.0.2"));
	assert_int_equal(reg.n, 2);
	/* as which the gates of others would take it: NAT64, 6to4; and the other way round */
	refuse(make_with("{\"name\":\"c\"}", 7, "10.0.0.3", "64:ff9b::a00:1"), -EEXIST);
	refuse(make_with("{\"name\":\"c\"}", 7, "10.0.0.3", "2002:a00:2::1"), -EEXIST);
	add(make_with("{\"name\":\"c\"}", 7, "10.0.0.3", "2002:a00:4::1"));
	refuse(make("{\"name\":\"d\"}", 8, "10.0.0.4"), -EEXIST);
	/* two of one site, whose router has that address */
	add(make_with("{\"name\":\"d\"}", 8, "10.0.0.5", "2002:a00:4::2"));
}

static void test_refuse_one_too_many(void **state)
{
	char rq[32], ip[16];

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(rq, sizeof(rq), "{\"name\":\"e%u\"}", i);
		snprintf(ip, sizeof(ip), "10.0.0.%u", i + 1);
		add(make(rq, 5 + i, ip));
	}
	refuse(make("{\"name\":\"z\"}", 99, "10.0.9.9"), -E2BIG);
}

static void test_an_id_is_never_given_twice(void **state)
{
	struct ex_node_endpoint *e;

	(void)state;
	add(make("{\"name\":\"a\"}", 5, "10.0.0.1"));
	add(make("{\"name\":\"b\"}", 6, "10.0.0.2"));
	e = ex_registry_by_id(&reg, 2);
	ex_registry_remove(&reg, e);
	ex_node_endpoint_free(e);
	ex_registry_done(&reg);
	assert_int_equal(ex_registry_open(&reg, dir, 8), 0);
	assert_int_equal(ex_registry_recover(&reg), 0);
	assert_int_equal(reg.n, 1);
	add(make("{\"name\":\"c\"}", 7, "10.0.0.3"));
	assert_non_null(ex_registry_by_id(&reg, 3));
}

/* ---- state files ---- */

static void test_all_of_it_is_read_back(void **state)
{
	struct ex_node_endpoint *e =
		make("{\"name\":\"a\",\"namespace\":\"n\",\"container_id\":\"c1\",\"serve\":"
		     "[\"80\",\"53/udp\",\"any\"],\"dns\":[\"10.0.0.53\"],"
		     "\"labels\":{\"app\":\"\\u00e4\\\"x\"}}",
		     5, "10.0.0.1");
	const struct ex_node_endpoint *back;

	(void)state;
	e->link.bridged = true;
	e->link.mtu = 1400;
	e->link.ip6 = (struct ex_ip){ .b = { 0xfd, [15] = 1 } };
	e->link.more[1] = (struct ex_ip){ .b = { 0xfd, [15] = 2 } };
	e->confined = false;
	add(e);
	ex_registry_done(&reg);
	assert_int_equal(ex_registry_open(&reg, dir, 8), 0);
	assert_int_equal(ex_registry_recover(&reg), 0);
	back = ex_registry_by_container(&reg, "c1", NULL);
	assert_non_null(back);
	assert_string_equal(back->name, "a");
	assert_string_equal(back->ns, "n");
	assert_string_equal(label(back, "app"), "\xc3\xa4\"x");
	assert_int_equal(back->n_serve, 3);
	assert_int_equal(back->serve[1].proto, 17);
	assert_int_equal(back->n_dns, 1);
	assert_true(back->own_dns);
	assert_true(back->link.bridged);
	assert_int_equal(back->link.mtu, 1400);
	assert_int_equal(back->link.ip6.b[15], 1);
	assert_int_equal(back->link.more[0].b[15], 2);
	assert_false(back->confined);
}

/* An endpoint is answered in the place of all that the node has had, as far as there is room. */
static void test_an_endpoint_gets_the_resolvers_of_the_node(void **state)
{
	static const uint8_t left[EX_NODE_DNS_MAX] = { 2, 10, 11, 12, 13, 14, 0, 15 };
	static struct ex_node node;
	struct ex_resolvers *dns = &node.config.dns;
	struct ex_node_endpoint e = { 0 };

	(void)state;
	for (dns->n = 0; dns->n < 3; dns->n++)
		dns->v[dns->n].ip.b[15] = (uint8_t)dns->n;
	assert_true(ex_node_resolvers_give(&node, &e));
	assert_int_equal(e.n_dns, 3);
	assert_false(ex_node_resolvers_give(&node, &e));
	for (uint8_t i = 10; i < 16; i++) { /* the first one stays in force */
		dns->v[1].ip.b[15] = dns->v[2].ip.b[15] = i;
		assert_true(ex_node_resolvers_give(&node, &e));
		assert_false(ex_node_resolvers_give(&node, &e));
	}
	assert_int_equal(e.n_dns, EX_NODE_DNS_MAX);
	for (size_t i = 0; i < EX_NODE_DNS_MAX; i++)
		assert_int_equal(e.dns[i].b[15], left[i]);
	e.own_dns = true;
	dns->v[1].ip.b[15] = 99;
	assert_false(ex_node_resolvers_give(&node, &e));
}

static void test_a_torn_or_foreign_state_file_is_set_aside(void **state)
{
	static const char *const bad[] = { "",
					   "{",
					   "[]",
					   "{\"name\":\"a\"}",
					   "{\"id\":1,\"name\":\"a\"}",
					   "{\"id\":2,\"name\":\"a\",\"link\":{\"ifindex\":5}}" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++) {
		assert_int_equal(ex_state_file_write(reg.dir, "1.json", 0600, ex_span_str(bad[i])),
				 0);
		assert_int_equal(ex_registry_recover(&reg), 0);
		assert_int_equal(reg.n, 0);
		assert_int_equal(faccessat(reg.dir, "1.json", F_OK, 0), -1);
		assert_int_equal(faccessat(reg.dir, "1.json.bad", F_OK, 0), 0);
	}
	/* and it is known that there was one */
	add(make("{\"name\":\"c\"}", 7, "10.0.0.3"));
	assert_null(ex_registry_by_id(&reg, 1));
}

static void test_missing_confined_means_confined(void **state)
{
	struct ex_node_endpoint *e = make("{\"name\":\"a\"}", 5, "10.0.0.1");
	struct ex_node_endpoint *back = ex_node_endpoint_new();
	char err[EX_NODE_ERR], text[2048];
	struct ex_json j;
	struct ex_jv *tree;

	(void)state;
	e->id = 1;
	ex_json_init(&j, text, sizeof(text) - 1);
	ex_json_open(&j, NULL, '{');
	ex_node_endpoint_write(e, &j);
	ex_json_close(&j, '}');
	text[ex_json_done(&j)] = '\0';
	memcpy(strstr(text, "\"confined\""), "\"unfitting\"", 1);
	assert_non_null(strstr(text, "confined"));
	memcpy(strstr(text, "confined"), "konfined", 8);
	assert_int_equal(ex_jv_read(ex_span_str(text), &tree, err), 0);
	assert_int_equal(ex_node_endpoint_recover(back, tree, err), 0);
	assert_true(back->confined);
	ex_jv_free(tree);
	ex_node_endpoint_free(e);
	ex_node_endpoint_free(back);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_an_endpoint_gets_the_resolvers_of_the_node),
		T(test_the_namespace_is_no_label_of_its_own_choice),
		T(test_refuse_what_is_no_name_and_no_label),
		T(test_what_is_taken_is_read_as_a_peer),
		T(test_nobody_is_another),
		T(test_refuse_one_too_many),
		T(test_an_id_is_never_given_twice),
		T(test_all_of_it_is_read_back),
		T(test_a_torn_or_foreign_state_file_is_set_aside),
		T(test_missing_confined_means_confined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
