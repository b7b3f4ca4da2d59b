/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/core/log.h"
#include "agent/run/mounts.h"

/* Where the distributions keep the bundle of roots (those that do not exist are skipped). */
static const char *const bundle_paths[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/ssl/cert.pem",
	"/usr/local/etc/ssl/cert.pem",
	"/var/lib/ca-certificates/ca-bundle.pem",
};

/* Parts of /run that hold programs or data, not services, and have to stay. */
static const char *const run_keeps[] = {
	"/run/current-system",
	"/run/booted-system",
	"/run/wrappers",
	"/run/opengl-driver",
};

#define SOCKET_NAME_MAX 108 /* UNIX_PATH_MAX */

static const char *const read_only[] = { "/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs",
					 "/sys" };

static int failed(const char *what, const char *path)
{
	int r = -errno;

	ex_error("cannot %s %s: %s", what, path, strerror(-r));
	return r;
}

/* ---- /run: a fresh one, so that no socket of a service is in it ---- */

static int keep_tree(const char *path)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path,
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	return fd < 0 ? -errno : fd;
}

static int put_back(int tree, const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return failed("make", path);
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return failed("mount", path);
	return 0;
}

static int mount_run(void)
{
	int kept[EX_ARRAY_SIZE(run_keeps)], r = 0;

	for (size_t i = 0; i < EX_ARRAY_SIZE(run_keeps); i++)
		kept[i] = keep_tree(run_keeps[i]);
	if (mount("exeat", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m") < 0)
		r = failed("mount", "/run");
	for (size_t i = 0; i < EX_ARRAY_SIZE(run_keeps); i++) {
		if (kept[i] < 0)
			continue;
		if (r == 0)
			r = put_back(kept[i], run_keeps[i]);
		close(kept[i]);
	}
	return r;
}

static int write_file(const char *path, struct ex_span text)
{
	EX_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	if (fd < 0 || ex_write_full(fd, text) < 0)
		return failed("write", path);
	return fchmod(fd, 0444) < 0 ? failed("chmod", path) : 0;
}

static int make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 || chmod(path, mode) < 0)
		return failed("make", path);
	return 0;
}

static int fill_run(const struct ex_mounts *m)
{
	char user[64];
	int r;

	r = make_dir(EX_RUN_DIR, 0755);
	if (r == 0)
		r = write_file(EX_CA_PATH, m->ca);
	if (r == 0)
		r = write_file(EX_BUNDLE_PATH, m->bundle);
	if (r == 0)
		r = write_file(EX_RESOLV_PATH, m->resolv);
	if (r == 0)
		r = make_dir("/run/lock", 01777);
	if (r == 0)
		r = make_dir("/run/user", 0755);
	snprintf(user, sizeof(user), "/run/user/%u", (unsigned)m->uid);
	if (r == 0)
		r = make_dir(user, 0700);
	if (r == 0 && chown(user, m->uid, m->gid) < 0)
		r = failed("chown", user);
	return r;
}

/* ---- bind mounts ---- */

static int set_read_only(const char *path)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return failed("make read-only", path);
	return 0;
}

static int bind_read_only(const char *from, const char *to)
{
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
		return failed("mount over", to);
	return set_read_only(to);
}

static int bind_bundles(void)
{
	char seen[EX_ARRAY_SIZE(bundle_paths)][PATH_MAX];
	size_t n_seen = 0;
	int r = 0;

	/* Several of the paths may be links to one file: one mount is enough. */
	for (size_t i = 0; i < EX_ARRAY_SIZE(bundle_paths) && r == 0; i++) {
		bool again = false;

		if (!realpath(bundle_paths[i], seen[n_seen]))
			continue;
		for (size_t j = 0; j < n_seen; j++)
			again |= strcmp(seen[j], seen[n_seen]) == 0;
		if (!again)
			r = bind_read_only(EX_BUNDLE_PATH, seen[n_seen++]);
	}
	return r;
}

/* mkdir -p of the directories above path, which is below /run and so in our own tmpfs. */
static int make_parents(const char *path)
{
	char dir[PATH_MAX];

	for (const char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(s - path), path);
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return failed("make", dir);
	}
	return 0;
}

/*
 * A resolv.conf that is a link into /run (systemd-resolved, NetworkManager) dangles now that /run
 * is ours. Such links are written "/run/X" or "../run/X".
 */
static int mend_resolv_link(const struct ex_mounts *m)
{
	char link[PATH_MAX], path[PATH_MAX + 8];
	ssize_t n = readlink("/etc/resolv.conf", link, sizeof(link) - 1);
	const char *run;
	int r;

	if (n < 0 || access("/etc/resolv.conf", F_OK) == 0)
		return 0; /* a plain file, a link that holds, or none at all */
	link[n] = '\0';
	run = strstr(link, "run/");
	if (!run || strstr(run, ".."))
		return 0;
	snprintf(path, sizeof(path), "/%s", run);
	r = make_parents(path);
	return r < 0 ? r : write_file(path, m->resolv);
}

static int bind_resolv(const struct ex_mounts *m)
{
	int r = mend_resolv_link(m);

	if (r < 0)
		return r;
	if (access("/etc/resolv.conf", F_OK) < 0) {
		ex_warning("there is no /etc/resolv.conf to replace: names will not resolve; an "
			   "empty one will do");
		return 0;
	}
	return bind_read_only(EX_RESOLV_PATH, "/etc/resolv.conf");
}

/* ---- unix sockets elsewhere ---- */

/* The kernel writes line feeds in a name as they are: each on the way may be its end. */
static void put_names(const char *path, FILE *out)
{
	size_t n = 0;

	for (;;) {
		n += strcspn(path + n, "\n");
		if (n > SOCKET_NAME_MAX)
			return;
		fwrite(path, 1, n, out);
		fputc('\0', out);
		if (!path[n])
			return;
		n++;
	}
}

/* Flags has __SO_ACCEPTCON when it listens; datagram sockets (type 2) always receive. */
static void put_socket(const char *line, FILE *out)
{
	size_t len = strcspn(line, "\n");
	const char *path = memchr(line, '/', len);

	if (path && (memmem(line, len, " 00010000 ", 10) || memmem(line, len, " 0002 ", 6)))
		put_names(path, out);
}

/* -ENOENT: the process may have ended. */
static int list_sockets(const char *table, FILE *out)
{
	EX_AUTO_FREE char *text = NULL;
	FILE *f = fopen(table, "re");
	size_t cap = 0;
	int r;

	if (!f) /* what we lack ourselves is another matter */
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ENOENT;
	r = getdelim(&text, &cap, '\0', f) < 0 || !feof(f) ? -EIO : 0;
	fclose(f);
	for (const char *line = r < 0 ? NULL : text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		put_socket(line, out);
	}
	return r;
}

/* The network namespace of a process, as a number; 0 = not to be had. */
static ino_t netns_of(const char *pid)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static bool is_among(const ino_t *v, size_t n, ino_t ino)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == ino)
			return true;
	return false;
}

/* A table shows one network namespace only, and containers share volumes: look at every one. */
static int list_all_sockets(DIR *proc, FILE *out)
{
	ino_t seen[256];
	size_t n_seen = 0;
	struct dirent *d;
	char table[300];
	int r = 0;

	while (r == 0 && (d = readdir(proc))) {
		ino_t ino;

		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		ino = netns_of(d->d_name);
		if (ino == 0 || is_among(seen, n_seen, ino))
			continue;
		snprintf(table, sizeof(table), "/proc/%s/net/unix", d->d_name);
		r = list_sockets(table, out);
		if (r == 0 && n_seen < EX_ARRAY_SIZE(seen))
			seen[n_seen++] = ino;
		if (r == -ENOENT) /* others in its namespace may not have */
			r = 0;
	}
	return r;
}

int ex_mounts_find_sockets(char **ret)
{
	DIR *proc = opendir("/proc");
	char *list = NULL;
	size_t len = 0;
	FILE *out = proc ? open_memstream(&list, &len) : NULL;
	int r = out ? 0 : -errno;

	if (out) {
		r = list_all_sockets(proc, out);
		fputc('\0', out);
		if (fclose(out) != 0)
			r = -ENOMEM;
	}
	if (proc)
		closedir(proc);
	*ret = list;
	return r;
}

static bool is_mount(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, 0, 0, &st) == 0 && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/*
 * What covers a socket moves along with its folder, but not into the next run. So folders on the
 * way that others than root may move are mounts of themselves: those stay where they are.
 */
static int pin_folders(const char *socket)
{
	EX_AUTO_FREE char *copy = strdup(socket);
	EX_AUTO_FREE char *dir = copy ? realpath(dirname(copy), NULL) : NULL;
	bool movable = false;
	struct stat st;

	if (!dir)
		return -errno;
	for (char *at = dir, *next; at; at = next) {
		next = strchr(at + 1, '/');
		if (next)
			*next = '\0';
		if (lstat(dir, &st) < 0 || (movable && !is_mount(dir) &&
					    mount(dir, dir, NULL, MS_BIND | MS_REC, NULL) < 0))
			return -errno;
		movable = st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH));
		if (next)
			*next = '/';
	}
	return 0;
}

/* A connect to a bind-mounted /dev/null is refused: it is no socket. */
static int cover(const char *path)
{
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return -errno; /* EACCES: a user's file system, not for root to see */
	if (!S_ISSOCK(st.st_mode))
		return 0;
	r = pin_folders(path);
	if (r < 0)
		return r;
	return mount("/dev/null", path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/* Was in /run, or is gone, be it while we looked: not reachable any more. */
static bool is_gone(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

static int mask_sockets(const char *sockets)
{
	for (const char *path = sockets; *path; path += strlen(path) + 1) {
		int r = cover(path);

		if (r < 0 && !is_gone(path)) {
			errno = -r;
			return failed("mask", path);
		}
	}
	return 0;
}

/* ---- all of it ---- */

static int hide_one(const char *path)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0) /* what is not there, or was in /run, needs no hiding */
		return errno == ENOENT || errno == ENOTDIR ? 0 : failed("hide", path);
	if (S_ISDIR(st.st_mode))
		r = mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  "mode=000,size=4k");
	else
		r = mount("/dev/null", path, NULL, MS_BIND, NULL);
	return r < 0 ? failed("hide", path) : 0;
}

/* Secrets of ours: a command that runs as root could read their files. */
static int hide(const char *const *hidden)
{
	int r = 0;

	while (r == 0 && *hidden)
		r = hide_one(*hidden++);
	return r;
}

static int mount_proc(void)
{
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return failed("mount", "/proc");
	if (mount("/dev/null", "/proc/sysrq-trigger", NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
		return failed("mask", "/proc/sysrq-trigger");
	return 0;
}

static int lock_kernel_knobs(void)
{
	for (size_t i = 0; i < EX_ARRAY_SIZE(read_only); i++) {
		int r;

		if (access(read_only[i], F_OK) < 0)
			continue;
		r = bind_read_only(read_only[i], read_only[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A directory entered before the mounts is still the one beneath them: enter it again by name. */
static int reenter(const char *cwd)
{
	if (cwd && chdir(cwd) == 0)
		return 0;
	ex_warning("the working directory is not in the command's file system: it starts in /");
	return chdir("/") < 0 ? failed("enter", "/") : 0;
}

int ex_mounts_apply(const struct ex_mounts *m, const char *sockets, const char *const *hidden)
{
	EX_AUTO_FREE char *cwd = getcwd(NULL, 0);
	int r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return failed("detach the mounts of", "/");
	r = mount_proc();
	if (r == 0)
		r = mount_run();
	if (r == 0)
		r = fill_run(m);
	if (r == 0)
		r = bind_read_only(EX_RUN_DIR, EX_RUN_DIR);
	if (r == 0)
		r = bind_resolv(m);
	if (r == 0)
		r = bind_bundles();
	if (r == 0)
		r = mask_sockets(sockets);
	if (r == 0)
		r = hide(hidden);
	if (r == 0)
		r = lock_kernel_knobs();
	return r < 0 ? r : reenter(cwd);
}
