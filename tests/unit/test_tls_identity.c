/* SPDX-License-Identifier: Apache-2.0 */
/* Client certificates towards origins, whose keys are elsewhere; roots of a rule's own. */
#include "tests/unit/tls_pair.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "agent/proxy/identities.h"
#include "agent/tls/identity.h"
#include "policy/lower.h"
#include "policy/ruleset.h"
#include "policy/secret.h"

/* ---- a certificate with its key, in PEM ---- */

struct card {
	char chain[8192], key[8192];
	X509 *cert;
	EVP_PKEY *pkey;
};

static struct card ec, rsa, old, later;

static size_t put(BIO *bio, char *to, size_t size)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	assert_true(len > 0 && (size_t)len < size);
	memcpy(to, data, (size_t)len);
	to[len] = '\0';
	BIO_free(bio);
	return (size_t)len;
}

static void card_make(struct card *c, EVP_PKEY *key, int from_day, int to_day)
{
	BIO *bio = BIO_new(BIO_s_mem());

	c->pkey = key;
	c->cert = X509_new();
	X509_set_version(c->cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c->cert), 7);
	X509_gmtime_adj(X509_getm_notBefore(c->cert), from_day * 86400L);
	X509_gmtime_adj(X509_getm_notAfter(c->cert), to_day * 86400L);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c->cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)"workload", -1, -1, 0);
	X509_set_issuer_name(c->cert, X509_get_subject_name(c->cert));
	X509_set_pubkey(c->cert, key);
	assert_true(X509_sign(c->cert, key, EVP_sha256()) > 0);
	PEM_write_bio_X509(bio, c->cert);
	put(bio, c->chain, sizeof(c->chain));
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	put(bio, c->key, sizeof(c->key));
}

static void card_done(struct card *c)
{
	X509_free(c->cert);
	EVP_PKEY_free(c->pkey);
}

static int setup_cards(void **state)
{
	card_make(&ec, EVP_EC_gen("P-384"), -1, 1);
	card_make(&rsa, EVP_RSA_gen(2048), -1, 1);
	card_make(&old, EVP_EC_gen("P-256"), -2, -1);
	card_make(&later, EVP_EC_gen("P-256"), 1, 2);
	return setup(state);
}

static int teardown_cards(void **state)
{
	card_done(&ec);
	card_done(&rsa);
	card_done(&old);
	card_done(&later);
	return teardown(state);
}

static struct ex_signer *signer_of(const struct card *c)
{
	struct ex_signer *s;

	assert_int_equal(ex_signer_new(&s), 0);
	assert_int_equal(ex_signer_add(s, ex_span_str(c->chain), ex_span_str(c->key)), 0);
	return s;
}

/* ---- an origin that asks for a certificate ---- */

static SSL_CTX *asking_context(int version, const struct card *accepts)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), accepts->cert);
	return ctx;
}

enum answer {
	ANSWER = 0,
	REFUSE,
	GARBAGE,
};

static void answer_with(struct ex_tls_session *s, const struct ex_signer *signer, enum answer how)
{
	struct ex_sign_request req = *ex_tls_wants_signature(s);
	uint8_t sig[EX_SIGN_MAX] = { 0 };
	int len;

	len = ex_signer_sign(signer, &req, sig);
	assert_true(len > 0);
	if (how == GARBAGE)
		memset(sig, 0x5a, (size_t)len);
	ex_tls_give_signature(s, sig, how == REFUSE ? 0 : (size_t)len);
}

struct meeting {
	int client_r;
	bool shown, reused;
	unsigned asked;
};

static struct meeting meet_by(SSL_CTX *ctx, struct ex_ca *by, uint32_t identity,
			      const struct ex_signer *signer, enum answer how)
{
	struct meeting m = { .client_r = -EAGAIN };
	uint32_t want = 0;
	struct pair p;
	char byte;
	SSL *ssl;

	pair_open(&p);
	ssl = origin_new(ctx, p.fd[0], by, NAME);
	assert_int_equal(ex_tls_connect(tls, p.fd[1], NAME, identity, false, &p.client), 0);
	for (int i = 0; i < 100 && m.client_r == -EAGAIN; i++) {
		m.client_r = ex_tls_handshake(p.client, &want);
		if (m.client_r == -EAGAIN && ex_tls_wants_signature(p.client)) {
			assert_int_equal(want, 0);
			/* whoever comes by meanwhile changes nothing */
			assert_int_equal(ex_tls_handshake(p.client, &want), -EAGAIN);
			m.asked++;
			answer_with(p.client, signer, how);
		}
		SSL_do_handshake(ssl);
	}
	if (m.client_r == 0 && SSL_do_handshake(ssl) == 1) {
		X509 *shown = SSL_get1_peer_certificate(ssl);

		m.shown = shown;
		X509_free(shown);
		m.reused = SSL_session_reused(ssl);
		assert_int_equal(SSL_write(ssl, "x", 1), 1);
		assert_int_equal(ex_tls_read(p.client, &byte, 1, &want), 1);
	}
	SSL_free(ssl);
	pair_close(&p);
	return m;
}

static struct meeting meet(SSL_CTX *ctx, uint32_t identity, const struct ex_signer *signer)
{
	return meet_by(ctx, ca, identity, signer, ANSWER);
}

static uint32_t identity_of(const char *chain, struct ex_span roots)
{
	int n = ex_tls_identity_add(tls, ex_span_str(chain), roots);

	assert_true(n > 0);
	return (uint32_t)n;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void test_show_a_certificate_whose_key_is_elsewhere(void **state)
{
	const struct card *cards[] = { &ec, &rsa };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cards); i++) {
		uint32_t id = identity_of(cards[i]->chain, (struct ex_span){ 0 });
		struct ex_signer *signer = signer_of(cards[i]);

		for (size_t k = 0; k < EX_ARRAY_SIZE(versions); k++) {
			SSL_CTX *ctx = asking_context(versions[k], cards[i]);
			struct meeting m = meet(ctx, id, signer);

			assert_int_equal(m.client_r, 0);
			assert_true(m.shown);
			assert_int_equal(m.asked, 1);
			/* coming back: in full, and shown again */
			m = meet(ctx, id, signer);
			assert_true(m.shown && !m.reused);
			assert_int_equal(m.asked, 1);
			SSL_CTX_free(ctx);
		}
		ex_signer_free(signer);
	}
}

/* TLS 1.2, PKCS #1: what servers without PSS ask for. */
static void test_show_an_rsa_certificate_without_pss(void **state)
{
	uint32_t id = identity_of(rsa.chain, (struct ex_span){ 0 });
	SSL_CTX *ctx = asking_context(TLS1_2_VERSION, &rsa);
	struct ex_signer *signer = signer_of(&rsa);
	struct meeting m;

	(void)state;
	/* the origin's own certificate is of ECDSA */
	SSL_CTX_set1_client_sigalgs_list(ctx, "RSA+SHA384");
	m = meet(ctx, id, signer);
	assert_true(m.shown);
	SSL_CTX_free(ctx);
	ex_signer_free(signer);
}

/* The deny twins: nobody else shows it, and no session of one is resumed by another. */
static void test_show_nothing_as_nobody(void **state)
{
	uint32_t id = identity_of(ec.chain, (struct ex_span){ 0 });
	struct ex_signer *signer = signer_of(&ec);

	(void)state;
	for (size_t k = 0; k < EX_ARRAY_SIZE(versions); k++) {
		SSL_CTX *ctx = asking_context(versions[k], &ec);
		struct meeting m;

		assert_true(meet(ctx, id, signer).shown);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		m = meet(ctx, 0, signer);
		assert_int_equal(m.client_r, 0);
		assert_false(m.shown);
		assert_false(m.reused);
		assert_int_equal(m.asked, 0);
		/* a session of nobody is not what the identity goes on with */
		m = meet(ctx, id, signer);
		assert_true(m.shown && !m.reused);
		SSL_CTX_free(ctx);
	}
	ex_signer_free(signer);
}

static void test_fail_without_a_good_signature(void **state)
{
	static const enum answer answers[] = { REFUSE, GARBAGE };
	const struct card *cards[] = { &ec, &rsa };

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cards); i++) {
		uint32_t id = identity_of(cards[i]->chain, (struct ex_span){ 0 });
		struct ex_signer *signer = signer_of(cards[i]);

		for (size_t k = 0; k < EX_ARRAY_SIZE(versions) * EX_ARRAY_SIZE(answers); k++) {
			SSL_CTX *ctx = asking_context(versions[k % 2], cards[i]);
			struct meeting m = meet_by(ctx, ca, id, signer, answers[k / 2]);

			assert_false(m.shown);
			assert_int_equal(m.asked, 1);
			SSL_CTX_free(ctx);
		}
		ex_signer_free(signer);
	}
}

/* The stack of a handshake that stands still is given back: the sanitizer would tell. */
static void test_give_up_while_waiting_for_a_signature(void **state)
{
	uint32_t id = identity_of(ec.chain, (struct ex_span){ 0 });

	(void)state;
	for (int n = 0; n < 50; n++) {
		SSL_CTX *ctx = asking_context(versions[n % 2], &ec);
		uint32_t want;
		struct pair p;
		SSL *ssl;

		pair_open(&p);
		ssl = origin_new(ctx, p.fd[0], ca, NAME);
		assert_int_equal(ex_tls_connect(tls, p.fd[1], NAME, id, true, &p.client), 0);
		for (int i = 0; i < 10 && !ex_tls_wants_signature(p.client); i++) {
			assert_int_equal(ex_tls_handshake(p.client, &want), -EAGAIN);
			SSL_do_handshake(ssl);
		}
		assert_non_null(ex_tls_wants_signature(p.client));
		SSL_free(ssl);
		pair_close(&p);
		SSL_CTX_free(ctx);
	}
}

/* Two at once: each gets its own. */
static void test_two_handshakes_wait_at_once(void **state)
{
	uint32_t id = identity_of(ec.chain, (struct ex_span){ 0 });
	SSL_CTX *ctx = asking_context(TLS1_3_VERSION, &ec);
	struct ex_signer *signer = signer_of(&ec);
	struct pair p[2];
	uint32_t want;
	SSL *ssl[2];

	(void)state;
	for (int k = 0; k < 2; k++) {
		pair_open(&p[k]);
		ssl[k] = origin_new(ctx, p[k].fd[0], ca, NAME);
		assert_int_equal(ex_tls_connect(tls, p[k].fd[1], NAME, id, false, &p[k].client), 0);
		for (int i = 0; i < 10 && !ex_tls_wants_signature(p[k].client); i++) {
			assert_int_equal(ex_tls_handshake(p[k].client, &want), -EAGAIN);
			SSL_do_handshake(ssl[k]);
		}
	}
	for (int k = 1; k >= 0; k--) {
		answer_with(p[k].client, signer, ANSWER);
		assert_int_equal(ex_tls_handshake(p[k].client, &want), 0);
		assert_int_equal(SSL_do_handshake(ssl[k]), 1);
	}
	for (int k = 0; k < 2; k++) {
		SSL_free(ssl[k]);
		pair_close(&p[k]);
	}
	SSL_CTX_free(ctx);
	ex_signer_free(signer);
}

static void test_trust_only_the_roots_of_the_rule(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct ex_ca *other;
	struct meeting m;
	uint32_t id;

	(void)state;
	assert_int_equal(ex_ca_new(1, &other), 0);
	id = identity_of("", ex_ca_pem(other));
	assert_int_equal(meet_by(ctx, other, id, NULL, ANSWER).client_r, 0);
	/* what everybody else trusts is not among them, and the other way round */
	assert_int_equal(meet_by(ctx, ca, id, NULL, ANSWER).client_r, -EKEYREJECTED);
	assert_int_equal(meet_by(ctx, other, 0, NULL, ANSWER).client_r, -EKEYREJECTED);
	/* also not by a session that was begun under the usual roots */
	assert_int_equal(meet_by(ctx, ca, 0, NULL, ANSWER).client_r, 0);
	m = meet_by(ctx, ca, id, NULL, ANSWER);
	assert_int_equal(m.client_r, -EKEYREJECTED);
	SSL_CTX_free(ctx);
	ex_ca_free(other);
}

static void test_numbers_are_by_content_and_end_with_the_policy(void **state)
{
	uint32_t a = identity_of(ec.chain, (struct ex_span){ 0 });
	uint32_t b = identity_of(ec.chain, ex_span_str(ec.chain));
	uint32_t c = identity_of("", ex_span_str(ec.chain)), again;
	struct ex_tls_session *s;

	(void)state;
	assert_true(a != b && b != c && a != c);
	assert_int_equal(identity_of(ec.chain, (struct ex_span){ 0 }), a);
	ex_tls_identities_keep(tls, &b, 1);
	assert_false(ex_tls_identity_holds(tls, a));
	assert_true(ex_tls_identity_holds(tls, b));
	assert_false(ex_tls_identity_holds(tls, c));
	assert_true(ex_tls_identity_holds(tls, 0));
	assert_int_equal(ex_tls_connect(tls, 0, NAME, a, false, &s), -ENOENT);
	again = identity_of(ec.chain, (struct ex_span){ 0 });
	assert_true(again > c); /* never a number that was another's, or its own before */
	ex_tls_identities_keep(tls, NULL, 0);
	assert_int_equal(ex_tls_identity_add(tls, EX_SPAN("nothing"), (struct ex_span){ 0 }),
			 -EBADMSG);
	assert_int_equal(ex_tls_identity_add(tls, ex_span_str(ec.key), (struct ex_span){ 0 }),
			 -EBADMSG);
}

/* ---- the signer ---- */

static void id_of(const struct card *c, struct ex_sign_request *req)
{
	assert_int_equal(X509_digest(c->cert, EVP_sha256(), req->key, NULL), 1);
}

static void test_sign_digests_and_nothing_else(void **state)
{
	struct ex_signer *signer = signer_of(&rsa);
	struct ex_sign_request req = { .kind = EX_SIGN_PKCS1, .len = 32 };
	uint8_t sig[EX_SIGN_MAX], secret[256], em[256];
	size_t len = sizeof(secret);
	EVP_PKEY_CTX *ctx;

	(void)state;
	assert_int_equal(ex_signer_add(signer, ex_span_str(ec.chain), ex_span_str(ec.key)), 0);
	assert_int_equal(ex_signer_sign(signer, &req, sig), -ENOENT);
	id_of(&rsa, &req);
	assert_int_equal(ex_signer_sign(signer, &req, sig), 256);
	for (uint32_t n = 0; n <= EX_SIGN_MAX + 1; n++) {
		bool digest = n == 32 || n == 48 || n == 64;

		req.len = n;
		assert_int_equal(ex_signer_sign(signer, &req, sig), digest ? 256 : -EINVAL);
	}
	req.len = UINT32_MAX;
	assert_int_equal(ex_signer_sign(signer, &req, sig), -EINVAL);
	/* a key of one kind does nothing of the other */
	req.kind = EX_SIGN_ECDSA;
	req.len = 32;
	assert_int_equal(ex_signer_sign(signer, &req, sig), -EINVAL);
	id_of(&ec, &req);
	assert_true(ex_signer_sign(signer, &req, sig) > 0);
	for (uint32_t kind = 0; kind < 6; kind++) {
		req.kind = kind;
		assert_true(kind == EX_SIGN_ECDSA || ex_signer_sign(signer, &req, sig) == -EINVAL);
	}
	/* what somebody has encrypted for the key stays so: this would be its decryption */
	id_of(&rsa, &req);
	req.kind = EX_SIGN_PSS;
	ctx = EVP_PKEY_CTX_new(rsa.pkey, NULL);
	EVP_PKEY_encrypt_init(ctx);
	for (int i = 0; i < 50; i++) {
		len = sizeof(secret);
		assert_int_equal(EVP_PKEY_encrypt(ctx, secret, &len, em, 32), 1);
		memcpy(req.bytes, secret, len);
		req.len = (uint32_t)len;
		assert_int_equal(ex_signer_sign(signer, &req, sig), -EINVAL);
		req.bytes[255] = 0xbc; /* nor with the one byte that can be seen */
		req.bytes[0] = 0;
		assert_int_equal(ex_signer_sign(signer, &req, sig), -EINVAL);
	}
	EVP_PKEY_CTX_free(ctx);
	/* nor a digest in clothes of PKCS #1, nor zeros */
	memset(req.bytes, 0xff, 256);
	req.bytes[0] = 0;
	req.bytes[1] = 1;
	assert_int_equal(ex_signer_sign(signer, &req, sig), -EINVAL);
	memset(req.bytes, 0, 256);
	assert_int_equal(ex_signer_sign(signer, &req, sig), -EINVAL);
	ex_signer_free(signer);
}

static void test_hand_keys_to_another_program(void **state)
{
	struct ex_signer *signer = signer_of(&rsa), *next;
	struct ex_sign_request req = { .kind = EX_SIGN_ECDSA, .len = 32 };
	uint8_t id[EX_KEY_ID_LEN], der[EX_KEY_DER_MAX], sig[EX_SIGN_MAX];

	(void)state;
	assert_int_equal(ex_signer_add(signer, ex_span_str(ec.chain), ex_span_str(ec.key)), 0);
	assert_int_equal(ex_signer_add(signer, ex_span_str(ec.chain), ex_span_str(ec.key)), 0);
	assert_int_equal(ex_signer_count(signer), 2);
	assert_int_equal(ex_signer_new(&next), 0);
	for (size_t i = 0; i < 2; i++) {
		int len = ex_signer_give(signer, i, id, der);

		assert_true(len > 0);
		assert_int_equal(ex_signer_take(next, id, (struct ex_span){ (char *)der, len }), 0);
	}
	id_of(&ec, &req);
	assert_true(ex_signer_sign(next, &req, sig) > 0);
	assert_int_equal(ex_signer_take(next, id, EX_SPAN("no key")), -EINVAL);
	assert_int_equal(ex_signer_add(next, ex_span_str(ec.chain), ex_span_str(rsa.key)), -EINVAL);
	ex_signer_free(signer);
	ex_signer_free(next);
}

/* ---- what a policy may have ---- */

static void assert_says(const char *chain, const char *key, const char *roots, const char *word)
{
	const struct ex_origin o = {
		.chain = chain ? ex_span_str(chain) : (struct ex_span){ 0 },
		.key = key ? ex_span_str(key) : (struct ex_span){ 0 },
		.roots = roots ? ex_span_str(roots) : (struct ex_span){ 0 },
	};
	const char *why = ex_tls_check_origin(&o);

	if (!word)
		assert_null(why);
	else if (!why || !strstr(why, word))
		fail_msg("\"%s\", not %s", why ? why : "nothing", word);
}

static void test_check_what_a_secret_holds(void **state)
{
	char both[sizeof(ec.chain) + sizeof(ec.key)], two[2 * sizeof(ec.chain)];
	struct card small;

	(void)state;
	assert_says(ec.chain, ec.key, NULL, NULL);
	assert_says(rsa.chain, rsa.key, ec.chain, NULL);
	assert_says(NULL, NULL, ec.chain, NULL);
	snprintf(two, sizeof(two), "%s%s", ec.chain, rsa.chain);
	assert_says(two, ec.key, two, NULL);
	assert_says(two, rsa.key, NULL, "not the one of its certificate");
	assert_says(ec.chain, rsa.key, NULL, "not the one of its certificate");
	assert_says(old.chain, old.key, NULL, "expired");
	assert_says(later.chain, later.key, NULL, "not valid yet");
	assert_says("hello", ec.key, NULL, "certificate that cannot be read");
	assert_says(ec.chain, "hello", NULL, "private key that cannot be read");
	assert_says(ec.chain, ec.chain, NULL, "private key that cannot be read");
	assert_says(NULL, NULL, "hello", "CA certificate that cannot be read");
	assert_says(NULL, NULL, old.chain, "no CA certificate that has not expired");
	snprintf(two, sizeof(two), "%s%s", old.chain, ec.chain);
	assert_says(NULL, NULL, two, NULL);
	/* the key would go to the proxy as a part of the certificate */
	snprintf(both, sizeof(both), "%s%s", ec.chain, ec.key);
	assert_says(both, both, NULL, "private key among its certificates");
	assert_says(ec.chain, ec.key, both, "private key among its CA");
	ec.chain[200] ^= 1;
	assert_says(ec.chain, ec.key, NULL, "");
	ec.chain[200] ^= 1;
	card_make(&small, EVP_RSA_gen(1024), -1, 1);
	assert_says(small.chain, small.key, NULL, "kind that cannot be used");
	card_done(&small);
}

/* ---- those of a policy ---- */

static const char *accept_all(const struct ex_origin *o)
{
	(void)o;
	return NULL;
}

/* A rule for each of the chains. */
static struct ex_ruleset *policy_of(const char *const *chains, size_t n)
{
	const struct ex_secret secrets[] = {
		{ "shop", "card0", ex_span_str(chains[0]), "tls.crt", false },
		{ "shop", "card0", EX_SPAN("k"), "tls.key", true },
		{ "shop", "card1", ex_span_str(chains[1]), "tls.crt", false },
		{ "shop", "card1", EX_SPAN("k"), "tls.key", true },
		{ "shop", "card2", ex_span_str(chains[2]), "tls.crt", false },
		{ "shop", "card2", EX_SPAN("k"), "tls.key", true },
	};
	const struct ex_compile_input in = { .secrets = secrets, .n_secrets = 2 * n };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	char text[2048];
	int len = snprintf(text, sizeof(text),
			   "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n"
			   "metadata: {name: a}\nspec:\n  endpointSelector: {}\n  egress:\n");

	for (size_t i = 0; i < n; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len,
				"  - toFQDNs: [{matchName: a%zu.test}]\n    toPorts:\n"
				"    - ports: [{port: '443', protocol: TCP}]\n"
				"      originatingTLS: {secret: {namespace: shop, name: card%zu}}\n"
				"      rules: {http: [{path: /}]}\n",
				i, i);
	ex_origin_use_checker(accept_all);
	if (ex_compile_text(text, (size_t)len, NULL, 0, &in, &rs, &diags) < 0)
		ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	assert_non_null(rs);
	return rs;
}

static void test_a_policy_that_fails_leaves_no_identity(void **state)
{
	const char *const good[] = { ec.chain, rsa.chain, "" };
	const char *const bad[] = { old.chain, "no certificate", later.chain };
	struct ex_ruleset *rs = policy_of(good, 2);
	struct ex_identities now = { 0 }, next = { 0 };
	int last;

	(void)state;
	assert_int_equal(ex_identities_new(tls, rs, &now), 0);
	assert_int_equal(now.n, 2);
	ex_ruleset_unref(rs);
	rs = policy_of(bad, 3);
	assert_int_equal(ex_identities_new(tls, rs, &next), -EBADMSG);
	ex_ruleset_unref(rs);
	last = ex_tls_identity_add(tls, ex_span_str(old.chain), (struct ex_span){ 0 });
	assert_true(last > 0);
	ex_identities_drop(tls, &next, &now);
	for (int i = 1; i <= last; i++)
		assert_int_equal(ex_tls_identity_holds(tls, (uint32_t)i),
				 (uint32_t)i == now.v[0] || (uint32_t)i == now.v[1]);
	free(now.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_show_a_certificate_whose_key_is_elsewhere),
		cmocka_unit_test(test_show_an_rsa_certificate_without_pss),
		cmocka_unit_test(test_show_nothing_as_nobody),
		cmocka_unit_test(test_fail_without_a_good_signature),
		cmocka_unit_test(test_give_up_while_waiting_for_a_signature),
		cmocka_unit_test(test_two_handshakes_wait_at_once),
		cmocka_unit_test(test_trust_only_the_roots_of_the_rule),
		cmocka_unit_test(test_numbers_are_by_content_and_end_with_the_policy),
		cmocka_unit_test(test_sign_digests_and_nothing_else),
		cmocka_unit_test(test_hand_keys_to_another_program),
		cmocka_unit_test(test_a_policy_that_fails_leaves_no_identity),
		cmocka_unit_test(test_check_what_a_secret_holds),
	};

	return cmocka_run_group_tests(tests, setup_cards, teardown_cards);
}
