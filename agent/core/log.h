/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics of exeat itself, to standard error. Verdicts do not go here: see agent/audit/. */
#ifndef EXEAT_AGENT_CORE_LOG_H
#define EXEAT_AGENT_CORE_LOG_H

#include "exeat/util.h"

enum ex_log_level { EX_LOG_ERROR, EX_LOG_WARNING, EX_LOG_INFO, EX_LOG_DEBUG };

/* What is printed: everything up to this level. Default: warning. */
void ex_log_set_level(enum ex_log_level level);
bool ex_log_enabled(enum ex_log_level level);

/* "exeat: …". errno is kept. */
void ex_log(enum ex_log_level level, const char *fmt, ...) EX_PRINTF(2, 3);

#define ex_error(...)   ex_log(EX_LOG_ERROR, __VA_ARGS__)
#define ex_warning(...) ex_log(EX_LOG_WARNING, __VA_ARGS__)
#define ex_info(...)    ex_log(EX_LOG_INFO, __VA_ARGS__)
#define ex_debug(...)   ex_log(EX_LOG_DEBUG, __VA_ARGS__)

#endif
