/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl and libmicrohttpd are loaded by the reporting process when it needs them, not linked:
 * they bring two dozen other libraries, which no gate and no proxy should start with, nor hold.
 */
#ifndef EXEAT_AGENT_REPORT_LIBRARY_H
#define EXEAT_AGENT_REPORT_LIBRARY_H

#include "exeat/util.h"

struct ex_symbol {
	const char *name;
	size_t at; /* of the pointer to the function, in the table */
};

/* Fills the table of pointers. 0, or -ELIBACC with the cause logged. */
EX_MUST_CHECK int ex_library_load(const char *soname, const struct ex_symbol *symbols, size_t n,
				  void *table);

#endif
