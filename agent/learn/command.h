/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_LEARN_COMMAND_H
#define EXEAT_AGENT_LEARN_COMMAND_H

/* exeat learn: the exit status. */
int ex_cmd_learn(int argc, char **argv);

#endif
