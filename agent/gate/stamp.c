/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ifb device sends on is not shown to the hook that the gate is at. Where the kernel cannot
 * be asked to keep workloads from such devices (links.c), the programs stamp what they let up the
 * host's stack, and what comes in by a gated interface without a stamp is dropped at the next place
 * there is, before anybody else sees it: nftables, in front of everything that is done with IP, ARP
 * or a bridge. The stamp is a priority that nobody uses; it is taken off there.
 *
 * Which interfaces are gated their group says, which goes when they go. So the tables are the same
 * always, and can be put back at once when somebody flushes them.
 */
#include <errno.h>

#include "agent/core/log.h"
#include "agent/core/rtnl.h"
#include "agent/gate/gate_internal.h"

int gate_stamp_probe(void)
{
	EX_AUTO_CLOSE int fd = gate_tables_open();

	return fd < 0 ? fd : gate_tables_put(fd);
}

static int look_for_it(struct ex_gate *gate)
{
	int r = gate->nftables < 0 ? gate->nftables : gate_tables_put(gate->nftables);

	gate->looked_for = r == 0;
	return r;
}

/* Where it fails no interface is taken. */
void gate_stamp_open(struct ex_gate *gate)
{
	int r;

	if (!gate->stamps)
		return;
	gate->nftables = gate_tables_open();
	r = look_for_it(gate);
	if (r)
		ex_error("no BPF trampolines, and no nftables tables " GATE_TABLE
			 ": %s: no endpoint is let in (see 'exeat doctor')",
			 strerror(-r));
	else
		ex_info("no BPF trampolines: what an ifb device sends past a gate is dropped by "
			"the nftables tables " GATE_TABLE);
}

int ex_gate_stamp_fd(const struct ex_gate *gate)
{
	return gate->nftables;
}

/* Each second while it fails, but told once. */
int ex_gate_stamp_again(struct ex_gate *gate)
{
	bool gone = gate->nftables >= 0 && gate_tables_gone(gate->nftables);
	bool before = gate->looked_for;
	int r = gone || !before ? look_for_it(gate) : 0;

	if (r && before)
		ex_error("the nftables tables " GATE_TABLE " are gone: an ifb device passes a gate "
			 "by: %s",
			 strerror(-r));
	else if (!r && (gone || !before))
		ex_warning("the nftables tables " GATE_TABLE " were taken: they are put back");
	return r;
}

const char *ex_gate_stamp_trouble(const struct ex_gate *gate)
{
	return gate->stamps && !gate->looked_for ? "the nftables tables " GATE_TABLE
						   " cannot be put: an ifb device passes a "
						   "gate by, and no endpoint is let in"
						 : NULL;
}

/* ---- interfaces ---- */

/* What its master hands to others has not passed the tables, but of a bridge and of a VRF. */
static int check_master(int rtnl, uint32_t master)
{
	struct ex_iface link;
	int r = master ? ex_rtnl_link_get(rtnl, master, NULL, &link) : 0;

	if (r || !master)
		return r;
	return strcmp(link.kind, "bridge") == 0 || strcmp(link.kind, "vrf") == 0 ? 0 : -EMLINK;
}

static int link_take(struct ex_gate *gate, int rtnl, const struct ex_iface *link)
{
	int r = gate->looked_for ? 0 : look_for_it(gate);

	if (r)
		return -EXDEV;
	if (link->group && link->group != GATE_STAMP_GROUP)
		return -EUSERS;
	r = check_master(rtnl, link->master);
	if (r || link->group)
		return r;
	return ex_rtnl_link_group(rtnl, link->ifindex, GATE_STAMP_GROUP);
}

static int link_leave(int rtnl, const struct ex_iface *link)
{
	return link->group == GATE_STAMP_GROUP ? ex_rtnl_link_group(rtnl, link->ifindex, 0) : 0;
}

static int link_find(uint32_t ifindex, struct ex_iface *ret, int *ret_rtnl)
{
	*ret_rtnl = ex_rtnl_open();
	return *ret_rtnl < 0 ? *ret_rtnl : ex_rtnl_link_get(*ret_rtnl, ifindex, NULL, ret);
}

int gate_stamp_take(struct ex_gate *gate, uint32_t ifindex)
{
	EX_AUTO_CLOSE int rtnl = -1;
	struct ex_iface link;
	int r = link_find(ifindex, &link, &rtnl);

	if (r)
		return r;
	return gate->stamps ? link_take(gate, rtnl, &link) : link_leave(rtnl, &link);
}

int gate_stamp_leave(uint32_t ifindex)
{
	EX_AUTO_CLOSE int rtnl = -1;
	struct ex_iface link;
	int r = link_find(ifindex, &link, &rtnl);

	return r ? r : link_leave(rtnl, &link);
}

const char *ex_gate_strerror(int r)
{
	switch (r) {
	case -EXDEV:
		return "neither BPF trampolines nor nftables: an ifb device would pass it by; "
		       "see exeat doctor";
	case -EUSERS:
		return "its interface is in a group of interfaces; take it out: "
		       "ip link set dev INTERFACE group default";
	case -EMLINK:
		return "its interface is a port of what is neither a bridge nor a VRF";
	}
	return strerror(-r);
}
