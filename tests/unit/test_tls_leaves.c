/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves that the workload is shown: which are taken, and that they are sent as they were
 * signed. */
#include "tests/unit/tls_pair.h"

#include <openssl/pem.h>

#include "agent/tls/hello.h"

static void test_deny_unknown_leaf_and_names_that_are_none(void **state)
{
	struct ex_tls_session *s;

	(void)state;
	assert_int_equal(ex_tls_accept(tls, 0, EX_SPAN("other.com"), NULL, 0, false, &s), -ENOENT);
	assert_int_equal(ex_tls_connect(tls, 0, EX_SPAN("127.0.0.1"), 0, false, &s), -EINVAL);
	assert_int_equal(ex_tls_connect(tls, 0, EX_SPAN("API.openai.com"), 0, false, &s), -EINVAL);
	assert_int_equal(ex_tls_connect(tls, 0, EX_SPAN("a\0b"), 0, false, &s), -EINVAL);
	assert_int_equal(ex_tls_connect(tls, 0, EX_SPAN(""), 0, false, &s), -EINVAL);
}

static void test_deny_leaf_of_other_name_or_key_or_with_a_tail(void **state)
{
	uint8_t der[EX_LEAF_MAX + 1], spki[128];
	struct ex_span own = ex_tls_leaf_spki(tls);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	unsigned char *p = spki;
	int len;

	(void)state;
	assert_int_equal(add_leaf_of(ca, EX_SPAN("a.com"), EX_SPAN("b.com")), -EINVAL);
	assert_int_equal(ex_tls_add_leaf(tls, EX_SPAN("a.com"), "junk", 4), -EINVAL);
	len = ex_ca_sign(ca, EX_SPAN("a.com"), spki, (size_t)i2d_PUBKEY(key, &p), der);
	assert_true(len > 0);
	assert_int_equal(ex_tls_add_leaf(tls, EX_SPAN("a.com"), der, (size_t)len), -EINVAL);
	len = ex_ca_sign(ca, EX_SPAN("a.com"), own.ptr, own.len, der);
	assert_int_equal(ex_tls_add_leaf(tls, EX_SPAN("a.com"), der, (size_t)len + 1), -EINVAL);
	assert_false(ex_tls_has_leaf(tls, EX_SPAN("a.com")));
	assert_int_equal(ex_tls_add_leaf(tls, EX_SPAN("a.com"), der, (size_t)len), 0);
	assert_true(ex_tls_has_leaf(tls, EX_SPAN("a.com")));
	EVP_PKEY_free(key);
}

/* The key in it is ours to the last bit, or it is not taken. */
static void test_deny_leaf_with_one_bit_of_its_key_turned(void **state)
{
	struct ex_span spki = ex_tls_leaf_spki(tls);
	uint8_t der[EX_LEAF_MAX], *at;
	int len = ex_ca_sign(ca, EX_SPAN("a.net"), spki.ptr, spki.len, der);

	(void)state;
	assert_true(len > 0);
	at = memmem(der, (size_t)len, spki.ptr, spki.len);
	assert_non_null(at);
	for (size_t bit = 0; bit < spki.len * 8; bit++) {
		at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ex_tls_add_leaf(tls, EX_SPAN("a.net"), der, (size_t)len), -EINVAL);
		at[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_false(ex_tls_has_leaf(tls, EX_SPAN("a.net")));
	assert_int_equal(ex_tls_add_leaf(tls, EX_SPAN("a.net"), der, (size_t)len), 0);
}

static void test_deny_leaf_that_ends_early(void **state)
{
	struct ex_span spki = ex_tls_leaf_spki(tls);
	uint8_t der[EX_LEAF_MAX];
	int len = ex_ca_sign(ca, EX_SPAN("b.net"), spki.ptr, spki.len, der);

	(void)state;
	assert_true(len > 0);
	for (int n = 0; n < len; n++) {
		uint8_t *copy = malloc((size_t)n); /* a read behind its end shows */

		memcpy(copy, der, (size_t)n);
		assert_int_equal(ex_tls_add_leaf(tls, EX_SPAN("b.net"), copy, (size_t)n), -EINVAL);
		free(copy);
	}
	assert_false(ex_tls_has_leaf(tls, EX_SPAN("b.net")));
}

/* ---- what a client sees ---- */

static void client_sees(struct ex_span spki, bool rsa, int version)
{
	uint8_t der[EX_LEAF_MAX], seen[EX_LEAF_MAX], *q = seen;
	X509_VERIFY_PARAM *param;
	struct ex_span pem = ex_ca_pem(ca);
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *root = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	struct foreign f;
	struct pair p;
	int len = ex_ca_sign(ca, NAME, spki.ptr, spki.len, der);

	assert_true(len > 0);
	assert_int_equal(ex_tls_add_leaf(tls, NAME, der, (size_t)len), 0);
	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	param = SSL_get0_param(f.ssl);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(f.ctx), root), 1);
	SSL_set_verify(f.ssl, SSL_VERIFY_PEER, NULL);
	SSL_set1_host(f.ssl, "api.openai.com");
	SSL_set_max_proto_version(f.ssl, version);
	SSL_set_tlsext_host_name(f.ssl, "api.openai.com");
	assert_int_equal((rsa ? ex_tls_accept_rsa : ex_tls_accept)(tls, p.fd[0], NAME, NULL, 0,
								   false, &p.server),
			 0);
	assert_int_equal(foreign_handshake(&f, p.server), 0);
	assert_int_equal(SSL_get_verify_result(f.ssl), X509_V_OK);
	assert_int_equal(i2d_X509(SSL_get0_peer_certificate(f.ssl), &q), len);
	assert_memory_equal(seen, der, (size_t)len);
	foreign_close(&f);
	pair_close(&p);
	X509_free(root);
	BIO_free(bio);
}

static void test_client_gets_the_leaf_as_it_was_signed(void **state)
{
	struct ex_span rsa;

	(void)state;
	assert_int_equal(ex_tls_rsa_spki(tls, &rsa), 0);
	for (int i = 0; i < 3; i++) { /* each time another serial */
		client_sees(ex_tls_leaf_spki(tls), false, TLS1_3_VERSION);
		client_sees(ex_tls_leaf_spki(tls), false, TLS1_2_VERSION);
		client_sees(rsa, true, TLS1_3_VERSION);
		client_sees(rsa, true, TLS1_2_VERSION);
	}
}

static void test_leaf_cache_is_bounded_and_forgets_the_unused(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 1030; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		assert_int_equal(add_leaf_of(ca, ex_span_str(name), ex_span_str(name)), 0);
		assert_true(ex_tls_has_leaf(tls, NAME)); /* a use */
	}
	assert_true(ex_tls_has_leaf(tls, EX_SPAN("n1029.example")));
	assert_true(ex_tls_has_leaf(tls, EX_SPAN("n7.example")));
	assert_false(ex_tls_has_leaf(tls, EX_SPAN("n6.example")));
}

/* A client that knows RSA only, and one that knows better: each gets its own kind of leaf. */
static void test_old_client_gets_an_rsa_leaf(void **state)
{
	static const struct {
		const char *sigalgs, *ciphers;
		int version;
	} old[] = {
		{ "RSA+SHA256", "ECDHE-RSA-AES128-GCM-SHA256", TLS1_2_VERSION },
		{ "RSA+SHA256:ECDSA+SHA256", "ECDHE-RSA-AES128-SHA", TLS1_2_VERSION },
		{ "rsa_pss_rsae_sha256", "DEFAULT", TLS1_3_VERSION },
	};
	uint8_t der[EX_LEAF_MAX], bytes[4096];
	struct ex_hello hello;
	struct ex_span spki;
	struct foreign f;
	struct pair p;
	ssize_t n;

	(void)state;
	assert_false(ex_tls_has_rsa_leaf(tls, NAME));
	assert_int_equal(ex_tls_rsa_spki(tls, &spki), 0);
	n = ex_ca_sign(ca, NAME, spki.ptr, spki.len, der);
	assert_true(n > 0);
	assert_int_equal(ex_tls_add_leaf(tls, NAME, der, (size_t)n), 0);
	assert_true(ex_tls_has_rsa_leaf(tls, NAME));
	for (size_t i = 0; i < EX_ARRAY_SIZE(old); i++) {
		pair_open(&p);
		foreign_open(&f, false, p.fd[1]);
		SSL_set_max_proto_version(f.ssl, old[i].version);
		assert_int_equal(SSL_set1_sigalgs_list(f.ssl, old[i].sigalgs), 1);
		assert_int_equal(SSL_set_cipher_list(f.ssl, old[i].ciphers), 1);
		SSL_set_tlsext_host_name(f.ssl, "api.openai.com");
		SSL_do_handshake(f.ssl);
		n = recv(p.fd[0], bytes, sizeof(bytes), MSG_PEEK);
		assert_int_equal(ex_hello_parse(bytes, (size_t)n, &hello), EX_HELLO_DONE);
		assert_true(hello.rsa_only);
		assert_int_equal(ex_tls_accept_rsa(tls, p.fd[0], NAME, NULL, 0, false, &p.server),
				 0);
		assert_int_equal(foreign_handshake(&f, p.server), 0);
		assert_int_equal(
			EVP_PKEY_get_id(X509_get0_pubkey(SSL_get0_peer_certificate(f.ssl))),
			EVP_PKEY_RSA);
		foreign_close(&f);
		pair_close(&p);
	}
	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	SSL_set_tlsext_host_name(f.ssl, "api.openai.com");
	SSL_do_handshake(f.ssl);
	n = recv(p.fd[0], bytes, sizeof(bytes), MSG_PEEK);
	assert_int_equal(ex_hello_parse(bytes, (size_t)n, &hello), EX_HELLO_DONE);
	assert_false(hello.rsa_only);
	foreign_close(&f);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deny_unknown_leaf_and_names_that_are_none),
		cmocka_unit_test(test_deny_leaf_of_other_name_or_key_or_with_a_tail),
		cmocka_unit_test(test_deny_leaf_with_one_bit_of_its_key_turned),
		cmocka_unit_test(test_deny_leaf_that_ends_early),
		cmocka_unit_test(test_old_client_gets_an_rsa_leaf),
		cmocka_unit_test(test_client_gets_the_leaf_as_it_was_signed),
		cmocka_unit_test(test_leaf_cache_is_bounded_and_forgets_the_unused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
