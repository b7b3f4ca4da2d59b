/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside a compiled ruleset. A peer is the L3 part of one rule, a term one tuple of it: peer,
 * ports, L7 part, verdict. Every judgement looks at whole terms, so parts of two rules cannot
 * combine.
 *
 * The address space is cut into prefixes; each has a class, the set of peers that contain it. Both
 * gates take their answer from merge.c over the terms of a class: the kernel tables are that
 * function evaluated beforehand.
 */
#ifndef EXEAT_POLICY_MODEL_H
#define EXEAT_POLICY_MODEL_H

#include <stdatomic.h>

#include "policy/cnp.h"
#include "policy/ruleset.h"

struct ex_term {
	const struct ex_ports *ports; /* NULL: every protocol and port, no L7 */
	uint32_t rule;
	bool deny, reserved, fqdn;
	bool audit; /* record what it would deny, deny nothing */
	bool open;  /* its peer names no address: what it names (SNI, Host) binds like toFQDNs */
};

struct ex_rpeer {
	struct ex_term *terms;
	size_t n_terms;
	const struct ex_name_pattern *names; /* toFQDNs, else NULL */
	size_t n_names;
};

struct ex_class {
	const uint32_t *peers; /* ascending */
	size_t n_peers;
	bool closed; /* endpoint, host or DNS gate: names add nothing */
	bool host;   /* host or DNS gate: no DNS answer may point here, no default allow */
	const struct ex_class_index *index; /* of a large one; see class_index.c */
};

/* Prefixes of one family, outer before inner; up = index of the next outer one. */
struct ex_dest_node {
	struct ex_prefix prefix;
	uint32_t klass, up;
};

struct ex_dest_tree {
	struct ex_dest_node *v;
	size_t n;
};

/* A pattern, and the term it is about; of toFQDNs, which is about all of a peer, the first one. */
struct ex_name_slot {
	const struct ex_name_pattern *pattern;
	uint32_t peer, term;
};

/* name_index.c: patterns by name. */
struct ex_name_index {
	uint32_t *buckets; /* index + 1 of the first entry; 0 = none */
	size_t mask;
	struct ex_name_entry *entries;
	uint32_t *loose; /* those that can only be tried */
	size_t n_loose;
};

/* A rule that selects endpoints: asked again when there are others. */
struct ex_look {
	const struct ex_spec *spec; /* name and scope of it only */
	const struct ex_egress *egress;
	uint32_t peer;
};

/* "From this prefix on, the peer is in (+1) or out (-1)", or the kind of an address. */
struct ex_mark {
	struct ex_prefix prefix;
	uint32_t peer; /* EX_NO_PEER: kinds is what the address is */
	uint8_t kinds; /* EX_ADDR_* bits */
	int8_t delta;
	bool known; /* there because of an endpoint */
};

#define EX_NO_PEER UINT32_MAX

struct ex_marks {
	struct ex_mark *v;
	size_t n, cap;
};

/* What repeer.c keeps. */
struct ex_repeer_state {
	struct ex_ruleset *rules; /* a reference: whose rules these are; NULL = its own */
	struct ex_marks marks;    /* those that no endpoint makes; only where rules is NULL */
	EX_VEC(struct ex_look) looks;
	const struct ex_reached *reached; /* by the endpoints there are */
	size_t n_reached;
	uint32_t class_room; /* numbers that static classes may have; 0 = those there are */
	bool able;           /* made with in->repeers, and nothing is in the way */
};

struct ex_ruleset {
	atomic_uint refs;
	struct ex_ruleset *ingress; /* of the same compilation; its rules are in infos. Or NULL */
	struct ex_arena arena;
	struct ex_rule_info *infos;
	uint32_t n_rules, n_egress_rules; /* those of egress come first */
	struct ex_rpeer *peers;
	size_t n_peers;
	const uint32_t *name_peers; /* those with toFQDNs */
	size_t n_name_peers;
	struct ex_name_index name_index; /* of them */
	struct ex_name_index dns_index;  /* rules.dns */
	struct ex_name_index sni_index;  /* serverNames that may be asked for, since they bind */
	bool dns_rules;                  /* there is some rules.dns */
	const uint32_t *http_peers;      /* those that may have TLS intercepted for any name */
	size_t n_http_peers;
	struct ex_class *classes; /* [0] is unused */
	size_t n_classes;
	struct ex_dest_tree tree4, tree6; /* never empty: [0] is the whole family */
	struct ex_regex_set regexes;
	struct ex_secret *secrets; /* values on the heap, wiped at the end */
	size_t n_secrets;
	const struct ex_origin *origins;
	const uint8_t *chosen; /* of each spec that was read: is it in here? */
	size_t n_chosen;
	bool edits;         /* some rule edits headers: all have to be asked */
	bool unselected;    /* see ex_ruleset_is_unselected() */
	bool default_allow; /* no enforcing policy asks for default deny */
	bool default_audit; /* ... but an auditing one does: allowed, and recorded */
	bool dns_audit;     /* what rules.dns would deny as well: all of them audit */
	bool deny_metadata;
	bool open_names; /* some open term has serverNames that may be asked for */
	struct ex_repeer_state repeer;
	/* egressDeny by name or by request: it makes the proxy look into allowed TCP, too */
	const uint32_t *name_denies; /* peers with toFQDNs and a deny term */
	size_t n_name_denies;
};

/* Does the term deny by what is asked for, which only the proxy sees? */
static inline bool ex_term_denies_by_content(const struct ex_term *t)
{
	return t->deny && (t->fqdn || (t->ports && t->ports->l7 == EX_L7_HTTP));
}

#define EX_NO_NODE UINT32_MAX

/* What the L4 terms of a set of peers say about (protocol, port). */
struct ex_merge {
	enum ex_verdict verdict; /* INVALID: nothing matches */
	enum ex_kind kind;
	enum ex_reason reason;
	uint32_t rule;
	uint32_t miss;  /* an allow rule of these peers that the port missed */
	uint32_t would; /* an auditing rule that would have denied */
	uint32_t bare;  /* a toFQDNs rule without L7 part, where the default is to allow */
	bool look;      /* a deny by content may apply: the proxy has to look */
};

/* merge.c */
bool ex_ports_has(const struct ex_ports *p, uint8_t proto, uint16_t port);
bool ex_peer_has_name(const struct ex_rpeer *peer, struct ex_span name);
/* One term whose ports match; of equals the first rule wins. */
void ex_merge_term(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_term *t,
		   uint8_t proto);
void ex_merge_peer(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_rpeer *peer,
		   uint8_t proto, uint16_t port);
void ex_merge_class(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_class *c,
		    uint8_t proto, uint16_t port);
/* The last word: default where nothing matched, and what a deny by content asks for. */
void ex_merge_finish(struct ex_merge *m, const struct ex_ruleset *rs, const struct ex_class *c,
		     uint8_t proto, uint16_t port);
/* The class of an address; embedded IPv4 is judged as what it hides. Never NULL. */
const struct ex_class *ex_ruleset_class(const struct ex_ruleset *rs, const struct ex_ip *ip);
/* Of an address that hides another: the class of its IPv6 form, whose denies count too. Or NULL. */
const struct ex_class *ex_ruleset_shell(const struct ex_ruleset *rs, const struct ex_ip *ip);

/*
 * name_index.c: the patterns that have a name, in no order that means anything; a peer comes once
 * for each of its patterns that has it. NULL at the end.
 */
struct ex_name_iter {
	const struct ex_name_index *ix;
	struct ex_span name;
	size_t left; /* bytes of the name whose tails are still to be looked up */
	uint64_t hash;
	uint32_t entry;
	size_t loose;
};

void ex_name_find(const struct ex_name_index *ix, struct ex_span name, struct ex_name_iter *it);
const struct ex_name_slot *ex_name_next(struct ex_name_iter *it);
EX_MUST_CHECK int ex_name_index_build(struct ex_arena *arena, const struct ex_name_slot *slots,
				      size_t n, struct ex_name_index *ret);

/* Does the peer's toFQDNs have the name? */
bool ex_peer_names(const struct ex_ruleset *rs, const struct ex_rpeer *peer, struct ex_span name);

/* class_index.c: the terms of a class whose ports have (protocol, port), in their order. */
struct ex_term_ref {
	uint32_t peer, term;
};

struct ex_term_iter {
	const struct ex_class *c;
	const struct ex_term_ref *exact, *exact_end, *wide, *wide_end; /* of an indexed class */
	size_t peer, term;                                             /* of another one */
	uint8_t proto;
	uint16_t port;
	const struct ex_rpeer *of; /* the peer of the term returned last */
};

void ex_class_find(const struct ex_class *c, uint8_t proto, uint16_t port, struct ex_term_iter *it);
const struct ex_term *ex_class_next(const struct ex_ruleset *rs, struct ex_term_iter *it);
/* The first allow rule of the class; 0 = none. */
uint32_t ex_class_first_allow(const struct ex_ruleset *rs, const struct ex_class *c);
EX_MUST_CHECK int ex_class_indexes_build(struct ex_ruleset *rs);

/* http_index.c: the http rules of a list that a path may meet, in their order. */
struct ex_http_iter {
	const struct ex_ports *ports;
	struct ex_span path;
	size_t at; /* in path: prefixes up to here are done */
	uint64_t hash;
	uint32_t entry;
	size_t loose;
	size_t next; /* without an index */
};

void ex_http_find(const struct ex_ports *ports, struct ex_span path, struct ex_http_iter *it);
const struct ex_http_match *ex_http_next(struct ex_http_iter *it);
EX_MUST_CHECK int ex_http_index_build(struct ex_arena *arena, struct ex_ports *ports);

/* ---- compile.c and its parts ---- */

/* What an address is; bits of a mark say for which kinds of addresses its peer is meant. */
enum {
	EX_ADDR_WORLD = 1u << 0,
	EX_ADDR_ENDPOINT = 1u << 1,
	EX_ADDR_HOST = 1u << 2,
	EX_ADDR_DNS = 1u << 3,
	EX_ADDR_KINDS = 4,
};

EX_MUST_CHECK int ex_marks_add(struct ex_marks *m, const struct ex_prefix *prefix, uint32_t peer,
			       unsigned kinds, int delta);

/* repeer.c: keeps what ex_repeer() needs, marks among it, once the classes are built. */
EX_MUST_CHECK int ex_repeer_keep(struct ex_ruleset *rs, struct ex_marks *marks);
void ex_repeer_done(struct ex_ruleset *rs);

/* How many numbers static classes may have; those of names come behind. */
static inline uint32_t ex_class_room(const struct ex_ruleset *rs)
{
	return rs->repeer.class_room ? rs->repeer.class_room : (uint32_t)rs->n_classes - 1;
}

/*
 * classes.c: fills trees and classes from the marks (which it sorts). Classes that rs has already
 * keep their numbers, also when no address has them any more.
 */
EX_MUST_CHECK int ex_classes_build(struct ex_ruleset *rs, struct ex_marks *marks);

/* reserved.c: prefixes that are denied whatever the policy says. */
struct ex_reserved {
	const char *cidr;
	bool metadata; /* only with deny_metadata */
	const char *what;
};
extern const struct ex_reserved ex_reserved_prefixes[];
extern const size_t ex_n_reserved_prefixes;

/* Names of metadata services, canonical: refused by the DNS gate with deny_metadata. */
bool ex_name_is_metadata(struct ex_span name);

#endif
