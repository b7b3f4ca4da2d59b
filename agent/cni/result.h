/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to the runtime, and what the plugins before us left in prevResult. */
#ifndef EXEAT_AGENT_CNI_RESULT_H
#define EXEAT_AGENT_CNI_RESULT_H

#include "agent/cni/link.h"
#include "agent/cni/request.h"
#include "agent/core/json.h"

/* prevResult is there and says something about the pod's interface: 0 or -EINVAL. */
EX_MUST_CHECK int ex_cni_prev_check(const struct ex_cni_request *rq, struct ex_cni_error *err);

/*
 * "ips" (without prefix lengths), "mac" and "dns" of the pod's interface, as members of j. What the
 * result does not tell is as the link has it now: later it may be what the pod chose.
 */
void ex_cni_prev_write(const struct ex_cni_request *rq, const struct ex_cni_link *link,
		       struct ex_json *j);

/* The addresses of the pod's interface, max at most: how many. */
size_t ex_cni_prev_addresses(const struct ex_cni_request *rq, struct ex_ip *ret, size_t max);

/* prevResult as it came, in the version that was asked for. 0 or negative errno. */
EX_MUST_CHECK int ex_cni_print_result(const struct ex_cni_request *rq, FILE *out);
void ex_cni_print_versions(const char *version, FILE *out);
void ex_cni_print_error(const char *version, const struct ex_cni_error *err, FILE *out);

#endif
