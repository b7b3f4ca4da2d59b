/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints file: which addresses carry which labels, where there is no Kubernetes to ask.
 *
 *   endpoints:
 *   - name: llm-gateway
 *     namespace: agents            # "default" when missing
 *     labels: {app: llm-gateway}
 *     addresses: [10.1.2.3, "fd00::3"]
 *     ports: {http: 8080}          # names that policies may use for this endpoint's ports
 *   - name: api                    # an entity: kube-apiserver, remote-node, ...
 *     labels: {"reserved:kube-apiserver": ""}
 *     addresses: [10.1.0.1]
 */
#ifndef EXEAT_POLICY_ENDPOINTS_H
#define EXEAT_POLICY_ENDPOINTS_H

#include "policy/decode.h"
#include "policy/label.h"

struct ex_known_port {
	const char *name;
	uint16_t port;
};

struct ex_known_endpoint {
	const char *name;
	const char *ns; /* "" for an entity */
	bool entity;
	struct ex_label_set labels; /* with the namespace and cluster labels added */
	struct ex_ip *ips;
	size_t n_ips;
	struct ex_known_port *ports;
	size_t n_ports;
};

struct ex_known_endpoints {
	struct ex_known_endpoint *v; /* in the decoder's arena */
	size_t n;
};

const struct ex_known_endpoints *ex_known_list(const struct ex_known *known);

/* Errors in d->diags, counted in d->n_errors. */
void ex_endpoints_read(struct ex_decoder *d, const struct ex_docs *docs,
		       struct ex_known_endpoints *ret);

#endif
