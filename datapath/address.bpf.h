/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses that must not be on the wire, and the IPv4 addresses that IPv6 ones hide. */
#ifndef EXEAT_DATAPATH_ADDRESS_H
#define EXEAT_DATAPATH_ADDRESS_H

#include "pkt.bpf.h"

#define NAT64_PREFIX  0x0064ff9b /* 64:ff9b::/96, RFC 6052 */
#define SIXTO4_PREFIX 0x2002     /* 2002::/16, RFC 3056 */

/* Loopback, "this network", multicast, reserved and broadcast. Link-local is for policy to judge.
 */
INLINE bool martian4(__be32 four)
{
	__u8 top = bpf_ntohl(four) >> 24;

	return top == 0 || top == 127 || top >= 224;
}

/*
 * ::/64 holds the unspecified address, loopback, and what hides IPv4 and must not leave a host:
 * compatible, mapped and translated addresses. Multicast and link-local never cross the gateway.
 */
INLINE bool martian6(const union addr *a)
{
	if (a->q[0] == 0)
		return true;
	return a->b[0] == 0xff || (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
}

/* True, and the IPv4 address in *ret, when a translator or relay would turn `a` into IPv4. */
INLINE bool address_embedded4(const union addr *a, __be32 *ret)
{
	if (a->w[0] == bpf_htonl(NAT64_PREFIX) && a->w[1] == 0 && a->w[2] == 0) {
		*ret = a->w[3];
		return true;
	}
	if (bpf_ntohl(a->w[0]) >> 16 == SIXTO4_PREFIX) {
		*ret = bpf_htonl(bpf_ntohl(a->w[0]) << 16 | bpf_ntohl(a->w[1]) >> 16);
		return true;
	}
	return false;
}

/* Sets what is judged of the far end. False: an address that must not be on the wire. */
INLINE bool address_judge(struct pkt *p)
{
	const union addr *remote = pkt_remote(p);
	__be32 four;

	p->judged = *remote;
	p->embeds = false;
	if (!p->is6)
		return !martian4(remote->w[3]);
	if (martian6(remote))
		return false;
	if (!address_embedded4(remote, &four))
		return true;
	p->embeds = true;
	addr_set4(&p->judged, four);
	return !martian4(four);
}

/*
 * The number of the workload's own address (as in struct ex_flow_key) and one; 0 when it is none of
 * them. ::/64 is nobody's: it has the unspecified address, which stands for "none", and the
 * IPv4-mapped ones.
 */
INLINE __u8 address_own(const union addr *a, bool is6, const struct ex_endpoint *ep)
{
	int i;

	if (is6 && !a->q[0])
		return 0;
	if (addr_eq(a, is6 ? &ep->ip6 : &ep->ip4))
		return 1;
#pragma unroll
	for (i = 0; i < EX_EP_MORE; i++)
		if (addr_eq(a, &ep->more[i]))
			return 2 + i;
	return 0;
}

#endif
