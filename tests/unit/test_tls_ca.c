/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "agent/tls/ca.h"

static const struct ex_span name = { "api.openai.com", 14 };

static X509 *ca_cert(const struct ex_ca *ca)
{
	struct ex_span pem = ex_ca_pem(ca);
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(cert);
	return cert;
}

static size_t spki_of(EVP_PKEY *key, uint8_t out[512])
{
	unsigned char *p = out;
	int len = i2d_PUBKEY(key, NULL);

	assert_in_range(len, 1, 512);
	return (size_t)i2d_PUBKEY(key, &p);
}

static X509 *sign(struct ex_ca *ca, EVP_PKEY *key, struct ex_span host)
{
	uint8_t spki[512], der[EX_LEAF_MAX];
	const unsigned char *p = der;
	int len = ex_ca_sign(ca, host, spki, spki_of(key, spki), der);
	X509 *leaf;

	assert_true(len > 0);
	leaf = d2i_X509(NULL, &p, len);
	assert_non_null(leaf);
	assert_ptr_equal(p, der + len);
	return leaf;
}

static int verify(X509 *root, X509 *leaf, const char *host)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int r;

	assert_int_equal(X509_STORE_add_cert(store, root), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
	assert_int_equal(X509_STORE_CTX_set_default(ctx, "ssl_server"), 1);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	X509_VERIFY_PARAM_set1_host(param, host, 0);
	r = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return r;
}

static void test_ca_is_a_ca_of_one_level(void **state)
{
	struct ex_ca *ca, *other;
	X509 *cert, *second;
	char cn[64];

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	assert_int_equal(ex_ca_new(2, &other), 0);
	cert = ca_cert(ca);
	second = ca_cert(other);
	assert_int_equal(X509_check_ca(cert), 1);
	assert_int_equal(X509_get_pathlen(cert), 0);
	assert_int_equal(X509_get_key_usage(cert), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_non_null(X509_get0_subject_key_id(cert));
	assert_true(X509_get_extension_flags(cert) & EXFLAG_SS);
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof(cn));
	assert_memory_equal(cn, "exeat CA ", 9);
	/* no two alike: neither name nor serial */
	assert_int_not_equal(
		X509_NAME_cmp(X509_get_subject_name(cert), X509_get_subject_name(second)), 0);
	assert_int_not_equal(X509_cmp(cert, second), 0);
	assert_true(X509_cmp_time(X509_get0_notBefore(cert), NULL) < 0);
	assert_true(X509_cmp_time(X509_get0_notAfter(cert), NULL) > 0);
	X509_free(cert);
	X509_free(second);
	ex_ca_free(ca);
	ex_ca_free(other);
	ex_ca_free(NULL);
}

static void test_deny_unreasonable_lifetime(void **state)
{
	struct ex_ca *ca;

	(void)state;
	assert_int_equal(ex_ca_new(0, &ca), -EINVAL);
	assert_int_equal(ex_ca_new(-1, &ca), -EINVAL);
	assert_int_equal(ex_ca_new(3651, &ca), -EINVAL);
}

static void test_leaf_verifies_for_its_name_only(void **state)
{
	struct ex_ca *ca, *stranger;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *root, *other_root, *leaf;

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	assert_int_equal(ex_ca_new(2, &stranger), 0);
	root = ca_cert(ca);
	other_root = ca_cert(stranger);
	leaf = sign(ca, key, name);
	assert_int_equal(verify(root, leaf, "api.openai.com"), X509_V_OK);
	assert_int_equal(verify(root, leaf, "api.openai.co"), X509_V_ERR_HOSTNAME_MISMATCH);
	assert_int_equal(verify(root, leaf, "x.api.openai.com"), X509_V_ERR_HOSTNAME_MISMATCH);
	assert_int_not_equal(verify(other_root, leaf, "api.openai.com"), X509_V_OK);
	X509_free(leaf);
	X509_free(root);
	X509_free(other_root);
	EVP_PKEY_free(key);
	ex_ca_free(ca);
	ex_ca_free(stranger);
}

static void test_leaf_is_for_servers_for_a_day_and_no_ca(void **state)
{
	struct ex_ca *ca;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *leaf, *leaf2;
	int days, seconds;
	time_t hour_ago = time(NULL) - 3600 + 60;

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	leaf = sign(ca, key, name);
	leaf2 = sign(ca, key, name);
	assert_int_equal(X509_check_ca(leaf), 0);
	assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
	assert_non_null(X509_get0_subject_key_id(leaf));
	assert_non_null(X509_get0_authority_key_id(leaf));
	ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(leaf), X509_get0_notAfter(leaf));
	assert_int_equal(days * 86400 + seconds, 86400);
	assert_true(X509_cmp_time(X509_get0_notBefore(leaf), &hour_ago) < 0);
	assert_int_not_equal(
		ASN1_INTEGER_cmp(X509_get0_serialNumber(leaf), X509_get0_serialNumber(leaf2)), 0);
	assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(leaf)), 16);
	X509_free(leaf);
	X509_free(leaf2);
	EVP_PKEY_free(key);
	ex_ca_free(ca);
}

/* Nothing in it but is as OpenSSL would have written it. */
static void assert_canonical(X509 *leaf)
{
	uint8_t der[EX_LEAF_MAX], *q = der;
	unsigned char *again = NULL;
	int len = i2d_X509(leaf, &q), content = i2d_re_X509_tbs(leaf, &again);

	assert_true(len > 4 + content && content > 256);
	assert_memory_equal(der + 4, again, (size_t)content);
	OPENSSL_free(again);
}

static void every_length(bool rsa_ca, EVP_PKEY *key)
{
	char host[254];
	struct ex_ca *ca;
	X509 *root, *leaf;

	assert_int_equal(ex_ca_make(&(struct ex_ca_wish){ .days = 2, .rsa = rsa_ca }, &ca), 0);
	root = ca_cert(ca);
	for (size_t len = 1; len < sizeof(host); len++) {
		memset(host, 'a', len);
		for (size_t i = 1; i + 1 < len; i += 60)
			host[i] = '.';
		host[len] = '\0';
		leaf = sign(ca, key, ex_span_str(host));
		assert_int_equal(verify(root, leaf, host), X509_V_OK);
		assert_canonical(leaf);
		X509_free(leaf);
	}
	X509_free(root);
	ex_ca_free(ca);
}

static void test_names_of_every_length_fit(void **state)
{
	EVP_PKEY *ec = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048);

	(void)state;
	every_length(false, ec);
	every_length(false, rsa);
	every_length(true, ec);
	every_length(true, rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(rsa);
}

static void test_deny_names_that_the_ca_is_not_permitted(void **state)
{
	static const char *const good[] = { "shared.test", "a.shared.test", "b.a.shared.test",
					    "other.test" };
	static const char *const bad[] = { "xshared.test", "shared.tes", "shared.test.com",
					   "api.openai.com", "test" };
	const struct ex_span permitted[] = { EX_SPAN("shared.test"), EX_SPAN("other.test") };
	const struct ex_ca_wish wish = { .days = 2, .permitted = permitted, .n_permitted = 2 };
	uint8_t spki[512], der[EX_LEAF_MAX];
	struct ex_ca *ca;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	size_t len = spki_of(key, spki);
	X509 *root, *leaf;

	(void)state;
	assert_int_equal(ex_ca_make(&wish, &ca), 0);
	root = ca_cert(ca);
	for (size_t i = 0; i < EX_ARRAY_SIZE(good); i++) {
		leaf = sign(ca, key, ex_span_str(good[i]));
		assert_int_equal(verify(root, leaf, good[i]), X509_V_OK);
		X509_free(leaf);
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++)
		assert_int_equal(ex_ca_sign(ca, ex_span_str(bad[i]), spki, len, der), -EACCES);
	X509_free(root);
	EVP_PKEY_free(key);
	ex_ca_free(ca);
}

static EVP_PKEY *key_of(const struct ex_ca *ca)
{
	char pem[EX_CA_KEY_MAX];
	BIO *bio = BIO_new_mem_buf(pem, ex_ca_key_pem(ca, pem));
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(key);
	return key;
}

/* What a thief of its key would sign, not we: a name and an address, or a name alone. */
static void test_a_ca_for_some_names_is_none_for_addresses(void **state)
{
	static const struct {
		const char *san;
		int result;
	} cases[] = {
		{ "DNS:shared.test", X509_V_OK },
		{ "DNS:shared.test,IP:203.0.113.1", X509_V_ERR_EXCLUDED_VIOLATION },
		{ "DNS:shared.test,IP:2001:db8::1", X509_V_ERR_EXCLUDED_VIOLATION },
		{ "DNS:shared.test,DNS:other.test", X509_V_ERR_PERMITTED_VIOLATION },
	};
	const struct ex_span permitted[] = { EX_SPAN("shared.test") };
	const struct ex_ca_wish wish = { .days = 2, .permitted = permitted, .n_permitted = 1 };
	EVP_PKEY *leaf_key = EVP_EC_gen("P-256"), *key;
	X509 *root, *leaf;
	struct ex_ca *ca;

	(void)state;
	assert_int_equal(ex_ca_make(&wish, &ca), 0);
	root = ca_cert(ca);
	key = key_of(ca);
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		X509_EXTENSION *san;

		leaf = sign(ca, leaf_key, permitted[0]);
		X509_EXTENSION_free(
			X509_delete_ext(leaf, X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1)));
		san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, cases[i].san);
		assert_int_equal(X509_add_ext(leaf, san, -1), 1);
		assert_true(X509_sign(leaf, key, EVP_sha256()) > 0);
		assert_int_equal(verify(root, leaf, "shared.test"), cases[i].result);
		X509_EXTENSION_free(san);
		X509_free(leaf);
	}
	X509_free(root);
	EVP_PKEY_free(key);
	EVP_PKEY_free(leaf_key);
	ex_ca_free(ca);
}

/* The same CA, but its certificate ends in so many seconds. */
static struct ex_ca *ends_in(struct ex_ca *ca, long seconds)
{
	char pem[EX_CA_KEY_MAX], *text;
	int len = ex_ca_key_pem(ca, pem);
	BIO *in = BIO_new_mem_buf(pem, len), *out = BIO_new(BIO_s_mem());
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	X509 *cert = ca_cert(ca);
	struct ex_ca *ret;
	size_t n;

	X509_gmtime_adj(X509_getm_notAfter(cert), seconds);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	PEM_write_bio_X509(out, cert);
	n = (size_t)BIO_get_mem_data(out, &text);
	assert_int_equal(
		ex_ca_load((struct ex_span){ pem, (size_t)len }, (struct ex_span){ text, n }, &ret),
		0);
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(in);
	BIO_free(out);
	return ret;
}

static void test_leaf_does_not_outlive_its_ca(void **state)
{
	struct ex_ca *ca, *ending;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *root, *leaf;

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	ending = ends_in(ca, 3600);
	root = ca_cert(ending);
	leaf = sign(ending, key, name);
	assert_int_equal(verify(root, leaf, "api.openai.com"), X509_V_OK);
	assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(root)), 0);
	X509_free(leaf);
	X509_free(root);
	EVP_PKEY_free(key);
	ex_ca_free(ending);
	ex_ca_free(ca);
}

static void extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

/* Somebody's own CA, over this key, with an identifier of it or without. Takes key. */
static int load_own(EVP_PKEY *key, bool key_id, X509 *cert, struct ex_ca **ret)
{
	BIO *key_out = BIO_new(BIO_s_mem()), *cert_out = BIO_new(BIO_s_mem());
	X509_NAME *subject = X509_get_subject_name(cert);
	char *key_pem, *cert_pem;
	size_t key_len, cert_len;
	int r;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)"\xc3\xbcx", -1,
				   -1, 0);
	X509_set_issuer_name(cert, subject);
	X509_set_pubkey(cert, key);
	extend(cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(cert, NID_key_usage, "critical,keyCertSign");
	if (key_id)
		extend(cert, NID_subject_key_identifier, "hash");
	assert_true(X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	PEM_write_bio_PKCS8PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_X509(cert_out, cert);
	key_len = (size_t)BIO_get_mem_data(key_out, &key_pem);
	cert_len = (size_t)BIO_get_mem_data(cert_out, &cert_pem);
	r = ex_ca_load((struct ex_span){ key_pem, key_len }, (struct ex_span){ cert_pem, cert_len },
		       ret);
	BIO_free(key_out);
	BIO_free(cert_out);
	EVP_PKEY_free(key);
	return r;
}

static void test_leaves_of_cas_over_other_keys_verify(void **state)
{
	/* the last: a signature longer than usual */
	EVP_PKEY *keys[] = { EVP_EC_gen("P-384"), EVP_EC_gen("P-521"), EVP_RSA_gen(2048),
			     EVP_RSA_gen(4352) };
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct ex_ca *own;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(keys); i++) {
		X509 *root = X509_new(), *leaf;

		assert_int_equal(load_own(keys[i], true, root, &own), 0);
		leaf = sign(own, key, name);
		assert_int_equal(verify(root, leaf, "api.openai.com"), X509_V_OK);
		assert_canonical(leaf);
		X509_free(leaf);
		X509_free(root);
		ex_ca_free(own);
	}
	EVP_PKEY_free(key);
}

static void test_deny_cas_that_cannot_sign_a_leaf(void **state)
{
	X509 *ed = X509_new(), *anonymous = X509_new();
	struct ex_ca *own;

	(void)state;
	assert_int_equal(load_own(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), true, ed, &own),
			 -EINVAL);
	assert_int_equal(load_own(EVP_EC_gen("P-256"), false, anonymous, &own), -EINVAL);
	X509_free(ed);
	X509_free(anonymous);
}

static void test_deny_names_that_are_not_canonical(void **state)
{
	static const struct ex_span bad[] = {
		{ "", 0 },
		{ "API.openai.com", 14 },
		{ "api.openai.com.", 15 },
		{ "a\0.com", 6 },
		{ "*.openai.com", 12 },
		{ "127.0.0.1", 9 },
		{ "a,DNS:b", 7 },
		{ "a b", 3 },
	};
	uint8_t spki[512], der[EX_LEAF_MAX];
	struct ex_ca *ca;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	size_t len = spki_of(key, spki);

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++)
		assert_int_equal(ex_ca_sign(ca, bad[i], spki, len, der), -EINVAL);
	EVP_PKEY_free(key);
	ex_ca_free(ca);
}

static void test_deny_keys_that_are_not_p256_points(void **state)
{
	uint8_t spki[512], der[EX_LEAF_MAX];
	struct ex_ca *ca;
	EVP_PKEY *key = EVP_EC_gen("P-256"), *p384 = EVP_EC_gen("P-384"),
		 *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	size_t len = spki_of(key, spki);

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	assert_true(ex_ca_sign(ca, name, spki, len, der) > 0);
	assert_int_equal(ex_ca_sign(ca, name, spki, len - 1, der), -EINVAL);
	assert_int_equal(ex_ca_sign(ca, name, spki, len + 1, der), -EINVAL);
	assert_int_equal(ex_ca_sign(ca, name, spki, 0, der), -EINVAL);
	spki[len - 1] ^= 1; /* off the curve */
	assert_int_equal(ex_ca_sign(ca, name, spki, len, der), -EINVAL);
	memset(spki + 27, 0, 64);
	assert_int_equal(ex_ca_sign(ca, name, spki, len, der), -EINVAL);
	len = spki_of(p384, spki);
	assert_int_equal(ex_ca_sign(ca, name, spki, len, der), -EINVAL);
	len = spki_of(ed, spki);
	assert_int_equal(ex_ca_sign(ca, name, spki, len, der), -EINVAL);
	EVP_PKEY_free(key);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(ed);
	ex_ca_free(ca);
}

static void test_each_key_has_its_own_leaf_however_many(void **state)
{
	EVP_PKEY *keys[40];
	struct ex_ca *ca;

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	for (size_t i = 0; i < EX_ARRAY_SIZE(keys); i++)
		keys[i] = i == 7 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	for (size_t i = 0; i < 3 * EX_ARRAY_SIZE(keys); i++) {
		EVP_PKEY *key = keys[i % 2 ? i % 11 : i % EX_ARRAY_SIZE(keys)];
		X509 *leaf = sign(ca, key, name);

		assert_int_equal(X509_check_private_key(leaf, key), 1);
		X509_free(leaf);
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(keys); i++)
		EVP_PKEY_free(keys[i]);
	ex_ca_free(ca);
}

static void test_rsa_keys_of_one_size_only(void **state)
{
	static const int bits[] = { 2048, 1024, 2047, 3072 };
	uint8_t spki[512], der[EX_LEAF_MAX];
	struct ex_ca *ca;

	(void)state;
	assert_int_equal(ex_ca_new(2, &ca), 0);
	for (size_t i = 0; i < EX_ARRAY_SIZE(bits); i++) {
		EVP_PKEY *key = EVP_RSA_gen((unsigned)bits[i]);
		size_t len = spki_of(key, spki);
		int r = ex_ca_sign(ca, name, spki, len, der);

		if (i == 0)
			assert_true(r > 0);
		else
			assert_int_equal(r, -EINVAL);
		spki[len - 1] ^= 2; /* exponent 65539 */
		assert_int_equal(ex_ca_sign(ca, name, spki, len, der), -EINVAL);
		spki[len - 1] ^= 2;
		spki[33] &= 0x7f; /* a shorter modulus */
		assert_int_equal(ex_ca_sign(ca, name, spki, len, der), -EINVAL);
		assert_int_equal(ex_ca_sign(ca, name, spki, len - 1, der), -EINVAL);
		EVP_PKEY_free(key);
	}
	ex_ca_free(ca);
}

static void test_trust_store_is_read_and_a_named_one_is_the_only_one(void **state)
{
	char path[] = "/tmp/ex-tls-XXXXXX";
	int fd = mkstemp(path);
	size_t len;
	char *pem;

	(void)state;
	assert_true(fd >= 0);
	setenv("SSL_CERT_FILE", path, 1);
	assert_int_equal(ex_trust_read_system(&pem, &len), -EINVAL); /* empty */
	assert_int_equal(write(fd, "roots", 5), 5);
	assert_int_equal(ex_trust_read_system(&pem, &len), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(pem, "roots", 5);
	free(pem);
	close(fd);
	unlink(path);
	assert_int_equal(ex_trust_read_system(&pem, &len), -ENOENT);
	setenv("SSL_CERT_FILE", "/dev/zero", 1);
	assert_int_equal(ex_trust_read_system(&pem, &len), -EINVAL);
	unsetenv("SSL_CERT_FILE");
	if (access("/etc/ssl/certs/ca-certificates.crt", R_OK) != 0)
		return;
	assert_int_equal(ex_trust_read_system(&pem, &len), 0);
	assert_true(len > 1000);
	free(pem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ca_is_a_ca_of_one_level),
		cmocka_unit_test(test_deny_unreasonable_lifetime),
		cmocka_unit_test(test_leaf_verifies_for_its_name_only),
		cmocka_unit_test(test_leaf_is_for_servers_for_a_day_and_no_ca),
		cmocka_unit_test(test_names_of_every_length_fit),
		cmocka_unit_test(test_deny_names_that_the_ca_is_not_permitted),
		cmocka_unit_test(test_a_ca_for_some_names_is_none_for_addresses),
		cmocka_unit_test(test_leaf_does_not_outlive_its_ca),
		cmocka_unit_test(test_leaves_of_cas_over_other_keys_verify),
		cmocka_unit_test(test_deny_cas_that_cannot_sign_a_leaf),
		cmocka_unit_test(test_deny_names_that_are_not_canonical),
		cmocka_unit_test(test_deny_keys_that_are_not_p256_points),
		cmocka_unit_test(test_each_key_has_its_own_leaf_however_many),
		cmocka_unit_test(test_rsa_keys_of_one_size_only),
		cmocka_unit_test(test_trust_store_is_read_and_a_named_one_is_the_only_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
