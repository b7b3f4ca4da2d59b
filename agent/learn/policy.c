/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/learn/policy.h"

/*
 * %2F passes only where a rule names it, so one does, for package names like /@scope%2Fname; and so
 * do the fields by which stores of objects are told to copy, and gateways whom they are to ask.
 */
static const char text[] = "apiVersion: exeat.dev/v1alpha1\n"
			   "kind: EgressPolicy\n"
			   "metadata: {name: learning}\n"
			   "spec:\n"
			   "  egress:\n"
			   "  - toEntities: [all]\n"
			   "  - toEntities: [all]\n"
			   "    toPorts:\n"
			   "    - ports: [{port: \"53\", protocol: ANY}]\n"
			   "      rules: {dns: [{matchPattern: \"*\"}]}\n"
			   "  - toEntities: [all]\n"
			   "    toPorts:\n"
			   "    - ports: [{port: \"1\", endPort: 65535, protocol: TCP}]\n"
			   "      rules:\n"
			   "        http:\n"
			   "        - {path: \"[^%]*%2F[^%]*\"}\n"
			   "        - {path: \"[^%]*%2F[^%]*%2F[^%]*\"}\n"
			   "        - {headers: [x-amz-copy-source]}\n"
			   "        - {headers: [x-goog-copy-source]}\n"
			   "        - {headers: [x-ms-copy-source]}\n"
			   "        - {headers: [x-apigw-api-id]}\n"
			   "        - {headers: [x-vault-namespace]}\n"
			   "        - {headers: [x-found-cluster]}\n"
			   "        - {headers: [neon-connection-string]}\n"
			   "        - {headers: [dapr-app-id]}\n"
			   "        - {headers: [x-portkey-custom-host]}\n"
			   "        - {headers: [helicone-target-url]}\n"
			   "  egressDeny:\n"
			   "  - toFQDNs: [{matchPattern: \"*\"}]\n"
			   "    enforcement: audit\n"
			   "    toPorts:\n"
			   "    - ports: [{port: \"1\", endPort: 65535, protocol: TCP}]\n"
			   "      rules: {http: [{method: \"NO-SUCH-METHOD\"}]}\n"
			   "  - toEntities: [all]\n"
			   "    toPorts: [{ports: [{port: \"443\", protocol: UDP}]}]\n";

const struct ex_text ex_learn_policy = { "(learning)", { text, sizeof(text) - 1 } };
