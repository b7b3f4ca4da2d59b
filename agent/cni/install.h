/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin put on a node whose network configuration another program writes (Kubernetes). */
#ifndef EXEAT_AGENT_CNI_INSTALL_H
#define EXEAT_AGENT_CNI_INSTALL_H

#include "exeat/util.h"

struct ex_cni_install {
	const char *bin_dir;  /* where runtimes look for plugins */
	const char *conf_dir; /* where the node's network configuration is */
	const char *plugin;   /* file with our object of the chain */
	const char *socket, *state_dir;
};

/*
 * Copies this program to bin_dir and makes it the last plugin of the first *.conflist of conf_dir,
 * which is the one that runtimes take. 1: it was not in it; -ENOENT when there is none yet; other
 * negative errno.
 */
EX_MUST_CHECK int ex_cni_install(const struct ex_cni_install *in);

/*
 * Does that whenever the configuration is another, and gives the agent the pods that wait; never
 * returns. Not before the agent has answered once: the first pod is to find both. It stays in the
 * chain, and is put back into it, when the agent goes: then no pod starts without gates.
 */
__attribute__((noreturn)) void ex_cni_install_watch(const struct ex_cni_install *in);

#endif
