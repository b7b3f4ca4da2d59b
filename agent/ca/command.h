/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_CA_COMMAND_H
#define EXEAT_AGENT_CA_COMMAND_H

/* `exeat ca`: the exit status. */
int ex_cmd_ca(int argc, char **argv);

#endif
