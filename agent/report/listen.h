/* SPDX-License-Identifier: Apache-2.0 */
/* Where metrics are served: "ADDR:PORT", "[IPV6]:PORT", or the path of a unix socket. */
#ifndef EXEAT_AGENT_REPORT_LISTEN_H
#define EXEAT_AGENT_REPORT_LISTEN_H

#include "exeat/util.h"

/* Whether it can be listened at is seen by ex_listen_open() only. */
bool ex_listen_is_place(const char *where);

/* Binds: the listening descriptor, or negative errno. While still privileged. */
EX_MUST_CHECK int ex_listen_open(const char *where);

#endif
