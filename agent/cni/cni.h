/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exeat-cni, the chained CNI plugin: the runtime starts it once for each pod, after the plugin that
 * made the pod's interface, and starts the pod only when it has succeeded. So a pod has both gates
 * before its first packet.
 *
 *	runtime -> bridge, ptp, ...   the interface
 *	        -> exeat-cni          "endpoint.add" to the agent; an error unless it said yes
 *	        -> the pod's process
 *
 * The Container Network Interface specification 1.1 is the protocol: CNI_* variables and JSON on
 * stdin, a result or an error as JSON on stdout, 0 or 1.
 */
#ifndef EXEAT_AGENT_CNI_CNI_H
#define EXEAT_AGENT_CNI_CNI_H

#include <stdio.h>

#include "exeat/util.h"

/* Codes of the specification below 100, ours from there. */
enum ex_cni_code {
	EX_CNI_OK = 0,
	EX_CNI_BAD_VERSION = 1,
	EX_CNI_BAD_ENV = 4,
	EX_CNI_IO = 5,
	EX_CNI_BAD_JSON = 6,
	EX_CNI_BAD_CONFIG = 7,
	EX_CNI_LIMITED = 51, /* STATUS: not available, and what runs may be limited */
	EX_CNI_NO_AGENT = 100,
	EX_CNI_REFUSED = 101,     /* the agent said no */
	EX_CNI_NO_HOST_END = 102, /* nothing on the host that a gate could be put on */
	EX_CNI_NO_LABELS = 103,   /* the runtime did not tell them */
	EX_CNI_NOT_GATED = 104,   /* CHECK */
};

struct ex_cni_error {
	enum ex_cni_code code;
	char msg[256];
	char details[600];
};

/* Fills *err and returns -EINVAL, so that it can end a function. */
int ex_cni_fail(struct ex_cni_error *err, enum ex_cni_code code, const char *details,
		const char *fmt, ...) EX_PRINTF(4, 5);

/* The variables of the specification; NULL = not set. */
struct ex_cni_env {
	const char *command, *container, *netns, *ifname, *args;
};

/* One call: reads in, writes what the runtime gets to out. The exit status. */
EX_MUST_CHECK int ex_cni_call(const struct ex_cni_env *env, FILE *in, FILE *out);

/* `exeat-cni adopt`: gives the pods that were started closed to the agent. The exit status. */
EX_MUST_CHECK int ex_cni_adopt(const char *socket, const char *state_dir);

int ex_cni_main(int argc, char **argv);

#endif
