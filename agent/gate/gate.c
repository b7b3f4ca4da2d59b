/* SPDX-License-Identifier: Apache-2.0 */
/* Load and free. */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "gate.skel.h"
#include "agent/core/log.h"
#include "agent/gate/gate_internal.h"

#define FLOWS_DEFAULT 16384
#define DESTS_DEFAULT 262144

/* ---- libbpf's chatter: kept while loading, shown when loading fails ---- */

static char chatter[65536];
static size_t chatter_len;

static int chatter_keep(enum libbpf_print_level level, const char *format, va_list args)
{
	int n;

	if (level == LIBBPF_DEBUG || chatter_len >= sizeof(chatter) - 1)
		return 0;
	n = vsnprintf(chatter + chatter_len, sizeof(chatter) - chatter_len, format, args);
	if (n > 0)
		chatter_len += (size_t)n;
	if (chatter_len > sizeof(chatter) - 1)
		chatter_len = sizeof(chatter) - 1;
	return n;
}

static void memlock_raise(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	/* only kernels before 5.11 need it; the load itself tells when it was not enough */
	(void)setrlimit(RLIMIT_MEMLOCK, &all);
}

static int skel_fit(struct ex_gate *gate, const struct ex_gate_limits *limits,
		    struct gate_bpf *skel)
{
	int r = gate_state_open(gate, skel->obj, limits->pin);

	if (r)
		return r;
	/* Not every kernel can be asked. */
	gate->stamps = limits->pin && gate_links_guard(limits->pin);
	chatter_len = 0;
	skel->rodata->stamp = gate->stamps ? GATE_STAMP : 0;
	skel->rodata->refuse_mark = gate->state.mark;
	skel->rodata->gateway_mark = gate->state.mark ^ 1;
	skel->rodata->mark_check = gate->state.check;
	skel->rodata->inward_max = gate->flow_limit - gate->flow_limit / 4;
	if (limits->rules)
		r = bpf_map__set_max_entries(skel->maps.ex_rules, limits->rules);
	if (!r && limits->names)
		r = bpf_map__set_max_entries(skel->maps.ex_names, limits->names);
	if (!r && limits->names)
		r = bpf_map__set_max_entries(skel->maps.ex_bindings, limits->names);
	return r;
}

static int skel_load(struct gate_bpf *skel, bool pinned)
{
	int r = gate_bpf__load(skel);

	return r == -EINVAL && pinned ? -EPROTO : r; /* libbpf's word for maps of another shape */
}

static int object_load(struct ex_gate *gate, const struct ex_gate_limits *limits)
{
	struct gate_bpf *skel = gate_bpf__open();
	int r = skel ? skel_fit(gate, limits, skel) : -ENOMEM;

	if (!r)
		r = skel_load(skel, limits->pin);
	if (!r)
		r = gate_object_keep(gate, skel->obj);
	gate_bpf__destroy(skel);
	return r;
}

int ex_gate_load(const struct ex_gate_limits *limits, struct ex_gate **ret)
{
	static const struct ex_gate_limits usual;
	struct ex_gate *gate = calloc(1, sizeof(*gate));
	int r;

	if (!gate)
		return -ENOMEM;
	if (!limits)
		limits = &usual;
	gate->lock = gate->cells.fd = gate->nftables = -1;
	gate->prefixes_max = limits->dests ? limits->dests : DESTS_DEFAULT;
	gate_object_init(gate);
	gate->flow_limit = limits->flows ? limits->flows : FLOWS_DEFAULT;
	memlock_raise();
	chatter_len = 0;
	libbpf_set_print(chatter_keep);
	if (limits->pin && !(gate->pin = strdup(limits->pin)))
		r = -ENOMEM;
	else
		r = object_load(gate, limits);
	if (!r)
		r = gate_state_save(gate);
	if (!r)
		r = gate_cells_open(gate, (uint32_t)gate->prefixes_max);
	if (!r)
		r = gate_endpoints_open(gate);
	if (!r)
		r = gate_adopt(gate);
	if (!r)
		r = gate_events_open(gate);
	if (!r)
		r = gate_counters_open(gate);
	if (!r)
		gate_stamp_open(gate);
	if (!r && limits->pin)
		r = gate_tcx_open(limits->pin);
	if (!r && limits->pin)
		r = gate_pin_others_remove(limits->pin);
	if (r) {
		if (r != -EPROTO || !limits->may_differ)
			fprintf(stderr, "exeat: kernel gate: cannot load: %s\n%.*s", strerror(-r),
				(int)chatter_len, chatter);
		ex_gate_free(gate);
		return r;
	}
	*ret = gate;
	return 0;
}

void ex_gate_free(struct ex_gate *gate)
{
	struct gate_port *port;

	if (!gate)
		return;
	while ((port = gate->ports)) {
		gate->ports = port->next;
		gate_port_free(port);
	}
	gate_retired_free(gate);
	gate_cells_close(gate);
	gate_endpoints_close(gate);
	free(gate->spare_counters);
	free(gate->pin);
	gate_events_close(gate);
	gate_object_done(gate);
	ex_closep(&gate->nftables);
	ex_closep(&gate->lock);
	free(gate);
}
