/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: a server in a child process, clients here. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "agent/control/client.h"
#include "agent/control/control.h"
#include "agent/node/command.h"

#define GROUP 4242

static char dir[] = "/tmp/exeat-control-XXXXXX";
static char path[64], abstract[64];

/* ---- the server ---- */

struct server {
	struct ex_loop *loop;
	struct ex_control *file, *name;
	struct ex_timer timer;
	struct ex_call *later, *stream;
	unsigned sent, lost, gone;
};

static void op_echo(void *arg, struct ex_call *call)
{
	const char *text = ex_jv_string(ex_call_request(call), "text");

	(void)arg;
	if (!text) {
		ex_call_error(call, "invalid", "no \"%s\"", "text");
		return;
	}
	ex_json_text(ex_call_result(call), "text", text);
	ex_json_number(ex_call_result(call), "uid", ex_call_peer(call)->uid);
	ex_call_ok(call);
}

static void op_big(void *arg, struct ex_call *call)
{
	static char kilobyte[1024];
	int64_t n = 0;

	(void)arg;
	(void)ex_jv_integer(ex_call_request(call), "n", 0, 1 << 20, &n);
	memset(kilobyte, 'x', sizeof(kilobyte));
	ex_json_open(ex_call_result(call), "list", '[');
	for (int64_t i = 0; i < n; i++)
		ex_json_string(ex_call_result(call), NULL,
			       (struct ex_span){ kilobyte, sizeof(kilobyte) });
	ex_json_close(ex_call_result(call), ']');
	ex_call_ok(call);
}

static void op_later(void *arg, struct ex_call *call)
{
	struct server *s = arg;

	s->later = call;
	assert_int_equal(ex_timer_start(s->loop, &s->timer, 50), 0);
}

static void on_gone(void *arg, struct ex_call *call)
{
	struct server *s = arg;

	s->gone++;
	s->stream = NULL;
	ex_call_end(call);
}

static void op_stream(void *arg, struct ex_call *call)
{
	struct server *s = arg;
	int64_t n = 0;
	char line[1024];

	(void)ex_jv_integer(ex_call_request(call), "n", 0, 100000, &n);
	for (int64_t i = 0; i < n; i++) {
		int len = snprintf(line, sizeof(line), "{\"i\":%d,\"pad\":\"%0900d\"}", (int)i, 0);

		if (ex_call_send(call, (struct ex_span){ line, (size_t)len }) < 0)
			s->lost++;
	}
	if (ex_jv_bool(ex_call_request(call), "end", false)) {
		ex_call_end(call);
		return;
	}
	s->stream = call;
	ex_call_on_gone(call, on_gone, s);
}

static void op_counts(void *arg, struct ex_call *call)
{
	struct server *s = arg;

	ex_json_number(ex_call_result(call), "lost", s->lost);
	ex_json_number(ex_call_result(call), "gone", s->gone);
	ex_call_ok(call);
}

/* Somebody made files with such names. */
static void op_status(void *arg, struct ex_call *call)
{
	struct ex_json *j = ex_call_result(call);

	(void)arg;
	ex_json_open(j, "policies", '{');
	ex_json_text(j, "error", "a\x1b[2J.yaml: it is being written");
	ex_json_close(j, '}');
	ex_json_open(j, "resolvers", '{');
	ex_json_text(j, "file", "b\x1b[2J.conf");
	ex_json_text(j, "error", "c\nwarning    none");
	ex_json_close(j, '}');
	ex_json_open(j, "warnings", '[');
	ex_json_text(j, NULL,
		     "d\xc2\x9b"
		     "2J");
	ex_json_close(j, ']');
	ex_call_ok(call);
}

static void on_timer(struct ex_timer *t)
{
	struct server *s = ex_container_of(t, struct server, timer);

	ex_json_text(ex_call_result(s->later), "when", "later");
	ex_call_ok(s->later);
}

static struct ex_control *listen_at(struct server *s, const char *at, gid_t group, unsigned clients)
{
	struct ex_control_config cfg = { .path = at, .group = group, .clients = clients };
	struct ex_control *c;

	assert_int_equal(ex_control_new(s->loop, &cfg, &c), 0);
	assert_int_equal(ex_control_add(c, "echo", op_echo, s), 0);
	assert_int_equal(ex_control_add(c, "big", op_big, s), 0);
	assert_int_equal(ex_control_add(c, "later", op_later, s), 0);
	assert_int_equal(ex_control_add(c, "stream", op_stream, s), 0);
	assert_int_equal(ex_control_add(c, "counts", op_counts, s), 0);
	assert_int_equal(ex_control_add(c, "status", op_status, s), 0);
	return c;
}

static pid_t server_pid;

static int start_server(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(abstract, sizeof(abstract), "@exeat-test/%d", (int)getpid());
	assert_int_equal(pipe(ready), 0);
	server_pid = fork();
	if (server_pid == 0) {
		struct server s = { .timer.fn = on_timer };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		assert_int_equal(ex_loop_new(&s.loop), 0);
		s.file = listen_at(&s, path, GROUP, 0);
		s.name = listen_at(&s, abstract, 0, 2);
		assert_int_equal(write(ready[1], "x", 1), 1);
		_exit(ex_loop_run(s.loop));
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	kill(server_pid, SIGKILL);
	waitpid(server_pid, NULL, 0);
	unlink(path);
	rmdir(dir);
	return 0;
}

/* ---- the clients ---- */

static struct ex_control_error err;

static int ask(const char *request, struct ex_jv **ret)
{
	*ret = NULL;
	return ex_control_call(path, ex_span_str(request), 5000, ret, &err);
}

static int dial(const char *at)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", at);
	if (at[0] == '@')
		sa.sun_path[0] = '\0';
	assert_int_equal(connect(fd, (struct sockaddr *)&sa,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(at) +
					     (at[0] == '@' ? 0 : 1))),
			 0);
	return fd;
}

/* Everything until the end of the connection. */
static size_t read_all(int fd, char *out, size_t cap)
{
	size_t len = 0;
	ssize_t n;

	while (len < cap - 1 && (n = read(fd, out + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	return len;
}

static void test_a_request_is_answered(void **state)
{
	struct ex_jv *a;

	(void)state;
	assert_int_equal(ask("{\"op\":\"echo\",\"text\":\"a\\u0001\\n\\\"<\"}", &a), 0);
	assert_string_equal(ex_jv_string(ex_jv_get(a, "result"), "text"), "a\001\n\"<");
	ex_jv_free(a);
}

static void test_an_op_may_answer_later_while_others_are_served(void **state)
{
	struct ex_jv *a;
	int fd = dial(path);
	char out[256];

	(void)state;
	assert_int_equal(write(fd, "{\"op\":\"later\"}\n", 15), 15);
	assert_int_equal(ask("{\"op\":\"echo\",\"text\":\"x\"}", &a), 0);
	ex_jv_free(a);
	shutdown(fd, SHUT_WR);
	read_all(fd, out, sizeof(out));
	assert_string_equal(out, "{\"ok\":true,\"result\":{\"when\":\"later\"}}\n");
	close(fd);
}

static void test_errors_name_their_code(void **state)
{
	static const struct {
		const char *request, *code;
	} cases[] = {
		{ "{\"op\":\"echo\"}", "invalid" },
		{ "{\"op\":\"nothing\"}", "unknown-op" },
		{ "{\"op\":7}", "unknown-op" },
		{ "[]", "invalid" },
		{ "{\"op\":\"echo\",\"op\":\"echo\"}", "invalid" },
		{ "{\"op\":\"echo\"} {}", "invalid" },
		{ "", "invalid" },
		{ "{\"op\":\"echo\",\"text\":\"\\u0000\"}", "invalid" },
		{ "{\"op\":\"big\",\"n\":20000}", "too-large" },
	};
	struct ex_jv *a;

	(void)state;
	for (size_t i = 0; i < EX_ARRAY_SIZE(cases); i++) {
		assert_int_equal(ask(cases[i].request, &a), -EREMOTEIO);
		assert_string_equal(err.code, cases[i].code);
	}
}

static void test_requests_of_one_client_are_answered_in_order(void **state)
{
	static const char requests[] = "{\"op\":\"later\"}\n{\"op\":\"echo\",\"text\":\"1\"}\n"
				       "{\"op\":\"echo\",\"text\":\"2\"}\nx\n";
	char out[1024], *p = out;
	int fd = dial(path);

	(void)state;
	for (size_t i = 0; i < sizeof(requests) - 1; i++) /* whatever the pieces */
		assert_int_equal(write(fd, requests + i, 1), 1);
	shutdown(fd, SHUT_WR);
	read_all(fd, out, sizeof(out));
	assert_non_null(p = strstr(p, "later"));
	assert_non_null(p = strstr(p, "\"1\""));
	assert_non_null(p = strstr(p, "\"2\""));
	assert_non_null(p = strstr(p, "invalid"));
	close(fd);
}

static void test_a_long_answer_arrives_whole(void **state)
{
	struct ex_jv *a;

	(void)state;
	assert_int_equal(ask("{\"op\":\"big\",\"n\":8000}", &a), 0);
	assert_int_equal(ex_jv_count(ex_jv_get(ex_jv_get(a, "result"), "list")), 8000);
	ex_jv_free(a);
}

static void test_an_endless_request_is_cut_off(void **state)
{
	char out[256];
	static char bytes[65536];
	int fd = dial(path);
	size_t sent = 0;

	(void)state;
	memset(bytes, ' ', sizeof(bytes));
	while (sent < 2 * EX_CONTROL_LINE_MAX) {
		ssize_t n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	assert_true(sent < 2 * EX_CONTROL_LINE_MAX);
	read_all(fd, out, sizeof(out));
	assert_non_null(strstr(out, "too-large"));
	close(fd);
}

static int64_t count_of(const char *what)
{
	struct ex_jv *a;
	int64_t n = -1;

	assert_int_equal(ask("{\"op\":\"counts\"}", &a), 0);
	assert_true(ex_jv_integer(ex_jv_get(a, "result"), what, 0, 1 << 30, &n));
	ex_jv_free(a);
	return n;
}

static void test_a_stream_ends_when_its_op_ends_it(void **state)
{
	struct ex_control_stream *s;
	struct ex_span line;
	int n = 0, r;

	(void)state;
	assert_int_equal(ex_control_stream_open(path,
						EX_SPAN("{\"op\":\"stream\",\"n\":100,"
							"\"end\":true}"),
						&s, &err),
			 0);
	while ((r = ex_control_stream_next(s, 5000, &line, &err)) > 0)
		n++;
	assert_int_equal(r, 0);
	assert_int_equal(n, 100);
	ex_control_stream_close(s);
}

static void test_a_stream_that_is_not_read_loses_and_is_told_so(void **state)
{
	struct ex_control_stream *s;

	(void)state;
	assert_int_equal(
		ex_control_stream_open(path, EX_SPAN("{\"op\":\"stream\",\"n\":5000}"), &s, &err),
		0);
	for (int i = 0; i < 3000 && count_of("lost") == 0; i++)
		usleep(10000);
	assert_true(count_of("lost") > 4000);
	ex_control_stream_close(s);
	for (int i = 0; i < 3000 && count_of("gone") == 0; i++)
		usleep(10000);
	assert_int_equal(count_of("gone"), 1);
}

static void test_clients_are_bounded(void **state)
{
	int a = dial(abstract), b = dial(abstract), c = dial(abstract);
	char out[256];

	(void)state;
	read_all(c, out, sizeof(out));
	assert_non_null(strstr(out, "busy"));
	close(a);
	close(b);
	close(c);
}

/* Runs fn in a child that may change itself; its result is an exit code. */
static int in_child(int (*become)(void), const char *at)
{
	struct ex_jv *a = NULL;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (become() < 0)
			_exit(77);
		if (ex_control_call(at, EX_SPAN("{\"op\":\"echo\",\"text\":\"x\"}"), 5000, &a,
				    &err) == 0)
			_exit(0);
		_exit(strcmp(err.code, "forbidden") == 0 ? 1 : 2);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static int become_nobody(void)
{
	return chmod(path, 0666) < 0 || setgid(65534) < 0 || setuid(65534) < 0 ? -1 : 0;
}

static int become_member(void)
{
	gid_t groups[] = { 7, GROUP };

	return setgroups(2, groups) < 0 || setgid(65534) < 0 || setuid(65534) < 0 ? -1 : 0;
}

static int become_other_member(void)
{
	gid_t groups[] = { 7, GROUP + 1 };

	return chmod(path, 0666) < 0 || setgroups(2, groups) < 0 || setgid(65534) < 0 ||
			       setuid(65534) < 0
		       ? -1
		       : 0;
}

/* Not a group that may ask: that there is none is written as 0. */
static int become_member_of_root(void)
{
	gid_t groups[] = { 0, GROUP };

	return setgroups(2, groups) < 0 || setgid(0) < 0 || setuid(65534) < 0 ? -1 : 0;
}

static int become_workload(void)
{
	return unshare(CLONE_NEWNET);
}

static void test_only_root_and_the_group_may_ask(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, GROUP);
	assert_int_equal(in_child(become_member, path), 0);
	assert_int_equal(in_child(become_other_member, path), 1);
	assert_int_equal(in_child(become_nobody, path), 1);
	assert_int_equal(in_child(become_nobody, abstract), 1);
	assert_int_equal(in_child(become_member_of_root, abstract), 1);
	assert_int_equal(chmod(path, 0660), 0);
}

static void test_root_of_another_network_namespace_may_not_ask(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(become_workload, path), 1);
	/* The name is not even there. */
	assert_int_equal(in_child(become_workload, abstract), 2);
}

static void test_a_dead_socket_file_is_replaced_and_a_live_one_is_not(void **state)
{
	struct ex_control_config cfg = { .path = path };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct ex_control *c = NULL;
	struct ex_loop *loop;
	char dead[80];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(ex_loop_new(&loop), 0);
	assert_int_equal(ex_control_new(loop, &cfg, &c), -EADDRINUSE);
	snprintf(dead, sizeof(dead), "%s/dead", dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", dead);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	cfg.path = dead;
	assert_int_equal(ex_control_new(loop, &cfg, &c), 0);
	ex_control_free(c);
	assert_int_equal(access(dead, F_OK), -1);
	ex_loop_free(loop);
}

/* Of a socket that is nobody's by then. */
static void name_socket(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", name);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
}

/* A socket that is kept over a restart is where it was, unless the configuration says another. */
static void test_a_socket_that_was_kept_is_used_where_it_is_wanted(void **state)
{
	char kept[80], other[80];
	struct ex_control_config cfg = { .path = kept, .group = GROUP };
	struct ex_control *c = NULL;
	struct ex_loop *loop;
	struct stat st;
	int fd;

	(void)state;
	snprintf(kept, sizeof(kept), "%s/kept", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	assert_int_equal(ex_loop_new(&loop), 0);
	/* the same, another path, another group, a name that was taken away */
	for (int turn = 0; turn < 4; turn++) {
		if (geteuid() != 0)
			cfg.group = 0;
		cfg.path = kept;
		assert_int_equal(ex_control_new(loop, &cfg, &c), 0);
		cfg.inherited = fd = dup(ex_control_fd(c));
		ex_control_free(c);
		assert_int_equal(access(kept, F_OK), -1);
		if (turn != 3)
			name_socket(kept);
		cfg.path = turn == 1 ? other : kept;
		cfg.group += turn == 2 && cfg.group;
		assert_int_equal(ex_control_new(loop, &cfg, &c), 0);
		assert_int_equal(ex_control_fd(c) == fd && turn != 3, turn != 1 && turn != 3);
		assert_int_equal(stat(cfg.path, &st), 0);
		assert_true(turn == 0 || !cfg.group || st.st_gid == cfg.group);
		ex_control_free(c);
		assert_int_equal(access(kept, F_OK), -1); /* nobody answers there any more */
		cfg.inherited = 0;
	}
	ex_loop_free(loop);
}

/* One that listens and never accepts: its queue is full. */
static void test_a_full_queue_is_not_waited_for(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fds[16], n = 0;
	time_t before = time(NULL);
	struct ex_jv *answer = NULL;

	(void)state;
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/full", dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 1), 0);
	while (n < 16) {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fds[n++], (struct sockaddr *)&sa, sizeof(sa)) < 0)
			break;
	}
	assert_int_equal(errno, EAGAIN);
	assert_true(ex_control_call(sa.sun_path, EX_SPAN("{\"op\":\"echo\"}"), 1000, &answer,
				    &err) < 0);
	assert_string_equal(err.code, "unreachable");
	assert_true(time(NULL) - before < 30);
	while (n)
		close(fds[--n]);
	close(listener);
	unlink(sa.sun_path);
}

static void test_status_shows_names_that_act_on_no_terminal(void **state)
{
	char *argv[] = { (char[]){ "status" }, (char[]){ "--socket" }, path, NULL };
	int out = memfd_create("out", MFD_CLOEXEC), status;
	char text[1024] = "";
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		status = ex_cmd_status(3, argv);
		fflush(stdout);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(pread(out, text, sizeof(text) - 1, 0) > 0);
	close(out);
	assert_non_null(strstr(text, "not valid: a?[2J.yaml: it is being written\n"));
	assert_non_null(strstr(text, "resolvers  none, as in b?[2J.conf when it was last valid\n"
				     "           b?[2J.conf: c?warning    none\n"));
	assert_non_null(strstr(text, "warning    d??2J\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_is_answered),
		cmocka_unit_test(test_an_op_may_answer_later_while_others_are_served),
		cmocka_unit_test(test_errors_name_their_code),
		cmocka_unit_test(test_requests_of_one_client_are_answered_in_order),
		cmocka_unit_test(test_a_long_answer_arrives_whole),
		cmocka_unit_test(test_an_endless_request_is_cut_off),
		cmocka_unit_test(test_a_stream_ends_when_its_op_ends_it),
		cmocka_unit_test(test_a_stream_that_is_not_read_loses_and_is_told_so),
		cmocka_unit_test(test_clients_are_bounded),
		cmocka_unit_test(test_only_root_and_the_group_may_ask),
		cmocka_unit_test(test_root_of_another_network_namespace_may_not_ask),
		cmocka_unit_test(test_a_dead_socket_file_is_replaced_and_a_live_one_is_not),
		cmocka_unit_test(test_a_socket_that_was_kept_is_used_where_it_is_wanted),
		cmocka_unit_test(test_a_full_queue_is_not_waited_for),
		cmocka_unit_test(test_status_shows_names_that_act_on_no_terminal),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
