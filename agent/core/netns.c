/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/core/log.h"
#include "agent/core/netns.h"

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* /proc/PID/ns/net, /proc/PID/task/TID/ns/net; a process may call itself "self". */
static bool is_of_process(const char *path)
{
	static const char digits[] = "0123456789";
	size_t n;

	if (!starts_with(path, "/proc/"))
		return false;
	path += 6;
	n = starts_with(path, "self/") ? 4 : strspn(path, digits);
	path += n;
	if (n && starts_with(path, "/task/")) {
		path += 6;
		n = strspn(path, digits);
		path += n;
	}
	return n && strcmp(path, "/ns/net") == 0;
}

/* Is a namespace mounted right there? A line has id, parent, device, root, path, … - type. */
static bool is_mount_line(char *line, const char *path)
{
	char *type = strstr(line, " - nsfs ");
	char *save, *word = strtok_r(line, " ", &save);

	for (int i = 0; i < 4 && word; i++)
		word = strtok_r(NULL, " ", &save);
	return type && word && strcmp(word, path) == 0;
}

static int check_mounted(const char *path)
{
	EX_AUTO_FREE char *line = NULL;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t cap = 0;
	bool there = false;

	if (!f)
		return -errno;
	while (!there && getline(&line, &cap, f) > 0)
		there = is_mount_line(line, path);
	fclose(f);
	return there ? 0 : -EINVAL;
}

/* /var/run is /run nearly everywhere, and runtimes write both. */
static const char *without_var(const char *path)
{
	char to[8] = "";
	ssize_t n = starts_with(path, "/var/run/") ? readlink("/var/run", to, sizeof(to) - 1) : -1;

	return n > 0 && (strcmp(to, "/run") == 0 || strcmp(to, "../run") == 0) ? path + 4 : path;
}

int ex_netns_identify(int netns, struct ex_netns_id *ret)
{
	struct stat st;

	if (fstat(netns, &st) < 0)
		return -errno;
	*ret = (struct ex_netns_id){ st.st_dev, st.st_ino };
	return 0;
}

int ex_netns_at(const char *path)
{
	EX_AUTO_CLOSE int fd = -1;
	struct stat own, st;
	int r;

	path = without_var(path);
	r = is_of_process(path) ? 0 : check_mounted(path);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return -EINVAL;
	if (fstat(fd, &st) < 0 || stat("/proc/self/ns/net", &own) < 0)
		return -errno;
	if (st.st_dev == own.st_dev && st.st_ino == own.st_ino)
		return -EADDRINUSE;
	return EX_TAKE_FD(fd);
}

int ex_netns_own(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int ex_netns_go(int netns)
{
	return setns(netns, CLONE_NEWNET) < 0 ? -errno : 0;
}

int ex_netns_sysctl(const char *name, const char *value)
{
	EX_AUTO_CLOSE int fd = -1;
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : ex_write_full(fd, ex_span_str(value));
}

bool ex_netns_has_v6(void)
{
	EX_AUTO_CLOSE int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0;
}

void ex_netns_back(int own)
{
	if (setns(own, CLONE_NEWNET) == 0)
		return;
	ex_error("cannot return to the own network namespace: %s", strerror(errno));
	abort();
}
