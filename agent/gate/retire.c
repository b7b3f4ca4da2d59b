/* SPDX-License-Identifier: Apache-2.0 */
/* Rulesets that are in force no more, but may still be read by a packet on its way. */
#include "agent/gate/gate_internal.h"

#define TIDY_MAX 8 /* rulesets taken out in one go, some hundred entries each */

void gate_retired_remove(struct ex_gate *gate)
{
	while (gate->n_retired)
		gate_set_remove(gate, gate->retired[--gate->n_retired]);
	gate->n_unread = 0;
}

void gate_settle(struct ex_gate *gate)
{
	/* without an endpoint there is no ruleset in force, nor was there since the last was
	 * forgotten */
	if (!gate->n_retired || !gate->ports || gate_wait_for_packets(gate, gate->ports))
		return;
	gate_retired_remove(gate);
}

/* Those in front have been waited for; one that is taken out is followed by the last. */
bool ex_gate_tidy(struct ex_gate *gate)
{
	if (!gate->n_retired || !gate->ports)
		return false;
	if (!gate->n_unread) {
		if (gate_wait_for_packets(gate, gate->ports))
			return false;
		gate->n_unread = gate->n_retired;
	}
	for (size_t i = 0; i < TIDY_MAX && gate->n_unread; i++) {
		gate_set_remove(gate, gate->retired[--gate->n_unread]);
		gate->retired[gate->n_unread] = gate->retired[--gate->n_retired];
	}
	return gate->n_retired > 0;
}

void gate_retire(struct ex_gate *gate, struct gate_set *set)
{
	if (!set)
		return;
	if (gate->n_retired == EX_ARRAY_SIZE(gate->retired))
		gate_settle(gate);
	/* what cannot be waited out is left in the maps: nothing refers to it */
	if (gate->n_retired == EX_ARRAY_SIZE(gate->retired))
		gate_set_free(set);
	else
		gate->retired[gate->n_retired++] = set;
}

void gate_retired_free(struct ex_gate *gate)
{
	while (gate->n_retired)
		gate_set_free(gate->retired[--gate->n_retired]);
}
