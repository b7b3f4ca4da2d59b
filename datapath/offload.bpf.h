/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A sender may leave the checksum of a packet to the device, and says where in the packet it goes:
 * two bytes that are written when the packet has passed the gate. Through a packet socket
 * (PACKET_VNET_HDR) a workload says so as it likes, and would have its ports and addresses written
 * anew, to what it likes; so would a far end on the same host. So nothing may be written over what
 * is judged.
 *
 * Nor may a packet be several: a device that gathers what it receives into a list (rx-gro-list)
 * leaves each packet its own headers, and the first one's, which are judged, can be changed then.
 */
#ifndef EXEAT_DATAPATH_OFFLOAD_H
#define EXEAT_DATAPATH_OFFLOAD_H

#include <bpf/bpf_core_read.h>

#include "pkt.bpf.h"

#define CHECKSUM_PARTIAL 3
#define GSO_FRAGLIST     (1 << 18)

/* Of the kernel's types what is used here, as it is in the kernel that loads this. */
struct sk_buff {
	__u8 ip_summed : 2;
	__u16 csum_start;
	__u16 csum_offset;
	__u16 mac_header;
	unsigned char *head;
	__u32 end;
} __attribute__((preserve_access_index));

struct skb_shared_info {
	__u32 gso_type;
} __attribute__((preserve_access_index));

enum special_kfunc_type {
	KF_bpf_cast_to_kern_ctx = 1,
};

extern void *bpf_cast_to_kern_ctx(void *skb) __ksym __weak;
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

/* Offset in the frame of what has not been looked at, from where on all is the sender's own. */
INLINE __u32 offload_free(const struct pkt *p)
{
	if (p->fragment == FRAGMENT_LATER)
		return p->l4;
	switch (p->proto) {
	case IPPROTO_TCP:
		return p->l4 + 14; /* the window; the checksum is at 16 */
	case IPPROTO_UDP:
		return p->l4 + 6; /* the checksum */
	case IPPROTO_SCTP:
		return p->l4 + 8; /* the same */
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case 0: /* ARP */
		return p->len;
	}
	return p->l4;
}

/* Where in the frame it is written to; false when nothing is. */
INLINE bool offload_place(struct __sk_buff *skb, __u32 *ret)
{
	const struct sk_buff *real;

	if (bpf_core_enum_value_exists(enum special_kfunc_type, KF_bpf_cast_to_kern_ctx)) {
		real = bpf_cast_to_kern_ctx(skb);
		*ret = real->csum_start + real->csum_offset - real->mac_header;
		return BPF_CORE_READ_BITFIELD(real, ip_summed) == CHECKSUM_PARTIAL;
	}
	/* before Linux 6.2, and dearer */
	real = (const void *)skb;
	*ret = BPF_CORE_READ(real, csum_start) + BPF_CORE_READ(real, csum_offset) -
	       BPF_CORE_READ(real, mac_header);
	return BPF_CORE_READ_BITFIELD_PROBED(real, ip_summed) == CHECKSUM_PARTIAL;
}

INLINE bool offload_harmless(struct __sk_buff *skb, const struct pkt *p)
{
	__u32 at;

	/* before the frame, as it were, is behind it */
	return !offload_place(skb, &at) || (at >= offload_free(p) && at <= p->len);
}

/* Is it a list of packets, of which only the first is to be seen here? */
INLINE bool offload_list(struct __sk_buff *skb)
{
	const struct skb_shared_info *info;
	const struct sk_buff *real;

	if (!skb->gso_size)
		return false;
	if (bpf_core_enum_value_exists(enum special_kfunc_type, KF_bpf_cast_to_kern_ctx)) {
		real = bpf_cast_to_kern_ctx(skb);
		info = bpf_rdonly_cast(real->head + real->end,
				       bpf_core_type_id_kernel(struct skb_shared_info));
		return info->gso_type & GSO_FRAGLIST;
	}
	real = (const void *)skb;
	info = (const void *)(BPF_CORE_READ(real, head) + BPF_CORE_READ(real, end));
	return BPF_CORE_READ(info, gso_type) & GSO_FRAGLIST;
}

#endif
