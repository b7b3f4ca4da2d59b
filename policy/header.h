/* SPDX-License-Identifier: Apache-2.0 */
/* Request headers that never reach the server. */
#ifndef EXEAT_POLICY_HEADER_H
#define EXEAT_POLICY_HEADER_H

#include "exeat/util.h"

/* Does the proxy take this header out of requests? Spelled in any way a server may take for it. */
bool ex_header_is_removed(struct ex_span name);

#endif
