/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a TLS ClientHello (RFC 8446 4.1.2, 5.1; RFC 6066 3) from the first bytes of a stream, over
 * any split into records, without consuming them. Strict: what two parsers could read differently
 * is refused.
 */
#ifndef EXEAT_AGENT_TLS_HELLO_H
#define EXEAT_AGENT_TLS_HELLO_H

#include "exeat/util.h"

#define EX_HELLO_MAX (64 * 1024) /* bytes of records we are ready to hold */
#define EX_SNI_MAX   253

enum ex_hello_status {
	EX_HELLO_MORE = 0, /* undecided: *need says how many bytes to have at least */
	EX_HELLO_DONE,
	EX_HELLO_BAD,  /* reason says why */
	EX_HELLO_NOT_TLS, /* the first byte(s) are not a TLS handshake record */
};

struct ex_hello {
	enum ex_reason reason; /* for BAD: TLS_MALFORMED, SNI_INVALID or ECH */
	size_t need;           /* for MORE: > len */
	bool has_sni;
	char sni[EX_SNI_MAX + 1]; /* canonical; a valid DNS host name that is not an IP literal */
	size_t sni_len;
	bool offers_h2, offers_http11; /* ALPN */
	bool has_alpn;
	bool early_data; /* offers 0-RTT */
};

enum ex_hello_status ex_hello_parse(const void *bytes, size_t len, struct ex_hello *ret);

/* A fatal alert record (RFC 8446 6) a client shows as an error at once: 7 bytes. */
enum { EX_ALERT_HANDSHAKE_FAILURE = 40, EX_ALERT_ACCESS_DENIED = 49, EX_ALERT_DECODE_ERROR = 50,
       EX_ALERT_UNRECOGNIZED_NAME = 112 };
void ex_hello_alert(uint8_t description, uint8_t ret[static 7]);

#endif
