/* SPDX-License-Identifier: Apache-2.0 */
/* Which roots the proxy verifies servers against, and which the command trusts. */
#ifndef EXEAT_AGENT_CA_TRUST_H
#define EXEAT_AGENT_CA_TRUST_H

#include "exeat/util.h"

/*
 * The system's roots and those of extra_file (NULL = none), PEM, malloc'd; cause of failure logged.
 */
EX_MUST_CHECK int ex_trust_roots(const char *extra_file, char **ret, size_t *ret_len);

/* Roots (PEM) as proxies have them (tls/roots.h): fd or negative errno, its cause logged. */
EX_MUST_CHECK int ex_trust_share(struct ex_span roots);

/* roots and ca as one bundle, malloc'd. */
EX_MUST_CHECK int ex_trust_bundle(struct ex_span roots, struct ex_span ca, char **ret,
				  size_t *ret_len);

#endif
