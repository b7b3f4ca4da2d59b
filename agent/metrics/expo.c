/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/metrics/expo.h"
#include "agent/core/json.h"

#define TEXT_MAX (64u << 20)

static void put(struct ex_expo *x, const char *bytes, size_t len)
{
	if (x->full || ex_buf_len(&x->out) + len > TEXT_MAX ||
	    ex_buf_append(&x->out, bytes, len) < 0)
		x->full = true;
}

static void put_text(struct ex_expo *x, const char *text)
{
	put(x, text, strlen(text));
}

void ex_expo_family(struct ex_expo *x, const char *name, const char *type, const char *help)
{
	x->name = name;
	put_text(x, "# HELP ");
	put_text(x, name);
	put_text(x, " ");
	put_text(x, help);
	put_text(x, "\n# TYPE ");
	put_text(x, name);
	put_text(x, " ");
	put_text(x, type);
	put_text(x, "\n");
}

static void begin_sample(struct ex_expo *x)
{
	if (!x->labels)
		put_text(x, x->name);
}

/* The format is UTF-8; what is not becomes U+FFFD, and nothing ends the line. */
static void put_label_value(struct ex_expo *x, const char *value)
{
	size_t len = strlen(value);

	for (size_t i = 0; i < len;) {
		uint32_t cp;
		size_t n = ex_utf8_decode(value + i, len - i, &cp);

		if (n == 0 || cp < 0x20 || cp == 0x7f)
			put_text(x, "\xef\xbf\xbd");
		else if (cp == '"' || cp == '\\')
			put(x, (char[]){ '\\', (char)cp }, 2);
		else
			put(x, value + i, n);
		i += n ? n : 1;
	}
}

void ex_expo_label(struct ex_expo *x, const char *label, const char *value)
{
	begin_sample(x);
	put_text(x, x->labels ? "," : "{");
	x->labels = true;
	put_text(x, label);
	put_text(x, "=\"");
	put_label_value(x, value);
	put_text(x, "\"");
}

static void end_sample(struct ex_expo *x, const char *number)
{
	begin_sample(x);
	put_text(x, x->labels ? "} " : " ");
	x->labels = false;
	put_text(x, number);
	put_text(x, "\n");
}

void ex_expo_value(struct ex_expo *x, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	end_sample(x, text);
}

void ex_expo_seconds(struct ex_expo *x, double seconds)
{
	char text[40];

	snprintf(text, sizeof(text), "%.6f", seconds);
	end_sample(x, text);
}

void ex_expo_single(struct ex_expo *x, const char *name, const char *type, const char *help,
		    uint64_t value)
{
	ex_expo_family(x, name, type, help);
	ex_expo_value(x, value);
}

int ex_expo_done(const struct ex_expo *x, struct ex_span *ret)
{
	if (x->full)
		return -ENOMEM;
	*ret = (struct ex_span){ ex_buf_ptr(&x->out), ex_buf_len(&x->out) };
	return 0;
}

void ex_expo_wipe(struct ex_expo *x)
{
	ex_buf_done(&x->out);
	*x = (struct ex_expo){ 0 };
}
