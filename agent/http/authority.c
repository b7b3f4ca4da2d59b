/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/authority.h"

#include <errno.h>
#include <stdio.h>

#include "agent/http/chars.h"
#include "agent/tls/name.h"

#define LABEL_MAX 63

static int port_parse(struct ex_span text, uint16_t *ret)
{
	uint32_t port = 0;

	if (text.len == 0 || text.len > 5 || text.ptr[0] == '0')
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		if (!ex_is_digit(text.ptr[i]))
			return -EINVAL;
		port = port * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	if (port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

/*
 * Canonical text, so that "::1" and "0:0::1" are judged as one, and "::ffff:192.0.2.1" as the IPv4
 * address that whoever dials it ends up at.
 */
static int ip6_parse(struct ex_span text, struct ex_authority *ret)
{
	char copy[INET6_ADDRSTRLEN];
	struct ex_ip ip;

	if (text.len == 0 || text.len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (strlen(copy) != text.len || inet_pton(AF_INET6, copy, ip.b) != 1)
		return -EINVAL;
	ret->host_len = strlen(ex_ip_text(&ip, ret->host));
	ret->is_ip6 = !ex_ip_is4(&ip);
	return 0;
}

static bool label_is_valid(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!ex_char_is(label[i], EX_CHAR_NAME) && label[i] != '_')
			return false;
	}
	return true;
}

static int name_parse(struct ex_span text, struct ex_authority *ret)
{
	size_t start = 0;
	uint8_t four[4];

	if (text.len && text.ptr[text.len - 1] == '.')
		text.len--;
	if (text.len == 0 || text.len > EX_HOST_MAX)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++)
		ret->host[i] = ex_lower(text.ptr[i]);
	ret->host[text.len] = '\0';
	ret->host_len = text.len;
	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && ret->host[i] != '.')
			continue;
		if (!label_is_valid(ret->host + start, i - start))
			return -EINVAL;
		if (i == text.len && ex_tls_label_is_number(ret->host + start, i - start))
			return inet_pton(AF_INET, ret->host, four) == 1 ? 0 : -EINVAL;
		start = i + 1;
	}
	return 0;
}

int ex_authority_parse(struct ex_span text, struct ex_authority *ret)
{
	struct ex_authority a = { 0 };
	struct ex_span host = text;
	bool bracketed = text.len && text.ptr[0] == '[';
	const char *end;
	int r;

	if (text.len == 0 || text.len > EX_AUTHORITY_MAX)
		return -EINVAL;
	end = memchr(text.ptr, bracketed ? ']' : ':', text.len);
	if (bracketed && !end)
		return -EINVAL;
	if (end) {
		struct ex_span rest = { end + bracketed, 0 };

		rest.len = text.len - (size_t)(rest.ptr - text.ptr);
		host.len = (size_t)(end - text.ptr);
		if (rest.len) {
			if (rest.ptr[0] != ':')
				return -EINVAL;
			r = port_parse((struct ex_span){ rest.ptr + 1, rest.len - 1 }, &a.port);
			if (r < 0)
				return r;
		}
	}
	if (bracketed)
		r = ip6_parse((struct ex_span){ host.ptr + 1, host.len - 1 }, &a);
	else
		r = name_parse(host, &a);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

static size_t put(char *out, size_t at, const char *text, size_t n)
{
	memcpy(out + at, text, n);
	return at + n;
}

size_t ex_authority_write(const struct ex_authority *a, char out[static EX_AUTHORITY_MAX + 1])
{
	size_t n = 0;

	if (a->is_ip6)
		n = put(out, n, "[", 1);
	n = put(out, n, a->host, a->host_len);
	if (a->is_ip6)
		n = put(out, n, "]", 1);
	if (a->port)
		n += (size_t)snprintf(out + n, EX_AUTHORITY_MAX + 1 - n, ":%u", (unsigned)a->port);
	out[n] = '\0';
	return n;
}
