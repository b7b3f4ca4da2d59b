/* SPDX-License-Identifier: Apache-2.0 */
/* The shared file of roots: all of a trust store is found in it, nothing else, and no file breaks
 * its reader. */
#include "tests/unit/tls_pair.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "agent/core/pack.h"
#include "agent/tls/internal.h"

#define SYSTEM "/etc/ssl/certs/ca-certificates.crt"

static X509_STORE *store_of(struct ex_roots *roots)
{
	X509_STORE *store = X509_STORE_new();

	assert_int_equal(ex_roots_use(roots, store), 0);
	return store;
}

static struct ex_roots *roots_of(struct ex_span pem)
{
	int fd = ex_roots_new(pem);
	struct ex_roots *r;

	assert_true(fd >= 0);
	assert_int_equal(ex_roots_map(fd, &r), 0);
	close(fd);
	return r;
}

static bool verifies(X509_STORE *store, X509 *cert)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok;

	/* of a root it does not matter here when it ends */
	X509_VERIFY_PARAM_set_flags(X509_STORE_get0_param(store), X509_V_FLAG_NO_CHECK_TIME);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
	ok = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	return ok;
}

/* The same name, a key of somebody else. */
static X509 *impostor(X509 *cert, EVP_PKEY *key)
{
	X509 *x = X509_dup(cert);

	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

/*
 * As in a store that has read them all: of two roots with one name and key, as a system may have,
 * that finds one.
 */
static void test_every_root_of_the_system_is_found_and_no_impostor(void **state)
{
	X509_STORE *store, *whole = X509_STORE_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	size_t len = 0, n = 0;
	char *pem = NULL;
	struct ex_roots *roots;
	X509 *cert;
	BIO *bio;

	(void)state;
	if (access(SYSTEM, R_OK) < 0)
		skip();
	assert_int_equal(ex_trust_read_system(&pem, &len), 0);
	roots = roots_of((struct ex_span){ pem, len });
	store = store_of(roots);
	assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 0);
	assert_int_equal(X509_STORE_load_file(whole, SYSTEM), 1);
	bio = BIO_new_mem_buf(pem, (int)len);
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		X509 *other = impostor(cert, key);

		if (verifies(store, cert) != verifies(whole, cert))
			fail_msg("root %zu is not as in the other store", n);
		n += verifies(store, cert);
		assert_false(verifies(store, other));
		X509_free(other);
		X509_free(cert);
	}
	assert_true(n > 10);
	BIO_free(bio);
	X509_STORE_free(whole);
	X509_STORE_free(store);
	ex_roots_unmap(roots);
	EVP_PKEY_free(key);
	free(pem);
}

/* What was not asked for is not read. */
static void test_a_store_holds_what_was_asked_for(void **state)
{
	struct ex_ca *all[5];
	char pem[5 * 2048] = "";
	struct ex_roots *roots;
	X509_STORE *store;
	X509 *cert;
	BIO *bio;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(all); i++) {
		struct ex_span one;

		assert_int_equal(ex_ca_new(1, &all[i]), 0);
		one = ex_ca_pem(all[i]);
		strncat(pem, one.ptr, one.len);
	}
	roots = roots_of(ex_span_str(pem));
	store = store_of(roots);
	bio = BIO_new_mem_buf(ex_ca_pem(all[3]).ptr, (int)ex_ca_pem(all[3]).len);
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_true(verifies(store, cert));
	assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 1);
	assert_true(verifies(store, cert));
	assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 1);
	X509_free(cert);
	BIO_free(bio);
	X509_STORE_free(store);
	ex_roots_unmap(roots);
	for (size_t i = 0; i < EX_ARRAY_SIZE(all); i++)
		ex_ca_free(all[i]);
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

/* Whatever stands in it: refused, or nothing wrong is found. */
static void test_no_file_breaks_its_reader(void **state)
{
	struct ex_span pem = ex_ca_pem(ca);
	int fd = ex_roots_new(pem), plain;
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *other = impostor(cert, key);
	struct ex_roots *roots;
	uint8_t bytes[4096];
	ssize_t len;

	(void)state;
	assert_true(fd >= 0);
	len = pread(fd, bytes, sizeof(bytes), 0);
	assert_true(len > 20 && (size_t)len < sizeof(bytes));
	close(fd);
	for (size_t cut = 0; cut < (size_t)len; cut++) {
		fd = sealed(bytes, cut ? cut : 1);
		assert_true(ex_roots_map(fd, &roots) < 0);
		close(fd);
	}
	for (size_t at = 0; at < (size_t)len * 8; at++) {
		bytes[at / 8] ^= (uint8_t)(1u << at % 8);
		fd = sealed(bytes, (size_t)len);
		if (ex_roots_map(fd, &roots) == 0) {
			X509_STORE *store = store_of(roots);

			(void)verifies(store, cert);
			assert_false(verifies(store, other));
			X509_STORE_free(store);
			ex_roots_unmap(roots);
		}
		close(fd);
		bytes[at / 8] ^= (uint8_t)(1u << at % 8);
	}
	/* one that others may still write to */
	plain = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(plain, bytes, (size_t)len), len);
	assert_int_equal(ex_roots_map(plain, &roots), -EPERM);
	close(plain);
	X509_free(other);
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(bio);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_root_of_the_system_is_found_and_no_impostor),
		cmocka_unit_test(test_a_store_holds_what_was_asked_for),
		cmocka_unit_test(test_no_file_breaks_its_reader),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
