/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of the object with programs and maps once it is loaded: descriptors. As long as it
 * is open libbpf keeps all of it: instructions, types, lines of the source.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/gate/gate_internal.h"

#define NAME(name) #name,

static const char *const maps[] = { GATE_MAPS(NAME) };
static const char *const progs[] = { GATE_PROGS(NAME) };

_Static_assert(EX_ARRAY_SIZE(maps) == EX_ARRAY_SIZE(((struct ex_gate *)0)->each_map),
	       "a name each");
_Static_assert(EX_ARRAY_SIZE(progs) == EX_ARRAY_SIZE(((struct ex_gate *)0)->each_prog),
	       "a name each");

void gate_object_init(struct ex_gate *gate)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(maps); i++)
		gate->each_map[i].fd = -1;
	for (size_t i = 0; i < EX_ARRAY_SIZE(progs); i++)
		gate->each_prog[i] = -1;
}

static int fd_keep(int fd, int *ret)
{
	*ret = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *ret < 0 ? -errno : 0;
}

static int map_keep(const struct bpf_map *map, struct gate_map *ret)
{
	if (!map)
		return -ENOENT;
	ret->key_size = bpf_map__key_size(map);
	ret->value_size = bpf_map__value_size(map);
	ret->max_entries = bpf_map__max_entries(map);
	return fd_keep(bpf_map__fd(map), &ret->fd);
}

static int prog_keep(const struct bpf_program *prog, int *ret)
{
	return prog ? fd_keep(bpf_program__fd(prog), ret) : -ENOENT;
}

int gate_object_keep(struct ex_gate *gate, const struct bpf_object *object)
{
	int r = 0;

	for (size_t i = 0; i < EX_ARRAY_SIZE(maps) && !r; i++)
		r = map_keep(bpf_object__find_map_by_name(object, maps[i]), &gate->each_map[i]);
	for (size_t i = 0; i < EX_ARRAY_SIZE(progs) && !r; i++)
		r = prog_keep(bpf_object__find_program_by_name(object, progs[i]),
			      &gate->each_prog[i]);
	return r;
}

void gate_object_done(struct ex_gate *gate)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(maps); i++)
		ex_closep(&gate->each_map[i].fd);
	for (size_t i = 0; i < EX_ARRAY_SIZE(progs); i++)
		ex_closep(&gate->each_prog[i]);
}

int gate_map_share(int fd, size_t size, void **ret)
{
	void *v = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int r;

	if (v == MAP_FAILED)
		return -errno;
	/* no process that we start, the command's init say, may write what others are judged by */
	if (madvise(v, size, MADV_DONTFORK) < 0) {
		r = -errno;
		(void)munmap(v, size);
		return r;
	}
	*ret = v;
	return 0;
}

bool gate_batch_next(struct gate_batch *b, void *keys, void *values)
{
	int r;

	if (b->over)
		return false;
	b->n = b->cap;
	r = bpf_map_lookup_batch(b->fd, b->begun ? &b->at : NULL, &b->at, keys, values, &b->n,
				 NULL);
	b->begun = true;
	b->over = r; /* -ENOENT: with these */
	return !r || r == -ENOENT;
}

int gate_map_fd(const struct ex_gate *gate, const char *name)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(maps); i++)
		if (strcmp(maps[i], name) == 0)
			return gate->each_map[i].fd;
	return -1;
}

int gate_prog_fd(const struct ex_gate *gate, const char *name)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(progs); i++)
		if (strcmp(progs[i], name) == 0)
			return gate->each_prog[i];
	return -1;
}
