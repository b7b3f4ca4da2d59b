/* SPDX-License-Identifier: Apache-2.0 */
/* What only EgressPolicy rules say: enforcement, tls, preset. */
#include "policy/cnp.h"
#include "policy/preset.h"

#include <stdio.h>

#include <netinet/in.h>

void ex_read_enforcement(struct ex_decoder *d, const struct ex_node *n, bool *ret_audit)
{
	const char *word = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	if (!word)
		return;
	*ret_audit = strcmp(word, "audit") == 0;
	if (!*ret_audit && strcmp(word, "enforce") != 0)
		ex_decode_error(d, n, "write enforce or audit", "unknown enforcement %s",
				ex_quote(word, n->len, quoted));
}

void ex_read_rule_enforcement(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	bool audit = false;

	ex_read_enforcement(d, n, &audit);
	rr->enforcement = n;
	/* a rule may be laxer than its policy, not stricter: the policy's word is for all of it */
	if (rr->egress->audit && !audit)
		ex_decode_error(d, n, "put the rule into a policy of its own",
				"the policy audits, so none of its rules enforces");
	rr->egress->audit |= audit;
}

/* An allow by address and port denies nothing by itself: there is nothing to record. */
static void check_audit(struct ex_decoder *d, const struct ex_rule_reader *rr)
{
	const struct ex_egress *e = rr->egress;

	if (!rr->enforcement || !e->audit || rr->spec->audit || e->deny)
		return;
	for (size_t i = 0; i < e->n_ports; i++) {
		if (e->ports[i].l7 != EX_L7_NONE)
			return;
	}
	ex_decode_error(
		d, rr->enforcement,
		"write enforcement under spec, where default deny is recorded, or give the "
		"rule a list: rules or serverNames",
		"the rule has no list of requests or names, so it denies nothing that could "
		"be recorded");
}

void ex_read_tls(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_rule_reader *rr = out;
	const char *word = ex_decode_text(d, n);
	char quoted[EX_QUOTE_TEXT];

	if (!word)
		return;
	rr->tls = n;
	if (strcmp(word, "intercept") != 0 && strcmp(word, "passthrough") != 0)
		ex_decode_error(d, n, "write intercept or passthrough", "unknown tls mode %s",
				ex_quote(word, n->len, quoted));
}

static bool is_tcp_only(const struct ex_ports *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].proto != IPPROTO_TCP)
			return false;
	for (size_t i = 0; i < p->n_named; i++)
		if (p->named[i].protos != EX_PROTO_TCP)
			return false;
	return true;
}

/* To intercept is to read requests: as an http list that allows every request. */
static void intercept(struct ex_decoder *d, const struct ex_node *n, struct ex_ports *p)
{
	if (p->l7 == EX_L7_HTTP)
		return;
	if (p->l7 == EX_L7_DNS) {
		ex_decode_error(d, n, "write one rule for each of them",
				"there is no TLS to intercept beside rules.dns");
		return;
	}
	if (!is_tcp_only(p)) {
		ex_decode_error(d, n, "write protocol: TCP",
				"tls: intercept needs protocol TCP spelled out");
		return;
	}
	p->http = ex_arena_alloc(d->arena, 1, sizeof(*p->http));
	if (!p->http)
		return;
	p->http[0].pos = n->pos;
	p->http[0].implied = true;
	p->n_http = 1;
	p->l7 = EX_L7_HTTP;
}

void ex_finish_own_rule(struct ex_decoder *d, const struct ex_node *n, struct ex_rule_reader *rr)
{
	struct ex_egress *e = rr->egress;
	bool on = rr->tls && strcmp(rr->tls->text, "intercept") == 0;

	if (rr->tls && e->n_ports == 0)
		ex_decode_error(d, n, "list the ports", "tls needs toPorts");
	for (size_t i = 0; rr->tls && i < e->n_ports; i++) {
		if (on)
			intercept(d, rr->tls, &e->ports[i]);
		else if (e->ports[i].l7 == EX_L7_HTTP)
			ex_decode_error(d, rr->tls, "remove tls, or use serverNames",
					"rules.http cannot be read without intercepting TLS");
	}
	check_audit(d, rr);
}

/* Its text is read once, however often it is named. NULL: no memory. */
static const struct ex_node *read_preset(struct ex_decoder *d, const struct ex_preset *p,
					 struct ex_policy_set *set)
{
	struct ex_docs docs = { 0 };
	size_t i = 0;

	if (!set->presets)
		set->presets = ex_arena_alloc(d->arena, ex_preset_count(), sizeof(*set->presets));
	while (i < ex_preset_count() && strcmp(ex_preset_at(i).name, p->name) != 0)
		i++;
	if (!set->presets || i == ex_preset_count())
		return NULL;
	if (!set->presets[i] &&
	    ex_yaml_parse(p->text, p->len, p->file, d->arena, d->diags, &docs) == 0 && docs.n == 1)
		set->presets[i] = ex_node_get(docs.v[0], "spec");
	free(docs.v);
	return set->presets[i];
}

static void say_unknown_preset(struct ex_decoder *d, const struct ex_node *name)
{
	char quoted[EX_QUOTE_TEXT], remedy[100] = "see \"exeat policy presets\"";
	size_t best = 4;

	for (size_t i = 0; i < ex_preset_count(); i++) {
		struct ex_preset p = ex_preset_at(i);
		size_t far = ex_edit_distance(p.name, name->text);

		if (far >= best)
			continue;
		best = far;
		(void)snprintf(remedy, sizeof(remedy), "write \"%s\"", p.name);
	}
	ex_decode_error(d, name, remedy, "there is no preset %s",
			ex_quote(name->text, name->len, quoted));
}

const struct ex_node *ex_preset_rules(struct ex_decoder *d, const struct ex_node *item, bool deny,
				      struct ex_policy_set *set)
{
	const struct ex_node *preset = ex_node_get(item, "preset"), *spec;
	struct ex_preset p;

	if (!preset || item->n != 1 || preset->kind != EX_NODE_SCALAR)
		return NULL;
	if (!ex_preset_find(preset->text, &p)) {
		say_unknown_preset(d, preset);
		return NULL;
	}
	spec = read_preset(d, &p, set);
	if (spec && !deny && ex_node_get(spec, "denyOnly")) {
		ex_decode_error(d, preset, "write it under egressDeny",
				"the preset %s names what to deny", p.name);
		return NULL;
	}
	return spec ? ex_node_get(spec, "rules") : NULL;
}
