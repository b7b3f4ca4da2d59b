/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "agent/core/pack.h"
#include "agent/core/state_file.h"
#include "agent/node/kept.h"

#define NAME     "policies"
#define MAGIC    0x4558504du /* another with every change of the form */
#define KEPT_MAX ((size_t)256 << 20)

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static int write_kept(const char *state_dir, const struct ex_pack *p)
{
	EX_AUTO_CLOSE int dir = open_dir(state_dir);

	if (dir < 0 || p->err)
		return dir < 0 ? dir : p->err;
	if (ex_buf_len(&p->buf) > KEPT_MAX)
		return -EFBIG;
	return ex_state_file_write(dir, NAME, 0600,
				   (struct ex_span){ ex_buf_ptr(&p->buf), ex_buf_len(&p->buf) });
}

int ex_kept_write(const char *state_dir, struct ex_kept_from from,
		  const struct ex_policy_files *files)
{
	struct ex_pack p = { 0 };
	int r;

	ex_pack_u32(&p, MAGIC);
	ex_pack_u32(&p, (uint32_t)from.n);
	for (size_t i = 0; i < from.n; i++)
		ex_pack_str(&p, from.dirs[i]);
	ex_policy_files_pack(files, &p);
	r = write_kept(state_dir, &p);
	ex_pack_done(&p);
	if (r < 0)
		ex_kept_remove(state_dir);
	return r;
}

/* By its path: that takes no descriptor. */
void ex_kept_remove(const char *state_dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/" NAME, state_dir) < (int)sizeof(path))
		(void)unlink(path);
}

/* In the order of the configuration. */
static bool is_from(struct ex_unpack *u, struct ex_kept_from from)
{
	size_t n = ex_unpack_count(u, sizeof(uint32_t));
	bool same = n == from.n;

	for (size_t i = 0; i < n; i++) {
		const char *dir = ex_unpack_str(u);

		same = same && strcmp(dir, from.dirs[i]) == 0;
	}
	return same;
}

int ex_kept_read(const char *state_dir, struct ex_kept_from from, struct ex_policy_files **ret)
{
	EX_AUTO_CLOSE int dir = open_dir(state_dir);
	EX_AUTO_FREE char *bytes = NULL;
	struct ex_unpack u;
	size_t len;
	bool ours;
	int r = dir < 0 ? dir : ex_state_file_read_large(dir, NAME, KEPT_MAX, &bytes, &len);

	if (r < 0)
		return r;
	u = (struct ex_unpack){ .at = bytes, .end = bytes + len };
	if (ex_unpack_u32(&u) != MAGIC)
		return -EBADMSG;
	ours = is_from(&u, from);
	if (u.bad)
		return -EBADMSG;
	if (!ours)
		return -ESTALE;
	return ex_policy_files_unpack(&u, ret);
}
