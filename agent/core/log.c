/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "exeat/text.h"

static enum ex_log_level log_level = EX_LOG_WARNING;

void ex_log_set_level(enum ex_log_level level)
{
	log_level = level;
}

bool ex_log_enabled(enum ex_log_level level)
{
	return level <= log_level;
}

void ex_log(enum ex_log_level level, const char *fmt, ...)
{
	static const char *const words[] = { "error: ", "warning: ", "", "debug: " };
	char line[1024];
	int saved = errno, n, m;
	va_list ap;

	if (!ex_log_enabled(level))
		return;
	n = snprintf(line, sizeof(line), "exeat: %s", words[level]);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	ex_tame(line); /* names of files, of whoever made them */
	if (m > 0)
		n += m < (int)sizeof(line) - n - 1 ? m : (int)sizeof(line) - n - 2;
	line[n++] = '\n';
	/* One write, so that lines of several processes do not mix. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0) {
		/* nowhere left to say it */
	}
	errno = saved;
}
