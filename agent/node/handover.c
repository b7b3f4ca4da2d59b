/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

#include "agent/core/log.h"
#include "agent/node/events.h"
#include "agent/node/gates.h"
#include "agent/node/handover.h"
#include "agent/node/notify.h"
#include "agent/node/report.h"
#include "agent/node/round.h"
#include "agent/proxy/messages.h"

#define MAGIC    0x50485848u /* another with every change of the form */
#define VARIABLE "EXEAT_HANDOVER"
#define AGAIN_MS 50
#define TRIES    100

struct handed { /* what one endpoint's gates had */
	uint32_t endpoint;
	struct ex_span state;
	bool taken;
};

struct ex_handover {
	char *bytes;
	size_t len;
	int control;
	struct handed *v;
	size_t n;
};

/* ---- in the program that goes ---- */

/* Both programs must mean the same by it. */
static void pack_head(struct ex_pack *p)
{
	ex_pack_u32(p, MAGIC);
	ex_pack_str(p, EX_VERSION);
	ex_pack_u32(p, EX_ABI_VERSION);
	ex_pack_u32(p, sizeof(union ex_ipc_message));
}

static int pack_all(struct ex_node *node)
{
	struct ex_pack p = { 0 };
	int control = ex_control_fd(node->control);

	pack_head(&p);
	if (fcntl(control, F_SETFD, 0) < 0)
		p.err = -errno;
	ex_pack_u32(&p, (uint32_t)control);
	ex_pack_u32(&p, (uint32_t)node->registry.n);
	for (struct ex_node_endpoint *e = node->registry.first; e; e = e->next) {
		struct ex_pack own = { 0 };

		ex_gates_hand_over(e, &own);
		ex_pack_u32(&p, e->id);
		ex_pack_span(&p, (struct ex_span){ ex_buf_ptr(&own.buf), ex_buf_len(&own.buf) });
		p.err = p.err ? p.err : own.err;
		ex_pack_done(&own);
	}
	return ex_pack_seal(&p, "exeat-agent");
}

/* The program's file as it is now, not the one that this process was made of. */
static int find_program(char path[static PATH_MAX])
{
	static const char gone[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n < 0)
		return -errno;
	path[n] = '\0';
	if ((size_t)n > sizeof(gone) && strcmp(path + n - (sizeof(gone) - 1), gone) == 0)
		path[(size_t)n - (sizeof(gone) - 1)] = '\0';
	return access(path, X_OK) < 0 ? -errno : 0;
}

/* Does it run at all? Once it is in our place it is too late to find out. */
static int try_program(const char *path)
{
	int status = -1;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
			(void)dup2(null, fd);
		execl(path, "exeat", "version", NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -ENOEXEC;
}

/* Returns only when it failed. */
static int start_anew(struct ex_node *node)
{
	char path[PATH_MAX], number[16];
	int state, r = find_program(path);

	if (r == 0)
		r = try_program(path);
	if (r == 0)
		r = ex_registry_save_rest(&node->registry); /* what it reads is what is so */
	if (r < 0)
		return r;
	ex_events_drain(node); /* while their rules are known */
	state = pack_all(node);
	if (state < 0)
		return state;
	snprintf(number, sizeof(number), "%d", state);
	if (fcntl(state, F_SETFD, 0) < 0 || setenv(VARIABLE, number, 1) < 0) {
		r = -errno;
		close(state);
		return r;
	}
	ex_notify("RELOADING=1");
	ex_node_report_end(node);
	if (node->audit)
		ex_audit_file_sync(node->audit);
	node->argv[0] = (char[]){ "agent" }; /* main() has made "exeat agent" of it */
	execv(path, node->argv - 1);
	r = -errno;
	unsetenv(VARIABLE);
	close(state);
	if (ex_node_report_begin(node) < 0)
		ex_error("the reporting process does not begin again");
	ex_notify("READY=1");
	return r;
}

static void on_timer(struct ex_timer *t)
{
	struct ex_node *node = ex_container_of(t, struct ex_node, anew);
	int r;

	if (!ex_round_is_over(node) && ++node->anew_tries < TRIES) {
		if (ex_timer_start(node->loop, t, AGAIN_MS) < 0)
			ex_error("no memory to start anew");
		return;
	}
	r = start_anew(node);
	ex_error("cannot start anew, the program that runs goes on: %s", strerror(-r));
}

void ex_handover_want(struct ex_node *node)
{
	node->anew_tries = 0;
	if (ex_timer_start(node->loop, &node->anew, AGAIN_MS) < 0)
		ex_error("no memory to start anew");
}

void ex_handover_init(struct ex_node *node)
{
	node->anew.fn = on_timer;
}

/* ---- in the program that comes ---- */

static bool same_head(struct ex_unpack *u)
{
	return ex_unpack_u32(u) == MAGIC && strcmp(ex_unpack_str(u), EX_VERSION) == 0 &&
	       ex_unpack_u32(u) == EX_ABI_VERSION &&
	       ex_unpack_u32(u) == sizeof(union ex_ipc_message) && !u->bad;
}

static int unpack_all(struct ex_handover *h, struct ex_unpack *u)
{
	if (!same_head(u))
		return -EPROTO;
	h->control = (int)ex_unpack_u32(u);
	h->n = ex_unpack_count(u, 2 * sizeof(uint32_t));
	h->v = calloc(h->n + 1, sizeof(*h->v));
	for (size_t i = 0; h->v && i < h->n; i++) {
		h->v[i].endpoint = ex_unpack_u32(u);
		h->v[i].state = ex_unpack_span(u);
	}
	return h->v ? ex_unpack_done(u) : -ENOMEM;
}

static void handover_free(struct ex_handover *h)
{
	if (!h)
		return;
	free(h->v);
	ex_pack_free(h->bytes, h->len);
	free(h);
}

static int read_state(int fd, struct ex_handover **ret)
{
	struct ex_handover *h = calloc(1, sizeof(*h));
	struct ex_unpack u = { 0 };
	int r = h ? ex_pack_read(fd, &h->bytes, &h->len) : -ENOMEM;

	if (r == 0) {
		u = (struct ex_unpack){ .at = h->bytes, .end = h->bytes + h->len };
		r = unpack_all(h, &u);
	}
	if (r < 0) {
		handover_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

/*
 * What came over the exec and nobody has taken has no close-on-exec flag: proxies that lose the
 * other end of their sockets end by themselves.
 */
static void close_untaken(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *de;

	while (d && (de = readdir(d))) {
		int fd = (int)strtol(de->d_name, NULL, 10);

		if (fd > STDERR_FILENO && fd != dirfd(d) && fcntl(fd, F_GETFD) == 0)
			close(fd);
	}
	if (d)
		closedir(d);
}

void ex_handover_open(struct ex_node *node)
{
	const char *text = getenv(VARIABLE);
	int fd = text ? (int)strtol(text, NULL, 10) : -1, r;

	unsetenv(VARIABLE);
	if (fd <= STDERR_FILENO)
		return;
	r = read_state(fd, &node->handover);
	close(fd);
	if (r < 0) {
		ex_warning("another version than the one before: proxies are started anew");
		close_untaken();
	}
}

int ex_handover_control(struct ex_node *node)
{
	return node->handover && fcntl(node->handover->control, F_SETFD, FD_CLOEXEC) == 0
		       ? node->handover->control
		       : 0;
}

bool ex_handover_take(struct ex_node *node, uint32_t endpoint, struct ex_unpack *ret)
{
	struct ex_handover *h = node->handover;

	for (size_t i = 0; h && i < h->n; i++) {
		struct handed *one = &h->v[i];

		if (one->endpoint != endpoint || one->taken || !one->state.len)
			continue;
		one->taken = true;
		*ret = (struct ex_unpack){ .at = one->state.ptr,
					   .end = one->state.ptr + one->state.len };
		return true;
	}
	return false;
}

void ex_handover_done(struct ex_node *node)
{
	struct ex_handover *h = node->handover;
	struct ex_unpack u;

	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		if (ex_handover_take(node, h->v[i].endpoint, &u))
			ex_gates_abandon(&u);
	close_untaken();
	handover_free(EX_TAKE_PTR(node->handover));
}
