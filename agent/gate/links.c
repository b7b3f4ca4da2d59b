/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps workloads from devices whose packets no gate is asked about: see datapath/links.bpf.c. */
#include <errno.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "links.skel.h"
#include "agent/core/netns.h"
#include "agent/gate/gate_internal.h"

/* The new one is there before the one of a former process goes. */
static int pin_anew(struct bpf_link *link, const char *path)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return bpf_link__pin(link, path);
}

int gate_links_guard(const char *path)
{
	EX_AUTO_CLOSE int own = ex_netns_own();
	struct bpf_link *link = NULL;
	struct links_bpf *skel;
	struct ex_netns_id id;
	int r = own < 0 ? own : ex_netns_identify(own, &id);

	if (r)
		return r;
	skel = links_bpf__open();
	if (!skel)
		return -errno;
	skel->rodata->own_netns = (uint32_t)id.ino;
	r = links_bpf__load(skel);
	if (!r) {
		link = bpf_program__attach(skel->progs.ex_links);
		r = link ? 0 : -errno;
	}
	if (!r && path)
		r = pin_anew(link, path);
	bpf_link__destroy(link); /* what is pinned stays */
	links_bpf__destroy(skel);
	return r;
}
