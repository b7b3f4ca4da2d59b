/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lint.h"

#include <errno.h>
#include <stdio.h>

#include "policy/emit.h"

/* Zones in which anybody can get a name of their own. */
static const char *const anyones_zones[] = {
	"amazonaws.com",
	"s3.amazonaws.com",
	"appspot.com",
	"azureedge.net",
	"azurewebsites.net",
	"azurefd.net",
	"blob.core.windows.net",
	"cloudapp.azure.com",
	"cloudfront.net",
	"cloudfunctions.net",
	"co.jp",
	"co.uk",
	"com.au",
	"deno.dev",
	"duckdns.org",
	"fastly.net",
	"firebaseapp.com",
	"firebaseio.com",
	"fly.dev",
	"ghe.io",
	"github.dev",
	"github.io",
	"githubusercontent.com",
	"gitlab.io",
	"glitch.me",
	"googleapis.com",
	"googleusercontent.com",
	"herokuapp.com",
	"lambda-url.us-east-1.on.aws",
	"lhr.life",
	"loca.lt",
	"netlify.app",
	"ngrok-free.app",
	"ngrok.app",
	"ngrok.io",
	"nip.io",
	"notion.site",
	"on.aws",
	"onrender.com",
	"org.uk",
	"pages.dev",
	"r2.dev",
	"railway.app",
	"replit.app",
	"repl.co",
	"run.app",
	"serveo.net",
	"sharepoint.com",
	"sslip.io",
	"storage.googleapis.com",
	"supabase.co",
	"surge.sh",
	"trycloudflare.com",
	"vercel.app",
	"web.app",
	"webhook.site",
	"workers.dev",
	"zendesk.com",
};

void ex_lint_warn(struct ex_lowering *l, struct ex_pos pos, const char *remedy, const char *fmt,
		  ...)
{
	va_list ap;

	va_start(ap, fmt);
	ex_diag_vadd(l->diags, pos, true, remedy, fmt, ap);
	va_end(ap);
}

/* ---- names ---- */

/* The part of a pattern after its last star, from the next dot on; NULL without a star. */
static const char *fixed_tail(const struct ex_name_pattern *p)
{
	const char *star;

	if (p->kind == EX_NAME_TAIL)
		return p->text;
	if (p->kind != EX_NAME_GLOB && p->kind != EX_NAME_SNI)
		return NULL;
	star = strrchr(p->text, '*');
	star = star ? strchr(star, '.') : NULL;
	return star ? star + 1 : "";
}

static void lint_pattern(struct ex_lowering *l, struct ex_pos pos, const char *where,
			 const struct ex_name_pattern *p)
{
	static const char remedy[] = "name the hosts that are needed";
	const char *tail;
	struct ex_ip ip;

	if (p->kind == EX_NAME_EXACT && ex_ip_parse(p->text, &ip))
		ex_lint_warn(l, pos, "use toCIDR",
			     "%s: %s is an address, not a name: it never matches", where,
			     p->written);
	if (p->kind == EX_NAME_ANY)
		ex_lint_warn(l, pos, remedy, "%s: %s allows every name there is", where,
			     p->written);
	if (p->written[0] == '.' || strstr(p->written, ".."))
		ex_lint_warn(l, pos,
			     p->written[0] == '.' ? "write **.NAME for all names below NAME"
						  : remedy,
			     "%s: %s has an empty label: it never matches", where, p->written);
	tail = fixed_tail(p);
	if (!tail)
		return;
	if (!strchr(tail, '.')) {
		ex_lint_warn(
			l, pos, remedy,
			"%s: %s matches names that anybody can register, and a label of the name is a "
			"channel to whoever serves it",
			where, p->written);
		return;
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(anyones_zones); i++) {
		if (strcmp(tail, anyones_zones[i]) == 0)
			ex_lint_warn(l, pos, remedy, "%s: %s: anybody can get a name under %s",
				     where, p->written, tail);
	}
}

/* ---- ports ---- */

/* Names that bind nothing, or that nobody can resolve. */
static void lint_unbound(struct ex_lowering *l, const struct ex_egress *e, const struct ex_ports *p,
			 const char *where)
{
	bool open = ex_egress_is_open(e), names = p->n_names > 0;

	for (size_t i = 0; i < p->n_http; i++)
		names |= p->http[i].host != NULL;
	if (open && names && !ex_ruleset_uses_dns(l->rs))
		ex_lint_warn(
			l, p->pos, "put toFQDNs with these names into the rule",
			"%s: the rule names no address, so what it names has to be a name that DNS "
			"gave for it, and no rule lets a name be asked for",
			where);
	if (!open && !e->deny && p->l7 == EX_L7_SNI &&
	    (e->peer.kind == EX_PEER_CIDR || e->peer.kind == EX_PEER_ENTITIES))
		ex_lint_warn(
			l, p->pos, "use toFQDNs with the same names instead, if names are meant",
			"%s: the server name is the client's word: the rule takes it at every address "
			"it selects",
			where);
}

static void lint_ports(struct ex_lowering *l, const struct ex_egress *e, const struct ex_ports *p)
{
	char where[200];

	ex_lint_http(l, e, p);
	(void)snprintf(where, sizeof(where), "%s.%s", e->where, p->where);
	for (size_t i = 0; p->l7 == EX_L7_SNI && i < p->n_names; i++)
		lint_pattern(l, p->pos, where, &p->names[i]);
	lint_unbound(l, e, p, where);
}

/* ---- destinations ---- */

static bool is_whole_world(const struct ex_prefix *p)
{
	return p->len == (ex_prefix_is4(p) ? 96 : 0);
}

static bool is_private(const struct ex_prefix *p)
{
	static const struct ex_prefix private[] = {
		{ { { [10] = 0xff, [11] = 0xff, 10 } }, 104 },
		{ { { [10] = 0xff, [11] = 0xff, 172, 16 } }, 108 },
		{ { { [10] = 0xff, [11] = 0xff, 192, 168 } }, 112 },
		{ { { 0xfc } }, 7 },
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(private); i++) {
		if (ex_prefix_covers(&private[i], p))
			return true;
	}
	return false;
}

static void lint_cidr(struct ex_lowering *l, const struct ex_egress *e,
		      const struct ex_cidr_item *item)
{
	char text[EX_PREFIX_TEXT];
	struct ex_ip hidden;

	if (item->group || item->group_labels)
		return;
	(void)ex_prefix_text(&item->prefix, text);
	if (ex_ip_embedded(&item->prefix.ip, &hidden))
		ex_lint_warn(l, item->pos, "write the IPv4 prefix",
			     "%s: %s stands for IPv4 addresses, which are judged as IPv4", e->where,
			     text);
	if (e->deny)
		return;
	if (is_whole_world(&item->prefix) && item->n_except)
		ex_lint_warn(
			l, item->pos,
			l->inward
				? "add fromEndpoints rules for who may come from inside, and the "
				  "other IP version"
				: "add toEndpoints rules for what is needed inside, and the other "
				  "IP version",
			"%s: %s selects no endpoint of the cluster, its DNS included, whatever is "
			"excepted",
			e->where, text);
	if (is_private(&item->prefix) && item->prefix.len < 128)
		ex_lint_warn(
			l, item->pos,
			l->inward ? "use fromEndpoints if pods are meant; the LAN is selected as "
				    "written"
				  : "use toEndpoints if pods are meant; the LAN is selected as "
				    "written",
			"%s: %s is private space: CIDRs never select pods", e->where, text);
	for (size_t i = 0; i < l->known->n; i++) {
		const struct ex_known_endpoint *ep = &l->known->v[i];

		if (is_whole_world(&item->prefix) || !ep->n_ips ||
		    !ex_prefix_has(&item->prefix, &ep->ips[0]))
			continue;
		ex_lint_warn(
			l, item->pos,
			l->inward ? "use fromEndpoints for it" : "use toEndpoints for it",
			"%s: %s does not select the endpoint \"%s\": CIDRs never select endpoints",
			e->where, text, ep->name);
		break;
	}
}

static void lint_labels(struct ex_lowering *l, struct ex_pos pos, const char *where,
			const struct ex_selector *s)
{
	for (size_t i = 0; i < s->n_terms; i++) {
		if (strncmp(s->terms[i].key, "k8s.io.", 7) == 0)
			ex_lint_warn(l, pos, "write k8s:io...",
				     "%s: the label key \"%s\" begins with k8s. "
				     "where k8s: was meant",
				     where, s->terms[i].key);
	}
}

static void lint_endpoints(struct ex_lowering *l, const struct ex_spec *spec,
			   const struct ex_egress *e)
{
	bool found = false;

	for (size_t i = 0; i < e->peer.n_selectors; i++)
		lint_labels(l, e->pos, e->where, &e->peer.selectors[i]);
	for (size_t i = 0; i < l->known->n && !found; i++)
		found = ex_lower_selects(spec, &e->peer, &l->known->v[i]);
	if (!found && e->peer.n_selectors && l->known->n)
		ex_lint_warn(l, e->pos, "check the labels and the namespace",
			     "%s: no endpoint of the endpoints file has these labels", e->where);
}

static void lint_deny(struct ex_lowering *l, const struct ex_egress *e)
{
	const uint32_t world = EX_ENTITY_WORLD4 | EX_ENTITY_WORLD6;

	if (e->limits_ports || e->peer.kind != EX_PEER_ENTITIES)
		return;
	if ((e->peer.entities & EX_ENTITY_ALL) || (e->peer.entities & world) == world)
		ex_lint_warn(
			l, e->pos,
			"put toPorts into the same list item, if both were meant together",
			"%s: denies every port of the whole world; no allow rule can open it again",
			e->where);
}

static void lint_rule(struct ex_lowering *l, const struct ex_spec *spec, const struct ex_egress *e)
{
	for (size_t i = 0; i < e->peer.n_cidrs; i++)
		lint_cidr(l, e, &e->peer.cidrs[i]);
	for (size_t i = 0; e->peer.kind == EX_PEER_FQDN && i < e->peer.n_names; i++)
		lint_pattern(l, e->pos, e->where, &e->peer.names[i]);
	if (e->peer.kind == EX_PEER_ENDPOINTS)
		lint_endpoints(l, spec, e);
	for (size_t i = 0; i < e->n_ports; i++)
		lint_ports(l, e, &e->ports[i]);
	if (e->deny)
		lint_deny(l, e);
}

/* ---- a whole policy ---- */

/* Does the item name some places, on every port? */
static bool is_places_alone(const struct ex_egress *e)
{
	if (e->deny || e->limits_ports)
		return false;
	if (e->peer.kind == EX_PEER_CIDR)
		return e->peer.n_cidrs && !is_whole_world(&e->peer.cidrs[0].prefix);
	return e->peer.kind == EX_PEER_ENDPOINTS || e->peer.kind == EX_PEER_FQDN;
}

/* Two list items where one was meant: every port of the one, and the port of everybody. */
static void lint_split(struct ex_lowering *l, const struct ex_egress *e,
		       const struct ex_egress *next)
{
	if (!is_places_alone(e) || next->deny || next->peer.kind != EX_PEER_ANY)
		return;
	ex_lint_warn(l, next->pos, "write toPorts without a dash, if both were meant together",
		     "%s: allows these ports %s anybody, and %s every port: two list items",
		     next->where, l->inward ? "to" : "of", e->where);
}

static void lint_only_denies(struct ex_lowering *l, const struct ex_spec *spec)
{
	if (l->inward)
		ex_lint_warn(
			l, spec->pos,
			"add ingress rules, or enableDefaultDeny: {ingress: false} if the rest is meant "
			"to stay open",
			"policy \"%s\" only denies ingress, which turns default deny on: alone it lets "
			"nobody in",
			spec->policy);
	else
		ex_lint_warn(
			l, spec->pos,
			"add egress rules, or enableDefaultDeny: {egress: false} if the rest is meant to "
			"stay open",
			"policy \"%s\" only denies, which turns default deny on: alone it allows nothing",
			spec->policy);
}

static void lint_direction(struct ex_lowering *l, const struct ex_spec *spec)
{
	const struct ex_spec_rules *dir = ex_lower_direction(l, spec);
	size_t allows = 0, selecting = 0;

	for (size_t i = 0; i < dir->n; i++) {
		allows += !dir->rules[i].deny;
		selecting += dir->rules[i].peer.kind != EX_PEER_NONE;
		lint_rule(l, spec, &dir->rules[i]);
		if (i > 0)
			lint_split(l, &dir->rules[i - 1], &dir->rules[i]);
	}
	if (dir->n && !allows && dir->default_deny)
		lint_only_denies(l, spec);
	if (dir->n && !selecting && !dir->default_deny)
		ex_lint_warn(l, spec->pos, "remove enableDefaultDeny, or the policy",
			     "policy \"%s\" selects nothing and denies nothing: it has no effect",
			     spec->policy);
}

static void lint_classes(struct ex_lowering *l)
{
	const struct ex_rule_info *rule;
	uint32_t id;

	/* without labels: several may be for different workloads */
	if (l->inward || (l->in->n_labels == 0 && l->set->specs.n > 1) ||
	    ex_name_classes_fit(l->rs, SIZE_MAX, &id) != -ENOSPC)
		return;
	rule = ex_ruleset_rule(l->book, id);
	if (!rule)
		return;
	ex_lint_warn(
		l, (struct ex_pos){ rule->file, rule->line, rule->col },
		"name those for which the same is allowed in one rule",
		"%s: with it the names have more than %d different sets of rules, which is what one "
		"workload has room for: of the names beyond, those resolved last lead nowhere",
		rule->where, EX_NAME_CLASSES_MAX);
}

void ex_lint(struct ex_lowering *l)
{
	for (size_t i = 0; i < l->set->specs.n; i++) {
		const struct ex_spec *spec = &l->set->specs.v[i];

		lint_direction(l, spec);
		if (spec->endpoints && !l->inward)
			lint_labels(l, spec->pos, "endpointSelector", spec->endpoints);
	}
	lint_classes(l);
	ex_lint_overlaps(l);
}
