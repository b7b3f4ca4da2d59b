/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>

#include "agent/core/log.h"
#include "agent/run/options.h"

#define WORKERS_USUAL 4

static const char usage[] =
	"Usage: exeat run -p FILE [OPTION...] -- COMMAND [ARG...]\n"
	"\n"
	"Runs COMMAND in its own network namespace behind two gates: only what the policy\n"
	"allows leaves. Needs root to set up; COMMAND runs as the user who called sudo.\n"
	"\n"
	"  -p, --policy FILE        policy file (CiliumNetworkPolicy YAML); may be repeated\n"
	"  -l, --label KEY=VALUE    label of the command; policies that do not select it are\n"
	"                           left out. Without any -l every policy given applies\n"
	"      --endpoints FILE     which addresses carry which labels, for toEndpoints\n"
	"      --secrets DIR        what rules mean by a secret: files DIR/NAMESPACE/NAME\n"
	"      --dns ADDR[:PORT]    resolver to ask (default: those of /etc/resolv.conf, followed)\n"
	"      --dns SUFFIX=ADDR[:PORT]  resolver for the names that end with SUFFIX\n"
	"      --ca DIR             sign with a CA that stays ('exeat ca init' makes one); default:\n"
	"                           one of this run's own\n"
	"      --upstream-ca FILE   more roots to trust, besides the system's\n"
	"      --log FILE           append a record of every verdict to FILE\n"
	"      --log-format FORMAT  json (default) or text\n"
	"      --log-key FILE       sign the log with the last key in FILE, each record chained\n"
	"                           to the one before ('exeat audit key FILE' makes one)\n"
	"      --user NAME          run COMMAND as NAME\n"
	"      --watch              put changed policy files in force while COMMAND runs\n"
	"      --workers N          proxy processes, 1 to 8 (default: one a CPU, at most 4)\n"
	"      --allow-metadata     do not deny cloud metadata addresses by default\n"
	"  -q, --quiet              no lines about denials, no summary\n"
	"  -v, --verbose            say what exeat does\n"
	"  -h, --help               this text\n"
	"\n"
	"Exit status: that of COMMAND; 125 when exeat failed and nothing was run, 126 when\n"
	"COMMAND cannot be executed, 127 when it was not found, 128+N when signal N killed it.\n"
	"\n"
	"Example:\n"
	"  sudo exeat run -p examples/llm-agent/policy.yaml -- \\\n"
	"      curl https://api.openai.com/v1/chat/completions -d '{...}'\n";

enum {
	OPT_ENDPOINTS = 256,
	OPT_SECRETS,
	OPT_DNS,
	OPT_CA,
	OPT_UPSTREAM_CA,
	OPT_LOG,
	OPT_LOG_FORMAT,
	OPT_LOG_KEY,
	OPT_LEARN,
	OPT_USER,
	OPT_METADATA,
	OPT_WATCH,
	OPT_WORKERS,
};

static const struct option longopts[] = {
	{ "policy", required_argument, NULL, 'p' },
	{ "label", required_argument, NULL, 'l' },
	{ "endpoints", required_argument, NULL, OPT_ENDPOINTS },
	{ "secrets", required_argument, NULL, OPT_SECRETS },
	{ "dns", required_argument, NULL, OPT_DNS },
	{ "ca", required_argument, NULL, OPT_CA },
	{ "upstream-ca", required_argument, NULL, OPT_UPSTREAM_CA },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "log-format", required_argument, NULL, OPT_LOG_FORMAT },
	{ "learn", required_argument, NULL, OPT_LEARN }, /* for exeat learn */
	{ "log-key", required_argument, NULL, OPT_LOG_KEY },
	{ "user", required_argument, NULL, OPT_USER },
	{ "allow-metadata", no_argument, NULL, OPT_METADATA },
	{ "watch", no_argument, NULL, OPT_WATCH },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int add_policy(struct ex_run_options *o, const char *file)
{
	if (o->n_policies == EX_RUN_POLICIES_MAX) {
		ex_error("more than %d policy files", EX_RUN_POLICIES_MAX);
		return -EINVAL;
	}
	o->policies[o->n_policies++] = file;
	return 0;
}

static int add_label(struct ex_run_options *o, char *text)
{
	char *eq = strchr(text, '=');

	if (!eq || eq == text) {
		ex_error("--label %s: write KEY=VALUE", text);
		return -EINVAL;
	}
	if (o->n_labels == EX_RUN_LABELS_MAX) {
		ex_error("more than %d labels", EX_RUN_LABELS_MAX);
		return -EINVAL;
	}
	*eq = '\0';
	for (size_t i = 0; i < o->n_labels; i++) {
		if (strcmp(o->labels[i].key, text) != 0)
			continue;
		ex_error("--label %s is there twice: a label has one value", text);
		return -EINVAL;
	}
	o->labels[o->n_labels++] = (struct ex_label){ .key = text, .value = eq + 1 };
	return 0;
}

static int add_dns(struct ex_run_options *o, const char *text)
{
	const char *why = ex_resolver_server_add(text, o->dns.v, EX_RESOLVERS_MAX, &o->dns.n);

	if (why)
		ex_error("--dns %s: %s", text, why);
	return why ? -EINVAL : 0;
}

static int set_log(struct ex_run_options *o, const char *text)
{
	o->log = text;
	if (strcmp(text, "-") != 0)
		return 0;
	ex_error("--log -: write /dev/stderr or /dev/stdout; ./- is a file of that name");
	return -EINVAL;
}

static int set_log_format(struct ex_run_options *o, const char *text)
{
	o->log_format = text;
	o->log_json = strcmp(text, "json") == 0;
	if (o->log_json || strcmp(text, "text") == 0)
		return 0;
	ex_error("--log-format %s: write json or text", text);
	return -EINVAL;
}

static int set_workers(struct ex_run_options *o, const char *text)
{
	uint64_t n;

	if (!ex_number_parse(text, 1, EX_WORKERS_MAX, &n)) {
		ex_error("--workers %s: write a number from 1 to %d", text, EX_WORKERS_MAX);
		return -EINVAL;
	}
	o->workers = (unsigned)n;
	return 0;
}

/* One a CPU this process may use; more than a few have nothing to do. */
static unsigned usual_workers(void)
{
	cpu_set_t cpus;
	int n = sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : CPU_COUNT(&cpus);

	return n < 1 ? 1 : n > WORKERS_USUAL ? WORKERS_USUAL : (unsigned)n;
}

static int take_option(struct ex_run_options *o, int c)
{
	switch (c) {
	case 'p':
		return add_policy(o, optarg);
	case 'l':
		return add_label(o, optarg);
	case OPT_ENDPOINTS:
		o->endpoints = optarg;
		return 0;
	case OPT_SECRETS:
		o->secrets = optarg;
		return 0;
	case OPT_DNS:
		return add_dns(o, optarg);
	case OPT_CA:
		o->ca = optarg;
		return 0;
	case OPT_UPSTREAM_CA:
		o->upstream_ca = optarg;
		return 0;
	case OPT_LOG:
		return set_log(o, optarg);
	case OPT_LOG_FORMAT:
		return set_log_format(o, optarg);
	case OPT_LEARN:
		o->learn = optarg;
		return 0;
	case OPT_LOG_KEY:
		o->log_key = optarg;
		return 0;
	case OPT_USER:
		o->user = optarg;
		return 0;
	case OPT_METADATA:
		o->allow_metadata = true;
		return 0;
	case OPT_WATCH:
		o->watch = true;
		return 0;
	case OPT_WORKERS:
		return set_workers(o, optarg);
	case 'q':
		o->quiet = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'h':
		fputs(usage, stdout);
		return 1;
	}
	fputs("Try 'exeat run --help'.\n", stderr);
	return -EINVAL;
}

int ex_run_options_parse(int argc, char **argv, struct ex_run_options *ret)
{
	struct ex_run_options o = { .log_json = true, .workers = usual_workers() };
	int c, r;

	optind = 1;
	while ((c = getopt_long(argc, argv, "+p:l:qvh", longopts, NULL)) != -1) {
		r = take_option(&o, c);
		if (r != 0)
			return r;
	}
	if (o.learn && o.n_policies) {
		ex_error("--learn takes no policy: exeat learn --help");
		return -EINVAL;
	}
	if (!o.n_policies && !o.learn) {
		ex_error("no policy given: add -p FILE (without a policy nothing may leave)");
		return -EINVAL;
	}
	if (o.log_format && !o.log) {
		ex_error("--log-format is that of a --log FILE");
		return -EINVAL;
	}
	if (o.log_key && (!o.log || !o.log_json)) {
		ex_error("--log-key signs a --log FILE of JSON lines");
		return -EINVAL;
	}
	if (optind >= argc) {
		ex_error("no command given: exeat run -p FILE -- COMMAND [ARG...]");
		return -EINVAL;
	}
	o.command = argv + optind;
	*ret = o;
	return 0;
}
