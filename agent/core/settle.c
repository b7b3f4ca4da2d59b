/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/settle.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include "agent/core/buf.h"
#include "agent/core/loop.h"

#define QUIET_MS     10000
#define SEGMENTS_MAX 8 /* of one file that are not written; usually three */

struct segment {
	uintptr_t start, end;
};

/* Code that was relocated where it lies is no longer what the file says. */
static bool has_relocated_code(const struct dl_phdr_info *file)
{
	const ElfW(Dyn) *d = NULL;

	for (size_t i = 0; i < file->dlpi_phnum && !d; i++)
		if (file->dlpi_phdr[i].p_type == PT_DYNAMIC)
			d = (const void *)(file->dlpi_addr + file->dlpi_phdr[i].p_vaddr);
	for (; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_TEXTREL))
			return true;
	return false;
}

static int settle_file(struct dl_phdr_info *file, size_t size, void *arg)
{
	uintptr_t page = *(const uintptr_t *)arg;
	struct segment segments[SEGMENTS_MAX];
	size_t n = 0;

	(void)size;
	if (has_relocated_code(file))
		return 0;
	/* First all of them: this table lies in one. */
	for (size_t i = 0; i < file->dlpi_phnum && n < SEGMENTS_MAX; i++) {
		const ElfW(Phdr) *ph = &file->dlpi_phdr[i];
		uintptr_t start = file->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && !(ph->p_flags & PF_W))
			segments[n++] =
				(struct segment){ start & ~(page - 1), start + ph->p_memsz };
	}
	for (size_t i = 0; i < n; i++)
		(void)madvise((void *)segments[i].start, segments[i].end - segments[i].start,
			      MADV_DONTNEED);
	return 0;
}

void ex_settle(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	ex_buf_drop_spares();
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(settle_file, &page);
}

static void on_quiet(struct ex_timer *t)
{
	(void)t;
	ex_settle();
}

void ex_settle_on(struct ex_loop *loop)
{
	static struct ex_timer quiet;

	quiet = (struct ex_timer){ .fn = on_quiet };
	ex_loop_on_quiet(loop, &quiet, QUIET_MS);
	ex_settle();
}
