/* SPDX-License-Identifier: Apache-2.0 */
/* Simple tables for the direction towards the workload. */
#ifndef EXEAT_TESTS_SERVED_H
#define EXEAT_TESTS_SERVED_H

#include "policy/emit.h"

/* Everything is allowed: every protocol and address. */
extern const struct ex_tables tables_all;

/* Tables that allow these ports from everywhere. The caller ends them with ex_tables_done(). */
struct served_ports {
	uint8_t proto; /* IPPROTO_TCP, UDP or SCTP */
	uint16_t first, last;
};
EX_MUST_CHECK int served_tables(const struct served_ports *served, size_t n, struct ex_tables *ret);

#endif
