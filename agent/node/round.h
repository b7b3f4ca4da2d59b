/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round brings what is in force in line with what is wanted: it reads the policy files when they
 * may have changed, compiles aside for every endpoint, and only when all of it is sound puts it in
 * force: first for the endpoints there were, so that they know of a new one before it can be
 * reached, then for the new ones. Calls that wait for it are answered at its end; those about
 * policies when the proxies have followed as well.
 */
#ifndef EXEAT_AGENT_NODE_ROUND_H
#define EXEAT_AGENT_NODE_ROUND_H

#include "agent/node/node.h"

void ex_round_init(struct ex_node *node);
void ex_round_done(struct ex_node *node);

/* Wants a round, soon; files: the policy files may have changed. */
void ex_round_want(struct ex_node *node, bool files);

/* The same, and a call that is answered by fn at its end. p is taken. */
void ex_round_want_for(struct ex_node *node, struct ex_node_pending *p, bool files);

/* A proxy has followed, or will not: answers what waits for that, when it was the last one. */
void ex_round_settle(struct ex_node *node);
/* Have all proxies followed, and does nobody wait for a round? */
bool ex_round_is_over(const struct ex_node *node);

/* At the start: reads the files and puts everything in force. 0 or negative errno. */
EX_MUST_CHECK int ex_round_first(struct ex_node *node);

/*
 * Takes an endpoint away at once, gates and state, and frees it. Its interface, as long as it is
 * there, stays shut; open: it is let go, and everything of it passes.
 */
void ex_round_drop(struct ex_node *node, struct ex_node_endpoint *e, bool open, const char *why);

#endif
