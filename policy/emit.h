/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ruleset as kernel map entries. Pure: the gate writes them. Class ids are relative to the
 * ruleset (1..n); the gate adds its own base so that two rulesets never share a class.
 *
 * An entry that denies with DEFAULT_DENY is a silence inside of a wider entry: as a missing entry
 * it may be added to by a name, while a deny with any other reason is final.
 *
 * An IPv6 address that hides an IPv4 one (NAT64 64:ff9b::/96, 6to4, IPv4-compatible) has to be
 * looked up as that IPv4 address; an explicit deny of its IPv6 form counts as well.
 */
#ifndef EXEAT_POLICY_EMIT_H
#define EXEAT_POLICY_EMIT_H

#include "policy/ruleset.h"

struct ex_dest_entry {
	struct ex_ip ip;
	uint8_t prefix; /* 0..128 over the mapped form; IPv4 /n is 96+n */
	uint32_t klass;
};

struct ex_rule_entry {
	uint32_t klass;
	uint8_t prefix; /* 0 = any protocol, 16 = any port, 16+n = first n bits of port */
	uint8_t proto;
	uint16_t port; /* host order */
	struct ex_rule value;
};

struct ex_tables {
	struct ex_dest_entry *dests;
	size_t n_dests;
	struct ex_rule_entry *rules;
	size_t n_rules;
	uint32_t n_classes; /* static classes are of 1..n_classes */
};

/* 0 or -ENOMEM. Stable order: the same ruleset gives the same tables. */
EX_MUST_CHECK int ex_emit(const struct ex_ruleset *rs, struct ex_tables *ret);
void ex_tables_done(struct ex_tables *t);

/*
 * What ex_repeer() changed. Each destination is one address, so that they may be written one by
 * one: whatever is judged meanwhile is judged by the one ruleset or by the other.
 */
struct ex_delta {
	struct ex_tables put;       /* rules of classes that are new; then destinations */
	struct ex_dest_entry *gone; /* destinations */
	size_t n_gone;
	bool steers; /* some of these addresses are, or were, the proxy's without a name */
};

/* 0; -ESTALE when the one does not follow from the other in this way; -ENOMEM. */
EX_MUST_CHECK int ex_tables_delta(const struct ex_tables *from, const struct ex_tables *to,
				  struct ex_delta *ret);
void ex_delta_done(struct ex_delta *d);
static inline bool ex_delta_is_empty(const struct ex_delta *d)
{
	return !d->n_gone && !d->put.n_dests;
}

/*
 * Classes of addresses learned from DNS. An address known under a set of names belongs to the class
 * of the toFQDNs selectors that these names match. Classes are made on first use and numbered after
 * the static ones; bounded, -ENOSPC when a workload makes too many: one that collects odd sets of
 * names must not fill the kernel's tables.
 */
#define EX_NAME_CLASSES_MAX 1024
struct ex_name_classes;

EX_MUST_CHECK int ex_name_classes_new(struct ex_ruleset *rs, struct ex_name_classes **ret);
void ex_name_classes_free(struct ex_name_classes *nc);

/*
 * May names say anything about this address? False for the host's own, for endpoints and for the
 * DNS gate: those are selected by what they are only, and must never be written to the name table.
 */
bool ex_name_selects(const struct ex_ruleset *rs, const struct ex_ip *ip);

/*
 * The class of an address known under these canonical names: *ret_class, 0 = no selector matches.
 * When the class is new, *ret_new holds its entries (owned by nc, valid until the next call), which
 * have to be in the kernel before the first address is; else *ret_new is empty.
 */
EX_MUST_CHECK int ex_name_class(struct ex_name_classes *nc, const struct ex_span *names, size_t n,
				uint32_t *ret_class, struct ex_tables *ret_new);

/* The class just made is nowhere in the kernel: it is made anew when it is wanted again. */
void ex_name_class_undo(struct ex_name_classes *nc);

/*
 * Is there room for the classes of all names that the policies spell out, none sharing an address
 * with another? 0; -ENOSPC: there are too many; -EDQUOT: together they have more than max_rules
 * entries; -ENOMEM. *ret_rule: the first for which there is not.
 */
EX_MUST_CHECK int ex_name_classes_fit(struct ex_ruleset *rs, size_t max_rules, uint32_t *ret_rule);

#endif
