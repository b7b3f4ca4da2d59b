/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other path of a COPY or MOVE (RFC 4918 10.3): the server acts on it as well, so it is judged
 * as well.
 */
#ifndef EXEAT_AGENT_HTTP_DESTINATION_H
#define EXEAT_AGENT_HTTP_DESTINATION_H

#include "agent/http/http1.h"

/*
 * Sets head->destination where method and fields tell of one; host and fields are read before.
 * NULL, or what is wrong: it is there more than once, names another host, or is not in the normal
 * form that is judged, since it is sent on as it is.
 */
const char *ex_destination_read(struct ex_h1_head *head);

#endif
