/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/endpoints.h"

#define ENDPOINTS_MAX 100000
#define LABELS_MAX    256
#define ADDRS_MAX     1024

struct endpoint_reader {
	struct ex_known_endpoint ep;
	const struct ex_node *labels;
};

static const char *keep(struct ex_decoder *d, const char *text)
{
	return text ? ex_arena_strndup(d->arena, text, strlen(text)) : NULL;
}

static void read_name(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	((struct endpoint_reader *)out)->ep.name = keep(d, ex_decode_text(d, n));
}

static void read_namespace(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	((struct endpoint_reader *)out)->ep.ns = keep(d, ex_decode_text(d, n));
}

static void read_labels(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	if (n->kind != EX_NODE_MAP || n->n > LABELS_MAX) {
		ex_decode_error(d, n, "write labels: {key: value}", "must be a map of at most %d",
				LABELS_MAX);
		return;
	}
	((struct endpoint_reader *)out)->labels = n;
}

static void read_addresses(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_known_endpoint *ep = &((struct endpoint_reader *)out)->ep;
	char quoted[EX_QUOTE_TEXT];

	if (!ex_decode_list(d, n, ADDRS_MAX, false))
		return;
	ep->ips = ex_arena_alloc(d->arena, n->n, sizeof(*ep->ips));
	if (!ep->ips)
		return;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		const char *text = ex_decode_text(d, c);

		if (!text)
			continue;
		if (ex_ip_parse(text, &ep->ips[ep->n_ips]))
			ep->n_ips++;
		else
			ex_decode_error(d, c, "write one IPv4 or IPv6 address",
					"%s is not an address", ex_quote(text, c->len, quoted));
	}
}

static void read_ports(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_known_endpoint *ep = &((struct endpoint_reader *)out)->ep;

	if (n->kind != EX_NODE_MAP) {
		ex_decode_error(d, n, "write ports: {name: number}", "must be a map");
		return;
	}
	ep->ports = ex_arena_alloc(d->arena, n->n, sizeof(*ep->ports));
	for (const struct ex_node *c = n->first; ep->ports && c; c = c->next) {
		unsigned long port = 0;

		if (c->kind == EX_NODE_SCALAR && c->len && c->len <= 5 &&
		    strspn(c->text, "0123456789") == c->len)
			port = strtoul(c->text, NULL, 10);
		if (port == 0 || port > 65535) {
			ex_decode_error(d, c, "write a number from 1 to 65535",
					"must be a port number");
			continue;
		}
		ep->ports[ep->n_ports++] =
			(struct ex_known_port){ keep(d, c->key), (uint16_t)port };
	}
}

/* The labels that Kubernetes and the cluster would add by themselves. */
static void finish_labels(struct ex_decoder *d, struct endpoint_reader *er)
{
	size_t given = er->labels ? er->labels->n : 0, n = 0;
	struct ex_label *v = ex_arena_alloc(d->arena, given + EX_LABELS_IMPLIED, sizeof(*v));

	if (!v)
		return;
	for (const struct ex_node *c = er->labels ? er->labels->first : NULL; c; c = c->next) {
		const char *value =
			c->kind == EX_NODE_SCALAR && c->len == 0 ? "" : ex_decode_text(d, c);

		if (!value)
			continue;
		v[n++] = (struct ex_label){ keep(d, c->key), keep(d, value) };
		if (!v[n - 1].key || !v[n - 1].value)
			return;
		er->ep.entity |= strncmp(c->key, "reserved:", 9) == 0;
	}
	if (er->ep.entity) {
		er->ep.ns = "";
	} else {
		ex_labels_imply(v, &n, er->ep.ns);
	}
	er->ep.labels = (struct ex_label_set){ v, n };
}

static void read_endpoint(struct ex_decoder *d, const struct ex_node *n,
			  struct ex_known_endpoint *ret)
{
	static const struct ex_field fields[] = {
		{ "name", read_name, NULL, NULL },     { "namespace", read_namespace, NULL, NULL },
		{ "labels", read_labels, NULL, NULL }, { "addresses", read_addresses, NULL, NULL },
		{ "ports", read_ports, NULL, NULL },
	};
	struct endpoint_reader er = { .ep.name = "", .ep.ns = "default" };
	size_t before = d->n_errors;

	if (!ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &er) || d->n_errors > before)
		return;
	if (er.ep.n_ips == 0)
		ex_decode_error(d, n, "write addresses: [ADDRESS]", "needs the field addresses");
	finish_labels(d, &er);
	*ret = er.ep;
}

/* Behind those of the documents before. */
static void read_endpoint_list(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_known_endpoints *ret = out;
	struct ex_known_endpoint *v;

	if (!ex_decode_list(d, n, ENDPOINTS_MAX - ret->n, true))
		return;
	v = ex_arena_alloc(d->arena, ret->n + n->n, sizeof(*v));
	if (!v)
		return;
	if (ret->n)
		memcpy(v, ret->v, ret->n * sizeof(*v));
	ret->v = v;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		read_endpoint(d, it.c, &v[ret->n++]);
}

void ex_endpoints_read(struct ex_decoder *d, const struct ex_docs *docs,
		       struct ex_known_endpoints *ret)
{
	static const struct ex_field fields[] = {
		{ "endpoints", read_endpoint_list, NULL, NULL },
	};

	for (size_t i = 0; i < docs->n; i++) {
		ex_decode_pop(d, 0);
		(void)ex_decode_map(d, docs->v[i], fields, EX_ARRAY_SIZE(fields), ret);
	}
}
