/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/name.h"

#include <errno.h>

#include "exeat/text.h"

#define LABEL_MAX 63

static bool label_valid(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!ex_is_alnum(label[i]) && label[i] != '-')
			return false;
	return true;
}

bool ex_tls_label_is_number(const char *label, size_t len)
{
	bool hex = len >= 2 && label[0] == '0' && label[1] == 'x';

	for (size_t i = hex ? 2 : 0; i < len; i++)
		if (!ex_is_digit(label[i]) && !(hex && label[i] >= 'a' && label[i] <= 'f'))
			return false;
	return true;
}

ssize_t ex_tls_name_canonical(struct ex_span name, char out[static EX_SNI_MAX + 1])
{
	size_t start = 0;

	if (name.len == 0 || name.len > EX_SNI_MAX)
		return -EINVAL;
	for (size_t i = 0; i < name.len; i++)
		out[i] = ex_lower(name.ptr[i]);
	out[name.len] = '\0';
	for (size_t i = 0; i < name.len; i++) {
		if (out[i] != '.')
			continue;
		if (!label_valid(out + start, i - start))
			return -EINVAL;
		start = i + 1;
	}
	if (!label_valid(out + start, name.len - start) ||
	    ex_tls_label_is_number(out + start, name.len - start))
		return -EINVAL;
	return (ssize_t)name.len;
}

bool ex_tls_name_is_canonical(struct ex_span name)
{
	char out[EX_SNI_MAX + 1];

	return ex_tls_name_canonical(name, out) > 0 && memcmp(out, name.ptr, name.len) == 0;
}
