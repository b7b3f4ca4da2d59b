/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows and requests, live: what both gates judged, as a stream of JSON objects with Hubble's field
 * names (docs/observe.md). The last ones are kept in one ring that all clients of the op "observe"
 * read at their own pace; a client that falls behind further than the ring reaches loses the
 * oldest, and is told how many. Writing costs a copy; nothing is formatted unless somebody reads.
 */
#ifndef EXEAT_AGENT_OBSERVE_OBSERVE_H
#define EXEAT_AGENT_OBSERVE_OBSERVE_H

#include <sys/types.h>

#include "agent/audit/audit.h"
#include "agent/core/loop.h"
#include "policy/compile.h"

struct ex_control;
struct ex_observe;
struct ex_observe_who;

/* Who an event is about; refcounted, since events outlive endpoints. Everything is copied. */
struct ex_observe_endpoint {
	const char *name; /* of the pod, container or command */
	const char *ns;   /* "" = none */
	const struct ex_label *labels;
	size_t n_labels;
	uint32_t id; /* of the endpoint on this node; 0 = none */
};
EX_MUST_CHECK int ex_observe_who_new(const struct ex_observe_endpoint *ep,
				     struct ex_observe_who **ret);
void ex_observe_who_unref(struct ex_observe_who *who); /* accepts NULL */

/* node: name of this machine. keep: events in the ring (some 300 bytes each, 3 KiB at most). */
EX_MUST_CHECK int ex_observe_new(struct ex_loop *loop, const char *node, size_t keep,
				 struct ex_observe **ret);
/* After the control socket that serves it. */
void ex_observe_free(struct ex_observe *o);

/* Adds the op "observe" to a control socket. */
EX_MUST_CHECK int ex_observe_serve(struct ex_observe *o, struct ex_control *control);

/* A record, as it goes to the log; its rule is one of rs. */
void ex_observe_record(struct ex_observe *o, struct ex_observe_who *who,
		       const struct ex_ruleset *rs, const struct ex_audit_record *rec);

/* The newest event as JSON: its length, or -ENOSPC; -ENOENT when there is none. */
ssize_t ex_observe_last(struct ex_observe *o, char *out, size_t cap);

/* An event of the kernel gate. Denials come as records, and are left out here. */
void ex_observe_event(struct ex_observe *o, struct ex_observe_who *who, const struct ex_ruleset *rs,
		      const struct ex_event *ev);

#endif
