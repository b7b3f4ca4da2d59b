/* SPDX-License-Identifier: Apache-2.0 */
/* exeat doctor --node: what the node agent needs beside what exeat needs of every machine. */
#ifndef EXEAT_AGENT_NODE_DOCTOR_H
#define EXEAT_AGENT_NODE_DOCTOR_H

/*
 * argc and argv: of `exeat agent`, whose configuration is looked at; argv[0] is any name. 0: the
 * agent can run here; 1: it cannot; 2: the configuration is not valid, and what is wrong was said.
 */
int ex_node_doctor(int argc, char **argv);

#endif
