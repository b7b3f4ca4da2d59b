/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps that outlive the process: one folder a version of the ABI, so that a program never meets the
 * maps of another one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/core/log.h"
#include "agent/gate/gate_internal.h"

#define PATH_LEN    256
#define BPFFS_MAGIC 0xcafe4a11

static int folder_make(const char *path)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Held as long as the gate: two of them on the same maps would undo each other's work. */
static int folder_lock(const char *path, int *ret)
{
	EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != (__typeof__(fs.f_type))BPFFS_MAGIC) {
		ex_error("%s is not on a bpffs: mount -t bpf bpf /sys/fs/bpf", path);
		return -EINVAL;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = -errno;

		ex_error("%s: another process has these maps", path);
		return r;
	}
	*ret = EX_TAKE_FD(fd);
	return 0;
}

static int path_of(char out[static PATH_LEN], const char *pin, const char *rest)
{
	int n = snprintf(out, PATH_LEN, "%s/v%d%s%s", pin, EX_ABI_VERSION, rest ? "/" : "",
			 rest ? rest : "");

	return n < 0 || n >= PATH_LEN ? -ENAMETOOLONG : 0;
}

static int secret_make(uint32_t *ret)
{
	while (*ret < 2) /* 0 is none, and two marks are made of one */
		if (getrandom(ret, sizeof(*ret), 0) != sizeof(*ret))
			return -EIO;
	return 0;
}

/* What the former process left of its state; a zeroed one when there was none. */
static int state_read(const char *pin, struct ex_state *ret)
{
	char path[PATH_LEN];
	uint32_t key = 0;
	int r = path_of(path, pin, "ex_state"), fd;

	if (r)
		return r;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = bpf_map_lookup_elem(fd, &key, ret);
	close(fd);
	return r;
}

static int pin_prepare(struct ex_gate *gate, struct bpf_object *object, const char *pin)
{
	char path[PATH_LEN];
	struct bpf_map *map;
	int r = path_of(path, pin, NULL);

	if (!r)
		r = folder_make(pin);
	if (!r)
		r = folder_make(path);
	if (!r)
		r = folder_lock(path, &gate->lock);
	if (!r)
		r = state_read(pin, &gate->state);
	bpf_object__for_each_map(map, object)
	{
		if (r)
			break;
		if (bpf_map__is_internal(map))
			continue;
		r = path_of(path, pin, bpf_map__name(map));
		if (!r)
			r = bpf_map__set_pin_path(map, path);
	}
	return r;
}

int gate_state_open(struct ex_gate *gate, struct bpf_object *object, const char *pin)
{
	int r = pin ? pin_prepare(gate, object, pin) : 0;

	if (!r && gate->state.abi && gate->state.abi != EX_ABI_VERSION)
		r = -EPROTO;
	if (!r)
		r = secret_make(&gate->state.mark);
	if (!r)
		r = secret_make(&gate->state.check);
	gate->state.abi = EX_ABI_VERSION;
	return r;
}

int gate_state_save(const struct ex_gate *gate)
{
	uint32_t key = 0;

	return bpf_map_update_elem(gate->maps.ex_state.fd, &key, &gate->state, BPF_ANY);
}

/* ---- taking pins away ---- */

static int folder_empty(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	const struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	while (!r && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && unlinkat(fd, entry->d_name, 0) < 0)
			r = -errno;
	closedir(dir);
	return r;
}

/* Every version but `keep`, which may be NULL. How many there were. */
static int versions_remove(const char *pin, const char *keep)
{
	DIR *dir = opendir(pin);
	const struct dirent *entry;
	int r = 0, n = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (entry = readdir(dir))) {
		if (entry->d_name[0] != 'v' || (keep && strcmp(entry->d_name, keep) == 0))
			continue;
		r = folder_empty(dirfd(dir), entry->d_name);
		if (!r && unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) < 0)
			r = -errno;
		n++;
	}
	closedir(dir);
	return r ? r : n;
}

int gate_pin_others_remove(const char *pin)
{
	char own[16];
	int r;

	snprintf(own, sizeof(own), "v%d", EX_ABI_VERSION);
	r = versions_remove(pin, own);
	if (r > 0)
		ex_warning("what was pinned is of another version: flows begin anew");
	return r < 0 ? r : 0;
}

int ex_gate_unpin_maps(const char *pin)
{
	int r = versions_remove(pin, NULL);

	return r < 0 ? r : 0;
}

int ex_gate_unpin(const char *pin)
{
	int r = ex_gate_unpin_maps(pin);

	if (!r)
		r = gate_tcx_unpin(pin);
	if (!r)
		r = gate_links_unguard(pin);
	if (!r)
		r = gate_tables_remove();
	if (r)
		return r;
	return rmdir(pin) < 0 && errno != ENOENT ? -errno : 0;
}
