/* SPDX-License-Identifier: Apache-2.0 */
/* Whose the files are that a run goes by. */
#ifndef EXEAT_AGENT_RUN_GUARD_H
#define EXEAT_AGENT_RUN_GUARD_H

#include <sys/types.h>

#include "exeat/util.h"

/* -EACCES: uid can change what the file says, also by a folder or a link on the way to it. */
EX_MUST_CHECK int ex_guard_file(const char *file, uid_t uid);

#endif
