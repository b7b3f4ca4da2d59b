/* SPDX-License-Identifier: Apache-2.0 */
/* The state files of the registry. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/core/log.h"
#include "agent/core/state_file.h"
#include "agent/node/registry_priv.h"

#define LAST_ID "last-id"

int ex_registry_open(struct ex_registry *r, const char *state_dir, size_t max)
{
	char path[PATH_MAX];

	*r = (struct ex_registry){ .dir = -1, .max = max };
	if (mkdir(state_dir, 0711) < 0 ? errno != EEXIST : chmod(state_dir, 0711) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/endpoints", state_dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	r->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return r->dir < 0 ? -errno : 0;
}

void ex_registry_done(struct ex_registry *r)
{
	struct ex_node_endpoint *e;

	while ((e = r->first)) {
		r->first = e->next;
		ex_node_endpoint_free(e);
	}
	if (r->dir >= 0)
		close(EX_TAKE_FD(r->dir));
}

static void file_name(uint32_t id, char name[static 32])
{
	snprintf(name, 32, "%u.json", id);
}

int ex_registry_save(const struct ex_registry *r, const struct ex_node_endpoint *e)
{
	struct ex_json j;
	char name[32];
	ssize_t n;
	int ret;

	file_name(e->id, name);
	ex_json_init_growing(&j, EX_STATE_FILE_MAX);
	ex_json_open(&j, NULL, '{');
	ex_node_endpoint_write(e, &j);
	ex_json_close(&j, '}');
	n = ex_json_done(&j);
	ret = n < 0 ? (int)n
		    : ex_state_file_write(r->dir, name, 0600, (struct ex_span){ j.out, (size_t)n });
	ex_json_wipe(&j);
	return ret;
}

int ex_registry_save_rest(struct ex_registry *r)
{
	int first = 0;

	for (struct ex_node_endpoint *e = r->first; e; e = e->next) {
		int err = e->unsaved ? ex_registry_save(r, e) : 0;

		e->unsaved = err < 0;
		first = first ? first : err;
	}
	return first;
}

void ex_registry_unlink(const struct ex_registry *r, uint32_t id)
{
	char name[32];

	file_name(id, name);
	if (unlinkat(r->dir, name, 0) < 0 && errno != ENOENT)
		ex_error("cannot remove the state of endpoint %u: %s", id, strerror(errno));
}

int ex_registry_save_last_id(const struct ex_registry *r)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u\n", r->last_id);

	return ex_state_file_write(r->dir, LAST_ID, 0600, (struct ex_span){ text, (size_t)n });
}

static void read_last_id(struct ex_registry *r)
{
	EX_AUTO_FREE char *text = NULL;
	unsigned long id;
	size_t len;

	if (ex_state_file_read(r->dir, LAST_ID, &text, &len) < 0)
		return;
	id = strtoul(text, NULL, 10);
	if (id <= INT32_MAX && id > r->last_id)
		r->last_id = (uint32_t)id;
}

static int recover_text(struct ex_registry *r, struct ex_span text, uint32_t id,
			char err[static EX_NODE_ERR])
{
	struct ex_node_endpoint *e = ex_node_endpoint_new();
	struct ex_jv *tree = NULL;
	int ret;

	if (!e)
		return -ENOMEM;
	ret = ex_jv_read(text, &tree, err);
	if (ret == 0)
		ret = ex_node_endpoint_recover(e, tree, err);
	if (ret == 0 && e->id != id)
		ret = ex_node_fail(err, -EINVAL, "it is about endpoint %u", e->id);
	if (ret == 0)
		ret = ex_registry_check(r, e, err);
	ex_jv_free(tree);
	if (ret < 0) {
		ex_node_endpoint_free(e);
		return ret;
	}
	ex_registry_insert(r, e);
	return 0;
}

static int recover_file(struct ex_registry *r, const char *name, uint32_t id)
{
	EX_AUTO_FREE char *text = NULL;
	char err[EX_NODE_ERR] = "", aside[NAME_MAX];
	size_t len;
	int ret = ex_state_file_read(r->dir, name, &text, &len);

	if (ret == 0)
		ret = recover_text(r, (struct ex_span){ text, len }, id, err);
	if (ret == 0 || ret == -ENOMEM)
		return ret;
	ex_error("endpoint %u stays closed, its state cannot be used: %s", id,
		 *err ? err : strerror(-ret));
	snprintf(aside, sizeof(aside), "%u.json.bad", id);
	(void)renameat(r->dir, name, r->dir, aside);
	return 0;
}

/* The id of ID.json; 0 = another file. */
static uint32_t file_id(const char *name)
{
	unsigned long id;
	char *end;

	if (*name < '1' || *name > '9' || strlen(name) > 16)
		return 0;
	id = strtoul(name, &end, 10);
	return strcmp(end, ".json") == 0 && id <= INT32_MAX ? (uint32_t)id : 0;
}

int ex_registry_recover(struct ex_registry *r)
{
	int fd = openat(r->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return ret;
	}
	while (ret == 0 && (de = readdir(d))) {
		uint32_t id = file_id(de->d_name);

		if (id > r->last_id)
			r->last_id = id;
		if (id)
			ret = recover_file(r, de->d_name, id);
	}
	closedir(d);
	read_last_id(r);
	return ret;
}
