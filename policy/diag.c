/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diag.h"

#include "exeat/text.h"

void ex_diags_done(struct ex_diags *diags)
{
	for (size_t i = 0; i < diags->n; i++) {
		free((void *)(uintptr_t)diags->items[i].file);
		free(diags->items[i].message);
		free(diags->items[i].remedy);
	}
	free(diags->items);
	*diags = (struct ex_diags){ 0 };
}

void ex_diags_print(const struct ex_diags *diags, FILE *out)
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct ex_diag *d = &diags->items[i];

		(void)fputs(d->file, out);
		if (d->line > 0)
			(void)fprintf(out, ":%d:%d", d->line, d->col);
		(void)fprintf(out, ": %s: %s\n", d->warning ? "warning" : "error", d->message);
		if (d->remedy)
			(void)fprintf(out, "  remedy: %s\n", d->remedy);
	}
}

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f;
}

/* The last line of defence: what a message quotes is escaped, or it is not quoted. Takes text. */
static char *escape_rest(char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t bad = 0, len = 0;
	char *out;

	for (const char *p = text; *p; p++)
		bad += !is_plain(*p);
	if (!bad)
		return text;
	out = malloc(strlen(text) + 3 * bad + 1);
	for (const char *p = text; out && *p; p++) {
		if (is_plain(*p)) {
			out[len++] = *p;
			continue;
		}
		memcpy(out + len, "\\x", 2);
		out[len + 2] = hex[(unsigned char)*p >> 4];
		out[len + 3] = hex[(unsigned char)*p & 15];
		len += 4;
	}
	if (out)
		out[len] = '\0';
	free(text);
	return out;
}

void ex_diag_vadd(struct ex_diags *diags, struct ex_pos pos, bool warning, const char *remedy,
		  const char *fmt, va_list ap)
{
	struct ex_diag d = { .line = pos.line, .col = pos.col, .warning = warning };
	struct ex_diag *items;
	char *file;

	/* An error always finds room: warnings must not be able to hide the cause of a refusal. */
	if (diags->n >= (warning ? EX_DIAGS_MAX : 2 * EX_DIAGS_MAX))
		return;
	items = realloc(diags->items, (diags->n + 1) * sizeof(*items));
	if (!items)
		return;
	diags->items = items;
	if (vasprintf(&d.message, fmt, ap) < 0)
		return;
	d.message = escape_rest(d.message);
	if (!d.message)
		return;
	file = strdup(pos.file ? pos.file : "(policy)");
	d.file = file;
	d.remedy = remedy ? strdup(remedy) : NULL;
	if (!file) {
		free(d.message);
		free(d.remedy);
		return;
	}
	ex_tame(file);
	diags->items[diags->n++] = d;
}

void ex_diag_add(struct ex_diags *diags, struct ex_pos pos, bool warning, const char *remedy,
		 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ex_diag_vadd(diags, pos, warning, remedy, fmt, ap);
	va_end(ap);
}

const char *ex_quote(const char *text, size_t len, char buf[static EX_QUOTE_TEXT])
{
	static const char hex[] = "0123456789abcdef";
	size_t o = 0;

	buf[o++] = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (o + 10 > EX_QUOTE_TEXT) {
			memcpy(buf + o, "...", 3);
			o += 3;
			break;
		}
		if (c == '"' || c == '\\') {
			buf[o++] = '\\';
			buf[o++] = (char)c;
		} else if (c >= 0x20 && c < 0x7f) {
			buf[o++] = (char)c;
		} else {
			buf[o++] = '\\';
			buf[o++] = 'x';
			buf[o++] = hex[c >> 4];
			buf[o++] = hex[c & 15];
		}
	}
	buf[o++] = '"';
	buf[o] = '\0';
	return buf;
}
