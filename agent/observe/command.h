/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_OBSERVE_COMMAND_H
#define EXEAT_AGENT_OBSERVE_COMMAND_H

/* exeat observe, exeat top: the exit status. */
int ex_cmd_observe(int argc, char **argv);
int ex_cmd_top(int argc, char **argv);

#endif
