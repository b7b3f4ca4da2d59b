/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/core/log.h"
#include "agent/node/gates.h"
#include "agent/node/handover.h"
#include "agent/node/ops.h"
#include "agent/node/records.h"
#include "agent/node/round.h"

/* ---- what they share ---- */

struct key_check {
	const struct ex_jv *request;
	const char *keys;
	const char *unknown, *wrong;
};

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = words; *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		if (len == n && strncmp(p, word, n) == 0)
			return true;
		p += len;
	}
	return false;
}

/* A key is of one kind, whichever op has it. */
static bool is_of_its_kind(const struct ex_jv *request, const char *key, const struct ex_jv *v)
{
	int64_t n;

	if (has_word("id pid", key))
		return ex_jv_integer(request, key, INT64_MIN, INT64_MAX, &n);
	if (has_word("open wait", key))
		return ex_jv_bool(request, key, false) == ex_jv_bool(request, key, true);
	if (has_word("ips serve dns", key))
		return ex_jv_is_array(v);
	if (has_word("labels netns_id", key))
		return ex_jv_is_object(v);
	return ex_jv_text(v);
}

static int check_key(void *arg, const char *key, const struct ex_jv *v)
{
	struct key_check *kc = arg;

	if (strcmp(key, "op") == 0)
		return 0;
	if (!has_word(kc->keys, key))
		kc->unknown = key;
	else if (!is_of_its_kind(kc->request, key, v))
		kc->wrong = key;
	return kc->unknown || kc->wrong;
}

bool ex_op_keys(struct ex_call *call, const char *keys)
{
	struct key_check kc = { .request = ex_call_request(call), .keys = keys };

	if (ex_jv_each(kc.request, check_key, &kc) == 0)
		return true;
	if (kc.wrong)
		ex_call_error(call, "invalid", "key \"%.40s\" is of the wrong kind", kc.wrong);
	else
		ex_call_error(call, "invalid", "unknown key \"%.40s\"; this op knows: %s",
			      kc.unknown, *keys ? keys : "none");
	return false;
}

/* Of the same name in another namespace there may be one, and that one be meant. */
static void not_found(const struct ex_node *node, struct ex_call *call, const char *ns,
		      const char *name)
{
	const struct ex_node_endpoint *e = node->registry.first;

	if (!name) {
		ex_call_error(call, "not-found", "there is no such endpoint");
		return;
	}
	while (e && strcmp(e->name, name) != 0)
		e = e->next;
	ex_call_error(call, "not-found", "there is no endpoint %s/%s%s%s%s%s", ns, name,
		      e ? "; there is " : "", e ? e->ns : "", e ? "/" : "", e ? e->name : "");
}

struct ex_node_endpoint *ex_op_endpoint(struct ex_node *node, struct ex_call *call)
{
	const struct ex_jv *rq = ex_call_request(call);
	const char *name = ex_jv_string(rq, "name"), *ns = ex_jv_string(rq, "namespace");
	const char *container = ex_jv_string(rq, "container_id");
	struct ex_node_endpoint *e = NULL;
	int64_t id;

	if (ex_jv_get(rq, "id")) {
		if (ex_jv_integer(rq, "id", 1, INT32_MAX, &id))
			e = ex_registry_by_id(&node->registry, (uint32_t)id);
	} else if (container && *container) {
		e = ex_registry_by_container(&node->registry, container,
					     ex_jv_string(rq, "interface"));
	} else if (name) {
		ns = ns ? ns : "default";
		e = ex_registry_by_name(&node->registry, ns, name);
	} else {
		ex_call_error(call, "invalid",
			      "write id, container_id, or name and namespace of the endpoint");
		return NULL;
	}
	if (!e)
		not_found(node, call, ns, ns ? name : NULL);
	return e;
}

/* ---- endpoints ---- */

static void op_endpoint_remove(void *arg, struct ex_call *call)
{
	struct ex_node *node = arg;
	struct ex_node_endpoint *e;

	if (!ex_op_keys(call, "id name namespace container_id interface open"))
		return;
	e = ex_op_endpoint(node, call);
	if (!e)
		return;
	ex_json_number(ex_call_result(call), "id", e->id);
	ex_round_drop(node, e, ex_jv_bool(ex_call_request(call), "open", false),
		      "removed on request");
	ex_round_want(node, false); /* nobody has it as a peer any more */
	ex_call_ok(call);
}

static void write_endpoint(const struct ex_node_endpoint *e, struct ex_json *j)
{
	ex_json_open(j, NULL, '{');
	ex_node_endpoint_write(e, j);
	ex_gates_write(e, j);
	ex_json_close(j, '}');
}

static void op_endpoint_list(void *arg, struct ex_call *call)
{
	struct ex_node *node = arg;
	struct ex_json *j;

	if (!ex_op_keys(call, ""))
		return;
	j = ex_call_result(call);
	ex_json_open(j, "endpoints", '[');
	for (const struct ex_node_endpoint *e = node->registry.first; e; e = e->next)
		write_endpoint(e, j);
	ex_json_close(j, ']');
	ex_call_ok(call);
}

static void op_endpoint_show(void *arg, struct ex_call *call)
{
	const struct ex_node_endpoint *e;
	struct ex_json *j;

	if (!ex_op_keys(call, "id name namespace container_id interface"))
		return;
	e = ex_op_endpoint(arg, call);
	if (!e)
		return;
	j = ex_call_result(call);
	ex_node_endpoint_write(e, j);
	ex_gates_write(e, j);
	ex_gates_write_counts(arg, e, j);
	ex_call_ok(call);
}

static void answer_done(struct ex_node *node, struct ex_node_pending *p)
{
	if (p->err < 0) {
		ex_call_error(p->call, "failed", "%s", p->why);
		return;
	}
	ex_json_number(ex_call_result(p->call), "revision", node->revision);
	ex_call_ok(p->call);
}

/* A call that is answered when the next round is over and the proxies have followed. */
static void wait_for_round(struct ex_node *node, struct ex_call *call, uint32_t endpoint,
			   bool files, void (*fn)(struct ex_node *node, struct ex_node_pending *p))
{
	struct ex_node_pending *p = calloc(1, sizeof(*p));

	if (!p) {
		ex_call_error(call, "failed", "no memory");
		return;
	}
	*p = (struct ex_node_pending){
		.call = call, .fn = fn, .endpoint = endpoint, .settled = true
	};
	ex_round_want_for(node, p, files);
}

/* What cannot be written down is not taken in memory either: another round would put it in force.
 */
static int relabel(struct ex_node *node, struct ex_node_endpoint *e, const struct ex_jv *labels,
		   char err[static EX_NODE_ERR])
{
	const struct ex_node_endpoint was = *e;
	struct ex_arena spare;
	int r;

	e->label_arena = (struct ex_arena){ 0 };
	r = ex_node_endpoint_relabel(e, labels, err);
	if (r == 0 && (r = ex_registry_save(&node->registry, e)) < 0)
		(void)ex_node_fail(err, r, "cannot write its state: %s", strerror(-r));
	spare = r < 0 ? e->label_arena : was.label_arena;
	if (r < 0) {
		e->labels = was.labels;
		e->n_labels = was.n_labels;
		e->label_arena = was.label_arena;
	}
	ex_arena_done(&spare);
	if (r == 0 && e->records && ex_node_records_name(node, e) < 0)
		ex_warning("endpoint %u: no memory: its events go on with its old labels", e->id);
	return r;
}

static void op_endpoint_labels(void *arg, struct ex_call *call)
{
	const struct ex_jv *labels = ex_jv_get(ex_call_request(call), "labels");
	struct ex_node *node = arg;
	struct ex_node_endpoint *e;
	char err[EX_NODE_ERR] = "no memory";
	int r;

	if (!ex_op_keys(call, "id name namespace container_id interface labels"))
		return;
	if (!labels) {
		ex_call_error(call, "invalid", "write labels, all of them");
		return;
	}
	e = ex_op_endpoint(node, call);
	if (!e)
		return;
	r = relabel(node, e, labels, err);
	if (r < 0) {
		ex_call_error(call, r == -EINVAL ? "invalid" : "failed", "%s", err);
		return;
	}
	wait_for_round(node, call, e->id, false, answer_done);
}

/* ---- policies ---- */

/* One that the set could not be put in force for; NULL = none. */
static const struct ex_node_endpoint *left_behind(const struct ex_node *node)
{
	const struct ex_node_endpoint *e = node->registry.first;

	while (e && e->revision == node->revision)
		e = e->next;
	return e;
}

static void answer_policy(struct ex_node *node, struct ex_node_pending *p)
{
	const struct ex_node_endpoint *behind = left_behind(node);

	if (p->err < 0 || node->policy_error[0]) {
		ex_call_error(p->call, "failed", "%s",
			      node->policy_error[0] ? node->policy_error : p->why);
		return;
	}
	if (behind) {
		ex_call_error(p->call, "failed", "endpoint %u (%s/%s): %s", behind->id, behind->ns,
			      behind->name, behind->why);
		return;
	}
	ex_json_number(ex_call_result(p->call), "revision", node->revision);
	ex_json_number(ex_call_result(p->call), "files", node->files ? node->files->files.n : 0);
	ex_op_write_warnings(node, ex_call_result(p->call));
	ex_call_ok(p->call);
}

static void op_policy_apply(void *arg, struct ex_call *call)
{
	struct ex_node *node = arg;

	if (!ex_op_keys(call, "wait"))
		return;
	node->recompile |= node->config.secrets_dir != NULL; /* they may be others now */
	if (ex_jv_bool(ex_call_request(call), "wait", true)) {
		wait_for_round(node, call, 0, true, answer_policy);
		return;
	}
	ex_round_want(node, true);
	ex_call_ok(call);
}

static void op_policy_list(void *arg, struct ex_call *call)
{
	struct ex_node *node = arg;
	struct ex_json *j;

	if (!ex_op_keys(call, ""))
		return;
	j = ex_call_result(call);
	ex_json_number(j, "revision", node->revision);
	ex_json_text(j, "error", node->policy_error);
	ex_json_open(j, "files", '[');
	for (size_t i = 0; node->files && i < node->files->files.n; i++)
		ex_json_text(j, NULL, node->files->files.v[i]->text.name);
	ex_json_close(j, ']');
	ex_call_ok(call);
}

/* The answer leaves before the program does. */
static void op_restart(void *arg, struct ex_call *call)
{
	if (!ex_op_keys(call, ""))
		return;
	ex_handover_want(arg);
	ex_call_ok(call);
}

int ex_ops_add(struct ex_node *node)
{
	static const struct {
		const char *op;
		ex_control_fn fn;
	} ops[] = {
		{ "endpoint.add", ex_op_endpoint_add },
		{ "endpoint.remove", op_endpoint_remove },
		{ "endpoint.list", op_endpoint_list },
		{ "endpoint.show", op_endpoint_show },
		{ "endpoint.labels", op_endpoint_labels },
		{ "policy.apply", op_policy_apply },
		{ "policy.list", op_policy_list },
		{ "reload", op_policy_apply },
		{ "status", ex_op_status },
		{ "restart", op_restart },
	};
	int r = 0;

	for (size_t i = 0; i < EX_ARRAY_SIZE(ops) && r == 0; i++)
		r = ex_control_add(node->control, ops[i].op, ops[i].fn, node);
	return r;
}
