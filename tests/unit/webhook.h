/* SPDX-License-Identifier: Apache-2.0 */
/* A webhook server of its own process, that is up, slow, or answers with errors. */
#ifndef EXEAT_TESTS_WEBHOOK_H
#define EXEAT_TESTS_WEBHOOK_H

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/core/json_read.h"

#define SLOW_S 60

enum mode { MODE_OK, MODE_500_TWICE, MODE_400, MODE_SLOW };

struct hook {
	uint16_t port;
	pid_t pid;
	int bodies; /* of accepted posts: each with a length in front */
};

static bool read_request(int fd, char *out, size_t cap, size_t *ret_body)
{
	size_t len = 0, want = SIZE_MAX;
	char *end;

	while (len < cap - 1 && len < want) {
		ssize_t n = read(fd, out + len, cap - 1 - len);

		if (n <= 0)
			return false;
		len += (size_t)n;
		out[len] = '\0';
		end = strstr(out, "\r\n\r\n");
		if (end && want == SIZE_MAX) {
			const char *length = strcasestr(out, "content-length:");

			*ret_body = (size_t)(end + 4 - out);
			want = *ret_body + (length ? strtoul(length + 15, NULL, 10) : 0);
		}
	}
	return true;
}

static void serve_hook(int listener, enum mode mode, int bodies)
{
	static char request[1 << 20];
	int n = 0;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		const char *status = "200 OK";
		size_t body = 0;
		char answer[128];

		if (!read_request(fd, request, sizeof(request), &body)) {
			close(fd);
			continue;
		}
		n++;
		if (mode == MODE_500_TWICE && n <= 2)
			status = "500 Oops";
		if (mode == MODE_400 && n == 1)
			status = "400 No";
		if (mode == MODE_SLOW && n == 1) {
			sleep(SLOW_S);
			continue;
		}
		if (status[0] == '2')
			dprintf(bodies, "%s\n", request + body);
		else
			dprintf(bodies, "%s\n", status);
		if (n == 1 && strstr(request, "X-Exeat-Signature: sha256=") &&
		    strstr(request, "Authorization: Bearer t0ken\r\n"))
			dprintf(bodies, "signed\n");
		snprintf(answer, sizeof(answer),
			 "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
		assert_true(write(fd, answer, strlen(answer)) > 0);
		close(fd);
	}
}

static int bind_any(uint16_t *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(*port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static void hook_start(struct hook *h, enum mode mode)
{
	int pipes[2], listener = bind_any(&h->port);

	assert_int_equal(pipe(pipes), 0);
	h->pid = fork();
	if (h->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve_hook(listener, mode, pipes[1]);
	}
	close(listener);
	close(pipes[1]);
	h->bodies = pipes[0];
}

static void hook_stop(struct hook *h)
{
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	close(h->bodies);
}

/* ---- what it took ---- */

/* A line of it. */
static bool hook_line(struct hook *h, int timeout_ms, char *out, size_t cap)
{
	struct pollfd p = { .fd = h->bodies, .events = POLLIN };
	size_t len = 0;

	while (len < cap - 1 && poll(&p, 1, timeout_ms) == 1 &&
	       read(h->bodies, out + len, 1) == 1 && out[len] != '\n')
		len++;
	out[len] = '\0';
	return len > 0;
}

static char line[1 << 20];

struct taken {
	int64_t alerts, lost, posts;
	int64_t last; /* number of the last alert */
};

/* Reads bodies until that many alerts came, or none comes any more; they must be in order. */
static void take_alerts(struct hook *h, int64_t want, int timeout_ms, struct taken *t)
{
	char err[EX_JV_ERROR_MAX];
	struct ex_jv *v;

	while (t->alerts < want && hook_line(h, timeout_ms, line, sizeof(line))) {
		int64_t n, lost = -1;

		if (line[0] != '{')
			continue;
		assert_int_equal(ex_jv_read(ex_span_str(line), &v, err), 0);
		assert_true(ex_jv_integer(v, "lost", 0, 1 << 30, &lost));
		t->lost += lost;
		t->posts++;
		for (size_t i = 0; i < ex_jv_count(ex_jv_get(v, "alerts")); i++) {
			assert_true(ex_jv_integer(ex_jv_at(ex_jv_get(v, "alerts"), i), "n",
						  t->last + 1, 1 << 30, &n));
			t->last = n;
			t->alerts++;
		}
		ex_jv_free(v);
	}
}

#endif
