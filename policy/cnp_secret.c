/* SPDX-License-Identifier: Apache-2.0 */
/* What rules mean by {namespace, name}. */
#include "policy/cnp.h"
#include "policy/secret.h"

#include <errno.h>

static void read_namespace(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	((struct ex_secret_ref *)out)->ns = ex_decode_text(d, n);
}

static void read_name(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	((struct ex_secret_ref *)out)->name = ex_decode_text(d, n);
}

void ex_read_secret_ref(struct ex_decoder *d, const struct ex_node *n, struct ex_secret_ref *ret)
{
	static const struct ex_field fields[] = {
		{ "namespace", read_namespace, NULL, NULL },
		{ "name", read_name, NULL, NULL },
	};

	if (ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), ret) && !ret->name)
		ex_decode_error(d, n, "write secret: {namespace: NS, name: NAME}",
				"needs the field name");
}

/* False: no memory. */
static bool copy_ref(struct ex_arena *a, const struct ex_secret_ref *ref, struct ex_secret *to)
{
	to->ns = ex_arena_strndup(a, ref->ns, strlen(ref->ns));
	to->name = ex_arena_strndup(a, ref->name, strlen(ref->name));
	to->item = ref->item ? ex_arena_strndup(a, ref->item, strlen(ref->item)) : NULL;
	to->key = ref->key;
	return to->ns && to->name && !to->item == !ref->item;
}

const struct ex_secret *ex_policy_secret(struct ex_decoder *d, struct ex_policy_set *set,
					 const struct ex_secret_ref *ref, int *ret_err,
					 const char **why)
{
	struct ex_secret *slot, found = { 0 };
	bool copied;

	*ret_err = 0;
	for (size_t i = 0; i < set->secrets.n; i++)
		if (ex_secret_is(&set->secrets.v[i], ref))
			return &set->secrets.v[i];
	*ret_err = ex_secret_find(set->in, ref, &found.value, why);
	if (*ret_err < 0)
		return NULL;
	copied = copy_ref(d->arena, ref, &found);
	slot = EX_VEC_ADD(&set->secrets);
	if (!slot || !copied) {
		if (slot)
			set->secrets.n--;
		explicit_bzero((void *)(uintptr_t)found.value.ptr, found.value.len);
		free((void *)(uintptr_t)found.value.ptr);
		*ret_err = -ENOMEM;
		return NULL;
	}
	*slot = found;
	return slot;
}
