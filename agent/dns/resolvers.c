/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dns/resolvers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/core/state_file.h"

enum {
	FILE_BYTES_MAX = 64 * 1024,
	HEARD_MS = 5000, /* proxies are told at once; this is for the busiest one */
};

void ex_resolvers_follow(struct ex_resolvers *r, const char *file)
{
	r->named = r->n;
	r->file = file;
	for (size_t i = 0; i < r->n; i++)
		if (!r->v[i].suffix[0])
			r->file = NULL;
}

static int read_file(const char *path, bool hold, struct ex_resolver_server *out, size_t cap)
{
	EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	EX_AUTO_FREE char *text = NULL;
	size_t len;
	int r = fd < 0 ? -errno : hold ? ex_file_hold(fd) : 0;

	if (r == 0)
		r = ex_file_read(fd, FILE_BYTES_MAX, &text, &len);
	if (r < 0)
		return r;
	r = (int)ex_resolver_servers_read(text, out, cap);
	return r ? r : -ENODATA;
}

static const char *why(int err)
{
	return err == -ENODATA ? "it has no nameserver that can be asked"
	       : err == -EBUSY ? "it is being written"
			       : strerror(-err);
}

static void tell(const struct ex_resolvers *r)
{
	char text[EX_RESOLVER_SERVERS * EX_RESOLVER_TEXT] = "", one[EX_RESOLVER_TEXT];
	size_t len = 0;

	for (size_t i = r->named; i < r->n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " %s",
					ex_resolver_server_text(&r->v[i], one));
	ex_info("resolvers of %s:%s", r->file, text);
}

static bool are_same(const struct ex_resolvers *r, const struct ex_resolver_server *v, size_t n)
{
	for (size_t i = 0; i < n && r->named + i < r->n; i++)
		if (!ex_resolver_server_eq(&v[i], &r->v[r->named + i]))
			return false;
	return n == r->n - r->named;
}

bool ex_resolvers_look(struct ex_resolvers *r, uint64_t now_ms)
{
	struct ex_resolver_server v[EX_RESOLVER_SERVERS];
	size_t room = EX_RESOLVERS_MAX - r->named, had = r->n - r->named;
	const char *was = r->trouble;
	int n;

	if (!r->file || !room)
		return false;
	/* at first even the half of it is better than nothing */
	n = read_file(r->file, had > 0, v, room < EX_RESOLVER_SERVERS ? room : EX_RESOLVER_SERVERS);
	r->trouble = n < 0 ? why(n) : NULL;
	if (had && r->trouble && r->trouble != was)
		ex_warning("%s: %s: the resolvers stay as they are", r->file, r->trouble);
	if (n < 0 || are_same(r, v, (size_t)n))
		return false;
	memcpy(r->before, r->v + r->named, had * sizeof(*v));
	r->n_before = had;
	r->before_until = now_ms + HEARD_MS;
	memcpy(r->v + r->named, v, (size_t)n * sizeof(*v));
	r->n = r->named + (size_t)n;
	tell(r);
	return true;
}

static const struct ex_resolver_server *find(const struct ex_resolver_server *v, size_t n,
					     const struct ex_ip *ip, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (ex_ip_eq(&v[i].ip, ip) && v[i].port == port)
			return &v[i];
	return NULL;
}

const struct ex_resolver_server *ex_resolvers_find(const struct ex_resolvers *r,
						   const struct ex_ip *ip, uint16_t port,
						   uint64_t now_ms)
{
	const struct ex_resolver_server *s = find(r->v, r->n, ip, port);

	return s || now_ms >= r->before_until ? s : find(r->before, r->n_before, ip, port);
}

size_t ex_resolvers_general(const struct ex_resolvers *r, const struct ex_resolver_server **ret)
{
	*ret = r->v + r->named;
	return r->file ? r->n - r->named : 0;
}
