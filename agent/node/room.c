/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/node/node.h"
#include "agent/node/room.h"
#include "policy/emit.h"

void ex_room_check(const struct ex_node *node, struct ex_node_endpoint *e, struct ex_ruleset *rs)
{
	size_t room = ex_gate_class_room(node->gate, e->link.ifindex);
	const struct ex_rule_info *rule;
	uint32_t id;
	int r = ex_name_classes_fit(rs, room, &id);

	e->warning[0] = '\0';
	rule = r == -ENOSPC || r == -EDQUOT ? ex_ruleset_rule(rs, id) : NULL;
	if (!rule)
		return;
	snprintf(e->warning, sizeof(e->warning),
		 "%.100s:%d: from this rule on its names need more than the %zu %s it has room for",
		 rule->file, rule->line, r == -ENOSPC ? (size_t)EX_NAME_CLASSES_MAX : room,
		 r == -ENOSPC ? "sets of rules" : "rules");
	ex_warning("endpoint %u (%s/%s): %s", e->id, e->ns, e->name, e->warning);
}
