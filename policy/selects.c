/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/selects.h"

#include <errno.h>

#include "policy/cnp.h"

struct ex_selects {
	struct ex_arena arena;
	struct ex_policy_set set;
};

/*
 * A namespaced policy is for workloads of its namespace. A workload that says nothing about its
 * namespace (a command run by hand) is taken to be in the policy's.
 */
static bool spec_selects(const struct ex_spec *spec, const struct ex_label_set *labels)
{
	const char *ns = ex_label_get(labels, EX_LABEL_NAMESPACE);

	if (!spec->clusterwide && ns && strcmp(ns, spec->ns) != 0)
		return false;
	return ex_selector_match(spec->endpoints, labels);
}

int ex_policy_choose_for(struct ex_policy_set *set, const struct ex_compile_input *in)
{
	struct ex_label *v =
		ex_arena_alloc(set->arena, in->n_labels + EX_LABELS_IMPLIED, sizeof(*v));
	size_t n = in->n_labels;

	if (!v)
		return -ENOMEM;
	if (n)
		memcpy(v, in->labels, n * sizeof(*v));
	set->labels = (struct ex_label_set){ v, n };
	ex_labels_imply(v, &set->labels.n, ex_label_get(&set->labels, EX_LABEL_NAMESPACE));
	set->in = in;
	return 0;
}

bool ex_policy_chooses(const struct ex_policy_set *set, const struct ex_spec *spec)
{
	const struct ex_compile_input *in = set->in;

	if (!in || !spec->endpoints)
		return false;
	if (in->chosen)
		return set->specs.n < in->chosen->n && in->chosen->v[set->specs.n];
	return in->n_labels == 0 || spec_selects(spec, &set->labels);
}

static int decode(struct ex_selects *s, const struct ex_text *text, struct ex_diags *diags)
{
	struct ex_decoder d = { .arena = &s->arena, .diags = diags };
	const char *name = ex_arena_strndup(&s->arena, text->name, strlen(text->name));
	struct ex_arena tree = { 0 };
	struct ex_docs docs = { 0 };
	int r = name ? ex_yaml_parse(text->text.ptr, text->text.len, name, &tree, diags, &docs)
		     : -ENOMEM;

	if (r == 0 && docs.n == 0) {
		ex_diag_add(diags, (struct ex_pos){ name, 0, 0 }, false,
			    "write a CiliumNetworkPolicy", "has no policy in it");
		r = -EINVAL;
	}
	if (r == 0)
		ex_policy_read(&d, &docs, &s->set);
	if (r == 0 && d.n_errors)
		r = -EINVAL;
	if (tree.oom || s->arena.oom)
		r = -ENOMEM;
	free(docs.v);
	ex_arena_done(&tree);
	return r;
}

int ex_selects_read(const struct ex_text *text, struct ex_selects **ret, struct ex_diags *diags)
{
	struct ex_selects *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->set.arena = &s->arena;
	r = decode(s, text, diags);
	if (r < 0) {
		ex_selects_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void ex_selects_free(struct ex_selects *s)
{
	if (!s)
		return;
	ex_policy_set_done(&s->set);
	ex_arena_done(&s->arena);
	free(s);
}

size_t ex_selects_count(const struct ex_selects *s)
{
	return s->set.specs.n;
}

bool ex_selects_match(const struct ex_selects *s, size_t i, const struct ex_label_set *labels)
{
	return spec_selects(&s->set.specs.v[i], labels);
}

bool ex_selects_is_shared(const struct ex_selects *s)
{
	return s->set.groups.n > 0;
}

/* ---- what is not for somebody ---- */

struct cursor { /* in UTF-8 */
	char *text;
	size_t len, at;
	uint32_t characters; /* before it */
	char *first;         /* blank that was made of something else */
};

/* What YAML breaks a line by, beside LF and CR: NEL, LS, PS. */
static bool is_break(const char *s, size_t left)
{
	return *s == '\n' || *s == '\r' || (left >= 2 && memcmp(s, "\xc2\x85", 2) == 0) ||
	       (left >= 3 &&
		(memcmp(s, "\xe2\x80\xa8", 3) == 0 || memcmp(s, "\xe2\x80\xa9", 3) == 0));
}

static void go_to(struct cursor *c, uint32_t character, bool blank)
{
	while (c->at < c->len && c->characters < character) {
		bool keep = !blank || is_break(c->text + c->at, c->len - c->at) ||
			    strchr(" \t", c->text[c->at]);

		if (!keep && !c->first)
			c->first = c->text + c->at;
		do {
			c->text[c->at] = keep ? c->text[c->at] : ' ';
			c->at++;
		} while (c->at < c->len && ((unsigned char)c->text[c->at] & 0xc0) == 0x80);
		c->characters++;
	}
}

void ex_selects_blank(const struct ex_selects *s, const uint8_t *wanted, char *text, size_t len)
{
	bool mark = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0; /* it is not counted */
	struct cursor c = { .text = text, .len = len, .at = mark ? 3 : 0 };
	size_t n = s->set.specs.n;

	for (size_t i = 0, next; i < n; i = next) {
		const struct ex_spec *spec = &s->set.specs.v[i];
		bool any = false;

		for (next = i; next < n && s->set.specs.v[next].from == spec->from; next++)
			any |= wanted[next];
		if (any)
			continue;
		c.first = NULL;
		go_to(&c, spec->from, false);
		go_to(&c, spec->to, true);
		if (c.first)
			*c.first =
				'~'; /* null: something has to be there before a "..." or a ',' */
	}
}
