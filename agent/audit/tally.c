/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/tally.h"

#include <netinet/in.h>
#include <stdio.h>

#include "agent/audit/line.h"
#include "agent/audit/remedy.h"

static void describe(struct ex_tally_slot *s, const struct ex_audit_record *rec,
		     const struct ex_rule_info *rule)
{
	char ip[EX_IP_TEXT], remedy[EX_REMEDY_MAX], raw[512] = "";
	struct ex_remedy d = { .reason = s->reason,
			       .where = rule ? rule->where : "",
			       .method = EX_AUDIT_FIELD(rec->method),
			       .path = EX_AUDIT_FIELD(rec->path),
			       .name = EX_AUDIT_FIELD(rec->host),
			       .address = ex_ip_text(&rec->dst, ip),
			       .port = rec->app == EX_AUDIT_DNS ? 0 : rec->dport,
			       .proto = rec->proto == IPPROTO_TCP   ? "TCP"
					: rec->proto == IPPROTO_UDP ? "UDP"
								    : "",
			       .explained = rec->detail[0] };

	if (rec->app == EX_AUDIT_TLS)
		d.name = EX_AUDIT_FIELD(rec->sni);
	else if (d.name.len == 0)
		d.name = EX_AUDIT_FIELD(rec->name);
	ex_remedy_write(&d, remedy);
	ex_audit_set(s->remedy, sizeof(s->remedy), ex_span_str(remedy));
	if (rule)
		snprintf(raw, sizeof(raw), "%s%s%s %s", rule->ns ? rule->ns : "",
			 rule->ns && rule->ns[0] ? "/" : "", rule->policy, rule->where);
	ex_audit_escape(ex_span_str(raw), s->where, sizeof(s->where));
}

static struct ex_tally_slot *rarest(struct ex_tally *t)
{
	struct ex_tally_slot *best = &t->slots[0];

	for (size_t i = 1; i < t->n; i++)
		if (t->slots[i].count < best->count)
			best = &t->slots[i];
	return best;
}

void ex_tally_add(struct ex_tally *t, const struct ex_audit_record *rec,
		  const struct ex_rule_info *rule, uint64_t count)
{
	char subject[sizeof(t->slots[0].subject)];
	struct ex_tally_slot *s;

	ex_audit_subject(rec, subject, sizeof(subject));
	for (size_t i = 0; i < t->n; i++) {
		s = &t->slots[i];
		if (s->reason == rec->reason && strcmp(s->subject, subject) == 0) {
			s->count += count;
			return;
		}
	}
	s = t->n < EX_TALLY_SLOTS ? &t->slots[t->n++] : rarest(t);
	s->count += count;
	s->reason = rec->reason;
	memcpy(s->subject, subject, sizeof(subject));
	describe(s, rec, rule);
}

static int by_count(const void *a, const void *b)
{
	const struct ex_tally_slot *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

void ex_tally_sort(struct ex_tally *t)
{
	qsort(t->slots, t->n, sizeof(t->slots[0]), by_count);
}
