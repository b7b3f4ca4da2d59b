/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/bundle.h"

#include <errno.h>
#include <unistd.h>

#include "agent/core/pack.h"
#include "agent/tls/hmac.h"
#include "policy/ruleset.h"

#define MAGIC 0x42584533u

/*
 * Another input: it has to travel too, or the proxy would judge by another policy than the kernel.
 * But for inward: the proxy judges nothing that comes in; and for repeers and known, which are the
 * parent's business: it sends what endpoints come to, and not who they are; and for labels: it
 * sends which specs they choose, which is the same for all that share the bundle.
 */
_Static_assert(sizeof(struct ex_compile_input) == 176, "pack and unpack every field");

/* ---- writing ---- */

static void pack_texts(struct ex_pack *p, const struct ex_text *v, size_t n)
{
	ex_pack_u32(p, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		ex_pack_str(p, v[i].name);
		ex_pack_span(p, v[i].text);
	}
}

/* Private keys stay: the proxy asks for what only they can do (tls/sign.h). */
static void pack_secrets(struct ex_pack *p, const struct ex_ruleset *rs)
{
	static const struct ex_span none = { 0 };
	const struct ex_secret *s;
	uint32_t n = 0;

	while (ex_ruleset_secret(rs, n))
		n++;
	ex_pack_u32(p, n);
	for (size_t i = 0; (s = ex_ruleset_secret(rs, i)); i++) {
		ex_pack_str(p, s->ns);
		ex_pack_str(p, s->name);
		ex_pack_str(p, s->item ? s->item : "");
		ex_pack_u32(p, s->key);
		ex_pack_span(p, s->key ? none : s->value);
	}
}

static void pack_chosen(struct ex_pack *p, const struct ex_ruleset *rs)
{
	const struct ex_chosen chosen = ex_ruleset_chosen(rs);

	ex_pack_span(p, (struct ex_span){ (const char *)chosen.v, chosen.n });
}

static void pack_ips(struct ex_pack *p, const struct ex_ip *v, size_t n)
{
	ex_pack_u32(p, (uint32_t)n);
	ex_pack_bytes(p, v, n * sizeof(*v));
}

static void pack_reached(struct ex_pack *p, const struct ex_reached_list *list)
{
	ex_pack_u32(p, list != NULL);
	if (!list)
		return;
	ex_pack_u32(p, (uint32_t)list->n);
	ex_pack_bytes(p, list->v, list->n * sizeof(*list->v));
}

int ex_bundle_new(const struct ex_compile_input *in, const struct ex_ruleset *rs)
{
	struct ex_pack p = { 0 };

	if (in->n_files || in->endpoints_file || in->known)
		return -EINVAL;
	ex_pack_u32(&p, MAGIC);
	ex_pack_u32(&p, in->allow_unselected);
	ex_pack_u32(&p, in->deny_metadata);
	pack_texts(&p, in->texts, in->n_texts);
	pack_texts(&p, in->endpoints, in->n_endpoints);
	pack_reached(&p, in->reached);
	pack_secrets(&p, rs);
	pack_chosen(&p, rs);
	pack_ips(&p, in->host_ips, in->n_host_ips);
	pack_ips(&p, in->dns_ips, in->n_dns_ips);
	return ex_pack_seal(&p, "exeat-policy");
}

/* ---- reading ---- */

/* A list of n elements for unpacking; when there is no memory, the rest is not read. */
static void *list_new(struct ex_unpack *u, size_t n, size_t size)
{
	void *v = n ? calloc(n, size) : NULL;

	u->bad |= n && !v;
	return v;
}

static const struct ex_text *unpack_texts(struct ex_unpack *u, size_t *ret_n)
{
	size_t n = ex_unpack_count(u, 2 * sizeof(uint32_t));
	struct ex_text *v = list_new(u, n, sizeof(*v));

	for (size_t i = 0; v && i < n; i++) {
		v[i].name = ex_unpack_str(u);
		v[i].text = ex_unpack_span(u);
	}
	*ret_n = n;
	return v;
}

static const struct ex_secret *unpack_secrets(struct ex_unpack *u, size_t *ret_n)
{
	size_t n = ex_unpack_count(u, 5 * sizeof(uint32_t));
	struct ex_secret *v = list_new(u, n, sizeof(*v));

	for (size_t i = 0; v && i < n; i++) {
		v[i].ns = ex_unpack_str(u);
		v[i].name = ex_unpack_str(u);
		v[i].item = ex_unpack_str(u);
		v[i].item = v[i].item && v[i].item[0] ? v[i].item : NULL;
		v[i].key = ex_unpack_u32(u);
		v[i].value = ex_unpack_span(u);
	}
	*ret_n = n;
	return v;
}

/* It stays in the bytes. */
static void unpack_chosen(struct ex_unpack *u, struct ex_chosen *ret)
{
	struct ex_span s = ex_unpack_span(u);

	*ret = (struct ex_chosen){ (const uint8_t *)s.ptr, s.len };
}

static const struct ex_ip *unpack_ips(struct ex_unpack *u, size_t *ret_n)
{
	size_t n = ex_unpack_count(u, sizeof(struct ex_ip));
	struct ex_ip *v = list_new(u, n, sizeof(*v));

	if (v)
		ex_unpack_bytes(u, v, n * sizeof(*v));
	*ret_n = n;
	return v;
}

/* Into *list, when there is one. */
static const struct ex_reached_list *unpack_reached(struct ex_unpack *u,
						    struct ex_reached_list *list)
{
	struct ex_reached *v;

	if (!ex_unpack_u32(u))
		return NULL;
	list->n = ex_unpack_count(u, sizeof(*v));
	list->v = v = list_new(u, list->n, sizeof(*v));
	if (v)
		ex_unpack_bytes(u, v, list->n * sizeof(*v));
	return list;
}

/* reached, chosen: room for what in points to. */
static int unpack(struct ex_unpack *u, struct ex_compile_input *in, struct ex_reached_list *reached,
		  struct ex_chosen *chosen)
{
	u->bad = ex_unpack_u32(u) != MAGIC;
	in->allow_unselected = ex_unpack_u32(u);
	in->deny_metadata = ex_unpack_u32(u);
	in->texts = unpack_texts(u, &in->n_texts);
	in->endpoints = unpack_texts(u, &in->n_endpoints);
	in->reached = unpack_reached(u, reached);
	in->secrets = unpack_secrets(u, &in->n_secrets);
	unpack_chosen(u, chosen);
	in->chosen = chosen;
	in->host_ips = unpack_ips(u, &in->n_host_ips);
	in->dns_ips = unpack_ips(u, &in->n_dns_ips);
	return ex_unpack_done(u);
}

/* The lists are ours, though the compiler may only read them. */
static void free_list(const void *v)
{
	free((void *)(uintptr_t)v);
}

int ex_bundle_compile(int fd, struct ex_ruleset **ret, struct ex_diags *diags)
{
	struct ex_compile_input in = { 0 };
	struct ex_reached_list reached = { 0 };
	struct ex_chosen chosen;
	struct ex_unpack u = { 0 };
	char *bytes;
	size_t len;
	int r = ex_pack_read(fd, &bytes, &len);

	if (r < 0)
		return r;
	u = (struct ex_unpack){ .at = bytes, .end = bytes + len };
	r = unpack(&u, &in, &reached, &chosen);
	if (r == 0)
		r = ex_compile(&in, ret, diags);
	free_list(in.texts);
	free_list(in.endpoints);
	free_list(reached.v);
	free_list(in.secrets);
	free_list(in.host_ips);
	free_list(in.dns_ips);
	ex_pack_free(bytes, len);
	return r;
}

bool ex_bundle_is_same(int a, int b)
{
	char *bytes_a = NULL, *bytes_b = NULL;
	size_t len_a = 0, len_b = 0;
	bool same = ex_pack_read(a, &bytes_a, &len_a) == 0 &&
		    ex_pack_read(b, &bytes_b, &len_b) == 0 && len_a == len_b &&
		    memcmp(bytes_a, bytes_b, len_a) == 0;

	ex_pack_free(bytes_a, len_a);
	ex_pack_free(bytes_b, len_b);
	return same;
}

int ex_bundle_digest(int fd, uint8_t ret[static EX_BUNDLE_DIGEST_LEN])
{
	struct ex_span all = { 0 };
	char *bytes;
	int r = ex_pack_read(fd, &bytes, &all.len);

	_Static_assert(EX_BUNDLE_DIGEST_LEN == EX_MAC_LEN, "it is one");
	if (r < 0)
		return r;
	all.ptr = bytes;
	r = ex_mac((struct ex_span){ 0 }, &all, 1, ret);
	ex_pack_free(bytes, all.len);
	return r;
}
