/* SPDX-License-Identifier: Apache-2.0 */
/* Address prefixes over the 16-byte mapped form; IPv4 /n is 96+n. */
#ifndef EXEAT_POLICY_PREFIX_H
#define EXEAT_POLICY_PREFIX_H

#include "exeat/util.h"

struct ex_prefix {
	struct ex_ip ip; /* host bits zero */
	uint8_t len;     /* 0..128 */
};

/* "ADDR/LEN"; host bits may be set and are cleared, *host_bits says so. NULL, or what is wrong. */
const char *ex_prefix_parse(const char *text, size_t len, struct ex_prefix *ret, bool *host_bits);

struct ex_prefix ex_prefix_make(const struct ex_ip *ip, uint8_t len);
bool ex_prefix_has(const struct ex_prefix *p, const struct ex_ip *ip);
bool ex_prefix_covers(const struct ex_prefix *outer, const struct ex_prefix *inner);
bool ex_prefix_is4(const struct ex_prefix *p);
int ex_prefix_cmp(const struct ex_prefix *a, const struct ex_prefix *b); /* outer before inner */

#define EX_PREFIX_TEXT (EX_IP_TEXT + 4)
const char *ex_prefix_text(const struct ex_prefix *p, char buf[static EX_PREFIX_TEXT]);

/*
 * IPv6 addresses that stand for an IPv4 one (compatible, translated, NAT64 well-known, 6to4) are
 * judged as the address they hide. True and *ret when ip is one.
 */
bool ex_ip_embedded(const struct ex_ip *ip, struct ex_ip *ret);

#endif
