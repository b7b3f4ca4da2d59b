/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat policy presets`: stub of the list until presets exist. */
#include "policy/tool.h"

int ex_tool_presets(int argc, char **argv)
{
	(void)argc, (void)argv;
	return EX_TOOL_USAGE;
}
