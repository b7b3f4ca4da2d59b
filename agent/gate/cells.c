/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for the trees of destinations: one array of cells, which every tree has a piece of. When no
 * piece is big enough there is a bigger array in its place, with what was in the old one at the
 * same numbers. It does not get smaller again.
 */
#include <errno.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"

#define CELLS_MIN 256 /* four pages */

static size_t bytes(uint32_t cells)
{
	return cells * sizeof(union ex_tree_cell);
}

static void array_close(struct gate_cells *c)
{
	if (c->v)
		(void)munmap(c->v, bytes(c->n));
	ex_closep(&c->fd);
	c->v = NULL;
	c->fd = -1;
}

/* Takes fd in any case. */
static int array_map(int fd, uint32_t n, struct gate_cells *ret)
{
	void *v;
	int r = gate_map_share(fd, bytes(n), &v);

	ret->v = r ? NULL : v;
	ret->fd = fd;
	ret->n = n;
	if (r)
		array_close(ret);
	return r;
}

static int array_new(uint32_t n, struct gate_cells *ret)
{
	/* what is mapped begins with a page, and so a cell with a cache line */
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ex_dest_cells", sizeof(uint32_t),
				sizeof(union ex_tree_cell), n, &opts);

	return fd < 0 ? fd : array_map(fd, n, ret);
}

/* The one that a former process left. -ENOENT: none did. */
static int array_adopt(int dests, struct gate_cells *ret)
{
	struct bpf_map_info info = { 0 };
	uint32_t key = 0, id, len = sizeof(info);
	int fd, r = bpf_map_lookup_elem(dests, &key, &id);

	if (r)
		return r;
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0)
		return fd;
	r = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (r) {
		close(fd);
		return r;
	}
	return array_map(fd, info.max_entries, ret);
}

/* The kernel waits until no packet is on its way through the old one. */
static int array_set(struct ex_gate *gate, const struct gate_cells *c)
{
	uint32_t key = 0;

	return bpf_map_update_elem(gate->maps.ex_dests.fd, &key, &c->fd, BPF_ANY);
}

int gate_cells_open(struct ex_gate *gate, uint32_t prefixes)
{
	struct gate_cells *c = &gate->cells;
	int r = array_adopt(gate->maps.ex_dests.fd, c);

	c->max = prefixes < EX_TREE_NODE / 4 ? prefixes * 4 : EX_TREE_NODE;
	if (c->max < CELLS_MIN)
		c->max = CELLS_MIN;
	if (r != -ENOENT)
		return r;
	r = array_new(CELLS_MIN, c);
	return r ? r : array_set(gate, c);
}

void gate_cells_close(struct ex_gate *gate)
{
	struct gate_region *region;

	while ((region = gate->cells.regions)) {
		gate->cells.regions = region->next;
		free(region);
	}
	array_close(&gate->cells);
}

/* ---- pieces ---- */

/* Behind which of them n cells are free; false when nowhere. */
static bool gap_find(struct gate_cells *c, uint32_t n, struct gate_region ***ret, uint32_t *ret_at)
{
	struct gate_region **at = &c->regions;
	uint32_t from = 0;

	for (; *at && (*at)->at - from < n; at = &(*at)->next)
		from = (*at)->at + (*at)->n;
	*ret = at;
	*ret_at = from;
	return (*at ? (*at)->at : c->n) - from >= n;
}

static int grow(struct ex_gate *gate, uint32_t n)
{
	struct gate_cells *c = &gate->cells, bigger = *c;
	const struct gate_region *last = c->regions;
	uint64_t want = (uint64_t)c->n * 2, end;
	int r;

	while (last && last->next)
		last = last->next;
	end = (last ? (uint64_t)last->at + last->n : 0) + n;
	while (want < end)
		want *= 2;
	if (want > c->max)
		want = c->max;
	if (want < end)
		return -ENOSPC;
	r = array_new((uint32_t)want, &bigger);
	if (r || !bigger.v)
		return r;
	memcpy(bigger.v, c->v, bytes(c->n));
	r = array_set(gate, &bigger);
	array_close(r ? &bigger : c);
	if (!r)
		*c = bigger;
	return r;
}

/* Is much of what is taken only waiting for packets that are on their way? */
static bool much_is_retired(const struct ex_gate *gate)
{
	uint64_t n = 0;

	for (size_t i = 0; i < gate->n_retired; i++)
		n += gate->retired[i]->region ? gate->retired[i]->region->n : 0;
	return n > gate->cells.n / 4;
}

static int gap_make(struct ex_gate *gate, uint32_t n, struct gate_region ***ret, uint32_t *ret_at)
{
	int r;

	if (gap_find(&gate->cells, n, ret, ret_at))
		return 0;
	if (much_is_retired(gate)) {
		gate_settle(gate);
		if (gap_find(&gate->cells, n, ret, ret_at))
			return 0;
	}
	r = grow(gate, n);
	if (r) /* at its bound, or no memory: then what is only waiting has to do */
		gate_settle(gate);
	return gap_find(&gate->cells, n, ret, ret_at) ? 0 : r ? r : -ENOSPC;
}

int gate_region_put(struct ex_gate *gate, struct gate_tree *tree, struct gate_region **ret)
{
	struct gate_region *region, **link;
	uint32_t at;
	int r;

	*ret = NULL;
	if (!tree->n)
		return 0;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	r = gap_make(gate, tree->n, &link, &at);
	if (r) {
		free(region);
		return r;
	}
	gate_tree_move(tree, at);
	memcpy(&gate->cells.v[at], tree->cells, bytes(tree->n));
	*region = (struct gate_region){ *link, at, tree->n };
	*link = region;
	*ret = region;
	return 0;
}

void gate_region_free(struct ex_gate *gate, struct gate_region *region)
{
	struct gate_region **at = &gate->cells.regions;

	if (!region)
		return;
	while (*at != region)
		at = &(*at)->next;
	*at = region->next;
	free(region);
}

/* The first node below this one; 0 when there is none. */
static uint32_t first_below(union ex_tree_cell *node)
{
	uint32_t n = gate_node_answers(&node->node);

	for (uint32_t i = 0; i < n; i++)
		if (*gate_node_answer(node, i) & EX_TREE_NODE)
			return *gate_node_answer(node, i);
	return 0;
}

/* A tree ends with its root, and begins with the node that is first, and lowest, in it. */
int gate_region_adopt(struct ex_gate *gate, uint32_t root, struct gate_region **ret)
{
	struct gate_cells *c = &gate->cells;
	struct gate_region *region, **link = &c->regions;
	uint32_t ref = root, at = c->n, end = 0, n;

	*ret = NULL;
	for (; ref & EX_TREE_NODE; ref = first_below(&c->v[at])) {
		if ((ref & ~EX_TREE_NODE) >= at)
			return -EPROTO;
		at = ref & ~EX_TREE_NODE;
		n = gate_node_cells(gate_node_answers(&c->v[at].node));
		if (n > c->n - at)
			return -EPROTO;
		if (ref == root)
			end = at + n;
	}
	if (!end)
		return 0;
	while (*link && (*link)->at < at)
		link = &(*link)->next;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	*region = (struct gate_region){ *link, at, end - at };
	*link = region;
	*ret = region;
	return 0;
}

size_t gate_cells_used(const struct ex_gate *gate)
{
	const struct gate_region *region;
	size_t n = 0;

	for (region = gate->cells.regions; region; region = region->next)
		n += region->n;
	return n;
}
