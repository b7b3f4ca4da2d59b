/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/cni/chain.h"
#include "agent/core/json.h"
#include "agent/core/json_read.h"
#include "agent/core/log.h"
#include "agent/core/state_file.h"

#define TYPE "exeat-cni"

struct writer {
	struct ex_json j;
	const struct ex_jv *plugin;
	bool full; /* no memory */
};

static void write_value(struct writer *w, const char *key, const struct ex_jv *v)
{
	EX_AUTO_FREE char *text = ex_jv_print(v);

	if (text)
		ex_json_raw(&w->j, key, ex_span_str(text));
	else
		w->full = true;
}

static bool is_ours(const struct ex_jv *plugin)
{
	const char *type = ex_jv_string(plugin, "type");

	return type && strcmp(type, TYPE) == 0;
}

static int write_member(void *arg, const char *key, const struct ex_jv *v)
{
	struct writer *w = arg;

	if (strcmp(key, "plugins") != 0) {
		write_value(w, key, v);
		return 0;
	}
	ex_json_open(&w->j, key, '[');
	for (size_t i = 0; i < ex_jv_count(v); i++)
		if (!is_ours(ex_jv_at(v, i)))
			write_value(w, NULL, ex_jv_at(v, i));
	write_value(w, NULL, w->plugin);
	ex_json_close(&w->j, ']');
	return 0;
}

/* Both are read here, so that two texts are the same when they say the same. */
static int build(const struct ex_jv *conf, const struct ex_jv *plugin, char **ret,
		 char err[static EX_CNI_CHAIN_ERR])
{
	struct writer w = { .plugin = plugin };
	EX_AUTO_FREE char *before = ex_jv_print(conf);
	EX_AUTO_FREE char *after = NULL;
	struct ex_jv *tree = NULL;
	char why[EX_JV_ERROR_MAX];

	ex_json_init_growing(&w.j, EX_STATE_FILE_MAX);
	ex_json_open(&w.j, NULL, '{');
	(void)ex_jv_each(conf, write_member, &w);
	ex_json_close(&w.j, '}');
	if (!w.full && ex_json_done(&w.j) > 0 &&
	    ex_jv_read((struct ex_span){ w.j.out, w.j.len }, &tree, why) == 0)
		after = ex_jv_print(tree);
	ex_jv_free(tree);
	ex_json_wipe(&w.j);
	if (!before || !after) {
		snprintf(err, EX_CNI_CHAIN_ERR, "the result is too large");
		return -EINVAL;
	}
	if (strcmp(before, after) == 0)
		return 0;
	*ret = EX_TAKE_PTR(after);
	return 1;
}

int ex_cni_chain(struct ex_span conflist, struct ex_span plugin, char **ret,
		 char err[static EX_CNI_CHAIN_ERR])
{
	struct ex_jv *conf = NULL, *ours = NULL;
	char why[EX_JV_ERROR_MAX];
	int r = -EINVAL;

	if (ex_jv_read(conflist, &conf, why) < 0)
		snprintf(err, EX_CNI_CHAIN_ERR, "the configuration: %s", why);
	else if (ex_jv_read(plugin, &ours, why) < 0)
		snprintf(err, EX_CNI_CHAIN_ERR, "the plugin: %s", why);
	else if (!is_ours(ours))
		snprintf(err, EX_CNI_CHAIN_ERR, "the plugin's type is not \"" TYPE "\"");
	else if (!ex_jv_count(ex_jv_get(conf, "plugins")))
		snprintf(err, EX_CNI_CHAIN_ERR,
			 "the configuration has no list of plugins (is it a .conf of one plugin?)");
	else
		r = build(conf, ours, ret, err);
	ex_jv_free(conf);
	ex_jv_free(ours);
	return r;
}

/* ---- files ---- */

/* Also by a link: each file of a ConfigMap is one. */
static int read_file(const char *path, char **ret, size_t *ret_len)
{
	EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? -errno : ex_file_read(fd, EX_STATE_FILE_MAX, ret, ret_len);

	if (r < 0)
		ex_error("%s: %s", path, strerror(-r));
	return r;
}

/* Beside it and renamed: a runtime reads the old one or the new one. Its mode stays. */
static int write_file(const char *path, const char *text)
{
	char dir[PATH_MAX], base[PATH_MAX];
	EX_AUTO_CLOSE int fd = -1;
	struct stat st;

	if (snprintf(dir, sizeof(dir), "%s", path) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(base, dir, sizeof(dir));
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || stat(path, &st) < 0)
		return -errno;
	return ex_state_file_write(fd, basename(base), st.st_mode & 0777, ex_span_str(text));
}

int ex_cni_chain_file(const char *conflist, const char *plugin)
{
	EX_AUTO_FREE char *conf = NULL;
	EX_AUTO_FREE char *ours = NULL;
	EX_AUTO_FREE char *text = NULL;
	char err[EX_CNI_CHAIN_ERR];
	size_t conf_len, ours_len;
	int r;

	if (read_file(conflist, &conf, &conf_len) < 0 || read_file(plugin, &ours, &ours_len) < 0)
		return -EINVAL;
	r = ex_cni_chain((struct ex_span){ conf, conf_len }, (struct ex_span){ ours, ours_len },
			 &text, err);
	if (r < 0) {
		ex_error("%s: %s", conflist, err);
		return r;
	}
	if (r == 0)
		return 0;
	r = write_file(conflist, text);
	if (r < 0)
		ex_error("%s: %s", conflist, strerror(-r));
	return r < 0 ? r : !strstr(conf, "\"" TYPE "\"");
}
