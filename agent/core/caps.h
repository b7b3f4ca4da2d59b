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

/* In a filter that refuses what it does not allow: memory may be had and changed, never as code. */
EX_MUST_CHECK int ex_caps_allow_memory(scmp_filter_ctx ctx);

#endif
