/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to the reporting process, whose libraries read what others send: sockets, memory,
 * threads, and a root directory with nothing but copies of what the names of hosts are looked up
 * by.
 */
#ifndef EXEAT_AGENT_REPORT_SANDBOX_H
#define EXEAT_AGENT_REPORT_SANDBOX_H

#include "exeat/util.h"

/*
 * Becomes uid, with no capability, no new privileges and the root directory above, for good; uid 0
 * keeps identity and root (tests, and whoever is not root). Libraries are loaded before. 0 or
 * negative errno.
 */
EX_MUST_CHECK int ex_report_become(uid_t uid);

/*
 * The system calls that are left, for every thread there is or will be. Memory becomes no code, and
 * no file is written. 0 or negative errno.
 */
EX_MUST_CHECK int ex_report_filter(void);

#endif
