/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_AUDIT_COMMAND_H
#define EXEAT_AGENT_AUDIT_COMMAND_H

/* exeat audit verify|key: the exit status. */
int ex_cmd_audit(int argc, char **argv);

#endif
