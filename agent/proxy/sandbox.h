/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_PROXY_SANDBOX_H
#define EXEAT_AGENT_PROXY_SANDBOX_H

#include "exeat/util.h"

/*
 * Gives up everything the proxy does not need, for good: becomes uid (and the same gid, no groups),
 * no capability, no new privileges, an empty root directory, a list of allowed system calls. Called
 * when all files and keys are loaded; afterwards nothing can be opened. The descriptors up to
 * last_fd stay what they are for good, and only those can be sent to with an address. 0 or negative
 * errno.
 */
EX_MUST_CHECK int ex_sandbox_enter(uid_t uid, int last_fd);

#endif
