/* SPDX-License-Identifier: Apache-2.0 */
/* Presets: rules by name, files of policy/presets/ inside the program. */
#ifndef EXEAT_POLICY_PRESET_H
#define EXEAT_POLICY_PRESET_H

#include "exeat/util.h"

struct ex_preset {
	const char *name; /* "llm:openai" */
	const char *file; /* "preset:llm:openai", for messages */
	const char *text;
	size_t len;
};

size_t ex_preset_count(void);
struct ex_preset ex_preset_at(size_t i);
bool ex_preset_find(const char *name, struct ex_preset *ret);

#endif
