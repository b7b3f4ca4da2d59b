/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/core/host_ips.h"
#include "agent/core/log.h"
#include "agent/node/compile.h"
#include "agent/proxy/bundle.h"
#include "policy/emit.h"

/* Added where no policy is about the endpoint's egress. The same syntax, so the same code. */
static const char nothing[] = "apiVersion: cilium.io/v2\n"
			      "kind: CiliumClusterwideNetworkPolicy\n"
			      "metadata: {name: no-policy-selects-this-endpoint}\n"
			      "spec: {endpointSelector: {}, egress: [{}]}\n";
static const struct ex_text deny_all = { "built in", { nothing, sizeof(nothing) - 1 } };

/* ---- the base ---- */

/* Reading them is most of what a round costs that changes nothing. */
static int read_peers(struct ex_compile_base *b, const struct ex_compile_base *before)
{
	struct ex_diags diags = { 0 };
	int r;

	if (before->known && ex_compile_base_same_peers(b, before)) {
		b->known = ex_known_ref(before->known);
		return 0;
	}
	r = ex_known_read(&b->peers, 1, &b->known, &diags);
	for (size_t i = 0; r < 0 && i < diags.n; i++)
		ex_error("%s: %s", b->peers.name, diags.items[i].message);
	ex_diags_done(&diags);
	return r;
}

int ex_compile_base_init(struct ex_compile_base *b, const struct ex_node_config *config,
			 const struct ex_registry *registry, const struct ex_compile_base *before)
{
	int r;

	*b = (struct ex_compile_base){ .config = config };
	b->peers.name = "endpoints of this node";
	b->peers.text.ptr = ex_registry_peers(registry, &b->peers.text.len);
	r = b->peers.text.ptr ? 0 : -ENOMEM;
	if (r == 0)
		r = ex_host_ips(config->allow_metadata, &b->host_ips, &b->n_host_ips);
	if (r == 0)
		r = read_peers(b, before);
	if (r < 0)
		ex_compile_base_done(b);
	return r;
}

void ex_compile_base_done(struct ex_compile_base *b)
{
	free((void *)(uintptr_t)b->peers.text.ptr);
	ex_known_unref(b->known);
	free(b->host_ips);
	*b = (struct ex_compile_base){ 0 };
}

bool ex_compile_base_same_peers(const struct ex_compile_base *a, const struct ex_compile_base *b)
{
	return ex_span_eq(a->peers.text, b->peers.text);
}

bool ex_compile_base_same_host(const struct ex_compile_base *a, const struct ex_compile_base *b)
{
	return a->n_host_ips == b->n_host_ips &&
	       memcmp(a->host_ips, b->host_ips, a->n_host_ips * sizeof(*a->host_ips)) == 0;
}

/* ---- one endpoint ---- */

static int compile_nothing(struct ex_compile_input *in, struct ex_ruleset **ret)
{
	struct ex_text *texts = calloc(in->n_texts + 1, sizeof(*texts));
	struct ex_compile_input own = *in;
	struct ex_diags diags = { 0 };
	int r;

	if (!texts)
		return -ENOMEM;
	/* the others may be about its ingress */
	if (in->n_texts)
		memcpy(texts, in->texts, in->n_texts * sizeof(*texts));
	texts[in->n_texts] = deny_all;
	own.texts = texts;
	own.n_texts = in->n_texts + 1;
	own.n_dns_ips = 0;
	r = ex_compile(&own, ret, &diags);
	ex_diags_done(&diags);
	free(texts);
	return r;
}

static int compile_input(struct ex_compile_input *in, struct ex_compiled *c, struct ex_diags *diags)
{
	struct ex_diags own = { 0 };
	int r = ex_compile(in, &c->rs, &own);

	if (r == 0 || r == -ENOENT) {
		ex_diags_done(&own); /* warnings were shown when the files were checked */
		c->selected = r == 0 && !ex_ruleset_is_unselected(c->rs);
		return r == 0 ? 0 : compile_nothing(in, &c->rs);
	}
	*diags = own;
	return r;
}

/*
 * Port 53 of the nameservers is the DNS gate's where names matter; else it is a port as any other.
 */
static int drop_dns_gate(struct ex_compile_input *in, struct ex_compiled *c, struct ex_diags *diags)
{
	in->n_dns_ips = 0;
	ex_ruleset_unref(c->rs);
	c->rs = NULL;
	return compile_input(in, c, diags);
}

static int emit(struct ex_compiled *c)
{
	int r = ex_emit(c->rs, &c->egress);

	return r < 0 ? r : ex_emit(ex_ruleset_ingress(c->rs), &c->ingress);
}

/* Does anything in it need more than the kernel gate? */
static bool needs_proxy(const struct ex_compiled *c)
{
	bool steers = ex_ruleset_uses_dns(c->rs);

	for (size_t i = 0; i < c->egress.n_rules; i++)
		steers |= c->egress.rules[i].value.verdict == EX_V_STEER;
	return c->selected && steers;
}

/* A proxy learns which addresses a rule reaches, and not who is there. */
static int make_bundle(const struct ex_compile_input *in, const struct ex_ruleset *rs)
{
	const struct ex_reached_list reached = ex_ruleset_reached(rs);
	struct ex_compile_input own = *in;

	own.known = NULL;
	own.reached = &reached;
	return ex_bundle_new(&own, rs);
}

static int compile_texts(struct ex_compile_input *in, struct ex_compiled *c, struct ex_diags *diags)
{
	int r = compile_input(in, c, diags);

	if (r == 0 && !ex_ruleset_uses_dns(c->rs))
		r = drop_dns_gate(in, c, diags);
	if (r == 0)
		r = emit(c);
	if (r == 0 && needs_proxy(c))
		r = c->bundle = make_bundle(in, c->rs);
	return r < 0 ? r : 0;
}

static struct ex_compile_input make_input(const struct ex_compile_base *b)
{
	return (struct ex_compile_input){
		.known = b->known,
		.repeers = true,
		.secrets_dir = b->config->secrets_dir,
		.host_ips = b->host_ips,
		.n_host_ips = b->n_host_ips,
		.deny_metadata = !b->config->allow_metadata,
	};
}

static void add_endpoint(struct ex_compile_input *in, const struct ex_selection *s,
			 const struct ex_label_set *labels)
{
	in->labels = labels->v;
	in->n_labels = s->learning ? 0 : labels->n; /* one for every endpoint there is */
	in->allow_unselected = s->allow_unselected;
	in->dns_ips = s->dns;
	in->n_dns_ips = s->n_dns;
}

static struct ex_compiled *compiled_new(void)
{
	struct ex_compiled *c = calloc(1, sizeof(*c));

	if (c)
		*c = (struct ex_compiled){ .refs = 1, .bundle = -1 };
	return c;
}

int ex_node_compile(const struct ex_compile_base *b, const struct ex_selection *s,
		    const struct ex_label_set *labels, struct ex_compiled **ret,
		    struct ex_diags *diags)
{
	struct ex_compiled *c = compiled_new();
	const struct ex_inward inward = { s->served, s->n_served };
	struct ex_compile_input in = make_input(b);
	struct ex_text *texts = ex_selection_texts(s, &in.n_texts);
	int r = c && texts ? 0 : -ENOMEM;

	add_endpoint(&in, s, labels);
	in.inward = &inward;
	in.texts = texts;
	if (r == 0)
		r = compile_texts(&in, c, diags);
	free(texts);
	if (r < 0) {
		ex_compiled_unref(c);
		return r;
	}
	*ret = c;
	return 0;
}

int ex_node_compile_denial(const struct ex_compile_base *b, struct ex_compiled **ret)
{
	static const struct ex_inward inward; /* nor is anything served */
	struct ex_compile_input in = make_input(b);
	struct ex_compiled *c = compiled_new();
	struct ex_diags diags = { 0 };
	int r = -ENOMEM;

	in.secrets_dir = NULL; /* what stands here needs nothing that may be missing */
	in.inward = &inward;
	in.texts = &deny_all;
	in.n_texts = 1;
	if (c)
		r = ex_compile(&in, &c->rs, &diags);
	if (r == 0)
		r = emit(c);
	ex_diags_done(&diags);
	if (r < 0) {
		ex_compiled_unref(c);
		return r;
	}
	c->selected = true; /* by what should have been */
	*ret = c;
	return 0;
}

static size_t count_specs(const struct ex_policy_files *files)
{
	size_t n = 0;

	for (size_t i = 0; i < files->files.n; i++)
		n += ex_selects_count(files->files.v[i]->selects);
	return n;
}

int ex_node_check_file(const struct ex_compile_base *b, const struct ex_policy_files *files,
		       size_t i, const uint8_t *wanted, struct ex_diags *diags)
{
	EX_AUTO_FREE struct ex_text *texts = calloc(files->files.n, sizeof(*texts));
	EX_AUTO_FREE uint8_t *specs = calloc(count_specs(files) + 1, sizeof(*specs));
	struct ex_compile_input in = make_input(b);
	const struct ex_inward inward = { 0 };
	struct ex_chosen chosen = { specs, 0 };
	struct ex_ruleset *rs = NULL;
	int r;

	if (!texts || !specs)
		return -ENOMEM;
	for (size_t k = 0; k < files->files.n; k++) {
		const struct ex_policy_file *f = files->files.v[k];

		if (k != i && !ex_selects_is_shared(f->selects))
			continue;
		if (k == i)
			memcpy(specs + chosen.n, wanted, ex_selects_count(f->selects));
		chosen.n += ex_selects_count(f->selects);
		texts[in.n_texts++] = f->text;
	}
	in.texts = texts;
	in.chosen = &chosen;
	in.inward = &inward;
	in.repeers = false;
	in.allow_unselected = true;
	r = ex_compile(&in, &rs, diags);
	ex_ruleset_unref(rs);
	return r;
}

/* ---- other peers ---- */

static int move_bundle(const struct ex_compile_base *b, const struct ex_selection *s,
		       const struct ex_label_set *labels, struct ex_compiled *to)
{
	struct ex_compile_input in = make_input(b);
	EX_AUTO_FREE struct ex_text *texts = ex_selection_texts(s, &in.n_texts);

	if (!texts)
		return -ENOMEM;
	add_endpoint(&in, s, labels);
	if (!ex_ruleset_uses_dns(to->rs))
		in.n_dns_ips = 0;
	in.texts = texts;
	to->bundle = make_bundle(&in, to->rs);
	return to->bundle < 0 ? to->bundle : 0;
}

static int move(const struct ex_compile_base *b, const struct ex_selection *s,
		const struct ex_label_set *labels, struct ex_move *m)
{
	struct ex_compiled *from = m->from, *to = m->to;
	int r = ex_repeer(from->rs, b->known, &to->rs);

	if (r == 0)
		r = emit(to);
	if (r == 0)
		r = ex_tables_delta(&from->egress, &to->egress, &m->egress);
	if (r == 0)
		r = ex_tables_delta(&from->ingress, &to->ingress, &m->ingress);
	if (r < 0)
		return r;
	to->selected = from->selected;
	if (needs_proxy(to) != (from->bundle >= 0))
		return -ESTALE;
	return from->bundle >= 0 && !ex_move_is_empty(m) ? move_bundle(b, s, labels, to) : 0;
}

int ex_node_move(const struct ex_compile_base *b, const struct ex_selection *s,
		 const struct ex_label_set *labels, struct ex_compiled *from, struct ex_move *ret)
{
	struct ex_move m = { .from = ex_compiled_ref(from), .to = compiled_new() };
	int r = m.to ? move(b, s, labels, &m) : -ENOMEM;

	if (r == -ESTALE) {
		ex_compiled_unref(m.to);
		m.to = NULL;
		r = 0;
	}
	if (r < 0) {
		ex_move_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void ex_move_done(struct ex_move *m)
{
	ex_compiled_unref(m->from);
	ex_compiled_unref(m->to);
	ex_delta_done(&m->egress);
	ex_delta_done(&m->ingress);
}

struct ex_compiled *ex_compiled_ref(struct ex_compiled *c)
{
	c->refs++;
	return c;
}

void ex_compiled_unref(struct ex_compiled *c)
{
	if (!c || --c->refs)
		return;
	ex_ruleset_unref(c->rs);
	ex_tables_done(&c->egress);
	ex_tables_done(&c->ingress);
	if (c->bundle >= 0)
		close(c->bundle);
	free(c);
}
