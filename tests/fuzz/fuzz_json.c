/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON from outside: what comes over the control socket, what a container runtime gives to the CNI
 * plugin, and the node's own state files. No crash; an endpoint that was taken is the same when it
 * is written to its state file and read again.
 *
 * Input: one byte says which, then the text.
 */
#include <stdio.h>

#include "agent/cni/request.h"
#include "agent/cni/result.h"
#include "agent/node/endpoint.h"
#include "tests/fuzz/fuzz.h"

static void try_text(struct ex_span in)
{
	char err[EX_JV_ERROR_MAX] = "";
	struct ex_jv *v = NULL, *again = NULL;
	char *text, *text2;

	if (ex_jv_read(in, &v, err)) {
		CHECK(err[0] && !v);
		return;
	}
	text = ex_jv_print(v);
	CHECK(text && ex_jv_read(ex_span_str(text), &again, err) == 0);
	text2 = ex_jv_print(again);
	CHECK(text2 && strcmp(text, text2) == 0);
	free(text);
	free(text2);
	ex_jv_free(v);
	ex_jv_free(again);
}

static void try_endpoint(struct ex_span in, bool state)
{
	char err[EX_NODE_ERR] = "";
	struct ex_node_endpoint *e;
	struct ex_jv *v = NULL;
	int r;

	if (ex_jv_read(in, &v, err))
		return;
	e = ex_node_endpoint_new();
	CHECK(e);
	r = state ? ex_node_endpoint_recover(e, v, err) : ex_node_endpoint_read(e, v, err);
	CHECK(r == 0 || err[0]);
	if (r == 0) {
		CHECK(e->name && e->name[0] && e->ns && e->n_labels <= EX_NODE_LABELS_MAX);
		CHECK(e->n_serve <= EX_NODE_SERVES_MAX && e->n_dns <= EX_NODE_DNS_MAX);
	}
	ex_node_endpoint_free(e);
	ex_jv_free(v);
}

static void try_cni(struct ex_span in)
{
	const struct ex_cni_env env = { .command = "ADD",
					.container = "c0ffee",
					.netns = "/var/run/netns/x",
					.ifname = "eth0",
					.args = "K8S_POD_NAME=a;K8S_POD_NAMESPACE=b" };
	struct ex_cni_request rq = { 0 };
	struct ex_cni_error err = { 0 };
	struct ex_ip ips[4];
	FILE *f = fmemopen((void *)(uintptr_t)in.ptr, in.len, "r"), *out;

	CHECK(f);
	if (ex_cni_request_read(&rq, &env, f, &err) == 0) {
		out = fopen("/dev/null", "w");
		CHECK(out && rq.command == EX_CNI_ADD && rq.version);
		CHECK(ex_cni_prev_addresses(&rq, ips, EX_ARRAY_SIZE(ips)) <= EX_ARRAY_SIZE(ips));
		if (ex_cni_prev_check(&rq, &err) == 0)
			(void)!ex_cni_print_result(&rq, out);
		fclose(out);
	} else {
		CHECK(err.code != EX_CNI_OK && err.msg[0]);
	}
	ex_cni_request_done(&rq);
	fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ex_span in = { (const char *)data + 1, size - 1 };

	if (size < 2 || size > 16384)
		return 0;
	switch (data[0] % 4) {
	case 0:
		try_text(in);
		break;
	case 1:
		try_endpoint(in, false);
		break;
	case 2:
		try_endpoint(in, true);
		break;
	default:
		try_cni(in);
		break;
	}
	return 0;
}
