/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing is pinned by us: the device holds the program, the program holds its maps, and both are
 * found again through the device.
 */
#include "agent/gate/prefilter.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "prefilter.skel.h"
#include "agent/core/log.h"
#include "policy/arena.h"
#include "policy/prefix.h"

#define PROGRAM      "ex_prefilter"
#define FAILED       125
#define PREFIXES_MAX (1u << 20)
#define MAPS_MAX     8

struct prefixes {
	struct ex_source_key *v;
	size_t n, cap;
};

static void prefixes_done(struct prefixes *p)
{
	free(p->v);
}

static int prefixes_add(struct prefixes *p, const struct ex_prefix *prefix)
{
	struct ex_source_key *key;

	if (p->n == PREFIXES_MAX)
		return -E2BIG;
	key = EX_VEC_ADD(p);
	if (!key)
		return -ENOMEM;
	*key = (struct ex_source_key){ prefix->len, prefix->ip };
	return 0;
}

/* One prefix a line; '#' begins a comment. Says file and line of what is wrong. */
static int prefixes_read(struct prefixes *p, const char *path, FILE *in)
{
	EX_AUTO_FREE char *line = NULL;
	size_t cap = 0, number = 0;
	int r = 0;

	while (!r && getline(&line, &cap, in) >= 0) {
		struct ex_prefix prefix;
		const char *wrong;
		size_t skip, len;

		number++;
		skip = strspn(line, " \t\r\n");
		len = strcspn(line + skip, " \t\r\n#");
		if (!len)
			continue;
		wrong = ex_prefix_parse(line + skip, len, &prefix, &(bool){ false });
		if (wrong) {
			ex_error("%s:%zu: not a prefix (ADDRESS/LENGTH): %s", path, number, wrong);
			return -EINVAL;
		}
		r = prefixes_add(p, &prefix);
	}
	if (!r && ferror(in))
		r = -EIO;
	if (r)
		ex_error("%s: %s", path, strerror(-r));
	return r;
}

static int prefixes_load(struct prefixes *p, char *const *paths)
{
	FILE *in;
	int r = 0;

	for (; !r && *paths; paths++) {
		if (strcmp(*paths, "-") == 0) {
			r = prefixes_read(p, "standard input", stdin);
			continue;
		}
		in = fopen(*paths, "re");
		if (!in) {
			ex_error("%s: %s", *paths, strerror(errno));
			return -errno;
		}
		r = prefixes_read(p, *paths, in);
		fclose(in);
	}
	return r;
}

/* ---- what is attached ---- */

struct attached {
	struct xdp_multiprog *all;
	struct xdp_program *ours; /* owned by all */
};

static void attached_done(struct attached *a)
{
	if (a->all)
		xdp_multiprog__close(a->all);
}

static bool is_ours(const struct xdp_program *prog)
{
	return prog && strcmp(xdp_program__name(prog), PROGRAM) == 0;
}

static void attached_find(int ifindex, struct attached *ret)
{
	struct xdp_program *prog = NULL;

	*ret = (struct attached){ .all = xdp_multiprog__get_from_ifindex(ifindex) };
	if (libxdp_get_error(ret->all)) {
		ret->all = NULL;
		return;
	}
	if (xdp_multiprog__is_legacy(ret->all)) {
		prog = xdp_multiprog__main_prog(ret->all);
		ret->ours = is_ours(prog) ? prog : NULL;
		return;
	}
	while ((prog = xdp_multiprog__next_prog(prog, ret->all)))
		if (is_ours(prog))
			ret->ours = prog;
}

/* The program's map of that name; -ENOENT when it has none. The caller closes it. */
static int map_open(const struct xdp_program *prog, const char *name)
{
	uint32_t ids[MAPS_MAX], len, i, n;
	struct bpf_prog_info info = { .nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids };
	struct bpf_map_info map;
	int fd;

	len = sizeof(info);
	if (bpf_obj_get_info_by_fd(xdp_program__fd(prog), &info, &len))
		return -errno;
	n = info.nr_map_ids < MAPS_MAX ? info.nr_map_ids : MAPS_MAX;
	for (i = 0; i < n; i++) {
		fd = bpf_map_get_fd_by_id(ids[i]);
		len = sizeof(map);
		memset(&map, 0, sizeof(map));
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map, &len) == 0 &&
		    strcmp(map.name, name) == 0)
			return fd;
		ex_closep(&fd);
	}
	return -ENOENT;
}

/* ---- attach ---- */

static int map_fill(int fd, const struct prefixes *p)
{
	const uint32_t deny = 1;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < p->n; i++)
		r = bpf_map_update_elem(fd, &p->v[i], &deny, BPF_ANY);
	return r;
}

static int key_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ex_source_key));
}

/* Takes out what is not in p. New prefixes are in force before old ones are not. */
static void map_prune(int fd, struct prefixes *p)
{
	struct ex_source_key key, next;
	bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;

	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), key_cmp);
	while (more) {
		key = next;
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		if (!p->n || !bsearch(&key, p->v, p->n, sizeof(*p->v), key_cmp))
			bpf_map_delete_elem(fd, &key);
	}
}

static int update(const struct attached *a, struct prefixes *p)
{
	EX_AUTO_CLOSE int fd = map_open(a->ours, "ex_sources");
	int r;

	if (fd == -ENOENT)
		ex_error("what is attached is of another version of exeat: detach it first");
	if (fd < 0)
		return fd;
	r = map_fill(fd, p);
	if (!r)
		map_prune(fd, p);
	return r;
}

static int attach_to(struct xdp_program *prog, int ifindex, const char *dev)
{
	int r = xdp_program__attach(prog, ifindex, XDP_MODE_NATIVE, 0);

	if (r != -EOPNOTSUPP)
		return r;
	ex_warning("%s: its driver has no XDP; attached behind the driver, which is slower", dev);
	return xdp_program__attach(prog, ifindex, XDP_MODE_SKB, 0);
}

/* The table is filled before the program is attached. */
static int attach_new(int ifindex, const char *dev, const struct prefixes *p)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	EX_AUTO_CLOSE int sources = -1;
	struct prefilter_bpf *skel = prefilter_bpf__open();
	struct xdp_program *prog = NULL;
	int r = skel ? 0 : -ENOMEM;

	if (!r)
		sources = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "ex_sources",
					 sizeof(struct ex_source_key), sizeof(uint32_t),
					 PREFIXES_MAX, &opts);
	if (!r && sources < 0)
		r = sources;
	if (!r)
		r = map_fill(sources, p);
	if (!r)
		r = bpf_map__reuse_fd(skel->maps.ex_sources, sources);
	if (!r) {
		prog = xdp_program__from_bpf_obj(skel->obj, "xdp");
		r = (int)libxdp_get_error(prog);
	}
	if (!r)
		r = attach_to(prog, ifindex, dev);
	if (prog && !libxdp_get_error(prog))
		xdp_program__close(prog);
	prefilter_bpf__destroy(skel);
	return r;
}

static int cmd_attach(int ifindex, const char *dev, char *const *paths)
{
	struct prefixes p = { 0 };
	struct attached a;
	int r = prefixes_load(&p, paths);

	if (r) {
		prefixes_done(&p);
		return r;
	}
	attached_find(ifindex, &a);
	r = a.ours ? update(&a, &p) : attach_new(ifindex, dev, &p);
	attached_done(&a);
	if (r) {
		ex_error("%s: cannot attach the prefilter: %s", dev, strerror(-r));
	} else {
		attached_find(ifindex, &a);
		printf("%s: %zu prefixes are dropped on arrival\n", dev, p.n);
		if (a.all && xdp_multiprog__is_legacy(a.all))
			printf("%s: no other XDP program fits beside it: this kernel does not let "
			       "libxdp's dispatcher in\n",
			       dev);
		attached_done(&a);
	}
	prefixes_done(&p);
	return r;
}

/* ---- list, detach ---- */

static uint64_t count_read(int fd, uint32_t which)
{
	int cpus = libbpf_num_possible_cpus(), i;
	EX_AUTO_FREE struct ex_count *each = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*each));
	uint64_t sum = 0;

	if (!each || cpus <= 0 || bpf_map_lookup_elem(fd, &which, each))
		return 0;
	for (i = 0; i < cpus; i++)
		sum += each[i].packets;
	return sum;
}

static size_t prefixes_print(int fd, bool each)
{
	struct ex_source_key key, *last = NULL;
	char buf[EX_PREFIX_TEXT];
	size_t n = 0;

	while (bpf_map_get_next_key(fd, last, &key) == 0) {
		struct ex_prefix p = { key.ip, (uint8_t)key.prefixlen };

		if (each)
			printf("  %s\n", ex_prefix_text(&p, buf));
		last = &key;
		n++;
	}
	return n;
}

static bool device_print(int ifindex, const char *dev, bool each)
{
	EX_AUTO_CLOSE int sources = -1;
	EX_AUTO_CLOSE int counts = -1;
	struct attached a;
	bool found;

	attached_find(ifindex, &a);
	found = a.ours;
	if (found) {
		sources = map_open(a.ours, "ex_sources");
		counts = map_open(a.ours, "ex_prefiltered");
		printf("%s: %s, %s, %zu prefixes; packets passed %llu, denied %llu, malformed %llu\n",
		       dev,
		       xdp_multiprog__attach_mode(a.all) == XDP_MODE_SKB ? "generic" : "native",
		       xdp_multiprog__is_legacy(a.all) ? "alone" : "beside others",
		       prefixes_print(sources, false),
		       (unsigned long long)count_read(counts, EX_PREFILTER_PASSED),
		       (unsigned long long)count_read(counts, EX_PREFILTER_DENIED),
		       (unsigned long long)count_read(counts, EX_PREFILTER_MALFORMED));
		if (each)
			(void)prefixes_print(sources, true);
	}
	attached_done(&a);
	return found;
}

static int cmd_list(void)
{
	struct if_nameindex *all, *dev;

	if (geteuid() != 0) {
		ex_error("needs root to look at the programs of devices");
		return -EPERM;
	}
	all = if_nameindex();
	if (!all)
		return -errno;
	for (dev = all; dev->if_index; dev++)
		(void)device_print((int)dev->if_index, dev->if_name, false);
	if_freenameindex(all);
	return 0;
}

static int has_none(const char *dev)
{
	ex_error("%s: has no prefilter", dev);
	return -ENOENT;
}

static int cmd_detach(int ifindex, const char *dev)
{
	struct attached a;
	int r;

	attached_find(ifindex, &a);
	if (a.ours) {
		r = xdp_program__detach(a.ours, ifindex, xdp_multiprog__attach_mode(a.all), 0);
		if (r)
			ex_error("%s: cannot detach the prefilter: %s", dev, strerror(-r));
	} else {
		r = has_none(dev);
	}
	attached_done(&a);
	return r;
}

static int print_xdp(enum libxdp_print_level level, const char *format, va_list args)
{
	if (!ex_log_enabled(EX_LOG_DEBUG))
		return 0;
	(void)level;
	return vfprintf(stderr, format, args);
}

static int print_bpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!ex_log_enabled(EX_LOG_DEBUG))
		return 0;
	(void)level;
	return vfprintf(stderr, format, args);
}

static void usage(FILE *out)
{
	fputs("Usage: exeat prefilter attach DEVICE FILE...   (FILE \"-\" is standard input)\n"
	      "       exeat prefilter list [DEVICE]\n"
	      "       exeat prefilter detach DEVICE\n\n"
	      "Drops packets from denied source prefixes as they arrive on an uplink, by XDP.\n"
	      "A FILE has one prefix (ADDRESS/LENGTH) a line. attach again replaces the list.\n"
	      "Not for a workload's veth: XDP takes away its segmentation offload.\n",
	      out);
}

int ex_cmd_prefilter(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "", *dev = argc > 2 ? argv[2] : NULL;
	int ifindex = dev ? (int)if_nametoindex(dev) : 0;
	int r = -EINVAL;

	libxdp_set_print(print_xdp);
	libbpf_set_print(print_bpf);
	if (argc > 1 &&
	    (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	if (dev && !ifindex) {
		ex_error("%s: no such network device", dev);
		return FAILED;
	}
	if (strcmp(verb, "attach") == 0 && argc > 3)
		r = cmd_attach(ifindex, dev, argv + 3);
	else if (strcmp(verb, "list") == 0 && argc == 2)
		r = cmd_list();
	else if (strcmp(verb, "list") == 0 && argc == 3)
		r = device_print(ifindex, dev, true) ? 0 : has_none(dev);
	else if (strcmp(verb, "detach") == 0 && argc == 3)
		r = cmd_detach(ifindex, dev);
	else
		usage(stderr);
	return r ? FAILED : 0;
}
