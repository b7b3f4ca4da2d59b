/* SPDX-License-Identifier: Apache-2.0 */
/* The node's certificate authority: made once, the same from then on, nobody else's key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "agent/ca/authority.h"
#include "agent/ca/store.h"
#include "agent/ca/trust.h"
#include "agent/core/log.h"
#include "agent/core/state_file.h"

static char dir[] = "/tmp/exeat-authority-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	ex_log_set_level(EX_LOG_ERROR);
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/trust.pem", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock", dir);
	unlink(path);
	rmdir(dir);
	return 0;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void put(const char *name, struct ex_span text)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ex_state_file_write(fd, name, 0600, text), 0);
	close(fd);
}

static void test_same_authority_after_a_restart(void **state)
{
	struct ex_ca *first, *second;
	struct stat st;
	char path[64];

	(void)state;
	need_root();
	assert_int_equal(ex_authority_open(dir, &first), 0);
	assert_int_equal(ex_authority_open(dir, &second), 0);
	assert_true(ex_span_eq(ex_ca_pem(first), ex_ca_pem(second)));
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	ex_ca_free(first);
	ex_ca_free(second);
}

static void test_refuse_key_of_another(void **state)
{
	struct ex_ca *ca, *other;
	char key[EX_CA_KEY_MAX];
	int n;

	(void)state;
	need_root();
	assert_int_equal(ex_authority_open(dir, &ca), 0);
	assert_int_equal(ex_ca_new(1, &other), 0);
	n = ex_ca_key_pem(other, key);
	assert_true(n > 0);
	put("ca.key", (struct ex_span){ key, (size_t)n });
	ex_ca_free(ca);
	ex_ca_free(other);
	assert_int_equal(ex_authority_open(dir, &ca), -EINVAL);
}

static void test_refuse_garbage_and_half_a_pair(void **state)
{
	struct ex_ca *ca;
	char path[64];

	(void)state;
	need_root();
	assert_int_equal(ex_authority_open(dir, &ca), 0);
	ex_ca_free(ca);
	put("ca.pem", EX_SPAN("-----BEGIN CERTIFICATE-----\nno\n"));
	assert_int_equal(ex_authority_open(dir, &ca), -EINVAL);
	/* A certificate that workloads trust already is not replaced by one they do not know. */
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	unlink(path);
	assert_int_equal(ex_authority_open(dir, &ca), -ENOENT);
}

/* ---- one of one's own, as other tools write it ---- */

/* A certificate that says an organisation, and no common name. */
static void make_own(struct ex_span *ret_cert, char key[static EX_CA_KEY_MAX])
{
	static char pem[2048];
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	BIO *out = BIO_new(BIO_s_mem());
	X509_EXTENSION *ski;
	X509V3_CTX ctx;

	X509_set_version(cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const uint8_t *)"own", -1, -1, 0);
	X509_set_issuer_name(cert, subject);
	X509_set_pubkey(cert, pkey);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_add1_ext_i2d(cert, NID_basic_constraints, &(BASIC_CONSTRAINTS){ .ca = 255 }, 1, 0);
	ski = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_key_identifier, "hash");
	X509_add_ext(cert, ski, -1); /* a copy */
	X509_EXTENSION_free(ski);
	assert_true(X509_sign(cert, pkey, EVP_sha256()) > 0);
	PEM_write_bio_X509(out, cert);
	*ret_cert = (struct ex_span){ pem, (size_t)BIO_read(out, pem, sizeof(pem)) };
	PEM_write_bio_PKCS8PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL);
	key[BIO_read(out, key, EX_CA_KEY_MAX - 1)] = '\0';
	BIO_free(out);
	X509_free(cert);
	EVP_PKEY_free(pkey);
}

static size_t trusted(void)
{
	size_t len, n = 0;
	int fd = ex_ca_store_open(dir, false);
	char *pem, *at;

	assert_true(fd >= 0);
	assert_int_equal(ex_ca_store_trust(fd, &pem, &len), 0);
	close(fd);
	for (at = pem; (at = strstr(at, "-----BEGIN CERTIFICATE-----")); at++, n++)
		assert_true(at == pem || at[-1] == '\n');
	free(pem);
	return n;
}

static int count_one(void *arg, enum ex_ca_role role, const struct ex_ca_info *info)
{
	(void)role;
	assert_true(info->subject[0] != '\0');
	++*(size_t *)arg;
	return 0;
}

static void test_what_signs_is_trusted_however_it_is_written(void **state)
{
	struct ex_span cert, forms[3];
	char key[EX_CA_KEY_MAX], crlf[4096];
	struct ex_ca *ca;
	size_t n;
	int fd;

	(void)state;
	need_root();
	make_own(&cert, key);
	n = 0;
	for (size_t i = 0; i < cert.len; i++) {
		if (cert.ptr[i] == '\n')
			crlf[n++] = '\r';
		crlf[n++] = cert.ptr[i];
	}
	forms[0] = cert;
	forms[1] = (struct ex_span){ cert.ptr, cert.len - 1 };
	forms[2] = (struct ex_span){ crlf, n };
	for (size_t i = 0; i < EX_ARRAY_SIZE(forms); i++) {
		put("ca.key", ex_span_str(key));
		put("ca.pem", forms[i]);
		assert_int_equal(ex_authority_open(dir, &ca), 0);
		ex_ca_free(ca);
		assert_int_equal(trusted(), 1);
		fd = ex_ca_store_open(dir, false);
		assert_true(fd >= 0);
		assert_int_equal(ex_ca_store_rotate(fd, &(struct ex_ca_wish){ .days = 1 }), 0);
		assert_int_equal(trusted(), 2);
		assert_int_equal(ex_ca_store_switch(fd), 0);
		assert_int_equal(trusted(), 2);
		n = 0;
		assert_int_equal(ex_ca_store_each(fd, count_one, &n), 0);
		assert_int_equal(n, 2);
		assert_int_equal(unlinkat(fd, "ca-old.pem", 0), 0);
		close(fd);
	}
}

/* A file with both, as some tools write it: workloads are given the certificate. */
static void test_no_key_is_given_to_who_trusts_it(void **state)
{
	char key[EX_CA_KEY_MAX], both[3 * EX_CA_KEY_MAX], *pem;
	struct ex_span cert;
	struct ex_ca *ca;
	size_t len;
	int fd;

	(void)state;
	need_root();
	make_own(&cert, key);
	snprintf(both, sizeof(both), "%s%.*s%s", key, (int)cert.len, cert.ptr, key);
	put("ca.key", ex_span_str(both));
	put("ca.pem", ex_span_str(both));
	assert_int_equal(ex_authority_open(dir, &ca), 0);
	ex_ca_free(ca);
	fd = ex_ca_store_open(dir, false);
	assert_int_equal(ex_ca_store_trust(fd, &pem, &len), 0);
	close(fd);
	assert_true(ex_span_eq((struct ex_span){ pem, len }, cert));
	free(pem);
	put("extra", ex_span_str(both));
	snprintf(both, sizeof(both), "%s/extra", dir);
	assert_int_equal(ex_trust_roots(both, &pem, &len), -EINVAL);
	unlink(both);
}

/* Who names a store means it: with another file beside it, too. */
static void test_refuse_a_named_store_that_cannot_be_read(void **state)
{
	static const char *const stores[] = { "/dev/zero", "/nowhere/to/be/found" };
	char path[64], key[EX_CA_KEY_MAX], *pem;
	struct ex_span cert;
	size_t len;

	(void)state;
	need_root();
	make_own(&cert, key);
	put("extra", cert);
	snprintf(path, sizeof(path), "%s/extra", dir);
	for (size_t i = 0; i < EX_ARRAY_SIZE(stores); i++) {
		setenv("SSL_CERT_FILE", stores[i], 1);
		assert_true(ex_trust_roots(path, &pem, &len) < 0);
		assert_true(ex_trust_roots(NULL, &pem, &len) < 0);
	}
	setenv("SSL_CERT_FILE", path, 1);
	assert_int_equal(ex_trust_roots(path, &pem, &len), 0);
	free(pem);
	unsetenv("SSL_CERT_FILE");
	unlink(path);
}

/* It is told, and not left out of what is trusted. */
static void test_refuse_what_cannot_be_trusted(void **state)
{
	struct ex_ca *ca;
	char *pem;
	size_t len;
	int fd;

	(void)state;
	need_root();
	assert_int_equal(ex_authority_open(dir, &ca), 0);
	ex_ca_free(ca);
	put("ca-old.pem", EX_SPAN("-----BEGIN TRUSTED CERTIFICATE-----\nno\n"));
	fd = ex_ca_store_open(dir, false);
	assert_int_equal(ex_ca_store_trust(fd, &pem, &len), -EINVAL);
	assert_int_equal(ex_ca_store_each(fd, count_one, &len), -EINVAL);
	put("ca-old.pem", EX_SPAN(""));
	assert_int_equal(trusted(), 1);
	assert_int_equal(unlinkat(fd, "ca-old.pem", 0), 0);
	close(fd);
}

static void test_refuse_directory_others_may_write(void **state)
{
	static const mode_t modes[] = { 0777, 0775, 0757 };
	struct ex_ca *ca;

	(void)state;
	need_root();
	for (size_t i = 0; i < EX_ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(dir, modes[i]), 0);
		assert_int_equal(ex_authority_open(dir, &ca), -EPERM);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		T(test_same_authority_after_a_restart),
		T(test_refuse_key_of_another),
		T(test_refuse_garbage_and_half_a_pair),
		T(test_what_signs_is_trusted_however_it_is_written),
		T(test_no_key_is_given_to_who_trusts_it),
		T(test_refuse_a_named_store_that_cannot_be_read),
		T(test_refuse_what_cannot_be_trusted),
		T(test_refuse_directory_others_may_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
