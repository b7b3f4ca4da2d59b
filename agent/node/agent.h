/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_NODE_AGENT_H
#define EXEAT_AGENT_NODE_AGENT_H

/* `exeat agent`: argv[0] is "agent". Returns the exit status. */
int ex_cmd_agent(int argc, char **argv);

#endif
