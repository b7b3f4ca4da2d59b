/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate authority of the node: ca.key and ca.pem in a directory of root's, made there at
 * the first start, or put there by whoever has one of his own. Workloads trust ca.pem; it stays the
 * same over restarts.
 */
#ifndef EXEAT_AGENT_CA_AUTHORITY_H
#define EXEAT_AGENT_CA_AUTHORITY_H

#include "agent/tls/ca.h"

/* 0 or negative errno, cause logged. */
EX_MUST_CHECK int ex_authority_open(const char *dir, struct ex_ca **ret);

#endif
