/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another policy while the proxy serves: compiled aside, inside of the sandbox, then in force for
 * everything at once. What is open is judged again; what is under way with the parent is judged by
 * it, which has the new policy already.
 */
#include "agent/dns/gate.h"
#include "agent/dns/resolver.h"
#include "agent/proxy/ask.h"
#include "agent/proxy/extend.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/conn.h"
#include "agent/proxy/pool.h"
#include "agent/proxy/reuse.h"
#include "agent/proxy/udp.h"
#include "agent/tls/hmac.h"
#include "agent/tls/session.h"

static bool is_wanted(void *arg, const struct ex_ip *ip, struct ex_span name)
{
	const struct ex_ruleset *rs = arg;

	return ex_judge_dns(rs, name).verdict == EX_V_ALLOW &&
	       ex_judge_answer(rs, ip).verdict == EX_V_ALLOW;
}

static void put_in_force(struct ex_proxy *px, struct ex_ruleset *rs, struct ex_identities *ids)
{
	struct ex_ruleset *old = px->rs;

	px->rs = rs;
	ex_identities_swap(px->tls, &px->identities, ids);
	ex_dns_gate_swap(px->dns, rs);
	ex_names_keep(px->names, is_wanted, rs);
	ex_pool_clear(px->pool);
	ex_spares_clear(px);
	ex_conns_judge_again(px);
	ex_udp_judge_again(px->udp);
	ex_ruleset_unref(old);
}

/* The secret is the endpoint's; the bundle, which others may have too, tells which policy it is. */
int ex_proxy_take_tickets(struct ex_proxy *px, int bundle)
{
	const struct ex_span own = { (const char *)px->secret, sizeof(px->secret) };
	uint8_t policy[EX_BUNDLE_DIGEST_LEN], secret[EX_MAC_LEN];
	const struct ex_span pieces[] = {
		EX_SPAN("exeat tickets"),
		{ (const char *)policy, sizeof(policy) },
	};
	int r = ex_bundle_digest(bundle, policy);

	_Static_assert(sizeof(secret) == EX_TICKET_SECRET_LEN, "one is made of the other");
	if (r == 0)
		r = ex_mac(own, pieces, EX_ARRAY_SIZE(pieces), secret);
	if (r == 0)
		ex_tls_use_tickets(px->tls, secret);
	explicit_bzero(secret, sizeof(secret));
	return r;
}

static void swap(struct ex_proxy *px, uint32_t id, int bundle)
{
	struct ex_diags diags = { 0 };
	struct ex_identities ids = { 0 };
	struct ex_ruleset *rs = NULL;
	int r = ex_bundle_compile(bundle, &rs, &diags);

	ex_diags_done(&diags); /* the parent has compiled the same */
	if (r == 0)
		r = ex_identities_new(px->tls, rs, &ids);
	if (r == 0)
		r = ex_proxy_take_tickets(px, bundle);
	if (r == 0) {
		put_in_force(px, rs, &ids);
	} else {
		ex_identities_drop(px->tls, &ids, &px->identities);
		ex_ruleset_unref(rs);
	}
	ex_ask_swapped(px->ask, id, r);
}

/* Another worker has asked, and the parent has checked. */
static void learn(struct ex_proxy *px, const struct ex_ipc_learn *msg)
{
	struct ex_span name = ex_ipc_name_get(&msg->name);
	uint64_t now = ex_loop_now(px->loop);

	for (uint32_t i = 0; i < msg->n_addrs && i < EX_IPC_ADDRS_MAX; i++)
		(void)!ex_names_add(px->names, &msg->addrs[i], name, now, msg->ttl * 1000ull);
}

/* The gates' room for names is used up: whoever wants one of these asks again. */
static void forget(struct ex_proxy *px, const struct ex_ipc_forgotten *msg)
{
	for (uint32_t i = 0; i < msg->head.id && i < EX_IPC_FORGOTTEN_MAX; i++)
		ex_names_forget(px->names, &msg->v[i].ip, msg->v[i].hash);
}

static void use_servers(struct ex_proxy *px, const struct ex_ipc_servers *msg)
{
	struct ex_resolver_server v[EX_RESOLVER_SERVERS] = { 0 };
	size_t n = 0;
	int r;

	for (; n < msg->n && n < EX_RESOLVER_SERVERS; n++) {
		v[n].ip = msg->v[n].ip;
		v[n].scope = msg->v[n].scope;
		v[n].port = msg->v[n].port;
	}
	r = ex_resolver_use(px->resolver, v, n);
	if (r > 0)
		ex_dns_gate_clear(px->dns);
	else if (r < 0)
		ex_loop_quit(px->loop); /* no memory: the next one begins with them */
}

void ex_proxy_take_news(void *arg, const union ex_ipc_message *msg, int *fd)
{
	if (msg->head.type == EX_IPC_RULESET)
		swap(arg, msg->head.id, *fd);
	else if (msg->head.type == EX_IPC_KNOWN)
		learn(arg, &msg->learn);
	else if (msg->head.type == EX_IPC_EXTEND)
		ex_extend_known(arg, &msg->extend, UINT64_MAX);
	else if (msg->head.type == EX_IPC_SERVERS)
		use_servers(arg, &msg->servers);
	else
		forget(arg, &msg->forgotten);
}

void ex_proxy_catch_up(struct ex_proxy *px)
{
	if (px->workers > 1)
		ex_ask_drain(px->ask);
}
