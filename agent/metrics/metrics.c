/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/audit/line.h"
#include "agent/gate/gate.h"
#include "agent/metrics/expo.h"
#include "agent/metrics/metrics.h"
#include "agent/metrics/process.h"

#define APPS  (EX_AUDIT_HTTP + 1)
#define GATES (EX_AUDIT_PROXY + 1)

enum outcome { ALLOW, DENY, AUDIT, OUTCOMES };

static const char *const outcome_words[OUTCOMES] = { "allow", "deny", "audit" };
static const char *const gate_words[GATES] = { "kernel", "proxy" };

struct ex_metrics_endpoint {
	struct ex_metrics *metrics;
	struct ex_metrics_endpoint *next, **link;
	char *ns, *name;
	uint64_t verdicts[GATES][APPS][OUTCOMES][EX_R_MAX];
	uint64_t flows, flows_ended;
};

struct ex_metrics {
	struct ex_metrics_endpoint *endpoints;
};

int ex_metrics_new(struct ex_metrics **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void ex_metrics_free(struct ex_metrics *m)
{
	free(m);
}

int ex_metrics_endpoint_new(struct ex_metrics *m, const char *ns, const char *name,
			    struct ex_metrics_endpoint **ret)
{
	struct ex_metrics_endpoint *ep = calloc(1, sizeof(*ep));

	if (!ep)
		return -ENOMEM;
	ep->ns = strdup(ns);
	ep->name = strdup(name);
	if (!ep->ns || !ep->name) {
		free(ep->ns);
		free(ep->name);
		free(ep);
		return -ENOMEM;
	}
	ep->metrics = m;
	ep->next = m->endpoints;
	ep->link = &m->endpoints;
	if (ep->next)
		ep->next->link = &ep->next;
	m->endpoints = ep;
	*ret = ep;
	return 0;
}

void ex_metrics_endpoint_free(struct ex_metrics_endpoint *ep)
{
	if (!ep)
		return;
	*ep->link = ep->next;
	if (ep->next)
		ep->next->link = ep->link;
	free(ep->ns);
	free(ep->name);
	free(ep);
}

/* ---- counting ---- */

static enum outcome outcome_of(const struct ex_audit_record *rec)
{
	if (rec->verdict != EX_V_ALLOW)
		return DENY;
	return rec->reason == EX_R_ALLOWED ? ALLOW : AUDIT;
}

void ex_metrics_record(struct ex_metrics_endpoint *ep, const struct ex_audit_record *rec)
{
	unsigned gate = rec->gate == EX_AUDIT_KERNEL ? EX_AUDIT_KERNEL : EX_AUDIT_PROXY;
	unsigned app = rec->app < APPS ? rec->app : EX_AUDIT_L4;
	unsigned reason = rec->reason < EX_R_MAX ? rec->reason : EX_R_UNSPEC;

	ep->verdicts[gate][app][outcome_of(rec)][reason] += rec->count ? rec->count : 1;
}

void ex_metrics_event(struct ex_metrics_endpoint *ep, const struct ex_event *ev)
{
	if (ev->type == EX_EV_NEW)
		ep->flows++;
	else if (ev->type == EX_EV_END)
		ep->flows_ended++;
}

/* ---- writing ---- */

static void label_endpoint(const struct ex_metrics_endpoint *ep, struct ex_expo *x)
{
	ex_expo_label(x, "namespace", ep->ns);
	ex_expo_label(x, "endpoint", ep->name);
}

static void write_verdict(const struct ex_metrics_endpoint *ep, unsigned gate, unsigned app,
			  unsigned outcome, unsigned reason, struct ex_expo *x)
{
	uint64_t n = ep->verdicts[gate][app][outcome][reason];

	if (!n)
		return;
	label_endpoint(ep, x);
	ex_expo_label(x, "gate", gate_words[gate]);
	ex_expo_label(x, "protocol", ex_audit_app_word((uint8_t)app));
	ex_expo_label(x, "verdict", outcome_words[outcome]);
	ex_expo_label(x, "reason", ex_reason_word(reason));
	ex_expo_value(x, n);
}

static void write_verdicts(const struct ex_metrics *m, struct ex_expo *x)
{
	ex_expo_family(x, "exeat_verdicts_total", "counter",
		       "Verdicts that were recorded, by endpoint, gate, protocol and reason.");
	for (const struct ex_metrics_endpoint *ep = m->endpoints; ep; ep = ep->next)
		for (unsigned i = 0; i < GATES * APPS * OUTCOMES * EX_R_MAX; i++)
			write_verdict(ep, i / EX_R_MAX / OUTCOMES / APPS,
				      i / EX_R_MAX / OUTCOMES % APPS, i / EX_R_MAX % OUTCOMES,
				      i % EX_R_MAX, x);
}

static void write_flows(const struct ex_metrics *m, struct ex_expo *x)
{
	ex_expo_family(x, "exeat_flows_total", "counter",
		       "Flows that the kernel gate told the beginning of.");
	for (const struct ex_metrics_endpoint *ep = m->endpoints; ep; ep = ep->next) {
		label_endpoint(ep, x);
		ex_expo_value(x, ep->flows);
	}
	ex_expo_family(x, "exeat_flows_ended_total", "counter",
		       "Flows that the kernel gate told the end of.");
	for (const struct ex_metrics_endpoint *ep = m->endpoints; ep; ep = ep->next) {
		label_endpoint(ep, x);
		ex_expo_value(x, ep->flows_ended);
	}
}

static bool reason_is_known(unsigned reason)
{
	return reason == EX_R_UNSPEC || ex_reason_word(reason) != ex_reason_word(EX_R_UNSPEC);
}

static void write_counts(struct ex_expo *x, const struct ex_counter *counts, bool bytes)
{
	for (unsigned r = 0; r < EX_R_MAX; r++) {
		if (!counts[r].packets)
			continue;
		ex_expo_label(x, "reason", ex_reason_word(r));
		ex_expo_value(x, bytes ? counts[r].bytes : counts[r].packets);
	}
}

static void write_kernel(struct ex_gate *gate, struct ex_expo *x)
{
	struct ex_counter counts[EX_R_MAX] = { 0 };

	for (unsigned r = 0; r < EX_R_MAX; r++)
		if (reason_is_known(r) && ex_gate_count_reason(gate, r, &counts[r]) < 0)
			return;
	ex_expo_family(x, "exeat_kernel_packets_total", "counter",
		       "Packets judged by the kernel gate, by reason.");
	write_counts(x, counts, false);
	ex_expo_family(x, "exeat_kernel_bytes_total", "counter",
		       "Bytes of the packets judged by the kernel gate, by reason.");
	write_counts(x, counts, true);
}

void ex_metrics_write(const struct ex_metrics *m, struct ex_gate *gate, struct ex_expo *x)
{
	ex_expo_family(x, "exeat_build_info", "gauge", "Always 1; the version is a label.");
	ex_expo_label(x, "version", EX_VERSION);
	ex_expo_value(x, 1);
	write_verdicts(m, x);
	write_flows(m, x);
	if (gate)
		write_kernel(gate, x);
	ex_metrics_process(x);
}
