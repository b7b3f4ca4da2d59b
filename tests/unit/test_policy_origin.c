/* SPDX-License-Identifier: Apache-2.0 */
/* originatingTLS: which requests it is about, where its secret is, and what is no such rule. */
#include "policy_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/proxy/bundle.h"
#include "policy/header.h"
#include "policy/secret.h"

#define TLS(context) "      originatingTLS: {" context "}\n"
#define PORTS        "    - ports: [{port: '443', protocol: TCP}]\n"
#define TO           "  - toFQDNs: [{matchName: api.test}]\n    toPorts:\n" PORTS
#define CARD         "secret: {namespace: shop, name: card}"
#define ADMIN        "      rules: {http: [{path: /admin.*}]}\n"

static const struct ex_secret secrets[] = {
	{ "shop", "card", EX_SPAN("the chain"), "tls.crt", false },
	{ "shop", "card", EX_SPAN("the key"), "tls.key", true },
	{ "shop", "roots", EX_SPAN("the roots"), "ca.crt", false },
	{ "shop", "named", EX_SPAN("c"), "my.pem", false },
	{ "shop", "named", EX_SPAN("k"), "my-key.pem", true },
	{ "shop", "named", EX_SPAN("r"), "their.pem", false },
	{ "shop", "half", EX_SPAN("c"), "tls.crt", false },
	{ "shop", "other-half", EX_SPAN("k"), "tls.key", true },
	{ "ns", "own", EX_SPAN("r"), "ca.crt", false },
	{ "shop", "header", EX_SPAN("one value"), NULL, false },
};

static const char *complaint;

static const char *check(const struct ex_origin *o)
{
	(void)o;
	return complaint;
}

static int try_text(const char *text, const char *dir, struct ex_ruleset **rs,
		    struct ex_diags *diags)
{
	const struct ex_compile_input in = {
		.secrets = dir ? NULL : secrets,
		.n_secrets = dir ? 0 : EX_ARRAY_SIZE(secrets),
		.secrets_dir = dir,
	};

	return ex_compile_text(text, strlen(text), NULL, 0, &in, rs, diags);
}

static struct ex_ruleset *compile(const char *text)
{
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r = try_text(text, NULL, &rs, &diags);

	if (r < 0)
		ex_diags_print(&diags, stderr);
	assert_int_equal(r, 0);
	ex_diags_done(&diags);
	return rs;
}

static void refuse_from(const char *text, const char *dir, int line, const char *message)
{
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	bool told = false;

	assert_int_equal(try_text(text, dir, &rs, &diags), -EINVAL);
	for (size_t i = 0; i < diags.n; i++) {
		told |= !diags.items[i].warning && diags.items[i].line == line &&
			diags.items[i].col > 0 && diags.items[i].remedy &&
			strstr(diags.items[i].message, message);
		assert_null(strstr(diags.items[i].message, "the key"));
	}
	if (!told) {
		ex_diags_print(&diags, stderr);
		fail_msg("nobody said: %s", message);
	}
	ex_diags_done(&diags);
}

static void refuse(const char *text, const char *message)
{
	refuse_from(text, NULL, 10, message);
}

static const struct ex_origin *origin_at(const struct ex_ruleset *rs, const char *path, bool tls,
					 enum ex_verdict verdict)
{
	static const struct ex_span name = EX_SPAN("api.test");
	const struct ex_flow flow = { .dst = test_ip("1.2.3.4"),
				      .port = 443,
				      .proto = IPPROTO_TCP,
				      .names = &name,
				      .n_names = 1 };
	const struct ex_http_request req = { .tls = tls,
					     .sni = name,
					     .method = EX_SPAN("GET"),
					     .path = ex_span_str(path),
					     .host = name,
					     .authority = name };
	struct ex_header_edits edits;

	assert_int_equal(ex_judge_http_edits(rs, &flow, &req, &edits).verdict, verdict);
	return edits.origin;
}

static void assert_origin(const struct ex_origin *o, const char *chain, const char *key,
			  const char *roots)
{
	assert_non_null(o);
	assert_true(ex_span_eq(o->chain, ex_span_str(chain)));
	assert_true(ex_span_eq(o->key, ex_span_str(key)));
	assert_true(ex_span_eq(o->roots, ex_span_str(roots)));
}

/* ---- what it is about ---- */

static void test_requests_of_the_rule_and_no_others(void **state)
{
	struct ex_ruleset *rs = compile(HEAD "  egress:\n" TO TLS(CARD) ADMIN
					"  - toFQDNs: [{matchName: api.test}]\n    toPorts:\n" PORTS
					"      rules: {http: [{path: /public}]}\n");
	const struct ex_origin *o = origin_at(rs, "/admin/x", true, EX_V_ALLOW);

	(void)state;
	assert_origin(o, "the chain", "the key", "");
	assert_string_equal(o->ns, "shop");
	assert_string_equal(o->name, "card");
	assert_null(origin_at(rs, "/public", true, EX_V_ALLOW));
	assert_null(origin_at(rs, "/else", true, EX_V_DENY));
	/* without TLS there is none to be begun anew, and the rule is about that alone */
	assert_null(origin_at(rs, "/admin/x", false, EX_V_DENY));
	assert_null(origin_at(rs, "/public", false, EX_V_ALLOW));
	assert_ptr_equal(ex_ruleset_origins(rs), o);
	assert_null(o->next);
	ex_ruleset_unref(rs);
}

/* The first rule that allows a request has the say about it. */
static void test_the_first_rule_decides(void **state)
{
	static const char with[] = TO TLS(CARD) ADMIN;
	static const char without[] = TO "      rules: {http: [{}]}\n";
	static const char unread[] = "  - toCIDR: [0.0.0.0/0]\n    toPorts:\n" PORTS;
	char text[2048];
	struct ex_ruleset *rs;

	(void)state;
	snprintf(text, sizeof(text), HEAD "  egress:\n%s%s", with, without);
	rs = compile(text);
	assert_non_null(origin_at(rs, "/admin", true, EX_V_ALLOW));
	ex_ruleset_unref(rs);
	snprintf(text, sizeof(text), HEAD "  egress:\n%s%s", without, with);
	rs = compile(text);
	assert_null(origin_at(rs, "/admin", true, EX_V_ALLOW));
	ex_ruleset_unref(rs);
	snprintf(text, sizeof(text), HEAD "  egress:\n%s%s", unread, with);
	rs = compile(text);
	assert_null(origin_at(rs, "/admin", true, EX_V_ALLOW));
	ex_ruleset_unref(rs);
}

/* What audit mode lets pass no rule has allowed; what it only notes changes nothing. */
static void test_audit_mode_gives_nothing_and_takes_nothing(void **state)
{
	struct ex_ruleset *rs =
		compile("apiVersion: exeat.dev/v1alpha1\nkind: EgressPolicy\n"
			"metadata: {name: p, namespace: ns}\nspec:\n  egress:\n"
			"  - toFQDNs: [{matchName: api.test}]\n    enforcement: audit\n"
			"    toPorts:\n" PORTS TLS(CARD) ADMIN
			"  egressDeny:\n  - toFQDNs: [{matchName: api.test}]\n"
			"    enforcement: audit\n"
			"    toPorts:\n" PORTS "      rules: {http: [{path: /admin/noted}]}\n");

	(void)state;
	assert_non_null(origin_at(rs, "/admin", true, EX_V_ALLOW));
	assert_non_null(origin_at(rs, "/admin/noted", true, EX_V_ALLOW));
	assert_null(origin_at(rs, "/missed", true, EX_V_ALLOW));
	ex_ruleset_unref(rs);
}

static void test_items_by_their_usual_names_and_by_given_ones(void **state)
{
	struct ex_ruleset *rs = compile(HEAD "  egress:\n" TO TLS(
		"secret: {namespace: shop, name: named}, certificate: my.pem, "
		"privateKey: my-key.pem, trustedCA: their.pem") ADMIN);

	(void)state;
	assert_origin(origin_at(rs, "/admin", true, EX_V_ALLOW), "c", "k", "r");
	ex_ruleset_unref(rs);
	rs = compile(HEAD "  egress:\n" TO TLS("secret: {namespace: shop, name: roots}") ADMIN);
	assert_origin(origin_at(rs, "/admin", true, EX_V_ALLOW), "", "", "the roots");
	ex_ruleset_unref(rs);
	rs = compile(HEAD "  egress:\n" TO TLS("secret: {name: own}") ADMIN);
	assert_origin(origin_at(rs, "/admin", true, EX_V_ALLOW), "", "", "r");
	ex_ruleset_unref(rs);
}

static void test_records_name_the_secret(void **state)
{
	struct ex_header_edits edits = { .n = 1 };
	const struct ex_origin shown = { .ns = "shop", .name = "card", .chain = EX_SPAN("c") };
	const struct ex_origin roots = { .ns = "shop", .name = "roots", .roots = EX_SPAN("r") };
	char text[32];

	(void)state;
	edits.v[0] = (struct ex_header_edit){ .op = EX_HEADER_ADD, .name = EX_SPAN("x") };
	edits.origin = &shown;
	ex_headers_describe(&edits, text, sizeof(text));
	assert_string_equal(text, "certificate shop/card, ADD x");
	edits.n = 0;
	edits.origin = &roots;
	ex_headers_describe(&edits, text, sizeof(text));
	assert_string_equal(text, "trust shop/roots");
	ex_headers_describe(&edits, text, 5);
	assert_string_equal(text, "trus");
}

/* ---- what is no such rule ---- */

static void test_refuse_what_is_not_there(void **state)
{
	(void)state;
	refuse(HEAD "  egress:\n" TO TLS("secret: {namespace: shop, name: absent}") ADMIN,
	       "there is no secret shop/absent");
	refuse(HEAD "  egress:\n" TO TLS("secret: {name: card}") ADMIN,
	       "there is no secret ns/card");
	refuse(HEAD "  egress:\n" TO TLS(CARD ", trustedCA: ca.crt") ADMIN,
	       "there is no item ca.crt in the secret shop/card");
	refuse(HEAD "  egress:\n" TO TLS(CARD ", privateKey: other.key") ADMIN,
	       "there is no item other.key");
	refuse(HEAD "  egress:\n" TO TLS("secret: {namespace: shop, name: half}") ADMIN,
	       "certificate, but no private key");
	refuse(HEAD "  egress:\n" TO TLS("secret: {namespace: shop, name: other-half}") ADMIN,
	       "private key, but no certificate");
	/* the value for a header is no item */
	refuse(HEAD "  egress:\n" TO TLS("secret: {namespace: shop, name: header}") ADMIN,
	       "there is no secret shop/header");
	/* nor is a key a certificate */
	refuse(HEAD "  egress:\n" TO TLS(CARD ", certificate: tls.key") ADMIN,
	       "there is no item tls.key");
	refuse(HEAD "  egress:\n" TO TLS("trustedCA: ca.crt") ADMIN, "needs the field secret");
	refuse(HEAD "  egress:\n" TO TLS("secret: {namespace: shop}") ADMIN,
	       "needs the field name");
}

static void test_refuse_what_the_checker_does_not_like(void **state)
{
	(void)state;
	complaint = "has expired";
	refuse(HEAD "  egress:\n" TO TLS(CARD) ADMIN, "the secret shop/card has expired");
	complaint = NULL;
	ex_origin_use_checker(NULL);
	refuse(HEAD "  egress:\n" TO TLS(CARD) ADMIN, "cannot be checked");
	ex_origin_use_checker(check);
}

static void test_refuse_tls_that_is_not_opened(void **state)
{
	(void)state;
	refuse(HEAD "  egress:\n" TO TLS(CARD), "needs rules.http");
	refuse(HEAD "  egress:\n" TO TLS(CARD) "      serverNames: [api.test]\n",
	       "needs rules.http");
	refuse(HEAD "  egressDeny:\n  - toCIDR: [1.0.0.0/8]\n    toPorts:\n" PORTS TLS(CARD),
	       "a deny rule reads no TLS");
}

/* ---- files ---- */

static char dir[] = "/tmp/exeat-origin-XXXXXX";

static void put(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	if (!text) {
		assert_int_equal(mkdir(full, 0700), 0);
		return;
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_items_from_files(void **state)
{
	static const char text[] = HEAD "  egress:\n" TO TLS(CARD) ADMIN;
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	char cmd[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	refuse_from(text, dir, 10, "there is no secret shop/card");
	put("shop", NULL);
	put("shop/card", "one file");
	refuse_from(text, dir, 10, "has to be a folder");
	snprintf(cmd, sizeof(cmd), "%s/shop/card", dir);
	unlink(cmd);
	put("shop/card", NULL);
	put("shop/card/tls.crt", "a chain\n");
	refuse_from(text, dir, 10, "no private key");
	put("shop/card/tls.key", "");
	refuse_from(text, dir, 10, "tls.key of the secret shop/card is empty");
	put("shop/card/tls.key", "a key\n");
	put("shop/card/ca.crt", NULL);
	refuse_from(text, dir, 10, "ca.crt of the secret shop/card is no file");
	snprintf(cmd, sizeof(cmd), "%s/shop/card/ca.crt", dir);
	assert_int_equal(rmdir(cmd), 0);
	assert_int_equal(try_text(text, dir, &rs, &diags), 0);
	assert_origin(ex_ruleset_origins(rs), "a chain\n", "a key\n", "");
	ex_ruleset_unref(rs);
	ex_diags_done(&diags);
	/* a policy cannot point out of the folder */
	refuse_from(HEAD "  egress:\n" TO TLS("secret: {namespace: .., name: shop}") ADMIN, dir, 10,
		    "is no object name");
	refuse_from(HEAD "  egress:\n" TO TLS(CARD ", trustedCA: ../../x") ADMIN, dir, 10,
		    "is no object name");
	refuse_from(HEAD "  egress:\n" TO TLS(CARD ", privateKey: .hidden") ADMIN, dir, 10,
		    "is no object name");
}

/* ---- the bundle of a proxy ---- */

static bool holds(int fd, const char *words)
{
	char bytes[65536];
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);

	assert_true(n > 0 && (size_t)n < sizeof(bytes));
	return memmem(bytes, (size_t)n, words, strlen(words));
}

static void test_the_key_does_not_go_to_the_proxy(void **state)
{
	static const char text[] = HEAD "  egress:\n" TO TLS(CARD) ADMIN;
	const struct ex_text texts[] = { { "p.yaml", { text, sizeof(text) - 1 } } };
	const struct ex_compile_input in = { .texts = texts,
					     .n_texts = 1,
					     .secrets = secrets,
					     .n_secrets = EX_ARRAY_SIZE(secrets) };
	struct ex_ruleset *rs = NULL, *there = NULL;
	struct ex_diags diags = { 0 };
	int fd;

	(void)state;
	assert_int_equal(ex_compile(&in, &rs, &diags), 0);
	fd = ex_bundle_new(&in, rs);
	assert_true(fd >= 0);
	assert_true(holds(fd, "the chain"));
	assert_false(holds(fd, "the key"));
	/* there it is the same rule, also when the certificate has meanwhile expired */
	complaint = "has expired";
	assert_int_equal(ex_bundle_compile(fd, &there, &diags), 0);
	complaint = NULL;
	assert_origin(origin_at(there, "/admin", true, EX_V_ALLOW), "the chain", "", "");
	ex_ruleset_unref(there);
	ex_ruleset_unref(rs);
	ex_diags_done(&diags);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_of_the_rule_and_no_others),
		cmocka_unit_test(test_the_first_rule_decides),
		cmocka_unit_test(test_audit_mode_gives_nothing_and_takes_nothing),
		cmocka_unit_test(test_items_by_their_usual_names_and_by_given_ones),
		cmocka_unit_test(test_records_name_the_secret),
		cmocka_unit_test(test_refuse_what_is_not_there),
		cmocka_unit_test(test_refuse_what_the_checker_does_not_like),
		cmocka_unit_test(test_refuse_tls_that_is_not_opened),
		cmocka_unit_test(test_items_from_files),
		cmocka_unit_test(test_the_key_does_not_go_to_the_proxy),
	};

	ex_origin_use_checker(check);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
