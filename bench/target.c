/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/target.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKUP_GAP_US 2500

struct url {
	bool tls;
	char host[256], port[8];
	const char *path;
};

static struct url parse_url(const char *text)
{
	struct url u = { .tls = strncmp(text, "https://", 8) == 0 };
	const char *host, *slash;
	char *colon;

	if (!u.tls && strncmp(text, "http://", 7) != 0) {
		fprintf(stderr, "load: not a URL: %s\n", text);
		exit(2);
	}
	host = text + (u.tls ? 8 : 7);
	slash = strchr(host, '/');
	u.path = slash ? slash : "/";
	snprintf(u.host, sizeof(u.host), "%.*s", slash ? (int)(slash - host) : (int)strlen(host),
		 host);
	colon = strchr(u.host, ':');
	snprintf(u.port, sizeof(u.port), "%s", colon ? colon + 1 : u.tls ? "443" : "80");
	if (colon)
		*colon = '\0';
	return u;
}

static void look_up(struct target *t, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	int r = getaddrinfo(t->host, port, &hints, &found);

	if (r) {
		fprintf(stderr, "load: %s: %s\n", t->host, gai_strerror(r));
		exit(1);
	}
	memcpy(&t->addr, found->ai_addr, found->ai_addrlen);
	t->addr_len = found->ai_addrlen;
	freeaddrinfo(found);
}

static void write_request(struct target *t, const char *path, const struct target_request *req)
{
	char *to = t->request;
	size_t n;

	n = (size_t)snprintf(to, REQUEST_MAX,
			     "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\n"
			     "Accept: */*\r\n%s",
			     req->method, path, t->host, req->close ? "Connection: close\r\n" : "");
	if (req->upload)
		n += (size_t)snprintf(to + n, 128,
				      "Content-Type: application/json\r\n"
				      "Content-Length: %zu\r\n",
				      req->upload);
	n += (size_t)snprintf(to + n, 3, "\r\n");
	memset(to + n, 'x', REQUEST_MAX - n);
	t->request_len = n;
}

struct target *targets_new(const char *url, unsigned first, unsigned n,
			   const struct target_request *req, bool *ret_tls)
{
	struct url u = parse_url(url);
	char *number = strstr(u.host, "%u");
	struct target *all = calloc(n, sizeof(*all));

	if (!all) {
		perror("load");
		exit(1);
	}
	for (unsigned i = 0; i < n; i++) {
		struct target *t = &all[i];

		if (number)
			snprintf(t->host, sizeof(t->host), "%.*s%u%s", (int)(number - u.host),
				 u.host, first + i, number + 2);
		else
			snprintf(t->host, sizeof(t->host), "%s", u.host);
		look_up(t, u.port);
		write_request(t, u.path, req);
		if (i + 1 < n)
			usleep(LOOKUP_GAP_US);
	}
	*ret_tls = u.tls;
	return all;
}
