/* SPDX-License-Identifier: Apache-2.0 */
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

bool ex_resolver_server_eq(const struct ex_resolver_server *a, const struct ex_resolver_server *b)
{
	return ex_ip_eq(&a->ip, &b->ip) && a->port == b->port && a->scope == b->scope;
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
		if (ex_resolver_server_eq(&v[i], &s))
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

/* The first word behind "nameserver" at the beginning of the line, cut off; or NULL. */
static char *nameserver(char *line)
{
	char *p = line + sizeof("nameserver") - 1;

	if (strncmp(line, "nameserver", sizeof("nameserver") - 1) != 0 || (*p != ' ' && *p != '\t'))
		return NULL;
	p += strspn(p, " \t");
	p[strcspn(p, " \t\r")] = '\0';
	return p;
}

size_t ex_resolver_servers_read(char *text, struct ex_resolver_server *out, size_t cap)
{
	char *line, *addr;
	size_t n = 0;

	while (n < cap && (line = strsep(&text, "\n"))) {
		struct ex_resolver_server s = { .port = DNS_PORT };

		addr = nameserver(line);
		if (addr && parse_address(addr, &s))
			out[n++] = s;
	}
	return n;
}

const char *ex_resolver_server_text(const struct ex_resolver_server *s,
				    char buf[static EX_RESOLVER_TEXT])
{
	char ip[EX_IP_TEXT], link[1 + IF_NAMESIZE] = "", port[8] = "";
	bool brackets;

	if (s->scope && if_indextoname(s->scope, link + 1))
		link[0] = '%';
	if (s->port != DNS_PORT)
		snprintf(port, sizeof(port), ":%u", s->port);
	brackets = port[0] && !ex_ip_is4(&s->ip);
	snprintf(buf, EX_RESOLVER_TEXT, "%s%s%s%s%s%s%s", s->suffix, s->suffix[0] ? "=" : "",
		 brackets ? "[" : "", ex_ip_text(&s->ip, ip), link, brackets ? "]" : "", port);
	return buf;
}
