/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "agent/control/control.h"
#include "agent/observe/observe.h"
#include "agent/run/seen.h"

#define KEEP 1024 /* events somebody who comes later can still see */

struct ex_seen {
	struct ex_control *control;
	struct ex_observe *observe;
	struct ex_observe_who *who;
};

static int who_new(const struct ex_label *labels, size_t n_labels, struct ex_observe_who **ret)
{
	char name[32];
	struct ex_observe_endpoint ep = { .name = name, .labels = labels, .n_labels = n_labels };

	snprintf(name, sizeof(name), "run-%d", (int)getpid());
	return ex_observe_who_new(&ep, ret);
}

static int serve(struct ex_loop *loop, struct ex_seen *s)
{
	char path[64];
	struct ex_control_config cfg = { .path = path, .clients = 8 };
	int r;

	snprintf(path, sizeof(path), "@exeat/run/%d", (int)getpid());
	r = ex_control_new(loop, &cfg, &s->control);
	return r < 0 ? r : ex_observe_serve(s->observe, s->control);
}

int ex_seen_new(struct ex_loop *loop, const struct ex_label *labels, size_t n_labels,
		struct ex_seen **ret)
{
	struct ex_seen *s = calloc(1, sizeof(*s));
	char node[HOST_NAME_MAX + 1] = "";
	int r;

	if (!s)
		return -ENOMEM;
	(void)gethostname(node, sizeof(node) - 1);
	r = who_new(labels, n_labels, &s->who);
	if (r == 0)
		r = ex_observe_new(loop, node, KEEP, &s->observe);
	if (r == 0)
		r = serve(loop, s);
	if (r < 0) {
		ex_seen_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void ex_seen_free(struct ex_seen *s)
{
	if (!s)
		return;
	ex_control_free(s->control);
	ex_observe_free(s->observe);
	ex_observe_who_unref(s->who);
	free(s);
}

void ex_seen_record(struct ex_seen *s, const struct ex_ruleset *rs,
		    const struct ex_audit_record *rec)
{
	if (s)
		ex_observe_record(s->observe, s->who, rs, rec);
}

void ex_seen_event(struct ex_seen *s, const struct ex_ruleset *rs, const struct ex_event *ev)
{
	if (s)
		ex_observe_event(s->observe, s->who, rs, ev);
}
