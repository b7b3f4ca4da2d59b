/* SPDX-License-Identifier: Apache-2.0 */
/* terminatingTLS and originatingTLS of a toPorts item. */
#include "policy/cnp.h"
#include "policy/secret.h"

#include <errno.h>

/* What is in a secret under which name, unless the policy says another. */
enum item {
	ITEM_ROOTS,
	ITEM_CHAIN,
	ITEM_KEY,
	ITEM_MAX,
};

static const struct {
	const char *field, *usual;
} items[] = {
	[ITEM_ROOTS] = { "trustedCA", "ca.crt" },
	[ITEM_CHAIN] = { "certificate", "tls.crt" },
	[ITEM_KEY] = { "privateKey", "tls.key" },
};

struct context_reader {
	const struct ex_node *secret, *given[ITEM_MAX];
};

static void read_secret_node(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	(void)d;
	((struct context_reader *)out)->secret = n;
}

static void read_item(struct ex_decoder *d, const struct ex_node *n, void *out, enum item item)
{
	if (ex_decode_text(d, n))
		((struct context_reader *)out)->given[item] = n;
}

static void read_roots(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	read_item(d, n, out, ITEM_ROOTS);
}

static void read_chain(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	read_item(d, n, out, ITEM_CHAIN);
}

static void read_key(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	read_item(d, n, out, ITEM_KEY);
}

/* False, with an error, when it cannot be understood. */
static bool read_context(struct ex_decoder *d, const struct ex_node *n, const char *ns,
			 struct context_reader *cr, struct ex_secret_ref *ref)
{
	static const struct ex_field fields[] = {
		{ "secret", read_secret_node, NULL, NULL },
		{ "trustedCA", read_roots, NULL, NULL },
		{ "certificate", read_chain, NULL, NULL },
		{ "privateKey", read_key, NULL, NULL },
	};
	size_t before = d->n_errors, mark;

	ref->ns = ns;
	if (!ex_decode_map(d, n, fields, EX_ARRAY_SIZE(fields), cr))
		return false;
	if (!cr->secret) {
		ex_decode_error(d, n, "write secret: {namespace: NS, name: NAME}",
				"needs the field secret");
		return false;
	}
	mark = ex_decode_push(d, "secret");
	ex_read_secret_ref(d, cr->secret, ref);
	ex_decode_pop(d, mark);
	return d->n_errors == before;
}

void ex_read_terminating(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_ports_reader *r = out;
	struct context_reader cr = { 0 };
	struct ex_secret_ref ref = { 0 };

	r->terminating = n;
	if (read_context(d, n, r->rule->spec->ns, &cr, &ref))
		ex_decode_warning(d, n, "remove it: exeat needs no hand-made certificates",
				  "the secret is not read: certificates are made per name, from a "
				  "CA that the workload trusts");
}

/* ---- originatingTLS ---- */

#define LAYOUT                                                                                     \
	"give the folder that has NAMESPACE/NAME/{tls.crt,tls.key,ca.crt}, as Kubernetes mounts "  \
	"it: --secrets DIR"

/* The value of one item; len 0 when there is none, which is said when it has to be there. */
static struct ex_span find_item(struct ex_decoder *d, const struct ex_ports_reader *r,
				const struct context_reader *cr, const struct ex_secret_ref *secret,
				enum item item)
{
	const struct ex_node *given = cr->given[item];
	struct ex_secret_ref ref = *secret;
	const struct ex_secret *s;
	const char *why;
	int err;

	ref.item = given ? given->text : items[item].usual;
	ref.key = item == ITEM_KEY;
	s = ex_policy_secret(d, r->rule->set, &ref, &err, &why);
	if (s)
		return s->value;
	if (err == -ENOMEM)
		d->arena->oom = true;
	else if (err != -ENOENT)
		ex_decode_error(d, given ? given : cr->secret, LAYOUT, "%s of the secret %s/%s %s",
				ref.item, ref.ns, ref.name, why);
	else if (given)
		ex_decode_error(d, given, LAYOUT, "there is no item %s in the secret %s/%s",
				ref.item, ref.ns, ref.name);
	return (struct ex_span){ 0 };
}

/* Where the key is kept elsewhere, its text is empty, and all of it was checked there. */
static void check(struct ex_decoder *d, const struct context_reader *cr, const struct ex_origin *o)
{
	const char *why;

	if (!o->chain.ptr && !o->key.ptr && !o->roots.ptr) {
		ex_decode_error(d, cr->secret, LAYOUT, "there is no secret %s/%s", o->ns, o->name);
	} else if (!o->chain.ptr != !o->key.ptr) {
		ex_decode_error(d, cr->secret, LAYOUT, "the secret %s/%s has a %s", o->ns, o->name,
				o->key.ptr ? "private key, but no certificate"
					   : "certificate, but no private key");
	} else if (!o->chain.ptr || o->key.len) {
		why = ex_origin_check(o);
		if (why)
			ex_decode_error(d, cr->secret,
					"see that it is what the server's owner has given out",
					"the secret %s/%s %s", o->ns, o->name, why);
	}
}

static struct ex_origin *find_origin(struct ex_decoder *d, const struct ex_ports_reader *r,
				     const struct context_reader *cr,
				     const struct ex_secret_ref *ref)
{
	struct ex_origin *o = ex_arena_alloc(d->arena, 1, sizeof(*o));
	size_t before = d->n_errors;

	if (!o)
		return NULL;
	o->ns = ex_arena_strndup(d->arena, ref->ns, strlen(ref->ns));
	o->name = ex_arena_strndup(d->arena, ref->name, strlen(ref->name));
	o->roots = find_item(d, r, cr, ref, ITEM_ROOTS);
	o->chain = find_item(d, r, cr, ref, ITEM_CHAIN);
	o->key = find_item(d, r, cr, ref, ITEM_KEY);
	if (d->n_errors == before && !d->arena->oom)
		check(d, cr, o);
	return o;
}

void ex_read_originating(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	struct ex_ports_reader *r = out;
	struct context_reader cr = { 0 };
	struct ex_secret_ref ref = { 0 };

	r->originating = n;
	/* What is not for the workload makes no rules, and its secrets are not looked at. */
	if (read_context(d, n, r->rule->spec->ns, &cr, &ref) && r->rule->spec->chosen)
		r->ports->origin = find_origin(d, r, &cr, &ref);
}

/* Only TLS that is opened here is begun anew towards the server. */
void ex_finish_originating(struct ex_decoder *d, struct ex_ports_reader *r)
{
	struct ex_ports *p = r->ports;

	if (p->l7 != EX_L7_HTTP)
		ex_decode_error(d, r->originating, "add rules: {http: [{}]}",
				"needs rules.http: TLS that is passed on unread is the workload's "
				"own");
	for (size_t i = 0; i < p->n_http; i++)
		p->http[i].originates = true;
}
