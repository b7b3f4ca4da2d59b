/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include "agent/node/compile.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/datagram.h"
#include "policy/emit.h"

#define HOST_IPS_MAX 1024

/* Added where no policy is about the endpoint's egress. The same syntax, so the same code. */
static const char deny_all[] = "apiVersion: cilium.io/v2\n"
			       "kind: CiliumClusterwideNetworkPolicy\n"
			       "metadata: {name: no-policy-selects-this-endpoint}\n"
			       "spec: {endpointSelector: {}, egress: [{}]}\n";

/* ---- the base ---- */

/* The node's own addresses, which are nobody's "world". */
static int find_host_ips(struct ex_compile_base *b)
{
	struct ifaddrs *list, *ifa;

	b->host_ips = calloc(HOST_IPS_MAX, sizeof(*b->host_ips));
	if (!b->host_ips)
		return -ENOMEM;
	if (getifaddrs(&list) < 0)
		return -errno;
	for (ifa = list; ifa && b->n_host_ips < HOST_IPS_MAX; ifa = ifa->ifa_next) {
		struct sockaddr_storage ss = { 0 };
		uint16_t port;
		int family = ifa->ifa_addr ? ifa->ifa_addr->sa_family : AF_UNSPEC;

		if (family != AF_INET && family != AF_INET6)
			continue;
		memcpy(&ss, ifa->ifa_addr,
		       family == AF_INET ? sizeof(struct sockaddr_in)
					 : sizeof(struct sockaddr_in6));
		b->n_host_ips += ex_sockaddr_read(&ss, &b->host_ips[b->n_host_ips], &port);
	}
	freeifaddrs(list);
	/* Not knowing all of them could let "world" mean the host. */
	return ifa ? -E2BIG : 0;
}

int ex_compile_base_init(struct ex_compile_base *b, const struct ex_node_config *config,
			 const struct ex_registry *registry)
{
	int r;

	*b = (struct ex_compile_base){ .config = config };
	b->peers.name = "endpoints of this node";
	b->peers.text.ptr = ex_registry_peers(registry, &b->peers.text.len);
	r = b->peers.text.ptr ? find_host_ips(b) : -ENOMEM;
	if (r < 0)
		ex_compile_base_done(b);
	return r;
}

void ex_compile_base_done(struct ex_compile_base *b)
{
	free((void *)(uintptr_t)b->peers.text.ptr);
	free(b->host_ips);
	*b = (struct ex_compile_base){ 0 };
}

bool ex_compile_base_equal(const struct ex_compile_base *a, const struct ex_compile_base *b)
{
	return ex_span_eq(a->peers.text, b->peers.text) && a->n_host_ips == b->n_host_ips &&
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
	texts[in->n_texts] = (struct ex_text){ "built in", { deny_all, sizeof(deny_all) - 1 } };
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

/* Does anything in it need more than the kernel gate? */
static int needs_proxy(const struct ex_ruleset *rs)
{
	struct ex_tables tables = { 0 };
	int r = ex_emit(rs, &tables);
	bool steers = ex_ruleset_uses_dns(rs);

	for (size_t i = 0; i < tables.n_rules; i++)
		steers |= tables.rules[i].value.verdict == EX_V_STEER;
	ex_tables_done(&tables);
	return r < 0 ? r : steers;
}

static int compile_texts(struct ex_compile_input *in, struct ex_compiled *c, struct ex_diags *diags)
{
	int r = compile_input(in, c, diags);

	if (r == 0 && !ex_ruleset_uses_dns(c->rs))
		r = drop_dns_gate(in, c, diags);
	if (r == 0 && c->selected)
		r = needs_proxy(c->rs);
	if (r > 0)
		r = c->bundle = ex_bundle_new(in, c->rs);
	return r < 0 ? r : 0;
}

int ex_node_compile(const struct ex_compile_base *b, const struct ex_selection *s,
		    const struct ex_label_set *labels, struct ex_compiled **ret,
		    struct ex_diags *diags)
{
	struct ex_compiled *c = calloc(1, sizeof(*c));
	const struct ex_inward inward = { s->served, s->n_served };
	struct ex_compile_input in = {
		.endpoints = &b->peers,
		.n_endpoints = 1,
		.secrets_dir = b->config->secrets_dir,
		.labels = labels->v,
		.n_labels = s->learning ? 0 : labels->n, /* one for every endpoint there is */
		.allow_unselected = s->allow_unselected,
		.host_ips = b->host_ips,
		.n_host_ips = b->n_host_ips,
		.dns_ips = s->dns,
		.n_dns_ips = s->n_dns,
		.deny_metadata = !b->config->allow_metadata,
		.inward = &inward,
	};
	struct ex_text *texts = ex_selection_texts(s, &in.n_texts);
	int r = c && texts ? 0 : -ENOMEM;

	in.texts = texts;
	if (c)
		*c = (struct ex_compiled){ .refs = 1, .bundle = -1 };
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
	if (c->bundle >= 0)
		close(c->bundle);
	free(c);
}
