/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http2_kept.h"

#include <errno.h>

/* One block: the object, its fields, and behind them their flags and the text of it all. */
struct block {
	struct ex_h2_kept kept;
	struct ex_header fields[];
};

size_t ex_h2_head_size(const struct ex_h2_head *head)
{
	const struct ex_h1_head *h = &head->h;
	size_t n = h->method.len + h->path.len + h->host.len + h->authority.len + h->upgrade.len +
		   h->destination.len + head->scheme.len;

	for (size_t i = 0; i < h->n_headers; i++)
		n += h->headers[i].name.len + h->headers[i].value.len;
	return n;
}

static void copy(struct ex_span *s, char **at)
{
	if (s->len)
		memcpy(*at, s->ptr, s->len);
	s->ptr = *at;
	*at += s->len;
}

int ex_h2_kept_new(const struct ex_h2_head *head, struct ex_h2_kept **ret)
{
	size_t n = head->h.n_headers;
	struct block *b;
	struct ex_h1_head *h;
	bool *secret;
	char *at;

	if (n > EX_H1_HEADERS_MAX)
		return -EINVAL;
	b = malloc(sizeof(*b) + n * (sizeof(b->fields[0]) + sizeof(*secret)) +
		   ex_h2_head_size(head));
	if (!b)
		return -ENOMEM;
	b->kept = (struct ex_h2_kept){ .head = *head, .ended = head->end };
	h = &b->kept.head.h;
	secret = (bool *)(b->fields + n);
	at = (char *)(secret + n);
	copy(&h->method, &at);
	copy(&h->path, &at);
	copy(&h->host, &at);
	copy(&h->authority, &at);
	copy(&h->upgrade, &at);
	copy(&h->destination, &at);
	copy(&b->kept.head.scheme, &at);
	for (size_t i = 0; i < n; i++) {
		b->fields[i] = h->headers[i];
		copy(&b->fields[i].name, &at);
		copy(&b->fields[i].value, &at);
		secret[i] = head->secret && head->secret[i];
	}
	h->headers = b->fields;
	b->kept.head.secret = secret;
	*ret = &b->kept;
	return 0;
}

void ex_h2_kept_free(struct ex_h2_kept *k)
{
	if (!k)
		return;
	ex_buf_done(&k->body);
	free(ex_container_of(k, struct block, kept));
}
