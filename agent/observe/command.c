/* SPDX-License-Identifier: Apache-2.0 */
/* exeat observe: asks, reads lines, prints them. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/control/client.h"
#include "agent/core/log.h"
#include "agent/observe/command.h"
#include "agent/observe/text.h"

static const char usage[] =
	"Usage: exeat observe [OPTION...]\n"
	"\n"
	"Shows flows and requests as they are judged. Needs root, or the group of the agent's\n"
	"socket.\n"
	"\n"
	"      --run PID            of the 'exeat run' with this process id\n"
	"      --socket PATH        of the agent at this socket (default: /run/exeat/agent.sock)\n"
	"  -f, --follow             goes on until interrupted\n"
	"      --last N             begins with the last N (default: 20; with --follow 0)\n"
	"  -o, --output FORMAT      compact (default), json: Hubble's flow objects, or jsonpb: the\n"
	"                           same in Hubble's envelope {\"flow\":...}\n"
	"      --json               the same as -o json\n"
	"\n"
	"Filters: each may be repeated (any of them matches); different ones must all match.\n"
	"      --endpoint [NS/]NAME  \"*\" stands for anything\n"
	"      --verdict V          FORWARDED, DROPPED, REDIRECTED or AUDIT\n"
	"      --reason WORD        such as http-denied\n"
	"      --name NAME          DNS name, TLS server name or Host; \"*\" stands for anything\n"
	"      --method METHOD      of HTTP\n"
	"      --path PATH          of HTTP; \"*\" stands for anything\n"
	"      --protocol P         http, dns, tls, tcp, udp, icmp, sctp or other\n"
	"      --port N             of the destination\n"
	"      --type T             L7, L3_L4; or verdict, new, end\n"
	"  -h, --help               this text\n"
	"\n"
	"Exit status: 0; 1 when nobody answers, or with an error; 2 wrong usage.\n"
	"\n"
	"Example:\n"
	"  sudo exeat observe --follow --verdict DROPPED --name '*.example.com'\n";

#define VALUES_MAX 64
#define LINE_MAX   8192

enum { OPT_RUN = 256, OPT_SOCKET, OPT_LAST, OPT_JSON, OPT_FILTER /* and the keys behind it */ };

static const struct option longopts[] = {
	{ "run", required_argument, NULL, OPT_RUN },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "follow", no_argument, NULL, 'f' },
	{ "last", required_argument, NULL, OPT_LAST },
	{ "output", required_argument, NULL, 'o' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "endpoint", required_argument, NULL, OPT_FILTER },
	{ "verdict", required_argument, NULL, OPT_FILTER },
	{ "reason", required_argument, NULL, OPT_FILTER },
	{ "name", required_argument, NULL, OPT_FILTER },
	{ "method", required_argument, NULL, OPT_FILTER },
	{ "path", required_argument, NULL, OPT_FILTER },
	{ "protocol", required_argument, NULL, OPT_FILTER },
	{ "port", required_argument, NULL, OPT_FILTER },
	{ "type", required_argument, NULL, OPT_FILTER },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

enum output { OUTPUT_COMPACT, OUTPUT_JSON, OUTPUT_JSONPB };

struct options {
	const char *socket;
	char run[32]; /* that of a run */
	bool follow;
	int64_t last; /* -1 = not given */
	enum output output;
	struct {
		const char *key, *value;
	} filters[VALUES_MAX];
	size_t n_filters;
};

/* ---- options ---- */

static int set_output(struct options *o, const char *text)
{
	static const char *const words[] = {
		[OUTPUT_COMPACT] = "compact", [OUTPUT_JSON] = "json", [OUTPUT_JSONPB] = "jsonpb"
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0) {
			o->output = (enum output)i;
			return 0;
		}
	ex_error("--output %s: write compact, json or jsonpb", text);
	return -EINVAL;
}

static int add_filter(struct options *o, const char *key, const char *value)
{
	if (o->n_filters == VALUES_MAX) {
		ex_error("more than %d filters", VALUES_MAX);
		return -EINVAL;
	}
	o->filters[o->n_filters].key = key;
	o->filters[o->n_filters++].value = value;
	return 0;
}

static int take_option(struct options *o, int c, const char *key)
{
	uint64_t n;

	switch (c) {
	case OPT_RUN:
		if (!ex_number_parse(optarg, 1, INT32_MAX, &n)) {
			ex_error("--run %s: write a process id", optarg);
			return -EINVAL;
		}
		snprintf(o->run, sizeof(o->run), "@exeat/run/%" PRIu64, n);
		o->socket = o->run;
		return 0;
	case OPT_SOCKET:
		o->socket = optarg;
		return 0;
	case 'f':
		o->follow = true;
		return 0;
	case OPT_LAST:
		if (!ex_number_parse(optarg, 0, INT64_MAX, &n)) {
			ex_error("--last %s: write a number", optarg);
			return -EINVAL;
		}
		o->last = (int64_t)n;
		return 0;
	case 'o':
		return set_output(o, optarg);
	case OPT_JSON:
		o->output = OUTPUT_JSON;
		return 0;
	case OPT_FILTER:
		return add_filter(o, key, optarg);
	case 'h':
		fputs(usage, stdout);
		return 1;
	}
	fputs("Try 'exeat observe --help'.\n", stderr);
	return -EINVAL;
}

static int parse(int argc, char **argv, struct options *o)
{
	int c, index = 0, r;

	optind = 1;
	while ((c = getopt_long(argc, argv, "fo:h", longopts, &index)) != -1) {
		r = take_option(o, c, longopts[index].name);
		if (r != 0)
			return r;
	}
	if (optind < argc) {
		ex_error("unexpected: %s", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

/* ---- the request ---- */

static void put_filter(const struct options *o, struct ex_json *j, const char *key)
{
	bool open = false;

	for (size_t i = 0; i < o->n_filters; i++) {
		if (strcmp(o->filters[i].key, key) != 0)
			continue;
		if (!open)
			ex_json_open(j, key, '[');
		open = true;
		ex_json_text(j, NULL, o->filters[i].value);
	}
	if (open)
		ex_json_close(j, ']');
}

static void write_request(const struct options *o, struct ex_json *j)
{
	ex_json_open(j, NULL, '{');
	ex_json_text(j, "op", "observe");
	ex_json_bool(j, "follow", o->follow);
	if (o->last >= 0)
		ex_json_number(j, "last", (uint64_t)o->last);
	for (size_t i = 0; longopts[i].name; i++)
		if (longopts[i].val == OPT_FILTER)
			put_filter(o, j, longopts[i].name);
	ex_json_close(j, '}');
}

/* ---- lines ---- */

/* The answer of Hubble's GetFlows: what it says of the flow is said outside of it as well. */
static void print_envelope(const struct ex_jv *flow, struct ex_span line)
{
	struct ex_json j;

	if (ex_jv_get(flow, "lost_events")) {
		printf("%.*s\n", (int)line.len, line.ptr);
		return;
	}
	ex_json_init_growing(&j, line.len + 1024);
	ex_json_open(&j, NULL, '{');
	ex_json_raw(&j, "flow", line);
	ex_json_text(&j, "node_name", ex_jv_string(flow, "node_name"));
	ex_json_text(&j, "time", ex_jv_string(flow, "time"));
	ex_json_close(&j, '}');
	if (ex_json_done(&j) > 0)
		printf("%.*s\n", (int)j.len, j.out);
	ex_json_wipe(&j);
}

static int print_line(const struct options *o, struct ex_span line, bool colour)
{
	char err[EX_JV_ERROR_MAX], text[LINE_MAX];
	struct ex_jv *flow;
	int r = ex_jv_read(line, &flow, err);

	if (r < 0) {
		ex_error("the answer is not JSON: %s", err);
		return r;
	}
	switch (o->output) {
	case OUTPUT_JSON:
		printf("%.*s\n", (int)line.len, line.ptr);
		break;
	case OUTPUT_JSONPB:
		print_envelope(flow, line);
		break;
	case OUTPUT_COMPACT:
		ex_observe_text(flow, colour, text, sizeof(text));
		fputs(text, stdout);
		break;
	}
	ex_jv_free(flow);
	return fflush(stdout) == EOF ? -errno : 0;
}

static int print_stream(const struct options *o, struct ex_control_stream *s,
			struct ex_control_error *err)
{
	const char *no_colour = getenv("NO_COLOR");
	bool tty = isatty(STDOUT_FILENO) == 1, colour = tty && !(no_colour && no_colour[0]);
	struct ex_span line;
	char header[128];
	int r;

	if (tty && o->output == OUTPUT_COMPACT) {
		ex_observe_text_header(header, sizeof(header));
		fputs(header, stdout);
	}
	while ((r = ex_control_stream_next(s, -1, &line, err)) > 0)
		if (print_line(o, line, colour) < 0)
			return 0; /* nobody reads us */
	return r;
}

void ex_observe_failed(const char *socket, int r, const struct ex_control_error *err)
{
	bool none = r == -ENOENT || r == -ECONNREFUSED;

	ex_error("%s: %s%s", err->code[0] ? err->code : "protocol",
		 err->message[0] ? err->message : strerror(-r),
		 none && strcmp(socket, EX_CONTROL_PATH) == 0 ? "; of a run: --run PID" : "");
}

int ex_cmd_observe(int argc, char **argv)
{
	struct options o = { .socket = EX_CONTROL_PATH, .last = -1 };
	struct ex_control_error err = { 0 };
	struct ex_control_stream *s = NULL;
	struct ex_json request;
	int r = parse(argc, argv, &o);

	if (r != 0)
		return r > 0 ? 0 : 2;
	ex_json_init_growing(&request, 65536);
	write_request(&o, &request);
	r = ex_control_stream_open(o.socket, (struct ex_span){ request.out, request.len }, &s,
				   &err);
	if (r == 0)
		r = print_stream(&o, s, &err);
	if (r < 0)
		ex_observe_failed(o.socket, r, &err);
	ex_control_stream_close(s);
	ex_json_wipe(&request);
	return r < 0 ? 1 : 0;
}
