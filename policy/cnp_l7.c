/* SPDX-License-Identifier: Apache-2.0 */
/* rules.http, rules.dns and serverNames of one toPorts item. */
#include "policy/cnp.h"

#include <errno.h>

static const struct ex_regex *read_regex(struct ex_decoder *d, const struct ex_node *n,
					 struct ex_http_reader *hr)
{
	const char *text = ex_decode_text(d, n);
	char err[160], quoted[EX_QUOTE_TEXT];
	const struct ex_regex *re = NULL;
	int r;

	if (!text)
		return NULL;
	/* upstream: an empty expression is the same as none */
	if (n->len == 0)
		return NULL;
	r = ex_regex_set_get(&hr->rule->set->regexes, d->arena, text, n->len, &re, err,
			     sizeof(err));
	if (r == -ENOMEM)
		d->arena->oom = true;
	else if (r == -E2BIG)
		ex_decode_error(d, n, "repeat less: {1000} stands for a thousand copies",
				"the regular expressions of the policies are too large together");
	else if (r < 0)
		ex_decode_error(d, n,
				"write an RE2 regular expression that matches the whole text, such "
				"as /v1/.*",
				"%s is not a regular expression: %s",
				ex_quote(text, n->len, quoted), err);
	return re;
}

static const char *keep_written(struct ex_decoder *d, const struct ex_node *n)
{
	return n->kind == EX_NODE_SCALAR && n->len ? ex_arena_strndup(d->arena, n->text, n->len)
						   : NULL;
}

static void read_method(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_http_reader *hr = out;

	hr->match.method = read_regex(d, n, hr);
	hr->match.written_method = keep_written(d, n);
}

static void read_path(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_http_reader *hr = out;

	hr->match.path = read_regex(d, n, hr);
	hr->match.written_path = keep_written(d, n);
}

static void read_host(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_http_reader *hr = out;

	hr->match.host = read_regex(d, n, hr);
	hr->match.written_host = keep_written(d, n);
}

static void read_http(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	static const struct ex_field fields[] = {
		{ "method", read_method, NULL, NULL },
		{ "path", read_path, NULL, NULL },
		{ "host", read_host, NULL, NULL },
		{ "headers", ex_read_headers, NULL, NULL },
		{ "headerMatches", ex_read_header_matches, NULL, NULL },
	};
	struct ex_ports_reader *r = out;
	struct ex_ports *p = r->ports;

	/* an empty list does not limit, which is right for an allow and far too much for a deny */
	if (!ex_decode_list(d, n, EX_LIST_MAX, !r->rule->egress->deny) || n->n == 0)
		return;
	p->l7 = EX_L7_HTTP;
	p->http = ex_arena_alloc(d->arena, n->n, sizeof(*p->http));
	if (!p->http)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it)) {
		struct ex_http_reader hr = { .rule = r->rule, .match.pos = it.c->pos };

		(void)ex_decode_map(d, it.c, fields, EX_ARRAY_SIZE(fields), &hr);
		p->http[p->n_http++] = hr.match;
	}
}

static void read_dns(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_ports_reader *r = out;

	if (r->rule->egress->deny) {
		ex_decode_key_error(d, n, "use toFQDNs under egressDeny",
				    "a deny rule has no rules.dns");
		return;
	}
	if (!ex_decode_list(d, n, EX_LIST_MAX, true) || n->n == 0)
		return;
	r->ports->l7 = EX_L7_DNS;
	r->ports->names = ex_read_name_selectors(d, n, r->rule->own, &r->ports->n_names);
}

void ex_read_l7_rules(struct ex_decoder *d, const struct ex_node *n, struct ex_ports_reader *r)
{
	static const char gone[] = "it was removed from CiliumNetworkPolicy";
	static const struct ex_field fields[] = {
		{ "http", read_http, NULL, NULL },
		{ "dns", read_dns, NULL, NULL },
		{ "kafka", NULL, gone, "allow the broker's address and port instead" },
		{ "l7proto", NULL, gone, "use http or dns" },
		{ "l7", NULL, gone, "use http or dns" },
	};
	const struct ex_node *http, *dns;

	if (ex_node_is_null(n))
		return; /* as {}: no L7 enforcement */
	http = ex_node_get(n, "http");
	dns = ex_node_get(n, "dns");
	if (http && dns) {
		ex_decode_error(d, n, "write one toPorts item for each",
				"http and dns exclude one another");
		return;
	}
	(void)ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), r);
}

/* With rules.http they go together only where TLS is opened: upstream asks for terminatingTLS. */
void ex_read_server_names(struct ex_decoder *d, const struct ex_node *n, struct ex_ports_reader *r)
{
	struct ex_ports *p = r->ports;
	struct ex_name_pattern *v;
	char quoted[EX_QUOTE_TEXT];
	size_t i = 0;

	if (!ex_decode_list(d, n, EX_LIST_MAX, false))
		return;
	if (p->l7 != EX_L7_NONE && !(p->l7 == EX_L7_HTTP && r->terminating)) {
		ex_decode_key_error(d, n, "use rules.http alone: it checks the server name too",
				    "serverNames and rules exclude one another");
		return;
	}
	v = ex_arena_alloc(d->arena, n->n, sizeof(*v));
	if (!v)
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it)) {
		const char *text = ex_decode_text(d, it.c);
		const char *wrong =
			text ? ex_sni_pattern_parse(text, it.c->len, d->arena, &v[i++]) : NULL;

		if (wrong)
			ex_decode_error(d, it.c, "write a name such as api.example.com", "%s %s",
					ex_quote(text, it.c->len, quoted), wrong);
	}
	if (p->l7 == EX_L7_NONE)
		p->l7 = EX_L7_SNI;
	p->names = v;
	p->n_names = i;
}
