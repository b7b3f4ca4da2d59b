/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over UDP and TCP between the workload and the DNS gate. */
#ifndef EXEAT_AGENT_PROXY_DNS_IO_H
#define EXEAT_AGENT_PROXY_DNS_IO_H

#include "agent/dns/gate.h"
#include "agent/proxy/proxy.h"

/* Who asked, for the audit record. */
struct ex_dns_client {
	struct ex_ip src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

struct ex_dns_io;

/* sockets: the listening DNS sockets of the configuration. */
EX_MUST_CHECK int ex_dns_io_new(struct ex_proxy *px, const int sockets[static EX_SOCK_MAX],
				struct ex_dns_io **ret);

/* What the DNS gate calls; arg is the proxy. */
extern const struct ex_dns_gate_ops ex_dns_io_ops;

#endif
