/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libgen.h>

#include "agent/core/dir_watch.h"
#include "agent/core/log.h"
#include "agent/proxy/bundle.h"
#include "agent/run/guard.h"
#include "agent/run/reload.h"

#define SETTLE_MS 50 /* editors and copies write in several steps */

struct ex_reload {
	struct ex_parent *parent;
	const struct ex_run_options *options;
	const struct ex_netns *ns;
	struct ex_run_policy *policy;
	struct ex_dir_watch *watch;
	char *dirs[EX_RUN_POLICIES_MAX + 1]; /* of the policies and of the endpoints file */
	size_t n_dirs;
};

/* Who could change the policy that it is under could let itself out. Root's files are root's. */
static int guard(const char *file, uid_t uid)
{
	int r = uid ? ex_guard_file(file, uid) : 0;

	if (r == -EACCES)
		ex_error("--watch: %s, or a folder that it is in, can be changed by the command "
			 "(user %u): keep it where only root writes",
			 file, (unsigned)uid);
	return r;
}

/* ---- changes ---- */

static void on_change(void *arg)
{
	struct ex_reload *re = arg;
	struct ex_run_policy fresh = { .bundle = -1 };
	int r = ex_run_policy_read(re->options, re->ns, &fresh);

	if (r < 0) {
		ex_error("the policy that was changed is not valid: the last valid one stays in "
			 "force");
		return;
	}
	/* what was touched need not have changed */
	if (!ex_bundle_is_same(fresh.bundle, re->policy->bundle)) {
		r = ex_parent_swap(re->parent, &fresh);
		if (r == 0) {
			ex_run_policy_done(re->policy);
			*re->policy = fresh;
			return;
		}
		ex_error("the policy that was changed cannot be put in force, the last one stays: "
			 "%s",
			 strerror(-r));
	}
	ex_run_policy_done(&fresh);
}

static int add_file(struct ex_reload *re, const char *file, uid_t uid)
{
	EX_AUTO_FREE char *copy = strdup(file);
	char *dir = copy ? strdup(dirname(copy)) : NULL;

	if (!dir)
		return -ENOMEM;
	re->dirs[re->n_dirs++] = dir;
	return guard(file, uid);
}

int ex_reload_new(struct ex_parent *parent, const struct ex_run_options *options, uid_t uid,
		  const struct ex_netns *ns, struct ex_run_policy *policy, struct ex_reload **ret)
{
	struct ex_reload *re = calloc(1, sizeof(*re));
	int r = 0;

	if (!re)
		return -ENOMEM;
	re->parent = parent;
	re->options = options;
	re->ns = ns;
	re->policy = policy;
	for (size_t i = 0; i < options->n_policies && r == 0; i++)
		r = add_file(re, options->policies[i], uid);
	if (r == 0 && options->endpoints)
		r = add_file(re, options->endpoints, uid);
	if (r == 0)
		r = ex_dir_watch_new(ex_parent_loop(parent), (const char *const *)re->dirs,
				     re->n_dirs, SETTLE_MS, on_change, re, &re->watch);
	if (r < 0) {
		ex_reload_free(re);
		return r;
	}
	*ret = re;
	return 0;
}

void ex_reload_free(struct ex_reload *re)
{
	if (!re)
		return;
	ex_dir_watch_free(re->watch);
	for (size_t i = 0; i < re->n_dirs; i++)
		free(re->dirs[i]);
	free(re);
}
