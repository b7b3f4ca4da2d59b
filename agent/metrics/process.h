/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_METRICS_PROCESS_H
#define EXEAT_AGENT_METRICS_PROCESS_H

struct ex_expo;

/* The usual process_* families, of this process. What cannot be read is left out. */
void ex_metrics_process(struct ex_expo *x);

#endif
