/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * No ifb for a workload. What such a device sends on bears a bit by which the kernel does not run
 * the next ingress hook, so that what comes back from it is not redirected again; and a veth does
 * not take that bit off. A workload with CAP_NET_ADMIN could send every packet by one, and the
 * kernel gate would not be asked. So this is asked before rtnetlink is: no namespace but the one
 * that loads this is given such a device. (One that is made in another and moved is made there.)
 */
#include <linux/bpf.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define EPERM         1
#define MESSAGES_MAX  4096 /* in what is sent at once; nobody sends half as many */
#define ATTRIBUTE_MAX 16384

/* Of the kernel's types what is used here, as it is in the kernel that loads this. */
struct net {
	struct {
		__u32 inum;
	} ns;
} __attribute__((preserve_access_index));

struct sock {
	struct {
		struct {
			struct net *net;
		} skc_net;
	} __sk_common;
	__u16 sk_protocol;
} __attribute__((preserve_access_index));

struct sk_buff {
	__u32 len;
	unsigned char *data;
} __attribute__((preserve_access_index));

const volatile __u32 own_netns = 0; /* may have one */

struct look {
	const unsigned char *at; /* of the next message, or of the next attribute of one */
	__u32 left;
	bool refused;
};

/*
 * Wherever an attribute may begin, and whatever it is nested in: what is written twice, or in a
 * way that the kernel reads otherwise, is found too. 1: no more.
 */
static long look_at_attribute(__u32 i, void *arg)
{
	struct look *l = arg;
	struct {
		__u16 len, type;
		char text[4];
	} a;

	(void)i;
	if (l->left < sizeof(a) - 1 || bpf_probe_read_kernel(&a, sizeof(a), l->at))
		return 1;
	l->at += 4;
	l->left -= 4;
	l->refused = (a.type & NLA_TYPE_MASK) == IFLA_INFO_KIND && a.text[0] == 'i' &&
		     a.text[1] == 'f' && a.text[2] == 'b';
	return l->refused;
}

/* As netlink_rcv_skb() goes through them. */
static long look_at_message(__u32 i, void *arg)
{
	struct look *l = arg, inside;
	struct nlmsghdr h;
	__u32 step;

	(void)i;
	if (l->left >= sizeof(h) && bpf_probe_read_kernel(&h, sizeof(h), l->at))
		return 1; /* unread: refused */
	if (l->left < sizeof(h) || h.nlmsg_len < sizeof(h) || h.nlmsg_len > l->left) {
		l->left = 0;
		return 1;
	}
	if (h.nlmsg_type == RTM_NEWLINK) {
		inside = (struct look){ l->at, h.nlmsg_len, false };
		bpf_loop(ATTRIBUTE_MAX, look_at_attribute, &inside, 0);
		if (inside.refused || inside.left >= 8) {
			l->refused = true;
			return 1;
		}
	}
	step = NLMSG_ALIGN(h.nlmsg_len);
	if (step > l->left)
		step = l->left;
	l->at += step;
	l->left -= step;
	return 0;
}

SEC("fmod_ret/security_netlink_send")
int BPF_PROG(ex_links, struct sock *sk, struct sk_buff *skb, int ret)
{
	struct look l = { skb->data, skb->len, false };

	if (ret || sk->sk_protocol != NETLINK_ROUTE ||
	    sk->__sk_common.skc_net.net->ns.inum == own_netns)
		return ret;
	bpf_loop(MESSAGES_MAX, look_at_message, &l, 0);
	return l.refused || l.left ? -EPERM : 0;
}
