/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which protocol the first bytes of a stream speak. Pure. Errs to the side that is read: what some
 * server might take for HTTP or TLS is not "other", because other bytes may be carried unread.
 */
#ifndef EXEAT_AGENT_PROXY_RECOGNISE_H
#define EXEAT_AGENT_PROXY_RECOGNISE_H

#include "exeat/util.h"

enum ex_recognised {
	EX_IS_UNDECIDED = 0, /* more bytes are needed */
	EX_IS_TLS,           /* a handshake record: ex_hello_parse() goes on */
	EX_IS_BAD_TLS,       /* TLS or SSL that does not begin with a ClientHello we read */
	EX_IS_HTTP,
	EX_IS_OTHER,
	EX_IS_NOTHING, /* neither, and not to be carried: a first line without end */
};

/* The same answer for more bytes of the same stream, once it is not EX_IS_UNDECIDED. */
enum ex_recognised ex_recognise(const void *bytes, size_t len);

#endif
