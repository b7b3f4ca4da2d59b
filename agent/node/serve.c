/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stdio.h>

#include "agent/node/serve.h"

static bool parse_proto(const char *text, uint8_t *ret)
{
	if (*text == '\0' || strcmp(text, "/tcp") == 0)
		*ret = IPPROTO_TCP;
	else if (strcmp(text, "/udp") == 0)
		*ret = IPPROTO_UDP;
	else
		return false;
	return true;
}

bool ex_serve_parse(const char *text, struct ex_serve *ret)
{
	struct ex_serve s = { 0 };
	unsigned long port;
	char *end;

	if (strcmp(text, "any") == 0) {
		*ret = s;
		return true;
	}
	if (*text < '0' || *text > '9' || strlen(text) > 9)
		return false;
	port = strtoul(text, &end, 10);
	if (port < 1 || port > 65535 || !parse_proto(end, &s.proto))
		return false;
	s.port = (uint16_t)port;
	*ret = s;
	return true;
}

const char *ex_serve_text(const struct ex_serve *s, char buf[static EX_SERVE_TEXT])
{
	if (s->proto)
		snprintf(buf, EX_SERVE_TEXT, "%u/%s", s->port,
			 s->proto == IPPROTO_UDP ? "udp" : "tcp");
	else
		snprintf(buf, EX_SERVE_TEXT, "any");
	return buf;
}
