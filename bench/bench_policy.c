/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compile time, memory and tables of growing policies: rules with an address and a port each, and
 * one rule with many CIDRs. Doubling the input should double the numbers. Then the cost of one
 * judgement. Needs no root.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "policy/emit.h"
#include "policy/lower.h"

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void head(FILE *f)
{
	fputs("apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: bench}\n"
	      "spec:\n  endpointSelector: {}\n  egress:\n",
	      f);
}

static void make_rules(FILE *f, unsigned n)
{
	head(f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
			"  - toCIDR: [20.%u.%u.0/24]\n    toPorts:\n    - ports: [{port: \"%u\", "
			"protocol: TCP}]\n",
			i / 256, i % 256, 1000 + i % 5000);
}

static void make_names(FILE *f, unsigned n)
{
	head(f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
			"  - toFQDNs: [{matchName: host-%u.example.com}]\n    toPorts:\n"
			"    - ports: [{port: \"443\", protocol: TCP}]\n"
			"      rules: {http: [{method: GET, path: \"/%u/.*\"}]}\n",
			i, i);
}

static void make_world(FILE *f, unsigned n)
{
	head(f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "  - toPorts:\n    - ports: [{port: \"%u\", protocol: TCP}]\n",
			1 + i % 60000);
}

static void make_patterns(FILE *f, unsigned n)
{
	head(f);
	fputs("  - toFQDNs:\n", f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "    - matchPattern: '*.host-%u.example.com'\n", i);
	fputs("    - matchName: host-7.example.com\n", f);
}

static void make_paths(FILE *f, unsigned n)
{
	head(f);
	fputs("  - toFQDNs: [{matchName: host-7.example.com}]\n    toPorts:\n"
	      "    - ports: [{port: \"443\", protocol: TCP}]\n      rules:\n        http:\n",
	      f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "        - {method: GET, path: \"/%u/%s\"}\n", i, i % 2 ? "x" : ".*");
}

static void make_server_names(FILE *f, unsigned n)
{
	head(f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
			"  - toPorts:\n    - ports: [{port: \"%u\", protocol: TCP}]\n"
			"      serverNames: [host-%u.example.com]\n",
			443 + i % 100 * 10, i);
}

static void make_cidrs(FILE *f, unsigned n)
{
	head(f);
	fputs("  - toCIDRSet:\n", f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "    - cidr: %u.%u.%u.0/24\n", 20 + i / 65536, i / 256 % 256, i % 256);
}

static void ask(const struct ex_ruleset *rs)
{
	static const struct ex_span name = { "host-7.example.com", 18 };
	struct ex_flow flow = { .port = 443, .proto = IPPROTO_TCP, .names = &name, .n_names = 1 };
	struct ex_http_request req = { .tls = true,
				       .sni = name,
				       .method = EX_SPAN("GET"),
				       .path = EX_SPAN("/7/x"),
				       .host = name,
				       .authority = name };
	double start = now();
	unsigned allowed = 0;

	(void)ex_ip_parse("198.51.100.7", &flow.dst);
	for (int i = 0; i < 1000; i++) {
		allowed += ex_judge_l4(rs, &flow).verdict != EX_V_DENY;
		allowed += ex_judge_dns(rs, name).verdict == EX_V_ALLOW;
		allowed += ex_judge_http(rs, &flow, &req).verdict == EX_V_ALLOW;
	}
	printf("  %6.1f us for dns + l4 + http%s", (now() - start) * 1e3,
	       allowed ? "" : " (denied)");
}

static void measure(const char *what, void (*make)(FILE *f, unsigned n), unsigned n)
{
	struct ex_compile_input in = { .deny_metadata = true };
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs = NULL;
	struct rusage before, after;
	struct ex_tables t;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	double start, compiled, emitted;

	if (!f)
		exit(1);
	make(f, n);
	fclose(f);
	(void)getrusage(RUSAGE_SELF, &before);
	start = now();
	if (ex_compile_text(text, len, NULL, 0, &in, &rs, &diags) < 0) {
		ex_diags_print(&diags, stderr);
		exit(1);
	}
	compiled = now();
	if (ex_emit(rs, &t) < 0)
		exit(1);
	emitted = now();
	(void)getrusage(RUSAGE_SELF, &after);
	printf("%-6s %7u  compile %8.1f ms  emit %8.1f ms  %6ld KiB  %zu dests %zu entries", what,
	       n, (compiled - start) * 1e3, (emitted - compiled) * 1e3,
	       after.ru_maxrss - before.ru_maxrss, t.n_dests, t.n_rules);
	ask(rs);
	putchar('\n');
	ex_tables_done(&t);
	ex_ruleset_unref(rs);
	free(text);
}

/* Each in a process of its own, so that the memory is its own. */
static void run(const char *what, void (*make)(FILE *f, unsigned n), unsigned n)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		measure(what, make, n);
		exit(0);
	}
	(void)waitpid(pid, NULL, 0);
}

int main(void)
{
	static const struct {
		const char *what;
		void (*make)(FILE *f, unsigned n);
		unsigned from;
	} kinds[] = {
		{ "rules", make_rules, 1250 },  { "names", make_names, 1250 },
		{ "world", make_world, 1250 },  { "wild", make_patterns, 1250 },
		{ "paths", make_paths, 1250 },  { "sni", make_server_names, 1250 },
		{ "cidrs", make_cidrs, 12500 },
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(kinds); i++)
		for (unsigned n = kinds[i].from; n <= kinds[i].from * 8; n *= 2)
			run(kinds[i].what, kinds[i].make, n);
	return 0;
}
