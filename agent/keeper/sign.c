/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of client certificates (originatingTLS), which the proxy has only the public half of. It
 * may have signed with those of the policy in force.
 */
#include "agent/core/pack.h"
#include "agent/keeper/keeper_priv.h"

int ex_keeper_signer_new(const struct ex_ruleset *rs, struct ex_signer **ret)
{
	struct ex_signer *s;
	int r = ex_signer_new(&s);

	if (r < 0)
		return r;
	for (const struct ex_origin *o = ex_ruleset_origins(rs); o && r == 0; o = o->next)
		if (o->key.len)
			r = ex_signer_add(s, o->chain, o->key);
	if (r < 0) {
		ex_signer_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int ex_worker_sign(struct ex_worker *w, const struct ex_ipc_sign *msg)
{
	struct ex_ipc_signed answer = { .head = { EX_IPC_SIGNED, msg->head.id } };
	int n = ex_signer_sign(w->keeper->signer, &msg->req, answer.sig);

	answer.err = n < 0 ? n : 0;
	answer.len = n < 0 ? 0 : (uint32_t)n;
	return ex_ipc_send(w->ipc, &answer, sizeof(answer), -1, false);
}

/* ---- in another program of the same process ---- */

/* The bundle, which that compiles, is without them. */
void ex_keeper_pack_keys(const struct ex_keeper *k, struct ex_pack *p)
{
	size_t n = ex_signer_count(k->signer);
	uint8_t id[EX_KEY_ID_LEN], der[EX_KEY_DER_MAX];

	ex_pack_u32(p, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		int len = ex_signer_give(k->signer, i, id, der);

		if (len < 0)
			p->err = len;
		ex_pack_bytes(p, id, sizeof(id));
		ex_pack_span(p, (struct ex_span){ (const char *)der, len > 0 ? (size_t)len : 0 });
	}
	explicit_bzero(der, sizeof(der));
}

int ex_keeper_unpack_keys(struct ex_unpack *u, struct ex_keeper *k)
{
	size_t n = ex_unpack_count(u, EX_KEY_ID_LEN + sizeof(uint32_t));
	uint8_t id[EX_KEY_ID_LEN];
	int r = ex_signer_new(&k->signer);

	for (size_t i = 0; i < n && r == 0; i++) {
		ex_unpack_bytes(u, id, sizeof(id));
		r = ex_signer_take(k->signer, id, ex_unpack_span(u));
	}
	return r;
}
