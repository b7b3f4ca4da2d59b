/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exeat learn: `exeat run --learn` in a child, whose audit log comes by a pipe and is read as it is
 * written. The run opens the pipe by the path of our descriptor, so that the command inherits
 * nothing of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/control/client.h"
#include "agent/core/buf.h"
#include "agent/core/caps.h"
#include "agent/core/json.h"
#include "agent/core/json_read.h"
#include "agent/core/log.h"
#include "agent/core/loop.h"
#include "agent/core/output.h"
#include "agent/learn/command.h"
#include "agent/learn/options.h"

#define EXIT_FAILED 125
#define NOT_FOUND   127 /* and 126: it cannot be executed */
#define ARGS_MAX    64
#define PIPE_BYTES  (1 << 20)
#define LINE_BYTES  (1 << 20)

struct session {
	struct ex_learn_options opt;
	struct ex_learn learn;
	struct ex_buf in;
	char fixtures[PATH_MAX];
	pid_t pid;
	bool killed;    /* the run itself was */
	uint64_t until; /* ms; 0 = no limit */
	bool asked;     /* the command to end */
};

static int fail(const char *what, int r)
{
	ex_error("%s: %s", what, strerror(-r));
	return r;
}

/* ---- records ---- */

static bool is_wanted(const struct session *s, struct ex_span line)
{
	char err[EX_JV_ERROR_MAX];
	struct ex_jv *v;
	const char *run;
	bool yes;

	if (!s->opt.run)
		return true;
	if (ex_jv_read(line, &v, err) < 0)
		return false;
	run = ex_jv_string(v, "run");
	yes = run && strcmp(run, s->opt.run) == 0;
	ex_jv_free(v);
	return yes;
}

static int take_lines(struct session *s)
{
	for (;;) {
		struct ex_span all = { ex_buf_ptr(&s->in), ex_buf_len(&s->in) };
		const char *end;
		struct ex_span line;
		int r = 0;

		if (!all.ptr || !all.len)
			return 0;
		end = memchr(all.ptr, '\n', all.len);
		if (!end)
			return all.len > LINE_BYTES ? -EMSGSIZE : 0;
		line = (struct ex_span){ all.ptr, (size_t)(end - all.ptr) };
		if (line.len && is_wanted(s, line))
			r = ex_learn_line(&s->learn, line);
		if (r == -ENOMEM)
			return r;
		s->learn.odd += r < 0;
		ex_buf_consume(&s->in, line.len + 1);
	}
}

/* The last line, when it does not end: a log that was cut, or made by hand. */
static int take_rest(struct session *s)
{
	if (!ex_buf_len(&s->in))
		return 0;
	return ex_buf_append(&s->in, "\n", 1) < 0 ? -ENOMEM : take_lines(s);
}

/* 1: more may come; 0: the end; or negative errno. */
static int read_some(struct session *s, int fd)
{
	char *room = ex_buf_reserve(&s->in, 65536);
	ssize_t n = room ? read(fd, room, 65536) : -1;
	int r;

	if (!room)
		return -ENOMEM;
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	if (n == 0)
		return take_rest(s);
	ex_buf_commit(&s->in, (size_t)n);
	r = take_lines(s);
	return r < 0 ? r : 1;
}

/* ---- a command ---- */

static void put_arg(const char **argv, size_t *n, const char *arg)
{
	if (*n < ARGS_MAX - 1)
		argv[(*n)++] = arg;
}

/* Who learns denies nothing: without us it is to end at once. */
static void bind_fate(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILED);
}

static _Noreturn void become_run(struct session *s, pid_t parent, int log)
{
	const char *argv[ARGS_MAX] = { "exeat", "run", "-q", "--log", NULL };
	char path[64], **all;
	size_t n = 4, more = 0;
	sigset_t none;

	bind_fate(parent);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)parent, log);
	put_arg(argv, &n, path);
	put_arg(argv, &n, "--learn");
	put_arg(argv, &n, s->opt.unread);
	for (size_t i = 0; i < s->opt.n_passed; i++)
		put_arg(argv, &n, s->opt.passed[i]);
	put_arg(argv, &n, "--");
	while (s->opt.command[more])
		more++;
	all = calloc(n + more + 1, sizeof(*all));
	if (all) {
		memcpy(all, argv, n * sizeof(*all));
		memcpy(all + n, s->opt.command, more * sizeof(*all));
		sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		execv("/proc/self/exe", all);
	}
	ex_error("cannot start exeat run: %s", strerror(errno));
	_exit(EXIT_FAILED);
}

/* Ours are for the run, which passes them on; it ends, and then so do we. */
static volatile sig_atomic_t told; /* the last one; also when nobody was in poll() to be woken */

static void on_signal(int signo)
{
	told = signo;
}

static void catch_signals(void)
{
	static const int caught[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < EX_ARRAY_SIZE(caught); i++)
		(void)sigaction(caught[i], &sa, NULL);
}

/* The keys for these two are the command's. */
static int leave_terminal(void)
{
	if (!ex_caps_share_terminal())
		return 0;
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	return ex_caps_be_nobodys();
}

static void pass_on(const struct session *s)
{
	int signo = told;

	told = 0;
	if (signo)
		kill(s->pid, signo);
}

static int wait_ms(struct session *s)
{
	uint64_t now = ex_clock_ms();

	if (!s->until)
		return 500;
	if (now >= s->until && !s->asked) {
		s->asked = true;
		kill(s->pid, SIGTERM);
	}
	return 200;
}

/* Reads until the run has ended and nothing of it is left in the pipe. */
static int follow(struct session *s, int log, int *ret_status)
{
	struct pollfd p = { .fd = log, .events = POLLIN };
	bool ended = false;
	int r = 1;

	while (r > 0) {
		int ready = poll(&p, 1, ended ? 0 : wait_ms(s));

		if (!ended)
			pass_on(s);
		if (ready > 0)
			r = read_some(s, log);
		else if (ended)
			return 0;
		if (!ended)
			ended = waitpid(s->pid, ret_status, WNOHANG) == s->pid;
	}
	return r;
}

static int learn_from_command(struct session *s, int *ret_status)
{
	pid_t self = getpid();
	int pipes[2], status = 0, r;

	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail("pipe", -errno);
	(void)fcntl(pipes[0], F_SETPIPE_SZ, PIPE_BYTES);
	catch_signals();
	s->until = s->opt.seconds ? ex_clock_ms() + (uint64_t)s->opt.seconds * 1000 : 0;
	s->pid = fork();
	if (s->pid == 0)
		become_run(s, self, pipes[1]);
	r = s->pid < 0 ? -errno : leave_terminal();
	if (r == 0)
		r = follow(s, pipes[0], &status);
	close(pipes[0]);
	close(pipes[1]);
	if (r < 0)
		return fail("cannot read what the run records", r);
	s->killed = WIFSIGNALED(status);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

/* ---- an endpoint of the agent ---- */

#define ENDPOINT_SECONDS 600 /* without --for */

static void write_request(const struct session *s, struct ex_json *j)
{
	const char *name = s->opt.endpoint, *slash = strchr(name, '/');

	ex_json_open(j, NULL, '{');
	ex_json_text(j, "op", "learn");
	if (slash)
		ex_json_string(j, "namespace", (struct ex_span){ name, (size_t)(slash - name) });
	ex_json_text(j, "name", slash ? slash + 1 : name);
	ex_json_close(j, '}');
}

/* The agent puts the endpoint's own policy back in force when this connection ends. */
static int follow_stream(struct session *s, struct ex_control_stream *stream,
			 struct ex_control_error *err)
{
	while (!told && ex_clock_ms() < s->until) {
		struct ex_span line;
		int r = ex_control_stream_next(stream, 500, &line, err);

		if (r == -EINTR)
			return 0;
		if (r == -ETIMEDOUT)
			continue;
		if (r == 0)
			ex_warning("the agent has ended this early: what was seen until now is "
				   "learned");
		if (r <= 0)
			return r;
		r = ex_learn_line(&s->learn, line);
		if (r == -ENOMEM)
			return r;
		s->learn.odd += r < 0;
	}
	return 0;
}

static int learn_from_endpoint(struct session *s)
{
	struct ex_control_error err = { .message = "no memory" };
	struct ex_control_stream *stream = NULL;
	char text[1024];
	struct ex_json j;
	int r;

	ex_json_init(&j, text, sizeof(text));
	write_request(s, &j);
	if (ex_json_done(&j) < 0)
		return fail(s->opt.endpoint, -ENAMETOOLONG);
	catch_signals();
	s->until = ex_clock_ms() + 1000ull * (s->opt.seconds ? s->opt.seconds : ENDPOINT_SECONDS);
	r = ex_control_stream_open(s->opt.socket, (struct ex_span){ text, j.len }, &stream, &err);
	if (r == 0)
		r = follow_stream(s, stream, &err);
	ex_control_stream_close(stream);
	if (r < 0)
		ex_error("%s: %s", err.code[0] ? err.code : "protocol", err.message);
	return r;
}

/* ---- a log ---- */

static int learn_from_file(struct session *s)
{
	EX_AUTO_CLOSE int fd = open(s->opt.from, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 1;
	bool any = false;

	while (r > 0) {
		r = read_some(s, fd);
		any |= r > 0;
	}
	if (r < 0)
		return fail(s->opt.from, r);
	if (!any || s->learn.records)
		return 0;
	ex_error("%s: no record%s%s in it", s->opt.from, s->opt.run ? " of " : "",
		 s->opt.run ? s->opt.run : "");
	return -ENODATA;
}

/* ---- files ---- */

/* learned.yaml -> learned.test.yaml */
static int name_fixtures(struct session *s)
{
	const char *o = s->opt.output;
	size_t len = strlen(o), stem = len > 5 && strcmp(o + len - 5, ".yaml") == 0 ? len - 5 : len;
	int n = snprintf(s->fixtures, sizeof(s->fixtures), "%.*s.test.yaml", (int)stem, o);

	return n < 0 || (size_t)n >= sizeof(s->fixtures) ? fail(o, -ENAMETOOLONG) : 0;
}

/* Before anything is run: it would be a pity later. */
static int check_files(const struct session *s)
{
	const char *files[] = { s->opt.output, s->fixtures }, *name;
	EX_AUTO_CLOSE int dir = ex_output_dir(s->opt.output, &name);

	if (dir < 0) {
		ex_error("%s: %s", s->opt.output, ex_output_error(dir));
		return dir;
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(files) && !s->opt.force; i++)
		if (access(files[i], F_OK) == 0) {
			ex_error("%s is there already; --force overwrites it", files[i]);
			return -EEXIST;
		}
	return 0;
}

/* By sudo: the files are the user's, as the directory is likely to be. */
static void give_to_user(int fd)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");

	if (geteuid() == 0 && uid && gid)
		(void)!fchown(fd, (uid_t)strtoul(uid, NULL, 10), (gid_t)strtoul(gid, NULL, 10));
}

static int open_file(const char *name, bool force, FILE **ret)
{
	int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | (force ? O_TRUNC : O_EXCL);
	int fd = ex_output_open(name, flags, 0644);

	if (fd < 0) {
		ex_error("%s: %s", name,
			 fd == -EEXIST ? "it was made meanwhile, so nothing is written; --output "
					 "another, or --force"
				       : ex_output_error(fd));
		return fd;
	}
	give_to_user(fd);
	*ret = fdopen(fd, "w");
	if (*ret)
		return 0;
	close(fd);
	return -ENOMEM;
}

static int close_file(const char *name, FILE *f)
{
	bool bad = ferror(f) != 0;
	int r = bad ? -EIO : 0;

	if (fclose(f) == EOF)
		r = -errno;
	return r < 0 ? fail(name, r) : 0;
}

static int write_policy(const struct session *s)
{
	FILE *f;
	int r = open_file(s->opt.output, s->opt.force, &f);

	if (r < 0)
		return r;
	ex_learn_write_policy(&s->learn, &s->opt.title, f);
	return close_file(s->opt.output, f);
}

static int write_fixtures(const struct session *s)
{
	const char *slash = strrchr(s->opt.output, '/');
	FILE *f;
	int r = open_file(s->fixtures, s->opt.force, &f);

	if (r < 0)
		return r;
	ex_learn_write_fixtures(&s->learn, &s->opt.title, slash ? slash + 1 : s->opt.output, f);
	return close_file(s->fixtures, f);
}

static void say(const struct session *s)
{
	const struct ex_learn *l = &s->learn;
	size_t requests = 0;

	for (size_t i = 0; i < l->n_uses; i++)
		requests += l->uses[i].paths.n;
	fprintf(stderr, "exeat: learned %zu destinations and %zu kinds of requests: %s, %s\n",
		l->n_uses, requests, s->opt.output, s->fixtures);
	for (size_t i = 0; i < l->n_uses; i++)
		if (l->uses[i].kind == EX_LEARN_TLS && l->uses[i].name[0])
			fprintf(stderr,
				"exeat: %s: the client does not accept exeat's certificates; passed by "
				"name (--passthrough %s spares it the first failure)\n",
				l->uses[i].name, l->uses[i].name);
	if (l->n_denials)
		fprintf(stderr,
			"exeat: %zu kinds of things were denied even so: the policy's head names "
			"them\n",
			l->n_denials);
	if (l->lost)
		fprintf(stderr, "exeat: %llu records were lost: the policy is not complete\n",
			(unsigned long long)l->lost);
}

/* Of a command its name alone: policies are for others to read, and arguments may be secrets. */
static const char *source_of(const struct ex_learn_options *o)
{
	return o->from ? o->from : o->endpoint ? o->endpoint : o->command[0];
}

static int learn_from(struct session *s, int *ret_status)
{
	if (s->opt.from)
		return learn_from_file(s);
	return s->opt.endpoint ? learn_from_endpoint(s) : learn_from_command(s, ret_status);
}

/* What never began did not do nothing: there is nothing to learn of it, and the run said why. */
static bool was_run(const struct session *s, int status)
{
	return s->learn.records || !(s->killed || (status >= EXIT_FAILED && status <= NOT_FOUND));
}

static int write_all(struct session *s)
{
	int r = ex_learn_finish(&s->learn);

	if (r == 0)
		r = write_policy(s);
	if (r == 0)
		r = write_fixtures(s);
	if (r == 0)
		say(s);
	return r;
}

int ex_cmd_learn(int argc, char **argv)
{
	static struct session s;
	int status = 0, r = ex_learn_options_parse(argc, argv, &s.opt);

	if (r != 0)
		return r > 0 ? 0 : EXIT_FAILED;
	s.opt.title.command = source_of(&s.opt);
	r = name_fixtures(&s);
	if (r == 0)
		r = check_files(&s);
	if (r == 0)
		r = learn_from(&s, &status);
	if (r == 0 && was_run(&s, status))
		r = write_all(&s);
	else if (r == 0)
		ex_error("nothing was run: no policy is written");
	ex_learn_done(&s.learn);
	ex_buf_done(&s.in);
	return r < 0 ? EXIT_FAILED : status;
}
