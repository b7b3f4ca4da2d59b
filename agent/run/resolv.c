/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/core/dir_watch.h"
#include "agent/core/log.h"
#include "agent/run/guard.h"
#include "agent/run/resolv.h"

#define SETTLE_MS 20 /* written in several steps */

struct ex_resolv {
	struct ex_parent *parent;
	struct ex_resolvers *dns;
	uid_t uid;
	const char *watched[1];
	struct ex_dir_watch *watch;
};

/* What cannot be found out counts as theirs. */
static bool is_commands(const struct ex_resolv *r)
{
	int err = ex_guard_file(r->dns->file, r->uid);

	return err < 0 && err != -ENOENT;
}

static void on_change(void *arg)
{
	struct ex_resolv *r = arg;

	if (is_commands(r))
		ex_warning("%s can be changed by the command now: the resolvers stay as they are",
			   r->dns->file);
	else if (ex_resolvers_look(r->dns, ex_loop_now(ex_parent_loop(r->parent))))
		ex_keeper_tell_resolvers(ex_parent_keeper(r->parent));
}

static int watch(struct ex_resolv *r)
{
	if (!r->dns->file)
		return 0;
	if (is_commands(r)) {
		ex_info("%s can be changed by the command: it is not followed", r->dns->file);
		return 0;
	}
	r->watched[0] = r->dns->file;
	return ex_dir_watch_new(ex_parent_loop(r->parent), r->watched, 1, SETTLE_MS, on_change, r,
				&r->watch);
}

int ex_resolv_new(struct ex_parent *parent, struct ex_resolvers *dns, uid_t uid,
		  struct ex_resolv **ret)
{
	struct ex_resolv *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	*r = (struct ex_resolv){ .parent = parent, .dns = dns, .uid = uid };
	ex_resolvers_follow(dns, EX_RESOLV_CONF);
	err = watch(r);
	if (err < 0) {
		ex_resolv_free(r);
		return err;
	}
	(void)ex_resolvers_look(dns, ex_loop_now(ex_parent_loop(parent)));
	*ret = r;
	return 0;
}

void ex_resolv_free(struct ex_resolv *r)
{
	if (!r)
		return;
	ex_dir_watch_free(r->watch);
	free(r);
}
