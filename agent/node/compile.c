/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include "agent/node/compile.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/datagram.h"
#include "policy/label.h"
#include "policy/ruleset.h"

#define HOST_IPS_MAX 1024

/* What holds for an endpoint that no policy selects. The same syntax, so the same code. */
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
			 const struct ex_policy_files *files, const struct ex_registry *registry)
{
	int r;

	*b = (struct ex_compile_base){ .config = config, .files = files };
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

/* ---- one endpoint ---- */

static void fill_input(const struct ex_compile_base *b, const struct ex_node_endpoint *e,
		       struct ex_ip dns[static EX_NODE_SERVERS_MAX], struct ex_compile_input *in)
{
	*in = (struct ex_compile_input){
		.texts = b->files->texts.v,
		.n_texts = b->files->texts.n,
		.endpoints = &b->peers,
		.n_endpoints = 1,
		.secrets_dir = b->config->secrets_dir,
		.labels = e->labels,
		.n_labels = e->n_labels,
		.allow_unselected = b->config->unselected_allow && !e->confined,
		.host_ips = b->host_ips,
		.n_host_ips = b->n_host_ips,
		.dns_ips = e->n_dns ? e->dns : dns,
		.n_dns_ips = e->n_dns ? e->n_dns : b->config->n_dns,
		.deny_metadata = !b->config->allow_metadata,
	};
	for (size_t i = 0; i < b->config->n_dns; i++)
		dns[i] = b->config->dns[i].ip;
}

static int compile_nothing(struct ex_compile_input *in, struct ex_ruleset **ret)
{
	const struct ex_text text = { "built in", { deny_all, sizeof(deny_all) - 1 } };
	struct ex_compile_input own = *in;
	struct ex_diags diags = { 0 };
	int r;

	own.texts = &text;
	own.n_texts = 1;
	own.n_endpoints = 0;
	r = ex_compile(&own, ret, &diags);
	ex_diags_done(&diags);
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

int ex_node_compile(const struct ex_compile_base *b, const struct ex_node_endpoint *e,
		    struct ex_compiled *ret, struct ex_diags *diags)
{
	struct ex_compiled c = { .bundle = -1 };
	struct ex_ip dns[EX_NODE_SERVERS_MAX];
	struct ex_compile_input in;
	int r;

	fill_input(b, e, dns, &in);
	r = compile_input(&in, &c, diags);
	if (r == 0 && c.selected && !ex_ruleset_uses_dns(c.rs))
		r = drop_dns_gate(&in, &c, diags);
	if (r == 0 && c.selected) {
		c.bundle = ex_bundle_new(&in, c.rs);
		r = c.bundle < 0 ? c.bundle : 0;
	}
	if (r < 0) {
		ex_compiled_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void ex_compiled_done(struct ex_compiled *c)
{
	ex_ruleset_unref(c->rs);
	if (c->bundle >= 0)
		close(c->bundle);
	*c = (struct ex_compiled){ .bundle = -1 };
}

int ex_node_check(const struct ex_compile_base *b, struct ex_diags *diags)
{
	static const struct ex_label nobody = { EX_LABEL_NAMESPACE, "exeat-nobody" };
	struct ex_compile_input in = { .texts = b->files->texts.v,
				       .n_texts = b->files->texts.n,
				       .endpoints = &b->peers,
				       .n_endpoints = 1,
				       .labels = &nobody,
				       .n_labels = 1,
				       .allow_unselected = true };
	struct ex_ruleset *rs = NULL;
	int r;

	r = ex_compile(&in, &rs, diags);
	ex_ruleset_unref(rs);
	return r;
}
