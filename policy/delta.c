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

static bool covers(const struct ex_dest_entry *outer, const struct ex_dest_entry *inner)
{
	const struct ex_prefix x = { outer->ip, outer->prefix }, y = { inner->ip, inner->prefix };

	return ex_prefix_is4(&x) == ex_prefix_is4(&y) && ex_prefix_covers(&x, &y);
}

/*
 * Index + 1 of the last one of the first n entries that covers e, which comes behind them; 0: there
 * is none. outer: the same of each of these.
 */
static uint32_t find_outer(const struct ex_tables *t, const uint32_t *outer, size_t n,
			   const struct ex_dest_entry *e)
{
	uint32_t i = (uint32_t)n;

	while (i && !covers(&t->dests[i - 1], e))
		i = outer[i - 1];
	return i;
}

static uint32_t *find_all_outer(const struct ex_tables *t)
{
	uint32_t *outer = calloc(t->n_dests + 1, sizeof(*outer));

	for (size_t i = 0; outer && i < t->n_dests; i++)
		outer[i] = find_outer(t, outer, i, &t->dests[i]);
	return outer;
}

static void note(struct differ *df, const struct ex_dest_entry *e)
{
	df->d.steers |= e->klass <= df->to->n_classes && df->steers[e->klass];
}

/* The class an address has where no entry is about it alone. */
static void note_around(struct differ *df, const struct ex_tables *t, const uint32_t *outer,
			size_t n, const struct ex_dest_entry *e)
{
	uint32_t i = find_outer(t, outer, n, e);

	if (i)
		note(df, &t->dests[i - 1]);
}

/* Both tables are walked together. */
static int take_dests(struct differ *df)
{
	const struct ex_tables *from = df->from, *to = df->to;
	EX_AUTO_FREE uint32_t *outer_was = find_all_outer(from), *outer_is = find_all_outer(to);
	struct ex_delta *d = &df->d;
	size_t i = 0, k = 0;

	d->put.dests = calloc(to->n_dests + 1, sizeof(*d->put.dests));
	d->gone = calloc(from->n_dests + 1, sizeof(*d->gone));
	if (!d->put.dests || !d->gone || !outer_was || !outer_is)
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
			note_around(df, to, outer_is, k, was);
		} else {
			d->put.dests[d->put.n_dests++] = *is;
		}
		if (order > 0)
			note_around(df, from, outer_was, i, is);
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
