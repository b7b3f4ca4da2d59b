/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "agent/keeper/keeper_priv.h"
#include "agent/tls/hmac.h"

/* ---- life ---- */

static int start_all(struct ex_keeper *k)
{
	int r = 0;

	for (unsigned i = 0; i < k->n_workers && r == 0; i++)
		if (!k->workers[i].pid)
			r = ex_worker_start(&k->workers[i]);
	return r;
}

static void stop_all(struct ex_keeper *k)
{
	for (unsigned i = 0; i < k->n_workers; i++)
		ex_worker_stop(&k->workers[i]);
}

static int take_policy(struct ex_keeper *k, struct ex_ruleset *rs, int bundle)
{
	int r;

	k->rs = ex_ruleset_ref(rs);
	k->bundle = fcntl(bundle, F_DUPFD_CLOEXEC, 0);
	if (k->bundle < 0)
		return -errno;
	r = ex_keeper_signer_new(rs, &k->signer);
	return r < 0 ? r : ex_name_classes_new(rs, &k->classes);
}

static void init(struct ex_keeper *k, const struct ex_keeper_config *config)
{
	k->cfg = *config;
	k->moved.fn = ex_keeper_on_moved;
	k->bundle = -1;
	ex_audit_limit_init(&k->limit, config->loop, ex_keeper_tell_left_out);
	k->n_workers = config->workers ? config->workers : 1;
	if (k->n_workers > EX_WORKERS_MAX)
		k->n_workers = EX_WORKERS_MAX;
	for (unsigned i = 0; i < k->n_workers; i++)
		ex_worker_init(&k->workers[i], k, i);
}

int ex_keeper_alloc(const struct ex_keeper_config *config, struct ex_keeper **ret)
{
	struct ex_keeper *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	init(k, config);
	r = ex_keeper_names_open(k);
	if (r < 0) {
		ex_keeper_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

int ex_keeper_new(const struct ex_keeper_config *config, struct ex_ruleset *rs, int bundle,
		  struct ex_keeper **ret)
{
	struct ex_keeper *k;
	int r = ex_keeper_alloc(config, &k);

	if (r < 0)
		return r;
	r = take_policy(k, rs, bundle);
	if (r == 0)
		r = ex_random(k->secret, sizeof(k->secret));
	if (r == 0)
		r = ex_keeper_names_recall(k);
	if (r == 0)
		r = start_all(k);
	if (r < 0) {
		ex_keeper_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

void ex_keeper_free(struct ex_keeper *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < k->n_workers; i++)
		ex_ring_unmap(&k->workers[i].ring); /* nobody listens any more */
	stop_all(k);
	ex_audit_limit_stop(&k->limit);
	ex_timer_stop(k->cfg.loop, &k->moved);
	ex_name_classes_free(k->classes);
	ex_signer_free(k->signer);
	if (k->names)
		ex_keeper_names_close(k);
	ex_ruleset_unref(k->rs);
	if (k->bundle >= 0)
		close(k->bundle);
	explicit_bzero(k->secret, sizeof(k->secret));
	free(k);
}

void ex_keeper_set_ca(struct ex_keeper *k, struct ex_ca *ca)
{
	k->cfg.ca = ca;
}

int ex_keeper_publish(struct ex_keeper *k, struct ex_gate *gate, uint32_t ifindex,
		      const struct ex_endpoint *ep)
{
	int r = 0;

	k->gate = gate;
	k->ifindex = ifindex;
	k->ep = *ep;
	for (unsigned i = 0; i < k->n_workers && r == 0; i++)
		r = ex_worker_publish(&k->workers[i]);
	return r < 0 ? r : ex_keeper_publish_policy(k, k->rs, k->classes);
}

/* ---- another policy ---- */

void ex_keeper_take_ruleset(struct ex_keeper *k, struct ex_ruleset *rs, int bundle)
{
	close(k->bundle);
	k->bundle = bundle;
	ex_ruleset_ref(rs);
	ex_ruleset_unref(k->rs);
	k->rs = rs;
	k->turn++;
}

static void put_in_force(struct ex_keeper *k, struct ex_ruleset *rs, int bundle,
			 struct ex_name_classes *classes, struct ex_signer *signer)
{
	ex_name_classes_free(k->classes);
	k->classes = classes;
	ex_signer_free(k->signer);
	k->signer = signer;
	ex_keeper_take_ruleset(k, rs, bundle);
	ex_keeper_names_swap(k);
}

void ex_keeper_follow_all(struct ex_keeper *k)
{
	k->swapping = true;
	k->swap_err = 0;
	k->owed_turn = k->turn;
	ex_keeper_tell_all(k);
	ex_keeper_look_settled(k);
}

int ex_keeper_swap(struct ex_keeper *k, struct ex_ruleset *rs, int bundle)
{
	EX_AUTO_CLOSE int own = fcntl(bundle, F_DUPFD_CLOEXEC, 0);
	struct ex_name_classes *classes = NULL;
	struct ex_signer *signer = NULL;
	int r = own < 0 ? -errno : ex_name_classes_new(rs, &classes);

	if (r == 0)
		r = ex_keeper_signer_new(rs, &signer);
	if (r == 0)
		r = ex_keeper_publish_policy(k, rs, classes);
	if (r < 0) {
		ex_name_classes_free(classes);
		ex_signer_free(signer);
		return r;
	}
	put_in_force(k, rs, EX_TAKE_FD(own), classes, signer);
	ex_keeper_follow_all(k);
	return 0;
}

/* ---- looking ---- */

void ex_keeper_finish(struct ex_keeper *k, unsigned ms)
{
	uint64_t until = ex_clock_ms() + ms;

	for (unsigned i = 0; i < k->n_workers; i++)
		ex_worker_finish(&k->workers[i], until);
	ex_keeper_stop(k);
}

void ex_keeper_stop(struct ex_keeper *k)
{
	if (!k)
		return;
	stop_all(k);
	ex_audit_limit_flush(&k->limit);
}

struct ex_keeper_names ex_keeper_count_names(const struct ex_keeper *k)
{
	return (struct ex_keeper_names){ ex_names_count(k->names), k->names_out };
}

bool ex_keeper_is_ready(const struct ex_keeper *k)
{
	for (unsigned i = 0; i < k->n_workers; i++)
		if (!k->workers[i].ready)
			return false;
	return true;
}

bool ex_keeper_is_settled(const struct ex_keeper *k)
{
	for (unsigned i = 0; i < k->n_workers; i++)
		if (ex_worker_is_alive(&k->workers[i]) && k->workers[i].turn < k->owed_turn)
			return false;
	return true;
}

struct ex_ruleset *ex_keeper_ruleset(const struct ex_keeper *k)
{
	return k->rs;
}
