/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/tool.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>

#include "exeat/text.h"

static const char usage_text[] =
	"usage: exeat policy COMMAND [ARG...]\n"
	"\n"
	"  check FILE...              errors, and warnings for what is surely not meant\n"
	"        [--strict] [--ingress] [--format text|json|sarif]\n"
	"  explain FILE... --to DEST  the verdict on one request, and what every rule says to it\n"
	"        [-X METHOD] [-H 'NAME: VALUE'] [--address IP] [--sni NAME] [--format text|json]\n"
	"  explain FILE... --ingress --from IP --to PORT\n"
	"                             the same for who opens a flow to the workload, on a node\n"
	"  test DIR|FILE...           run the *.test.yaml fixtures, print TAP and rule coverage\n"
	"  diff OLD NEW               what is newly allowed or denied, with an example each\n"
	"        [--format text|json]\n"
	"  dump FILE...               the compiled ruleset\n"
	"  presets [NAME]             list the presets, or print one\n"
	"  apply [--wait]             have the agent read its policy directories now\n"
	"\n"
	"With check, explain, diff and dump:";

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "check", ex_tool_check,
	  "usage: exeat policy check [OPTION...] FILE...\n\n"
	  "Errors, and warnings for what is legal but surely not meant.\n\n"
	  "  --strict                 warnings are errors\n"
	  "  --ingress                the policies are for a node, which enforces ingress as well\n"
	  "  --format text|json|sarif\n" },
	{ "explain", ex_tool_explain,
	  "usage: exeat policy explain FILE... --to DEST [OPTION...]\n"
	  "       exeat policy explain FILE... --ingress --from IP --to PORT [OPTION...]\n\n"
	  "The verdict of the gates on one request, the rule, what every rule says to it, and the\n"
	  "smallest edit that changes it. Exit status: 0 allowed, 1 denied, 2 wrong usage.\n\n"
	  "  --to DEST                see below\n"
	  "  --ingress                who opens a flow to the workload, instead of what it opens\n"
	  "  --from IP                the address that it comes from\n"
	  "  -X, --method METHOD      GET, when it is left out\n"
	  "  -H, --header 'NAME: VALUE'  may be repeated\n"
	  "  --address IP             what DNS gave for the name, when it is not any of the world's\n"
	  "  --sni NAME               the TLS server name, when it is not the name of DEST\n"
	  "  --format text|json\n" },
	{ "test", ex_tool_test,
	  "usage: exeat policy test DIR|FILE.test.yaml...\n\n"
	  "Runs the *.test.yaml fixtures there, of egress and of ingress; prints TAP, and the rules\n"
	  "that no fixture meets.\n" },
	{ "diff", ex_tool_diff,
	  "usage: exeat policy diff OLD NEW [OPTION...]\n\n"
	  "What is newly allowed or denied, in both directions, with an example each. Exit status: 0\n"
	  "nothing, 1 something, 2 wrong usage.\n\n"
	  "  --format text|json\n" },
	{ "dump", ex_tool_dump,
	  "usage: exeat policy dump FILE... [OPTION...]\n\n"
	  "The compiled rulesets of both directions: rules, destinations (of ingress: who comes),\n"
	  "entries of the kernel gate.\n" },
	{ "presets", ex_tool_presets,
	  "usage: exeat policy presets [NAME]\n\n"
	  "Lists the presets, or prints one.\n" },
};

static const char common_help[] =
	"\n"
	"  -l, --label KEY=VALUE    a label of the workload (default: every policy applies)\n"
	"  --endpoints FILE         which addresses carry which labels\n"
	"  --secrets DIR            what rules mean by a secret: DIR/NAMESPACE/NAME\n"
	"  --no-metadata            do not deny the cloud metadata addresses\n"
	"  --serve PORT[/udp]|any|none  where anybody may open flows to the workload, as long as no\n"
	"                           policy turns default deny on for ingress (default: any)\n";

static const char dest_help[] =
	"\n"
	"  DEST: https://HOST/PATH, http://HOST:PORT/PATH, HOST:PORT, IP:PORT/udp, [V6]:PORT,\n"
	"        icmp:IP[/TYPE]; with --ingress PORT, PORT/udp, PORT/sctp, icmp[/TYPE]\n";

static void print_usage(FILE *out)
{
	(void)fprintf(out, "%s%s%s%s", usage_text, common_help, dest_help,
		      "\n'exeat policy COMMAND --help' says more; so does docs/policy.md.\n");
}

static bool is_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static int print_help(const struct command *c)
{
	(void)fputs(c->help, stdout);
	if (c->run != ex_tool_test && c->run != ex_tool_presets)
		(void)fputs(common_help, stdout);
	if (c->run == ex_tool_explain)
		(void)fputs(dest_help, stdout);
	return EX_TOOL_OK;
}

static int run_command(const struct command *c, int argc, char **argv)
{
	char called[40], *word = argv[0];
	int r;

	for (int i = 1; i < argc; i++) {
		if (is_help(argv[i]))
			return print_help(c);
	}
	(void)snprintf(called, sizeof(called), "exeat policy %s", c->name);
	argv[0] = called; /* getopt(3) begins what it says with it */
	r = c->run(argc, argv);
	argv[0] = word;
	return r;
}

int ex_cmd_policy(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return EX_TOOL_USAGE;
	}
	if (is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return EX_TOOL_OK;
	}
	for (size_t i = 0; i < EX_ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return run_command(&commands[i], argc - 1, argv + 1);
	}
	(void)fprintf(stderr, "exeat policy: no command \"%s\"\n", argv[1]);
	print_usage(stderr);
	return EX_TOOL_USAGE;
}

/* ---- options ---- */

static int add_label(struct ex_tool *t, char *text)
{
	char *eq = strchr(text, '=');

	if (!eq || eq == text || t->in.n_labels == EX_TOOL_LABELS_MAX) {
		(void)fprintf(stderr, "exeat policy: -l needs KEY=VALUE\n");
		return EX_TOOL_USAGE;
	}
	*eq = '\0';
	t->labels[t->in.n_labels++] = (struct ex_label){ text, eq + 1 };
	return EX_TOOL_OK;
}

static int add_serve(struct ex_tool *t, const char *text)
{
	if (t->inward.n == EX_TOOL_SERVES_MAX) {
		(void)fprintf(stderr, "exeat policy: more than %d --serve\n", EX_TOOL_SERVES_MAX);
		return EX_TOOL_USAGE;
	}
	t->serve_given = true;
	if (strcmp(text, "none") == 0)
		return EX_TOOL_OK;
	if (!ex_served_parse(text, &t->served[t->inward.n++])) {
		(void)fprintf(stderr,
			      "exeat policy: --serve needs PORT[/udp|/sctp], any or none\n");
		return EX_TOOL_USAGE;
	}
	return EX_TOOL_OK;
}

enum {
	OPT_ENDPOINTS = 256,
	OPT_NO_METADATA,
	OPT_FORMAT,
	OPT_STRICT,
	OPT_TO,
	OPT_ADDRESS,
	OPT_SNI,
	OPT_SECRETS,
	OPT_INGRESS,
	OPT_FROM,
	OPT_SERVE,
};

static int take_option(struct ex_tool *t, int opt, char *arg)
{
	switch (opt) {
	case 'l':
		return add_label(t, arg);
	case 'X':
		t->method = arg;
		return EX_TOOL_OK;
	case 'H':
		if (t->n_headers == EX_ARRAY_SIZE(t->headers))
			return EX_TOOL_USAGE;
		t->headers[t->n_headers++] = arg;
		return EX_TOOL_OK;
	case OPT_ENDPOINTS:
		t->in.endpoints_file = arg;
		return EX_TOOL_OK;
	case OPT_SECRETS:
		t->in.secrets_dir = arg;
		return EX_TOOL_OK;
	case OPT_NO_METADATA:
		t->in.deny_metadata = false;
		return EX_TOOL_OK;
	case OPT_FORMAT:
		t->format = arg;
		return EX_TOOL_OK;
	case OPT_STRICT:
		t->strict = true;
		return EX_TOOL_OK;
	case OPT_INGRESS:
		t->ingress = true;
		return EX_TOOL_OK;
	case OPT_FROM:
		t->from = arg;
		return EX_TOOL_OK;
	case OPT_SERVE:
		return add_serve(t, arg);
	case OPT_TO:
		t->to = arg;
		return EX_TOOL_OK;
	case OPT_ADDRESS:
		t->address = arg;
		return EX_TOOL_OK;
	case OPT_SNI:
		t->sni = arg;
		return EX_TOOL_OK;
	default:
		return EX_TOOL_USAGE;
	}
}

/* An option of another command would be taken and do nothing: a command has what its usage says. */
static bool is_of(const char *usage, int opt)
{
	static const struct {
		int opt;
		const char *text;
	} own[] = {
		{ 'X', "[-X " },
		{ 'H', "[-H " },
		{ OPT_TO, "--to " },
		{ OPT_SNI, "[--sni " },
		{ OPT_FROM, "--from " },
		{ OPT_FORMAT, "[--format " },
		{ OPT_STRICT, "[--strict]" },
		{ OPT_INGRESS, "[--ingress" },
		{ OPT_ADDRESS, "[--address " },
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(own); i++)
		if (own[i].opt == opt)
			return strstr(usage, own[i].text) != NULL;
	return true;
}

int ex_tool_parse(int argc, char **argv, const char *usage, struct ex_tool *ret)
{
	static const struct option options[] = {
		{ "label", required_argument, NULL, 'l' },
		{ "header", required_argument, NULL, 'H' },
		{ "method", required_argument, NULL, 'X' },
		{ "endpoints", required_argument, NULL, OPT_ENDPOINTS },
		{ "secrets", required_argument, NULL, OPT_SECRETS },
		{ "no-metadata", no_argument, NULL, OPT_NO_METADATA },
		{ "format", required_argument, NULL, OPT_FORMAT },
		{ "strict", no_argument, NULL, OPT_STRICT },
		{ "ingress", no_argument, NULL, OPT_INGRESS },
		{ "from", required_argument, NULL, OPT_FROM },
		{ "serve", required_argument, NULL, OPT_SERVE },
		{ "to", required_argument, NULL, OPT_TO },
		{ "address", required_argument, NULL, OPT_ADDRESS },
		{ "sni", required_argument, NULL, OPT_SNI },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*ret = (struct ex_tool){ .format = "text", .in.deny_metadata = true };
	optind = 1;
	while ((opt = getopt_long(argc, argv, "l:X:H:", options, NULL)) != -1) {
		if (!is_of(usage, opt) || take_option(ret, opt, optarg) != EX_TOOL_OK) {
			(void)fprintf(stderr, "usage: exeat policy %s\n", usage);
			return EX_TOOL_USAGE;
		}
	}
	for (; optind < argc && ret->in.n_files < EX_TOOL_FILES_MAX; optind++)
		ret->files[ret->in.n_files++] = argv[optind];
	if (optind < argc) {
		(void)fprintf(stderr, "exeat policy: more than %d files\n", EX_TOOL_FILES_MAX);
		return EX_TOOL_USAGE;
	}
	if (!ret->serve_given)
		ret->inward.n = 1; /* all of it is zero: any port */
	ret->inward.v = ret->served;
	ret->in.files = ret->files;
	ret->in.labels = ret->labels;
	return EX_TOOL_OK;
}

struct ex_ruleset *ex_tool_compile(const struct ex_compile_input *in)
{
	struct ex_compile_input with = *in;
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r;

	with.allow_unselected = in->inward != NULL;
	r = ex_compile(&with, &rs, &diags);
	if (r == 0 && ex_tool_is_about_nothing(rs)) {
		rs = ex_ruleset_unref(rs);
		ex_diags_done(&diags);
		r = ex_compile(in, &rs, &diags);
	}
	if (r < 0)
		ex_diags_print(&diags, stderr);
	if (r < 0 && diags.n == 0)
		(void)fprintf(stderr, "exeat policy: %s\n", strerrordesc_np(-r));
	ex_diags_done(&diags);
	return rs;
}

bool ex_tool_is_about_nothing(const struct ex_ruleset *rs)
{
	const struct ex_ruleset *ingress = ex_ruleset_ingress(rs);

	return ex_ruleset_is_unselected(rs) && (!ingress || ex_ruleset_is_unselected(ingress));
}

struct ex_decision ex_tool_judge(const struct ex_ruleset *rs, const struct ex_probe *p)
{
	enum ex_step step;

	if (!p->ingress && ex_ruleset_is_unselected(rs))
		return (struct ex_decision){ EX_V_DENY, EX_R_DEFAULT_DENY, 0 };
	return ex_probe_judge(rs, p, &step);
}

/* ---- words ---- */

void ex_tool_json_string(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			(void)fprintf(out, "\\%c", *p);
		else if (*p >= 0x20 && *p < 0x7f)
			(void)fputc(*p, out);
		else
			(void)fprintf(out, "\\u%04x", *p);
	}
	(void)fputc('"', out);
}

void ex_tool_print_text(const char *text)
{
	EX_AUTO_FREE char *copy = strdup(text);

	if (copy)
		ex_tame(copy);
	(void)fputs(copy ? copy : "?", stdout);
}

void ex_tool_print_rule(FILE *out, const struct ex_ruleset *rs, uint32_t rule)
{
	const struct ex_rule_info *info = ex_ruleset_rule(rs, rule);

	if (info)
		(void)fprintf(out, "%s:%d  %s %s", info->file, info->line, info->policy,
			      info->where);
	else
		(void)fputs("no rule", out);
}

const char *ex_verdict_word(enum ex_verdict verdict)
{
	switch (verdict) {
	case EX_V_ALLOW:
		return "ALLOW";
	case EX_V_STEER:
		return "STEER";
	case EX_V_INVALID:
	case EX_V_DENY:
		break;
	}
	return "DENY";
}
