/* SPDX-License-Identifier: Apache-2.0 */
/* Of the tables of two rulesets that differ in endpoints alone. */
#include <errno.h>

#include "policy/model.h"
#include "policy/emit.h"

#define HOST 128 /* bits of an address */

struct differ {
	const struct ex_tables *from, *to;
	struct ex_delta d;
	bool *steers; /* by class */
};

static bool same_rule(const struct ex_rule_entry *a, const struct ex_rule_entry *b)
{
	return a->klass == b->klass && a->prefix == b->prefix && a->proto == b->proto &&
	       a->port == b->port && memcmp(&a->value, &b->value, sizeof(a->value)) == 0;
}

/* Classes that were there are as they were: what is new comes behind. */
static int take_rules(struct differ *df)
{
	const struct ex_tables *from = df->from, *to = df->to;
	size_t n = to->n_rules - from->n_rules;

	if (to->n_classes != from->n_classes || to->n_rules < from->n_rules)
		return -ESTALE;
	for (size_t i = 0; i < from->n_rules; i++)
		if (!same_rule(&from->rules[i], &to->rules[i]))
			return -ESTALE;
	df->d.put.rules = calloc(n + 1, sizeof(*to->rules));
	df->steers = calloc((size_t)to->n_classes + 1, sizeof(*df->steers));
	if (!df->d.put.rules || !df->steers)
		return -ENOMEM;
	if (n)
		memcpy(df->d.put.rules, to->rules + from->n_rules, n * sizeof(*to->rules));
	df->d.put.n_rules = n;
	df->d.put.n_classes = to->n_classes;
	for (size_t i = 0; i < to->n_rules; i++)
		if (to->rules[i].klass <= to->n_classes)
			df->steers[to->rules[i].klass] |= to->rules[i].value.verdict == EX_V_STEER;
	return 0;
}

/* As both tables are sorted: IPv4 first. */
static int compare(const struct ex_dest_entry *a, const struct ex_dest_entry *b)
{
	const struct ex_prefix x = { a->ip, a->prefix }, y = { b->ip, b->prefix };

	if (ex_prefix_is4(&x) != ex_prefix_is4(&y))
		return ex_prefix_is4(&x) ? -1 : 1;
	return ex_prefix_cmp(&x, &y);
}

/* The class an address has where no entry is about it alone: of the last one that covers it. */
static void note(struct differ *df, const struct ex_dest_entry *e)
{
	df->d.steers |= e->klass <= df->to->n_classes && df->steers[e->klass];
}

static void note_around(struct differ *df, const struct ex_tables *t, size_t i,
			const struct ex_dest_entry *e)
{
	const struct ex_prefix at = { e->ip, e->prefix };

	while (i-- > 0) {
		const struct ex_prefix p = { t->dests[i].ip, t->dests[i].prefix };

		if (ex_prefix_is4(&p) == ex_prefix_is4(&at) && ex_prefix_covers(&p, &at)) {
			note(df, &t->dests[i]);
			return;
		}
	}
}

/* Both tables are walked together. */
static int take_dests(struct differ *df)
{
	const struct ex_tables *from = df->from, *to = df->to;
	struct ex_delta *d = &df->d;
	size_t i = 0, k = 0;

	d->put.dests = calloc(to->n_dests + 1, sizeof(*d->put.dests));
	d->gone = calloc(from->n_dests + 1, sizeof(*d->gone));
	if (!d->put.dests || !d->gone)
		return -ENOMEM;
	while (i < from->n_dests || k < to->n_dests) {
		const struct ex_dest_entry *was = i < from->n_dests ? &from->dests[i] : NULL;
		const struct ex_dest_entry *is = k < to->n_dests ? &to->dests[k] : NULL;
		int order = !was ? 1 : !is ? -1 : compare(was, is);
		const struct ex_dest_entry *one = order <= 0 ? was : is;

		i += order <= 0;
		k += order >= 0;
		if (order == 0 && was->klass == is->klass)
			continue;
		if (!one || one->prefix != HOST)
			return -ESTALE;
		if (order < 0) {
			d->gone[d->n_gone++] = *was;
			note_around(df, to, k, was);
		} else {
			d->put.dests[d->put.n_dests++] = *is;
		}
		if (order > 0)
			note_around(df, from, i, is);
		if (was && order <= 0)
			note(df, was);
		if (is && order >= 0)
			note(df, is);
	}
	return 0;
}

int ex_tables_delta(const struct ex_tables *from, const struct ex_tables *to, struct ex_delta *ret)
{
	struct differ df = { .from = from, .to = to };
	int r = take_rules(&df);

	if (r == 0)
		r = take_dests(&df);
	free(df.steers);
	if (r < 0) {
		ex_delta_done(&df.d);
		return r;
	}
	*ret = df.d;
	return 0;
}

void ex_delta_done(struct ex_delta *d)
{
	ex_tables_done(&d->put);
	free(d->gone);
	*d = (struct ex_delta){ 0 };
}
