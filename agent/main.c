/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/audit/command.h"
#include "agent/ca/command.h"
#include "agent/gate/prefilter.h"
#include "agent/gate/probe.h"
#include "agent/http/probe.h"
#include "agent/learn/command.h"
#include "agent/node/agent.h"
#include "agent/node/command.h"
#include "agent/node/doctor.h"
#include "agent/observe/command.h"
#include "agent/proxy/proxy.h"
#include "agent/report/report.h"
#include "agent/run/run.h"
#include "agent/tls/session.h"
#include "agent/tls/sign.h"
#include "exeat/util.h"
#include "policy/explain.h"
#include "policy/secret.h"
#include "policy/tool.h"

struct command {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help; /* NULL: not for people */
};

static int cmd_doctor(int argc, char **argv);
static int cmd_policy(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command commands[] = {
	{ "run", ex_cmd_run, "run a command behind both gates" },
	{ "agent", ex_cmd_agent, "gate the endpoints of this node" },
	{ "endpoint", ex_cmd_endpoint, "add, list, show, label and remove endpoints of the agent" },
	{ "status", ex_cmd_status, "how the agent and its endpoints are" },
	{ "policy", cmd_policy, "check, explain, test, compare, print and apply policies" },
	{ "learn", ex_cmd_learn, "write the policy for what a command does" },
	{ "observe", ex_cmd_observe, "show flows and requests as they are judged" },
	{ "top", ex_cmd_top, "who speaks with whom, and what is denied, right now" },
	{ "audit", ex_cmd_audit, "verify an audit log, make a key to sign it with" },
	{ "ca", ex_cmd_ca, "make, show and rotate a certificate authority that stays" },
	{ "prefilter", ex_cmd_prefilter, "drop denied sources on an uplink (XDP)" },
	{ "doctor", cmd_doctor, "say what this machine can do, and what is missing" },
	{ "version", cmd_version, "print the version" },
	{ "proxy", ex_cmd_proxy, NULL },
	{ "report", ex_cmd_report, NULL },
};

/* --node: the machine, then the agent with the options that follow. */
static int cmd_doctor(int argc, char **argv)
{
	int machine, node;

	if (argc < 2 || strcmp(argv[1], "--node") != 0)
		return ex_cmd_doctor(argc, argv);
	machine = ex_cmd_doctor(1, argv);
	node = ex_node_doctor(argc - 1, argv + 1);
	return machine ? machine : node;
}

/* The tools judge what the gates judge: requests as the proxy reads them. */
static int cmd_policy(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "apply") == 0)
		return ex_cmd_policy_apply(argc - 1, argv + 1);
	ex_probe_use_reader(ex_h1_probe);
	return ex_cmd_policy(argc, argv);
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("exeat " EX_VERSION);
	return 0;
}

static void print_usage(FILE *out)
{
	fputs("Usage: exeat COMMAND [OPTION...]\n\n"
	      "Decides what may leave a Linux workload, and proves it.\n\n",
	      out);
	for (size_t i = 0; i < EX_ARRAY_SIZE(commands); i++)
		if (commands[i].help)
			fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n'exeat COMMAND --help' says more; so does exeat(8).\n", out);
}

/* What is opened first must not become what is written to as standard error. */
static bool have_standard_fds(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

/* What could not be printed was not said: a full disk is no success. */
static int finish(int status)
{
	bool bad = ferror(stdout);

	if (fflush(stdout) == 0 && !bad)
		return status;
	if (errno != EPIPE) /* who reads has read enough */
		fputs("exeat: error: not all could be written to standard output\n", stderr);
	return status ? status : 125;
}

int main(int argc, char **argv)
{
	char called[32], help[] = "--help";

	if (!have_standard_fds() || !ex_tls_forgo_config())
		return 125;
	(void)signal(SIGXFSZ, SIG_IGN); /* a log that has no room ends nothing */
	if (argc < 2) {
		print_usage(stderr);
		return 125;
	}
	if (argc > 2 && strcmp(argv[1], "help") == 0) {
		argv[1] = argv[2];
		argv[2] = help;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0)
		return cmd_version(argc, argv);
	ex_origin_use_checker(ex_tls_check_origin);
	for (size_t i = 0; i < EX_ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		snprintf(called, sizeof(called), "exeat %s", commands[i].name);
		argv[1] = called; /* getopt(3) begins what it says with it */
		return finish(commands[i].fn(argc - 1, argv + 1));
	}
	fprintf(stderr, "exeat: no such command: %s\n", argv[1]);
	print_usage(stderr);
	return 125;
}
