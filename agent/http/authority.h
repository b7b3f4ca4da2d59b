/* SPDX-License-Identifier: Apache-2.0 */
/* The Host field (and later :authority): one reading, canonical. */
#ifndef EXEAT_AGENT_HTTP_AUTHORITY_H
#define EXEAT_AGENT_HTTP_AUTHORITY_H

#include "exeat/util.h"

#define EX_HOST_MAX      253
#define EX_AUTHORITY_MAX (EX_HOST_MAX + 2 + 6) /* brackets, ":65535" */

struct ex_authority {
	char host[EX_HOST_MAX + 1]; /* lower case, no trailing dot or brackets; NUL-terminated */
	size_t host_len;
	uint16_t port; /* 0 = none given */
	bool is_ip6;
};

/*
 * 0 or -EINVAL. Accepts a DNS name (letters, digits, hyphen, underscore; IDN as A-labels only), a
 * dotted IPv4 address in plain decimal, or a bracketed IPv6 address without zone, where one that is
 * IPv4-mapped is that IPv4 address; then an optional decimal port without leading zero.
 */
EX_MUST_CHECK int ex_authority_parse(struct ex_span text, struct ex_authority *ret);

/* host[:port] as it goes upstream; returns the length. */
size_t ex_authority_write(const struct ex_authority *a, char out[static EX_AUTHORITY_MAX + 1]);

#endif
