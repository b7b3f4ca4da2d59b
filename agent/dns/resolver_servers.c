// SPDX-License-Identifier: Apache-2.0
/* Resolver addresses as people and resolv.conf(5) write them. */
#include <net/if.h>
#include <stdio.h>

#include "agent/dns/resolver.h"
#include "exeat/text.h"

enum { DNS_PORT = 53 };

static bool parse_port(const char *text, uint16_t *ret)
{
	unsigned port = 0;

	for (const char *p = text; *p; p++) {
		if (!ex_is_digit(*p) || p - text >= 5)
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return false;
	*ret = (uint16_t)port;
	return true;
}

static bool is_link_local(const struct ex_ip *ip)
{
	return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

/* "ADDR" or "fe80::…%IFACE", in a buffer it may cut. */
static bool parse_address(char *text, struct ex_resolver_server *s)
{
	char *zone = strchr(text, '%');

	if (zone) {
		*zone++ = '\0';
		s->scope = if_nametoindex(zone);
	}
	if (!ex_ip_parse(text, &s->ip))
		return false;
	/* a zone belongs to link-local addresses, and those are nowhere without one */
	return is_link_local(&s->ip) ? s->scope != 0 : !zone;
}

/* Takes "SUFFIX=" off *text, in lower case. */
static bool parse_suffix(const char **text, struct ex_resolver_server *s)
{
	const char *equals = strchr(*text, '=');
	size_t len = equals ? (size_t)(equals - *text) : 0, label = 0;

	if (!equals)
		return true;
	if (len == 0 || len > EX_RESOLVER_SUFFIX_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = (*text)[i];

		label = c == '.' ? 0 : label + 1;
		if (label > 63 ||
		    (label == 0 && (i == 0 || i + 1 == len || s->suffix[i - 1] == '.')))
			return false;
		if (!ex_is_alnum(c) && c != '-' && c != '_' && c != '.')
			return false;
		s->suffix[i] = ex_lower(c);
	}
	*text = equals + 1;
	return true;
}

bool ex_resolver_server_parse(const char *text, struct ex_resolver_server *ret)
{
	struct ex_resolver_server s = { .port = DNS_PORT };
	char buf[INET6_ADDRSTRLEN + IF_NAMESIZE + 16], *addr = buf, *port = NULL;
	size_t len;

	if (!parse_suffix(&text, &s))
		return false;
	len = strlen(text);
	if (len >= sizeof(buf))
		return false;
	memcpy(buf, text, len + 1);
	if (buf[0] == '[') {
		addr = buf + 1;
		port = strchr(addr, ']');
		if (!port || (port[1] != '\0' && port[1] != ':'))
			return false;
		*port++ = '\0';
		if (!strchr(addr, ':'))
			return false; /* brackets are for IPv6 */
	} else if (strchr(buf, ':') == strrchr(buf, ':')) {
		port = strchr(buf, ':'); /* one colon at most: IPv4 with a port */
	}
	if (port && *port == ':') {
		*port++ = '\0';
		if (!parse_port(port, &s.port))
			return false;
	}
	if (!parse_address(addr, &s))
		return false;
	*ret = s;
	return true;
}

const char *ex_resolver_server_add(const char *text, struct ex_resolver_server *v, size_t cap,
				   size_t *n)
{
	struct ex_resolver_server s;
	size_t same = 0;

	if (!ex_resolver_server_parse(text, &s))
		return "must be ADDR, ADDR:PORT or [IPV6]:PORT, with SUFFIX= in front for some "
		       "names only";
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(v[i].suffix, s.suffix) != 0)
			continue;
		if (ex_ip_eq(&v[i].ip, &s.ip) && v[i].port == s.port && v[i].scope == s.scope)
			return "is there twice";
		same++;
	}
	if (same == EX_RESOLVER_SERVERS)
		return "is the fourth for the same names: three are asked at most";
	if (*n == cap)
		return "is one too many";
	v[(*n)++] = s;
	return NULL;
}

size_t ex_resolver_servers_read(const char *path, struct ex_resolver_server *out, size_t cap)
{
	FILE *f = fopen(path, "re");
	char line[256], addr[128];
	size_t n = 0;

	if (!f)
		return 0;
	while (n < cap && fgets(line, sizeof(line), f)) {
		struct ex_resolver_server s = { .port = DNS_PORT };

		if (sscanf(line, "nameserver %127s", addr) == 1 && parse_address(addr, &s))
			out[n++] = s;
	}
	fclose(f);
	return n;
}

bool ex_resolver_servers_complete(struct ex_resolver_server *v, size_t cap, size_t *n)
{
	size_t more;

	for (size_t i = 0; i < *n; i++)
		if (!v[i].suffix[0])
			return true;
	more = ex_resolver_servers_read("/etc/resolv.conf", v + *n, cap - *n);
	*n += more;
	return more > 0;
}
