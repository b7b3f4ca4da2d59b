/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a TLS ClientHello (RFC 8446 4.1.2, 5.1; RFC 6066 3) from the first bytes of a stream, over
 * any split into records, without consuming them. Strict: what two parsers could read differently
 * is refused.
 */
#ifndef EXEAT_AGENT_TLS_HELLO_H
#define EXEAT_AGENT_TLS_HELLO_H

#include "agent/tls/name.h"

#define EX_HELLO_MAX (64 * 1024) /* bytes of records we are ready to hold */

enum ex_hello_status {
	EX_HELLO_MORE = 0, /* undecided: need says how many bytes to have at least */
	EX_HELLO_DONE,
	EX_HELLO_BAD,     /* reason says why */
	EX_HELLO_NOT_TLS, /* the first byte(s) are not a TLS handshake record */
};

struct ex_hello {
	enum ex_reason reason; /* for BAD: TLS_MALFORMED or SNI_INVALID */
	size_t size;           /* for DONE: the bytes that are the hello; others may follow */
	size_t need; /* for MORE: len < need <= EX_HELLO_MAX; calling earlier is useless */
	bool has_sni;
	char sni[EX_SNI_MAX + 1]; /* canonical; a valid DNS host name that is not an IP literal */
	size_t sni_len;
	bool offers_h2, offers_http11; /* ALPN */
	bool has_alpn;
	bool early_data; /* offers 0-RTT */
	bool rsa_only;   /* can not verify a signature by ECDSA with P-256, as old clients */
	/*
	 * Carries an encrypted ClientHello (or its ESNI forerunner). The caller decides:
	 * - passed through, the true name may be the hidden one: refuse with EX_R_ECH. Browsers
	 * send a GREASE extension that nobody can tell from a real one (RFC 9849 6.2), so they are
	 *   refused too; that is the price of judging by name.
	 * - intercepted, it may proceed: we are the server, do not know the extension, answer for
	 *   the outer name, and the client sees that ECH was not accepted.
	 */
	bool ech;
};

/* Pure: gives the same answer for the same bytes, and for more bytes of the same stream. */
enum ex_hello_status ex_hello_parse(const void *bytes, size_t len, struct ex_hello *ret);

/*
 * A server may ask for a second ClientHello (HelloRetryRequest, RFC 8446 4.1.4), and some servers
 * then go by the name in the second. So whoever passes TLS through by name forwards hello.size
 * bytes, holds the rest back, and looks at the first bytes of the answer:
 *
 *	FINAL	the client says no more in clear: everything may pass both ways
 *	RETRY	hold on until ex_hello_parse_again() is DONE; then its size bytes may pass, and
 *		all behind them
 *	ODD	not an answer of TLS: it may pass to the client, but nothing more to the server
 */
enum ex_hello_answer {
	EX_ANSWER_MORE = 0, /* 71 bytes are always enough: some warnings, and up to the random */
	EX_ANSWER_FINAL,
	EX_ANSWER_RETRY,
	EX_ANSWER_ODD,
};
enum ex_hello_answer ex_hello_answer(const void *bytes, size_t len);

/*
 * The client's bytes behind its first hello, after RETRY. BAD with SNI_DENIED when the second hello
 * does not name the same server, or ECH when it newly hides one.
 */
enum ex_hello_status ex_hello_parse_again(const void *bytes, size_t len,
					  const struct ex_hello *first, struct ex_hello *ret);

/* A fatal alert record (RFC 8446 6) a client shows as an error at once: 7 bytes. */
enum {
	EX_ALERT_ACCESS_DENIED = 49,
	EX_ALERT_DECODE_ERROR = 50,
	EX_ALERT_UNRECOGNIZED_NAME = 112,
};
void ex_hello_alert(uint8_t description, uint8_t ret[static 7]);

#endif
