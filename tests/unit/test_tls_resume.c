/* SPDX-License-Identifier: Apache-2.0 */
/* Resumption towards origins, and early data from clients. */
#include "agent/core/pack.h"
#include "agent/proxy/proxy.h"
#include "agent/tls/hello.h"
#include "tests/unit/tls_pair.h"

/* Connects and reads the ticket; says whether the origin resumed. */
static bool origin_resumes(SSL_CTX *ctx, struct ex_ca *by, struct ex_span name, int expected)
{
	struct pair p;
	uint32_t want;
	char byte;
	bool resumed;
	SSL *ssl;
	int r = -EAGAIN;

	pair_open(&p);
	ssl = origin_new(ctx, p.fd[0], by, name);
	assert_int_equal(ex_tls_connect(tls, p.fd[1], name, 0, false, &p.client), 0);
	for (int i = 0; i < 100 && r == -EAGAIN; i++) {
		r = ex_tls_handshake(p.client, &want);
		SSL_do_handshake(ssl);
	}
	assert_int_equal(r, expected);
	resumed = SSL_session_reused(ssl);
	if (r == 0) {
		assert_int_equal(SSL_write(ssl, "x", 1), 1);
		assert_int_equal(ex_tls_read(p.client, &byte, 1, &want), 1);
	}
	SSL_free(ssl);
	pair_close(&p);
	return resumed;
}

static void test_resumption_is_bound_to_the_name(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(versions); i++) {
		struct ex_span one = i ? EX_SPAN("one.test") : EX_SPAN("one12.test");
		struct ex_span two = i ? EX_SPAN("two.test") : EX_SPAN("two12.test");
		SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

		SSL_CTX_set_max_proto_version(ctx, versions[i]);
		assert_false(origin_resumes(ctx, ca, one, 0));
		assert_true(origin_resumes(ctx, ca, one, 0));
		assert_false(origin_resumes(ctx, ca, two, 0));
		assert_true(origin_resumes(ctx, ca, two, 0));
		assert_true(origin_resumes(ctx, ca, one, 0));
		SSL_CTX_free(ctx);
	}
}

/* A client of the workload's comes, with *ticket when it has one, and takes the new one home. */
static bool workload_resumes(int version, const char *sni, SSL_SESSION **ticket)
{
	struct foreign f;
	struct pair p;
	uint32_t want;
	bool resumed;
	char byte;
	int r = -EAGAIN;

	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	SSL_set_max_proto_version(f.ssl, version);
	SSL_set_tlsext_host_name(f.ssl, sni);
	if (*ticket)
		SSL_set_session(f.ssl, *ticket);
	assert_int_equal(ex_tls_accept(tls, p.fd[0], ex_span_str(sni), NULL, 0, false, &p.server),
			 0);
	for (int i = 0; i < 100 && r == -EAGAIN; i++) {
		SSL_do_handshake(f.ssl);
		r = ex_tls_handshake(p.server, &want);
	}
	assert_int_equal(r, 0);
	SSL_do_handshake(f.ssl);
	assert_int_equal(ex_tls_write(p.server, "x", 1, &want), 1);
	assert_int_equal(SSL_read(f.ssl, &byte, 1), 1); /* and the ticket before it */
	resumed = SSL_session_reused(f.ssl);
	SSL_SESSION_free(*ticket);
	*ticket = SSL_get1_session(f.ssl);
	SSL_set_shutdown(f.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else it is void */
	foreign_close(&f);
	pair_close(&p);
	return resumed;
}

static const uint8_t secret_a[EX_TICKET_SECRET_LEN] = { 1 },
		     secret_b[EX_TICKET_SECRET_LEN] = { 1, [31] = 1 };

/* Another process of the endpoint, or of another one. */
static struct ex_tls *worker(const uint8_t secret[static EX_TICKET_SECRET_LEN])
{
	struct ex_span pem = ex_ca_pem(ca);
	struct ex_tls *t;

	assert_int_equal(tls_new(pem, &t), 0);
	ex_tls_use_tickets(t, secret);
	return t;
}

static void test_tickets_are_good_for_who_has_the_secret(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct ex_tls *mine = tls, *same = worker(secret_a), *other = worker(secret_b), *fresh;
	struct ex_span pem = ex_ca_pem(ca);

	(void)state;
	assert_int_equal(tls_new(pem, &fresh), 0);
	ex_tls_use_tickets(mine, secret_a);
	for (size_t i = 0; i < EX_ARRAY_SIZE(versions); i++) {
		struct ex_tls *const all[] = { mine, same, mine, same, other, same, fresh, mine };
		SSL_SESSION *ticket = NULL;

		for (size_t k = 0; k < EX_ARRAY_SIZE(all); k++) {
			tls = all[k];
			assert_int_equal(add_leaf_of(ca, NAME, NAME), 0);
			assert_int_equal(workload_resumes(versions[i], "api.openai.com", &ticket),
					 k > 0 && k < 4);
		}
		SSL_SESSION_free(ticket);
	}
	tls = mine;
	ex_tls_free(same);
	ex_tls_free(other);
	ex_tls_free(fresh);
}

static int sealed(const char *policy)
{
	struct ex_pack p = { 0 };
	int fd;

	ex_pack_str(&p, policy);
	fd = ex_pack_seal(&p, "test");
	assert_true(fd >= 0);
	return fd;
}

/* A process of the endpoint with this secret, when this policy is in force. */
static bool proxy_resumes(const uint8_t secret[static EX_PROXY_SECRET_LEN], int bundle,
			  SSL_SESSION **ticket)
{
	struct ex_tls *before = tls;
	struct ex_proxy px = { .tls = worker(secret_b) };
	bool resumed;

	tls = px.tls;
	memcpy(px.secret, secret, sizeof(px.secret));
	assert_int_equal(add_leaf_of(ca, NAME, NAME), 0);
	assert_int_equal(ex_proxy_take_tickets(&px, bundle), 0);
	resumed = workload_resumes(TLS1_3_VERSION, "api.openai.com", ticket);
	ex_tls_free(px.tls);
	tls = before;
	return resumed;
}

/* Endpoints of equal selection have one bundle. */
static void test_tickets_are_the_endpoints_and_the_policys(void **state)
{
	int bundle = sealed("one"), again = sealed("one"), other = sealed("two");
	SSL_SESSION *ticket = NULL;

	(void)state;
	assert_false(proxy_resumes(secret_a, bundle, &ticket));
	assert_true(proxy_resumes(secret_a, bundle, &ticket));  /* another worker */
	assert_true(proxy_resumes(secret_a, again, &ticket));   /* the same policy again */
	assert_false(proxy_resumes(secret_b, bundle, &ticket)); /* another endpoint */
	assert_false(proxy_resumes(secret_a, bundle, &ticket)); /* with the ticket of that one */
	assert_false(proxy_resumes(secret_a, other, &ticket));
	assert_true(proxy_resumes(secret_a, other, &ticket));
	assert_false(proxy_resumes(secret_a, bundle, &ticket));
	SSL_SESSION_free(ticket);
	close(bundle);
	close(again);
	close(other);
}

static void test_without_a_policy_are_no_new_tickets(void **state)
{
	struct ex_proxy px = { .tls = tls };
	SSL_SESSION *ticket = NULL;

	(void)state;
	ex_tls_use_tickets(tls, secret_a);
	assert_false(workload_resumes(TLS1_3_VERSION, "api.openai.com", &ticket));
	assert_true(ex_proxy_take_tickets(&px, -1) < 0);
	assert_true(workload_resumes(TLS1_3_VERSION, "api.openai.com", &ticket)); /* as before */
	SSL_SESSION_free(ticket);
}

/* A ticket of which any byte is another is none. */
static void test_tickets_cannot_be_made(void **state)
{
	(void)state;
	ex_tls_use_tickets(tls, secret_a);
	for (size_t at = 0; at < 400; at += 13) {
		SSL_SESSION *ticket = NULL, *forged;
		uint8_t bytes[4096], *p = bytes;
		const uint8_t *q = bytes, *found;
		const unsigned char *blob;
		size_t len;
		int n;

		assert_false(workload_resumes(TLS1_3_VERSION, "api.openai.com", &ticket));
		SSL_SESSION_get0_ticket(ticket, &blob, &len);
		assert_true(i2d_SSL_SESSION(ticket, NULL) < (int)sizeof(bytes));
		n = i2d_SSL_SESSION(ticket, &p);
		found = memmem(bytes, (size_t)n, blob, len);
		assert_non_null(found);
		bytes[(size_t)(found - bytes) + at % len] ^= 1;
		forged = d2i_SSL_SESSION(NULL, &q, n);
		assert_non_null(forged);
		assert_false(workload_resumes(TLS1_3_VERSION, "api.openai.com", &forged));
		SSL_SESSION_free(ticket);
		SSL_SESSION_free(forged);
	}
}

static void test_tickets_are_bound_to_name_and_policy(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	assert_int_equal(add_leaf_of(ca, EX_SPAN("other.test"), EX_SPAN("other.test")), 0);
	for (size_t i = 0; i < EX_ARRAY_SIZE(versions); i++) {
		SSL_SESSION *ticket = NULL;

		assert_false(workload_resumes(versions[i], "api.openai.com", &ticket));
		assert_true(workload_resumes(versions[i], "api.openai.com", &ticket));
		assert_false(workload_resumes(versions[i], "other.test", &ticket));
		assert_true(workload_resumes(versions[i], "other.test", &ticket));
		ex_tls_use_tickets(tls, i ? secret_b : secret_a); /* another policy */
		assert_false(workload_resumes(versions[i], "other.test", &ticket));
		assert_true(workload_resumes(versions[i], "other.test", &ticket));
		SSL_SESSION_free(ticket);
	}
}

/* A client with a ticket of another server sends early data: it must not come out as a request. */
static void test_early_data_is_never_read(void **state)
{
	static const char early[] = "GET /early HTTP/1.1\r\n\r\n";
	SSL_CTX *server_ctx = SSL_CTX_new(TLS_server_method());
	struct ex_hello hello;
	struct foreign f;
	struct pair p;
	uint8_t bytes[4096];
	SSL_SESSION *ticket;
	uint32_t want;
	size_t written;
	char byte;
	ssize_t n;
	SSL *ssl;
	int r = -EAGAIN;

	(void)state;
	SSL_CTX_set_max_early_data(server_ctx, 16384);
	pair_open(&p);
	ssl = origin_new(server_ctx, p.fd[0], ca, NAME);
	foreign_open(&f, false, p.fd[1]);
	SSL_set_tlsext_host_name(f.ssl, "api.openai.com");
	for (int i = 0; i < 4; i++) {
		SSL_do_handshake(f.ssl);
		SSL_do_handshake(ssl);
	}
	SSL_read(f.ssl, &byte, 1); /* the ticket */
	ticket = SSL_get1_session(f.ssl);
	assert_int_equal(SSL_SESSION_get_max_early_data(ticket), 16384);
	SSL_set_shutdown(f.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else it is void */
	SSL_free(ssl);
	foreign_close(&f);
	pair_close(&p);

	pair_open(&p);
	foreign_open(&f, false, p.fd[1]);
	SSL_set_tlsext_host_name(f.ssl, "api.openai.com");
	SSL_set_session(f.ssl, ticket);
	assert_int_equal(SSL_write_early_data(f.ssl, early, sizeof(early) - 1, &written), 1);
	n = recv(p.fd[0], bytes, sizeof(bytes), MSG_PEEK);
	assert_int_equal(ex_hello_parse(bytes, (size_t)n, &hello), EX_HELLO_DONE);
	assert_true(hello.early_data && hello.size < (size_t)n);
	assert_int_equal(ex_tls_accept(tls, p.fd[0], NAME, NULL, 0, false, &p.server), 0);
	for (int i = 0; i < 10 && r == -EAGAIN; i++) {
		r = ex_tls_handshake(p.server, &want);
		SSL_do_handshake(f.ssl);
	}
	assert_int_equal(r, 0);
	assert_int_equal(SSL_get_early_data_status(f.ssl), SSL_EARLY_DATA_REJECTED);
	assert_int_equal(ex_tls_read(p.server, &byte, 1, &want), -EAGAIN);
	SSL_SESSION_free(ticket);
	foreign_close(&f);
	pair_close(&p);
	SSL_CTX_free(server_ctx);
}

static void test_rejected_origin_is_not_resumed(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct ex_ca *stranger;

	(void)state;
	assert_int_equal(ex_ca_new(2, &stranger), 0);
	for (int i = 0; i < 3; i++)
		assert_false(origin_resumes(ctx, stranger, EX_SPAN("three.test"), -EKEYREJECTED));
	SSL_CTX_free(ctx);
	ex_ca_free(stranger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resumption_is_bound_to_the_name),
		cmocka_unit_test(test_tickets_are_bound_to_name_and_policy),
		cmocka_unit_test(test_tickets_are_good_for_who_has_the_secret),
		cmocka_unit_test(test_tickets_are_the_endpoints_and_the_policys),
		cmocka_unit_test(test_without_a_policy_are_no_new_tickets),
		cmocka_unit_test(test_tickets_cannot_be_made),
		cmocka_unit_test(test_early_data_is_never_read),
		cmocka_unit_test(test_rejected_origin_is_not_resumed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
