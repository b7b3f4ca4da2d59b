/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reporting process, with real clients and a real webhook server that is up,
 * down, slow, or answers with errors. This program is also the reporting process ("report").
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "agent/core/json_read.h"
#include "agent/core/log.h"
#include "agent/metrics/expo.h"
#include "agent/report/report.h"
#include "agent/report/sandbox.h"
#include "own_network.h"
#include "webhook.h"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the agent: a loop in a child ---- */

struct agent {
	struct ex_loop *loop;
	struct ex_report *report;
	struct ex_timer timer;
	unsigned alerts; /* still to be made */
	unsigned made;
	unsigned per_tick;
	bool sick, stuck;
	unsigned *asked; /* for its health; NULL: nobody counts */
};

static void write_metrics(void *arg, struct ex_expo *x)
{
	const struct agent *a = arg;

	ex_expo_single(x, "made_total", "counter", "Made.", a->made);
	ex_report_metrics(a->report, x);
	while (a->stuck)
		pause();
}

static bool health(void *arg, char *why, size_t cap)
{
	const struct agent *a = arg;

	if (a->asked)
		++*a->asked;
	snprintf(why, cap, "the policy is not valid %0*d", (int)cap, 0);
	for (char *p = strchr(why, '0'); p && *p; p++)
		*p = '\x01'; /* six bytes each when it is told */
	return !a->sick;
}

static const struct ex_report_ops ops = { .metrics = write_metrics, .health = health };

static void on_timer(struct ex_timer *t)
{
	struct agent *a = ex_container_of(t, struct agent, timer);
	char text[64];

	for (unsigned i = 0; i < a->per_tick && a->alerts; i++, a->alerts--) {
		int n = snprintf(text, sizeof(text), "{\"n\":%u}", ++a->made);
		uint64_t began = now_ms();

		ex_report_alert(a->report, (struct ex_span){ text, (size_t)n });
		assert_true(now_ms() - began < 5000); /* never waits */
	}
	assert_int_equal(ex_timer_start(a->loop, &a->timer, 10), 0);
}

/* Its exit status is that of ex_report_new(), when that fails. */
static pid_t agent_start(struct agent *a, const struct ex_report_config *config)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		a->timer.fn = on_timer;
		ex_log_set_level(EX_LOG_ERROR);
		if (ex_loop_new(&a->loop) < 0 ||
		    ex_report_new(a->loop, config, &ops, a, &a->report) < 0)
			_exit(1);
		if (ex_timer_start(a->loop, &a->timer, 1) < 0 || write(ready[1], "x", 1) != 1)
			_exit(2);
		_exit(ex_loop_run(a->loop));
	}
	close(ready[1]);
	(void)!read(ready[0], &byte, 1);
	close(ready[0]);
	return pid;
}

static void agent_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int dial(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The process begins in the background. */
static void wait_for(uint16_t port)
{
	for (int i = 0; i < 1000; i++) {
		int fd = dial(port);

		if (fd >= 0) {
			close(fd);
			return;
		}
		usleep(20000);
	}
	fail_msg("nobody listens");
}

static char page[1 << 18];

/* The whole answer in page; its status. */
static int get(uint16_t port, const char *head)
{
	int fd = dial(port);
	size_t len = 0;
	ssize_t n;

	assert_true(fd >= 0);
	dprintf(fd, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", head);
	while ((n = read(fd, page + len, sizeof(page) - 1 - len)) > 0)
		len += (size_t)n;
	page[len] = '\0';
	close(fd);
	return strncmp(page, "HTTP/1.1 ", 9) == 0 ? (int)strtol(page + 9, NULL, 10) : -1;
}

static void wait_for_metric(uint16_t port, const char *text)
{
	for (int i = 0; i < 600; i++) {
		assert_int_equal(get(port, "GET /metrics"), 200);
		if (strstr(page, text))
			return;
		usleep(50000);
	}
	fail_msg("no %s", text);
}

static uint16_t spare_port(char *text, size_t cap)
{
	uint16_t port = 0;
	int fd = bind_any(&port);

	close(fd);
	snprintf(text, cap, "127.0.0.1:%u", port);
	return port;
}

static void test_metrics_and_health_are_served(void **state)
{
	char at[32];
	uint16_t port = spare_port(at, sizeof(at));
	struct ex_report_config cfg = { .listen = at, .uid = geteuid() == 0 ? 65533 : 0 };
	struct agent a = { 0 };
	pid_t pid = agent_start(&a, &cfg);

	(void)state;
	wait_for(port);
	assert_int_equal(get(port, "GET /metrics"), 200);
	assert_non_null(strstr(page, "\r\n\r\n# HELP made_total Made.\n"));
	assert_non_null(strstr(page, "text/plain; version=0.0.4"));
	assert_int_equal(get(port, "GET /healthz"), 200);
	assert_non_null(strstr(page, "{\"ok\":true}"));
	assert_int_equal(get(port, "HEAD /metrics"), 200);
	assert_int_equal(get(port, "GET /other"), 404);
	assert_int_equal(get(port, "POST /metrics"), 405);
	assert_int_equal(get(port, "GET nonsense"), 404);
	agent_stop(pid);
}

static void test_an_agent_that_is_not_well_says_so(void **state)
{
	char at[32];
	uint16_t port = spare_port(at, sizeof(at));
	struct ex_report_config cfg = { .listen = at };
	struct agent a = { .sick = true };
	pid_t pid = agent_start(&a, &cfg);

	(void)state;
	wait_for(port);
	assert_int_equal(get(port, "GET /healthz"), 503);
	assert_non_null(strstr(page, "the policy is not valid"));
	assert_non_null(strstr(page, "\\u0001\"}\n"));
	agent_stop(pid);
}

static void test_an_agent_that_hangs_is_found_unhealthy(void **state)
{
	char at[32];
	uint16_t port = spare_port(at, sizeof(at));
	struct ex_report_config cfg = { .listen = at };
	struct agent a = { .stuck = true };
	pid_t pid = agent_start(&a, &cfg);

	(void)state;
	wait_for(port);
	assert_int_equal(get(port, "GET /metrics"), 503);
	assert_int_equal(get(port, "GET /healthz"), 503);
	agent_stop(pid);
}

/* ---- what is left to it ---- */

/* Runs `try` in the sandbox: what it returns, or -signal. */
static int in_sandbox(int (*try)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		umask(077); /* as the agent's */
		_exit(ex_report_become(65533) < 0 || ex_report_filter() < 0 ? 99 : try());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool may_open(const char *path, int flags)
{
	return open(path, flags, 0600) >= 0;
}

static int try_files(void)
{
	static const char *const paths[] = { "/etc/passwd",     "/etc/ssl/openssl.cnf",
					     "/proc/self/maps", "/proc/1/root/etc/passwd",
					     "/dev/null",       "../etc/passwd" };

	if (!may_open("/etc/hosts", O_RDONLY)) /* what is to be there */
		return 1;
	for (size_t i = 0; i < EX_ARRAY_SIZE(paths); i++)
		if (may_open(paths[i], O_RDONLY))
			return 2;
	if (may_open("/etc/hosts", O_RDWR) || may_open("/etc/hosts", O_WRONLY | O_TRUNC) ||
	    may_open("/new", O_RDONLY | O_CREAT) || may_open("/", O_TMPFILE | O_RDWR) ||
	    may_open("/", O_PATH))
		return 3;
	return unlink("/etc/hosts") == 0 || mkdir("/d", 0700) == 0 || rename("/etc", "/d") == 0;
}

static int try_others(void)
{
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED || mprotect(mem, 4096, PROT_READ | PROT_EXEC) == 0)
		return 1;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	    MAP_FAILED)
		return 2;
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || socket(AF_NETLINK, SOCK_RAW, 0) >= 0 ||
	    socket(AF_PACKET, SOCK_RAW, 0) >= 0 || socket(AF_INET, SOCK_RAW, 1) >= 0)
		return 3;
	if (kill(getppid(), 0) == 0 || prctl(PR_SET_DUMPABLE, 1) == 0)
		return 4;
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0; /* what it is there for */
}

static int try_fork(void)
{
	return fork() >= 0;
}

static int try_exec(void)
{
	char *argv[] = { (char[]){ "x" }, NULL };

	(void)execve("/x", argv, NULL);
	return 1;
}

static int try_unshare(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

/* Sanitizers need files and calls of their own, so a build with them has no sandbox to try. */
#if EX_ASAN
#define CONFINED 0
#else
#define CONFINED 1
#endif

static void test_nothing_is_left_to_it_but_sockets_and_threads(void **state)
{
	(void)state;
	if (!CONFINED)
		return;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_sandbox(try_files), 0);
	assert_int_equal(in_sandbox(try_others), 0);
	assert_int_equal(in_sandbox(try_fork), 0);
	assert_int_equal(in_sandbox(try_exec), -SIGSYS);
	assert_int_equal(in_sandbox(try_unshare), -SIGSYS);
}

static void test_slow_clients_do_not_keep_others_out(void **state)
{
	char at[32];
	uint16_t port = spare_port(at, sizeof(at));
	struct ex_report_config cfg = { .listen = at };
	struct agent a = { 0 };
	pid_t pid = agent_start(&a, &cfg);
	int slow[20];

	(void)state;
	wait_for(port);
	for (size_t i = 0; i < EX_ARRAY_SIZE(slow); i++) {
		slow[i] = dial(port);
		dprintf(slow[i], "GET /metr");
	}
	assert_int_equal(get(port, "GET /metrics"), 200);
	for (size_t i = 0; i < EX_ARRAY_SIZE(slow); i++)
		close(slow[i]);
	agent_stop(pid);
}

static void test_an_address_in_use_is_tried_again(void **state)
{
	struct hook h = { 0 }; /* of another process: a socket of ours would be inherited */
	char at[32];
	struct ex_report_config cfg = { .listen = at };
	struct agent a = { 0 };
	pid_t pid;

	(void)state;
	hook_start(&h, MODE_OK);
	snprintf(at, sizeof(at), "127.0.0.1:%u", h.port);
	pid = agent_start(&a, &cfg);
	usleep(300000);
	hook_stop(&h);
	wait_for(h.port);
	assert_int_equal(get(h.port, "GET /metrics"), 200);
	agent_stop(pid);
}

/* ---- one that was taken over ---- */

#define LIAR "127.0.0.1:9" /* the configuration of a process that does what it can to be heard */

static bool told(const char *words)
{
	char text[1024];
	ssize_t n = recv(3, text, sizeof(text) - 1, MSG_PEEK);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, words);
}

/* Without end: errors, or questions. */
static int lie(void)
{
	static const uint32_t question[2] = { 2, 1 };

	if (told("\"interval_ms\":1,"))
		while (send(3, "FI cannot go on", 15, MSG_NOSIGNAL) > 0)
			;
	while (send(4, question, sizeof(question), MSG_NOSIGNAL) > 0)
		;
	return 1;
}

static void test_one_that_lies_fills_no_log_and_is_not_always_heard(void **state)
{
	struct ex_report_config cfg = { .listen = LIAR };
	int out = memfd_create("err", MFD_CLOEXEC), was = dup(STDERR_FILENO), lines = 0;
	unsigned *asked = mmap(NULL, sizeof(*asked), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct agent a = { .asked = asked };
	char c;

	(void)state;
	for (cfg.interval_ms = 1; cfg.interval_ms <= 2; cfg.interval_ms++) {
		pid_t pid;

		assert_int_equal(dup2(out, STDERR_FILENO), STDERR_FILENO);
		pid = agent_start(&a, &cfg);
		assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
		usleep(1500000);
		agent_stop(pid);
	}
	for (off_t at = 0; pread(out, &c, 1, at) == 1; at++)
		lines += c == '\n';
	assert_true(lines > 0 && lines < 10);
	assert_in_range(*asked, 1, 2000);
	munmap(asked, sizeof(*asked));
	close(was);
	close(out);
}

/* ---- alerts ---- */

static char url[64];

static struct ex_report_config webhook_to(const struct hook *h)
{
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook", h->port);
	return (struct ex_report_config){ .webhook = url,
					  .interval_ms = 50,
					  .uid = geteuid() == 0 ? 65533 : 0 };
}

static void test_alerts_come_in_batches_and_in_order(void **state)
{
	struct hook h = { 0 };
	struct taken t = { 0 };
	struct agent a = { .alerts = 300, .per_tick = 50 };
	struct ex_report_config cfg;
	pid_t pid;

	(void)state;
	hook_start(&h, MODE_OK);
	cfg = webhook_to(&h);
	pid = agent_start(&a, &cfg);
	take_alerts(&h, 300, 30000, &t);
	assert_int_equal(t.alerts, 300);
	assert_int_equal(t.lost, 0);
	assert_in_range(t.posts, 3, 20);
	agent_stop(pid);
	hook_stop(&h);
}

static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* What the process says when it cannot begin; "" = it began. */
static void begin_with_file(const char *text, size_t len, bool token, char said[static 512])
{
	char path[] = "/tmp/exeat-file-XXXXXX", at[32];
	int out = memfd_create("err", MFD_CLOEXEC), was = dup(STDERR_FILENO), fd = mkstemp(path);
	uint16_t port = spare_port(at, sizeof(at));
	struct ex_report_config cfg = { .webhook = "http://127.0.0.1:1/", .listen = at };
	struct agent a = { 0 };
	ssize_t n = 0;
	pid_t pid;

	assert_int_equal(write(fd, text, len), len);
	close(fd);
	*(token ? &cfg.webhook_token : &cfg.webhook_secret) = path;
	cfg.uid = geteuid() == 0 ? 65533 : 0;
	assert_int_equal(dup2(out, STDERR_FILENO), STDERR_FILENO);
	pid = agent_start(&a, &cfg);
	assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
	for (int i = 0; i < 1000 && n == 0 && (fd = dial(port)) < 0; i++) {
		usleep(20000);
		n = pread(out, said, 511, 0);
	}
	said[n] = '\0';
	agent_stop(pid);
	unlink(path);
	close(fd);
	close(was);
	close(out);
}

static void test_what_cannot_be_sent_whole_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		bool token;
		const char *said; /* NULL: it is sent */
	} files[] = {
		{ .len = 4096, .token = true },
		{ .len = 4097, .token = true, .said = "too long" },
		{ .len = 4097 },
		{ "one\ntwo\n", 8, true, "no token has" },
		{ "one\ntwo\n", 8, false, NULL },
		{ "k\0y", 3, true, "zero byte" },
		{ "k\0y", 3, false, "zero byte" },
		{ "\n", 1, true, "empty" },
		{ "\n", 1, false, "empty" },
	};
	char said[512], as[4097];

	(void)state;
	memset(as, 'a', sizeof(as));
	for (size_t i = 0; i < EX_ARRAY_SIZE(files); i++) {
		begin_with_file(files[i].text ? files[i].text : as, files[i].len, files[i].token,
				said);
		if (files[i].said)
			assert_non_null(strstr(said, files[i].said));
		else
			assert_string_equal(said, "");
	}
}

static void test_posts_are_signed_and_carry_the_token(void **state)
{
	char token[] = "/tmp/exeat-token-XXXXXX", secret[] = "/tmp/exeat-secret-XXXXXX";
	struct hook h = { 0 };
	struct agent a = { .alerts = 1, .per_tick = 1 };
	struct ex_report_config cfg;
	pid_t pid;

	(void)state;
	write_file(token, "t0ken\n");
	write_file(secret, "k\n");
	hook_start(&h, MODE_OK);
	cfg = webhook_to(&h);
	cfg.webhook_token = token;
	cfg.webhook_secret = secret;
	pid = agent_start(&a, &cfg);
	assert_true(hook_line(&h, 3000, line, sizeof(line)));
	assert_true(hook_line(&h, 3000, line, sizeof(line)));
	assert_string_equal(line, "signed");
	agent_stop(pid);
	hook_stop(&h);
	unlink(token);
	unlink(secret);
}

static void test_a_500_is_tried_again_and_nothing_is_lost(void **state)
{
	struct hook h = { 0 };
	struct taken t = { 0 };
	struct agent a = { .alerts = 10, .per_tick = 10 };
	struct ex_report_config cfg;
	pid_t pid;

	(void)state;
	hook_start(&h, MODE_500_TWICE);
	cfg = webhook_to(&h);
	pid = agent_start(&a, &cfg);
	take_alerts(&h, 10, 30000, &t);
	assert_int_equal(t.alerts, 10);
	assert_int_equal(t.lost, 0);
	agent_stop(pid);
	hook_stop(&h);
}

static void test_what_the_server_refuses_is_lost_and_told(void **state)
{
	struct hook h = { 0 };
	struct taken t = { 0 };
	struct agent a = { .alerts = 20, .per_tick = 1 };
	struct ex_report_config cfg;
	pid_t pid;

	(void)state;
	hook_start(&h, MODE_400);
	cfg = webhook_to(&h);
	pid = agent_start(&a, &cfg);
	take_alerts(&h, 19, 30000, &t);
	assert_true(t.lost > 0);
	assert_int_equal(t.alerts + t.lost, 20);
	agent_stop(pid);
	hook_stop(&h);
}

static void test_a_server_that_is_down_costs_a_bounded_queue(void **state)
{
	struct hook h = { 0 };
	struct taken t = { 0 };
	struct agent a = { .alerts = 2500, .per_tick = 50 };
	struct ex_report_config cfg;
	char at[32];
	uint16_t port = spare_port(at, sizeof(at));
	pid_t pid;

	(void)state;
	h.port = 0;
	close(bind_any(&h.port)); /* nobody listens there now */
	cfg = webhook_to(&h);
	cfg.listen = at;
	pid = agent_start(&a, &cfg);
	wait_for(port);
	wait_for_metric(port, "made_total 2500\n");
	hook_start(&h, MODE_OK); /* at the same port */
	take_alerts(&h, 1000, 30000, &t);
	assert_int_equal(t.alerts, 1000); /* what waits at most */
	/* What the agent itself left out is in its metrics only. */
	wait_for_metric(port, "exeat_alerts_waiting 0\n");
	assert_non_null(strstr(page, "exeat_alerts_total{result=\"lost\"} 1"));
	agent_stop(pid);
	hook_stop(&h);
}

static void test_a_slow_server_stops_neither_alerts_nor_metrics(void **state)
{
	struct hook h = { 0 };
	struct agent a = { .alerts = 100, .per_tick = 10 };
	struct ex_report_config cfg;
	uint64_t began;
	char at[32];
	uint16_t port = spare_port(at, sizeof(at));
	pid_t pid;

	(void)state;
	hook_start(&h, MODE_SLOW);
	cfg = webhook_to(&h);
	cfg.listen = at;
	pid = agent_start(&a, &cfg);
	wait_for(port);
	wait_for_metric(port, "made_total 100\n");
	began = now_ms();
	assert_int_equal(get(port, "GET /metrics"), 200);
	assert_true(now_ms() - began < SLOW_S * 1000 / 2);
	agent_stop(pid);
	hook_stop(&h);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics_and_health_are_served),
		cmocka_unit_test(test_an_agent_that_is_not_well_says_so),
		cmocka_unit_test(test_an_agent_that_hangs_is_found_unhealthy),
		cmocka_unit_test(test_nothing_is_left_to_it_but_sockets_and_threads),
		cmocka_unit_test(test_slow_clients_do_not_keep_others_out),
		cmocka_unit_test(test_an_address_in_use_is_tried_again),
		cmocka_unit_test(test_one_that_lies_fills_no_log_and_is_not_always_heard),
		cmocka_unit_test(test_alerts_come_in_batches_and_in_order),
		cmocka_unit_test(test_posts_are_signed_and_carry_the_token),
		cmocka_unit_test(test_what_cannot_be_sent_whole_is_refused),
		cmocka_unit_test(test_a_500_is_tried_again_and_nothing_is_lost),
		cmocka_unit_test(test_what_the_server_refuses_is_lost_and_told),
		cmocka_unit_test(test_a_server_that_is_down_costs_a_bounded_queue),
		cmocka_unit_test(test_a_slow_server_stops_neither_alerts_nor_metrics),
	};

	if (argc == 2 && strcmp(argv[1], "report") == 0)
		return told(LIAR) ? lie() : ex_cmd_report(argc, argv);
	(void)!own_network(); /* where that is not allowed, others may take a spare port */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
