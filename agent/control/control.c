/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening side: who may ask. A socket of the accepted connection belongs to the network
 * namespace of the one who connected (unix_stream_connect() makes it from the client's), so its
 * cookie says, without a race, whether a workload found a way to our path: all workloads live in
 * namespaces of their own.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "agent/control/control_priv.h"
#include "agent/core/log.h"
#include "agent/core/sockaddr.h"

#define CLIENTS_DEFAULT 64
#define ACCEPT_BATCH    16
#define PAUSE_MS        1000
#define GROUPS_MAX      1024

/* ---- the socket ---- */

/* A file nobody answers at is what a killed agent left. */
static int stale_remove(const struct sockaddr_un *sa, socklen_t len)
{
	EX_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (connect(fd, (const struct sockaddr *)sa, len) == 0 || errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(sa->sun_path) < 0 ? -errno : 0;
}

static int socket_bind(struct ex_control *c, const char *path)
{
	struct sockaddr_un sa;
	socklen_t len = ex_sockaddr_unix(path, &sa);
	mode_t mask;
	int r = len ? 0 : -ENAMETOOLONG;

	if (r == 0 && path[0] != '@')
		r = stale_remove(&sa, len);
	if (r < 0)
		return r;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	mask = umask(0117);
	r = bind(c->fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	snprintf(c->path, sizeof(c->path), "%s", path);
	return listen(c->fd, 64) < 0 ? -errno : 0;
}

/* A name that somebody took away leads nobody to who listens by it. */
static bool is_to_be_found(const char *path)
{
	struct stat st;

	return path[0] == '@' || (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode));
}

/* One that is listened at already; where another one is wanted, it goes. */
static void socket_take(struct ex_control *c, int fd, const char *path)
{
	struct sockaddr_un sa = { 0 }, wanted;
	socklen_t len = sizeof(sa) - 1, wanted_len = ex_sockaddr_unix(path, &wanted);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && len == wanted_len &&
	    memcmp(&sa, &wanted, len) == 0 && is_to_be_found(path)) {
		c->fd = fd;
		snprintf(c->path, sizeof(c->path), "%s", path);
		return;
	}
	if (sa.sun_path[0] == '/')
		(void)unlink(sa.sun_path);
	close(fd);
}

static int netns_of(int fd, uint64_t *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret, &len) < 0 ? -errno : 0;
}

/* ---- who may ask ---- */

static bool is_member(int fd, const struct ucred *peer, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (!group)
		return false;
	if (peer->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool is_allowed(const struct ex_control *c, int fd, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);
	uint64_t netns = 0;

	if (netns_of(fd, &netns) < 0 || netns != c->netns)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0)
		return false;
	return ret->uid == 0 || is_member(fd, ret, c->group);
}

size_t ex_control_error_line(char *out, size_t cap, const char *code, const char *message)
{
	struct ex_json j;
	ssize_t n;

	ex_json_init(&j, out, cap - 1);
	ex_json_open(&j, NULL, '{');
	ex_json_bool(&j, "ok", false);
	ex_json_open(&j, "error", '{');
	ex_json_text(&j, "code", code);
	ex_json_text(&j, "message", message);
	ex_json_close(&j, '}');
	ex_json_close(&j, '}');
	n = ex_json_line(&j);
	return n < 0 ? 0 : (size_t)n;
}

static void refuse(int fd, const char *code, const char *message)
{
	char line[256];
	size_t n = ex_control_error_line(line, sizeof(line), code, message);

	/* Fits an empty socket buffer, or nobody is told: both end here. */
	(void)!send(fd, line, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void take_client(struct ex_control *c, int fd)
{
	struct ucred peer = { 0 };
	int r;

	if (!is_allowed(c, fd, &peer)) {
		refuse(fd, "forbidden", "only root and the group of the socket may ask");
		return;
	}
	if (c->n_conns >= c->max_conns) {
		refuse(fd, "busy", "too many clients");
		return;
	}
	r = ex_control_conn_new(c, fd, &peer);
	if (r < 0)
		ex_warning("control: cannot serve a client: %s", strerror(-r));
}

static void on_connect(struct ex_watch *w, uint32_t events)
{
	struct ex_control *c = ex_container_of(w, struct ex_control, listener);

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			take_client(c, fd);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED &&
		    ex_timer_start(c->loop, &c->pause, PAUSE_MS) == 0)
			ex_watch_set(c->loop, &c->listener, 0); /* no descriptor: not in a spin */
		return;
	}
}

static void on_pause_over(struct ex_timer *t)
{
	struct ex_control *c = ex_container_of(t, struct ex_control, pause);

	ex_watch_set(c->loop, &c->listener, EPOLLIN);
}

/* ---- life ---- */

static int start(struct ex_control *c, const struct ex_control_config *config)
{
	int r = 0;

	if (config->inherited)
		socket_take(c, config->inherited, config->path);
	if (c->fd < 0)
		r = socket_bind(c, config->path);
	if (r == 0 && c->path[0] != '@' && c->group && chown(c->path, (uid_t)-1, c->group) < 0)
		r = -errno;
	if (r == 0)
		r = netns_of(c->fd, &c->netns);
	if (r == 0)
		r = ex_watch_start(c->loop, &c->listener, c->fd, EPOLLIN);
	return r;
}

int ex_control_new(struct ex_loop *loop, const struct ex_control_config *config,
		   struct ex_control **ret)
{
	struct ex_control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->fd = -1;
	c->group = config->group;
	c->max_conns = config->clients ? config->clients : CLIENTS_DEFAULT;
	c->listener.fn = on_connect;
	c->pause.fn = on_pause_over;
	r = start(c, config);
	if (r < 0) {
		ex_control_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void ex_control_free(struct ex_control *c)
{
	if (!c)
		return;
	while (c->conns)
		ex_control_conn_free(c->conns);
	ex_timer_stop(c->loop, &c->pause);
	ex_watch_stop(c->loop, &c->listener);
	if (c->fd >= 0)
		close(c->fd);
	if (c->path[0] == '/')
		unlink(c->path);
	free(c);
}

int ex_control_fd(const struct ex_control *c)
{
	return c->fd;
}

int ex_control_add(struct ex_control *c, const char *op, ex_control_fn fn, void *arg)
{
	if (c->n_ops == EX_CONTROL_OPS_MAX)
		return -ENOSPC;
	c->ops[c->n_ops++] = (struct ex_control_op){ .name = op, .fn = fn, .arg = arg };
	return 0;
}
