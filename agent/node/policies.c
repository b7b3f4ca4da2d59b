/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/node/kept.h"
#include "agent/node/policies.h"
#include "policy/secret.h"

static void write_errors(char to[static EX_NODE_ERROR_TEXT], const struct ex_diags *diags)
{
	size_t len = 0;

	for (size_t i = 0; diags && i < diags->n && len < EX_NODE_ERROR_TEXT - 1; i++) {
		const struct ex_diag *d = &diags->items[i];
		char place[32] = "";

		if (d->warning)
			continue;
		if (d->line > 0)
			snprintf(place, sizeof(place), ":%d:%d", d->line, d->col);
		len += (size_t)snprintf(to + len, EX_NODE_ERROR_TEXT - len, "%s%s%s: %s",
					len ? "; " : "", d->file, place, d->message);
	}
}

static bool is_same(const struct ex_diag *a, const struct ex_diag *b)
{
	return a->line == b->line && a->col == b->col && strcmp(a->file, b->file) == 0 &&
	       strcmp(a->message, b->message) == 0;
}

/* Of what was read anew. A file that others refer to was read with each of them. */
static void tell_warnings(const struct ex_diags *diags)
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct ex_diag *d = &diags->items[i];
		size_t k = 0;

		while (k < i && !is_same(&diags->items[k], d))
			k++;
		if (k == i && d->warning)
			ex_warning("%s:%d:%d: %s", d->file, d->line, d->col, d->message);
	}
}

/* passing: it is not what they say. Then they are read again, and the same is told but once. */
static void reject(struct ex_node *node, const char *why, const struct ex_diags *diags,
		   bool passing)
{
	char text[EX_NODE_ERROR_TEXT] = "";

	write_errors(text, diags);
	if (!text[0])
		snprintf(text, sizeof(text), "%s", why);
	node->read_files = passing;
	if (passing && strcmp(text, node->policy_error) == 0)
		return;
	memcpy(node->policy_error, text, sizeof(text));
	node->rejected++;
	ex_error("the policies %s, revision %llu stays in force: %s",
		 passing ? "cannot be taken yet" : "are not valid",
		 (unsigned long long)node->revision, node->policy_error);
}

/* Whoever is selected later could not be let in: it is told now, and waited for. */
static bool have_secrets(struct ex_node *node)
{
	struct ex_diags diags = { 0 };
	bool yes = !node->config.secrets_dir ||
		   ex_secrets_check(node->config.secrets_dir, &diags) == 0;

	if (!yes)
		reject(node, "", &diags, true);
	ex_diags_done(&diags);
	return yes;
}

/* Files as they are now, when they are others than those in force; NULL: nothing new to try. */
static struct ex_policy_files *read_new_files(struct ex_node *node)
{
	struct ex_policy_files *files;
	char err[EX_POLICY_FILES_ERR];
	int r;

	node->read_files = false;
	if (!have_secrets(node))
		return NULL;
	r = ex_policy_files_read(node->config.policy_dirs, node->config.n_policy_dirs, node->files,
				 &files, err);
	if (r < 0) {
		reject(node, err, NULL, r != -EINVAL && r != -EISDIR && r != -EFBIG && r != -E2BIG);
		return NULL;
	}
	if (node->files && ex_policy_files_equal(files, node->files)) {
		node->policy_error[0] = '\0'; /* changed back */
		node->kept = false;
		ex_policy_files_free(files);
		return NULL;
	}
	return files;
}

static void accept_files(struct ex_node *node, struct ex_policy_files *files)
{
	ex_policy_files_free(node->files);
	node->files = files;
	node->revision++;
	node->policy_error[0] = '\0';
	node->kept = false;
	ex_info("policies: revision %llu, %zu files", (unsigned long long)node->revision,
		files->files.n);
}

/* ---- for the next start ---- */

static struct ex_kept_from kept_from(const struct ex_node *node)
{
	return (struct ex_kept_from){ node->config.policy_dirs, node->config.n_policy_dirs };
}

/*
 * Before they are in force: what an agent finds that comes after us is never older. What cannot be
 * written is tried again in the next round, and told once.
 */
static void keep_files(struct ex_node *node)
{
	int r = ex_kept_write(node->config.state_dir, kept_from(node), node->files);
	bool told = node->not_kept;

	node->not_kept = r < 0;
	if (r < 0 && !told)
		ex_error("%s: the policies cannot be kept for the next start: %s",
			 node->config.state_dir, strerror(-r));
}

/*
 * At a start the files may be broken. What was in force before they were is, again: it was valid,
 * and whom it does not compile for any more is closed alone.
 */
static int take_kept(struct ex_node *node, struct ex_plan *ret)
{
	struct ex_policy_files *files = NULL;
	struct ex_diags diags = { 0 };
	int r = ex_kept_read(node->config.state_dir, kept_from(node), &files);

	node->files = files;
	if (r == 0)
		r = ex_plan_make(node, files, &diags, ret);
	ex_diags_done(&diags);
	if (r < 0) {
		node->files = NULL;
		if (r != -ENOENT && !node->kept_told)
			ex_error("the last valid policies, kept in %s, cannot be used: %s",
				 node->config.state_dir,
				 r == -ESTALE ? "they are from other directories" : strerror(-r));
		node->kept_told = true;
		ex_policy_files_free(files);
		return r == -ENOENT || r == -ESTALE || r == -EBADMSG || r == -EINVAL ? -ENODATA : r;
	}
	node->kept = true;
	node->revision++;
	ex_warning("policies: revision %llu, the last valid set of the agent before, %zu files",
		   (unsigned long long)node->revision, files->files.n);
	return 0;
}

/* ---- all of it ---- */

int ex_policies_plan(struct ex_node *node, struct ex_plan *ret)
{
	struct ex_policy_files *fresh = node->read_files ? read_new_files(node) : NULL;
	struct ex_diags diags = { 0 };
	int r;

	if (fresh) {
		r = ex_plan_make(node, fresh, &diags, ret);
		if (r == 0) {
			accept_files(node, fresh);
			tell_warnings(&diags);
		} else {
			reject(node, strerror(-r), &diags, r != -EINVAL);
		}
		ex_diags_done(&diags);
		if (r == 0) {
			keep_files(node);
			return 0;
		}
		ex_policy_files_free(fresh);
	}
	if (node->not_kept)
		keep_files(node);
	if (!node->files)
		return take_kept(node, ret);
	r = ex_plan_make(node, node->files, &diags, ret);
	ex_diags_done(&diags);
	return r;
}
