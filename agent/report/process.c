/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reporting process: reads its files, loads its libraries and binds while it still may, becomes
 * nobody (sandbox.h), then serves. Metrics have a thread of their own; alerts are the main one's.
 * It ends with the agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "agent/ca/trust.h"
#include "agent/core/json_read.h"
#include "agent/core/log.h"
#include "agent/core/state_file.h"
#include "agent/report/listen.h"
#include "agent/report/report.h"
#include "agent/report/sandbox.h"
#include "agent/report/serve.h"
#include "agent/report/webhook.h"

#define FILE_MAX  (1u << 20)
#define TOKEN_MAX 4096

struct process {
	struct ex_jv *config;
	char *ca, *token, *secret;
	struct ex_span roots; /* of ca */
	struct ex_webhook *webhook;
	struct ex_serve_http *http;
	struct ex_report_stats told;
};

static char message[EX_REPORT_MESSAGE_MAX + 1];

/* ---- what only root may ---- */

/* The file's text without the line break at its end; NULL when none is named. */
static int read_file(const char *path, char **ret, size_t *ret_len)
{
	EX_AUTO_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
	size_t n;
	int r;

	if (!path)
		return 0;
	r = fd < 0 ? -errno : ex_file_read(fd, FILE_MAX, ret, &n);
	if (r < 0)
		return r;
	while (n > 0 && ((*ret)[n - 1] == '\n' || (*ret)[n - 1] == '\r'))
		(*ret)[--n] = '\0';
	*ret_len = n;
	return 0;
}

/* What would be sent is not what is in the file; NULL = it is. */
static const char *text_trouble(const char *text, size_t len, bool token)
{
	if (len == 0)
		return "it is empty";
	if (strlen(text) != len)
		return "it has a zero byte";
	if (token && len > TOKEN_MAX)
		return "it is too long for a token (4096 bytes)";
	for (const char *p = text; token && *p; p++)
		if (*p <= ' ' || *p > '~')
			return "it has a blank, a line break or another byte no token has";
	return NULL;
}

/* ---- start ---- */

static void say(char type, const void *bytes, size_t len)
{
	char out[512];

	if (len > sizeof(out) - 1)
		len = sizeof(out) - 1;
	out[0] = type;
	memcpy(out + 1, bytes, len);
	(void)!send(EX_REPORT_FD_ALERTS, out, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int fail_for(const char *what, const char *value, const char *why, int r)
{
	char text[400];
	int n = snprintf(text, sizeof(text), "%s%s%s: %s", what, value ? " " : "",
			 value ? value : "", why);

	say(EX_REPORT_FAILED, text, n < 0 ? 0 : (size_t)n);
	return r;
}

static int fail(const char *what, const char *value, int r)
{
	return fail_for(what, value, strerror(-r), r);
}

static int read_config(struct process *p)
{
	char err[EX_JV_ERROR_MAX];
	ssize_t n = recv(EX_REPORT_FD_ALERTS, message, sizeof(message) - 1, 0);

	if (n < 1 || message[0] != EX_REPORT_CONFIG)
		return -EPROTO;
	return ex_jv_read((struct ex_span){ message + 1, (size_t)n - 1 }, &p->config, err);
}

static int read_files(struct process *p)
{
	static const char *const keys[] = { "webhook_ca", "webhook_token", "webhook_secret" };
	char **texts[] = { &p->ca, &p->token, &p->secret };

	for (size_t i = 0; i < EX_ARRAY_SIZE(keys); i++) {
		const char *path = ex_jv_string(p->config, keys[i]), *why;
		size_t len = 0;
		int r = read_file(path, texts[i], &len);

		if (r < 0)
			return fail("cannot read", path, r);
		why = path ? text_trouble(*texts[i], len, texts[i] == &p->token) : NULL;
		if (why)
			return fail_for("cannot use", path, why, -EINVAL);
	}
	return 0;
}

/* Certificates cannot be looked for later. */
static int find_roots(struct process *p, const char *url)
{
	size_t len;
	int r;

	if (p->ca || strncasecmp(url, "https:", 6) != 0) {
		p->roots = ex_span_str(p->ca);
		return 0;
	}
	r = ex_trust_roots(NULL, &p->ca, &len);
	if (r < 0)
		return fail("no certificates to trust", NULL, r);
	p->roots = (struct ex_span){ p->ca, len };
	return 0;
}

static int start_webhook(struct process *p)
{
	struct ex_webhook_config cfg = { .url = ex_jv_string(p->config, "webhook"),
					 .node = ex_jv_string(p->config, "node"),
					 .token = ex_span_str(p->token),
					 .secret = ex_span_str(p->secret) };
	int64_t interval = 1000;
	int r;

	if (!cfg.url)
		return 0;
	(void)ex_jv_integer(p->config, "interval_ms", 1, 3600000, &interval);
	cfg.interval_ms = (unsigned)interval;
	r = find_roots(p, cfg.url);
	if (r < 0)
		return r;
	cfg.ca = p->roots;
	r = ex_webhook_new(&cfg, &p->webhook);
	return r < 0 ? fail("not a URL of a webhook", NULL, r) : 0;
}

static int start_http(struct process *p, const char *where, int listener)
{
	int r = where ? ex_serve_start(listener, EX_REPORT_FD_QUESTIONS, &p->http) : 0;

	return r < 0 ? fail("cannot serve at", where, r) : 0;
}

static int open_all(struct process *p, const char *where, int *ret_listener)
{
	int r = read_files(p);

	if (r == 0 && where) {
		r = *ret_listener = ex_listen_open(where);
		if (r >= 0)
			r = ex_serve_load();
		if (r < 0)
			return fail("cannot listen at", where, r);
	}
	return r < 0 ? r : start_webhook(p);
}

static int start(struct process *p)
{
	const char *where;
	int64_t uid = 0;
	int listener = -1, r = read_config(p);

	if (r < 0)
		return fail("no configuration", NULL, r);
	where = ex_jv_string(p->config, "listen");
	(void)ex_jv_integer(p->config, "uid", 0, UINT32_MAX - 1, &uid);
	r = open_all(p, where, &listener);
	if (r < 0)
		return r;
	r = ex_report_become((uid_t)uid);
	if (r < 0)
		return fail("cannot give up privileges", NULL, r);
	r = start_http(p, where, listener);
	if (r < 0)
		return r;
	r = ex_report_filter();
	return r < 0 ? fail("cannot load the system call filter", NULL, r) : 0;
}

/* ---- alerts ---- */

static void tell_stats(struct process *p)
{
	const struct ex_report_stats *now = ex_webhook_stats(p->webhook);

	if (memcmp(now, &p->told, sizeof(*now)) == 0)
		return;
	p->told = *now;
	say(EX_REPORT_STATS, now, sizeof(*now));
}

/* False when the agent is gone. */
static bool take_alerts(struct process *p)
{
	for (;;) {
		ssize_t n = recv(EX_REPORT_FD_ALERTS, message, sizeof(message) - 1, MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		if (message[0] == EX_REPORT_ALERT && p->webhook)
			ex_webhook_add(p->webhook, (struct ex_span){ message + 1, (size_t)n - 1 });
	}
}

static void serve(struct process *p)
{
	char byte;

	if (!p->webhook) { /* metrics only: their thread does it */
		while (recv(EX_REPORT_FD_ALERTS, &byte, 1, 0) > 0)
			;
		return;
	}
	do {
		ex_webhook_wait(p->webhook, EX_REPORT_FD_ALERTS);
		tell_stats(p);
	} while (take_alerts(p) && !ex_webhook_is_stale(p->webhook));
}

static void process_done(struct process *p)
{
	ex_serve_stop(p->http);
	ex_webhook_free(p->webhook);
	free(p->ca);
	free(p->token);
	free(p->secret);
	ex_jv_free(p->config);
}

int ex_cmd_report(int argc, char **argv)
{
	struct process p = { 0 };
	int type = 0, r;
	socklen_t len = sizeof(type);

	(void)argc;
	(void)argv;
	if (getsockopt(EX_REPORT_FD_ALERTS, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		ex_error("only the agent starts this");
		return 125;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	r = start(&p);
	if (r == 0) {
		say(EX_REPORT_READY, "", 0);
		serve(&p);
	}
	process_done(&p);
	return r < 0 ? 1 : 0;
}
