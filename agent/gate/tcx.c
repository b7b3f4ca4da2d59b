/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs once more, as links before all filters of the interface (TCX, Linux 6.6): what a
 * program there lets pass, no filter is asked about. So without one of ours somebody else's, that
 * of a CNI plugin say, would be the gate; and it costs less than the way to a filter. The filter
 * stays for when there is no link: on older kernels, or when the bpffs that held it is no more.
 *
 * Where maps are pinned the links are, too, beside the folders of the maps; else who has the gate
 * holds them. Which ones there are the hook says: a former gate's may be held by somebody else.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/gate/gate_internal.h"

/* linux/bpf.h, of a later Linux than this Debian's */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS  ((enum bpf_attach_type)47)
#define F_BEFORE    (1u << 3) /* before nobody in particular: first */
#define HOOK_MAX    64        /* the kernel's own */

struct query { /* BPF_PROG_QUERY */
	uint32_t ifindex, type, query_flags, attach_flags;
	uint64_t progs;
	uint32_t n, unused;
	uint64_t prog_flags, links, link_flags, revision;
};

struct hook { /* programs in their order, and the links they are there by; 0: none */
	uint32_t progs[HOOK_MAX], links[HOOK_MAX], n;
};

static enum bpf_attach_type hook_type(bool ingress)
{
	return ingress ? TCX_INGRESS : TCX_EGRESS;
}

static int hook_read(uint32_t ifindex, bool ingress, struct hook *ret)
{
	struct query q = { .ifindex = ifindex,
			   .type = hook_type(ingress),
			   .progs = (uintptr_t)ret->progs,
			   .n = HOOK_MAX,
			   .links = (uintptr_t)ret->links };

	ret->n = 0;
	if (syscall(SYS_bpf, BPF_PROG_QUERY, &q, sizeof(q)) < 0)
		return errno == EINVAL ? 0 : -errno; /* not in this kernel, for nobody */
	ret->n = q.n;
	return 0;
}

static const char *folder_of(const char *pin, char buf[static PATH_MAX])
{
	snprintf(buf, PATH_MAX, "%s/tcx", pin);
	return buf;
}

static const char *path_of(const char *pin, uint32_t ifindex, bool ingress,
			   char buf[static PATH_MAX])
{
	snprintf(buf, PATH_MAX, "%s/tcx/%u-%s", pin, ifindex, ingress ? "ingress" : "egress");
	return buf;
}

/* Its interface is no more. */
static bool is_over(const char *path)
{
	EX_AUTO_CLOSE int fd = bpf_obj_get(path);
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	/* an interface's number is at the same place in all kinds that have one */
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && !info.xdp.ifindex;
}

/* The kernel takes its time with a link that nobody holds any more, this is at once. */
void gate_tcx_close(int *fd)
{
	if (*fd >= 0)
		(void)bpf_link_detach(*fd);
	ex_closep(fd);
	*fd = -1;
}

static int link_drop(uint32_t id)
{
	int fd = bpf_link_get_fd_by_id(id), r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = bpf_link_detach(fd);
	close(fd);
	return r;
}

/* Takes the links of gates away, of this one and of former ones. */
static int hook_clear(const struct hook *hook)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < hook->n; i++) {
		r = hook->links[i] ? gate_prog_is_ours(hook->progs[i]) : 0;
		if (r > 0)
			r = link_drop(hook->links[i]);
	}
	return r;
}

static int pin_drop(const char *path)
{
	int fd = bpf_obj_get(path);

	gate_tcx_close(&fd);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int link_keep(const struct ex_gate *gate, uint32_t ifindex, bool ingress, int fd)
{
	struct gate_port *port = gate_port_find(gate, ifindex);
	char path[PATH_MAX];
	int r;

	if (gate->pin) {
		(void)unlink(path_of(gate->pin, ifindex, ingress, path));
		return bpf_obj_pin(fd, path);
	}
	if (!port)
		return -EINVAL;
	r = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (r < 0)
		return -errno;
	gate_tcx_close(&port->tcx[ingress]);
	port->tcx[ingress] = r;
	return 0;
}

/* Of the same program there is but one, and it stays behind those that came before it. */
static int link_make_room(const struct hook *former, int prog)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(prog, &info, &len);

	for (uint32_t i = 0; !r && i < former->n; i++)
		if (former->progs[i] == info.id)
			return i ? link_drop(former->links[i]) : -EEXIST;
	return r;
}

/* The new one is there before the former one goes. */
int gate_tcx_put(const struct ex_gate *gate, uint32_t ifindex, bool ingress, int prog)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = F_BEFORE);
	EX_AUTO_CLOSE int fd = -1;
	struct hook former;
	int r = hook_read(ifindex, ingress, &former);

	if (!r)
		r = link_make_room(&former, prog);
	if (r)
		return r == -EEXIST ? 0 : r; /* it is there, and first */
	fd = bpf_link_create(prog, (int)ifindex, hook_type(ingress), &opts);
	if (fd == -EINVAL) /* as in hook_read() */
		return 0;
	r = fd < 0 ? fd : link_keep(gate, ifindex, ingress, fd);
	return r ? r : hook_clear(&former);
}

int gate_tcx_find(uint32_t ifindex, bool *ret)
{
	struct hook hook;
	int r = hook_read(ifindex, true, &hook);

	*ret = false;
	for (uint32_t i = 0; !r && !*ret && i < hook.n; i++) {
		r = gate_prog_is_ours(hook.progs[i]);
		*ret = r > 0;
	}
	return r < 0 && r != -ENODEV ? r : 0;
}

int gate_tcx_drop(const struct ex_gate *gate, uint32_t ifindex)
{
	struct gate_port *port = gate ? gate_port_find(gate, ifindex) : NULL;
	char path[PATH_MAX];
	struct hook hook;
	int r = 0;

	for (int ingress = 0; !r && ingress < 2; ingress++) {
		r = hook_read(ifindex, ingress, &hook);
		if (!r)
			r = hook_clear(&hook);
		if (port)
			gate_tcx_close(&port->tcx[ingress]);
		if (!r && gate && gate->pin)
			r = pin_drop(path_of(gate->pin, ifindex, ingress, path));
	}
	return r;
}

void ex_gate_gone(const struct ex_gate *gate, uint32_t ifindex)
{
	char path[PATH_MAX];

	for (int ingress = 0; gate->pin && ingress < 2; ingress++)
		if (is_over(path_of(gate->pin, ifindex, ingress, path)))
			(void)unlink(path);
}

/* Removes links from the folder: all of them, or what is over. -ENOENT: there is no folder. */
static int folder_clear(const char *pin, bool all)
{
	char folder[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
	const struct dirent *entry;
	DIR *dir = opendir(folder_of(pin, folder));
	int r = 0;

	if (!dir)
		return -errno;
	while (!r && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (all || is_over(path))
			r = pin_drop(path);
	}
	closedir(dir);
	return r;
}

int gate_tcx_open(const char *pin)
{
	char folder[PATH_MAX];

	if (mkdir(folder_of(pin, folder), 0700) < 0 && errno != EEXIST)
		return -errno;
	return folder_clear(pin, false);
}

int gate_tcx_unpin(const char *pin)
{
	char folder[PATH_MAX];
	int r = folder_clear(pin, true);

	if (r)
		return r == -ENOENT ? 0 : r;
	return rmdir(folder_of(pin, folder)) < 0 ? -errno : 0;
}
