/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_AGENT_KEEPER_OWN_H
#define EXEAT_AGENT_KEEPER_OWN_H

#include "exeat/util.h"

/*
 * Would packets to ip stay on this host, whatever interface or route makes it so? As it is now, in
 * the network namespace of the process; what cannot be found out is the host's. So is an IPv6
 * address that hides an IPv4 one of the host's.
 */
bool ex_host_owns(const struct ex_ip *ip);

#endif
