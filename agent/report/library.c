/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>

#include "agent/core/log.h"
#include "agent/report/library.h"

int ex_library_load(const char *soname, const struct ex_symbol *symbols, size_t n, void *table)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL); /* for as long as the process */

	for (size_t i = 0; library && i < n; i++) {
		void *fn = dlsym(library, symbols[i].name);

		if (!fn) {
			library = NULL;
			break;
		}
		memcpy((char *)table + symbols[i].at, &fn, sizeof(fn));
	}
	if (library)
		return 0;
	ex_error("%s: %s", soname, dlerror());
	return -ELIBACC;
}
