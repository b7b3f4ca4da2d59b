/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/cni/identity.h"

#define ANNOTATION "exeat.dev/labels"

int ex_cni_label_add(struct ex_cni_identity *id, struct ex_span key, struct ex_span value,
		     struct ex_cni_error *err)
{
	struct ex_label *l = &id->labels[id->n_labels];

	for (size_t i = 0; i < id->n_labels; i++)
		if (ex_span_eq(ex_span_str(id->labels[i].key), key))
			return 0;
	if (id->n_labels == EX_CNI_LABELS_MAX)
		return ex_cni_fail(err, EX_CNI_BAD_CONFIG, NULL, "more than %d labels",
				   EX_CNI_LABELS_MAX);
	l->key = ex_arena_strndup(&id->arena, key.ptr, key.len);
	l->value = ex_arena_strndup(&id->arena, value.ptr, value.len);
	if (!l->key || !l->value)
		return ex_cni_fail(err, EX_CNI_IO, NULL, "out of memory");
	id->n_labels++;
	return 0;
}

struct label_reader {
	struct ex_cni_identity *id;
	struct ex_cni_error *err;
};

static int bad_label(struct ex_cni_error *err, const char *where)
{
	return ex_cni_fail(err, EX_CNI_BAD_CONFIG, where, "labels have to be strings");
}

static int read_member(void *arg, const char *key, const struct ex_jv *v)
{
	struct label_reader *lr = arg;
	const char *value = ex_jv_text(v);

	if (!value)
		return bad_label(lr->err, key);
	return ex_cni_label_add(lr->id, ex_span_str(key), ex_span_str(value), lr->err);
}

/* [{"key": "app", "value": "web"}], as CNI's conventions write labels in args.cni. */
static int read_pairs(struct ex_cni_identity *id, const struct ex_jv *list,
		      struct ex_cni_error *err)
{
	int r = 0;

	for (size_t i = 0; i < ex_jv_count(list) && r == 0; i++) {
		const char *key = ex_jv_string(ex_jv_at(list, i), "key");
		const char *value = ex_jv_string(ex_jv_at(list, i), "value");

		r = key && value ? ex_cni_label_add(id, ex_span_str(key), ex_span_str(value), err)
				 : bad_label(err, "args.cni.labels");
	}
	return r;
}

/* Either form. */
static int read_labels(struct ex_cni_identity *id, const struct ex_jv *v, struct ex_cni_error *err)
{
	struct label_reader lr = { id, err };
	int r;

	/* Labels lost may be what a denial selects. */
	if (v && !ex_jv_is_array(v) && !ex_jv_is_object(v))
		return bad_label(err, "write {\"KEY\": \"VALUE\"}");
	r = read_pairs(id, v, err);
	return r < 0 ? r : ex_jv_each(v, read_member, &lr);
}

static struct ex_span trim(struct ex_span s)
{
	while (s.len && strchr(" \t\n", s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && strchr(" \t\n", s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* "app=web, tier=front" */
static int read_list(struct ex_cni_identity *id, const char *text, struct ex_cni_error *err)
{
	int r = 0;

	while (text && *text && r == 0) {
		struct ex_span item = { text, strcspn(text, ",") };
		const char *equals = memchr(item.ptr, '=', item.len);

		text += item.len + (text[item.len] == ',');
		item = trim(item);
		if (!item.len)
			continue;
		if (!equals)
			return ex_cni_fail(err, EX_CNI_BAD_CONFIG, "KEY=VALUE,KEY=VALUE",
					   "annotation " ANNOTATION " is not a list of labels");
		r = ex_cni_label_add(
			id, trim((struct ex_span){ item.ptr, (size_t)(equals - item.ptr) }),
			trim((struct ex_span){ equals + 1,
					       (size_t)(item.ptr + item.len - equals - 1) }),
			err);
	}
	return r;
}

/* The value of a key in "K=V;K=V"; what else is there is for other plugins. */
static const char *find_arg(struct ex_cni_identity *id, const char *args, const char *key)
{
	size_t n = strlen(key);

	while (*args) {
		size_t len = strcspn(args, ";");

		if (len > n && args[n] == '=' && memcmp(args, key, n) == 0 && len > n + 1)
			return ex_arena_strndup(&id->arena, args + n + 1, len - n - 1);
		args += len + (args[len] == ';');
	}
	return NULL;
}

/* A pod has one name; each of its interfaces is an endpoint of its own. */
static int read_names(struct ex_cni_identity *id, const struct ex_cni_request *rq,
		      struct ex_cni_error *err)
{
	const char *pod = find_arg(id, rq->args, "K8S_POD_NAME");
	const char *fixed = ex_jv_string(rq->conf, "namespace");

	if (ex_jv_get(rq->conf, "namespace") && !fixed)
		return ex_cni_fail(err, EX_CNI_BAD_CONFIG, NULL, "namespace must be a string");
	id->ns = find_arg(id, rq->args, "K8S_POD_NAMESPACE");
	if (!id->ns)
		id->ns = fixed ? fixed : "default";
	id->name = ex_arena_printf(&id->arena, strcmp(rq->ifname, "eth0") == 0 ? "%.*s" : "%.*s-%s",
				   pod ? 253 : 12, pod ? pod : rq->container, rq->ifname);
	return id->name ? 0 : ex_cni_fail(err, EX_CNI_IO, NULL, "out of memory");
}

int ex_cni_identify(struct ex_cni_identity *id, const struct ex_cni_request *rq,
		    struct ex_cni_error *err)
{
	const struct ex_jv *runtime = ex_jv_get(rq->conf, "runtimeConfig");
	const struct ex_jv *notes = ex_jv_get(runtime, "io.kubernetes.cri.pod-annotations");
	const struct ex_jv *args = ex_jv_get(ex_jv_get(rq->conf, "args"), "cni");
	int r;

	*id = (struct ex_cni_identity){ 0 };
	r = read_names(id, rq, err);
	if (r == 0)
		r = read_labels(id, ex_jv_get(rq->conf, "labels"), err);
	if (r == 0)
		r = read_labels(id, ex_jv_get(runtime, "labels"), err);
	if (r == 0 && ex_jv_get(notes, ANNOTATION) && !ex_jv_string(notes, ANNOTATION))
		r = bad_label(err, "annotation " ANNOTATION);
	if (r == 0)
		r = read_list(id, ex_jv_string(notes, ANNOTATION), err);
	if (r == 0)
		r = read_labels(id, ex_jv_get(args, "labels"), err);
	if (r == 0 && rq->from_podman)
		r = ex_cni_labels_of_podman(id, rq, err);
	return r;
}

void ex_cni_identity_done(struct ex_cni_identity *id)
{
	ex_arena_done(&id->arena);
}
