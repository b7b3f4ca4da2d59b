/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include <jansson.h>

#include "agent/core/json_read.h"

/* A value is jansson's own; the name only hides it. */
static const json_t *value(const struct ex_jv *v)
{
	return (const json_t *)v;
}

static const struct ex_jv *wrap(const json_t *v)
{
	return (const struct ex_jv *)v;
}

int ex_jv_read(struct ex_span text, struct ex_jv **ret, char err[static EX_JV_ERROR_MAX])
{
	json_error_t e;
	json_t *tree = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &e);

	if (!tree) {
		if (json_error_code(&e) == json_error_out_of_memory)
			return -ENOMEM;
		snprintf(err, EX_JV_ERROR_MAX, "line %d, column %d: %s", e.line, e.column, e.text);
		return -EBADMSG;
	}
	if (!json_is_object(tree)) {
		json_decref(tree);
		snprintf(err, EX_JV_ERROR_MAX, "not an object");
		return -EBADMSG;
	}
	*ret = (struct ex_jv *)tree;
	return 0;
}

void ex_jv_free(struct ex_jv *tree)
{
	json_decref((json_t *)tree);
}

const struct ex_jv *ex_jv_get(const struct ex_jv *v, const char *key)
{
	return wrap(json_object_get(value(v), key));
}

const char *ex_jv_string(const struct ex_jv *v, const char *key)
{
	return ex_jv_text(ex_jv_get(v, key));
}

const char *ex_jv_word(const struct ex_jv *v, const char *key)
{
	const char *s = ex_jv_string(v, key);

	return s ? s : "";
}

bool ex_jv_integer(const struct ex_jv *v, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	const json_t *n = value(ex_jv_get(v, key));
	int64_t number = json_integer_value(n);

	if (!json_is_integer(n) || number < min || number > max)
		return false;
	*ret = number;
	return true;
}

bool ex_jv_bool(const struct ex_jv *v, const char *key, bool otherwise)
{
	const json_t *b = value(ex_jv_get(v, key));

	return json_is_boolean(b) ? json_is_true(b) : otherwise;
}

const char *ex_jv_text(const struct ex_jv *v)
{
	return json_string_value(value(v));
}

bool ex_jv_is_array(const struct ex_jv *v)
{
	return json_is_array(value(v));
}

bool ex_jv_is_object(const struct ex_jv *v)
{
	return json_is_object(value(v));
}

size_t ex_jv_count(const struct ex_jv *v)
{
	return json_array_size(value(v));
}

const struct ex_jv *ex_jv_at(const struct ex_jv *v, size_t i)
{
	return wrap(json_array_get(value(v), i));
}

int ex_jv_each(const struct ex_jv *v, int (*fn)(void *arg, const char *key, const struct ex_jv *v),
	       void *arg)
{
	json_t *object = (json_t *)(uintptr_t)v; /* the walk takes no const; it changes nothing */
	const char *key;
	json_t *member;
	int r;

	json_object_foreach(object, key, member)
	{
		r = fn(arg, key, wrap(member));
		if (r)
			return r;
	}
	return 0;
}

char *ex_jv_print(const struct ex_jv *v)
{
	return json_dumps(value(v), JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
}
