/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_OBSERVE_COMMAND_H
#define EXEAT_AGENT_OBSERVE_COMMAND_H

#include "agent/control/client.h"

/* exeat observe, exeat top: the exit status. */
int ex_cmd_observe(int argc, char **argv);
int ex_cmd_top(int argc, char **argv);

/* Why nobody answers at the socket, or no more. */
void ex_observe_failed(const char *socket, int r, const struct ex_control_error *err);

#endif
