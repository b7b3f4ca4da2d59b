/* SPDX-License-Identifier: Apache-2.0 */
/* MAC addresses as text: "02:00:00:00:00:01". */
#ifndef EXEAT_AGENT_CORE_ETHER_H
#define EXEAT_AGENT_CORE_ETHER_H

#include "exeat/util.h"

#define EX_ETHER_TEXT 18
bool ex_ether_parse(const char *text, uint8_t ret[static 6]);
const char *ex_ether_text(const uint8_t mac[static 6], char buf[static EX_ETHER_TEXT]);

#endif
