/* SPDX-License-Identifier: Apache-2.0 */
/* Ports on which an endpoint answers flows that others open: "8080", "53/udp", "any", "none". */
#ifndef EXEAT_AGENT_NODE_SERVE_H
#define EXEAT_AGENT_NODE_SERVE_H

#include "exeat/util.h"

struct ex_serve {
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP; 0 = any port of any protocol */
	uint16_t port;
};

bool ex_serve_parse(const char *text, struct ex_serve *ret);

#define EX_SERVE_TEXT 16
const char *ex_serve_text(const struct ex_serve *s, char buf[static EX_SERVE_TEXT]);

#endif
