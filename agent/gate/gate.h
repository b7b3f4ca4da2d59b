/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel gate from user space: load, fill, attach, swap, count. This folder is the only user of
 * libbpf. Privileged side only. Order is the caller's duty and is checked: publish a policy before
 * attach.
 *
 * What a gateway namespace needs so that steered packets reach the proxy's sockets (GW is the host
 * end of the veth; tests/datapath/netns.c does exactly this):
 *
 *   sysctl net.ipv4.conf.{all,default}.rp_filter=0   before GW is made: sources look foreign
 *   sysctl net.ipv4.tcp_syncookies=0                 a cookie would hide the half-open connection
 *   sysctl net.ipv4.tcp_max_tw_buckets=0             no TIME_WAIT: the 4-tuple may come back
 *   ip link set lo up; ip link set GW up
 *   ip addr add 192.0.0.1/30 dev GW; ip -6 addr add fd7e:a7c3:1b5d::1/64 dev GW nodad
 *   ip [-6] route add local default dev lo table main
 *   ip [-6] neigh add WORKLOAD lladdr ITS_MAC dev GW nud permanent
 *
 * "table main" matters for IPv6: in the local table it would win over the route to the workload,
 * and answers would never leave. No other route, no other address, nothing listening but the
 * proxy's sockets.
 *
 * In the workload's namespace: its address, a permanent neighbour entry of the gateway, `nodad` on
 * the IPv6 address, default routes via the gateway. Neighbour discovery also works without the
 * permanent entries; duplicate address detection and multicast are denied.
 *
 * The sockets given to ex_gate_set_socket(): made in the gateway namespace with IP_TRANSPARENT (or
 * IPV6_TRANSPARENT and IPV6_V6ONLY), bound to the wildcard address and port 0, TCP ones listening,
 * UDP ones with IP_RECVORIGDSTADDR / IPV6_RECVORIGDSTADDR; without SO_REUSEPORT, which
 * bpf_sk_assign() refuses before Linux 6.6. getsockname() of an accepted socket is the original
 * destination. UDP answers leave through a transparent socket bound to the original destination.
 */
#ifndef EXEAT_AGENT_GATE_H
#define EXEAT_AGENT_GATE_H

#include "policy/emit.h"

struct ex_gate;

struct ex_gate_limits {
	uint32_t dests, rules, names, flows; /* map sizes; 0 = default */
	/*
	 * NULL: everything ends with the gate. Else a folder on a bpffs that is mounted, as
	 * "/sys/fs/bpf/exeat": the maps are pinned in <pin>/v<EX_ABI_VERSION>, and those of a
	 * former process are adopted with their endpoints, rulesets, flows and counters. -EPROTO
	 * with the cause logged when they do not fit (other limits): ex_gate_unpin_maps() makes
	 * room.
	 */
	const char *pin;
	bool may_differ; /* what is pinned: -EPROTO is not an error, and not logged as one */
};

/*
 * Opens and loads the programs and maps; nothing is attached. limits NULL: the defaults. 0 or
 * negative errno, cause logged.
 */
EX_MUST_CHECK int ex_gate_load(const struct ex_gate_limits *limits, struct ex_gate **ret);
void ex_gate_free(struct ex_gate *gate); /* what is pinned or attached goes on */

/*
 * Removes the pins of every ABI version. Attached programs go on with what they have until they are
 * detached or their interface goes.
 */
EX_MUST_CHECK int ex_gate_unpin_maps(const char *pin);
/* And what keeps workloads from devices that pass the gate by: nothing is left. */
EX_MUST_CHECK int ex_gate_unpin(const char *pin);

/*
 * Listening socket for a steered kind, of one of the endpoint's workers (0 .. EX_WORKERS_MAX-1;
 * `run` has worker 0 only). The endpoint need not be published yet. The kernel forgets the socket
 * when it is closed; new flows then go to the other workers. fd -1 takes it away.
 */
EX_MUST_CHECK int ex_gate_set_socket(struct ex_gate *gate, uint32_t ifindex, enum ex_sock which,
				     uint32_t worker, int fd);

/*
 * Puts a ruleset in force for the endpoint at ifindex: writes all entries under a fresh policy id,
 * then flips the endpoint to it, then removes the old ruleset's entries. On error the endpoint
 * keeps what it had. Of ep the caller fills in flags, addresses, MACs and `gateway`; the rest is
 * set here. Nothing can reach the workload but answers.
 */
EX_MUST_CHECK int ex_gate_publish(struct ex_gate *gate, uint32_t ifindex,
				  const struct ex_endpoint *ep, const struct ex_tables *tables);

/*
 * Addresses that are known by name already: without them, the live flows to these addresses would
 * end at the flip. classes (may be NULL) are the entries of every class that names made.
 */
struct ex_gate_name {
	struct ex_ip ip;
	uint32_t klass;
	uint64_t ttl_ms;
};
struct ex_gate_names {
	const struct ex_tables *classes;
	const struct ex_gate_name *v;
	size_t n;
};

/*
 * Both directions, flipped in one step. `ingress` is keyed by the far end's address (dests) and by
 * the workload's own port (rules; ICMP: the type and code of the request): what the compiler makes
 * of `ingress` rules with fromCIDR, fromEntities, fromEndpoints and toPorts. Verdicts: deny and
 * allow; a steer there is denied as `unsupported`. NULL: nothing may reach the workload but
 * answers. No default deny is an allow of a class "everything" below the explicit denies, which the
 * compiler makes. The same goes for egress and its default.
 */
struct ex_gate_ruleset {
	const struct ex_tables *egress;
	const struct ex_gate_names *names; /* NULL: none */
	const struct ex_tables *ingress;
};
EX_MUST_CHECK int ex_gate_publish_both(struct ex_gate *gate, uint32_t ifindex,
				       const struct ex_endpoint *ep,
				       const struct ex_gate_ruleset *ruleset);

/*
 * Takes some of the rulesets out that others have replaced: true, there are more. Who does not call
 * this waits for it now and then when publishing.
 */
bool ex_gate_tidy(struct ex_gate *gate);

/*
 * From now on the endpoint's policy, and any that is published after it, holds for ms and no
 * longer: then nothing passes, unless this was called again. 0: it holds for good, as it does when
 * this is never called. For what must not outlive this process.
 */
EX_MUST_CHECK int ex_gate_lease(struct ex_gate *gate, uint32_t ifindex, uint64_t ms);

/*
 * What ex_repeer() changed, in the rulesets that are in force: some map entries instead of all.
 * All addresses go from their old to their new class in one step, and live flows are judged again.
 * What names said about these addresses is forgotten. On error some have changed and some have not:
 * publish all of it. When there is no room for what is put, what is gone is gone all the same.
 * -ESTALE: the ruleset is one of a former process.
 */
EX_MUST_CHECK int ex_gate_update(struct ex_gate *gate, uint32_t ifindex,
				 const struct ex_delta *egress, const struct ex_delta *ingress);

/*
 * From now on nothing passes, live flows as well, until the next ruleset is published. This needs
 * no room in any table; the ruleset that was in force is taken out.
 */
EX_MUST_CHECK int ex_gate_deny(struct ex_gate *gate, uint32_t ifindex);

/*
 * The same for longer: the workload is told as of any other denial, and both ends of what is open
 * that it is over.
 */
EX_MUST_CHECK int ex_gate_refuse(struct ex_gate *gate, uint32_t ifindex);

/*
 * Entries of a class that names made (ex_name_class); before the first ex_gate_learn() of it. On
 * error none of them is there. -EDQUOT: the endpoint has so many that others would not find room
 * for theirs.
 */
EX_MUST_CHECK int ex_gate_add_class(struct ex_gate *gate, uint32_t ifindex,
				    const struct ex_tables *entries);
/* How many such entries it may have beside those that others have. Who publishes classes asks. */
size_t ex_gate_class_room(const struct ex_gate *gate, uint32_t ifindex);

/*
 * klass is relative to the published ruleset. Valid for ttl_ms from now, whatever was known before;
 * 0 (of either) removes.
 */
EX_MUST_CHECK int ex_gate_learn(struct ex_gate *gate, uint32_t ifindex, const struct ex_ip *ip,
				uint32_t klass, uint64_t ttl_ms);

/*
 * Attaches both directions on the host end (with EX_EP_SHARED: turned round, on an interface of the
 * host over which nothing but the workload speaks: a NIC or macvlan parent of its own), in the
 * network namespace the caller is in. Where programs of a former process are attached they are
 * replaced in one step, without a packet in between.
 */
EX_MUST_CHECK int ex_gate_attach(struct ex_gate *gate, uint32_t ifindex);

/*
 * The same without a ruleset: what is not in force in the maps of this gate does not pass. For who
 * may still have programs with the maps of a former process that were not adopted. Where it fails
 * since an ifb device would pass it by (ex_gate_strerror()), they are replaced nevertheless.
 */
EX_MUST_CHECK int ex_gate_guard(struct ex_gate *gate, uint32_t ifindex);
/* The same where programs of a gate are attached, whosever; elsewhere nothing. */
EX_MUST_CHECK int ex_gate_guard_again(struct ex_gate *gate, uint32_t ifindex);

/*
 * Joins an endpoint (EX_EP_GATEWAY, published) with its gateway namespace: a program on the host
 * end of the gateway's veth, in the namespace the caller is in, and one on the other end, in
 * `netns`, which must have the same ifindex as the endpoint (ifi_index at RTM_NEWLINK, with
 * GATE as the link and the host's end as its peer: the kernel heeds no ifi_index of a peer alone).
 * Before ex_gate_attach(). In the gateway namespace, GATE being that end (tests/datapath/bridge.c
 * does exactly this):
 *
 *   rp_filter, tcp_syncookies and tcp_max_tw_buckets as above; lo up
 *   ip link set GATE addrgenmode none arp off mtu MTU_OF_THE_ENDPOINT up
 *   ip [-6] rule add iif GATE lookup 100; ip [-6] route add local default dev lo table 100
 *   ip [-6] route add default dev GATE      arp is off: no neighbour is ever asked for
 *
 * and on the host: addrgenmode none, no address, the same MTU, up. The proxy's own connections are
 * made there too, IP_TRANSPARENT and bound to the workload's address.
 */
EX_MUST_CHECK int ex_gate_attach_gateway(struct ex_gate *gate, uint32_t ifindex, uint32_t gateway,
					 int netns);

/*
 * Where the kernel cannot be asked to keep workloads from ifb devices, a gate that is pinned has
 * what these send past its programs dropped by nftables, of its interfaces: that is their group. A
 * socket that becomes readable when somebody may have taken the tables away; negative: there is
 * none. Then ex_gate_stamp_again() puts them back, or is to be called again later.
 */
int ex_gate_stamp_fd(const struct ex_gate *gate);
EX_MUST_CHECK int ex_gate_stamp_again(struct ex_gate *gate);
const char *ex_gate_stamp_trouble(const struct ex_gate *gate); /* NULL: they are there */

/* What ex_gate_attach() and ex_gate_guard() returned, in words. */
const char *ex_gate_strerror(int r);

/*
 * Takes the programs off the host end, and what it sends passes unjudged from then on. Without a
 * gate, which may be NULL, their pins stay until ex_gate_unpin().
 */
EX_MUST_CHECK int ex_gate_detach(const struct ex_gate *gate, uint32_t ifindex);
/* The same, without a gate, where there is a program of one. */
EX_MUST_CHECK int ex_gate_detach_found(uint32_t ifindex);

/* The interface is no more, whether or not it had an endpoint. */
void ex_gate_gone(const struct ex_gate *gate, uint32_t ifindex);

/*
 * The endpoint and all that belongs to it: rulesets, flows, sockets, names, bindings, counters.
 * Programs stay attached, and deny everything.
 */
void ex_gate_forget(struct ex_gate *gate, uint32_t ifindex);

/* Endpoints that the maps hold: after a start, those of the former process. */
void ex_gate_each(const struct ex_gate *gate,
		  void (*fn)(void *arg, uint32_t ifindex, const struct ex_endpoint *ep), void *arg);

/* The far ends of the endpoint's live flows, ascending; the caller frees them. */
EX_MUST_CHECK int ex_gate_remotes(const struct ex_gate *gate, uint32_t ifindex, struct ex_ip **ret,
				  size_t *ret_n);

/* How many addresses, and names of addresses, of all endpoints together there is room for. */
uint32_t ex_gate_names_max(const struct ex_gate *gate);

/*
 * The names of addresses, in the kernel, so that they outlive the process (with limits.pin). The
 * gate does not act on them: it acts on ex_gate_learn().
 */
EX_MUST_CHECK int ex_gate_binding_put(struct ex_gate *gate, uint32_t ifindex,
				      const struct ex_ip *ip, struct ex_span name, uint64_t ttl_ms);
void ex_gate_binding_remove(struct ex_gate *gate, uint32_t ifindex, const struct ex_ip *ip,
			    struct ex_span name);
/* fn must not put or remove. Expired ones are removed instead of told. */
void ex_gate_bindings_each(struct ex_gate *gate, uint32_t ifindex,
			   void (*fn)(void *arg, const struct ex_ip *ip, struct ex_span name,
				      uint64_t ttl_ms),
			   void *arg);

struct ex_counter {
	uint64_t packets, bytes;
};

/* Sum over CPUs. */
EX_MUST_CHECK int ex_gate_count_reason(struct ex_gate *gate, enum ex_reason reason,
				       struct ex_counter *ret);
EX_MUST_CHECK int ex_gate_count_rule(struct ex_gate *gate, uint32_t ifindex, uint32_t rule,
				     struct ex_counter *ret);

/*
 * Events: wait for this fd to become readable, drain a little later (agent/core/lazy.h). It wakes
 * when there was none before, and now and then once a quarter of the room is taken. The event is
 * valid during the call only. 1: there may be more. Draining also tells of what was left out
 * (EX_EV_LEFT_OUT), and takes out expired flows and names now and then (EX_EV_END of flows that
 * ended in silence).
 */
int ex_gate_events_fd(const struct ex_gate *gate);
EX_MUST_CHECK int ex_gate_events_drain(struct ex_gate *gate,
				       void (*fn)(void *arg, const struct ex_event *ev), void *arg);

#endif
