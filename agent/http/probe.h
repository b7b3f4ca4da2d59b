/* SPDX-License-Identifier: Apache-2.0 */
/* For `exeat policy`: what the proxy would make of a request head. */
#ifndef EXEAT_AGENT_HTTP_PROBE_H
#define EXEAT_AGENT_HTTP_PROBE_H

#include "policy/explain.h"

/* By the reader that reads workloads' requests. For ex_probe_use_reader(). */
void ex_h1_probe(struct ex_span text, struct ex_probe_head *ret);

#endif
