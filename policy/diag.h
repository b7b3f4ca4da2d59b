/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting diagnostics: bounded in number, every foreign byte escaped. */
#ifndef EXEAT_POLICY_DIAG_H
#define EXEAT_POLICY_DIAG_H

#include <stdarg.h>

#include "policy/compile.h"

#define EX_DIAGS_MAX 100 /* later ones are dropped; the first ones matter */

struct ex_pos {
	const char *file;
	int line, col;
};

/* remedy may be NULL. Losing a diagnostic to lack of memory is not an error of its own. */
void ex_diag_add(struct ex_diags *diags, struct ex_pos pos, bool warning, const char *remedy,
		 const char *fmt, ...) EX_PRINTF(5, 6);
void ex_diag_vadd(struct ex_diags *diags, struct ex_pos pos, bool warning, const char *remedy,
		  const char *fmt, va_list ap) EX_PRINTF(5, 0);

#define EX_QUOTE_TEXT 120

/* text in double quotes, non-printing bytes escaped, shortened; for messages. */
const char *ex_quote(const char *text, size_t len, char buf[static EX_QUOTE_TEXT]);

#endif
