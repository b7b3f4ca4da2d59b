/* SPDX-License-Identifier: Apache-2.0 */
/* The host's own addresses, which are nobody's "world". */
#ifndef EXEAT_AGENT_CORE_HOST_IPS_H
#define EXEAT_AGENT_CORE_HOST_IPS_H

#include "exeat/util.h"

/*
 * All of them, however many: not knowing one could let "world" mean the host. Every link that comes
 * brings an address for its link alone; these only when link_local is set, as long as all such are
 * denied they need not be told apart. 0, the list is the caller's to free; or negative errno.
 */
EX_MUST_CHECK int ex_host_ips(bool link_local, struct ex_ip **ret, size_t *ret_n);

#endif
