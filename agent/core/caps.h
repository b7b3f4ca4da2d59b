/* SPDX-License-Identifier: Apache-2.0 */
/* What a process of ours gives up for good: capabilities, and memory that becomes code. */
#ifndef EXEAT_AGENT_CORE_CAPS_H
#define EXEAT_AGENT_CORE_CAPS_H

#include <seccomp.h>
#include <sys/capability.h>

#include "exeat/util.h"

/* No capability but these n can be gained any more (needs CAP_SETPCAP). 0 or negative errno. */
EX_MUST_CHECK int ex_caps_bound(const cap_value_t *keep, int n);

/* None but these is held. The identity stays. */
EX_MUST_CHECK int ex_caps_keep(const cap_value_t *keep, int n);

/* Ids of exeat's own processes begin here: no command's user namespace has them. */
#define EX_OWN_IDS 0x7d000000u

/* A command started from here shares our terminal, and with it our process group. */
bool ex_caps_share_terminal(void);

/*
 * Root in such a command has our user id: it could stop us, or end us with what is not written down
 * yet. Signals go by the real and the saved id, which are nobody's then.
 */
EX_MUST_CHECK int ex_caps_be_nobodys(void);

/* In a filter that refuses what it does not allow: memory may be had and changed, never as code. */
EX_MUST_CHECK int ex_caps_allow_memory(scmp_filter_ctx ctx);

#endif
