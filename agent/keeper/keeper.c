/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "agent/keeper/keeper_priv.h"

#define NAMES_MAX 16384

int ex_keeper_new(const struct ex_keeper_config *config, struct ex_ruleset *rs, int bundle,
		  struct ex_keeper **ret)
{
	struct ex_keeper *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->cfg = *config;
	k->rs = ex_ruleset_ref(rs);
	ex_worker_init(&k->worker, k);
	k->bundle = fcntl(bundle, F_DUPFD_CLOEXEC, 0);
	r = k->bundle < 0 ? -errno : 0;
	if (r == 0)
		r = ex_names_new(NAMES_MAX, &k->names);
	if (r == 0)
		r = ex_name_classes_new(rs, &k->classes);
	if (r == 0)
		r = ex_worker_start(&k->worker);
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
	ex_worker_stop(&k->worker);
	ex_name_classes_free(k->classes);
	ex_names_free(k->names);
	ex_ruleset_unref(k->rs);
	if (k->bundle >= 0)
		close(k->bundle);
	free(k);
}

void ex_keeper_set_ca(struct ex_keeper *k, struct ex_ca *ca)
{
	k->cfg.ca = ca;
}

static int publish_tables(struct ex_keeper *k)
{
	struct ex_tables tables = { 0 };
	const struct ex_gate_ruleset set = { .egress = &tables, .ingress = k->cfg.ingress };
	int r = ex_emit(k->rs, &tables);

	if (r == 0)
		r = ex_gate_publish_both(k->gate, k->ifindex, &k->ep, &set);
	ex_tables_done(&tables);
	return r;
}

int ex_keeper_publish(struct ex_keeper *k, struct ex_gate *gate, uint32_t ifindex,
		      const struct ex_endpoint *ep)
{
	int r;

	k->gate = gate;
	k->ifindex = ifindex;
	k->ep = *ep;
	r = ex_worker_publish(&k->worker);
	return r < 0 ? r : publish_tables(k);
}

void ex_keeper_drain(struct ex_keeper *k)
{
	ex_worker_drain(&k->worker);
	ex_keeper_record_left_out(k);
}

bool ex_keeper_is_ready(const struct ex_keeper *k)
{
	return k->worker.ready;
}

struct ex_ruleset *ex_keeper_ruleset(const struct ex_keeper *k)
{
	return k->rs;
}
