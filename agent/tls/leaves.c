/* SPDX-License-Identifier: Apache-2.0 */
/* Our keys towards the workload, and the leaf certificates that were made over them, by name. */
#include "agent/tls/internal.h"

#include <errno.h>
#include <time.h>
#include <openssl/x509v3.h>

#include "agent/tls/ca.h"

#define LEAVES_MAX  1024      /* of all connections there may be, while they wait (EX_CONNS_MAX) */
#define LEAF_MARGIN (60 * 60) /* a leaf this near to its end is asked for anew */

struct leaf {
	X509 *cert;
	time_t from, until;
};

static void leaf_drop(void *value)
{
	struct leaf *leaf = value;

	X509_free(leaf->cert); /* live sessions hold references of their own */
	free(leaf);
}

int ex_tls_leaves_init(struct ex_tls_leaves *l, const struct ex_tls_bare *b, bool rsa)
{
	int len;

	l->bare = b;
	l->key = ex_tls_leaf_key(b, rsa);
	len = l->key ? i2d_PUBKEY(l->key, &l->spki) : -1;
	if (len <= 0)
		return -EIO;
	l->spki_len = (size_t)len;
	if (ex_tls_server_new(&l->server) < 0)
		return -EIO;
	return ex_tls_cache_new(LEAVES_MAX, leaf_drop, &l->cache);
}

void ex_tls_leaves_done(struct ex_tls_leaves *l)
{
	ex_tls_cache_free(l->cache);
	SSL_CTX_free(l->server);
	EVP_PKEY_free(l->key);
	OPENSSL_free(l->spki);
	*l = (struct ex_tls_leaves){ 0 };
}

struct ex_span ex_tls_leaf_spki(const struct ex_tls *tls)
{
	return (struct ex_span){ (const char *)tls->ec.spki, tls->ec.spki_len };
}

int ex_tls_rsa_spki(struct ex_tls *tls, struct ex_span *ret)
{
	struct ex_tls_leaves *l = &tls->rsa;
	int r = l->cache ? 0 : ex_tls_leaves_init(l, &tls->bare, true);

	if (r < 0) {
		ex_tls_leaves_done(l);
		return r;
	}
	*ret = (struct ex_span){ (const char *)l->spki, l->spki_len };
	return 0;
}

/* One that is good now, and for so much longer. */
static X509 *find(struct ex_tls_leaves *l, struct ex_span name, time_t longer)
{
	const struct leaf *leaf = l->cache ? ex_tls_cache_get(l->cache, name) : NULL;
	time_t now = time(NULL);

	/* of a clock that was put back since, too */
	return leaf && leaf->from < now && leaf->until > now + longer ? leaf->cert : NULL;
}

/* What was just made is good to its end, which may be near: that of the authority. */
X509 *ex_tls_leaf_find(struct ex_tls_leaves *l, struct ex_span name)
{
	return find(l, name, 0);
}

bool ex_tls_has_leaf(struct ex_tls *tls, struct ex_span name)
{
	return find(&tls->ec, name, LEAF_MARGIN) != NULL;
}

bool ex_tls_has_rsa_leaf(struct ex_tls *tls, struct ex_span name)
{
	return find(&tls->rsa, name, LEAF_MARGIN) != NULL;
}

/* By its key it belongs to one of the two. */
static X509 *read_leaf(struct ex_tls *tls, const void *der, size_t len, struct ex_tls_leaves **ret)
{
	X509 *cert = ex_tls_leaf_read(&tls->ec, der, len);

	*ret = &tls->ec;
	if (cert || !tls->rsa.cache)
		return cert;
	*ret = &tls->rsa;
	return ex_tls_leaf_read(&tls->rsa, der, len);
}

static bool read_time(const ASN1_TIME *from, time_t *ret)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(from, &tm) != 1)
		return false;
	*ret = timegm(&tm);
	return true;
}

/* Takes cert. */
static struct leaf *leaf_new(X509 *cert)
{
	struct leaf *leaf = malloc(sizeof(*leaf));

	if (leaf && read_time(X509_get0_notBefore(cert), &leaf->from) &&
	    read_time(X509_get0_notAfter(cert), &leaf->until)) {
		leaf->cert = cert;
		return leaf;
	}
	X509_free(cert);
	free(leaf);
	return NULL;
}

int ex_tls_add_leaf(struct ex_tls *tls, struct ex_span name, const void *der, size_t len)
{
	struct ex_tls_leaves *l;
	struct leaf *leaf;
	X509 *cert;

	if (!ex_tls_name_is_canonical(name) || len > EX_LEAF_MAX)
		return -EINVAL;
	cert = read_leaf(tls, der, len, &l);
	if (!cert ||
	    X509_check_host(cert, name.ptr, name.len, X509_CHECK_FLAG_NO_WILDCARDS, NULL) != 1) {
		X509_free(cert);
		return -EINVAL;
	}
	leaf = leaf_new(cert);
	if (!leaf)
		return -ENOMEM;
	ex_tls_cache_put(l->cache, name, leaf);
	return 0;
}
