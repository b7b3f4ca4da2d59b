/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/core/bucket.h"
#include "agent/core/ipc.h"
#include "agent/core/json.h"
#include "agent/core/log.h"
#include "agent/core/pack.h"
#include "agent/metrics/expo.h"
#include "agent/report/report.h"
#include "agent/report/wire.h"

#define RESTART_MS     1000 /* doubled by each failure in a row, up to RESTART_MAX_MS */
#define RESTART_MAX_MS 60000
#define TEXT_AGE_MS    500 /* metrics are not made more often than this */
#define BUFFER         (1024 * 1024)
#define CONFIG_MAX     16384

static const struct ex_rate alert_rate = { .per_second = 100, .burst = 1000 };
static const struct ex_rate message_rate = { .per_second = 500, .burst = 500 };

struct ex_report {
	struct ex_loop *loop;
	const struct ex_report_ops *ops;
	void *arg;
	char config[CONFIG_MAX];
	size_t config_len;
	bool webhook;
	pid_t pid;
	int alerts, questions; /* -1: the process is not there */
	struct ex_watch on_alerts, on_questions;
	struct ex_bucket heard;
	struct ex_timer unheard; /* it has said more than it has our time for */
	struct ex_timer again;
	uint64_t pause;
	int text; /* metrics as they were at text_at; -1 = none */
	size_t text_len;
	uint64_t text_at;
	struct ex_bucket alerted;
	uint64_t dropped;                     /* alerts that did not get to the process */
	struct ex_report_stats stats, before; /* of this process; of those before it */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(EX_TAKE_FD(*fd));
}

/* ---- the process ---- */

static _Noreturn void become_process(int exe, int alerts, int questions)
{
	char *argv[] = { (char[]){ "exeat" }, (char[]){ "report" }, NULL };
	char *envp[] = { NULL };
	int from[] = { alerts, questions, exe }, away[3];
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < EX_ARRAY_SIZE(from); i++)
		away[i] = fcntl(from[i], F_DUPFD_CLOEXEC, EX_REPORT_FD_END);
	sigemptyset(&none);
	if (away[2] >= 0 && dup2(away[0], EX_REPORT_FD_ALERTS) >= 0 &&
	    dup2(away[1], EX_REPORT_FD_QUESTIONS) >= 0 &&
	    syscall(SYS_close_range, EX_REPORT_FD_END, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
	    sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		(void)syscall(SYS_execveat, away[2], "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

static int make_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &(int){ BUFFER },
				 sizeof(int));
	return 0;
}

static int spawn(struct ex_report *r)
{
	EX_AUTO_CLOSE int exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int alerts[2] = { -1, -1 }, questions[2] = { -1, -1 };
	int err = exe < 0 ? -errno : make_pair(alerts);

	if (err == 0)
		err = make_pair(questions);
	if (err == 0) {
		r->pid = fork();
		if (r->pid == 0)
			become_process(exe, alerts[1], questions[1]);
		err = r->pid < 0 ? -errno : 0;
	}
	close_fd(&alerts[1]);
	close_fd(&questions[1]);
	r->alerts = alerts[0];
	r->questions = questions[0];
	if (err == 0 && send(r->alerts, r->config, r->config_len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		err = -errno;
	return err;
}

static void end(struct ex_report *r)
{
	ex_watch_stop(r->loop, &r->on_alerts);
	ex_watch_stop(r->loop, &r->on_questions);
	ex_timer_stop(r->loop, &r->unheard);
	close_fd(&r->alerts);
	close_fd(&r->questions);
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	r->pid = 0;
	r->before.sent += r->stats.sent;
	r->before.posts += r->stats.posts;
	r->before.failed += r->stats.failed;
	r->before.lost += r->stats.lost + r->stats.queued; /* what waited in it is gone */
	r->stats = (struct ex_report_stats){ 0 };
}

static void lose(struct ex_report *r)
{
	ex_warning("the reporting process ended; it is started again in %llu ms",
		   (unsigned long long)r->pause);
	end(r);
	if (ex_timer_start(r->loop, &r->again, r->pause) < 0)
		ex_error("no metrics and no alerts from now on: out of memory");
	r->pause = r->pause * 2 > RESTART_MAX_MS ? RESTART_MAX_MS : r->pause * 2;
}

/* ---- how much it says ---- */

static void listen_to(struct ex_report *r, uint32_t events)
{
	ex_watch_set(r->loop, &r->on_alerts, events);
	ex_watch_set(r->loop, &r->on_questions, events);
}

static void on_unheard(struct ex_timer *t)
{
	listen_to(ex_container_of(t, struct ex_report, unheard), EPOLLIN);
}

/* Anybody may ask it, as often as he likes, and it may be somebody else's by now. */
static void hear(struct ex_report *r)
{
	uint64_t ms = ex_bucket_spend(&r->heard, &message_rate, ex_loop_now(r->loop), 1);

	if (ms && ex_timer_start(r->loop, &r->unheard, ms) == 0)
		listen_to(r, 0);
}

/* ---- what it says ---- */

static void take_message(struct ex_report *r, const char *bytes, size_t len)
{
	switch (bytes[0]) {
	case EX_REPORT_STATS:
		if (len == 1 + sizeof(r->stats))
			memcpy(&r->stats, bytes + 1, sizeof(r->stats));
		return;
	case EX_REPORT_READY:
		r->pause = RESTART_MS; /* it works */
		return;
	case EX_REPORT_FAILED: /* its last word */
		ex_error("report: %.*s", (int)len - 1, bytes + 1);
		lose(r);
		return;
	}
}

static void on_alerts(struct ex_watch *w, uint32_t events)
{
	struct ex_report *r = ex_container_of(w, struct ex_report, on_alerts);
	char bytes[512];
	ssize_t n = recv(r->alerts, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	hear(r);
	if (n > 0)
		take_message(r, bytes, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		lose(r);
}

/* ---- what it asks ---- */

static int text_file(struct ex_span text)
{
	struct ex_pack p = { 0 };

	ex_pack_bytes(&p, text.ptr, text.len);
	return ex_pack_seal(&p, "exeat-report");
}

static int metrics_text(struct ex_report *r, size_t *ret_len)
{
	uint64_t now = ex_loop_now(r->loop);
	struct ex_expo x = { 0 };
	struct ex_span text;

	if (r->text < 0 || now - r->text_at >= TEXT_AGE_MS) {
		close_fd(&r->text);
		r->ops->metrics(r->arg, &x);
		if (ex_expo_done(&x, &text) == 0)
			r->text = text_file(text);
		r->text_len = r->text < 0 ? 0 : ex_buf_len(&x.out);
		r->text_at = now;
		ex_expo_wipe(&x);
	}
	*ret_len = r->text_len;
	return r->text < 0 ? -ENOMEM : fcntl(r->text, F_DUPFD_CLOEXEC, 0);
}

static int health_text(struct ex_report *r, size_t *ret_len, int *ret_status)
{
	char why[256] = "", text[6 * sizeof(why) + 64]; /* every byte escaped */
	bool well = r->ops->health(r->arg, why, sizeof(why));
	struct ex_json j;

	ex_json_init(&j, text, sizeof(text) - 1);
	ex_json_open(&j, NULL, '{');
	ex_json_bool(&j, "ok", well);
	if (!well)
		ex_json_text(&j, "why", why);
	ex_json_close(&j, '}');
	(void)ex_json_line(&j);
	*ret_len = j.len;
	*ret_status = well ? 200 : 503;
	return text_file((struct ex_span){ text, j.len });
}

static void on_questions(struct ex_watch *w, uint32_t events)
{
	struct ex_report *r = ex_container_of(w, struct ex_report, on_questions);
	struct ex_report_question q;
	struct ex_report_answer a = { .status = 200 };
	ssize_t n = recv(r->questions, &q, sizeof(q), MSG_DONTWAIT);
	size_t len = 0;
	int fd;

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n != (ssize_t)sizeof(q)) {
		lose(r);
		return;
	}
	hear(r);
	fd = q.what == EX_REPORT_METRICS ? metrics_text(r, &len) : health_text(r, &len, &a.status);
	if (fd < 0)
		return;
	a.id = q.id;
	a.len = len;
	/* It waits for this with an empty buffer, or has broken off: then it is not missed. */
	if (ex_ipc_send(r->questions, &a, sizeof(a), fd, false) < 0)
		ex_debug("a question of the reporting process is not answered");
	close(fd);
}

/* ---- alerts ---- */

/* Nobody tried anything: what servers and time did, and the small change of a network. */
static bool is_noise(unsigned reason)
{
	switch (reason) {
	case EX_R_UPSTREAM_UNREACHABLE:
	case EX_R_UPSTREAM_TLS:
	case EX_R_UPSTREAM_PROTOCOL:
	case EX_R_DNS_UPSTREAM:
	case EX_R_TIMEOUT:
	case EX_R_TLS_HANDSHAKE:
	case EX_R_NO_FLOW:
	case EX_R_NEIGHBOUR:
	case EX_R_TCP_FLAGS:
		return true;
	}
	return false;
}

bool ex_report_wants(const struct ex_report *r, const struct ex_audit_record *rec)
{
	return r && r->webhook && rec->verdict != EX_V_ALLOW && !is_noise(rec->reason);
}

void ex_report_alert(struct ex_report *r, struct ex_span json)
{
	struct iovec iov[2] = { { (char[]){ EX_REPORT_ALERT }, 1 },
				{ (void *)(uintptr_t)json.ptr, json.len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (r->alerts < 0 || json.len + 1 > EX_REPORT_MESSAGE_MAX ||
	    !ex_bucket_take(&r->alerted, &alert_rate, ex_loop_now(r->loop)) ||
	    sendmsg(r->alerts, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		r->dropped++;
}

void ex_report_metrics(const struct ex_report *r, struct ex_expo *x)
{
	const struct ex_report_stats *s = &r->stats, *b = &r->before;

	if (!r->webhook)
		return;
	ex_expo_family(x, "exeat_alerts_total", "counter",
		       "Alerts for the webhook: sent, or lost (no room, given up).");
	ex_expo_label(x, "result", "sent");
	ex_expo_value(x, s->sent + b->sent);
	ex_expo_label(x, "result", "lost");
	ex_expo_value(x, s->lost + b->lost + r->dropped);
	ex_expo_single(x, "exeat_webhook_posts_total", "counter",
		       "Posts to the webhook that were tried.", s->posts + b->posts);
	ex_expo_single(x, "exeat_webhook_failures_total", "counter",
		       "Posts to the webhook that failed.", s->failed + b->failed);
	ex_expo_single(x, "exeat_alerts_waiting", "gauge", "Alerts that wait for the webhook.",
		       s->queued);
}

/* ---- life ---- */

static void put_text(struct ex_json *j, const char *key, const char *value)
{
	if (value)
		ex_json_text(j, key, value);
}

static int write_config(struct ex_report *r, const struct ex_report_config *c)
{
	char node[HOST_NAME_MAX + 1] = "";
	struct ex_json j;

	(void)gethostname(node, sizeof(node) - 1);
	r->config[0] = EX_REPORT_CONFIG;
	ex_json_init(&j, r->config + 1, sizeof(r->config) - 1);
	ex_json_open(&j, NULL, '{');
	put_text(&j, "node", node);
	put_text(&j, "listen", c->listen);
	put_text(&j, "webhook", c->webhook);
	put_text(&j, "webhook_ca", c->webhook_ca);
	put_text(&j, "webhook_token", c->webhook_token);
	put_text(&j, "webhook_secret", c->webhook_secret);
	ex_json_number(&j, "interval_ms", c->interval_ms ? c->interval_ms : 1000);
	ex_json_number(&j, "uid", c->uid);
	ex_json_close(&j, '}');
	r->config_len = j.len + 1;
	return ex_json_done(&j) < 0 ? -E2BIG : 0;
}

static int watch(struct ex_report *r)
{
	int err = ex_watch_start(r->loop, &r->on_alerts, r->alerts, EPOLLIN);

	return err < 0 ? err : ex_watch_start(r->loop, &r->on_questions, r->questions, EPOLLIN);
}

static void begin(struct ex_report *r)
{
	if (spawn(r) < 0 || watch(r) < 0)
		lose(r);
}

static void on_again(struct ex_timer *t)
{
	begin(ex_container_of(t, struct ex_report, again));
}

int ex_report_new(struct ex_loop *loop, const struct ex_report_config *config,
		  const struct ex_report_ops *ops, void *arg, struct ex_report **ret)
{
	struct ex_report *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	*r = (struct ex_report){
		.loop = loop,
		.ops = ops,
		.arg = arg,
		.webhook = config->webhook,
		.alerts = -1,
		.questions = -1,
		.on_alerts.fn = on_alerts,
		.on_questions.fn = on_questions,
		.again.fn = on_again,
		.unheard.fn = on_unheard,
		.pause = RESTART_MS,
		.text = -1,
	};
	err = write_config(r, config);
	if (err < 0) {
		ex_report_free(r);
		return err;
	}
	begin(r);
	*ret = r;
	return 0;
}

void ex_report_free(struct ex_report *r)
{
	if (!r)
		return;
	ex_timer_stop(r->loop, &r->again);
	end(r);
	close_fd(&r->text);
	free(r);
}
