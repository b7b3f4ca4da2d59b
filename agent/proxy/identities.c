/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/identities.h"

#include <errno.h>

#include "agent/tls/identity.h"

static int add(struct ex_tls *tls, const struct ex_origin *o, struct ex_identities *ids)
{
	int number = ex_tls_identity_add(tls, o->chain, o->roots);

	if (number == 0 || o->index >= ids->n)
		return -EBADMSG;
	if (number > 0)
		ids->v[o->index] = (uint32_t)number;
	return number < 0 ? number : 0;
}

int ex_identities_new(struct ex_tls *tls, const struct ex_ruleset *rs, struct ex_identities *ret)
{
	const struct ex_origin *first = ex_ruleset_origins(rs);
	struct ex_identities ids = { .n = first ? first->index + 1 : 0 };
	int r = 0;

	ids.v = calloc(ids.n + 1, sizeof(*ids.v));
	if (!ids.v)
		return -ENOMEM;
	for (const struct ex_origin *o = first; o && r == 0; o = o->next)
		r = add(tls, o, &ids);
	if (r < 0) {
		free(ids.v);
		return r;
	}
	*ret = ids;
	return 0;
}

void ex_identities_swap(struct ex_tls *tls, struct ex_identities *old, struct ex_identities *with)
{
	free(old->v);
	*old = *with;
	*with = (struct ex_identities){ 0 };
	ex_tls_identities_keep(tls, old->v, old->n);
}

int ex_identity_sign(struct ex_ask *ask, struct ex_side *s, ex_ask_fn fn, void *arg)
{
	const struct ex_sign_request *req = ex_tls_wants_signature(s->tls);
	union ex_ipc_message msg = { .sign = { .head.type = EX_IPC_SIGN } };
	int r;

	if (!req || s->signing)
		return 0;
	msg.sign.req = *req;
	r = ex_ask_send(ask, &msg, fn, arg);
	s->signing = r == 0;
	return r;
}

void ex_identity_signed(struct ex_side *s, const union ex_ipc_message *answer, int fd)
{
	const struct ex_ipc_signed *msg = &answer->signature;
	bool good = answer->head.type == EX_IPC_SIGNED && msg->err == 0 && msg->len &&
		    msg->len <= sizeof(msg->sig);

	if (fd >= 0)
		close(fd);
	s->signing = false;
	if (s->tls)
		ex_tls_give_signature(s->tls, good ? msg->sig : NULL, good ? msg->len : 0);
}
