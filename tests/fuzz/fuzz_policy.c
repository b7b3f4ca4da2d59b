/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy text, as a hostile author would write it. Whatever it is: no crash, an error has a reason,
 * and what compiles can be judged, emitted and classified; metadata stays closed, and of ingress
 * nothing is left to the proxy.
 */
#include <netinet/in.h>

#include "policy/emit.h"
#include "policy/lower.h"
#include "tests/fuzz/fuzz.h"

static const char endpoints[] =
	"endpoints:\n"
	"- {name: gw, namespace: ns, labels: {app: gw}, addresses: [10.9.0.1]}\n";

static void check_ruleset(struct ex_ruleset *rs)
{
	static const struct ex_span name = { "api.example.com", 15 };
	struct ex_flow flow = { .port = 80, .proto = IPPROTO_TCP, .names = &name, .n_names = 1 };
	struct ex_http_request req = { .method = EX_SPAN("GET"),
				       .path = EX_SPAN("/v1/x?y"),
				       .host = name,
				       .authority = name };
	struct ex_header source = { EX_SPAN("x-amz-copy-source"), EX_SPAN("/b/c") };
	struct ex_http_request odd = { .method = EX_SPAN("PUT"),
				       .path = EX_SPAN("/v1;x/y%2Fz%3Fa%3Bb?c"),
				       .host = name,
				       .authority = EX_SPAN("api.example.com:80"),
				       .headers = &source,
				       .n_headers = 1 };
	struct ex_name_classes *nc;
	struct ex_tables t, fresh;
	uint32_t klass;

	if (!ex_ip_parse("169.254.169.254", &flow.dst) ||
	    ex_judge_l4(rs, &flow).verdict != EX_V_DENY ||
	    ex_judge_http(rs, &flow, &req).verdict != EX_V_DENY ||
	    ex_judge_answer(rs, &flow.dst).verdict != EX_V_DENY)
		abort();
	if (!ex_ip_parse("10.9.0.1", &flow.dst))
		abort();
	(void)ex_judge_l4(rs, &flow);
	(void)ex_judge_app(rs, &flow, EX_APP_TLS, name);
	(void)ex_judge_http(rs, &flow, &req);
	(void)ex_judge_http(rs, &flow, &odd);
	(void)ex_judge_dns(rs, name);
	(void)ex_ruleset_intercepts(rs, name);
	if (ex_emit(rs, &t) == 0)
		ex_tables_done(&t);
	if (ex_name_classes_new(rs, &nc) == 0) {
		(void)ex_name_class(nc, &name, 1, &klass, &fresh);
		ex_name_classes_free(nc);
	}
}

static void check_ingress(const struct ex_ruleset *rs)
{
	struct ex_tables t;

	if (ex_emit(rs, &t) < 0)
		return;
	for (size_t i = 0; i < t.n_rules; i++)
		if (t.rules[i].value.verdict != EX_V_ALLOW && t.rules[i].value.verdict != EX_V_DENY)
			abort();
	ex_tables_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ex_served served = { IPPROTO_TCP, 8080, 8080 };
	static const struct ex_inward inward = { &served, 1 };
	struct ex_compile_input in = { .deny_metadata = true, .inward = &inward };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r;

	r = ex_compile_text((const char *)data, size, endpoints, sizeof(endpoints) - 1, &in, &rs,
			    &diags);
	if (r == 0) {
		check_ruleset(rs);
		check_ingress(ex_ruleset_ingress(rs));
	} else if (diags.n == 0) {
		abort();
	}
	ex_ruleset_unref(rs);
	ex_diags_done(&diags);
	return 0;
}
