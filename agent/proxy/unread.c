/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/unread.h"

#include <errno.h>

#define NAMES_MAX 512

struct ex_unread {
	char *names[NAMES_MAX];
	size_t n;
};

int ex_unread_new(struct ex_span names, struct ex_unread **ret)
{
	struct ex_unread *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	while (names.len) {
		const char *comma = memchr(names.ptr, ',', names.len);
		size_t len = comma ? (size_t)(comma - names.ptr) : names.len;

		ex_unread_add(u, (struct ex_span){ names.ptr, len });
		len += comma ? 1 : 0;
		names = (struct ex_span){ names.ptr + len, names.len - len };
	}
	*ret = u;
	return 0;
}

/* At the bound the name goes on being read. */
void ex_unread_add(struct ex_unread *u, struct ex_span name)
{
	char *copy;

	if (!u || !name.len || u->n == NAMES_MAX || ex_unread_has(u, name))
		return;
	copy = strndup(name.ptr, name.len);
	if (copy)
		u->names[u->n++] = copy;
}

bool ex_unread_has(const struct ex_unread *u, struct ex_span name)
{
	for (size_t i = 0; u && i < u->n; i++)
		if (ex_span_eq(ex_span_str(u->names[i]), name))
			return true;
	return false;
}
