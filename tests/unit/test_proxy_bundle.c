/* SPDX-License-Identifier: Apache-2.0 */
/* The sealed files a proxy is started and changed with: whole, or refused. */
#include "policy_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>

#include "agent/core/pack.h"
#include "agent/dns/names.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/settings.h"
#include "policy/secret.h"

static const char policy[] = HEAD "  egress:\n"
				  "  - toFQDNs: [{matchName: api.example}]\n"
				  "    toPorts: [{ports: [{port: '443', protocol: TCP}]}]\n"
				  "  - toEndpoints: [{matchLabels: {app: gw}}]\n";

static const struct ex_text texts[] = { { "one.yaml", { policy, sizeof(policy) - 1 } } };
static const struct ex_text known[] = { { "known.yaml",
					  { test_endpoints, sizeof(test_endpoints) - 1 } } };

static struct ex_compile_input test_input(const struct ex_ip ips[2])
{
	return (struct ex_compile_input){ .texts = texts,
					  .n_texts = 1,
					  .endpoints = known,
					  .n_endpoints = 1,
					  .host_ips = ips,
					  .n_host_ips = 1,
					  .dns_ips = ips + 1,
					  .n_dns_ips = 1,
					  .deny_metadata = true };
}

static struct ex_ruleset *compile(const struct ex_compile_input *in)
{
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs = NULL;

	assert_int_equal(ex_compile(in, &rs, &diags), 0);
	ex_diags_done(&diags);
	return rs;
}

static int compile_bundle(int fd, struct ex_ruleset **ret)
{
	struct ex_diags diags = { 0 };
	int r = ex_bundle_compile(fd, ret, &diags);

	ex_diags_done(&diags);
	return r;
}

static int sealed(const void *bytes, size_t len)
{
	struct ex_pack p = { 0 };
	int fd;

	ex_pack_bytes(&p, bytes, len);
	fd = ex_pack_seal(&p, "test");
	assert_true(fd >= 0);
	return fd;
}

static int new_bundle(void)
{
	struct ex_ip ips[2] = { test_ip("192.0.2.9"), test_ip("192.0.0.1") };
	struct ex_compile_input in = test_input(ips);
	struct ex_ruleset *rs = compile(&in);
	int fd = ex_bundle_new(&in, rs);

	assert_true(fd >= 0);
	ex_ruleset_unref(rs);
	return fd;
}

/* ---- what goes through ---- */

static void test_both_sides_have_the_same_rules(void **state)
{
	struct ex_ip ips[2] = { test_ip("192.0.2.9"), test_ip("192.0.0.1") };
	struct ex_compile_input in = test_input(ips);
	struct ex_ruleset *a = compile(&in), *b = NULL;
	struct ex_tables ta = { 0 }, tb = { 0 };
	int fd = ex_bundle_new(&in, a);

	(void)state;
	assert_int_equal(compile_bundle(fd, &b), 0);
	assert_int_equal(ex_ruleset_n_rules(a), ex_ruleset_n_rules(b));
	for (uint32_t i = 1; i <= ex_ruleset_n_rules(a); i++) {
		assert_string_equal(ex_ruleset_rule(a, i)->where, ex_ruleset_rule(b, i)->where);
		assert_string_equal(ex_ruleset_rule(b, i)->file, "one.yaml");
	}
	assert_int_equal(ex_emit(a, &ta), 0);
	assert_int_equal(ex_emit(b, &tb), 0);
	assert_int_equal(ta.n_rules, tb.n_rules);
	assert_memory_equal(ta.rules, tb.rules, ta.n_rules * sizeof(*ta.rules));
	ex_tables_done(&ta);
	ex_tables_done(&tb);
	ex_ruleset_unref(a);
	ex_ruleset_unref(b);
	close(fd);
}

static void test_can_be_read_twice_by_whoever_shares_it(void **state)
{
	struct ex_ruleset *rs = NULL;
	int fd = new_bundle(), other = dup(fd);

	(void)state;
	assert_int_equal(compile_bundle(fd, &rs), 0);
	rs = ex_ruleset_unref(rs);
	assert_int_equal(compile_bundle(other, &rs), 0);
	ex_ruleset_unref(rs);
	close(other);
	close(fd);
}

static void test_the_same_policy_is_the_same_bytes(void **state)
{
	uint8_t a[EX_BUNDLE_DIGEST_LEN], b[EX_BUNDLE_DIGEST_LEN];
	struct ex_ip ips[2] = { test_ip("192.0.2.9"), test_ip("192.0.0.1") };
	struct ex_compile_input in = test_input(ips);
	struct ex_ruleset *rs = compile(&in);
	int one = new_bundle(), two = new_bundle(), other;

	(void)state;
	in.deny_metadata = false;
	other = ex_bundle_new(&in, rs);
	ex_ruleset_unref(rs);
	assert_true(ex_bundle_is_same(one, two));
	assert_false(ex_bundle_is_same(one, other));
	assert_false(ex_bundle_is_same(one, -1));
	assert_int_equal(ex_bundle_digest(one, a), 0);
	assert_int_equal(ex_bundle_digest(two, b), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(ex_bundle_digest(other, b), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_true(ex_bundle_digest(-1, b) < 0);
	close(one);
	close(two);
	close(other);
}

/* The parent has compiled for the endpoint with these labels. */
static int bundle_for(const char *app, const char *other, struct ex_ruleset **ret)
{
	static const char both[] = "apiVersion: cilium.io/v2\n"
				   "kind: CiliumNetworkPolicy\n"
				   "metadata: {name: p}\n"
				   "specs:\n"
				   "- endpointSelector:\n"
				   "    matchExpressions:\n"
				   "    - {key: app, operator: In, values: [one, two]}\n"
				   "  egress: [{toCIDR: [198.51.100.0/24]}]\n"
				   "- endpointSelector: {matchLabels: {app: three}}\n"
				   "  egress: [{toCIDR: [203.0.113.0/24]}]\n";
	const struct ex_label labels[] = { { "app", app }, { "owner", other } };
	const struct ex_text text = { "both.yaml", { both, sizeof(both) - 1 } };
	const struct ex_compile_input in = {
		.texts = &text, .n_texts = 1, .labels = labels, .n_labels = EX_ARRAY_SIZE(labels)
	};
	int fd;

	*ret = compile(&in);
	fd = ex_bundle_new(&in, *ret);
	assert_true(fd >= 0);
	return fd;
}

static void test_of_labels_goes_only_what_they_choose(void **state)
{
	struct ex_ruleset *a = NULL, *b = NULL, *c = NULL, *there = NULL;
	int one = bundle_for("one", "alice", &a), two = bundle_for("two", "bob", &b);
	int three = bundle_for("three", "alice", &c);
	char *bytes = NULL;
	size_t len;

	(void)state;
	assert_int_equal(ex_pack_read(one, &bytes, &len), 0);
	assert_null(memmem(bytes, len, "alice", 5));
	free(bytes);
	assert_true(ex_bundle_is_same(one, two));
	assert_false(ex_bundle_is_same(one, three));
	assert_int_equal(compile_bundle(one, &there), 0);
	assert_int_equal(ex_ruleset_n_rules(there), 1);
	assert_string_equal(ex_ruleset_rule(there, 1)->where, ex_ruleset_rule(a, 1)->where);
	there = ex_ruleset_unref(there);
	assert_int_equal(compile_bundle(three, &there), 0);
	assert_int_equal(ex_ruleset_n_rules(there), 1);
	assert_string_equal(ex_ruleset_rule(there, 1)->where, ex_ruleset_rule(c, 1)->where);
	assert_string_not_equal(ex_ruleset_rule(a, 1)->where, ex_ruleset_rule(c, 1)->where);
	ex_ruleset_unref(there);
	ex_ruleset_unref(a);
	ex_ruleset_unref(b);
	ex_ruleset_unref(c);
	close(one);
	close(two);
	close(three);
}

/* A file in which two teams have a spec each, and a secret each. */
#define TEAM(name)                                                                                 \
	"- endpointSelector: {matchLabels: {team: " name "}}\n"                                    \
	"  egress:\n"                                                                              \
	"  - toFQDNs: [{matchName: api.example}]\n"                                                \
	"    toPorts:\n"                                                                           \
	"    - ports: [{port: '443', protocol: TCP}]\n"                                            \
	"      originatingTLS: {secret: {name: " name "-card}}\n"                                  \
	"      rules: {http: [{headerMatches: [{name: x-key, secret: {name: " name                 \
	"-key}, mismatch: ADD}]}]}\n"

static const char teams[] = "apiVersion: cilium.io/v2\n"
			    "kind: CiliumNetworkPolicy\n"
			    "metadata: {name: p}\n"
			    "specs:\n" TEAM("red") TEAM("blue");

static const struct ex_secret team_secrets[] = {
	{ "default", "red-key", EX_SPAN("red-token"), NULL, false },
	{ "default", "red-card", EX_SPAN("red-roots"), "ca.crt", false },
	{ "default", "blue-key", EX_SPAN("blue-token"), NULL, false },
	{ "default", "blue-card", EX_SPAN("blue-roots"), "ca.crt", false },
};

static const char *accept_origin(const struct ex_origin *o)
{
	(void)o;
	return NULL;
}

static int bundle_for_team(const char *team, const struct ex_secret *secrets, size_t n)
{
	const struct ex_label labels[] = { { "team", team } };
	const struct ex_text text = { "teams.yaml", { teams, sizeof(teams) - 1 } };
	const struct ex_compile_input in = { .texts = &text,
					     .n_texts = 1,
					     .secrets = secrets,
					     .n_secrets = n,
					     .labels = labels,
					     .n_labels = 1 };
	struct ex_ruleset *rs = compile(&in), *there = NULL;
	int fd = ex_bundle_new(&in, rs);

	assert_true(fd >= 0);
	assert_int_equal(compile_bundle(fd, &there), 0);
	assert_int_equal(ex_ruleset_n_rules(there), ex_ruleset_n_rules(rs));
	for (size_t i = 0; i < 2; i++)
		assert_true(ex_span_eq(ex_ruleset_secret(there, i)->value,
				       ex_ruleset_secret(rs, i)->value));
	assert_null(ex_ruleset_secret(there, 2));
	assert_null(ex_ruleset_origins(there)->next);
	ex_ruleset_unref(there);
	ex_ruleset_unref(rs);
	return fd;
}

static bool has(int fd, const char *what)
{
	EX_AUTO_FREE char *bytes = NULL;
	size_t len;

	assert_int_equal(ex_pack_read(fd, &bytes, &len), 0);
	return memmem(bytes, len, what, strlen(what)) != NULL;
}

static void test_of_secrets_go_those_of_the_specs_that_are_chosen(void **state)
{
	int red, blue;

	(void)state;
	ex_origin_use_checker(accept_origin);
	red = bundle_for_team("red", team_secrets, 4);
	blue = bundle_for_team("blue", team_secrets, 4);
	assert_true(has(red, "red-token") && has(red, "red-roots"));
	assert_false(has(red, "blue-token") || has(red, "blue-roots"));
	assert_true(has(blue, "blue-token") && has(blue, "blue-roots"));
	assert_false(has(blue, "red-token") || has(blue, "red-roots"));
	close(blue);
	blue = bundle_for_team("blue", team_secrets + 2, 2); /* nor are the others' missed */
	assert_true(has(blue, "blue-token"));
	close(blue);
	close(red);
}

/* Among what was allocated here, now or once. (Sanitizers have another heap: nothing there.) */
static bool heap_has(const char *what)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	void *from, *to;
	bool found = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[heap]") && sscanf(line, "%p-%p", &from, &to) == 2)
			found = memmem(from, (size_t)((char *)to - (char *)from), what,
				       strlen(what)) != NULL;
	fclose(maps);
	return found;
}

static void test_no_secret_stays_where_a_bundle_was_read(void **state)
{
	uint8_t digest[EX_BUNDLE_DIGEST_LEN];
	struct ex_ruleset *rs;
	int red;

	(void)state;
	mallopt(M_MMAP_THRESHOLD, 1 << 25); /* or the memory is given back, and shows nothing */
	ex_origin_use_checker(accept_origin);
	red = bundle_for_team("red", team_secrets, 4);
	assert_false(heap_has("red-token"));
	assert_int_equal(compile_bundle(red, &rs), 0);
	ex_ruleset_unref(rs);
	assert_false(heap_has("red-token"));
	assert_int_equal(ex_bundle_digest(red, digest), 0);
	assert_false(heap_has("red-token"));
	assert_true(ex_bundle_is_same(red, red));
	assert_false(heap_has("red-token"));
	close(red);
}

static void test_a_choice_is_of_these_policies(void **state)
{
	static const uint8_t all[2] = { 1, 1 };
	struct ex_chosen chosen = { all, 2 };
	struct ex_compile_input in = { .texts = texts, .n_texts = 1, .chosen = &chosen };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };

	(void)state;
	assert_int_equal(ex_compile(&in, &rs, &diags), -EINVAL);
	assert_int_equal(diags.n, 1);
	chosen.n = 0;
	assert_int_equal(ex_compile(&in, &rs, &diags), -EINVAL);
	chosen.n = 1;
	assert_int_equal(ex_compile(&in, &rs, &diags), 0);
	ex_ruleset_unref(rs);
	ex_diags_done(&diags);
}

static void test_nobody_changes_it(void **state)
{
	int fd = new_bundle();

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_ptr_equal(mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}

static void test_files_have_to_be_texts(void **state)
{
	struct ex_ip ips[2] = { test_ip("192.0.2.9"), test_ip("192.0.0.1") };
	struct ex_compile_input in = test_input(ips);
	struct ex_ruleset *rs = compile(&in);
	const char *const file = "/dev/null";

	(void)state;
	in.files = &file;
	in.n_files = 1;
	assert_int_equal(ex_bundle_new(&in, rs), -EINVAL);
	ex_ruleset_unref(rs);
}

/* ---- what does not ---- */

static void test_refused_when_not_sealed(void **state)
{
	struct ex_ruleset *rs = NULL;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(compile_bundle(fd, &rs), -EPERM);
	assert_int_equal(compile_bundle(null, &rs), -EPERM);
	close(null);
	close(fd);
}

static void test_refused_when_cut_anywhere(void **state)
{
	int fd = new_bundle(), r;
	char *bytes = NULL;
	size_t len;

	(void)state;
	assert_int_equal(ex_pack_read(fd, &bytes, &len), 0);
	close(fd);
	for (size_t n = 0; n < len; n++) {
		struct ex_ruleset *rs = NULL;

		fd = sealed(bytes, n);
		r = compile_bundle(fd, &rs);
		assert_int_equal(r, -EBADMSG);
		close(fd);
	}
	free(bytes);
}

static void test_refused_when_something_follows(void **state)
{
	struct ex_ruleset *rs = NULL;
	char *bytes = NULL, *more;
	int fd = new_bundle();
	size_t len;

	(void)state;
	assert_int_equal(ex_pack_read(fd, &bytes, &len), 0);
	close(fd);
	more = calloc(1, len + 1);
	memcpy(more, bytes, len);
	fd = sealed(more, len + 1);
	assert_int_equal(compile_bundle(fd, &rs), -EBADMSG);
	close(fd);
	free(more);
	free(bytes);
}

/* Every four bytes once a length that lies; what comes of it is an error or a policy. */
static void test_lying_lengths_are_survived(void **state)
{
	static const uint32_t lies[] = { 0, 1, 0x7fffffff, 0xffffffff, 0xfffffff0 };
	int fd = new_bundle();
	char *bytes = NULL;
	size_t len;

	(void)state;
	assert_int_equal(ex_pack_read(fd, &bytes, &len), 0);
	close(fd);
	for (size_t at = 0; at + 4 <= len; at++) {
		for (size_t i = 0; i < EX_ARRAY_SIZE(lies); i++) {
			struct ex_ruleset *rs = NULL;
			char kept[4];

			memcpy(kept, bytes + at, 4);
			memcpy(bytes + at, &lies[i], 4);
			fd = sealed(bytes, len);
			(void)!compile_bundle(fd, &rs);
			ex_ruleset_unref(rs);
			close(fd);
			memcpy(bytes + at, kept, 4);
		}
	}
	free(bytes);
}

static void test_a_count_is_bounded_by_what_is_there(void **state)
{
	uint32_t many[3] = { 3, 0, 0 };
	struct ex_unpack u = { .at = (char *)many, .end = (char *)(many + 3) };

	(void)state;
	assert_int_equal(ex_unpack_count(&u, 4), 0);
	assert_true(u.bad);
	many[0] = 2;
	u = (struct ex_unpack){ .at = (char *)many, .end = (char *)(many + 3) };
	assert_int_equal(ex_unpack_count(&u, 4), 2);
	assert_false(u.bad);
}

static void test_a_string_ends_with_its_only_nul(void **state)
{
	char none[] = "\4\0\0\0abcd", inside[] = "\4\0\0\0a\0c\0", right[] = "\4\0\0\0abc\0";
	struct ex_unpack u = { .at = none, .end = none + 8 };

	(void)state;
	assert_string_equal(ex_unpack_str(&u), "");
	assert_true(u.bad);
	u = (struct ex_unpack){ .at = inside, .end = inside + 8 };
	assert_string_equal(ex_unpack_str(&u), "");
	assert_true(u.bad);
	u = (struct ex_unpack){ .at = right, .end = right + 8 };
	assert_string_equal(ex_unpack_str(&u), "abc");
	assert_int_equal(ex_unpack_done(&u), 0);
}

/* ---- settings ---- */

static void test_settings_arrive(void **state)
{
	int sockets[EX_SOCK_MAX] = { 5, -1, 6, -1, 7, -1, 8, -1 };
	struct ex_ip ip = test_ip("203.0.113.7");
	struct ex_span found[EX_NAMES_PER_ADDR_MAX];
	struct ex_names *names = NULL, *copy = NULL;
	struct ex_resolver_server server = { .suffix = "corp.example", .port = 53 };
	int r = ex_names_new(16, &names);
	const uint8_t secret[EX_PROXY_SECRET_LEN] = { 1, [31] = 2 };
	struct ex_proxy_spec spec = { .sockets = sockets,
				      .servers = &server,
				      .n_servers = 1,
				      .names = names,
				      .names_since = 1000,
				      .workers = 3,
				      .uid = 4711,
				      .secret = secret };
	struct ex_proxy_settings s = { 0 };
	int fd;

	(void)state;
	assert_int_equal(r, 0);
	assert_int_equal(ex_names_new(16, &copy), 0);
	assert_int_equal(ex_names_add(names, &ip, EX_SPAN("live.example"), 0, 1500), 0);
	assert_int_equal(ex_names_add(names, &ip, EX_SPAN("late.example"), 0, 1000), 0);
	fd = ex_proxy_settings_pack(&spec);
	assert_int_equal(ex_proxy_settings_read(fd, &s), 0);
	assert_int_equal(s.parent, getpid());
	assert_int_equal(s.uid, 4711);
	assert_memory_equal(s.secret, secret, sizeof(secret));
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		assert_int_equal(s.sockets[i], sockets[i] >= 0);
	assert_int_equal(s.n_servers, 1);
	assert_string_equal(s.servers[0].suffix, "corp.example");
	assert_int_equal(s.workers, 3);
	assert_int_equal(ex_proxy_settings_learn(&s, copy, 5000), 0);
	assert_memory_equal(ex_names_key(copy), ex_names_key(names), sizeof(struct ex_dns_key));
	assert_int_equal(ex_names_of(copy, &ip, 5499, found, EX_NAMES_PER_ADDR_MAX), 1);
	assert_true(ex_span_eq(found[0], EX_SPAN("live.example")));
	assert_int_equal(ex_names_of(copy, &ip, 5500, found, EX_NAMES_PER_ADDR_MAX), 0);
	ex_names_free(names);
	ex_names_free(copy);
	ex_proxy_settings_done(&s);
	close(fd);
	fd = new_bundle();
	assert_int_equal(ex_proxy_settings_read(fd, &s), -EBADMSG);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_sides_have_the_same_rules),
		cmocka_unit_test(test_can_be_read_twice_by_whoever_shares_it),
		cmocka_unit_test(test_the_same_policy_is_the_same_bytes),
		cmocka_unit_test(test_of_labels_goes_only_what_they_choose),
		cmocka_unit_test(test_no_secret_stays_where_a_bundle_was_read),
		cmocka_unit_test(test_of_secrets_go_those_of_the_specs_that_are_chosen),
		cmocka_unit_test(test_a_choice_is_of_these_policies),
		cmocka_unit_test(test_nobody_changes_it),
		cmocka_unit_test(test_files_have_to_be_texts),
		cmocka_unit_test(test_refused_when_not_sealed),
		cmocka_unit_test(test_refused_when_cut_anywhere),
		cmocka_unit_test(test_refused_when_something_follows),
		cmocka_unit_test(test_lying_lengths_are_survived),
		cmocka_unit_test(test_a_count_is_bounded_by_what_is_there),
		cmocka_unit_test(test_a_string_ends_with_its_only_nul),
		cmocka_unit_test(test_settings_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
