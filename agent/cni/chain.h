/* SPDX-License-Identifier: Apache-2.0 */
/* exeat-cni as the last plugin of a network's configuration. */
#ifndef EXEAT_AGENT_CNI_CHAIN_H
#define EXEAT_AGENT_CNI_CHAIN_H

#include "exeat/util.h"

/*
 * The configuration (a CNI conflist, JSON) with the plugin's object at its end, in place of any
 * other of its type: 1 and the text, which the caller frees; 0 when it is so already; -EINVAL with
 * the cause in err.
 */
#define EX_CNI_CHAIN_ERR 256
EX_MUST_CHECK int ex_cni_chain(struct ex_span conflist, struct ex_span plugin, char **ret,
			       char err[static EX_CNI_CHAIN_ERR]);

/* The same with files. 1: now it is in it; 0: it was before; negative errno, which was told. */
EX_MUST_CHECK int ex_cni_chain_file(const char *conflist, const char *plugin);

#endif
