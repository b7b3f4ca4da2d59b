/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/name.h"

#include <errno.h>

#define LABEL_MAX 63

/* By hand: <ctype.h> depends on the locale. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool label_valid(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = label[i];

		if (!is_digit(c) && c != '-' && !(c >= 'a' && c <= 'z'))
			return false;
	}
	return true;
}

/* A name whose last label is a number is read as an IPv4 address by inet_aton() and by browsers. */
static bool label_numeric(const char *label, size_t len)
{
	size_t i = 0;

	if (len >= 2 && label[0] == '0' && label[1] == 'x') {
		for (i = 2; i < len && is_hex(label[i]); i++)
			;
		return i == len;
	}
	while (i < len && is_digit(label[i]))
		i++;
	return i == len;
}

ssize_t ex_tls_name_canonical(struct ex_span name, char out[static EX_SNI_MAX + 1])
{
	size_t start = 0;

	if (name.len == 0 || name.len > EX_SNI_MAX)
		return -EINVAL;
	for (size_t i = 0; i < name.len; i++)
		out[i] = lower(name.ptr[i]);
	out[name.len] = '\0';
	for (size_t i = 0; i < name.len; i++) {
		if (out[i] != '.')
			continue;
		if (!label_valid(out + start, i - start))
			return -EINVAL;
		start = i + 1;
	}
	if (!label_valid(out + start, name.len - start) ||
	    label_numeric(out + start, name.len - start))
		return -EINVAL;
	return (ssize_t)name.len;
}

bool ex_tls_name_is_canonical(struct ex_span name)
{
	char out[EX_SNI_MAX + 1];

	return ex_tls_name_canonical(name, out) > 0 && memcmp(out, name.ptr, name.len) == 0;
}
