/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime asks for: the network configuration on stdin, and CNI_* variables, checked. */
#ifndef EXEAT_AGENT_CNI_REQUEST_H
#define EXEAT_AGENT_CNI_REQUEST_H

#include "agent/cni/cni.h"
#include "agent/core/json_read.h"

#define EX_CNI_INPUT_MAX  (1 << 20)
#define EX_CNI_STATE_DIR  "/run/exeat"
#define EX_CNI_TIMEOUT_MS 20000

enum ex_cni_command {
	EX_CNI_NONE = 0,
	EX_CNI_ADD,
	EX_CNI_DEL,
	EX_CNI_CHECK,
	EX_CNI_GC,
	EX_CNI_STATUS,
	EX_CNI_VERSION,
};

struct ex_cni_request {
	enum ex_cni_command command;
	const char *container, *netns, *ifname, *args; /* of the environment, borrowed */
	struct ex_jv *conf;
	const char *version; /* cniVersion, one of ours */
	const char *socket, *state_dir;
	const struct ex_jv *prev; /* prevResult; NULL = none */
	int timeout_ms;
	bool closed;      /* onAgentDown: closed */
	bool from_podman; /* labelsFrom: podman */
};

/* "1.0.0", ...; NULL after the last. */
const char *ex_cni_version(size_t i);

/* 0 or -EINVAL, both times ex_cni_request_done() has to be called. */
EX_MUST_CHECK int ex_cni_request_read(struct ex_cni_request *rq, const struct ex_cni_env *env,
				      FILE *in, struct ex_cni_error *err);
void ex_cni_request_done(struct ex_cni_request *rq);

#endif
