/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes NetworkPolicy. An item of egress (ingress) is (to, or from: any of these) and (ports:
 * any of these); a missing or empty list does not limit. Every peer becomes a rule of its own with
 * the same ports, which is the same union.
 */
#include "policy/cnp.h"
#include "policy/selects.h"

#define NAMESPACE_LABELS "io.cilium.k8s.namespace.labels."

struct k8s_reader {
	struct ex_policy_set *set;
	struct ex_spec spec;
	const struct ex_node *egress, *ingress;
	bool type_egress, type_ingress, types;
};

struct item_reader {
	const struct ex_node *peers;
	struct ex_ports *ports;
};

struct peer_reader {
	struct ex_peer *peer;
	struct ex_selector *pods, *namespaces;
	const struct ex_node *block;
};

static void read_pod_selector(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct k8s_reader *kr = out;

	kr->spec.endpoints = ex_arena_alloc(d->arena, 1, sizeof(*kr->spec.endpoints));
	if (kr->spec.endpoints)
		ex_read_selector(d, n, kr->spec.endpoints);
}

static void read_policy_types(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct k8s_reader *kr = out;
	char quoted[EX_QUOTE_TEXT];

	if (!ex_decode_list(d, n, 2, true))
		return;
	kr->types = n->n > 0;
	for (const struct ex_node *c = n->first; c; c = c->next) {
		const char *word = ex_decode_text(d, c);

		if (word && strcmp(word, "Egress") == 0)
			kr->type_egress = true;
		else if (word && strcmp(word, "Ingress") == 0)
			kr->type_ingress = true;
		else if (word)
			ex_decode_error(d, c, "write Egress or Ingress", "unknown policy type %s",
					ex_quote(word, c->len, quoted));
	}
}

static void read_egress(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct k8s_reader *)out)->egress = n;
}

static void read_ingress(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct k8s_reader *kr = out;

	kr->ingress = n;
	ex_warn_ingress(d, n, kr->set);
}

/* ---- one item ---- */

static void read_pods(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct peer_reader *pr = out;

	pr->pods = ex_arena_alloc(d->arena, 1, sizeof(*pr->pods));
	if (pr->pods)
		ex_read_selector(d, n, pr->pods);
}

static void read_namespaces(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct peer_reader *pr = out;

	pr->namespaces = ex_arena_alloc(d->arena, 1, sizeof(*pr->namespaces));
	if (pr->namespaces)
		ex_read_selector(d, n, pr->namespaces);
}

static void read_ip_block(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct peer_reader *pr = out;

	pr->block = n;
	pr->peer->cidrs = ex_arena_alloc(d->arena, 1, sizeof(*pr->peer->cidrs));
	if (pr->peer->cidrs && ex_read_ip_block(d, n, &pr->peer->cidrs[0]))
		pr->peer->n_cidrs = 1;
}

/* The terms about namespaces become terms about the namespace labels of the endpoint. */
static void join_selectors(struct ex_decoder *d, const struct peer_reader *pr,
			   struct ex_selector *ret)
{
	size_t n_pods = pr->pods ? pr->pods->n_terms : 0;
	size_t n_ns = pr->namespaces ? pr->namespaces->n_terms : 0;
	struct ex_label_term *v = ex_arena_alloc(d->arena, n_pods + n_ns + 1, sizeof(*v));

	if (!v)
		return;
	if (n_pods)
		memcpy(v, pr->pods->terms, n_pods * sizeof(*v));
	for (size_t i = 0; i < n_ns; i++) {
		struct ex_label_term *t = &v[n_pods + i];

		*t = pr->namespaces->terms[i];
		t->key = ex_arena_printf(d->arena, NAMESPACE_LABELS "%s", t->key);
		if (!t->key)
			return;
	}
	/* pods of any namespace are still pods: they have one */
	if (pr->namespaces)
		v[n_pods + n_ns++] =
			(struct ex_label_term){ .op = EX_LABEL_EXISTS, .key = EX_LABEL_NAMESPACE };
	*ret = (struct ex_selector){ .terms = v,
				     .n_terms = n_pods + n_ns,
				     .names_namespace = pr->namespaces };
}

static void read_peer(struct ex_decoder *d, const struct ex_node *n, struct ex_peer *peer)
{
	static const struct ex_field fields[] = {
		{ "podSelector", read_pods, NULL, NULL },
		{ "namespaceSelector", read_namespaces, NULL, NULL },
		{ "ipBlock", read_ip_block, NULL, NULL },
	};
	struct peer_reader pr = { .peer = peer };

	peer->pos = n->pos;
	if (!ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &pr))
		return;
	if (pr.block && (pr.pods || pr.namespaces)) {
		ex_decode_error(d, n, "write one item for each of them",
				"ipBlock excludes podSelector and namespaceSelector");
		return;
	}
	if (pr.block) {
		peer->kind = EX_PEER_CIDR;
		return;
	}
	if (!pr.pods && !pr.namespaces) {
		ex_decode_error(d, n, "write podSelector, namespaceSelector or ipBlock",
				"selects nothing");
		return;
	}
	peer->selectors = ex_arena_alloc(d->arena, 1, sizeof(*peer->selectors));
	if (!peer->selectors)
		return;
	join_selectors(d, &pr, &peer->selectors[0]);
	peer->n_selectors = 1;
	peer->kind = EX_PEER_ENDPOINTS;
}

static void read_peers(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	if (!ex_node_is_null(n) && ex_decode_list(d, n, EX_LIST_MAX, true) && n->n)
		((struct item_reader *)out)->peers = n;
}

static void read_ports(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct item_reader *ir = out;
	struct ex_ports_reader r = { 0 };

	if (ex_node_is_null(n) || !ex_decode_list(d, n, EX_LIST_MAX, true) || n->n == 0)
		return;
	ir->ports = ex_arena_alloc(d->arena, 1, sizeof(*ir->ports));
	if (!ir->ports || !ex_ports_alloc(d, n->n, ir->ports))
		return;
	ir->ports->where = "ports";
	ir->ports->pos = n->pos;
	r.ports = ir->ports;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it)) {
		/* unlike in CiliumNetworkPolicy the port may be missing: all of a protocol */
		if (it.c->kind == EX_NODE_MAP && !ex_node_get(it.c, "port"))
			ex_read_all_ports(d, it.c, "TCP", &r);
		else
			ex_read_port(d, it.c, "TCP", &r);
	}
}

static void finish_rule(struct ex_egress *e, const struct item_reader *ir, struct ex_pos pos,
			const char *where)
{
	e->pos = pos;
	e->where = where;
	if (ir->ports) {
		e->ports = ir->ports;
		e->n_ports = 1;
		e->limits_ports = true;
	}
}

/* egress or ingress of a spec, while its items are read. */
struct direction_reader {
	struct ex_spec_rules *dir;
	const char *list, *peers; /* what they are called */
	const struct ex_field *fields;
	size_t n_fields;
};

static void read_item(struct ex_decoder *d, const struct ex_node *n,
		      const struct direction_reader *dr, size_t index)
{
	struct item_reader ir = { 0 };
	struct ex_egress *e;
	size_t mark;

	if (!ex_decode_map(d, n, dr->fields, dr->n_fields, &ir))
		return;
	if (!ir.peers) {
		e = &dr->dir->rules[dr->dir->n++];
		e->peer.kind = EX_PEER_ANY;
		finish_rule(e, &ir, n->pos, ex_arena_printf(d->arena, "%s[%zu]", dr->list, index));
		return;
	}
	mark = ex_decode_push(d, dr->peers);
	for (struct ex_item it = ex_item_first(d, ir.peers); it.c; ex_item_next(d, &it)) {
		e = &dr->dir->rules[dr->dir->n++];
		read_peer(d, it.c, &e->peer);
		finish_rule(e, &ir, it.c->pos,
			    ex_arena_printf(d->arena, "%s[%zu].%s[%zu]", dr->list, index, dr->peers,
					    it.i));
	}
	ex_decode_pop(d, mark);
}

static size_t count_rules(const struct ex_node *items, const char *peers)
{
	size_t n = 0;

	for (const struct ex_node *c = items->first; c; c = c->next) {
		const struct ex_node *list = ex_node_get(c, peers);

		n += list && list->kind == EX_NODE_LIST && list->n ? list->n : 1;
	}
	return n;
}

static void read_items(struct ex_decoder *d, const struct ex_node *items,
		       const struct direction_reader *dr)
{
	size_t mark;

	if (!items || ex_node_is_null(items))
		return;
	mark = ex_decode_push(d, dr->list);
	if (ex_decode_list(d, items, EX_LIST_MAX, true))
		dr->dir->rules = ex_arena_alloc(d->arena, count_rules(items, dr->peers),
						sizeof(*dr->dir->rules));
	if (dr->dir->rules)
		for (struct ex_item it = ex_item_first(d, items); it.c; ex_item_next(d, &it))
			read_item(d, it.c, dr, it.i);
	ex_decode_pop(d, mark);
}

static void read_directions(struct ex_decoder *d, struct k8s_reader *kr)
{
	static const struct ex_field egress[] = {
		{ "to", read_peers, NULL, NULL },
		{ "ports", read_ports, NULL, NULL },
	};
	static const struct ex_field ingress[] = {
		{ "from", read_peers, NULL, NULL },
		{ "ports", read_ports, NULL, NULL },
	};
	const struct direction_reader out = { &kr->spec.egress, "egress", "to", egress,
					      EX_ARRAY_SIZE(egress) };
	const struct direction_reader in = { &kr->spec.ingress, "ingress", "from", ingress,
					     EX_ARRAY_SIZE(ingress) };

	read_items(d, kr->egress, &out);
	read_items(d, kr->ingress, &in);
}

/* Without types ingress is isolated always, and egress when there are egress rules. */
static void read_isolation(struct ex_decoder *d, struct k8s_reader *kr)
{
	bool egress = kr->egress && kr->egress->kind == EX_NODE_LIST && kr->egress->n > 0;

	if (kr->types && !kr->type_egress && kr->egress)
		ex_decode_key_error(d, kr->egress, "add Egress to policyTypes",
				    "policyTypes lacks Egress: the egress rules would be ignored");
	if (kr->types && !kr->type_ingress && kr->ingress)
		ex_decode_key_error(d, kr->ingress, "add Ingress to policyTypes",
				    "policyTypes lacks Ingress: the ingress rules would be "
				    "ignored");
	kr->spec.egress.about = kr->types ? kr->type_egress : egress;
	kr->spec.egress.default_deny = kr->spec.egress.about;
	kr->spec.ingress.about = kr->types ? kr->type_ingress : true;
	kr->spec.ingress.default_deny = kr->spec.ingress.about;
}

void ex_read_k8s_spec(struct ex_decoder *d, const struct ex_node *n, struct ex_policy_set *set,
		      const struct ex_spec *proto)
{
	static const struct ex_field fields[] = {
		{ "podSelector", read_pod_selector, NULL, NULL },
		{ "policyTypes", read_policy_types, NULL, NULL },
		{ "egress", read_egress, NULL, NULL },
		{ "ingress", read_ingress, NULL, NULL },
	};
	struct k8s_reader kr = { .set = set, .spec = *proto };
	struct ex_spec *slot;

	kr.spec.pos = n->pos;
	if (!ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), &kr))
		return;
	if (!kr.spec.endpoints)
		ex_decode_error(d, n, "write \"podSelector: {}\" for every pod",
				"needs the field podSelector");
	read_isolation(d, &kr);
	read_directions(d, &kr);
	kr.spec.chosen = ex_policy_chooses(set, &kr.spec);
	slot = EX_VEC_ADD(&set->specs);
	if (slot)
		*slot = kr.spec;
	else
		d->arena->oom = true;
}
