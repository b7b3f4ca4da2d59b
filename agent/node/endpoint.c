/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/node/endpoint.h"
#include "policy/label.h"

#define NAME_MAX_ 253
#define TEXT_MAX  4096

#define BEYOND_FFFF "\xf0\xf1\xf2\xf3\xf4" /* what such a character begins with */

struct ex_node_endpoint *ex_node_endpoint_new(void)
{
	struct ex_node_endpoint *e = calloc(1, sizeof(*e));

	if (e)
		e->name = e->ns = e->container = e->interface = e->netns = "";
	return e;
}

void ex_node_endpoint_free(struct ex_node_endpoint *e)
{
	if (!e)
		return;
	ex_arena_done(&e->identity);
	ex_arena_done(&e->label_arena);
	free(e);
}

const char *ex_node_state_word(enum ex_node_state state)
{
	switch (state) {
	case EX_NODE_CLOSED:
		return "closed";
	case EX_NODE_ENFORCING:
		return "enforcing";
	case EX_NODE_DEGRADED:
		return "degraded";
	}
	return "closed";
}

int ex_node_fail(char err[static EX_NODE_ERR], int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, EX_NODE_ERR, fmt, ap);
	va_end(ap);
	return r;
}

/* ---- texts ---- */

/* Names stand in logs, paths of metrics and YAML: what Kubernetes allows is enough for all. */
static bool name_ok(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return n && !s[n] && n <= NAME_MAX_ && *s != '.' && *s != '-';
}

/* Text without control characters; what a label's value or a path is. */
static bool text_ok(const char *s, size_t max)
{
	size_t n = 0;

	for (; n <= max && s[n]; n++)
		if ((unsigned char)s[n] < 0x20 || s[n] == 0x7f)
			return false;
	return n <= max;
}

int ex_node_endpoint_keep(struct ex_node_endpoint *e, const char *text, const char **ret)
{
	char *copy = ex_arena_strndup(&e->identity, text, strlen(text));

	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

static int read_text(struct ex_node_endpoint *e, const struct ex_jv *from, const char *key,
		     const char **ret, char err[static EX_NODE_ERR])
{
	const char *text = ex_jv_string(from, key);

	if (!text)
		return ex_jv_get(from, key) ? ex_node_fail(err, -EINVAL, "%s must be a string", key)
					    : 0;
	if (!text_ok(text, TEXT_MAX))
		return ex_node_fail(err, -EINVAL, "%s is too long or has control characters", key);
	return ex_node_endpoint_keep(e, text, ret);
}

/* ---- labels ---- */

/* Keys that say where an endpoint stands in the cluster: told by its namespace, not by labels. */
static bool clusters_own(const char *key)
{
	return strcmp(key, EX_LABEL_NAMESPACE) == 0 || strncmp(key, "io.cilium.k8s.", 14) == 0;
}

struct label_reader {
	struct ex_arena *arena;
	struct ex_label v[EX_NODE_LABELS_MAX + 3];
	size_t n;
	char *err;
};

static int add_label(struct label_reader *lr, const char *key, const char *value)
{
	struct ex_label *l = &lr->v[lr->n++];

	l->key = ex_arena_strndup(lr->arena, key, strlen(key));
	l->value = ex_arena_strndup(lr->arena, value, strlen(value));
	return l->key && l->value ? 0 : -ENOMEM;
}

/*
 * Every endpoint's labels are read again with each policy, as YAML: pairs of surrogates, which
 * stand for what is beyond U+FFFF, and keys that are long when they are escaped, are none there.
 */
static bool is_key(const char *s)
{
	return *s && !strpbrk(s, ": \"\\<>" BEYOND_FFFF) && text_ok(s, NAME_MAX_ + 64);
}

static bool is_value(const char *s)
{
	return s && !strpbrk(s, BEYOND_FFFF) && text_ok(s, NAME_MAX_);
}

static int read_label(void *arg, const char *key, const struct ex_jv *v)
{
	struct label_reader *lr = arg;
	const char *value = ex_jv_text(v);

	if (!is_key(key))
		return ex_node_fail(lr->err, -EINVAL,
				    "a label's key is not of the form [PREFIX/]NAME");
	if (!is_value(value))
		return ex_node_fail(lr->err, -EINVAL,
				    "label %.60s: the value must be a short string, of characters "
				    "up to U+FFFF",
				    key);
	if (clusters_own(key))
		return 0;
	if (lr->n == EX_NODE_LABELS_MAX)
		return ex_node_fail(lr->err, -EINVAL, "more than %d labels", EX_NODE_LABELS_MAX);
	return add_label(lr, key, value);
}

int ex_node_endpoint_relabel(struct ex_node_endpoint *e, const struct ex_jv *labels,
			     char err[static EX_NODE_ERR])
{
	struct ex_arena arena = { 0 };
	struct label_reader lr = { .arena = &arena, .err = err };
	struct ex_label *v = NULL;
	int r = 0;

	if (labels && !ex_jv_is_object(labels))
		return ex_node_fail(err, -EINVAL, "labels: write an object of strings");
	if (labels)
		r = ex_jv_each(labels, read_label, &lr);
	if (r == 0)
		r = add_label(&lr, EX_LABEL_NAMESPACE, e->ns);
	if (r == 0)
		r = add_label(&lr, "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name",
			      e->ns);
	if (r == 0)
		r = add_label(&lr, "io.cilium.k8s.policy.cluster", "default");
	if (r == 0)
		v = ex_arena_alloc(&arena, lr.n, sizeof(*v));
	if (!v) {
		ex_arena_done(&arena);
		return r < 0 ? r : -ENOMEM;
	}
	memcpy(v, lr.v, lr.n * sizeof(*v));
	ex_arena_done(&e->label_arena);
	e->label_arena = arena;
	e->labels = v;
	e->n_labels = lr.n;
	if (!ex_node_endpoint_has_room(e))
		return ex_node_fail(err, -EINVAL, "its labels are too long together");
	return 0;
}

/* ---- lists ---- */

static int read_serve(struct ex_node_endpoint *e, const struct ex_jv *list,
		      char err[static EX_NODE_ERR])
{
	e->n_serve = 0;
	if (!ex_jv_is_array(list))
		return ex_node_fail(err, -EINVAL, "serve: write a list");
	if (ex_jv_count(list) > EX_NODE_SERVES_MAX)
		return ex_node_fail(err, -EINVAL, "serve: more than %d", EX_NODE_SERVES_MAX);
	for (size_t i = 0; i < ex_jv_count(list); i++) {
		const char *text = ex_jv_text(ex_jv_at(list, i));

		if (!text || !ex_serve_parse(text, &e->serve[i]))
			return ex_node_fail(err, -EINVAL,
					    "serve: write \"PORT\", \"PORT/udp\" or \"any\"");
		e->n_serve++;
	}
	return 0;
}

static int read_dns(struct ex_node_endpoint *e, const struct ex_jv *list,
		    char err[static EX_NODE_ERR])
{
	e->n_dns = 0;
	if (!ex_jv_is_array(list))
		return ex_node_fail(err, -EINVAL, "dns: write a list of addresses");
	/* As resolv.conf(5): those beyond the first few are not asked. */
	for (size_t i = 0; i < ex_jv_count(list) && i < EX_NODE_DNS_MAX; i++) {
		const char *text = ex_jv_text(ex_jv_at(list, i));

		if (!text || !ex_ip_parse(text, &e->dns[i]))
			return ex_node_fail(err, -EINVAL, "dns: write a list of addresses");
		e->n_dns++;
	}
	e->own_dns = e->n_dns > 0;
	return 0;
}

int ex_node_endpoint_read(struct ex_node_endpoint *e, const struct ex_jv *from,
			  char err[static EX_NODE_ERR])
{
	int r = read_text(e, from, "name", &e->name, err);

	e->ns = "default";
	if (r == 0)
		r = read_text(e, from, "namespace", &e->ns, err);
	if (r == 0)
		r = read_text(e, from, "container_id", &e->container, err);
	if (r < 0)
		return r;
	if (!name_ok(e->name) || !name_ok(e->ns))
		return ex_node_fail(err, -EINVAL,
				    "name and namespace must be of letters, digits, - _ and .");
	r = ex_node_endpoint_relabel(e, ex_jv_get(from, "labels"), err);
	if (r == 0 && ex_jv_get(from, "serve"))
		r = read_serve(e, ex_jv_get(from, "serve"), err);
	if (r == 0 && ex_jv_get(from, "dns"))
		r = read_dns(e, ex_jv_get(from, "dns"), err);
	return r;
}
