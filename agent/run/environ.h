/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of the command: who it is, and where programs look for the trust store. */
#ifndef EXEAT_AGENT_RUN_ENVIRON_H
#define EXEAT_AGENT_RUN_ENVIRON_H

#include "agent/run/confine.h"

/* Changes the caller's own environment. 0 or -ENOMEM. */
EX_MUST_CHECK int ex_environ_prepare(const struct ex_identity *id);

#endif
