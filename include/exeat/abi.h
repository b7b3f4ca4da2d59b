/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel gate and user space share: map keys, map values and events. Fixed-width types,
 * explicit padding, no pointers. Every address is 16 bytes in network order; IPv4 is written
 * IPv4-mapped (::ffff:a.b.c.d), so one table and one lookup serve both families.
 *
 * How a packet is judged: destination -> class by longest prefix, in the policy's tree (tree.h);
 * (class, protocol, port) -> verdict by longest prefix. The compiler bakes precedence into the
 * tables: the class of a prefix carries every rule that covers the prefix, and the entry of a port
 * range carries the merged verdict of every rule that covers the range, so that one lookup in each
 * is the whole answer and "deny beats allow whatever the prefix" holds by construction. An address
 * learned from DNS has a second class in the name table; the two verdicts are merged: deny, then
 * allow, then steer.
 */
#ifndef EXEAT_ABI_H
#define EXEAT_ABI_H

#include <linux/types.h>
#include "reasons.h"

#define EX_ABI_VERSION 6

enum ex_verdict {
	EX_V_INVALID = 0, /* zeroed or missing: denied */
	EX_V_DENY = 1,
	EX_V_ALLOW = 2,
	EX_V_STEER = 3, /* the proxy decides */
};

/* Which listener a steered flow goes to. */
enum ex_kind {
	EX_KIND_NONE = 0,
	EX_KIND_TCP = 1, /* sniff: TLS, HTTP, or opaque */
	EX_KIND_DNS = 2, /* DNS over UDP or TCP */
	EX_KIND_UDP = 3, /* opaque datagrams, carried for an endpoint with EX_EP_CARRY */
};

/*
 * The proxy's sockets: one per kind, transport and family, of each worker. In the sockmap ex_socks
 * at (slot of the endpoint * EX_WORKERS_MAX + worker) * EX_SOCK_MAX + enum ex_sock.
 */
enum ex_sock {
	EX_SOCK_TCP4 = 0,
	EX_SOCK_TCP6 = 1,
	EX_SOCK_DNS_TCP4 = 2,
	EX_SOCK_DNS_TCP6 = 3,
	EX_SOCK_DNS_UDP4 = 4,
	EX_SOCK_DNS_UDP6 = 5,
	EX_SOCK_UDP4 = 6,
	EX_SOCK_UDP6 = 7,
	EX_SOCK_MAX = 8,
};

#define EX_WORKERS_MAX   8    /* proxy processes of one endpoint */
#define EX_ENDPOINTS_MAX 1024 /* slots */

struct ex_ip {
	__u8 b[16];
};

/* Endpoint flags. */
#define EX_EP_CARRY                                                                                \
	(1u << 0) /* allowed TCP and UDP go to the proxy too, which carries them (run) */
#define EX_EP_SILENT (1u << 1) /* drop silently instead of RST / ICMP admin-prohibited */
#define EX_EP_GATEWAY                                                                              \
	(1u << 2) /* the proxy's sockets are in a gateway namespace behind interface `gateway` */
#define EX_EP_BRIDGED (1u << 3) /* other hosts on the link: neighbours beside the next hop */
#define EX_EP_SHARED                                                                               \
	(1u << 4) /* the interface is the host's: the workload leaves by its egress hook */

#define EX_EP_MORE 4

/*
 * Map ex_endpoints (array). A version of an endpoint is an entry of its own: never written where a
 * packet may read it, and what a packet needs of it is read from the one that it found first. The
 * first cache lines have what every packet needs.
 */
struct ex_endpoint {
	__u32 policy;               /* current policy id; 0 = none: deny everything */
	__u32 flags;                /* EX_EP_* */
	__u32 generation;           /* changes whenever live flows have to be judged again */
	__u32 slot;                 /* of its tables in ex_flows and ex_socks; set by the gate */
	__u32 dests, ingress_dests; /* the trees of the two policies (tree.h); the same */
	__u32 ingress;  /* policy id of what may reach the workload; 0 = nothing. Set by the gate */
	__u32 workers;  /* set by the gate */
	__u64 until;    /* CLOCK_MONOTONIC nanoseconds; nothing passes from then on. The same */
	__u32 gateway;  /* EX_EP_GATEWAY: ifindex of the host end of the gateway's veth */
	__u8 mac[6];    /* the workload's MAC */
	__u8 gw_mac[6]; /* its next hop's: the host end of the veth, or the bridge */
	struct ex_ip ip4; /* the workload's own addresses; all zero = has none of this family */
	struct ex_ip ip6;
	struct ex_ip more[EX_EP_MORE]; /* further ones, of either family; all zero = none */
	struct ex_ip ll6; /* EX_EP_BRIDGED: its link-local one; if zero the gate makes it of mac */
	struct ex_ip gw4; /* its next hops: the only targets of ARP and ND unless EX_EP_BRIDGED */
	struct ex_ip gw6;
	__u8 gate_mac[6]; /* EX_EP_GATEWAY: of the interface in the gateway namespace */
	__u8 pad[50];
};

#define EX_ENTRIES (2 * EX_ENDPOINTS_MAX) /* of ex_endpoints; 0 is nobody's */

/*
 * Map ex_interfaces (array): which entry the interface at ifindex, the host end of a veth, has. Its
 * word is in the bucket ifindex % EX_IF_BUCKETS: the ifindex, and above it the number of the entry;
 * 0 is nobody's. User space writes a word in one store. A hash of the kernel's would not do: an
 * entry that is replaced there is used for another key at once, under a packet that reads it.
 */
#define EX_IF_BUCKETS 1024
#define EX_IF_WORDS   8 /* a cache line */

struct ex_if_bucket {
	__u64 words[EX_IF_WORDS];
};

/*
 * Map ex_gateways: key __u32 ifindex of the host end of a gateway's veth, value __u32 ifindex of
 * the endpoint that it serves, which must name it as its gateway.
 */

/* Map ex_sources (LPM trie; the value is not read): what the prefilter drops on an uplink. */
struct ex_source_key {
	__u32 prefixlen; /* 0..128; IPv4 /n is 96+n */
	struct ex_ip ip;
};

enum ex_prefilter_count { /* keys of the per-CPU map ex_prefiltered */
			  EX_PREFILTER_PASSED = 0,
			  EX_PREFILTER_DENIED = 1,
			  EX_PREFILTER_MALFORMED = 2,
			  EX_PREFILTER_COUNTS = 3,
};

/* Map ex_names (hash): addresses that a DNS answer gave this endpoint for an allowed name. */
struct ex_name_key {
	__u32 policy;
	struct ex_ip ip;
};

struct ex_name {
	__u32 klass;
	__u32 pad;
	__u64 expires; /* CLOCK_MONOTONIC nanoseconds; not valid from then on */
};

/*
 * Map ex_rules (LPM trie): prefixlen 32 = any protocol, 48 = any port of the protocol, 48+n = the
 * first n bits of the port. Class and proto are big-endian so that the trie sees their high bits
 * first. For ICMP and ICMPv6 "port" is type << 8 | code.
 */
struct ex_rule_key {
	__u32 prefixlen;
	__be32 klass;
	__be16 proto;
	__be16 port;
};

struct ex_rule {
	__u8 verdict; /* enum ex_verdict */
	__u8 kind;    /* enum ex_kind, for EX_V_STEER */
	__u16 reason; /* enum ex_reason: why EX_V_DENY; EX_V_ALLOW: what audit mode holds back */
	__u32 rule;   /* rule id for counters and events; 0 = none (the default verdict) */
};

/*
 * Map ex_flows: key slot, value a hash table of that endpoint's flows. One entry holds both
 * directions. Remote is the far end whoever opened the flow; ICMP echo: local_port is the
 * identifier, remote_port 0 when the workload asks and 1 when it is asked.
 */
struct ex_flow_key {
	struct ex_ip remote;
	__be16 local_port;
	__be16 remote_port;
	__u8 proto;
	__u8 part; /* enum ex_part */
	__u8 own;  /* which of its addresses: 0 = ip4 or ip6, n = more[n - 1] */
	__u8 pad;
};

enum ex_part {
	EX_PART_FLOW = 0,     /* a flow of the workload */
	EX_PART_OUT = 1,      /* a datagram in fragments, its id in place of the ports */
	EX_PART_IN = 2,       /* the same, to the workload */
	EX_PART_UPSTREAM = 3, /* a flow that the proxy opened with the workload's address */
	EX_PART_LINK = 4,     /* which MAC the workload has for remote; no ports */
	EX_PART_ANSWER = 5,   /* as EX_PART_IN, from the proxy in its gateway namespace */
};

enum ex_flow_phase {
	EX_FLOW_NONE = 0,     /* zeroed: not a flow */
	EX_FLOW_OPENING = 1,  /* TCP: SYN seen; others: no answer yet */
	EX_FLOW_ANSWERED = 2, /* TCP: SYN-ACK seen */
	EX_FLOW_LIVE = 3,     /* both sides heard */
	EX_FLOW_CLOSING = 4,  /* TCP: a FIN was seen */
	EX_FLOW_CLOSED = 5,   /* TCP: RST, or FIN from both sides; late segments only */
};

/*
 * Per-CPU arrays: ex_reasons (key: reason) and ex_rule_counts (key: a counter that the gate gives
 * to each rule of each ruleset; 0 = no rule, or none was left).
 */
struct ex_count {
	__u64 packets;
	__u64 bytes;
};

struct ex_flow_state {
	__u64 seen;                     /* CLOCK_MONOTONIC_COARSE nanoseconds of the last packet */
	struct ex_count sent, received; /* by the workload, or by the proxy in its name */
	__u32 generation;               /* of the endpoint when it was judged last */
	__u32 rule;
	__u8 phase;    /* enum ex_flow_phase */
	__u8 verdict;  /* EX_V_ALLOW or EX_V_STEER */
	__u8 kind;     /* enum ex_kind */
	__u8 flags;    /* EX_FLOW_* */
	__u32 counter; /* of the rule */
	__u8 worker;   /* EX_V_STEER: whose sockets it was given to */
	__u8 reason;   /* enum ex_reason; not ALLOWED: only audit mode lets it pass */
	__u8 mac[6];   /* EX_PART_LINK, EX_PART_UPSTREAM: of the next hop towards remote */
};

#define EX_FLOW_FIN_LOCAL  (1u << 0) /* the workload has sent its FIN */
#define EX_FLOW_FIN_REMOTE (1u << 1)
#define EX_FLOW_INBOUND    (1u << 2) /* opened by the far end: judged as ingress */

/* Nanoseconds without a packet after which a flow is not one any more. */
#define EX_SEC 1000000000ull
static inline __u64 ex_flow_timeout(__u8 proto, __u8 phase)
{
	if (phase == EX_FLOW_NONE)
		return 0;
	if (proto != 6 /* TCP */)
		return (phase == EX_FLOW_LIVE ? 180 : 30) * EX_SEC;
	switch (phase) {
	case EX_FLOW_OPENING:
	case EX_FLOW_ANSWERED:
		return 60 * EX_SEC;
	case EX_FLOW_LIVE:
		return 9000 * EX_SEC; /* longer than the usual keep-alive of two hours */
	case EX_FLOW_CLOSING:
		return 120 * EX_SEC;
	case EX_FLOW_CLOSED:
		return 10 * EX_SEC;
	}
	return 0;
}

/* The rest of a datagram in fragments follows at once, or not at all. */
static inline __u64 ex_flow_time(const struct ex_flow_key *key, __u8 phase)
{
	if (key->part == EX_PART_OUT || key->part == EX_PART_IN || key->part == EX_PART_ANSWER)
		return 2 * EX_SEC;
	return ex_flow_timeout(key->proto, phase);
}

/*
 * May the entry be taken out? It is given to another flow at once: no packet may still use it. None
 * stays in the programs for as long as this after its time was over.
 */
#define EX_FLOW_GRACE (2 * EX_SEC)
static inline int ex_flow_is_over(const struct ex_flow_key *key, const struct ex_flow_state *flow,
				  __u64 now)
{
	return (__s64)(now - flow->seen) > (__s64)(ex_flow_time(key, flow->phase) + EX_FLOW_GRACE);
}

/* Value of map ex_rules: the rule as the policy emits it, and where its packets are counted. */
struct ex_counted_rule {
	struct ex_rule rule;
	__u32 counter; /* key of ex_rule_counts */
	__u32 pad;
};

/*
 * Maps of user space, for the process that comes after it; of them the programs read `turn`, and
 * nothing else. ex_state (one entry): what was given out so far. ex_sets (hash, key policy id): the
 * class ids of a ruleset.
 */
struct ex_state {
	__u32 abi;         /* EX_ABI_VERSION; 0 = new */
	__u32 mark, check; /* the secrets of the programs */
	__u32 last_policy, last_class, last_generation;
	__u32 turn; /* counts before an entry of ex_names may be given to another name */
};

struct ex_set {
	__u32 base, classes; /* base + 1 .. base + classes */
};

/*
 * Map ex_bindings (hash): which names a DNS answer gave the endpoint for an address. A store for
 * user space that outlives it; the programs do not read it.
 */
struct ex_binding_key {
	__u32 ifindex;
	struct ex_ip ip;
	__u32 pad;
	__u64 hash; /* of the name */
};

#define EX_NAME_MAX 255

struct ex_binding {
	__u64 expires; /* CLOCK_MONOTONIC nanoseconds */
	__u8 len;
	char name[EX_NAME_MAX];
};

enum ex_event_type {
	EX_EV_NEW = 1,      /* first packet of an allowed or steered flow */
	EX_EV_DENY = 2,     /* a packet was denied */
	EX_EV_END = 3,      /* a flow ended or expired */
	EX_EV_AUDIT = 4,    /* a live flow was judged again: only audit mode lets it pass now */
	EX_EV_LEFT_OUT = 5, /* by user space: of verdicts that no other event tells of */
};

enum ex_direction {
	EX_DIR_NONE = 0,
	EX_DIR_EGRESS = 1,   /* of a flow: opened by the workload; of a denial: left it */
	EX_DIR_INGRESS = 2,  /* opened from outside; was on its way to the workload */
	EX_DIR_UPSTREAM = 3, /* opened by the proxy with the workload's address */
};

/*
 * Map ex_ports (array; key: ex_endpoint.slot): what an endpoint may do how often. Races lose a
 * token now and then, no more.
 */
struct ex_port_bucket {
	__u64 filled; /* time of the last refill */
	__u64 tokens; /* in nanoseconds of refill time */
};

struct ex_event_limit {
	struct ex_port_bucket bucket;
	__u64 suppressed; /* events not sent since the last one that was */
};

struct ex_port_state {
	struct ex_port_bucket refusals;
	struct ex_port_bucket sweeps;
	__u64 inward; /* flows that the far end opened, at most; counted anew by each sweep */
	/* of flows; of verdicts that are recorded: neither hides the other */
	struct ex_event_limit flow_events, verdict_events;
};

#define EX_EVENT_PERIOD 1000000ull /* ns a token: 1000 a second, of either */

/* Ring buffer ex_events. Rate-limited; counters never are. */
struct ex_event {
	__u64 time; /* CLOCK_MONOTONIC nanoseconds */
	__u32 ifindex;
	__u32 rule;
	struct ex_ip src;
	struct ex_ip dst;
	__be16 sport; /* ICMP: 0 */
	__be16 dport; /* ICMP: htons(type << 8 | code) */
	__u16 reason; /* enum ex_reason; of what is not denied: what enforcement would deny it by */
	__u8 proto;   /* IPPROTO_*; 0 when it could not be read */
	__u8 verdict; /* enum ex_verdict */
	__u8 type;    /* enum ex_event_type */
	__u8 direction; /* enum ex_direction */
	__u8 pad[2];
	__u32 suppressed; /* verdicts, or other events, left out since the last one of the kind */
	__u64 packets;    /* EX_EV_END: of the whole flow */
	__u64 bytes;
};

/*
 * Something to be recorded: a denial, or what enforcement would have denied. Steered flows are
 * judged, and recorded, by the proxy.
 */
static inline int ex_event_is_verdict(const struct ex_event *ev)
{
	if (ev->type == EX_EV_DENY)
		return 1;
	return (ev->type == EX_EV_NEW || ev->type == EX_EV_AUDIT) && ev->verdict == EX_V_ALLOW &&
	       ev->reason != EX_R_ALLOWED;
}

_Static_assert(sizeof(struct ex_endpoint) == 256, "ABI");
_Static_assert(sizeof(struct ex_if_bucket) == 64, "ABI");
_Static_assert(sizeof(struct ex_source_key) == 20, "ABI");
_Static_assert(sizeof(struct ex_name_key) == 20, "ABI");
_Static_assert(sizeof(struct ex_name) == 16, "ABI");
_Static_assert(sizeof(struct ex_rule_key) == 12, "ABI");
_Static_assert(sizeof(struct ex_rule) == 8, "ABI");
_Static_assert(sizeof(struct ex_flow_key) == 24, "ABI");
_Static_assert(sizeof(struct ex_flow_state) == 64, "ABI");
_Static_assert(sizeof(struct ex_binding_key) == 32, "ABI");
_Static_assert(sizeof(struct ex_binding) == 264, "ABI");
_Static_assert(sizeof(struct ex_port_state) == 88, "ABI");
_Static_assert(sizeof(struct ex_event) == 80, "ABI");

#endif
