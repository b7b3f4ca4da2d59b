/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/node/registry_priv.h"
#include "policy/prefix.h"

#define PEERS_MAX (32u << 20)

struct ex_node_endpoint *ex_registry_by_id(const struct ex_registry *r, uint32_t id)
{
	for (struct ex_node_endpoint *e = r->first; e; e = e->next)
		if (e->id == id)
			return e;
	return NULL;
}

struct ex_node_endpoint *ex_registry_by_ifindex(const struct ex_registry *r, uint32_t ifindex)
{
	for (struct ex_node_endpoint *e = r->first; e; e = e->next)
		if (e->link.ifindex == ifindex)
			return e;
	return NULL;
}

struct ex_node_endpoint *ex_registry_by_name(const struct ex_registry *r, const char *ns,
					     const char *name)
{
	for (struct ex_node_endpoint *e = r->first; e; e = e->next)
		if (strcmp(e->name, name) == 0 && strcmp(e->ns, ns) == 0)
			return e;
	return NULL;
}

struct ex_node_endpoint *ex_registry_by_container(const struct ex_registry *r, const char *id,
						  const char *interface)
{
	for (struct ex_node_endpoint *e = r->first; *id && e; e = e->next)
		if (strcmp(e->container, id) == 0 &&
		    (!interface || strcmp(e->interface, interface) == 0))
			return e;
	return NULL;
}

/* ---- may it be one of them? ---- */

static const struct ex_ip *nth_ip(const struct ex_node_link *l, size_t i)
{
	return i == 0 ? &l->ip4 : i == 1 ? &l->ip6 : &l->more[i - 2];
}

/* The same, or one as which the gates of others would judge it. */
static bool stands_for(const struct ex_ip *a, const struct ex_ip *b)
{
	struct ex_ip hidden;

	return ex_ip_eq(a, b) || (ex_ip_embedded(a, &hidden) && ex_ip_eq(&hidden, b));
}

/* Link-local addresses are left out: they mean something on their own link only. */
static bool ip_clash(const struct ex_node_link *a, const struct ex_node_link *b)
{
	for (size_t i = 0; i < EX_EP_MORE + 2; i++)
		for (size_t k = 0; k < EX_EP_MORE + 2; k++)
			if (!ex_ip_is_none(nth_ip(a, i)) &&
			    (stands_for(nth_ip(a, i), nth_ip(b, k)) ||
			     stands_for(nth_ip(b, k), nth_ip(a, i))))
				return true;
	return false;
}

/* What e and another cannot both have; NULL = nothing. */
static const char *clash(const struct ex_node_endpoint *e, const struct ex_node_endpoint *other)
{
	if (e->link.ifindex == other->link.ifindex)
		return "interface";
	if (ip_clash(&e->link, &other->link))
		return "address";
	if (memcmp(e->link.mac, other->link.mac, 6) == 0)
		return "MAC address";
	if (strcmp(e->name, other->name) == 0 && strcmp(e->ns, other->ns) == 0)
		return "name";
	return NULL;
}

int ex_registry_check(const struct ex_registry *r, const struct ex_node_endpoint *e,
		      char err[static EX_NODE_ERR])
{
	for (const struct ex_node_endpoint *other = r->first; other; other = other->next) {
		const char *what = other == e ? NULL : clash(e, other);

		if (!what)
			continue;
		return ex_node_fail(err, -EEXIST, "endpoint %u (%.60s/%.60s) has this %s already",
				    other->id, other->ns, other->name, what);
	}
	if (r->n >= r->max)
		return ex_node_fail(err, -E2BIG,
				    "this node has %zu endpoints, as many as it may (maxEndpoints)",
				    r->n);
	return 0;
}

static bool id_taken(const struct ex_registry *r, uint32_t id)
{
	for (const struct ex_node_endpoint *e = r->first; e; e = e->next)
		if ((e->id & EX_NODE_UID_BITS) == (id & EX_NODE_UID_BITS))
			return true;
	return false;
}

int ex_registry_number(struct ex_registry *r, struct ex_node_endpoint *e)
{
	do
		r->last_id = r->last_id >= INT32_MAX ? 1 : r->last_id + 1;
	while (id_taken(r, r->last_id)); /* ends: there are fewer endpoints than that */
	e->id = r->last_id;
	return ex_registry_save_last_id(r);
}

/* ---- the list ---- */

void ex_registry_insert(struct ex_registry *r, struct ex_node_endpoint *e)
{
	struct ex_node_endpoint **at = &r->first;

	while (*at && (*at)->id < e->id)
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	r->n++;
}

void ex_registry_remove(struct ex_registry *r, struct ex_node_endpoint *e)
{
	struct ex_node_endpoint **at = &r->first;

	while (*at && *at != e)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = e->next;
	e->next = NULL;
	r->n--;
	ex_registry_unlink(r, e->id);
}

char *ex_registry_peers(const struct ex_registry *r, size_t *ret_len)
{
	struct ex_json j;
	ssize_t n;

	ex_json_init_growing(&j, PEERS_MAX);
	ex_json_open(&j, NULL, '{');
	ex_json_open(&j, "endpoints", '[');
	for (const struct ex_node_endpoint *e = r->first; e; e = e->next)
		if (!ex_ip_is_none(&e->link.ip4) || !ex_ip_is_none(&e->link.ip6))
			ex_node_endpoint_write_peer(e, &j);
	ex_json_close(&j, ']');
	ex_json_close(&j, '}');
	n = ex_json_done(&j);
	if (n < 0) {
		ex_json_wipe(&j);
		return NULL;
	}
	*ret_len = (size_t)n;
	return j.out; /* the caller's, as ex_json_wipe() would free it */
}
