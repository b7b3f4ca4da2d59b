/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA-256 and SHA-256 over pieces; random bytes. */
#ifndef EXEAT_AGENT_TLS_HMAC_H
#define EXEAT_AGENT_TLS_HMAC_H

#include "exeat/util.h"

#define EX_MAC_LEN 32

/* key.len == 0: plain SHA-256. 0 or -EIO (the library failed). */
EX_MUST_CHECK int ex_mac(struct ex_span key, const struct ex_span *pieces, size_t n,
			 uint8_t ret[static EX_MAC_LEN]);

/* Compares in constant time. */
bool ex_mac_eq(const uint8_t a[static EX_MAC_LEN], const uint8_t b[static EX_MAC_LEN]);

EX_MUST_CHECK int ex_random(uint8_t *ret, size_t len);

#endif
