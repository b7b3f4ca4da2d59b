/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One endpoint of the node: who it is, where it is, and what is in force for it. What has to
 * outlive the agent is written to a file of its own (registry.h); the rest is made anew.
 */
#ifndef EXEAT_AGENT_NODE_ENDPOINT_H
#define EXEAT_AGENT_NODE_ENDPOINT_H

#include "agent/core/json.h"
#include "agent/core/json_read.h"
#include "agent/node/serve.h"
#include "policy/arena.h"
#include "policy/compile.h"

#define EX_NODE_ERR        208 /* room for a mistake in words; EX_JV_ERROR_MAX */
#define EX_NODE_LABELS_MAX 128
#define EX_NODE_SERVES_MAX 32
#define EX_NODE_DNS_MAX    8
#define EX_NODE_PEER_MAX   16000 /* what others are compiled with of one endpoint */

enum ex_node_state {
	EX_NODE_CLOSED = 0, /* nothing passes: the gate has no ruleset for it */
	EX_NODE_ENFORCING,
	EX_NODE_DEGRADED, /* the kernel gate stands, a part does not: see why */
};

/* Where its packets pass, and what they have to look like. */
struct ex_node_link {
	uint32_t ifindex;    /* of the host end */
	uint8_t host_mac[6]; /* of the host end: it is still the same link */
	uint8_t mac[6];      /* the workload's */
	uint8_t gw_mac[6];   /* its next hop, as far as it is known */
	uint32_t mtu;
	struct ex_ip ip4, ip6;         /* the workload's; all zero = has none */
	struct ex_ip more[EX_EP_MORE]; /* further ones, of either family */
	struct ex_ip ll6;              /* its link-local one */
	struct ex_ip gw4, gw6;         /* next hops, when they are known */
	bool bridged; /* the host end is a port of a bridge: neighbours are on the link */
};

struct ex_node_endpoint {
	struct ex_node_endpoint *next;
	uint32_t id; /* never given again while the node is up */
	const char *name, *ns;
	const char *container; /* of the runtime; "" = none */
	const char *interface; /* in its namespace; "" when given by the host's interface */
	const char *netns;     /* path; "" = not known */
	struct ex_label *labels;
	size_t n_labels; /* with those of its namespace, see ex_node_endpoint_relabel() */
	struct ex_node_link link;
	struct ex_serve serve[EX_NODE_SERVES_MAX];
	size_t n_serve;
	/* Nameservers in whose place the DNS gate answers it. Where they are the node's, they are
	 * all that the node has had: it may have read its resolv.conf long ago. */
	struct ex_ip dns[EX_NODE_DNS_MAX];
	size_t n_dns;
	bool own_dns;  /* they were told with it, and stay */
	bool confined; /* a policy selected it once: it is never open again */
	/* not written down */
	enum ex_node_state state;
	char why[EX_NODE_ERR];     /* what is amiss, "" otherwise */
	char warning[EX_NODE_ERR]; /* what its policies allow and there may be no room for */
	uint64_t revision;         /* of the policies in force */
	struct ex_arena identity, label_arena;
	struct node_gates *gates;       /* gates.h */
	struct node_records *records;   /* records.h; NULL = nothing was judged */
	struct node_in_force *in_force; /* round.c; NULL = nothing, or it has to be tried again */
	bool learning;                  /* learn.h: another policy than its own is wanted */
	bool leased;                    /* learn.h: it is in force, for a little while */
	uint64_t behind;                /* since when what should be in force is not; 0 = it is */
	bool unsaved;                   /* its state file is still to be written */
	bool recovered; /* from a state file: it stays, also when it cannot be gated */
};

/* Says in err what is amiss, and returns r. */
EX_PRINTF(3, 4) int ex_node_fail(char err[static EX_NODE_ERR], int r, const char *fmt, ...);

struct ex_node_endpoint *ex_node_endpoint_new(void);
void ex_node_endpoint_free(struct ex_node_endpoint *e); /* not its gates, nor records */

/* A copy of text that lives as long as e goes to *ret, a member of it. 0 or -ENOMEM. */
EX_MUST_CHECK int ex_node_endpoint_keep(struct ex_node_endpoint *e, const char *text,
					const char **ret);

/*
 * Who it is, out of a request or a state file: name, namespace, labels, container_id, serve, dns.
 * 0, or -EINVAL with the mistake in err. labels are as the caller gave them.
 */
EX_MUST_CHECK int ex_node_endpoint_read(struct ex_node_endpoint *e, const struct ex_jv *from,
					char err[static EX_NODE_ERR]);

/*
 * Labels from a JSON object of strings. A key that only the cluster may set (its namespace, what
 * Cilium derives from it) is left out, and the true ones are put in its place; a key with a source
 * ("reserved:host") is an error: nobody becomes another by the name it gives itself.
 */
EX_MUST_CHECK int ex_node_endpoint_relabel(struct ex_node_endpoint *e, const struct ex_jv *labels,
					   char err[static EX_NODE_ERR]);

/* Its members of an object: the state file has all of them, an answer adds what is in force. */
void ex_node_endpoint_write(const struct ex_node_endpoint *e, struct ex_json *j);
EX_MUST_CHECK int ex_node_endpoint_recover(struct ex_node_endpoint *e, const struct ex_jv *from,
					   char err[static EX_NODE_ERR]);

/* The item of it in the list of endpoints that policies are compiled with (toEndpoints). */
void ex_node_endpoint_write_peer(const struct ex_node_endpoint *e, struct ex_json *j);
/* Is that within EX_NODE_PEER_MAX, whatever addresses it gets? */
bool ex_node_endpoint_has_room(const struct ex_node_endpoint *e);

const char *ex_node_state_word(enum ex_node_state state);

static inline bool ex_ip_is_none(const struct ex_ip *ip)
{
	static const struct ex_ip none;

	return ex_ip_eq(ip, &none);
}

#endif
