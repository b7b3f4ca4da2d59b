/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps workloads from devices whose packets no gate is asked about: see datapath/links.bpf.c. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "links.skel.h"
#include "agent/core/netns.h"
#include "agent/gate/gate_internal.h"

/* Beside the folders of the maps: these may go, for others of another size, and it stays. */
static const char *path_of(const char *pin, char buf[static PATH_MAX])
{
	snprintf(buf, PATH_MAX, "%s/links", pin);
	return buf;
}

int gate_links_unguard(const char *pin)
{
	char path[PATH_MAX];

	return unlink(path_of(pin, path)) < 0 && errno != ENOENT ? -errno : 0;
}

/* The new one is there before the one of a former process goes. */
static int pin_anew(struct bpf_link *link, const char *pin)
{
	char path[PATH_MAX];
	int r = gate_links_unguard(pin);

	return r ? r : bpf_link__pin(link, path_of(pin, path));
}

int gate_links_guard(const char *pin)
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
	if (!r && pin)
		r = pin_anew(link, pin);
	bpf_link__destroy(link); /* what is pinned stays */
	links_bpf__destroy(skel);
	return r;
}
