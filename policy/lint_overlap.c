/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings about rules that make one another useless; read off the compiled classes. */
#include "policy/lint.h"

#include <netinet/in.h>

/* Comparing is quadratic in the rules of a class: enough for policies that a person wrote. */
#define CLASS_TERMS_MAX 400
#define CLASSES_MAX     20000

struct overlap {
	struct ex_lowering *l;
	const struct ex_ruleset *rs, *book; /* the rules are described in book */
	bool *voided;                       /* by rule: an L7 list that was already reported */
	bool *alive;                        /* by peer: reachable in some class */
	bool *present;                      /* by peer: in some class */
	uint32_t *killer;                   /* by peer: the rule that denies it */
};

static struct ex_pos pos_of(const struct ex_rule_info *info)
{
	return (struct ex_pos){ info->file, info->line, info->col };
}

static bool ports_overlap(const struct ex_ports *a, const struct ex_ports *b)
{
	if (!a || !b)
		return true;
	for (size_t i = 0; i < a->n; i++) {
		for (size_t k = 0; k < b->n; k++) {
			if (a->v[i].proto == b->v[k].proto && a->v[i].lo <= b->v[k].hi &&
			    b->v[k].lo <= a->v[i].hi)
				return true;
		}
	}
	return false;
}

static bool is_plain_allow(const struct ex_term *t)
{
	return !t->deny && (!t->ports || t->ports->l7 == EX_L7_NONE);
}

static bool has_l7_list(const struct ex_term *t)
{
	return !t->deny && t->ports && (t->ports->l7 == EX_L7_HTTP || t->ports->l7 == EX_L7_SNI);
}

static void check_pair(struct overlap *o, const struct ex_term *t, const struct ex_term *by)
{
	const struct ex_rule_info *info = ex_ruleset_rule(o->book, t->rule);
	const struct ex_rule_info *other = ex_ruleset_rule(o->book, by->rule);

	if (!info || !other || o->voided[t->rule] || !has_l7_list(t) || !is_plain_allow(by) ||
	    !ports_overlap(t->ports, by->ports))
		return;
	o->voided[t->rule] = true;
	ex_diag_add(o->l->diags, pos_of(info), true, "narrow the other rule, or give it L7 rules",
		    "%s: its L7 rules mean nothing where %s (line %d) allows the same destination "
		    "and port without any",
		    info->where, other->where, other->line);
}

static void check_peers(struct overlap *o, const struct ex_rpeer *a, const struct ex_rpeer *b)
{
	for (size_t i = 0; i < a->n_terms; i++) {
		for (size_t k = 0; k < b->n_terms; k++) {
			check_pair(o, &a->terms[i], &b->terms[k]);
			check_pair(o, &b->terms[k], &a->terms[i]);
		}
	}
}

static uint32_t full_deny(const struct overlap *o, const struct ex_class *c, bool *found)
{
	for (size_t i = 0; i < c->n_peers; i++) {
		const struct ex_rpeer *peer = &o->rs->peers[c->peers[i]];

		for (size_t k = 0; k < peer->n_terms; k++) {
			if (peer->terms[k].deny && !peer->terms[k].ports) {
				*found = true;
				return peer->terms[k].rule;
			}
		}
	}
	return 0;
}

static void check_class(struct overlap *o, const struct ex_class *c)
{
	bool denied = false;
	uint32_t by = full_deny(o, c, &denied);

	for (size_t i = 0; i < c->n_peers; i++) {
		o->present[c->peers[i]] = true;
		if (denied)
			o->killer[c->peers[i]] = by;
		else
			o->alive[c->peers[i]] = true;
	}
	if (c->n_peers > CLASS_TERMS_MAX)
		return;
	for (size_t i = 0; i < c->n_peers; i++) {
		for (size_t k = i; k < c->n_peers; k++)
			check_peers(o, &o->rs->peers[c->peers[i]], &o->rs->peers[c->peers[k]]);
	}
}

/* Names are not in classes: compare those that share a name, and all with what the world may do. */
static bool names_overlap(const struct ex_rpeer *a, const struct ex_rpeer *b)
{
	for (size_t i = 0; i < a->n_names; i++) {
		if (a->names[i].kind == EX_NAME_EXACT &&
		    ex_peer_has_name(b, (struct ex_span){ a->names[i].text, a->names[i].len }))
			return true;
	}
	return false;
}

static void check_names(struct overlap *o)
{
	const struct ex_ruleset *rs = o->rs;

	if (rs->n_name_peers > CLASS_TERMS_MAX)
		return;
	for (size_t i = 0; i < rs->n_name_peers; i++) {
		const struct ex_rpeer *a = &rs->peers[rs->name_peers[i]];
		const struct ex_class *world = &rs->classes[rs->tree4.v[0].klass];

		for (size_t k = 0; k < rs->n_name_peers; k++) {
			const struct ex_rpeer *b = &rs->peers[rs->name_peers[k]];

			if (a == b || names_overlap(a, b) || names_overlap(b, a))
				check_peers(o, a, b);
		}
		for (size_t k = 0; k < world->n_peers && world->n_peers <= CLASS_TERMS_MAX; k++)
			check_peers(o, a, &rs->peers[world->peers[k]]);
	}
}

/* A rule about everything may also be about endpoints that are not known here. */
static bool is_about_everything(const struct overlap *o, uint32_t id)
{
	const struct ex_class *c = &o->rs->classes[o->rs->tree4.v[0].klass];

	for (size_t i = 0; i < c->n_peers; i++) {
		if (c->peers[i] == id)
			return true;
	}
	return false;
}

static void report_dead(struct overlap *o)
{
	for (uint32_t id = 0; id < o->rs->n_peers; id++) {
		const struct ex_rpeer *peer = &o->rs->peers[id];
		const struct ex_rule_info *info, *by;

		if (!o->present[id] || o->alive[id] || !peer->n_terms || peer->terms[0].deny ||
		    is_about_everything(o, id))
			continue;
		info = ex_ruleset_rule(o->book, peer->terms[0].rule);
		by = ex_ruleset_rule(o->book, o->killer[id]);
		if (!info)
			continue;
		ex_diag_add(o->l->diags, pos_of(info), true, "remove one of the two",
			    "%s: can never allow anything: %s denies all of it", info->where,
			    by ? by->where : "a reserved range (metadata, loopback, multicast)");
	}
}

void ex_lint_overlaps(struct ex_lowering *l)
{
	struct overlap o = { .l = l, .rs = l->rs, .book = l->book };

	o.voided = calloc(l->book->n_rules + 1, sizeof(*o.voided));
	o.alive = calloc(l->rs->n_peers + 1, sizeof(*o.alive));
	o.present = calloc(l->rs->n_peers + 1, sizeof(*o.present));
	o.killer = calloc(l->rs->n_peers + 1, sizeof(*o.killer));
	if (o.voided && o.alive && o.present && o.killer) {
		for (size_t i = 1; i < l->rs->n_classes && i < CLASSES_MAX; i++)
			check_class(&o, &l->rs->classes[i]);
		check_names(&o);
		if (l->rs->n_classes < CLASSES_MAX)
			report_dead(&o);
	}
	free(o.voided);
	free(o.alive);
	free(o.present);
	free(o.killer);
}
