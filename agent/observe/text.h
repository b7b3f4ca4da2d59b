/* SPDX-License-Identifier: Apache-2.0 */
/* An event as one line for people: aligned, escaped, coloured for a terminal. Pure. */
#ifndef EXEAT_AGENT_OBSERVE_TEXT_H
#define EXEAT_AGENT_OBSERVE_TEXT_H

#include "agent/core/json_read.h"

/*
 * flow: what the stream said, an event or lost events. Cut at cap - 1; always terminated, with its
 * newline.
 */
void ex_observe_text(const struct ex_jv *flow, bool colour, char *out, size_t cap);
/* Which end of it is the workload's: namespace/name, escaped. As snprintf() cuts, and ends. */
size_t ex_observe_pod(const struct ex_jv *flow, char *out, size_t cap);
bool ex_observe_is_ingress(const struct ex_jv *flow);

void ex_observe_text_header(char *out, size_t cap);

#endif
