/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/node/resolvers.h"
#include "agent/node/gates.h"
#include "agent/node/round.h"

static size_t find(const struct ex_node_endpoint *e, const struct ex_ip *ip)
{
	size_t i = 0;

	while (i < e->n_dns && !ex_ip_eq(&e->dns[i], ip))
		i++;
	return i;
}

/* As the last one; the first one makes room. */
static void add(struct ex_node_endpoint *e, const struct ex_ip *ip)
{
	size_t i = find(e, ip);

	if (i == EX_NODE_DNS_MAX)
		i = 0;
	if (i < e->n_dns)
		memmove(e->dns + i, e->dns + i + 1, (--e->n_dns - i) * sizeof(*e->dns));
	e->dns[e->n_dns++] = *ip;
}

bool ex_node_resolvers_give(const struct ex_node *node, struct ex_node_endpoint *e)
{
	const struct ex_resolvers *dns = &node->config.dns;
	size_t known = 0;

	_Static_assert(EX_RESOLVERS_MAX <= EX_NODE_DNS_MAX, "room for each");
	for (size_t i = 0; i < dns->n; i++)
		known += find(e, &dns->v[i].ip) < e->n_dns;
	if (e->own_dns || known == dns->n)
		return false;
	for (size_t i = 0; i < dns->n; i++)
		add(e, &dns->v[i].ip);
	return true;
}

void ex_node_resolvers_look(struct ex_node *node)
{
	if (!ex_resolvers_look(&node->config.dns, ex_loop_now(node->loop)))
		return;
	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next) {
		e->unsaved |= ex_node_resolvers_give(node, e);
		ex_gates_tell_resolvers(e);
	}
	ex_round_want(node, false);
}

void ex_node_resolvers_write(const struct ex_node *node, struct ex_json *j)
{
	const struct ex_resolvers *dns = &node->config.dns;
	char text[EX_RESOLVER_TEXT];

	ex_json_open(j, "resolvers", '{');
	ex_json_open(j, "servers", '[');
	for (size_t i = 0; i < dns->n; i++)
		ex_json_text(j, NULL, ex_resolver_server_text(&dns->v[i], text));
	ex_json_close(j, ']');
	ex_json_text(j, "file", dns->file ? dns->file : "");
	ex_json_text(j, "error", dns->trouble ? dns->trouble : "");
	ex_json_close(j, '}');
}

const char *ex_node_resolvers_trouble(const struct ex_node *node)
{
	const struct ex_resolvers *dns = &node->config.dns;

	if (!dns->file || !dns->trouble)
		return NULL;
	return dns->n > dns->named
		       ? "/etc/resolv.conf cannot be used: the resolvers it named last "
			 "are asked"
		       : "/etc/resolv.conf cannot be used: most names cannot be looked up";
}
