/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat endpoint` */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "agent/node/command.h"

#define LIST_MAX 128

static const char usage[] =
	"Usage: exeat endpoint add --netns PATH | --pid PID | --interface IF --name NAME [OPTION...]\n"
	"       exeat endpoint list\n"
	"       exeat endpoint show | remove WHICH\n"
	"       exeat endpoint label WHICH [KEY=VALUE | KEY-]...\n"
	"\n"
	"WHICH is an id, NAME, or NAMESPACE/NAME.\n"
	"\n"
	"  --netns PATH         network namespace of the workload\n"
	"  --pid PID            that of this process\n"
	"  --interface IF       its interface there (default: the only one that leads out); without\n"
	"                       --netns and --pid: the host's end of it (then --ip and --mac too)\n"
	"  --name NAME          who it is\n"
	"  --namespace NS       where it belongs (default)\n"
	"  -l, --label KEY=VAL  its labels, which policies select\n"
	"  --ip ADDR            its addresses (default: those that it has)\n"
	"  --mac MAC            of its interface (default: the one that it has)\n"
	"  --serve PORT[/udp]   where others may open flows to it; any, none\n"
	"  --dns ADDR           its nameservers (default: the node's)\n"
	"  --open               remove: let it go, everything of it passes (else nothing does)\n"
	"  --socket PATH        of the agent (" EX_CONTROL_PATH ")\n"
	"  --json               the answer as it is\n"
	"  -h, --help           this text\n"
	"\n"
	"Exit status: 0 done, 1 the agent said no, 2 wrong usage, 3 no agent answers.\n";

enum {
	OPT_NETNS = 256,
	OPT_PID,
	OPT_INTERFACE,
	OPT_NAME,
	OPT_NAMESPACE,
	OPT_IP,
	OPT_MAC,
	OPT_SERVE,
	OPT_DNS,
	OPT_SOCKET,
	OPT_OPEN,
	OPT_JSON
};

static const struct option longopts[] = {
	{ "netns", required_argument, NULL, OPT_NETNS },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "interface", required_argument, NULL, OPT_INTERFACE },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "namespace", required_argument, NULL, OPT_NAMESPACE },
	{ "label", required_argument, NULL, 'l' },
	{ "ip", required_argument, NULL, OPT_IP },
	{ "mac", required_argument, NULL, OPT_MAC },
	{ "serve", required_argument, NULL, OPT_SERVE },
	{ "dns", required_argument, NULL, OPT_DNS },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "open", no_argument, NULL, OPT_OPEN },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct list {
	const char *v[LIST_MAX];
	size_t n;
};

struct args {
	const char *netns, *pid, *interface, *name, *ns, *mac, *socket;
	struct list labels, ips, serve, dns;
	bool json, open;
	bool adds; /* an option that only add has */
	char **rest;
	int n_rest;
};

static int usage_error(const char *what)
{
	fprintf(stderr, "exeat endpoint: %s\nTry 'exeat endpoint --help'.\n", what);
	return EX_COMMAND_USAGE;
}

static bool list_add(struct list *l, const char *text)
{
	if (l->n == LIST_MAX)
		return false;
	l->v[l->n++] = text;
	return true;
}

static bool take_text(struct args *a, int c)
{
	const char **to = c == OPT_NETNS       ? &a->netns
			  : c == OPT_PID       ? &a->pid
			  : c == OPT_INTERFACE ? &a->interface
			  : c == OPT_NAME      ? &a->name
			  : c == OPT_NAMESPACE ? &a->ns
			  : c == OPT_MAC       ? &a->mac
					       : &a->socket;

	*to = optarg;
	return true;
}

static bool take_option(struct args *a, int c)
{
	a->adds |= c != OPT_SOCKET && c != OPT_OPEN && c != OPT_JSON;
	switch (c) {
	case OPT_NETNS:
	case OPT_PID:
	case OPT_INTERFACE:
	case OPT_NAME:
	case OPT_NAMESPACE:
	case OPT_MAC:
	case OPT_SOCKET:
		return take_text(a, c);
	case 'l':
		return list_add(&a->labels, optarg);
	case OPT_IP:
		return list_add(&a->ips, optarg);
	case OPT_SERVE:
		return list_add(&a->serve, optarg);
	case OPT_DNS:
		return list_add(&a->dns, optarg);
	case OPT_OPEN:
		a->open = true;
		return true;
	case OPT_JSON:
		a->json = true;
		return true;
	}
	return false;
}

/* ---- requests ---- */

static void begin(struct ex_json *j, const char *op)
{
	ex_json_init_growing(j, 1 << 20);
	ex_json_open(j, NULL, '{');
	ex_json_text(j, "op", op);
}

static void put_list(struct ex_json *j, const char *key, const struct list *l)
{
	if (!l->n)
		return;
	ex_json_open(j, key, '[');
	for (size_t i = 0; i < l->n; i++)
		ex_json_text(j, NULL, l->v[i]);
	ex_json_close(j, ']');
}

static void put_text(struct ex_json *j, const char *key, const char *text)
{
	if (text)
		ex_json_text(j, key, text);
}

/* KEY=VALUE; the key is cut out. False when it is not of that form. */
static bool split_label(const char *text, char key[static NAME_MAX + 1], const char **ret_value)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text || eq - text > NAME_MAX)
		return false;
	memcpy(key, text, (size_t)(eq - text));
	key[eq - text] = '\0';
	*ret_value = eq + 1;
	return true;
}

static bool is_number(const char *text)
{
	size_t len = strlen(text);

	return len && len < 10 && strspn(text, "0123456789") == len;
}

/* An id when it is a number, else [NAMESPACE/]NAME. */
static void put_which(struct ex_json *j, const char *which)
{
	const char *slash = strchr(which, '/');

	if (is_number(which)) {
		ex_json_number(j, "id", strtoull(which, NULL, 10));
		return;
	}
	if (slash)
		ex_json_string(j, "namespace", (struct ex_span){ which, (size_t)(slash - which) });
	ex_json_text(j, "name", slash ? slash + 1 : which);
}

static int ask(const struct args *a, struct ex_json *j, struct ex_jv **ret)
{
	int r;

	ex_json_close(j, '}');
	r = ex_command_ask(a->socket, j, ret);
	ex_json_wipe(j);
	if (r == EX_COMMAND_OK && a->json) {
		EX_AUTO_FREE char *text = ex_jv_print(ex_jv_get(*ret, "result"));

		puts(text ? text : "{}");
	}
	return r;
}

static int finish(const struct args *a, struct ex_json *j)
{
	struct ex_jv *answer = NULL;
	int r = ask(a, j, &answer);

	ex_jv_free(answer);
	return r;
}

/* ---- the sub-commands ---- */

/* NULL, or what is wrong with them. */
static const char *put_labels(struct ex_json *j, const struct list *l)
{
	ex_json_open(j, "labels", '{');
	for (size_t i = 0; i < l->n; i++) {
		char key[NAME_MAX + 1];
		const char *value;

		if (!split_label(l->v[i], key, &value))
			return "write labels as KEY=VALUE";
		for (size_t k = 0; k < i; k++)
			if (strncmp(l->v[k], l->v[i], (size_t)(value - l->v[i])) == 0)
				return "a label has one value";
		ex_json_text(j, key, value);
	}
	ex_json_close(j, '}');
	return NULL;
}

static int cmd_add(struct args *a)
{
	struct ex_jv *answer = NULL;
	const char *why;
	struct ex_json j;
	int64_t id;
	int r;

	if (!a->name || a->n_rest)
		return usage_error("add needs --name, and nothing but options");
	if (a->pid && !is_number(a->pid))
		return usage_error("--pid is a process id");
	begin(&j, "endpoint.add");
	put_text(&j, "name", a->name);
	put_text(&j, "namespace", a->ns);
	put_text(&j, "netns", a->netns);
	if (a->pid)
		ex_json_number(&j, "pid", strtoull(a->pid, NULL, 10));
	put_text(&j, "interface", a->interface);
	put_text(&j, "mac", a->mac);
	put_list(&j, "ips", &a->ips);
	put_list(&j, "dns", &a->dns);
	if (a->serve.n == 1 && strcmp(a->serve.v[0], "none") == 0) {
		ex_json_open(&j, "serve", '[');
		ex_json_close(&j, ']');
	} else {
		put_list(&j, "serve", &a->serve);
	}
	why = put_labels(&j, &a->labels);
	if (why) {
		ex_json_wipe(&j);
		return usage_error(why);
	}
	r = ask(a, &j, &answer);
	if (r == EX_COMMAND_OK && !a->json &&
	    ex_jv_integer(ex_jv_get(answer, "result"), "id", 1, INT32_MAX, &id))
		printf("%" PRId64 "\n", id);
	ex_jv_free(answer);
	return r;
}

static void print_row(const struct ex_jv *e)
{
	const struct ex_jv *ips = ex_jv_get(e, "addresses");
	char who[512];
	int64_t id = 0, revision = 0;

	(void)ex_jv_integer(e, "id", 0, INT64_MAX, &id);
	(void)ex_jv_integer(e, "revision", 0, INT64_MAX, &revision);
	snprintf(who, sizeof(who), "%s/%s", ex_jv_string(e, "namespace"), ex_jv_string(e, "name"));
	printf("%-6" PRId64 " %-10s %-9s %-8" PRId64 " %-32s ", id, ex_jv_string(e, "state"),
	       ex_jv_string(e, "proxy"), revision, who);
	for (size_t i = 0; i < ex_jv_count(ips); i++)
		printf("%s%s", i ? "," : "", ex_jv_text(ex_jv_at(ips, i)));
	putchar('\n');
}

static int cmd_list(struct args *a)
{
	struct ex_jv *answer = NULL;
	const struct ex_jv *list;
	struct ex_json j;
	int r;

	begin(&j, "endpoint.list");
	r = ask(a, &j, &answer);
	list = ex_jv_get(ex_jv_get(answer, "result"), "endpoints");
	if (r == EX_COMMAND_OK && !a->json) {
		printf("%-6s %-10s %-9s %-8s %-32s %s\n", "ID", "STATE", "PROXY", "REVISION",
		       "ENDPOINT", "ADDRESSES");
		for (size_t i = 0; i < ex_jv_count(list); i++)
			print_row(ex_jv_at(list, i));
	}
	ex_jv_free(answer);
	return r;
}

static int cmd_one(struct args *a, const char *op)
{
	struct ex_json j;

	if (a->n_rest != 1)
		return usage_error("name one endpoint");
	begin(&j, op);
	put_which(&j, a->rest[0]);
	if (a->open)
		ex_json_bool(&j, "open", true);
	return finish(a, &j);
}

struct relabel {
	const struct args *args;
	struct ex_json *j;
};

/* A label that is there stays, unless the command says otherwise. */
static int keep_label(void *arg, const char *key, const struct ex_jv *v)
{
	const struct relabel *rl = arg;
	size_t n = strlen(key);

	for (int i = 1; i < rl->args->n_rest; i++) {
		const char *t = rl->args->rest[i];

		if (strncmp(t, key, n) == 0 && (t[n] == '=' || (t[n] == '-' && !t[n + 1])))
			return 0;
	}
	ex_json_text(rl->j, key, ex_jv_text(v));
	return 0;
}

/* KEY- */
static bool takes_away(const char *text)
{
	size_t len = strlen(text);

	return len > 1 && text[len - 1] == '-';
}

static int send_labels(struct args *a, const struct ex_jv *old)
{
	struct ex_json j;
	const struct relabel rl = { a, &j };

	begin(&j, "endpoint.labels");
	put_which(&j, a->rest[0]);
	ex_json_open(&j, "labels", '{');
	(void)ex_jv_each(old, keep_label, (void *)(uintptr_t)&rl);
	for (int i = 1; i < a->n_rest; i++) {
		char key[NAME_MAX + 1];
		const char *value;

		if (split_label(a->rest[i], key, &value)) {
			ex_json_text(&j, key, value);
		} else if (!takes_away(a->rest[i])) {
			ex_json_wipe(&j);
			return usage_error("write KEY=VALUE to set a label, KEY- to take it away");
		}
	}
	ex_json_close(&j, '}');
	return finish(a, &j);
}

static int cmd_label(struct args *a)
{
	struct args quiet = *a;
	struct ex_jv *answer = NULL;
	struct ex_json j;
	int r;

	if (a->n_rest < 2)
		return usage_error("name one endpoint, and what to change");
	quiet.json = false;
	begin(&j, "endpoint.show");
	put_which(&j, a->rest[0]);
	r = ask(&quiet, &j, &answer);
	if (r == EX_COMMAND_OK)
		r = send_labels(a, ex_jv_get(ex_jv_get(answer, "result"), "labels"));
	ex_jv_free(answer);
	return r;
}

int ex_cmd_endpoint(int argc, char **argv)
{
	struct args a = { .socket = EX_CONTROL_PATH };
	const char *what;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "l:h", longopts, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return EX_COMMAND_OK;
		}
		if (!take_option(&a, c))
			return usage_error("wrong option, or too many of one");
	}
	if (optind >= argc)
		return usage_error("what? add, list, show, remove or label");
	what = argv[optind];
	a.rest = argv + optind + 1;
	a.n_rest = argc - optind - 1;
	if (a.open && strcmp(what, "remove") != 0)
		return usage_error("--open is for remove");
	if (strcmp(what, "add") == 0)
		return cmd_add(&a);
	if (a.adds)
		return usage_error("these options are for add; all others name an endpoint");
	if (strcmp(what, "list") == 0)
		return a.n_rest ? usage_error("list takes no endpoint: show does") : cmd_list(&a);
	if (strcmp(what, "label") == 0)
		return cmd_label(&a);
	if (strcmp(what, "remove") == 0)
		return cmd_one(&a, "endpoint.remove");
	if (strcmp(what, "show") == 0) {
		a.json = true;
		return cmd_one(&a, "endpoint.show");
	}
	return usage_error("what? add, list, show, remove or label");
}
