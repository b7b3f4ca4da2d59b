/* SPDX-License-Identifier: Apache-2.0 */
/* Both gates of one endpoint: made, given another ruleset, taken away. */
#ifndef EXEAT_AGENT_NODE_GATES_H
#define EXEAT_AGENT_NODE_GATES_H

#include "agent/node/compile.h"

struct ex_ca;
struct ex_node;
struct ex_event;

/*
 * Puts c in force for the endpoint, and takes a reference. The first time the gateway namespace is
 * made and the programs are attached, last of all; later it is a swap, in which the kernel gate is
 * never without a ruleset. 0, or negative errno with the cause in err: then what was in force
 * stays, or, the first time, nothing passes.
 */
EX_MUST_CHECK int ex_gates_apply(struct ex_node *node, struct ex_node_endpoint *e,
				 struct ex_compiled *c, char err[static EX_NODE_ERR]);

/*
 * From move->from, which is in force, to move->to, by what differs alone. On error all of it has to
 * be put in force by ex_gates_apply().
 */
EX_MUST_CHECK int ex_gates_move(struct ex_node_endpoint *e, const struct ex_move *move);

/* Packs what the next program needs to go on with these gates, if there are any; see handover.h. */
struct ex_pack;
struct ex_unpack;
void ex_gates_hand_over(const struct ex_node_endpoint *e, struct ex_pack *p);
/* Ends gates that were handed over and nobody goes on with. */
void ex_gates_abandon(struct ex_unpack *u);

/*
 * Nothing passes, in neither direction, until something is put in force, and whoever tries is told.
 * What was gives its room in the kernel back. On error it is in force still.
 */
EX_MUST_CHECK int ex_gates_shut(struct ex_node *node, struct ex_node_endpoint *e);

/* Its programs are those of this process from now on: what is not in force here does not pass. */
EX_MUST_CHECK int ex_gates_guard(struct ex_node *node, const struct ex_node_endpoint *e);

/* Lets the endpoint go: proxy ended, gateway removed; forget: also everything in the kernel. */
void ex_gates_close(struct ex_node *node, struct ex_node_endpoint *e, bool forget);

/* Has the proxy followed the last ex_gates_apply()? */
bool ex_gates_settled(const struct ex_node_endpoint *e);

/* Another authority signs from now on; the former may be freed. */
void ex_gates_set_ca(struct ex_node_endpoint *e, struct ex_ca *ca);

/* node->config.dns are others. */
void ex_gates_tell_resolvers(struct ex_node_endpoint *e);

void ex_gates_take_event(struct ex_node *node, struct ex_node_endpoint *e,
			 const struct ex_event *ev);

/* Live names of it that had to make room so far. */
uint64_t ex_gates_names_evicted(const struct ex_node_endpoint *e);

/* Members of an answer about the endpoint: its proxy, rules. */
void ex_gates_write(const struct ex_node_endpoint *e, struct ex_json *j);

/* "counts": what the kernel gate judged by each rule since it is in force; no rules without any. */
void ex_gates_write_counts(struct ex_node *node, const struct ex_node_endpoint *e,
			   struct ex_json *j);

#endif
