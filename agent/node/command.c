/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat status`, `exeat policy apply`, and how all of them ask. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/node/command.h"
#include "exeat/text.h"

#define TIMEOUT_MS 60000 /* a round with many endpoints takes seconds at the most */

int ex_command_ask(const char *socket, const struct ex_json *request, struct ex_jv **ret)
{
	struct ex_control_error err = { 0 };
	ssize_t n = ex_json_done(request);
	int r;

	if (n < 0) {
		ex_error("the request is too large");
		return EX_COMMAND_USAGE;
	}
	r = ex_control_call(socket, (struct ex_span){ request->out, (size_t)n }, TIMEOUT_MS, ret,
			    &err);
	if (r == 0)
		return EX_COMMAND_OK;
	ex_error("%s: %s", err.code, err.message);
	return r == -EREMOTEIO ? EX_COMMAND_NO : EX_COMMAND_NOBODY;
}

static int ask_status(const char *socket, struct ex_jv **ret)
{
	struct ex_json j;
	char buf[128];

	ex_json_init(&j, buf, sizeof(buf));
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "op", "status");
	ex_json_close(&j, '}');
	return ex_command_ask(socket, &j, ret);
}

/* ---- options that both have ---- */

struct args {
	const char *socket;
	bool json, wait;
};

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, const char *usage, struct args *a)
{
	static const struct option longopts[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "wait", no_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	*a = (struct args){ .socket = EX_CONTROL_PATH };
	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return EX_COMMAND_OK;
		}
		if (c == 's')
			a->socket = optarg;
		else if (c == 'j')
			a->json = true;
		else if (c == 'w')
			a->wait = true;
		else
			return EX_COMMAND_USAGE;
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return EX_COMMAND_USAGE;
	}
	return -1;
}

static int64_t number(const struct ex_jv *v, const char *key)
{
	int64_t n = 0;

	(void)ex_jv_integer(v, key, INT64_MIN, INT64_MAX, &n);
	return n;
}

/* ---- status ---- */

/* Names of files are in it. */
static void print_tame(const char *before, const char *text, const char *after)
{
	EX_AUTO_FREE char *copy = strdup(text);

	if (copy)
		ex_tame(copy);
	printf("%s%s%s", before, copy ? copy : "", after);
}

static void print_warnings(const struct ex_jv *result)
{
	const struct ex_jv *w = ex_jv_get(result, "warnings");

	for (size_t i = 0; i < ex_jv_count(w); i++)
		print_tame("warning    ", ex_jv_text(ex_jv_at(w, i)), "\n");
}

static void print_resolvers(const struct ex_jv *r)
{
	const struct ex_jv *servers = ex_jv_get(r, "servers");
	const char *file = ex_jv_word(r, "file"), *error = ex_jv_word(r, "error");

	fputs("resolvers ", stdout);
	for (size_t i = 0; i < ex_jv_count(servers); i++)
		printf(" %s", ex_jv_text(ex_jv_at(servers, i)));
	fputs(ex_jv_count(servers) ? "" : " none", stdout);
	print_tame(*file ? ", as in " : "", file, *error ? " when it was last valid\n" : "\n");
	if (*error) {
		print_tame("           ", file, ": ");
		print_tame("", error, "\n");
	}
}

static void print_status(const struct ex_jv *s)
{
	const struct ex_jv *e = ex_jv_get(s, "endpoints"), *p = ex_jv_get(s, "policies");

	printf("agent      %s, pid %" PRId64 "\n", ex_jv_word(s, "version"), number(s, "pid"));
	printf("endpoints  %" PRId64 " enforcing, %" PRId64 " degraded, %" PRId64 " closed\n",
	       number(e, "enforcing"), number(e, "degraded"), number(e, "closed"));
	printf("policies   revision %" PRId64 ", %" PRId64 " files, %" PRId64 " times refused\n",
	       number(p, "revision"), number(p, "files"), number(p, "rejected"));
	if (*ex_jv_word(p, "error"))
		print_tame("           not valid: ", ex_jv_word(p, "error"), "\n");
	print_resolvers(ex_jv_get(s, "resolvers"));
	print_warnings(s);
}

int ex_cmd_status(int argc, char **argv)
{
	static const char usage[] = "Usage: exeat status [--json] [--socket PATH]\n\n"
				    "Endpoints, policies and warnings of the agent on this node.\n"
				    "Exit status: 0; 1 the agent said no; 3 no agent answers.\n";
	struct ex_jv *answer = NULL;
	struct args a;
	int r = parse(argc, argv, usage, &a);

	if (r >= 0)
		return r;
	r = ask_status(a.socket, &answer);
	if (r == EX_COMMAND_OK && a.json) {
		EX_AUTO_FREE char *json = ex_jv_print(ex_jv_get(answer, "result"));

		puts(json ? json : "{}");
	} else if (r == EX_COMMAND_OK) {
		print_status(ex_jv_get(answer, "result"));
	}
	ex_jv_free(answer);
	return r;
}

/* ---- policy apply ---- */

int ex_cmd_policy_apply(int argc, char **argv)
{
	static const char usage[] =
		"Usage: exeat policy apply [--wait] [--json] [--socket PATH]\n\n"
		"Makes the agent read its policy directories now. --wait: until they are in force\n"
		"in both gates of every endpoint, or refused.\n"
		"Exit status: 0; 1 the policies are not valid (the former ones stay in force);\n"
		"3 no agent answers.\n";
	struct ex_jv *answer = NULL;
	const struct ex_jv *result;
	struct ex_json j;
	char buf[64];
	struct args a;
	int r = parse(argc, argv, usage, &a);

	if (r >= 0)
		return r;
	ex_json_init(&j, buf, sizeof(buf));
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "op", "policy.apply");
	ex_json_bool(&j, "wait", a.wait);
	ex_json_close(&j, '}');
	r = ex_command_ask(a.socket, &j, &answer);
	result = ex_jv_get(answer, "result");
	if (r == EX_COMMAND_OK && a.json) {
		EX_AUTO_FREE char *json = ex_jv_print(result);

		puts(json ? json : "{}");
	} else if (r == EX_COMMAND_OK && a.wait) {
		printf("revision %" PRId64 ", %" PRId64 " files\n", number(result, "revision"),
		       number(result, "files"));
		print_warnings(result);
	}
	ex_jv_free(answer);
	return r;
}
