/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/fields.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/http/chars.h"
#include "agent/http/http1.h"

bool ex_field_may_trail(struct ex_span name)
{
	static const char *const names[] = {
		"te",
		"trailer",
		"content-encoding",
		"content-type",
		"content-range",
		"content-location",
		"content-security-policy",
		"strict-transport-security",
		"set-cookie",
		"www-authenticate",
		"authorization",
		"cookie",
		"location",
		"cache-control",
		"expires",
		"age",
		"date",
		"vary",
		"retry-after",
		"pragma",
		"range",
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++)
		if (ex_field_is(name, names[i]))
			return false;
	return !(ex_field_kinds(name) & (EX_FIELD_HOP | EX_FIELD_FRAMING));
}

/* ---- of all fields ---- */

/* Only letters, digits and hyphens: two of these are one field to a server when they are to us. */
static bool has_one_reading(struct ex_span name)
{
	return ex_chars_run(name.ptr, name.len, EX_CHAR_NAME) == name.len;
}

static int compare_names(const void *a, const void *b)
{
	const struct ex_span *one = a, *other = b;

	return ex_field_compare(*one, *other);
}

/* In order, since to compare each with each takes 15 ms for as many as a head has room for. */
bool ex_fields_have_twins(const struct ex_header *fields, size_t n)
{
	struct ex_span names[EX_H1_HEADERS_MAX] EX_UNSET;
	bool odd = false;

	if (n > EX_ARRAY_SIZE(names))
		return true;
	for (size_t i = 0; i < n; i++) {
		names[i] = fields[i].name;
		odd |= !has_one_reading(names[i]);
	}
	if (!odd)
		return false;
	qsort(names, n, sizeof(names[0]), compare_names);
	for (size_t i = 1; i < n; i++)
		if (ex_field_same(names[i - 1], names[i]) &&
		    (!has_one_reading(names[i - 1]) || !has_one_reading(names[i])))
			return true;
	return false;
}

size_t ex_fields_find(const struct ex_header *fields, size_t n, const char *lower_case,
		      const struct ex_header **ret)
{
	size_t found = 0;

	*ret = NULL;
	for (size_t i = 0; i < n; i++) {
		if (!ex_field_is(fields[i].name, lower_case))
			continue;
		*ret = &fields[i];
		found++;
	}
	return found;
}

static bool has_scheme(struct ex_span value, const char *scheme)
{
	size_t len = strlen(scheme);

	return value.len >= len && ex_span_is((struct ex_span){ value.ptr, len }, scheme) &&
	       (value.len == len || value.ptr[len] == ' ' || value.ptr[len] == '\t');
}

bool ex_fields_bind_connection(const struct ex_header *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ex_field_is(fields[i].name, "authorization") &&
		    (has_scheme(fields[i].value, "ntlm") ||
		     has_scheme(fields[i].value, "negotiate")))
			return true;
	return false;
}

void ex_fields_lower(struct ex_header *fields, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++) {
		struct ex_span *name = &fields[i].name;

		for (size_t k = 0; k < name->len; k++)
			text[k] = ex_lower(name->ptr[k]);
		name->ptr = text;
		text += name->len;
	}
}

int ex_field_length(struct ex_span value, uint64_t *ret)
{
	uint64_t n = 0;

	if (value.len == 0 || value.len > 19 || (value.len > 1 && value.ptr[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < value.len; i++) {
		if (!ex_is_digit(value.ptr[i]))
			return -EINVAL;
		n = n * 10 + (uint64_t)(value.ptr[i] - '0'); /* 19 digits fit in 64 bits */
	}
	if (n > INT64_MAX)
		return -EINVAL;
	*ret = n;
	return 0;
}
