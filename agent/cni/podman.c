/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels that podman has. It tells a plugin a name and no labels, and while it waits for the plugin
 * it holds the lock of the container (and of the pod, for `play kube`), so that `podman inspect`
 * would wait for ever. `podman generate spec CONTAINER` takes no lock: it prints what the container
 * was made with. Of a pod:
 *
 *	podman pod create	the infra container, which the plugin is called for, has its labels
 *	podman play kube	only the other containers have them, all of them: what they agree on
 *
 * A label that comes from the image is nobody's word but its author's: it is left out. The image is
 * the one the container was made of, by its id: its name may mean another one by now.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "agent/cni/identity.h"
#include "agent/core/loop.h"

#define OUTPUT_MAX  (1 << 20)
#define TIMEOUT_MS  20000 /* podman is large: a busy node takes seconds to start it */
#define ARGS_MAX    24
#define MEMBERS_MAX 64
#define ID_LEN      64

extern char **environ;

struct podman {
	const char *argv[ARGS_MAX];
	size_t base; /* of argv: the command as it is configured */
	struct ex_cni_error *err;
};

static int unable(struct podman *p, const char *why)
{
	return ex_cni_fail(p->err, EX_CNI_NO_LABELS, why, "podman does not tell the labels");
}

/* Up to max bytes until the end of the file: their number, or -ETIMEDOUT, -EFBIG, ... */
static ssize_t read_until(int fd, char *buf, size_t max, uint64_t until)
{
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = (int64_t)(until - ex_clock_ms());
		int r = poll(&pfd, 1, left > 0 ? (int)left : 0);
		ssize_t n;

		if (r == 0)
			return -ETIMEDOUT;
		n = r < 0 ? -1 : read(fd, buf + len, max - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : (ssize_t)len;
		len += (size_t)n;
		if (len == max)
			return -EFBIG;
	}
}

static int spawn(struct podman *p, pid_t *ret_pid, int *ret_fd)
{
	posix_spawn_file_actions_t acts;
	int pipes[2], r;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_addopen(&acts, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&acts, pipes[1], STDOUT_FILENO);
	r = posix_spawnp(ret_pid, p->argv[0], &acts, NULL, (char **)(uintptr_t)p->argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	close(pipes[1]);
	if (r != 0) {
		close(pipes[0]);
		return -r;
	}
	*ret_fd = pipes[0];
	return 0;
}

/* Runs podman with args (up to a NULL): its output, NUL-terminated, which the caller frees. */
static int run(struct podman *p, const char *const *args, char **ret)
{
	EX_AUTO_FREE char *out = malloc(OUTPUT_MAX + 1);
	size_t at = p->base;
	int fd = -1, status = 0;
	ssize_t n;
	pid_t pid;

	while (*args && at < ARGS_MAX - 1)
		p->argv[at++] = *args++;
	p->argv[at] = NULL;
	if (!out || *args)
		return unable(p, "out of memory");
	if (spawn(p, &pid, &fd) < 0)
		return unable(p, "it cannot be started; see \"podman\" of the configuration");
	n = read_until(fd, out, OUTPUT_MAX, ex_clock_ms() + TIMEOUT_MS);
	close(fd);
	if (n < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n < 0)
		return unable(p, n == -ETIMEDOUT ? "no answer in time" : strerror((int)-n));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return unable(p, "it failed; see its error output");
	out[n] = '\0';
	*ret = EX_TAKE_PTR(out);
	return 0;
}

/* The same, for a command that prints a JSON object; freed by ex_jv_free(). */
static int run_json(struct podman *p, const char *const *args, struct ex_jv **ret)
{
	EX_AUTO_FREE char *text = NULL;
	char why[EX_JV_ERROR_MAX];
	int r = run(p, args, &text);

	if (r < 0)
		return r;
	return ex_jv_read(ex_span_str(text), ret, why) < 0 ? unable(p, why) : 0;
}

static int get_spec(struct podman *p, const char *container, struct ex_jv **ret)
{
	return run_json(p, (const char *const[]){ "generate", "spec", container, NULL }, ret);
}

/* ---- label sets, as JSON objects ---- */

struct pick {
	struct ex_cni_identity *id;
	const struct ex_jv *image; /* its labels */
	struct ex_jv **others;     /* specs that have to agree */
	size_t n_others;
	struct ex_cni_error *err;
};

static bool has_label(const struct ex_jv *labels, const char *key, const char *value)
{
	const char *there = ex_jv_string(labels, key);

	return there && strcmp(there, value) == 0;
}

static int pick_label(void *arg, const char *key, const struct ex_jv *v)
{
	const char *value = ex_jv_text(v);
	struct pick *pick = arg;

	if (!value || has_label(pick->image, key, value))
		return 0;
	for (size_t i = 0; i < pick->n_others; i++)
		if (!has_label(ex_jv_get(pick->others[i], "labels"), key, value))
			return 0;
	return ex_cni_label_add(pick->id, ex_span_str(key), ex_span_str(value), pick->err);
}

static bool is_id(const char *text)
{
	return strlen(text) == ID_LEN && strspn(text, "0123456789abcdef") == ID_LEN;
}

static int inspect_image(struct podman *p, const char *image, struct ex_jv **ret)
{
	static const char format[] = "{\"id\":{{json .ID}},\"labels\":{{json .Labels}}}";
	const char *id;
	int r;

	if (!is_id(image))
		return unable(p, "it does not tell the id of the image");
	r = run_json(p,
		     (const char *const[]){ "image", "inspect", "--format", format, image, NULL },
		     ret);
	if (r < 0)
		return r;
	id = ex_jv_string(*ret, "id");
	return id && strcmp(id, image) == 0 ? 0 : unable(p, "it knows another image by that id");
}

/* The labels of a spec that its image does not have and that all others have too. */
static int pick_labels(struct podman *p, struct ex_cni_identity *id, const struct ex_jv *spec,
		       struct ex_jv **others, size_t n_others)
{
	const char *image = ex_jv_string(spec, "image");
	struct pick pick = { .id = id, .others = others, .n_others = n_others, .err = p->err };
	struct ex_jv *tree = NULL;
	int r = 0;

	/* A root file system without an image has no labels of its own. */
	if (image)
		r = inspect_image(p, image, &tree);
	if (r == 0) {
		pick.image = ex_jv_get(tree, "labels");
		r = ex_jv_each(ex_jv_get(spec, "labels"), pick_label, &pick);
	}
	ex_jv_free(tree);
	return r;
}

/* ---- pods ---- */

/* `podman pod create` gave its labels to the infra container; anything else did not. */
static bool is_pod_create(const struct ex_jv *spec)
{
	const struct ex_jv *words = ex_jv_get(spec, "containerCreateCommand");

	for (size_t i = 0; i + 1 < ex_jv_count(words); i++) {
		const char *a = ex_jv_text(ex_jv_at(words, i));
		const char *b = ex_jv_text(ex_jv_at(words, i + 1));

		if (a && b && strcmp(a, "pod") == 0 && strcmp(b, "create") == 0)
			return true;
	}
	return false;
}

/* The pod's containers but for the infra container, whose lock is held: 64 digits a line. */
static int list_members(struct podman *p, const char *pod, char **ret)
{
	char filter[128];

	snprintf(filter, sizeof(filter), "pod=%s", pod);
	return run(p,
		   (const char *const[]){ "ps", "--all", "--no-trunc", "--filter", filter,
					  "--filter",
					  "name=[^a]$|[^r]a$|[^f]ra$|[^n]fra$|[^i]nfra$|[^-]infra$",
					  "--format", "{{.ID}}", NULL },
		   ret);
}

static int read_members(struct podman *p, char *list, struct ex_jv **specs, size_t *ret_n)
{
	size_t n = 0;
	int r = 0;

	while (*list && r == 0) {
		size_t len = strcspn(list, "\n");
		bool more = list[len] == '\n';

		list[len] = '\0';
		if (len && !is_id(list))
			r = unable(p, "a list of containers was to be printed");
		else if (len && n == MEMBERS_MAX)
			r = unable(p, "too many containers in a pod");
		else if (len)
			r = get_spec(p, list, &specs[n]);
		if (r == 0 && len)
			n++;
		list += len + more;
	}
	*ret_n = n;
	return r;
}

static int labels_of_members(struct podman *p, struct ex_cni_identity *id, const char *pod)
{
	struct ex_jv *specs[MEMBERS_MAX] = { NULL };
	EX_AUTO_FREE char *list = NULL;
	size_t n = 0;
	int r = list_members(p, pod, &list);

	if (r == 0 && list)
		r = read_members(p, list, specs, &n);
	if (r == 0 && n)
		r = pick_labels(p, id, specs[0], specs + 1, n - 1);
	for (size_t i = 0; i < n; i++)
		ex_jv_free(specs[i]);
	return r;
}

/* ---- from the start ---- */

/* "podman": the command and its global options, when the usual ones are not right. */
static int read_command(struct podman *p, const struct ex_jv *words)
{
	p->argv[0] = "podman";
	p->base = 1;
	if (!words)
		return 0;
	p->base = ex_jv_count(words);
	if (!p->base || p->base > ARGS_MAX - 12)
		return ex_cni_fail(p->err, EX_CNI_BAD_CONFIG, NULL,
				   "setting \"podman\" must be a list of words");
	for (size_t i = 0; i < p->base; i++) {
		p->argv[i] = ex_jv_text(ex_jv_at(words, i));
		if (!p->argv[i])
			return ex_cni_fail(p->err, EX_CNI_BAD_CONFIG, NULL,
					   "setting \"podman\" must be a list of words");
	}
	return 0;
}

int ex_cni_labels_of_podman(struct ex_cni_identity *id, const struct ex_cni_request *rq,
			    struct ex_cni_error *err)
{
	struct podman p = { .err = err };
	struct ex_jv *spec = NULL;
	const char *pod;
	int r = read_command(&p, ex_jv_get(rq->conf, "podman"));

	if (r == 0)
		r = get_spec(&p, rq->container, &spec);
	if (r < 0)
		return r;
	pod = ex_jv_string(spec, "pod");
	if (pod && !is_id(pod))
		r = unable(&p, "the pod's id is not well-formed");
	else if (pod && !is_pod_create(spec))
		r = labels_of_members(&p, id, pod);
	else
		r = pick_labels(&p, id, spec, NULL, 0);
	ex_jv_free(spec);
	return r;
}
