/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/cni/identity.h"
#include "agent/cni/link.h"
#include "agent/cni/pending.h"
#include "agent/cni/result.h"
#include "agent/control/client.h"
#include "agent/core/log.h"

#define REQUEST_MAX (1 << 20)
#define GONE_MS     3000 /* DEL does not wait long for an agent that is on its way out */

/* ---- the agent ---- */

/* Nobody was there, or nobody answered; not: it said no. */
static bool is_away(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED || r == -ETIMEDOUT || r == -EPIPE ||
	       r == -ENOTDIR;
}

static int ask(const char *socket, struct ex_span request, int timeout_ms, struct ex_jv **ret,
	       struct ex_cni_error *err)
{
	struct ex_control_error why;
	int r = ex_control_call(socket, request, timeout_ms, ret, &why);

	if (r == -EREMOTEIO)
		ex_cni_fail(err, EX_CNI_REFUSED, why.message, "the exeat agent refuses: %s",
			    why.code);
	else if (r < 0)
		ex_cni_fail(err, EX_CNI_NO_AGENT, why.message, "the exeat agent does not answer");
	return r;
}

static void begin(struct ex_json *j, const char *op)
{
	ex_json_init_growing(j, REQUEST_MAX);
	ex_json_open(j, NULL, '{');
	ex_json_text(j, "op", op);
}

/* The end of a request made of container and interface. */
static int ask_about(const struct ex_cni_request *rq, const char *op, int timeout_ms,
		     struct ex_jv **ret, struct ex_cni_error *err)
{
	struct ex_json j;
	int r;

	begin(&j, op);
	ex_json_text(&j, "container_id", rq->container);
	ex_json_text(&j, "interface", rq->ifname);
	ex_json_close(&j, '}');
	r = ex_json_done(&j) < 0
		    ? ex_cni_fail(err, EX_CNI_IO, NULL, "out of memory")
		    : ask(rq->socket, (struct ex_span){ j.out, j.len }, timeout_ms, ret, err);
	ex_json_wipe(&j);
	return r;
}

/* ---- ADD ---- */

static void write_serve(const struct ex_cni_request *rq, struct ex_json *j)
{
	const struct ex_jv *serve = ex_jv_get(rq->conf, "serve");

	if (!serve)
		return;
	ex_json_open(j, "serve", '[');
	for (size_t i = 0; i < ex_jv_count(serve); i++)
		ex_json_text(j, NULL, ex_jv_text(ex_jv_at(serve, i)));
	ex_json_close(j, ']');
}

/* So that the agent finds this pod, or none: see op_add.c. */
static void write_id(const struct ex_cni_link *link, struct ex_json *j)
{
	ex_json_open(j, "netns_id", '{');
	ex_json_number(j, "dev", link->id.dev);
	ex_json_number(j, "ino", link->id.ino);
	ex_json_number(j, "host_ifindex", link->host_end);
	ex_json_close(j, '}');
}

static int write_add(const struct ex_cni_request *rq, const struct ex_cni_link *link,
		     struct ex_json *j, struct ex_cni_error *err)
{
	struct ex_cni_identity id;
	int r = ex_cni_identify(&id, rq, err);

	if (r == 0) {
		begin(j, "endpoint.add");
		ex_json_text(j, "name", id.name);
		ex_json_text(j, "namespace", id.ns);
		ex_json_open(j, "labels", '{');
		for (size_t i = 0; i < id.n_labels; i++)
			ex_json_text(j, id.labels[i].key, id.labels[i].value);
		ex_json_close(j, '}');
		ex_json_text(j, "container_id", rq->container);
		ex_json_text(j, "netns", rq->netns);
		ex_json_text(j, "interface", rq->ifname);
		write_id(link, j);
		ex_cni_prev_write(rq, link, j);
		write_serve(rq, j);
		ex_json_close(j, '}');
		if (ex_json_done(j) < 0)
			r = ex_cni_fail(err, EX_CNI_IO, NULL, "the request is too large");
	}
	ex_cni_identity_done(&id);
	return r;
}

static int find_link(const char *netns, const char *ifname, struct ex_cni_link *ret,
		     struct ex_cni_error *err)
{
	int r = ex_cni_link_find(netns, ifname, ret);

	if (r == 0)
		return 0;
	ex_cni_fail(
		err, EX_CNI_NO_HOST_END,
		r == -ENOTUNIQ ? "the pod uses the host's network namespace"
		: r == -ENOLINK
			? "it is not a veth whose other end is in the host's network namespace"
		: r == -EINVAL
			? "CNI_NETNS is neither /proc/PID/ns/net nor where a network namespace is mounted"
			: strerror(-r),
		"interface %s of the pod has no end on the host", ifname);
	return r;
}

/*
 * The agent is away: the pod's link goes down on the side the pod cannot reach, and the request is
 * kept. Written down after that, so that whoever takes it up finds the pod closed; then asked once
 * more, since the agent may have come and looked in between.
 */
static int add_closed(const struct ex_cni_request *rq, struct ex_span request, uint32_t host_end,
		      struct ex_cni_error *err)
{
	int r = ex_cni_link_switch(host_end, false);

	if (r < 0)
		return ex_cni_fail(err, EX_CNI_NO_AGENT, strerror(-r),
				   "the agent is away, and the pod cannot be closed");
	r = ex_cni_pending_add(rq->state_dir, rq->container, rq->ifname, request);
	if (r < 0)
		return ex_cni_fail(err, EX_CNI_NO_AGENT, strerror(-r),
				   "the agent is away, and the pod cannot be kept for it");
	ex_warning("the agent is away: interface %s of container %.12s stays closed", rq->ifname,
		   rq->container);
	if (ask(rq->socket, request, rq->timeout_ms, NULL, err) == 0) {
		r = ex_cni_link_switch(host_end, true);
		ex_cni_pending_remove(rq->state_dir, rq->container, rq->ifname);
	}
	return r == 0 ? 0 : ex_cni_fail(err, EX_CNI_IO, strerror(-r), "the pod's link stays down");
}

static int call_add(const struct ex_cni_request *rq, FILE *out, struct ex_cni_error *err)
{
	struct ex_json j = { 0 };
	struct ex_cni_link link;
	int r = ex_cni_prev_check(rq, err);

	if (r == 0)
		r = find_link(rq->netns, rq->ifname, &link, err);
	if (r == 0)
		r = write_add(rq, &link, &j, err);
	if (r == 0) {
		struct ex_span request = { j.out, j.len };

		r = ask(rq->socket, request, rq->timeout_ms, NULL, err);
		if (r < 0 && is_away(r) && rq->closed)
			r = add_closed(rq, request, link.host_end, err);
	}
	ex_json_wipe(&j);
	if (r == 0 && ex_cni_print_result(rq, out) < 0)
		r = ex_cni_fail(err, EX_CNI_IO, NULL, "the result cannot be written");
	return r;
}

/* ---- DEL, CHECK, GC, STATUS ---- */

/* Always done: what the agent does not hear of now it sees by itself when the link is gone. */
static int call_del(const struct ex_cni_request *rq, struct ex_cni_error *err)
{
	ex_cni_pending_remove(rq->state_dir, rq->container, rq->ifname);
	if (ask_about(rq, "endpoint.remove", GONE_MS, NULL, err) < 0 &&
	    !strstr(err->msg, "not-found"))
		ex_info("%s: %s", err->msg, err->details);
	return 0;
}

static bool holds_address(const struct ex_jv *list, const struct ex_ip *ip)
{
	for (size_t i = 0; i < ex_jv_count(list); i++) {
		const char *text = ex_jv_text(ex_jv_at(list, i));
		struct ex_ip have;

		if (text && ex_ip_parse(text, &have) && ex_ip_eq(&have, ip))
			return true;
	}
	return false;
}

static int call_check(const struct ex_cni_request *rq, struct ex_cni_error *err)
{
	struct ex_jv *answer = NULL;
	struct ex_cni_link link;
	const struct ex_jv *have;
	struct ex_ip ips[16];
	size_t n;
	int r = ex_cni_prev_check(rq, err);

	if (r == 0)
		r = find_link(rq->netns, rq->ifname, &link, err);
	if (r == 0)
		r = ask_about(rq, "endpoint.show", rq->timeout_ms, &answer, err);
	if (r < 0)
		return r;
	have = ex_jv_get(ex_jv_get(answer, "result"), "addresses");
	n = ex_cni_prev_addresses(rq, ips, EX_ARRAY_SIZE(ips));
	for (size_t i = 0; i < n && r == 0; i++)
		if (!holds_address(have, &ips[i]))
			r = ex_cni_fail(err, EX_CNI_NOT_GATED, NULL,
					"the gates are not those of the pod's addresses");
	ex_jv_free(answer);
	return r;
}

/* The attachments that are still valid, as the runtime says (1.1). */
static bool is_valid(const struct ex_jv *valid, const char *container, const char *ifname)
{
	for (size_t i = 0; i < ex_jv_count(valid); i++) {
		const char *id = ex_jv_string(ex_jv_at(valid, i), "containerID");
		const char *name = ex_jv_string(ex_jv_at(valid, i), "ifname");

		if (id && name && strcmp(id, container) == 0 && strcmp(name, ifname) == 0)
			return true;
	}
	return false;
}

/* It stands, or that cannot be told now: who is removed while it runs can do nothing any more. */
static bool may_stand(const char *netns, const char *ifname)
{
	struct ex_cni_link link;
	int r = ex_cni_link_find(netns, ifname, &link);

	return r == 0 || r == -EAGAIN || r == -ENOMEM || r == -ENOBUFS || r == -EMFILE ||
	       r == -ENFILE;
}

/*
 * Endpoints are not told apart by network: one whose link still stands may be of another network
 * and is left alone, so that only what the runtime does not know and that is gone is removed.
 */
static int collect(const struct ex_cni_request *rq, const struct ex_jv *list,
		   const struct ex_jv *valid, struct ex_cni_error *err)
{
	for (size_t i = 0; i < ex_jv_count(list); i++) {
		const struct ex_jv *e = ex_jv_at(list, i);
		const char *netns = ex_jv_string(e, "netns");
		struct ex_cni_request one = *rq;
		int r;

		one.container = ex_jv_string(e, "container_id");
		one.ifname = ex_jv_string(e, "interface");
		if (!one.container || !*one.container || !one.ifname || !netns ||
		    is_valid(valid, one.container, one.ifname) || may_stand(netns, one.ifname))
			continue;
		ex_cni_pending_remove(one.state_dir, one.container, one.ifname);
		r = ask_about(&one, "endpoint.remove", rq->timeout_ms, NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int call_gc(const struct ex_cni_request *rq, struct ex_cni_error *err)
{
	const struct ex_jv *valid = ex_jv_get(rq->conf, "cni.dev/valid-attachments");
	struct ex_jv *answer = NULL;
	int r;

	if (!valid)
		return ex_cni_fail(err, EX_CNI_BAD_CONFIG, NULL,
				   "cni.dev/valid-attachments is missing");
	r = ask(rq->socket, EX_SPAN("{\"op\":\"endpoint.list\"}"), rq->timeout_ms, &answer, err);
	if (r == 0)
		r = collect(rq, ex_jv_get(ex_jv_get(answer, "result"), "endpoints"), valid, err);
	ex_jv_free(answer);
	return r;
}

static int call_status(const struct ex_cni_request *rq, struct ex_cni_error *err)
{
	int r = ask(rq->socket, EX_SPAN("{\"op\":\"status\"}"), rq->timeout_ms, NULL, err);

	if (r < 0)
		err->code = EX_CNI_LIMITED; /* and what runs has no L7 while it lasts */
	return r;
}

int ex_cni_call(const struct ex_cni_env *env, FILE *in, FILE *out)
{
	struct ex_cni_error err = { 0 };
	struct ex_cni_request rq;
	int r = ex_cni_request_read(&rq, env, in, &err);

	if (r == 0) {
		switch (rq.command) {
		case EX_CNI_ADD:
			r = call_add(&rq, out, &err);
			break;
		case EX_CNI_DEL:
			r = call_del(&rq, &err);
			break;
		case EX_CNI_CHECK:
			r = call_check(&rq, &err);
			break;
		case EX_CNI_GC:
			r = call_gc(&rq, &err);
			break;
		case EX_CNI_STATUS:
			r = call_status(&rq, &err);
			break;
		case EX_CNI_VERSION:
			ex_cni_print_versions(rq.version, out);
			break;
		case EX_CNI_NONE:
			r = ex_cni_fail(&err, EX_CNI_BAD_ENV, NULL, "CNI_COMMAND is missing");
		}
	}
	if (r < 0)
		ex_cni_print_error(rq.version, &err, out);
	ex_cni_request_done(&rq);
	return r < 0;
}
