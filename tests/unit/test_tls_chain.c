/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which certificates of a server are accepted for a name: a real handshake for each, and beside
 * what is accepted what is one step from it.
 */
#include "tests/unit/tls_pair.h"

#include <time.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY     (24 * 60 * 60L)
#define IS_CA   "critical,CA:TRUE"
#define SERVER  "serverAuth"
#define OF_NAME "DNS:api.openai.com"

static EVP_PKEY *root_key, *other_key, *middle_key, *leaf_key;

/* How a certificate is made; what is zero is as it usually is. */
struct shape {
	const char *subject;
	EVP_PKEY *key;
	const char *basic, *usage, *san, *constraints;
	long from, to; /* seconds from now; both 0: it is valid */
	const EVP_MD *md;
};

static void extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = value ? X509V3_EXT_conf_nid(NULL, NULL, nid, value) : NULL;

	assert_true(!value || ext);
	assert_true(!value || X509_add_ext(cert, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

static ASN1_OCTET_STRING *id_of(EVP_PKEY *key)
{
	ASN1_OCTET_STRING *ret = ASN1_OCTET_STRING_new();
	unsigned char digest[20], *spki = NULL;
	int len = i2d_PUBKEY(key, &spki);

	assert_int_equal(EVP_Digest(spki, (size_t)len, digest, NULL, EVP_sha1(), NULL), 1);
	ASN1_OCTET_STRING_set(ret, digest, sizeof(digest));
	OPENSSL_free(spki);
	return ret;
}

/* By these the right one is found among several of one name. */
static void add_ids(X509 *cert, EVP_PKEY *key, EVP_PKEY *issuer_key)
{
	ASN1_OCTET_STRING *id = id_of(key);
	AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();

	authority->keyid = id_of(issuer_key);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_key_identifier, id, 0, 0), 1);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_authority_key_identifier, authority, 0, 0), 1);
	ASN1_OCTET_STRING_free(id);
	AUTHORITY_KEYID_free(authority);
}

static X509 *make(const struct shape *s, const char *issuer, EVP_PKEY *issuer_key)
{
	static long serial;
	X509_NAME *name = X509_NAME_new();
	X509 *cert = X509_new();

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), s->from || s->to ? s->from : -DAY);
	X509_gmtime_adj(X509_getm_notAfter(cert), s->from || s->to ? s->to : DAY);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)s->subject, -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)issuer, -1, -1,
				   0);
	X509_set_issuer_name(cert, name);
	X509_NAME_free(name);
	X509_set_pubkey(cert, s->key);
	add_ids(cert, s->key, issuer_key);
	extension(cert, NID_basic_constraints, s->basic);
	extension(cert, NID_ext_key_usage, s->usage);
	extension(cert, NID_subject_alt_name, s->san);
	extension(cert, NID_name_constraints, s->constraints);
	assert_true(X509_sign(cert, issuer_key, s->md ? s->md : EVP_sha256()) > 0);
	return cert;
}

static X509 *make_root(const char *subject, EVP_PKEY *key, long from, long to)
{
	const struct shape s = { subject, key, .basic = IS_CA, .from = from, .to = to };

	return make(&s, subject, key);
}

static struct ex_tls *trusting(X509 *const *roots)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct ex_tls *ret;
	char *text;
	long len;

	for (; *roots; roots++)
		PEM_write_bio_X509(bio, *roots);
	len = BIO_get_mem_data(bio, &text);
	assert_int_equal(tls_new((struct ex_span){ text, (size_t)len }, &ret), 0);
	BIO_free(bio);
	return ret;
}

/* What our side says to a server that shows this chain, by the key of the first. */
static int connect_to(struct ex_tls *client, X509 *const *chain, EVP_PKEY *key)
{
	struct foreign f;
	struct pair p;
	int r;

	pair_open(&p);
	foreign_open(&f, true, p.fd[0]);
	SSL_set_security_level(f.ssl, 0);
	assert_int_equal(SSL_use_certificate(f.ssl, chain[0]), 1);
	assert_int_equal(SSL_use_PrivateKey(f.ssl, key), 1);
	SSL_set_mode(f.ssl, SSL_MODE_NO_AUTO_CHAIN);
	for (size_t i = 1; chain[i]; i++)
		assert_int_equal(SSL_add1_chain_cert(f.ssl, chain[i]), 1);
	assert_int_equal(ex_tls_connect(client, p.fd[1], NAME, 0, false, &p.client), 0);
	r = foreign_handshake(&f, p.client);
	foreign_close(&f);
	pair_close(&p);
	return r;
}

/* Trusts roots, shows chain; both end with NULL and are freed. */
static void expect(bool good, X509 **roots, X509 **chain, EVP_PKEY *key)
{
	struct ex_tls *client = trusting(roots);

	assert_int_equal(connect_to(client, chain, key), good ? 0 : -EKEYREJECTED);
	ex_tls_free(client);
	for (; *roots; roots++)
		X509_free(*roots);
	for (; *chain; chain++)
		X509_free(*chain);
}

#define LIST(...)      ((X509 *[]){ __VA_ARGS__, NULL })
#define ROOT           make_root("root", root_key, 0, 0)
#define LEAF_BY(by, k) make(&(struct shape){ "leaf", leaf_key, .san = OF_NAME }, by, k)

static void test_names_in_a_leaf(void **state)
{
	static const struct {
		bool good;
		const char *subject, *san;
	} cases[] = {
		{ true, "leaf", OF_NAME },
		{ true, "leaf", "DNS:other.test,DNS:API.openai.COM" },
		{ true, "leaf", "DNS:*.openai.com" },
		{ false, "leaf", "DNS:api.openai.co" },
		{ false, "leaf", "DNS:xapi.openai.com" },
		{ false, "leaf", "DNS:openai.com" },
		{ false, "leaf", "DNS:*.api.openai.com" },
		{ false, "leaf", "DNS:a*.openai.com" },
		{ false, "leaf", "DNS:*i.openai.com" },
		{ false, "leaf", "DNS:api.*.com" },
		{ false, "leaf", "DNS:*.com" },
		{ false, "leaf", "DNS:*" },
		{ false, "leaf", "IP:203.0.113.10" },
		{ false, "leaf", "email:x@api.openai.com,URI:https://api.openai.com/" },
		/* a common name is no name, beside others or alone */
		{ false, "api.openai.com", NULL },
		{ false, "api.openai.com", "DNS:other.test" },
		{ false, "api.openai.com", "IP:203.0.113.10" },
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		const struct shape s = { cases[i].subject, leaf_key, .san = cases[i].san };

		expect(cases[i].good, LIST(ROOT), LIST(make(&s, "root", root_key)), leaf_key);
	}
}

/* The bytes behind the NUL are a part of the name. */
static void test_deny_a_name_that_ends_early(void **state)
{
	static const char text[] = "api.openai.com\0.evil.com";
	X509 *leaf = make(&(struct shape){ .subject = "leaf", .key = leaf_key }, "root", root_key);
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *ia5 = ASN1_IA5STRING_new();

	(void)state;
	ASN1_STRING_set(ia5, text, sizeof(text) - 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, ia5);
	sk_GENERAL_NAME_push(names, name);
	assert_int_equal(X509_add1_ext_i2d(leaf, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
	assert_true(X509_sign(leaf, root_key, EVP_sha256()) > 0);
	expect(false, LIST(ROOT), LIST(leaf), leaf_key);
}

static void test_dates_uses_and_strength_of_a_leaf(void **state)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024), *strong = EVP_RSA_gen(2048);
	const struct {
		bool good;
		struct shape s;
	} cases[] = {
		{ true, { .to = 60, .from = -60 } },
		{ false, { .to = -60, .from = -DAY } },
		{ false, { .to = DAY, .from = 3600 } },
		{ true, { .usage = SERVER } },
		{ true, { .usage = "clientAuth,serverAuth" } },
		{ false, { .usage = "clientAuth" } },
		{ false, { .usage = "codeSigning" } },
		{ true, { .key = strong } },
		{ false, { .key = weak } },
		{ true, { .md = EVP_sha384() } },
		{ false, { .md = EVP_sha1() } },
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		struct shape s = cases[i].s;

		s.subject = "leaf";
		s.san = OF_NAME;
		s.key = s.key ? s.key : leaf_key;
		expect(cases[i].good, LIST(ROOT), LIST(make(&s, "root", root_key)), s.key);
	}
	EVP_PKEY_free(weak);
	EVP_PKEY_free(strong);
}

static void test_what_stands_between_leaf_and_root(void **state)
{
	const struct {
		bool good;
		struct shape s;
	} cases[] = {
		{ true, { .basic = IS_CA } },
		{ true, { .basic = IS_CA, .usage = SERVER } },
		{ true, { .basic = IS_CA, .constraints = "critical,permitted;DNS:openai.com" } },
		{ false, { .basic = IS_CA, .constraints = "critical,permitted;DNS:evil.com" } },
		{ false, { .basic = IS_CA, .constraints = "critical,excluded;DNS:openai.com" } },
		{ false, { .basic = IS_CA, .usage = "clientAuth" } },
		{ false, { .basic = IS_CA, .to = -60, .from = -DAY } },
		{ false, { .basic = IS_CA, .md = EVP_sha1() } },
		{ false, { .basic = "critical,CA:FALSE" } },
		{ false, { .basic = NULL } }, /* somebody's leaf */
	};

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		struct shape s = cases[i].s;

		s.subject = "middle";
		s.key = middle_key;
		expect(cases[i].good, LIST(ROOT),
		       LIST(LEAF_BY("middle", middle_key), make(&s, "root", root_key)), leaf_key);
	}
	/* not shown, or of another key */
	expect(false, LIST(ROOT), LIST(LEAF_BY("middle", middle_key)), leaf_key);
	expect(false, LIST(ROOT),
	       LIST(LEAF_BY("middle", middle_key),
		    make(&(struct shape){ "middle", other_key, .basic = IS_CA }, "root", root_key)),
	       leaf_key);
}

static void test_a_chain_may_be_as_long_as_its_cas_say(void **state)
{
	static const char *const lengths[] = { "critical,CA:TRUE,pathlen:0",
					       "critical,CA:TRUE,pathlen:1" };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(lengths); i++) {
		const struct shape top = { "top", middle_key, .basic = lengths[i] };
		const struct shape low = { "low", other_key, .basic = IS_CA };

		expect(i == 1, LIST(ROOT),
		       LIST(LEAF_BY("low", other_key), make(&low, "top", middle_key),
			    make(&top, "root", root_key)),
		       leaf_key);
	}
}

static void test_roots(void **state)
{
	(void)state;
	/* its own word for itself, and a name that another has */
	expect(false, LIST(ROOT), LIST(LEAF_BY("root", other_key)), leaf_key);
	expect(false, LIST(ROOT),
	       LIST(LEAF_BY("root", other_key), make_root("root", other_key, 0, 0)), leaf_key);
	expect(false, LIST(ROOT), LIST(LEAF_BY("leaf", leaf_key)), leaf_key);
	expect(false, LIST(make_root("root", root_key, -DAY, -60)), LIST(LEAF_BY("root", root_key)),
	       leaf_key);
	/* two of one name, as when a root gets another key: each is found */
	for (int i = 0; i < 2; i++)
		expect(true, LIST(ROOT, make_root("root", other_key, 0, 0)),
		       LIST(LEAF_BY("root", i ? other_key : root_key)), leaf_key);
	/* and the one that has not ended, whichever comes first */
	expect(true, LIST(make_root("root", root_key, -DAY, -60), ROOT),
	       LIST(LEAF_BY("root", root_key)), leaf_key);
	expect(true, LIST(ROOT, make_root("root", root_key, -DAY, -60)),
	       LIST(LEAF_BY("root", root_key)), leaf_key);
}

/* A young root that an old one has signed, which has ended since: the chain ends with the young. */
static void test_cross_signed(void **state)
{
	const struct shape cross = { "root", root_key, .basic = IS_CA };

	(void)state;
	for (int trusted = 0; trusted < 2; trusted++) {
		X509 *old = make_root("old", other_key, -DAY, -60);

		expect(trusted, trusted ? LIST(old, ROOT) : LIST(old),
		       LIST(LEAF_BY("root", root_key), make(&cross, "old", other_key)), leaf_key);
	}
	/* it has not: who knows the old one only does with that */
	expect(true, LIST(make_root("old", other_key, 0, 0)),
	       LIST(LEAF_BY("root", root_key), make(&cross, "old", other_key)), leaf_key);
}

static int make_keys(void **state)
{
	(void)state;
	root_key = EVP_EC_gen("P-256");
	other_key = EVP_EC_gen("P-256");
	middle_key = EVP_EC_gen("P-256");
	leaf_key = EVP_EC_gen("P-256");
	return root_key && other_key && middle_key && leaf_key ? 0 : -1;
}

static int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(leaf_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_in_a_leaf),
		cmocka_unit_test(test_deny_a_name_that_ends_early),
		cmocka_unit_test(test_dates_uses_and_strength_of_a_leaf),
		cmocka_unit_test(test_what_stands_between_leaf_and_root),
		cmocka_unit_test(test_a_chain_may_be_as_long_as_its_cas_say),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_cross_signed),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
