/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/head.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "agent/audit/line.h"

#define HEAD_MAX 512

ssize_t ex_audit_note_seal(const struct ex_chain *chain, const struct ex_audit_key *key,
			   const char *type, char *line, size_t cap, struct ex_chain *next)
{
	char time[EX_AUDIT_TIME];
	int n;

	ex_audit_now(time);
	n = snprintf(line, cap, "{\"time\":\"%s\",\"type\":\"%s\",\"version\":1}\n", time, type);
	if (n < 0 || (size_t)n + EX_CHAIN_TAIL_MAX > cap)
		return -ENOSPC;
	return ex_chain_seal(chain, key, line, (size_t)n, next);
}

int ex_audit_head_write(int dir, const char *name, const struct ex_chain *last,
			const struct ex_audit_key *key)
{
	char line[HEAD_MAX], tmp[NAME_MAX + 1];
	struct ex_chain unused;
	ssize_t n = ex_audit_note_seal(last, key, "head", line, sizeof(line), &unused);
	EX_AUTO_CLOSE int fd = -1;

	if (n < 0)
		return (int)n;
	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", name) >= sizeof(tmp))
		return -ENAMETOOLONG;
	(void)unlinkat(dir, tmp, 0); /* of one that was killed, or somebody's pipe */
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, line, (size_t)n) != n)
		return -EIO; /* a full disk: the old head stays */
	return renameat(dir, tmp, dir, name) < 0 ? -errno : 0;
}

int ex_audit_head_read(int dir, const char *path, const struct ex_audit_keys *keys,
		       struct ex_chain *ret)
{
	char line[HEAD_MAX];
	struct ex_chain_link link;
	EX_AUTO_CLOSE int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, line, sizeof(line));
	if (n < 0)
		return -errno;
	if (n == 0 || line[n - 1] != '\n' ||
	    !ex_chain_parse((struct ex_span){ line, (size_t)n - 1 }, &link) || link.n == 0 ||
	    !ex_span_eq(link.type, EX_SPAN("head")) || !ex_chain_authentic(&link, keys))
		return -EBADMSG;
	ret->n = link.n - 1;
	memcpy(ret->mac, link.prev, sizeof(ret->mac));
	return 0;
}
