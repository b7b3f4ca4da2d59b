/* SPDX-License-Identifier: Apache-2.0 */
/* exeat doctor: what this machine can do, what will be missing, and the remedy. */
#ifndef EXEAT_AGENT_GATE_PROBE_H
#define EXEAT_AGENT_GATE_PROBE_H

/* argv[0] is "doctor". 0: everything that exeat needs is there; 1: something is not. */
int ex_cmd_doctor(int argc, char **argv);

#endif
