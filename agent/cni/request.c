/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>

#include "agent/cni/request.h"
#include "agent/control/client.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

#define VERSION_LEN 40

static const char *const versions[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" };

/* Which variables a command needs, and since which of the versions it is there. */
static const struct verb {
	const char *word;
	enum ex_cni_command command;
	size_t since;
	bool container, netns;
} verbs[] = {
	{ "ADD", EX_CNI_ADD, 0, true, true },
	{ "DEL", EX_CNI_DEL, 0, true, false },
	{ "CHECK", EX_CNI_CHECK, 2, true, true },
	{ "GC", EX_CNI_GC, 4, false, false },
	{ "STATUS", EX_CNI_STATUS, 4, false, false },
	{ "VERSION", EX_CNI_VERSION, 0, false, false },
};

/* Keys of a plugin's configuration that are everybody's, then ours. */
static const char *const keys[] = {
	"cniVersion",    "cniVersions", "name",     "type",           "args",        "capabilities",
	"runtimeConfig", "prevResult",  "dns",      "ipMasq",         "ipam",        "disableCheck",
	"disableGC",     "socket",      "stateDir", "timeoutSeconds", "onAgentDown", "namespace",
	"labels",        "labelsFrom",  "podman",   "serve",
};

const char *ex_cni_version(size_t i)
{
	return i < EX_ARRAY_SIZE(versions) ? versions[i] : NULL;
}

int ex_cni_fail(struct ex_cni_error *err, enum ex_cni_code code, const char *details,
		const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	snprintf(err->details, sizeof(err->details), "%s", details ? details : "");
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int read_input(FILE *in, char *text, size_t *ret_len, struct ex_cni_error *err)
{
	if (!text)
		return ex_cni_fail(err, EX_CNI_IO, NULL, "out of memory");
	*ret_len = fread(text, 1, EX_CNI_INPUT_MAX, in);
	if (ferror(in))
		return ex_cni_fail(err, EX_CNI_IO, NULL, "stdin cannot be read");
	if (*ret_len == EX_CNI_INPUT_MAX)
		return ex_cni_fail(err, EX_CNI_BAD_JSON, NULL, "the configuration is over 1 MiB");
	return 0;
}

static int read_version(struct ex_cni_request *rq, size_t *ret_at, struct ex_cni_error *err)
{
	const char *text = ex_jv_string(rq->conf, "cniVersion");

	for (size_t i = 0; text && i < EX_ARRAY_SIZE(versions); i++)
		if (strcmp(text, versions[i]) == 0) {
			*ret_at = i;
			rq->version = versions[i];
			return 0;
		}
	return ex_cni_fail(err, EX_CNI_BAD_VERSION, "0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0 are",
			   "cniVersion \"%.40s\" is not supported", text ? text : "");
}

static bool is_word(const char *s, const char *others, size_t max)
{
	size_t n = strspn(s, LETTERS "-_.:@");

	for (size_t i = 0; i < n; i++)
		if (!strchr(LETTERS, s[i]) && !strchr(others, s[i]))
			return false;
	return n && !s[n] && n <= max && strchr(LETTERS, s[0]);
}

static bool is_ifname(const char *s)
{
	return is_word(s, "-_.@", 15);
}

static int read_env(struct ex_cni_request *rq, const struct verb *verb,
		    const struct ex_cni_env *env, struct ex_cni_error *err)
{
	rq->container = env->container ? env->container : "";
	rq->netns = env->netns ? env->netns : "";
	rq->ifname = env->ifname ? env->ifname : "";
	rq->args = env->args ? env->args : "";
	if (verb->container && !is_word(rq->container, "-_.", 255))
		return ex_cni_fail(err, EX_CNI_BAD_ENV, "letters, digits, - _ and .",
				   "CNI_CONTAINERID is missing or not well-formed");
	if (verb->container && !is_ifname(rq->ifname))
		return ex_cni_fail(err, EX_CNI_BAD_ENV, "the name of an interface",
				   "CNI_IFNAME is missing or not well-formed");
	if (verb->netns && rq->netns[0] != '/')
		return ex_cni_fail(err, EX_CNI_BAD_ENV, "an absolute path", "CNI_NETNS is missing");
	return 0;
}

/* A misspelt setting is not no setting. Keys with a slash are the runtimes'. */
static int check_key(void *arg, const char *key, const struct ex_jv *v)
{
	(void)v;
	for (size_t i = 0; i < EX_ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return 0;
	return strchr(key, '/') ? 0
				: ex_cni_fail(arg, EX_CNI_BAD_CONFIG, NULL,
					      "no such setting: \"%.60s\"", key);
}

static int bad_setting(struct ex_cni_error *err, const char *key, const char *what)
{
	return ex_cni_fail(err, EX_CNI_BAD_CONFIG, what, "setting \"%s\" is not well-formed", key);
}

/* The text of a key, or what to take when it is not there; NULL when it is no text. */
static const char *text_or(const struct ex_jv *conf, const char *key, const char *otherwise)
{
	return ex_jv_get(conf, key) ? ex_jv_string(conf, key) : otherwise;
}

static int read_settings(struct ex_cni_request *rq, struct ex_cni_error *err)
{
	const char *down = text_or(rq->conf, "onAgentDown", "fail");
	const char *labels = text_or(rq->conf, "labelsFrom", "");
	int64_t seconds = EX_CNI_TIMEOUT_MS / 1000;

	rq->socket = text_or(rq->conf, "socket", EX_CONTROL_PATH);
	rq->state_dir = text_or(rq->conf, "stateDir", EX_CNI_STATE_DIR);
	if (!rq->socket || rq->socket[0] != '/')
		return bad_setting(err, "socket", "an absolute path");
	if (!rq->state_dir || rq->state_dir[0] != '/')
		return bad_setting(err, "stateDir", "an absolute path");
	if (ex_jv_get(rq->conf, "timeoutSeconds") &&
	    !ex_jv_integer(rq->conf, "timeoutSeconds", 1, 600, &seconds))
		return bad_setting(err, "timeoutSeconds", "1 to 600");
	if (!down || (strcmp(down, "fail") != 0 && strcmp(down, "closed") != 0))
		return bad_setting(err, "onAgentDown", "\"fail\" or \"closed\"");
	if (ex_jv_get(rq->conf, "serve") && !ex_jv_is_array(ex_jv_get(rq->conf, "serve")))
		return bad_setting(err, "serve", "a list, as [\"80\", \"53/udp\"]");
	if (!labels || (*labels && strcmp(labels, "podman") != 0))
		return bad_setting(err, "labelsFrom", "\"podman\"");
	rq->timeout_ms = (int)seconds * 1000;
	rq->closed = strcmp(down, "closed") == 0;
	rq->from_podman = *labels != '\0';
	return 0;
}

static const struct verb *find_verb(const char *word)
{
	for (size_t i = 0; word && i < EX_ARRAY_SIZE(verbs); i++)
		if (strcmp(word, verbs[i].word) == 0)
			return &verbs[i];
	return NULL;
}

int ex_cni_request_read(struct ex_cni_request *rq, const struct ex_cni_env *env, FILE *in,
			struct ex_cni_error *err)
{
	const struct verb *verb = find_verb(env->command);
	EX_AUTO_FREE char *text = malloc(EX_CNI_INPUT_MAX);
	char why[EX_JV_ERROR_MAX];
	size_t len = 0, version = 0;
	int r;

	*rq = (struct ex_cni_request){ 0 };
	r = read_input(in, text, &len, err);
	if (r < 0)
		return r;
	if (!verb)
		return ex_cni_fail(err, EX_CNI_BAD_ENV, NULL, "CNI_COMMAND \"%.20s\" is not known",
				   env->command ? env->command : "");
	if (ex_jv_read((struct ex_span){ text, len }, &rq->conf, why) < 0)
		return ex_cni_fail(err, EX_CNI_BAD_JSON, why, "the configuration is not JSON");
	rq->command = verb->command;
	rq->version = ex_jv_string(rq->conf, "cniVersion");
	if (rq->version && strlen(rq->version) > VERSION_LEN)
		rq->version = NULL; /* it is answered with, and there has to be room */
	if (verb->command == EX_CNI_VERSION)
		return 0;
	r = read_version(rq, &version, err);
	if (r == 0 && version < verb->since)
		r = ex_cni_fail(err, EX_CNI_BAD_ENV, NULL, "CNI_COMMAND %s is not of cniVersion %s",
				verb->word, rq->version);
	if (r == 0)
		r = read_env(rq, verb, env, err);
	if (r == 0)
		r = ex_jv_each(rq->conf, check_key, err);
	if (r == 0)
		r = read_settings(rq, err);
	rq->prev = ex_jv_get(rq->conf, "prevResult");
	if (r == 0 && !ex_jv_string(rq->conf, "name"))
		r = ex_cni_fail(err, EX_CNI_BAD_CONFIG, NULL, "the network has no name");
	return r;
}

void ex_cni_request_done(struct ex_cni_request *rq)
{
	ex_jv_free(rq->conf);
	rq->conf = NULL;
}
