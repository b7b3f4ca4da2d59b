/* SPDX-License-Identifier: Apache-2.0 */
/*
 * magic, count, then for each certificate {hash of its subject, where, how long} in the order of
 * hashes, then the certificates (DER). The hash is OpenSSL's, of the name in canonical form: two
 * spellings of a name that count as one are one.
 */
#include "agent/tls/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "agent/core/pack.h"
#include "agent/tls/internal.h"
#include "agent/tls/pem.h"

#define MAGIC 0x45585231u
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct entry {
	uint32_t hash, at, len;
};

struct file {
	uint32_t magic, count;
	struct entry entries[];
};

static bool hash_of(const X509_NAME *name, uint32_t *ret)
{
	int ok;

	*ret = (uint32_t)X509_NAME_hash_ex(name, NULL, NULL, &ok);
	return ok == 1;
}

/* ---- making ---- */

struct found {
	uint32_t hash;
	unsigned char *der;
	long len;
};

struct list {
	struct found *v;
	size_t n;
};

/* Steps into the next element, or over it; its content is from the new *at on. */
static long enter(const unsigned char **at, long left, int tag, int class)
{
	int got_tag, got_class;
	long len;

	if (left <= 0 || ASN1_get_object(at, &len, &got_tag, &got_class, left) & 0x80 ||
	    got_tag != tag || got_class != class)
		return -1;
	return len;
}

static bool skip(const unsigned char **at, const unsigned char *end, int tag)
{
	long len = enter(at, end - *at, tag, V_ASN1_UNIVERSAL);

	if (len < 0)
		return false;
	*at += len;
	return true;
}

/* RFC 5280 4.1, up to the subject. Reading all of it would take most of a proxy's start. */
static bool subject_hash(const unsigned char *der, long total, uint32_t *ret)
{
	const unsigned char *at = der, *end = der + total, *back;
	long len = enter(&at, total, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	X509_NAME *name;
	bool ok;

	if (len < 0 || at + len > end) /* what is behind it is OpenSSL's own, or not there */
		return false;
	len = enter(&at, len, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	if (len < 0)
		return false;
	end = at + len;
	back = at;
	len = enter(&at, end - at, 0, V_ASN1_CONTEXT_SPECIFIC); /* the version, unless it is 1 */
	at = len < 0 ? back : at + len;
	if (!skip(&at, end, V_ASN1_INTEGER) || !skip(&at, end, V_ASN1_SEQUENCE) ||
	    !skip(&at, end, V_ASN1_SEQUENCE) || !skip(&at, end, V_ASN1_SEQUENCE))
		return false;
	name = d2i_X509_NAME(NULL, &at, end - at);
	ok = name && hash_of(name, ret);
	X509_NAME_free(name);
	return ok;
}

static bool is_certificate(const char *name)
{
	return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0 ||
	       strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
}

/* Takes der. */
static bool add(struct list *list, unsigned char *der, long len)
{
	struct found *v = reallocarray(list->v, list->n + 1, sizeof(*v));

	if (v)
		list->v = v;
	if (!v || !subject_hash(der, len, &v[list->n].hash)) {
		OPENSSL_free(der);
		return false;
	}
	v[list->n].der = der;
	v[list->n++].len = len;
	return true;
}

/* 0, or why not: the text does not end where a certificate does. */
static bool read_all(BIO *bio, struct list *list)
{
	char *name, *header;
	unsigned char *der;
	unsigned long e;
	bool ok = true;
	long len;

	ERR_clear_error();
	while (ok && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
		if (is_certificate(name))
			ok = add(list, der, len);
		else
			OPENSSL_free(der);
		OPENSSL_free(name);
		OPENSSL_free(header);
	}
	e = ERR_peek_last_error();
	ERR_clear_error();
	return ok && list->n && ERR_GET_LIB(e) == ERR_LIB_PEM &&
	       ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static int by_hash(const void *a, const void *b)
{
	uint32_t x = ((const struct found *)a)->hash, y = ((const struct found *)b)->hash;

	return x < y ? -1 : x > y;
}

static int write_file(struct list *list)
{
	uint32_t at = (uint32_t)(sizeof(struct file) + list->n * sizeof(struct entry));
	struct ex_pack p = { 0 };

	qsort(list->v, list->n, sizeof(list->v[0]), by_hash);
	ex_pack_u32(&p, MAGIC);
	ex_pack_u32(&p, (uint32_t)list->n);
	for (size_t i = 0; i < list->n; i++) {
		const struct entry e = { list->v[i].hash, at, (uint32_t)list->v[i].len };

		ex_pack_bytes(&p, &e, sizeof(e));
		at += e.len;
	}
	for (size_t i = 0; i < list->n; i++)
		ex_pack_bytes(&p, list->v[i].der, (size_t)list->v[i].len);
	return ex_pack_seal(&p, "exeat-roots");
}

int ex_roots_new(struct ex_span pem)
{
	struct list list = { 0 };
	BIO *bio = ex_pem_bio(pem);
	int r = bio && read_all(bio, &list) ? write_file(&list) : -EBADMSG;

	BIO_free(bio);
	while (list.n)
		OPENSSL_free(list.v[--list.n].der);
	free(list.v);
	return r;
}

/* ---- finding ---- */

struct ex_roots {
	const struct file *file;
	size_t len;
};

static bool is_whole(const struct file *f, size_t len)
{
	if (len < sizeof(*f) || f->magic != MAGIC || f->count == 0 ||
	    f->count > (len - sizeof(*f)) / sizeof(f->entries[0]))
		return false;
	for (uint32_t i = 0; i < f->count; i++) {
		const struct entry *e = &f->entries[i];

		if (e->at > len || e->len > len - e->at || (i && e->hash < e[-1].hash))
			return false;
	}
	return true;
}

int ex_roots_map(int fd, struct ex_roots **ret)
{
	struct ex_roots r = { 0 };
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	r.len = (size_t)st.st_size;
	r.file = mmap(NULL, r.len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (r.file == MAP_FAILED)
		return -errno;
	*ret = is_whole(r.file, r.len) ? malloc(sizeof(r)) : NULL;
	if (!*ret) {
		munmap((void *)(uintptr_t)r.file, r.len);
		return -EBADMSG;
	}
	**ret = r;
	return 0;
}

void ex_roots_unmap(struct ex_roots *r)
{
	if (!r)
		return;
	munmap((void *)(uintptr_t)r->file, r->len);
	free(r);
}

static uint32_t first_at(const struct file *f, uint32_t hash)
{
	uint32_t lo = 0, hi = f->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (f->entries[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* True: it is one of this name, and the store has it. */
static bool put(X509_STORE *store, const struct file *f, const struct entry *e,
		const X509_NAME *name, X509_OBJECT *ret)
{
	const unsigned char *at = (const unsigned char *)f + e->at;
	X509 *cert = d2i_X509_AUX(NULL, &at, (long)e->len);
	bool ok = cert && X509_NAME_cmp(X509_get_subject_name(cert), name) == 0 &&
		  X509_STORE_add_cert(store, cert) == 1;

	/* OpenSSL takes a reference of its own to what it is shown. */
	if (ok && X509_OBJECT_get_type(ret) == X509_LU_NONE && X509_OBJECT_set1_X509(ret, cert))
		X509_free(cert);
	X509_free(cert);
	return ok;
}

/* Whatever has the name, so that the store knows all of them, and is not asked again. */
static int find(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name, X509_OBJECT *ret)
{
	const struct ex_roots *r = X509_LOOKUP_get_method_data(lookup);
	X509_STORE *store = X509_LOOKUP_get_store(lookup);
	bool found = false;
	uint32_t hash;

	if (type != X509_LU_X509 || !name || !r || !hash_of(name, &hash))
		return 0;
	for (uint32_t i = first_at(r->file, hash);
	     i < r->file->count && r->file->entries[i].hash == hash; i++)
		found |= put(store, r->file, &r->file->entries[i], name, ret);
	ERR_clear_error();
	return found;
}

int ex_roots_use(struct ex_roots *r, X509_STORE *store)
{
	static X509_LOOKUP_METHOD *method;
	X509_LOOKUP *lookup;

	if (!method) {
		method = X509_LOOKUP_meth_new("exeat roots");
		if (!method || X509_LOOKUP_meth_set_get_by_subject(method, find) != 1)
			return -ENOMEM;
	}
	lookup = X509_STORE_add_lookup(store, method);
	return lookup && X509_LOOKUP_set_method_data(lookup, r) == 1 ? 0 : -ENOMEM;
}
