/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "agent/core/host_ips.h"
#include "agent/core/log.h"
#include "agent/core/state_file.h"
#include "agent/learn/policy.h"
#include "agent/proxy/bundle.h"
#include "agent/run/policy.h"
#include "policy/diag.h"
#include "policy/ruleset.h"
#include "policy/yaml.h"

/* ---- texts ---- */

struct texts {
	struct ex_text policies[EX_RUN_POLICIES_MAX];
	size_t n;
	struct ex_text endpoints;
};

static void free_text(struct ex_text *t)
{
	free((void *)(uintptr_t)t->text.ptr);
	*t = (struct ex_text){ 0 };
}

static void texts_done(struct texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free_text(&t->policies[i]);
	free_text(&t->endpoints);
}

static int read_text(const char *file, struct ex_text *ret, struct ex_diags *diags)
{
	EX_AUTO_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = NULL;
	size_t len = 0;
	int r = fd < 0 ? -errno : ex_file_hold(fd);

	if (r == 0)
		r = ex_yaml_text(fd, &text, &len);
	*ret = (struct ex_text){ file, { text, len } };
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		ex_diag_add(diags, (struct ex_pos){ file, 0, 0 }, false, ex_yaml_remedy(-r),
			    "cannot read: %s", r == -EBUSY ? "it is being written" : strerror(-r));
	return r < 0 ? -EINVAL : 0;
}

static int learning_text(struct texts *t)
{
	const struct ex_text *text = &ex_learn_policy;
	char *copy = strndup(text->text.ptr, text->text.len);

	if (!copy)
		return -ENOMEM;
	t->policies[t->n++] = (struct ex_text){ text->name, { copy, text->text.len } };
	return 0;
}

/* On after an error: one run shows every file that cannot be read. */
static int read_texts(const struct ex_run_options *o, struct texts *t, struct ex_diags *diags)
{
	int first = 0, r;

	if (o->learn)
		return learning_text(t);
	for (t->n = 0; t->n < o->n_policies; t->n++) {
		r = read_text(o->policies[t->n], &t->policies[t->n], diags);
		first = r < 0 ? r : first;
	}
	if (o->endpoints) {
		r = read_text(o->endpoints, &t->endpoints, diags);
		first = r < 0 ? r : first;
	}
	return first;
}

/* ---- ruleset and bundle ---- */

static int compile(const struct ex_run_options *o, const struct ex_netns *ns, const struct texts *t,
		   struct ex_run_policy *ret, struct ex_diags *diags)
{
	EX_AUTO_FREE struct ex_ip *host = NULL;
	struct ex_ip dns[2] = { ns->gw4, ns->gw6 };
	struct ex_compile_input in = {
		.texts = t->policies,
		.n_texts = t->n,
		.endpoints = &t->endpoints,
		.n_endpoints = o->endpoints ? 1 : 0,
		.secrets_dir = o->secrets,
		.labels = o->labels,
		.n_labels = o->n_labels,
		.dns_ips = dns,
		.n_dns_ips = ns->v6 ? 2 : 1,
		.deny_metadata = !o->allow_metadata,
	};
	int r = ex_host_ips(o->allow_metadata, &host, &in.n_host_ips);

	if (r < 0) {
		ex_error("cannot list the host's addresses: %s", strerror(-r));
		return r;
	}
	in.host_ips = host;
	r = ex_compile(&in, &ret->rs, diags);
	if (r < 0)
		return r;
	ret->bundle = ex_bundle_new(&in, ret->rs);
	if (ret->bundle >= 0)
		return 0;
	r = ret->bundle;
	ex_error("cannot keep the policy for the proxy: %s", strerror(-r));
	ex_run_policy_done(ret);
	return r;
}

int ex_run_policy_read(const struct ex_run_options *o, const struct ex_netns *ns,
		       struct ex_run_policy *ret)
{
	struct ex_diags diags = { 0 };
	struct texts t = { 0 };
	int r = read_texts(o, &t, &diags);

	if (r == 0)
		r = compile(o, ns, &t, ret, &diags);
	if (r < 0 || !o->quiet)
		ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	texts_done(&t);
	return r;
}

void ex_run_policy_done(struct ex_run_policy *p)
{
	if (p->bundle >= 0)
		close(p->bundle);
	ex_ruleset_unref(p->rs);
	*p = (struct ex_run_policy){ .bundle = -1 };
}
