/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As whom the proxy speaks with a server, where a rule says so: the certificate it shows (whose key
 * it has not, see sign.h), and the roots of its own that the server is verified against. Each has a
 * number that no other ever has in this process; 0 is none: no certificate, the usual roots.
 *
 * Connections of one number are never taken for those of another: what shares one goes by it.
 */
#ifndef EXEAT_AGENT_TLS_IDENTITY_H
#define EXEAT_AGENT_TLS_IDENTITY_H

#include "agent/tls/sign.h"

struct ex_tls;
struct ex_tls_session;

/* PEM; either may be empty. The number, the same for the same texts, or -EBADMSG, -ENOMEM, -ENOSPC.
 */
EX_MUST_CHECK int ex_tls_identity_add(struct ex_tls *tls, struct ex_span chain,
				      struct ex_span roots);

/* All others are none any more: nobody connects as one of them. */
void ex_tls_identities_keep(struct ex_tls *tls, const uint32_t *numbers, size_t n);

/* Is it (still) one? 0 always is. */
bool ex_tls_identity_holds(const struct ex_tls *tls, uint32_t number);

/*
 * What the handshake waits for: to be asked of the privileged side. NULL: nothing. The answer goes
 * in by the other one, whereupon the handshake can be gone on with; len 0: it was refused.
 */
const struct ex_sign_request *ex_tls_wants_signature(const struct ex_tls_session *s);
void ex_tls_give_signature(struct ex_tls_session *s, const uint8_t *sig, size_t len);

#endif
