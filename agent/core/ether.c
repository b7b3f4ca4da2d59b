/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/ether.h"

#include <stdio.h>

#define HEX "0123456789abcdefABCDEF"

bool ex_ether_parse(const char *text, uint8_t ret[static 6])
{
	if (strlen(text) != EX_ETHER_TEXT - 1)
		return false;
	for (size_t i = 0; i < 6; i++) {
		if (!strchr(HEX, text[i * 3]) || !strchr(HEX, text[i * 3 + 1]) ||
		    text[i * 3 + 2] != (i < 5 ? ':' : '\0'))
			return false;
		ret[i] = (uint8_t)strtoul(text + i * 3, NULL, 16);
	}
	return true;
}

const char *ex_ether_text(const uint8_t mac[static 6], char buf[static EX_ETHER_TEXT])
{
	snprintf(buf, EX_ETHER_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return buf;
}
