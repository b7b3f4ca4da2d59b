/* SPDX-License-Identifier: Apache-2.0 */
/* A server of today is asked for a retry, and does take another name from the second hello. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/ssl.h>

#include "agent/tls/ca.h"
#include "agent/tls/hello.h"

/* One real handshake with a retry: what each side sent, flight by flight. */
struct flights {
	uint8_t hello[4096], answer[4096], again[4096];
	size_t hello_len, answer_len, again_len;
	char seen_by_server[256]; /* the name, behind the second hello */
};

static char server_name[256];

static int on_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)arg;
	snprintf(server_name, sizeof(server_name), "%s", name ? name : "");
	return SSL_TLSEXT_ERR_OK;
}

static size_t take(SSL *ssl, uint8_t *out, size_t cap)
{
	int n = BIO_read(SSL_get_wbio(ssl), out, (int)cap);

	return n > 0 ? (size_t)n : 0;
}

static void certificate_use(SSL_CTX *ctx)
{
	uint8_t der[EX_LEAF_MAX], spki[128];
	const unsigned char *p = der;
	unsigned char *q = spki;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct ex_ca *ca;
	X509 *leaf;
	int len;

	assert_int_equal(ex_ca_new(1, &ca), 0);
	len = ex_ca_sign(ca, EX_SPAN("good.example"), spki, (size_t)i2d_PUBKEY(key, &q), der);
	leaf = d2i_X509(NULL, &p, len);
	assert_int_equal(SSL_CTX_use_certificate(ctx, leaf), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(leaf);
	EVP_PKEY_free(key);
	ex_ca_free(ca);
}

static SSL *end_new(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	return ssl;
}

/* second: the name the client changes to between its hellos; NULL: keeps it. */
static void record(struct flights *f, const char *second, bool retry)
{
	SSL_CTX *server_ctx = SSL_CTX_new(TLS_server_method()), *client_ctx;
	SSL *server, *client;

	memset(f, 0, sizeof(*f));
	client_ctx = SSL_CTX_new(TLS_client_method());
	certificate_use(server_ctx);
	SSL_CTX_set1_groups_list(server_ctx, "P-384");
	SSL_CTX_set1_groups_list(client_ctx, retry ? "P-256:P-384" : "P-384");
	SSL_CTX_set_tlsext_servername_callback(server_ctx, on_name);
	server = end_new(server_ctx);
	client = end_new(client_ctx);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	SSL_set_tlsext_host_name(client, "good.example");
	SSL_do_handshake(client);
	f->hello_len = take(client, f->hello, sizeof(f->hello));
	BIO_write(SSL_get_rbio(server), f->hello, (int)f->hello_len);
	SSL_do_handshake(server);
	f->answer_len = take(server, f->answer, sizeof(f->answer));
	if (second)
		SSL_set_tlsext_host_name(client, second);
	if (retry) {
		BIO_write(SSL_get_rbio(client), f->answer, (int)f->answer_len);
		SSL_do_handshake(client);
		f->again_len = take(client, f->again, sizeof(f->again));
		BIO_write(SSL_get_rbio(server), f->again, (int)f->again_len);
		SSL_do_handshake(server);
		snprintf(f->seen_by_server, sizeof(f->seen_by_server), "%s", server_name);
	}
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
}

static struct flights f;

static struct ex_hello first_hello(void)
{
	struct ex_hello first;

	assert_int_equal(ex_hello_parse(f.hello, f.hello_len, &first), EX_HELLO_DONE);
	assert_int_equal(first.size, f.hello_len);
	assert_string_equal(first.sni, "good.example");
	return first;
}

static void test_retry_is_recognised_and_the_same_name_passes(void **state)
{
	struct ex_hello first, again;

	(void)state;
	record(&f, NULL, true);
	first = first_hello();
	for (size_t n = 0; n < 43; n++)
		assert_int_equal(ex_hello_answer(f.answer, n), EX_ANSWER_MORE);
	assert_int_equal(ex_hello_answer(f.answer, f.answer_len), EX_ANSWER_RETRY);
	for (size_t n = 0; n < f.again_len; n++) {
		assert_int_equal(ex_hello_parse_again(f.again, n, &first, &again), EX_HELLO_MORE);
		assert_in_range(again.need, n + 1, f.again_len);
	}
	assert_int_equal(ex_hello_parse_again(f.again, f.again_len, &first, &again), EX_HELLO_DONE);
	assert_int_equal(again.size, f.again_len);
	assert_string_equal(f.seen_by_server, "good.example");
}

static void test_deny_another_name_behind_a_retry(void **state)
{
	struct ex_hello first, again;

	(void)state;
	record(&f, "evil.example", true);
	first = first_hello();
	assert_int_equal(ex_hello_parse_again(f.again, f.again_len, &first, &again), EX_HELLO_BAD);
	assert_int_equal(again.reason, EX_R_SNI_DENIED);
	/* that this is worth the trouble: the server goes by the second name */
	assert_string_equal(f.seen_by_server, "evil.example");
}

static void test_ordinary_answers_end_the_watch(void **state)
{
	(void)state;
	record(&f, NULL, false);
	assert_int_equal(ex_hello_answer(f.answer, f.answer_len), EX_ANSWER_FINAL);
	assert_int_equal(ex_hello_answer("\x15\3\3\0\2\2\x28", 7), EX_ANSWER_FINAL);
	record(&f, NULL, true);
	f.answer[11 + 31] ^= 1; /* a random like any other */
	assert_int_equal(ex_hello_answer(f.answer, f.answer_len), EX_ANSWER_FINAL);
}

/* As some servers say that they do not know the name, and go on. */
static void test_what_comes_behind_a_warning_counts(void **state)
{
	static const char warning[] = "\x15\3\3\0\2\1\x70";
	uint8_t b[5 * 7 + sizeof(f.answer)];

	(void)state;
	for (size_t n = 1; n <= 7; n++)
		assert_int_equal(ex_hello_answer(warning, n), EX_ANSWER_MORE);
	record(&f, NULL, true);
	for (size_t n = 1; n <= 5; n++) {
		memcpy(b + (n - 1) * 7, warning, 7);
		memcpy(b + n * 7, f.answer, f.answer_len);
		assert_int_equal(ex_hello_answer(b, n * 7 + f.answer_len),
				 n < 5 ? EX_ANSWER_RETRY : EX_ANSWER_ODD);
	}
	assert_int_equal(ex_hello_answer("\x15\3\3\0\3\1\x70\0", 8), EX_ANSWER_ODD);
}

static void test_other_answers_are_odd(void **state)
{
	(void)state;
	assert_int_equal(ex_hello_answer("HTTP/1.1 400", 12), EX_ANSWER_ODD);
	record(&f, NULL, true);
	f.answer[5] = 1;
	assert_int_equal(ex_hello_answer(f.answer, f.answer_len), EX_ANSWER_ODD);
	f.answer[5] = 2;
	f.answer[3] = 0;
	f.answer[4] = 37; /* cut before the end of the random */
	assert_int_equal(ex_hello_answer(f.answer, f.answer_len), EX_ANSWER_ODD);
}

static void test_only_what_belongs_there_stands_between_the_hellos(void **state)
{
	static uint8_t b[2 * EX_HELLO_MAX];
	struct ex_hello first, again;
	size_t ccs = 6; /* OpenSSL sends one; what follows it is the hello alone */

	(void)state;
	record(&f, NULL, true);
	first = first_hello();
	assert_int_equal(f.again[0], 20);
	assert_int_equal(ex_hello_parse_again(f.again + ccs, f.again_len - ccs, &first, &again),
			 EX_HELLO_DONE);
	/* data that was sent early: only from a client that has offered it */
	memcpy(b, "\x17\x03\x03\x00\x02xx", 7);
	memcpy(b + 7, f.again, f.again_len);
	assert_int_equal(ex_hello_parse_again(b, 7 + f.again_len, &first, &again), EX_HELLO_BAD);
	first.early_data = true;
	assert_int_equal(ex_hello_parse_again(b, 7 + f.again_len, &first, &again), EX_HELLO_DONE);
	assert_int_equal(again.size, 7 + f.again_len);
	/* but not without end */
	for (size_t i = 0; i < sizeof(b); i += 5 + 16000)
		memcpy(b + i, "\x17\x03\x03\x3e\x80", 5);
	assert_int_equal(ex_hello_parse_again(b, EX_HELLO_MAX - 10, &first, &again), EX_HELLO_BAD);
	/* a long change_cipher_spec, an alert, bare data */
	assert_int_equal(ex_hello_parse_again("\x14\3\3\0\2\1\1", 7, &first, &again), EX_HELLO_BAD);
	assert_int_equal(ex_hello_parse_again("\x15\3\3\0\2\1\0", 7, &first, &again), EX_HELLO_BAD);
	assert_int_equal(ex_hello_parse_again("GET /", 5, &first, &again), EX_HELLO_BAD);
}

static void test_deny_second_hello_that_hides_or_drops_the_name(void **state)
{
	struct ex_hello first, again;

	(void)state;
	record(&f, NULL, true);
	first = first_hello();
	first.has_sni = false;
	first.sni[0] = '\0';
	assert_int_equal(ex_hello_parse_again(f.again, f.again_len, &first, &again), EX_HELLO_BAD);
	assert_int_equal(again.reason, EX_R_SNI_DENIED);
}

/* The name in sight would then be the cover of another one. */
static void test_deny_second_hello_that_is_encrypted_when_the_first_was_not(void **state)
{
	static uint8_t b[sizeof(f.again) + 4];
	uint8_t *hello = b + 6; /* behind the change of cipher */
	struct ex_hello first, again;
	size_t list, len;

	(void)state;
	record(&f, NULL, true);
	first = first_hello();
	memcpy(b, f.again, f.again_len);
	memcpy(b + f.again_len, "\xfe\x0d\0\0", 4); /* one more extension, an empty one */
	len = (size_t)(hello[3] << 8 | hello[4]) + 4;
	hello[3] = (uint8_t)(len >> 8);
	hello[4] = (uint8_t)len;
	len -= 4;
	hello[7] = (uint8_t)(len >> 8);
	hello[8] = (uint8_t)len;
	list = 9 + 2 + 32; /* version, random; then session, ciphers, compression */
	list += 1u + hello[list];
	list += 2u + (size_t)(hello[list] << 8 | hello[list + 1]);
	list += 1u + hello[list];
	len = (size_t)(hello[list] << 8 | hello[list + 1]) + 4;
	hello[list] = (uint8_t)(len >> 8);
	hello[list + 1] = (uint8_t)len;
	assert_int_equal(ex_hello_parse_again(b, f.again_len + 4, &first, &again), EX_HELLO_BAD);
	assert_int_equal(again.reason, EX_R_ECH);
	first.ech = true; /* then it was refused, or allowed, for that already */
	assert_int_equal(ex_hello_parse_again(b, f.again_len + 4, &first, &again), EX_HELLO_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retry_is_recognised_and_the_same_name_passes),
		cmocka_unit_test(test_deny_another_name_behind_a_retry),
		cmocka_unit_test(test_ordinary_answers_end_the_watch),
		cmocka_unit_test(test_what_comes_behind_a_warning_counts),
		cmocka_unit_test(test_other_answers_are_odd),
		cmocka_unit_test(test_only_what_belongs_there_stands_between_the_hellos),
		cmocka_unit_test(test_deny_second_hello_that_hides_or_drops_the_name),
		cmocka_unit_test(test_deny_second_hello_that_is_encrypted_when_the_first_was_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
