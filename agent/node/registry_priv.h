/* SPDX-License-Identifier: Apache-2.0 */
/* What registry.c and registry_files.c share. */
#ifndef EXEAT_AGENT_NODE_REGISTRY_PRIV_H
#define EXEAT_AGENT_NODE_REGISTRY_PRIV_H

#include "agent/node/registry.h"

EX_MUST_CHECK int ex_registry_save_last_id(const struct ex_registry *r);
void ex_registry_unlink(const struct ex_registry *r, uint32_t id);

#endif
