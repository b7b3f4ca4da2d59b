/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node agent's state: one of it, one thread, one loop. What each file does with it is in its
 * own header; nothing outside of agent/node includes this one.
 */
#ifndef EXEAT_AGENT_NODE_NODE_H
#define EXEAT_AGENT_NODE_NODE_H

#include "agent/audit/file.h"
#include "agent/control/control.h"
#include "agent/core/dir_watch.h"
#include "agent/core/lazy.h"
#include "agent/dns/names.h"
#include "agent/gate/gate.h"
#include "agent/node/compile.h"
#include "agent/observe/observe.h"
#include "agent/tls/ca.h"

#define EX_NODE_ERROR_TEXT 1024

struct ex_node;

struct ex_node_work { /* of all rounds so far */
	uint64_t rounds;
	uint64_t compiled;  /* rulesets */
	uint64_t led;       /* rulesets led over to other peers instead */
	uint64_t published; /* rulesets written into the kernel gate, for an endpoint each */
	uint64_t moved;     /* endpoints for which only peers were */
};

struct ex_node_pending { /* a call that waits for the end of a round */
	struct ex_node_pending *next;
	struct ex_call *call;
	void (*fn)(struct ex_node *node, struct ex_node_pending *p); /* answers the call */
	uint32_t endpoint;                                           /* id; 0 = none */
	bool settled; /* only when the proxies have followed */
	int err;
	char why[EX_NODE_ERR];
};

struct ex_node {
	struct ex_node_config config;
	char **argv; /* to start anew with */
	struct ex_loop *loop;
	struct ex_gate *gate;
	struct ex_names_pool *names; /* room in it, shared by the endpoints */
	struct ex_control *control;
	gid_t socket_group; /* of those who may use it, besides root; 0 = nobody */
	struct ex_registry registry;
	struct ex_ca *ca;
	int roots;                   /* for proxies: tls/roots.h */
	struct ex_audit_file *audit; /* NULL = none is kept */
	struct ex_metrics *metrics;
	struct ex_node_learner *learners;
	struct ex_timer learn_tick;
	struct ex_report *report; /* NULL: nobody is told */
	struct ex_observe *observe;
	int lock;     /* of the state directory: one agent at a time */
	int own_net;  /* this network namespace */
	int links_fd; /* tells of links that go */
	int signals_fd;
	struct ex_watch links, signals;
	struct ex_watch tables; /* guard.h */
	struct ex_timer tables_again;
	struct ex_lazy events;
	/* policies.c */
	struct ex_policy_files *files; /* the last valid ones: in force */
	struct ex_dir_watch *watch;
	const char *watched[EX_NODE_DIRS_MAX + 1]; /* with the file that tells resolvers */
	bool kept;                                 /* they are of an agent before: see kept.h */
	bool not_kept;                             /* and could not be written for the next */
	bool kept_told;                            /* why it cannot be used */
	uint64_t revision, rejected;               /* how many sets were taken, and not */
	char policy_error[EX_NODE_ERROR_TEXT];     /* of the files as they are now; "" = none */
	/* round.c */
	struct ex_defer round, settle;
	struct ex_timer again, tidy, retry;
	struct ex_node_pending *pending;  /* for the end of a round */
	struct ex_node_pending *settling; /* for the proxies after it */
	struct ex_timer late;             /* they are not waited for any longer */
	struct ex_compile_base base;      /* what is in force was compiled with this */
	bool read_files;                  /* in the next round */
	bool recompile;                   /* whether it seems needed or not */
	bool try_failed;   /* also for whom it did not compile, if other endpoints are there now */
	bool guarded;      /* guard.h: all that was there before us */
	uint64_t round_us; /* the last one took so long */
	struct ex_node_work work;
	/* handover.c */
	struct ex_timer anew;
	unsigned anew_tries;
	struct ex_handover *handover; /* NULL = nothing came from a program before */
	bool stopping;
};

#endif
