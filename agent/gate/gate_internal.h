/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the gate share. */
#ifndef EXEAT_AGENT_GATE_INTERNAL_H
#define EXEAT_AGENT_GATE_INTERNAL_H

#include "agent/gate/gate.h"
#include "agent/gate/tree.h"

struct bpf_object;
struct ring_buffer;

/* The maps and programs of datapath/gate.bpf.c, by their names. */
#define GATE_MAPS(X)                                                                               \
	X(ex_interfaces)                                                                           \
	X(ex_endpoints)                                                                            \
	X(ex_events)                                                                               \
	X(ex_gateways)                                                                             \
	X(ex_dests)                                                                                \
	X(ex_rules)                                                                                \
	X(ex_names)                                                                                \
	X(ex_flows)                                                                                \
	X(ex_ports)                                                                                \
	X(ex_socks)                                                                                \
	X(ex_reasons)                                                                              \
	X(ex_rule_counts)                                                                          \
	X(ex_state)                                                                                \
	X(ex_sets)                                                                                 \
	X(ex_bindings)
#define GATE_PROGS(X)                                                                              \
	X(from_workload)                                                                           \
	X(to_workload)                                                                             \
	X(from_gateway)                                                                            \
	X(hand_over)

struct gate_map {
	int fd;
	uint32_t key_size, value_size, max_entries;
};

#define GATE_MAP(name)  struct gate_map name;
#define GATE_PROG(name) int name;

struct gate_maps {
	GATE_MAPS(GATE_MAP)
};

struct gate_progs {
	GATE_PROGS(GATE_PROG)
};

/* The keys of one published ruleset, so that it can be taken away again. */
struct gate_set {
	uint32_t policy;
	uint32_t base; /* class ids of this set are base + 1 .. base + classes */
	uint32_t classes;
	struct gate_prefix *prefixes; /* sorted; NULL when adopted */
	size_t n_prefixes, cap_prefixes;
	size_t held;                /* of gate->n_prefixes */
	uint32_t root;              /* of their tree, which is in this region */
	struct gate_region *region; /* NULL: it has no node */
	struct ex_rule_key *rules;
	size_t n_rules, cap_rules;
	size_t n_named;     /* rules of classes that names made */
	uint32_t *counters; /* by rule id; 0 = none yet */
	size_t n_counters;
	bool named; /* there may be addresses in it that were learned by name */
};

struct gate_port {
	struct gate_port *next;
	uint32_t ifindex;
	uint32_t slot;
	int flows;      /* map fd */
	int tcx[2];     /* links: egress, ingress; -1 */
	uint32_t entry; /* of ex_endpoints; 0 = none yet */
	struct ex_endpoint ep;
	struct gate_set *set;     /* in force; NULL before the first was published */
	struct gate_set *ingress; /* the same; NULL when nothing may reach the workload */
};

#define GATE_RETIRED_MAX 256

struct gate_endpoints {
	struct ex_if_bucket *buckets; /* what packets read */
	uint8_t entries[EX_ENTRIES];  /* what each entry of ex_endpoints is used for */
};

/* A piece of the array of cells, with one tree in it. */
struct gate_region {
	struct gate_region *next;
	uint32_t at, n;
};

struct gate_cells {
	int fd; /* of the array; -1 */
	union ex_tree_cell *v;
	uint32_t n, max;
	struct gate_region *regions; /* what is taken of it, upwards */
};

struct ex_gate {
	union {
		struct gate_maps maps;
		struct gate_map each_map[sizeof(struct gate_maps) / sizeof(struct gate_map)];
	};
	union {
		struct gate_progs progs; /* descriptors */
		int each_prog[sizeof(struct gate_progs) / sizeof(int)];
	};
	struct ring_buffer *ring;
	struct gate_port *ports;
	struct gate_endpoints endpoints;
	struct gate_cells cells;
	size_t n_prefixes, prefixes_max; /* of all rulesets, also of those that go */
	uint32_t flow_limit;
	uint32_t *spare_counters; /* a stack of keys of ex_rule_counts */
	size_t n_spare_counters;
	struct gate_set *retired[GATE_RETIRED_MAX];
	size_t n_retired;
	size_t n_unread; /* the first ones of them: no packet can be on its way through them */
	struct ex_state state;
	uint64_t free_classes; /* no ruleset has a number from state.last_class up to this */
	char *pin;             /* the folder of the pins; NULL: there are none */
	int lock;              /* its folder of this ABI's maps */
	bool stamps;           /* stamp.c: what is not stamped is to be dropped */
	bool looked_for;       /* ... and is */
	int nftables;          /* a socket; -1 */
	void (*event_fn)(void *arg, const struct ex_event *ev);
	void *event_arg;
	size_t drained;                      /* events read in one go */
	struct ex_port_state *limits;        /* of map ex_ports, by slot */
	uint64_t swept;                      /* when the tables were swept last, ns */
	uint64_t swept_full, swept_bindings; /* because there was no room */
};

/* set.c */
/* names: with room for classes that names make */
int gate_set_new(struct ex_gate *gate, const struct ex_tables *t, bool names,
		 struct gate_set **ret);
int gate_set_add_rules(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t);
/*
 * Packets go on reading the old tree until the endpoint has the new set->root. Then *ret_old, which
 * has the old one and may be NULL, is to be retired.
 */
int gate_set_update(struct ex_gate *gate, struct gate_set *set, const struct ex_delta *d,
		    struct gate_set **ret_old);
/* gate_set_add_rules() of a class that names make. -EDQUOT: no room is left to it by the others. */
int gate_set_add_class(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t);
int gate_set_learn(struct ex_gate *gate, struct gate_set *set, const struct ex_gate_name *name);
void gate_set_remove(struct ex_gate *gate, struct gate_set *set);
void gate_set_free(struct gate_set *set);

uint32_t gate_policy_next(struct ex_gate *gate); /* nothing is under it */

/* For a ruleset, or an entry, that is in the maps already. */
int gate_set_known(uint32_t policy, const struct ex_set *value, struct gate_set **ret);
int gate_set_keep_rule(struct gate_set *set, const struct ex_rule_key *key,
		       const struct ex_counted_rule *value);

/* object.c */
void gate_object_init(struct ex_gate *gate); /* nothing is open */
int gate_object_keep(struct ex_gate *gate, const struct bpf_object *object);
void gate_object_done(struct ex_gate *gate);
/* The memory of a map, to write to. */
int gate_map_share(int fd, size_t size, void **ret);
/* Reads a map, up to `cap` entries at a time: false at the end, and when it cannot be read on. */
struct gate_batch {
	int fd;
	uint32_t cap;
	uint32_t n; /* entries that were read now */
	uint32_t at;
	bool begun, over;
};
bool gate_batch_next(struct gate_batch *b, void *keys, void *values);

/* endpoints.c */
int gate_endpoints_open(struct ex_gate *gate);
void gate_endpoints_close(struct ex_gate *gate); /* leaves the maps alone */
/* In one step, which packets see or do not. The port has it then. May wait. */
int gate_endpoint_set(struct ex_gate *gate, struct gate_port *port,
		      const struct ex_endpoint *value);
void gate_endpoint_remove(struct ex_gate *gate, struct gate_port *port);
void gate_endpoints_settled(struct ex_gate *gate); /* when packets have been waited for */
/* fn for each that is there; after -ENOENT it is not. */
typedef int (*gate_endpoint_fn)(struct ex_gate *gate, uint32_t ifindex, uint32_t entry,
				const struct ex_endpoint *value);
int gate_endpoints_adopt(struct ex_gate *gate, gate_endpoint_fn fn);

/* dests.c */
int gate_dests_make(struct ex_gate *gate, struct gate_set *set, const struct ex_tables *t);
void gate_dests_drop(struct ex_gate *gate, struct gate_set *set, const struct ex_dest_entry *v,
		     size_t n);
int gate_dests_put(struct ex_gate *gate, struct gate_set *set, const struct ex_dest_entry *v,
		   size_t n);
/* After those two. *ret_old has the tree of before. */
int gate_dests_write(struct ex_gate *gate, struct gate_set *set, struct gate_set **ret_old);
int gate_dests_adopt(struct ex_gate *gate, struct gate_set *set, uint32_t root);
void gate_dests_remove(struct ex_gate *gate, struct gate_set *set);

/* cells.c */
int gate_cells_open(struct ex_gate *gate, uint32_t prefixes); /* room for so many */
void gate_cells_close(struct ex_gate *gate);                  /* leaves the map alone */
/* The tree is moved to where it is written. May settle. *ret is NULL when it has no node. */
int gate_region_put(struct ex_gate *gate, struct gate_tree *tree, struct gate_region **ret);
void gate_region_free(struct ex_gate *gate, struct gate_region *region); /* may be NULL */
int gate_region_adopt(struct ex_gate *gate, uint32_t root, struct gate_region **ret);
size_t gate_cells_used(const struct ex_gate *gate);

/* pin.c: before the object is loaded */
int gate_state_open(struct ex_gate *gate, struct bpf_object *object, const char *pin);
int gate_state_save(const struct ex_gate *gate);
int gate_pin_others_remove(const char *pin);

/* links.c: until gate_links_unguard(), whatever becomes of the maps. pin NULL: only tries it. */
int gate_links_guard(const char *pin);
int gate_links_unguard(const char *pin);

/* tcx.c: 0 as well on a kernel that has none. Without pins an endpoint is needed to keep it by. */
int gate_tcx_open(const char *pin);
int gate_tcx_put(const struct ex_gate *gate, uint32_t ifindex, bool ingress, int prog);
int gate_tcx_find(uint32_t ifindex, bool *ret); /* a link of a gate */
/* All of them, whoever holds them. Without a gate, which may be NULL, the pins stay. */
int gate_tcx_drop(const struct ex_gate *gate, uint32_t ifindex);
int gate_tcx_unpin(const char *pin);
void gate_tcx_close(int *fd); /* takes the link away, whoever has it open besides */

/* stamp.c: where that cannot be. */
#define GATE_STAMP       0x65780000 /* the major number is no qdisc's */
#define GATE_STAMP_GROUP 0x6578
void gate_stamp_open(struct ex_gate *gate);
/* Into the group, or out of it; before the programs are attached, and after they were detached. */
int gate_stamp_take(struct ex_gate *gate, uint32_t ifindex);
int gate_stamp_leave(uint32_t ifindex);
int gate_stamp_probe(void); /* in a network namespace of the caller's own */

/* nftables.c: a socket that hears of them; what it heard. */
#define GATE_TABLE "exeat"
int gate_tables_open(void);
int gate_tables_put(int fd); /* in one step, in place of those that may be there */
bool gate_tables_gone(int fd);
int gate_tables_remove(void); /* 0 as well where there are none */

/* adopt.c */
int gate_adopt(struct ex_gate *gate);

/* bindings.c */
void gate_bindings_remove(struct ex_gate *gate, uint32_t ifindex);

/* counters.c */
int gate_counter_keep(struct gate_set *set, uint32_t rule, uint32_t counter);
int gate_counters_open(struct ex_gate *gate);
int gate_counter_of(struct ex_gate *gate, struct gate_set *set, uint32_t rule, uint32_t *ret);
void gate_counters_release(struct ex_gate *gate, struct gate_set *set);

/* retire.c */
void gate_retire(struct ex_gate *gate, struct gate_set *set); /* may be NULL */
void gate_settle(struct ex_gate *gate);                       /* waits and takes them out */
void gate_retired_remove(struct ex_gate *gate);               /* when that wait was done */
void gate_retired_free(struct ex_gate *gate);                 /* leaves the maps alone */

/* attach.c */
/* 1: the program is one of a gate, of this one or of another process'; 0, also when it is gone. */
int gate_prog_is_ours(uint32_t id);
void gate_gateway_remove(struct ex_gate *gate, const struct gate_port *port);

/* port.c */
struct gate_port *gate_port_find(const struct ex_gate *gate, uint32_t ifindex);
int gate_port_get(struct ex_gate *gate, uint32_t ifindex,
		  struct gate_port **ret); /* or a new one */
void gate_port_free(struct gate_port *port);
int gate_port_reset(struct ex_gate *gate, uint32_t slot); /* limits of events and refusals */
bool gate_slot_taken(const struct ex_gate *gate, uint32_t slot);
void gate_sockets_remove(struct ex_gate *gate, const struct gate_port *port);

/*
 * Returns when every packet that was in the programs at the time of the call has left them: the
 * kernel waits for that whenever an inner map is set.
 */
int gate_wait_for_packets(struct ex_gate *gate, const struct gate_port *port);

int gate_events_open(struct ex_gate *gate);
void gate_events_close(struct ex_gate *gate); /* leaves the maps alone */

/* CLOCK_MONOTONIC in nanoseconds, the clock of flows and names. */
uint64_t gate_now(void);

/* Takes out flows and names whose time is over; ended flows go to event_fn, if there is one. */
void gate_sweep(struct ex_gate *gate);

/*
 * May a table that is full be swept, last time at *last? Not more often than now and then: who
 * fills it with what lives long would make everybody wait for a sweep with each name.
 */
bool gate_sweep_is_due(uint64_t *last);

/* For tests and benchmarks. */
int gate_prog_fd(const struct ex_gate *gate, const char *name);
int gate_map_fd(const struct ex_gate *gate, const char *name);

#endif
