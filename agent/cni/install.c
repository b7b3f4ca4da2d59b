/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "agent/cni/chain.h"
#include "agent/cni/cni.h"
#include "agent/cni/install.h"
#include "agent/control/client.h"
#include "agent/core/log.h"
#include "agent/core/loop.h"

#define PROGRAM    "exeat-cni"
#define PERIOD_MS  5000
#define PAUSE_MS   1000 /* at least, from one change to the next: others may insist on theirs */
#define STATUS_MS  5000
#define COMPARE_AT 65536

static int copy_all(int from, int to, off_t size)
{
	off_t at = 0;

	while (at < size) {
		ssize_t n = sendfile(to, from, &at, (size_t)(size - at));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO;
	}
	return fsync(to) < 0 ? -errno : 0;
}

/* The same bytes; a program is replaced only when it has to be. */
static bool is_same(int a, int b, off_t size)
{
	static char left[COMPARE_AT], right[COMPARE_AT];
	struct stat st;

	if (fstat(b, &st) < 0 || st.st_size != size)
		return false;
	for (off_t at = 0; at < size; at += COMPARE_AT) {
		ssize_t n = pread(a, left, sizeof(left), at);

		if (n <= 0 || pread(b, right, sizeof(right), at) != n ||
		    memcmp(left, right, (size_t)n) != 0)
			return false;
	}
	return true;
}

/* Beside it and renamed: nobody starts half a program. */
static int install_program(const char *bin_dir)
{
	EX_AUTO_CLOSE int dir = open(bin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EX_AUTO_CLOSE int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	EX_AUTO_CLOSE int old = -1;
	EX_AUTO_CLOSE int fd = -1;
	struct stat st;
	int r;

	if (dir < 0 || self < 0 || fstat(self, &st) < 0)
		return -errno;
	old = openat(dir, PROGRAM, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (old >= 0 && is_same(self, old, st.st_size))
		return 0;
	fd = openat(dir, "." PROGRAM ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0755);
	if (fd < 0)
		return -errno;
	r = copy_all(self, fd, st.st_size);
	if (r == 0 && fchmod(fd, 0755) < 0)
		r = -errno;
	if (r == 0 && renameat(dir, "." PROGRAM ".new", dir, PROGRAM) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, "." PROGRAM ".new", 0);
	return r;
}

static bool is_configuration(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && dot != name &&
	       (strcmp(dot, ".conflist") == 0 || strcmp(dot, ".conf") == 0 ||
		strcmp(dot, ".json") == 0);
}

/*
 * The first by name, as runtimes take it. One plugin alone (.conf, .json) cannot be followed by
 * another: chaining a later file would leave the pods of this one without gates.
 */
static int find_configuration(const char *dir, char path[static PATH_MAX])
{
	char first[NAME_MAX + 1] = "";
	DIR *d = opendir(dir);
	const struct dirent *de;

	if (!d)
		return -errno;
	while ((de = readdir(d)))
		if (is_configuration(de->d_name) && (!*first || strcmp(de->d_name, first) < 0))
			snprintf(first, sizeof(first), "%s", de->d_name);
	closedir(d);
	if (!*first)
		return -ENOENT;
	if (!strstr(first, ".conflist")) {
		ex_error("%s/%s comes first and is no list of plugins: nothing can be chained", dir,
			 first);
		return -EINVAL;
	}
	return snprintf(path, PATH_MAX, "%s/%s", dir, first) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int ex_cni_install(const struct ex_cni_install *in)
{
	char path[PATH_MAX];
	int r = install_program(in->bin_dir);

	if (r < 0) {
		ex_error("%s/" PROGRAM ": %s", in->bin_dir, strerror(-r));
		return r;
	}
	r = find_configuration(in->conf_dir, path);
	return r < 0 ? r : ex_cni_chain_file(path, in->plugin);
}

static bool agent_answers(const char *socket)
{
	struct ex_control_error err;

	return ex_control_call(socket, EX_SPAN("{\"op\":\"status\"}"), STATUS_MS, NULL, &err) == 0;
}

/* Files that are whole, and such that go. What was heard of before is looked at now. */
static void hear(int fd, const char *conf_dir)
{
	char buf[4096] __attribute__((aligned(8)));

	while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		;
	if (fd >= 0)
		(void)inotify_add_watch(fd, conf_dir,
					IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
}

/* For somebody's change, or for the next time; *last: when there was one. */
static void wait_for_change(int fd, uint64_t *last)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now;

	if (poll(&p, 1, PERIOD_MS) <= 0)
		return;
	now = ex_clock_ms();
	if (now - *last < PAUSE_MS)
		(void)poll(NULL, 0, (int)(PAUSE_MS - (now - *last)));
	*last = ex_clock_ms();
}

static void tell(const struct ex_cni_install *in, int now, bool chained)
{
	if (now == 1 && chained)
		ex_warning(
			"%s was written without exeat-cni, which is in the chain again; pods that "
			"were started meanwhile have no gates: those that `exeat endpoint list` "
			"does not have are to be started anew",
			in->conf_dir);
	else if (now == -ENOENT)
		ex_info("%s: no network configuration yet", in->conf_dir);
	else if (now >= 0 && !chained)
		ex_info("%s: exeat-cni is in the chain", in->conf_dir);
}

void ex_cni_install_watch(const struct ex_cni_install *in)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), last = INT_MAX, now;
	bool chained = false;
	uint64_t changed = 0;

	for (;; wait_for_change(fd, &changed)) {
		hear(fd, in->conf_dir);
		if (!chained && !agent_answers(in->socket))
			continue;
		now = ex_cni_install(in);
		if (now != last || now == 1)
			tell(in, now, chained);
		last = now;
		chained |= now >= 0;
		if (agent_answers(in->socket) && ex_cni_adopt(in->socket, in->state_dir) != 0)
			ex_debug("some pods stay closed");
	}
}
