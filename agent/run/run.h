/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_RUN_RUN_H
#define EXEAT_AGENT_RUN_RUN_H

/* `exeat run`: argv[0] is "run". Returns the exit status. */
int ex_cmd_run(int argc, char **argv);

#endif
