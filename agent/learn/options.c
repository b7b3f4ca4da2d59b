/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>

#include "agent/control/client.h"
#include "agent/core/log.h"
#include "agent/learn/options.h"

static const char usage[] =
	"Usage: exeat learn [OPTION...] -- COMMAND [ARG...]\n"
	"       exeat learn [OPTION...] --endpoint [NAMESPACE/]NAME\n"
	"       exeat learn [OPTION...] --from AUDIT-LOG\n"
	"\n"
	"Runs COMMAND as 'exeat run' does, denies nothing but metadata and the host's own\n"
	"addresses, and writes a policy that allows what COMMAND did, with fixtures for it.\n"
	"TLS is read where the client accepts exeat's certificates, else passed by its name.\n"
	"\n"
	"  -o, --output FILE        the policy (default: learned.yaml; fixtures: learned.test.yaml)\n"
	"      --force              overwrite them\n"
	"      --format FORMAT      egress (default): EgressPolicy; cnp: CiliumNetworkPolicy\n"
	"      --name NAME          of the policy (default: learned)\n"
	"      --namespace NAME     of the policy\n"
	"  -l, --label KEY=VALUE    the policy selects by it; may be repeated\n"
	"      --for TIME           ends COMMAND after TIME: 90s, 10m, 2h\n"
	"      --endpoint NAME      learns what an endpoint of the agent does, for TIME (10m), or\n"
	"                           until interrupted; its policy is not in force meanwhile\n"
	"      --socket PATH        of the agent (default: /run/exeat/agent.sock)\n"
	"      --passthrough NAME   TLS to NAME is not read from the start; may be repeated\n"
	"      --from FILE          learns from an audit log (JSON) and runs nothing\n"
	"      --run NAME           of the log, only the records of this run or endpoint\n"
	"      --dns ADDR, --upstream-ca FILE, --user NAME, --allow-metadata\n"
	"                           as for 'exeat run'\n"
	"  -h, --help               this text\n"
	"\n"
	"Exit status: that of COMMAND; 125 when exeat failed.\n"
	"\n"
	"Example:\n"
	"  sudo exeat learn -o agent.yaml -- node agent.js\n"
	"  exeat policy test agent.test.yaml\n"
	"  sudo exeat run -p agent.yaml -- node agent.js\n";

enum {
	OPT_FORCE = 256,
	OPT_FORMAT,
	OPT_NAME,
	OPT_NAMESPACE,
	OPT_FOR,
	OPT_PASSTHROUGH,
	OPT_FROM,
	OPT_ENDPOINT,
	OPT_SOCKET,
	OPT_RUN,
	OPT_DNS,
	OPT_UPSTREAM_CA,
	OPT_USER,
	OPT_METADATA,
};

static const struct option longopts[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "namespace", required_argument, NULL, OPT_NAMESPACE },
	{ "label", required_argument, NULL, 'l' },
	{ "for", required_argument, NULL, OPT_FOR },
	{ "passthrough", required_argument, NULL, OPT_PASSTHROUGH },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "run", required_argument, NULL, OPT_RUN },
	{ "endpoint", required_argument, NULL, OPT_ENDPOINT },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "dns", required_argument, NULL, OPT_DNS },
	{ "upstream-ca", required_argument, NULL, OPT_UPSTREAM_CA },
	{ "user", required_argument, NULL, OPT_USER },
	{ "allow-metadata", no_argument, NULL, OPT_METADATA },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* What stands in YAML without quotes. */
static bool is_word(const char *s, const char *more)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	if (!s[0])
		return false;
	for (; *s; s++)
		if (!strchr(plain, *s) && !strchr(more, *s))
			return false;
	return true;
}

static int mistake(const char *option, const char *text, const char *wanted)
{
	ex_error("%s %s: %s", option, text, wanted);
	return -EINVAL;
}

static int set_word(const char **at, const char *option, const char *text)
{
	if (!is_word(text, ""))
		return mistake(option, text, "write letters, digits, '-', '.' and '_'");
	*at = text;
	return 0;
}

static int set_format(struct ex_learn_options *o, const char *text)
{
	if (strcmp(text, "egress") == 0)
		o->title.format = EX_LEARN_EGRESS;
	else if (strcmp(text, "cnp") == 0)
		o->title.format = EX_LEARN_CNP;
	else
		return mistake("--format", text, "write egress or cnp");
	return 0;
}

static int set_output(struct ex_learn_options *o, const char *text)
{
	if (strcmp(text, "-") == 0)
		return mistake("--output", text, "write a file: the fixtures go beside it");
	o->output = text;
	return 0;
}

static int set_time(struct ex_learn_options *o, const char *text)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (strcmp(end, "m") == 0)
		n *= 60;
	else if (strcmp(end, "h") == 0)
		n *= 3600;
	else if (strcmp(end, "s") != 0 && *end)
		n = 0;
	if (errno || !n || n > 7 * 86400 || text[0] == '-')
		return mistake("--for", text, "write 90s, 10m or 2h");
	o->seconds = (unsigned)n;
	return 0;
}

static int add_label(struct ex_learn_options *o, char *text)
{
	char *eq = strchr(text, '=');

	if (!eq || o->title.n_labels == EX_LEARN_LABELS_MAX)
		return mistake("--label", text, "write KEY=VALUE, 64 at most");
	*eq = '\0';
	if (!is_word(text, "/:") || (eq[1] && !is_word(eq + 1, "")))
		return mistake("--label", text, "write KEY=VALUE as Kubernetes allows them");
	for (size_t i = 0; i < o->title.n_labels; i++)
		if (strcmp(o->labels[i].key, text) == 0)
			return mistake("--label", text, "a label has one value");
	o->labels[o->title.n_labels++] = (struct ex_learn_label){ text, eq + 1 };
	return 0;
}

static int add_unread(struct ex_learn_options *o, const char *name)
{
	size_t n = strlen(o->unread);

	if (!is_word(name, "") || n + strlen(name) + 2 > sizeof(o->unread))
		return mistake("--passthrough", name, "write a host name");
	if (n)
		o->unread[n++] = ',';
	memcpy(o->unread + n, name, strlen(name) + 1);
	return 0;
}

static int pass_on(struct ex_learn_options *o, const char *option, const char *value)
{
	if (o->n_passed + 2 > EX_LEARN_PASSED_MAX)
		return mistake(option, "", "is one too many");
	o->passed[o->n_passed++] = option;
	if (value)
		o->passed[o->n_passed++] = value;
	return 0;
}

static int take_option(struct ex_learn_options *o, int c)
{
	switch (c) {
	case 'o':
		return set_output(o, optarg);
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_FORMAT:
		return set_format(o, optarg);
	case OPT_NAME:
		return set_word(&o->title.name, "--name", optarg);
	case OPT_NAMESPACE:
		return set_word(&o->title.ns, "--namespace", optarg);
	case 'l':
		return add_label(o, optarg);
	case OPT_FOR:
		return set_time(o, optarg);
	case OPT_PASSTHROUGH:
		return add_unread(o, optarg);
	case OPT_FROM:
		o->from = optarg;
		return 0;
	case OPT_ENDPOINT:
		o->endpoint = optarg;
		return 0;
	case OPT_SOCKET:
		o->socket = optarg;
		return 0;
	case OPT_RUN:
		o->run = optarg;
		return 0;
	case OPT_DNS:
		return pass_on(o, "--dns", optarg);
	case OPT_UPSTREAM_CA:
		return pass_on(o, "--upstream-ca", optarg);
	case OPT_USER:
		return pass_on(o, "--user", optarg);
	case OPT_METADATA:
		return pass_on(o, "--allow-metadata", NULL);
	case 'h':
		fputs(usage, stdout);
		return 1;
	}
	fputs("Try 'exeat learn --help'.\n", stderr);
	return -EINVAL;
}

int ex_learn_options_parse(int argc, char **argv, struct ex_learn_options *o)
{
	int c, r;

	*o = (struct ex_learn_options){ .output = "learned.yaml",
					.socket = EX_CONTROL_PATH,
					.title.name = "learned" };
	o->title.labels = o->labels;
	optind = 1;
	while ((c = getopt_long(argc, argv, "+o:l:h", longopts, NULL)) != -1) {
		r = take_option(o, c);
		if (r != 0)
			return r;
	}
	if ((o->from != NULL) + (o->endpoint != NULL) + (optind < argc) != 1) {
		ex_error("give one of these: a command to run (exeat learn -- COMMAND), --endpoint "
			 "NAME, --from AUDIT-LOG");
		return -EINVAL;
	}
	if (o->run && !o->from)
		return mistake("--run", o->run, "is of a log: give --from as well");
	if (o->n_passed && optind >= argc)
		return mistake(o->passed[0], "", "is for a command that is run");
	if (o->unread[0] && optind >= argc)
		return mistake("--passthrough", o->unread, "is for a command that is run");
	if (o->from && o->seconds)
		return mistake("--from", o->from, "is read to its end: leave --for out");
	o->command = argv + optind;
	return 0;
}
