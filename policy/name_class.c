/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of addresses learned from DNS: the set of toFQDNs peers that their names match. */
#include "policy/emit_class.h"

#include <errno.h>

struct ex_name_classes {
	struct ex_ruleset *rs;
	EX_VEC(struct ex_class) classes; /* peers on the heap */
	uint32_t base;                   /* id of the first one */
	uint32_t *scratch;
	size_t cap;
	struct ex_rule_sink last; /* entries of the newest */
};

int ex_name_classes_new(struct ex_ruleset *rs, struct ex_name_classes **ret)
{
	struct ex_name_classes *nc = calloc(1, sizeof(*nc));

	if (!nc)
		return -ENOMEM;
	nc->rs = ex_ruleset_ref(rs);
	nc->base = ex_class_room(rs) + 1; /* after ex_tables.n_classes */
	nc->last.names = true;
	*ret = nc;
	return 0;
}

void ex_name_classes_free(struct ex_name_classes *nc)
{
	if (!nc)
		return;
	for (size_t i = 0; i < nc->classes.n; i++)
		free((void *)(uintptr_t)nc->classes.v[i].peers);
	free(nc->classes.v);
	free(nc->last.rules.v);
	free(nc->scratch);
	ex_ruleset_unref(nc->rs);
	free(nc);
}

bool ex_name_selects(const struct ex_ruleset *rs, const struct ex_ip *ip)
{
	return !ex_ruleset_class(rs, ip)->closed;
}

static int cmp_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The peers of all names, ascending, each once, in scratch. */
static int match_peers(struct ex_name_classes *nc, const struct ex_span *names, size_t n,
		       size_t *ret)
{
	size_t found = 0, kept = 0;

	for (size_t i = 0; i < n; i++) {
		const struct ex_name_slot *slot;
		struct ex_name_iter it;

		ex_name_find(&nc->rs->name_index, names[i], &it);
		while ((slot = ex_name_next(&it))) {
			if (!ex_vec_reserve(&nc->scratch, &nc->cap, found, sizeof(*nc->scratch)))
				return -ENOMEM;
			nc->scratch[found++] = slot->peer;
		}
	}
	if (found)
		qsort(nc->scratch, found, sizeof(*nc->scratch), cmp_u32);
	for (size_t i = 0; i < found; i++) {
		if (kept == 0 || nc->scratch[kept - 1] != nc->scratch[i])
			nc->scratch[kept++] = nc->scratch[i];
	}
	*ret = kept;
	return 0;
}

static uint32_t find_class(const struct ex_name_classes *nc, size_t n)
{
	for (size_t i = 0; i < nc->classes.n; i++) {
		const struct ex_class *c = &nc->classes.v[i];

		if (c->n_peers == n && memcmp(c->peers, nc->scratch, n * sizeof(*c->peers)) == 0)
			return nc->base + (uint32_t)i;
	}
	return 0;
}

static int add_class(struct ex_name_classes *nc, size_t n, uint32_t *ret)
{
	uint32_t klass = nc->base + (uint32_t)nc->classes.n, *peers;
	struct ex_class *c;
	int r;

	if (nc->classes.n >= EX_NAME_CLASSES_MAX)
		return -ENOSPC;
	peers = calloc(n, sizeof(*peers));
	if (!peers)
		return -ENOMEM;
	memcpy(peers, nc->scratch, n * sizeof(*peers));
	c = EX_VEC_ADD(&nc->classes);
	if (!c) {
		free(peers);
		return -ENOMEM;
	}
	c->peers = peers;
	c->n_peers = n;
	r = ex_emit_class(nc->rs, c, klass, &nc->last);
	if (r < 0) {
		free(peers);
		nc->classes.n--;
		return r;
	}
	*ret = klass;
	return 0;
}

void ex_name_class_undo(struct ex_name_classes *nc)
{
	if (!nc->last.rules.n)
		return; /* none was */
	free((void *)(uintptr_t)nc->classes.v[--nc->classes.n].peers);
	nc->last.rules.n = 0;
}

int ex_name_class(struct ex_name_classes *nc, const struct ex_span *names, size_t n,
		  uint32_t *ret_class, struct ex_tables *ret_new)
{
	uint32_t klass = 0;
	size_t found;
	int r;

	nc->last.rules.n = 0;
	r = match_peers(nc, names, n, &found);
	if (r < 0)
		return r;
	if (found) {
		klass = find_class(nc, found);
		if (!klass) {
			r = add_class(nc, found, &klass);
			if (r < 0)
				return r;
		}
	}
	*ret_class = klass;
	*ret_new = (struct ex_tables){ .rules = nc->last.rules.v, .n_rules = nc->last.rules.n };
	return 0;
}

/* ---- how many there may be ---- */

static int add_spelled(struct ex_name_classes *nc, const struct ex_rpeer *peer, size_t *n_rules)
{
	int r = 0;

	for (size_t i = 0; i < peer->n_names && r == 0; i++) {
		const struct ex_name_pattern *p = &peer->names[i];
		const struct ex_span name = { p->text, p->len };
		struct ex_tables fresh = { 0 };
		uint32_t klass;

		if (p->kind == EX_NAME_EXACT)
			r = ex_name_class(nc, &name, 1, &klass, &fresh);
		*n_rules += fresh.n_rules;
	}
	return r;
}

int ex_name_classes_fit(struct ex_ruleset *rs, size_t max_rules, uint32_t *ret_rule)
{
	struct ex_name_classes *nc;
	size_t n_rules = 0;
	int r = ex_name_classes_new(rs, &nc);

	*ret_rule = 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < rs->n_name_peers && r == 0; i++) {
		const struct ex_rpeer *peer = &rs->peers[rs->name_peers[i]];

		r = add_spelled(nc, peer, &n_rules);
		if (r == 0 && n_rules > max_rules)
			r = -EDQUOT;
		if (peer->n_terms)
			*ret_rule = peer->terms[0].rule;
	}
	ex_name_classes_free(nc);
	return r;
}
