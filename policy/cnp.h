/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies as written, typed: what the decoder makes of the YAML and what the compiler reads. All
 * memory is in the set's arena, except compiled regexes, which the set owns until they are taken.
 */
#ifndef EXEAT_POLICY_CNP_H
#define EXEAT_POLICY_CNP_H

#include "policy/decode.h"
#include "policy/label.h"
#include "policy/name.h"
#include "policy/prefix.h"
#include "policy/regex_set.h"
#include "policy/ruleset.h"

#define EX_PORTS_MAX 40 /* upstream's limit of ports in one toPorts item */
#define EX_LIST_MAX  100000

enum ex_peer_kind {
	EX_PEER_NONE = 0, /* selects nothing */
	EX_PEER_ANY,      /* no L3 member, but toPorts: any destination */
	EX_PEER_ENDPOINTS,
	EX_PEER_CIDR,
	EX_PEER_ENTITIES,
	EX_PEER_FQDN,
};

/* A CIDR, or the CIDRs of groups, less the excepted ones. */
struct ex_cidr_item {
	struct ex_prefix prefix; /* unread when group or group_labels is set */
	const char *group;
	struct ex_selector *group_labels;
	struct ex_prefix *except;
	size_t n_except;
	struct ex_pos pos;
};

struct ex_cidr_group {
	const char *name;
	struct ex_label *labels;
	size_t n_labels;
	struct ex_prefix *cidrs;
	size_t n_cidrs;
};

/* Bits of ex_peer.entities. */
enum {
	EX_ENTITY_ALL = 1u << 0,
	EX_ENTITY_WORLD4 = 1u << 1,
	EX_ENTITY_WORLD6 = 1u << 2,
	EX_ENTITY_HOST = 1u << 3,
	EX_ENTITY_CLUSTER = 1u << 4, /* endpoints and host */
	EX_ENTITY_NAMED = 1u << 5,   /* kube-apiserver, remote-node, ...: see named */
};

struct ex_peer {
	enum ex_peer_kind kind;
	struct ex_selector *selectors;
	size_t n_selectors;
	struct ex_cidr_item *cidrs;
	size_t n_cidrs;
	uint32_t entities;
	/* Entities that the endpoints file knows by the label reserved:NAME, as selectors. */
	struct ex_selector *named;
	size_t n_named;
	struct ex_name_pattern *names;
	size_t n_names;
	struct ex_pos pos;
};

/* One protocol and an inclusive range of ports. */
struct ex_portset {
	bool any_proto; /* every protocol; the rest is unread */
	uint8_t proto;  /* IPPROTO_* */
	uint16_t lo, hi;
};

/* A port of the destination endpoint, by the name it has there. */
struct ex_named_port {
	const char *name;
	uint32_t protos; /* EX_PROTO_* bits */
};

enum {
	EX_PROTO_TCP = 1u << 0,
	EX_PROTO_UDP = 1u << 1,
	EX_PROTO_SCTP = 1u << 2,
};

enum ex_l7_kind {
	EX_L7_NONE = 0,
	EX_L7_HTTP,
	EX_L7_DNS,
	EX_L7_SNI,
};

/* headerMatches[].mismatch: what becomes of a header that is not as it should be. */
enum ex_mismatch {
	EX_MISMATCH_FAIL = 0, /* the rule does not match */
	EX_MISMATCH_EDIT,     /* it does, and edit is recorded and done */
};

struct ex_header_match {
	const char *name;
	const char *value; /* NULL: it must be there */
	size_t value_len;
	bool never;  /* stands for a secret that is not there: nothing matches, all is denied */
	bool secret; /* value is one: never shown, never logged */
	enum ex_mismatch mismatch;
	enum ex_header_op op; /* of EX_MISMATCH_EDIT */
	const char *lower;    /* name as it is written into requests */
};

struct ex_http_match {
	const struct ex_regex *method, *path, *host;              /* NULL: anything */
	const char *written_method, *written_path, *written_host; /* NULL likewise */
	struct ex_header_match *headers;                          /* of headers */
	size_t n_headers;
	struct ex_header_match *matches; /* of headerMatches */
	size_t n_matches;
	bool writes_secret; /* into requests that match */
	bool implied;       /* by tls: intercept, not written */
	bool originates;    /* its toPorts item says how the server is spoken with */
	uint32_t rule;      /* id, set by the compiler */
	struct ex_pos pos;
};

/* One item of toPorts (or icmps). */
struct ex_ports {
	struct ex_portset *v;
	size_t n;
	struct ex_named_port *named;
	size_t n_named;
	enum ex_l7_kind l7;
	struct ex_http_match *http;
	size_t n_http;
	const struct ex_http_index *index; /* of a long list; see http_index.c */
	struct ex_name_pattern *names; /* of rules.dns or serverNames; HTTP may have the latter */
	size_t n_names;
	struct ex_origin *origin; /* of HTTP; or NULL */
	const char *where;        /* "toPorts[0]", "icmps[1]" */
	struct ex_pos pos;
};

/* One item of egress or egressDeny; of ingress or ingressDeny the peer is who comes. */
struct ex_egress {
	struct ex_peer peer;
	struct ex_ports *ports;
	size_t n_ports;
	bool limits_ports; /* false: every protocol and port */
	bool deny;
	bool audit;        /* record what it would deny, deny nothing */
	const char *where; /* "egress[0]", "specs[1].egressDeny[0]" */
	struct ex_pos pos;
};

/* Of one direction. */
struct ex_spec_rules {
	struct ex_egress *rules; /* deny items last */
	size_t n;
	bool about; /* has rules, or says something about their absence */
	bool default_deny;
};

/* spec, or one of specs. */
struct ex_spec {
	const char *policy, *ns; /* of its document; ns "" = cluster-wide */
	bool clusterwide;
	bool chosen; /* it is for the workload that is compiled for */
	struct ex_selector *endpoints;
	struct ex_spec_rules egress, ingress;
	bool audit;      /* the whole policy: see struct ex_egress */
	const char *log; /* log.value, or NULL */
	struct ex_pos pos;
	uint32_t from, to; /* its document, or item of a List: see struct ex_node */
};

struct ex_policy_set {
	struct ex_arena *arena;
	EX_VEC(struct ex_spec) specs;
	EX_VEC(struct ex_cidr_group) groups;
	struct ex_regex_set regexes;

	const struct ex_node **presets; /* those that were read, by their number */
	size_t n_preset_rules;          /* that they stood for so far */

	const struct ex_compile_input *in; /* what is compiled with; NULL: it is only read */
	struct ex_label_set labels;        /* of the workload, complete */
	EX_VEC(struct ex_secret) secrets;  /* those that rules of chosen specs use */
};

void ex_policy_set_done(struct ex_policy_set *set); /* not the arena */

/*
 * cnp_secret.c: the value of a secret, or of one item of it; the set keeps one copy of each, which
 * the ruleset wipes in the end. NULL: *ret_err and *why as by ex_secret_find().
 */
struct ex_secret_ref {
	const char *ns, *name;
	const char *item; /* NULL: the secret is one value */
	bool key;         /* see struct ex_secret */
};
const struct ex_secret *ex_policy_secret(struct ex_decoder *d, struct ex_policy_set *set,
					 const struct ex_secret_ref *ref, int *ret_err,
					 const char **why);
/* Of {namespace, name}. */
void ex_read_secret_ref(struct ex_decoder *d, const struct ex_node *n, struct ex_secret_ref *ret);

/* Decodes every document; errors in d->diags, counted in d->n_errors. */
void ex_policy_read(struct ex_decoder *d, const struct ex_docs *docs, struct ex_policy_set *set);

/* ---- parts of the decoder, one file each; read functions of ex_field ---- */

/* cnp_spec.c; own: the spec of an EgressPolicy, which may say more. */
void ex_read_cnp_spec(struct ex_decoder *d, const struct ex_node *n, struct ex_policy_set *set,
		      const struct ex_spec *proto, const char *prefix, bool own);
/* Of a field about ingress: where it is read, and nothing enforces it. */
void ex_warn_ingress(struct ex_decoder *d, const struct ex_node *n,
		     const struct ex_policy_set *set);
/* Free text and bookkeeping: no part of the policy. */
void ex_read_nothing(struct ex_decoder *d, const struct ex_node *n, void *out);

/* cnp_k8s.c: the spec of a Kubernetes NetworkPolicy. */
void ex_read_k8s_spec(struct ex_decoder *d, const struct ex_node *n, struct ex_policy_set *set,
		      const struct ex_spec *proto);

/* What the fields of one rule write to. */
struct ex_rule_reader {
	struct ex_policy_set *set;
	const struct ex_spec *spec;
	struct ex_egress *egress;
	const struct ex_node *l3;    /* the L3 member seen, to refuse a second one */
	const struct ex_node *ports; /* toPorts or icmps, likewise */
	bool ingress;                /* who comes in, not what goes out */
	bool own;                    /* a rule of an EgressPolicy */
	const struct ex_node *tls;   /* its field tls */
	const struct ex_node *enforcement;
};

/* cnp_own.c: fields of EgressPolicy rules; out is a struct ex_rule_reader. */
void ex_read_enforcement(struct ex_decoder *d, const struct ex_node *n, bool *ret_audit);
void ex_read_rule_enforcement(struct ex_decoder *d, const struct ex_node *n, void *out);
void ex_read_tls(struct ex_decoder *d, const struct ex_node *n, void *out);
/* After all fields of the rule. */
void ex_finish_own_rule(struct ex_decoder *d, const struct ex_node *n, struct ex_rule_reader *rr);
/* The rules of a preset, for an item {preset: NAME}; NULL when it is no such item,
 * unknown, or (with an error) not for rules of this kind. */
const struct ex_node *ex_preset_rules(struct ex_decoder *d, const struct ex_node *item, bool deny,
				      struct ex_policy_set *set);

/* cnp_select.c */
void ex_read_selector(struct ex_decoder *d, const struct ex_node *n, struct ex_selector *ret);

/* cnp_peer.c; out is a struct ex_rule_reader. */
void ex_read_to_endpoints(struct ex_decoder *d, const struct ex_node *n, void *out);
void ex_read_to_entities(struct ex_decoder *d, const struct ex_node *n, void *out);
void ex_read_to_fqdns(struct ex_decoder *d, const struct ex_node *n, void *out);
/* True when this is the rule's first L3 member and a list; reports otherwise. */
bool ex_rule_take_member(struct ex_decoder *d, const struct ex_node *n, struct ex_rule_reader *rr,
			 enum ex_peer_kind kind);
/* A list of {matchName} or {matchPattern}; types: each may have those of rules.dns as well. */
struct ex_name_pattern *ex_read_name_selectors(struct ex_decoder *d, const struct ex_node *n,
					       bool types, size_t *ret_n);

/* cnp_cidr.c */
void ex_read_to_cidr(struct ex_decoder *d, const struct ex_node *n, void *out);
void ex_read_to_cidrset(struct ex_decoder *d, const struct ex_node *n, void *out);
/* A map of cidr and except only; false when it was not understood. */
bool ex_read_ip_block(struct ex_decoder *d, const struct ex_node *n, struct ex_cidr_item *ret);
void ex_read_cidr_group(struct ex_decoder *d, const struct ex_node *n, const char *name,
			const struct ex_node *labels, struct ex_cidr_group *ret);

/* cnp_port.c */
void ex_read_to_ports(struct ex_decoder *d, const struct ex_node *n, void *out);
/* True when the rule may have this list of ports or icmps; egress->ports is made. */
bool ex_rule_take_ports(struct ex_decoder *d, const struct ex_node *n, struct ex_rule_reader *rr);
/* One {port, endPort, protocol} appended to what out has; default_proto: when it is missing. */
struct ex_ports_reader;
void ex_read_port(struct ex_decoder *d, const struct ex_node *n, const char *default_proto,
		  struct ex_ports_reader *out);
/* {protocol} alone: every port of it. */
void ex_read_all_ports(struct ex_decoder *d, const struct ex_node *n, const char *default_proto,
		       struct ex_ports_reader *out);
bool ex_ports_alloc(struct ex_decoder *d, size_t n_items, struct ex_ports *p);

/* cnp_icmp.c */
void ex_read_icmps(struct ex_decoder *d, const struct ex_node *n, void *out);

/* cnp_l7.c: rules of one toPorts item. */
struct ex_ports_reader {
	struct ex_rule_reader *rule;
	struct ex_ports *ports;
	unsigned protos; /* what the ports said: a bit for each set of EX_PROTO_* that one has */
	bool wild_port, range;
	const struct ex_node *rules, *server_names, *terminating, *originating;
};
void ex_read_l7_rules(struct ex_decoder *d, const struct ex_node *n, struct ex_ports_reader *r);
/* cnp_header.c: header conditions of one rules.http item; out is a struct ex_http_reader. */
struct ex_http_reader {
	struct ex_rule_reader *rule;
	struct ex_http_match match;
};
void ex_read_headers(struct ex_decoder *d, const struct ex_node *n, void *out);
void ex_read_header_matches(struct ex_decoder *d, const struct ex_node *n, void *out);

void ex_read_server_names(struct ex_decoder *d, const struct ex_node *n, struct ex_ports_reader *r);

/* cnp_tls.c; out is a struct ex_ports_reader. */
void ex_read_terminating(struct ex_decoder *d, const struct ex_node *n, void *out);
void ex_read_originating(struct ex_decoder *d, const struct ex_node *n, void *out);
/* When the L7 rules of the item have been read. */
void ex_finish_originating(struct ex_decoder *d, struct ex_ports_reader *r);

#endif
