/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that speak with the agent; argv[0] is the command's name. Exit status: 0 done, 1 the
 * agent said no, 2 wrong usage, 3 no agent answers. */
#ifndef EXEAT_AGENT_NODE_COMMAND_H
#define EXEAT_AGENT_NODE_COMMAND_H

#include "agent/control/client.h"

int ex_cmd_endpoint(int argc, char **argv);
int ex_cmd_status(int argc, char **argv);
int ex_cmd_policy_apply(int argc, char **argv); /* `exeat policy apply`; argv[0] is "apply" */

enum { EX_COMMAND_OK, EX_COMMAND_NO, EX_COMMAND_USAGE, EX_COMMAND_NOBODY };

/* Asks and says what went wrong. EX_COMMAND_OK: *ret is the answer, for ex_jv_free(). */
int ex_command_ask(const char *socket, const struct ex_json *request, struct ex_jv **ret);

#endif
