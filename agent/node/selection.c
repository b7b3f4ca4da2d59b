/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/learn/policy.h"
#include "agent/node/selection.h"

static int add(struct ex_selection *s, struct ex_policy_file *file, uint32_t spec)
{
	struct ex_selected *at = EX_VEC_ADD(&s->v);

	if (!at)
		return -ENOMEM;
	*at = (struct ex_selected){ ex_policy_file_ref(file), spec };
	return 0;
}

static int add_file(struct ex_selection *s, struct ex_policy_file *file,
		    const struct ex_label_set *labels)
{
	size_t n = ex_selects_count(file->selects);
	int r = 0;

	if (ex_selects_is_shared(file->selects))
		r = add(s, file, UINT32_MAX);
	for (size_t i = 0; i < n && r == 0; i++)
		if (ex_selects_match(file->selects, i, labels))
			r = add(s, file, (uint32_t)i);
	return r;
}

static void add_served(struct ex_selection *s, const struct ex_node_endpoint *e)
{
	for (size_t i = 0; i < e->n_serve; i++)
		s->served[s->n_served++] = (struct ex_served){ .proto = e->serve[i].proto,
							       .lo = e->serve[i].port,
							       .hi = e->serve[i].port };
}

int ex_selection_make(const struct ex_policy_files *files, const struct ex_node_config *config,
		      const struct ex_node_endpoint *e, struct ex_selection *ret)
{
	const struct ex_label_set labels = { e->labels, e->n_labels };
	struct ex_selection s = { .allow_unselected = config->unselected_allow && !e->confined,
				  .learning = e->learning };
	int r = 0;

	memcpy(s.dns, e->dns, e->n_dns * sizeof(*e->dns));
	s.n_dns = e->n_dns;
	add_served(&s, e);
	for (size_t i = 0; i < files->files.n && r == 0 && !s.learning; i++)
		r = add_file(&s, files->files.v[i], &labels);
	if (r < 0) {
		ex_selection_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void ex_selection_done(struct ex_selection *s)
{
	for (size_t i = 0; i < s->v.n; i++)
		ex_policy_file_unref(s->v.v[i].file);
	free(s->v.v);
	*s = (struct ex_selection){ 0 };
}

static bool served_equal(const struct ex_selection *a, const struct ex_selection *b)
{
	if (a->n_served != b->n_served)
		return false;
	for (size_t i = 0; i < a->n_served; i++)
		if (a->served[i].proto != b->served[i].proto ||
		    a->served[i].lo != b->served[i].lo || a->served[i].hi != b->served[i].hi)
			return false;
	return true;
}

bool ex_selection_equal(const struct ex_selection *a, const struct ex_selection *b)
{
	if (a->v.n != b->v.n || a->n_dns != b->n_dns || a->learning != b->learning ||
	    a->allow_unselected != b->allow_unselected)
		return false;
	if (!served_equal(a, b))
		return false;
	for (size_t i = 0; i < a->v.n; i++)
		if (a->v.v[i].file != b->v.v[i].file || a->v.v[i].spec != b->v.v[i].spec)
			return false;
	return memcmp(a->dns, b->dns, a->n_dns * sizeof(*a->dns)) == 0;
}

/* Into to: of the file of the i-th, and of those behind it, what they are about. */
static int copy_text(const struct ex_selection *s, size_t i, char *to, size_t *ret_next)
{
	const struct ex_policy_file *file = s->v.v[i].file;
	struct ex_span text = file->text.text;
	EX_AUTO_FREE uint8_t *wanted = calloc(ex_selects_count(file->selects) + 1, sizeof(*wanted));

	if (!wanted)
		return -ENOMEM;
	for (; i < s->v.n && s->v.v[i].file == file; i++)
		if (s->v.v[i].spec != UINT32_MAX)
			wanted[s->v.v[i].spec] = 1;
	if (text.len)
		memcpy(to, text.ptr, text.len);
	ex_selects_blank(file->selects, wanted, to, text.len);
	*ret_next = i;
	return 0;
}

static size_t count_bytes(const struct ex_selection *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->v.n; i++)
		if (i == 0 || s->v.v[i].file != s->v.v[i - 1].file)
			n += s->v.v[i].file->text.text.len;
	return n;
}

struct ex_text *ex_selection_texts(const struct ex_selection *s, size_t *ret_n)
{
	struct ex_text *texts = calloc(1, (s->v.n + 1) * sizeof(*texts) + count_bytes(s));
	char *to = texts ? (char *)(texts + s->v.n + 1) : NULL;
	size_t n = 0;

	if (!texts)
		return NULL;
	if (s->learning)
		texts[n++] = ex_learn_policy;
	for (size_t i = 0; i < s->v.n; n++) {
		const struct ex_text *whole = &s->v.v[i].file->text;

		texts[n] = (struct ex_text){ whole->name, { to, whole->text.len } };
		if (copy_text(s, i, to, &i) < 0) {
			free(texts);
			return NULL;
		}
		to += whole->text.len;
	}
	*ret_n = n;
	return texts;
}
