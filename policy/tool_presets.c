/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat policy presets`: what there is, or one of them as it stands. */
#include "policy/preset.h"
#include "policy/tool.h"

/* The text of the line that begins with key, up to end. */
static struct ex_span field_of(const struct ex_preset *p, const char *key, char stop)
{
	const char *at = memmem(p->text, p->len, key, strlen(key)), *end;

	if (!at)
		return (struct ex_span){ "", 0 };
	at += strlen(key);
	end = memchr(at, stop, p->len - (size_t)(at - p->text));
	return (struct ex_span){ at, end ? (size_t)(end - at) : 0 };
}

int ex_tool_presets(int argc, char **argv)
{
	struct ex_preset p;

	if (argc == 2 && argv[1][0] != '-') {
		if (!ex_preset_find(argv[1], &p)) {
			(void)fprintf(stderr,
				      "exeat policy presets: there is no preset \"%s\": without a "
				      "name all are listed\n",
				      argv[1]);
			return EX_TOOL_USAGE;
		}
		(void)fwrite(p.text, 1, p.len, stdout);
		return EX_TOOL_OK;
	}
	if (argc > 1) {
		(void)fputs("usage: exeat policy presets [NAME]\n", stderr);
		return EX_TOOL_USAGE;
	}
	for (size_t i = 0; i < ex_preset_count(); i++) {
		struct ex_span version, text;

		p = ex_preset_at(i);
		version = field_of(&p, "  version: ", '\n');
		text = field_of(&p, "  description: \"", '"');
		(void)printf("%-26s v%.*s  %.*s\n", p.name, (int)version.len, version.ptr,
			     (int)text.len, text.ptr);
	}
	return EX_TOOL_OK;
}
