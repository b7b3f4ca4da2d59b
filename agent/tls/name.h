/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as a host name in TLS: one test, shared by the hello parser, the CA and the sessions.
 */
#ifndef EXEAT_AGENT_TLS_NAME_H
#define EXEAT_AGENT_TLS_NAME_H

#include "exeat/util.h"

#define EX_SNI_MAX 253

/*
 * Writes the canonical (lower case) form of a DNS host name, NUL-terminated, and returns its
 * length, or -EINVAL. Letters, digits and hyphens only, labels of 1..63 bytes that neither begin
 * nor end with a hyphen, no trailing dot (RFC 6066 3), and nothing a resolver library might take
 * for an address: the last label is neither all digits nor 0x and hex ("127.1", "0x7f000001").
 */
ssize_t ex_tls_name_canonical(struct ex_span name, char out[static EX_SNI_MAX + 1]);

/* Is it a host name and already in canonical form? */
bool ex_tls_name_is_canonical(struct ex_span name);

/*
 * A name whose last label (in lower case) is all digits, or 0x and hex, is read as an IPv4 address
 * by inet_aton() and by browsers.
 */
bool ex_tls_label_is_number(const char *label, size_t len);

#endif
